/* quantized.h -- a GGUF file whose matrices are random blocks of one type. */
#ifndef AE_TEST_QUANTIZED_H
#define AE_TEST_QUANTIZED_H

#include "model/model.h"

#include "scratch.h"

#include "blocks.h"

/* Wide enough for the types whose blocks are 256; `arch` is the name of a class of transformers. */
static inline void write_wide_config(const char *folder, const char *class_name, const char *type)
{
    char *path = ae_path_join(folder, "config.json"), text[512];
    int n = snprintf(text, sizeof text,
                     "{\"architectures\": [\"%s\"], \"model_type\": \"%s\", \"vocab_size\": 61,\n"
                     " \"hidden_size\": 256, \"intermediate_size\": 256,\n"
                     " \"num_hidden_layers\": 1, \"num_attention_heads\": 4,\n"
                     " \"num_key_value_heads\": 2, \"max_position_embeddings\": 128,\n"
                     " \"rms_norm_eps\": 1e-5, \"rope_theta\": 10000.0,\n"
                     " \"tie_word_embeddings\": false, \"hidden_act\": \"silu\"}\n",
                     class_name, type);

    assert_int_equal(ae_file_write(path, text, (size_t)n, NULL), AERIE_OK);
    ae_free(path);
}

static inline void add_blocks(ae_gguf_writer *w, const ae_stored_tensor *t, ae_dtype type,
                              ae_rng *rng)
{
    size_t bytes;
    void *data;

    assert_true(ae_dtype_bytes(&bytes, type, t->rows, t->cols));
    data = ae_alloc(bytes, 1);
    assert_non_null(data);
    blocks_fill(data, type, t->rows * t->cols, 0.05f, rng);
    ae_gguf_writer_add(w, data, bytes);
    ae_free(data);
}

/* The file `from` with every matrix replaced. */
static inline void write_quantized(const char *from, const char *to, ae_dtype type, uint64_t seed)
{
    ae_gguf *g;
    ae_gguf_writer *w;
    ae_rng rng;

    ae_rng_seed(&rng, seed);
    assert_int_equal(ae_gguf_open(&g, from, NULL), AERIE_OK);
    assert_int_equal(ae_gguf_writer_open(&w, to, NULL), AERIE_OK);
    for (size_t i = 0; i < ae_gguf_entry_count(g); i++) ae_gguf_set_copy(w, g, i);
    const ae_tensor_list *list = ae_gguf_tensors(g);
    for (int data = 0; data < 2; data++)
        for (size_t i = 0; i < ae_tensor_list_len(list); i++) {
            const ae_stored_tensor *t = ae_tensor_list_at(list, i);
            if (!data)
                ae_gguf_writer_tensor(w, t->name, t->rows > 1 ? type : t->dtype, t->rows, t->cols);
            else if (t->rows > 1)
                add_blocks(w, t, type, &rng);
            else
                ae_gguf_writer_add(w, t->data, t->bytes);
        }
    assert_int_equal(ae_gguf_writer_commit(w, NULL), AERIE_OK);
    ae_gguf_close(g);
}

/* A random model of that class: base.gguf in F32, in the folder. Its path, the caller's. */
static inline char *write_wide_model(const char *folder, const char *class_name, const char *type)
{
    char *path = ae_path_join(folder, "base.gguf");
    aerie_error err = { 0 };
    ae_model *m;

    write_wide_config(folder, class_name, type);
    if (ae_model_random(&m, folder, 7, &err)) fail_msg("%s", err.message);
    if (ae_model_save_gguf(m, path, AE_F32, &err)) fail_msg("%s", err.message);
    ae_model_close(m);
    return path;
}

#endif
