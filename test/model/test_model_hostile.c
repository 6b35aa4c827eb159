/* Files that lie: each gives a sentence that names the file and what is wrong, and nothing else. */
#include "model/support.h"

#include <jansson.h>

/* ---- GGUF: a good file with one entry changed ---- */

typedef void change_fn(ae_gguf_writer *w, const char *key);

typedef struct {
    const char *key; /* left out, then `change` puts it in its own way (NULL: not at all) */
    change_fn *change;
    const char *tensor;   /* this tensor is left out */
    const char *sentence; /* what the error must say */
    aerie_status status;
} gguf_case;

static void zero(ae_gguf_writer *w, const char *key)
{
    ae_gguf_set_u32(w, key, 0);
}
static void one(ae_gguf_writer *w, const char *key)
{
    ae_gguf_set_u32(w, key, 1);
}
static void three(ae_gguf_writer *w, const char *key)
{
    ae_gguf_set_u32(w, key, 3);
}
static void two_to_31(ae_gguf_writer *w, const char *key)
{
    ae_gguf_set_u32(w, key, 1u << 31);
}
static void two_to_63(ae_gguf_writer *w, const char *key)
{
    ae_gguf_set_u64(w, key, 1ull << 63);
}
static void minus_one(ae_gguf_writer *w, const char *key)
{
    ae_gguf_set_i32(w, key, -1);
}
static void seven_hundred(ae_gguf_writer *w, const char *key)
{
    ae_gguf_set_u32(w, key, 700);
}
static void not_a_number(ae_gguf_writer *w, const char *key)
{
    ae_gguf_set_f32(w, key, 0.0f / 0.0f);
}
static void words(ae_gguf_writer *w, const char *key)
{
    ae_gguf_set_text(w, key, "many");
}
static void longrope(ae_gguf_writer *w, const char *key)
{
    ae_gguf_set_text(w, key, "longrope");
}
static void lama(ae_gguf_writer *w, const char *key)
{
    ae_gguf_set_text(w, key, "lamma");
}
static void wordpiece(ae_gguf_writer *w, const char *key)
{
    ae_gguf_set_text(w, key, "bert");
}

static void per_layer(ae_gguf_writer *w, const char *key)
{
    const int32_t heads[] = { 4, 8 };
    ae_gguf_set_i32s(w, key, heads, 2);
}

static void ten_scores(ae_gguf_writer *w, const char *key)
{
    const float scores[10] = { 0 };
    ae_gguf_set_f32s(w, key, scores, 10);
}

static const gguf_case gguf_cases[] = {
    { "general.architecture", lama, NULL, "the nearest is 'llama'", AERIE_UNSUPPORTED },
    { "general.architecture", NULL, NULL, "general.architecture", AERIE_NOT_FOUND },
    { "llama.attention.head_count", zero, NULL, "attention heads is 0", AERIE_BAD_FILE },
    { "llama.attention.head_count", per_layer, NULL, "layer to layer", AERIE_UNSUPPORTED },
    { "llama.attention.head_count", NULL, NULL, "llama.attention.head_count", AERIE_NOT_FOUND },
    { "llama.attention.head_count_kv", zero, NULL, "key/value heads is 0", AERIE_BAD_FILE },
    { "llama.attention.head_count_kv", three, NULL, "cannot share 3", AERIE_BAD_FILE },
    { "llama.attention.head_count_kv", one, NULL, "attn_k.weight' is 16 x 32", AERIE_BAD_FILE },
    { "llama.attention.key_length", seven_hundred, NULL, "", AERIE_UNSUPPORTED },
    { "llama.attention.key_length", three, NULL, "", AERIE_UNSUPPORTED },
    { "llama.block_count", two_to_31, NULL, "layers is 2147483648", AERIE_BAD_FILE },
    { "llama.block_count", two_to_63, NULL, "llama.block_count", AERIE_BAD_FILE },
    { "llama.block_count", minus_one, NULL, "layers is -1", AERIE_BAD_FILE },
    { "llama.block_count", words, NULL, "llama.block_count", AERIE_BAD_FILE },
    { "llama.block_count", seven_hundred, NULL, "blk.2.attn_norm.weight' is missing",
      AERIE_BAD_FILE },
    { "llama.embedding_length", two_to_31, NULL, "hidden_size is 2147483648", AERIE_BAD_FILE },
    { "llama.embedding_length", zero, NULL, "hidden_size is 0", AERIE_BAD_FILE },
    { "llama.embedding_length", three, NULL, "token_embd.weight' is 512 x 32", AERIE_BAD_FILE },
    { "llama.feed_forward_length", two_to_31, NULL, "intermediate_size", AERIE_BAD_FILE },
    { "llama.vocab_size", two_to_31, NULL, "vocab_size is 2147483648", AERIE_BAD_FILE },
    { "llama.vocab_size", seven_hundred, NULL, "asks for 700 x 32", AERIE_BAD_FILE },
    { "llama.context_length", zero, NULL, "context length is 0", AERIE_BAD_FILE },
    { "llama.rope.freq_base", not_a_number, NULL, "rope_theta is", AERIE_BAD_FILE },
    { "llama.rope.dimension_count", three, NULL, "part of each head", AERIE_UNSUPPORTED },
    { "llama.rope.scaling.type", longrope, NULL, "'longrope'", AERIE_UNSUPPORTED },
    { "llama.attention.layer_norm_rms_epsilon", not_a_number, NULL, "epsilon", AERIE_BAD_FILE },
    { "tokenizer.ggml.model", wordpiece, NULL, "'bert'", AERIE_UNSUPPORTED },
    { "tokenizer.ggml.tokens", NULL, NULL, "no tokens", AERIE_BAD_FILE },
    { "tokenizer.ggml.scores", ten_scores, NULL, "10 entries for 512 tokens", AERIE_BAD_FILE },
    { NULL, NULL, "blk.1.ffn_up.weight", "'blk.1.ffn_up.weight' is missing", AERIE_BAD_FILE },
    { NULL, NULL, "output_norm.weight", "'output_norm.weight' is missing", AERIE_BAD_FILE },
};

static void copy_changed(const char *from, const char *to, const gguf_case *c)
{
    ae_gguf *g;
    ae_gguf_writer *w;

    assert_int_equal(ae_gguf_open(&g, from, NULL), AERIE_OK);
    assert_int_equal(ae_gguf_writer_open(&w, to, NULL), AERIE_OK);
    for (size_t i = 0; i < ae_gguf_entry_count(g); i++)
        if (!c->key || strcmp(ae_gguf_entry_at(g, i).key, c->key)) ae_gguf_set_copy(w, g, i);
    if (c->change) c->change(w, c->key);
    const ae_tensor_list *list = ae_gguf_tensors(g);
    for (int data = 0; data < 2; data++)
        for (size_t i = 0; i < ae_tensor_list_len(list); i++) {
            const ae_stored_tensor *t = ae_tensor_list_at(list, i);
            if (c->tensor && !strcmp(c->tensor, t->name)) continue;
            if (data)
                ae_gguf_writer_add(w, t->data, t->bytes);
            else
                ae_gguf_writer_tensor(w, t->name, t->dtype, t->rows, t->cols);
        }
    assert_int_equal(ae_gguf_writer_commit(w, NULL), AERIE_OK);
    ae_gguf_close(g);
}

static void assert_refused(const char *path, aerie_status status, const char *sentence,
                           const char *what)
{
    ae_model *m = NULL;
    aerie_error err = { 0 };
    aerie_status got = ae_model_open(&m, path, &err);

    if (got != status || m || !strstr(err.message, sentence) || !strstr(err.message, path))
        fail_msg("%s: status %s, \"%s\"; wanted %s, \"%s\"", what, aerie_status_name(got),
                 err.message, aerie_status_name(status), sentence);
    assert_int_equal(ae_model_open(&m, path, NULL), status);
}

/* A model of two layers with 512 tokens of SentencePiece's kind. */
static char *good_gguf(const char *scratch)
{
    char *path = join(scratch, "good.gguf"), *folder = join(scratch, "source");
    char *config = join(folder, "config.json"), *tokenizer = join(folder, "tokenizer.json");
    ae_bytes vocab = { 0 };
    ae_model *m;
    aerie_error err = { 0 };

    assert_int_equal(ae_file_make_folder(folder, NULL), AERIE_OK);
    static const char text[] =
        "{\"model_type\": \"mistral\", \"vocab_size\": 512, \"hidden_size\": 32, "
        "\"intermediate_size\": 64,"
        " \"num_hidden_layers\": 2, \"num_attention_heads\": 4, \"num_key_value_heads\": 2,"
        " \"rms_norm_eps\": 1e-5}";
    assert_int_equal(ae_file_write(config, text, strlen(text), NULL), AERIE_OK);
    ae_bytes_add_text(
        &vocab, "{\"model\": {\"type\": \"BPE\", \"byte_fallback\": true, \"unk_token\": "
                "\"<unk>\", \"merges\": [], \"vocab\": {\"<unk>\": 0, \"<s>\": 1, \"</s>\": 2");
    for (int i = 0; i < 256; i++) ae_bytes_printf(&vocab, ", \"<0x%02X>\": %d", i, i + 3);
    for (int i = 259; i < 512; i++) ae_bytes_printf(&vocab, ", \"t%d\": %d", i, i);
    ae_bytes_add_text(&vocab, "}}}");
    assert_int_equal(ae_file_write(tokenizer, vocab.data, vocab.len, NULL), AERIE_OK);
    ae_bytes_free(&vocab);
    if (ae_model_random(&m, folder, 1, &err)) fail_msg("%s", err.message);
    if (ae_model_save_gguf(m, path, AE_F32, &err)) fail_msg("%s", err.message);
    ae_model_close(m);
    m = open_or_fail(path);
    ae_model_close(m);
    ae_free(config);
    ae_free(tokenizer);
    ae_free(folder);
    return path;
}

static void absurd_gguf(void **state)
{
    char *scratch = scratch_make(), *good = good_gguf(scratch), *bad = join(scratch, "bad.gguf");
    (void)state;

    for (size_t i = 0; i < AE_COUNT(gguf_cases); i++) {
        const gguf_case *c = &gguf_cases[i];
        copy_changed(good, bad, c);
        assert_refused(bad, c->status, c->sentence, c->key ? c->key : c->tensor);
    }
    ae_free(good);
    ae_free(bad);
    scratch_remove(scratch);
}

/* An id past the end is "no such token", as other programs take it. */
static void wild_ids(void **state)
{
    static const gguf_case c = { "tokenizer.ggml.padding_token_id", two_to_31, NULL, NULL, 0 };
    char *scratch = scratch_make(), *good = good_gguf(scratch), *odd = join(scratch, "odd.gguf");
    (void)state;

    copy_changed(good, odd, &c);
    ae_model *m = open_or_fail(odd);
    assert_int_equal(ae_tokenizer_vocab(ae_model_tokenizer(m))->pad, -1);
    ae_model_close(m);
    ae_free(good);
    ae_free(odd);
    scratch_remove(scratch);
}

/* Cut anywhere, it is refused: never a crash, never a model. */
static void cut_off(void **state)
{
    char *scratch = scratch_make(), *good = good_gguf(scratch), *bad = join(scratch, "cut.gguf");
    ae_bytes whole = { 0 };
    (void)state;

    assert_int_equal(ae_file_read(&whole, good, 0, NULL), AERIE_OK);
    for (size_t n = 1; n < whole.len; n += 1 + whole.len / 97) {
        ae_model *m = NULL;
        aerie_error err = { 0 };
        assert_int_equal(ae_file_write(bad, whole.data, n, NULL), AERIE_OK);
        assert_int_not_equal(ae_model_open(&m, bad, &err), AERIE_OK);
        assert_null(m);
        assert_non_null(strstr(err.message, bad));
    }
    ae_bytes_free(&whole);
    ae_free(good);
    ae_free(bad);
    scratch_remove(scratch);
}

/* Bytes of the metadata changed at random: refused or not, nothing breaks. */
static void flipped_bytes(void **state)
{
    enum { TRIES = 400, SEED = 20260101 };
    char *scratch = scratch_make(), *good = good_gguf(scratch), *bad = join(scratch, "flip.gguf");
    ae_bytes whole = { 0 };
    ae_rng rng;
    int opened = 0;
    (void)state;

    ae_rng_seed(&rng, SEED);
    assert_int_equal(ae_file_read(&whole, good, 0, NULL), AERIE_OK);
    for (int i = 0; i < TRIES; i++) {
        size_t at[4];
        char kept[4];
        for (int k = 0; k < 4; k++) {
            at[k] = 8 + ae_rng_below(&rng, k < 2 ? 1200 : 16000);
            kept[k] = whole.data[at[k]];
            whole.data[at[k]] = (char)ae_rng_next(&rng);
        }
        ae_model *m = NULL;
        aerie_error err = { 0 };
        assert_int_equal(ae_file_write(bad, whole.data, whole.len, NULL), AERIE_OK);
        aerie_status status = ae_model_open(&m, bad, &err);
        assert_int_equal(!m, status != AERIE_OK);
        if (status) assert_true(err.message[0]);
        opened += !status;
        ae_model_close(m);
        for (int k = 3; k >= 0; k--) whole.data[at[k]] = kept[k];
    }
    print_message("seed %d: %d of %d opened all the same\n", SEED, opened, TRIES);
    ae_bytes_free(&whole);
    ae_free(good);
    ae_free(bad);
    scratch_remove(scratch);
}

/* ---- config.json ---- */

typedef struct {
    const char *change; /* put over a good configuration */
    const char *sentence;
    aerie_status status;
} json_case;

static const json_case json_cases[] = {
    { "{\"model_type\": \"mixtral\", \"architectures\": [\"MixtralForCausalLM\"]}",
      "'MixtralForCausalLM'", AERIE_UNSUPPORTED },
    { "{\"architectures\": [\"MistralForTokenClassification\"]}", "MistralForToken",
      AERIE_UNSUPPORTED },
    { "{\"architectures\": [\"MambaForSequenceClassification\"]}", "MambaForSequence",
      AERIE_UNSUPPORTED },
    { "{\"architectures\": [\"LlamaForSequenceClassification\"], "
      "\"id2label\": {\"0\": \"bad\", \"1\": \"good\"}}",
      "2 labels", AERIE_UNSUPPORTED },
    { "{\"architectures\": [\"LlamaForSequenceClassification\"]}", "'score.weight' is missing",
      AERIE_BAD_FILE },
    { "{\"model_type\": 7}", "'model_type' must be a string", AERIE_BAD_FILE },
    { "{\"num_attention_heads\": 0}", "0 heads", AERIE_BAD_FILE },
    { "{\"num_attention_heads\": 5, \"head_dim\": null}", "no multiple of 5", AERIE_BAD_FILE },
    { "{\"num_attention_heads\": -4}", "whole number", AERIE_BAD_FILE },
    { "{\"num_attention_heads\": 1e300}", "whole number", AERIE_BAD_FILE },
    { "{\"num_hidden_layers\": 2.5}", "whole number", AERIE_BAD_FILE },
    { "{\"num_hidden_layers\": 4294967296}", "layers is 4294967296", AERIE_BAD_FILE },
    { "{\"num_hidden_layers\": \"two\"}", "must be a number", AERIE_BAD_FILE },
    { "{\"hidden_size\": null}", "'hidden_size' is missing", AERIE_BAD_FILE },
    { "{\"head_dim\": 7}", "even", AERIE_BAD_FILE },
    { "{\"head_dim\": 16}", "asks for 64 x 32", AERIE_BAD_FILE },
    { "{\"rms_norm_eps\": 0}", "epsilon", AERIE_BAD_FILE },
    { "{\"hidden_act\": \"gelu\"}", "'gelu'", AERIE_UNSUPPORTED },
    { "{\"rope_scaling\": {\"rope_type\": \"longrope\", \"factor\": 4}}", "'longrope'",
      AERIE_UNSUPPORTED },
    { "{\"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 4, \"beta_fast\": 1}}",
      "beta_slow < beta_fast", AERIE_BAD_FILE },
    { "{\"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 4, \"mscale\": 1}}", "mscale",
      AERIE_UNSUPPORTED },
    { "{\"layer_types\": [\"sliding_attention\", \"full_attention\"]}", "layer 1 is",
      AERIE_UNSUPPORTED },
    { "{\"architectures\": [\"Qwen2MoeForCausalLM\"]}", "is a mixture of experts",
      AERIE_UNSUPPORTED },
    { "{\"architectures\": [\"MllamaForConditionalGeneration\"]}", "reads images",
      AERIE_UNSUPPORTED },
    { "{\"architectures\": [\"Phi3ForCausalLM\"]}", "(llama, mistral, qwen2, qwen3, gemma2",
      AERIE_UNSUPPORTED },
    { "{\"rope_scaling\": {\"type\": \"liner\", \"factor\": 4}}", "the nearest is linear",
      AERIE_UNSUPPORTED },
    { "{\"rope_scaling\": {\"type\": \"linear\", \"factor\": 0}}", "factor is 0", AERIE_BAD_FILE },
    { "{\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 4,"
      " \"high_freq_factor\": 1, \"original_max_position_embeddings\": 64}}",
      "low_freq_factor <", AERIE_BAD_FILE },
    { "{\"rope_scaling\": [1]}", "must be an object", AERIE_BAD_FILE },
    { "{\"rope_theta\": -1}", "rope_theta is -1", AERIE_BAD_FILE },
    { "{\"tie_word_embeddings\": \"no\"}", "true or false", AERIE_BAD_FILE },
    { "{\"vocab_size\": 64}", "asks for 64 x 32", AERIE_BAD_FILE },
    { "{\"num_hidden_layers\": 3}", "model.layers.2.input_layernorm.weight' is missing",
      AERIE_BAD_FILE },
};

static void copy_into(const char *name, const char *folder)
{
    char *from = join(SHAPES "mistral", name), *to = join(folder, name);
    ae_bytes bytes = { 0 };

    assert_int_equal(ae_file_read(&bytes, from, 0, NULL), AERIE_OK);
    assert_int_equal(ae_file_write(to, bytes.data, bytes.len, NULL), AERIE_OK);
    ae_bytes_free(&bytes);
    ae_free(from);
    ae_free(to);
}

static void write_config(const char *folder, const char *change)
{
    char *path = join(folder, "config.json");
    json_t *root = json_load_file(SHAPES "mistral/config.json", 0, NULL);
    json_t *over = json_loads(change, 0, NULL);

    assert_non_null(over);
    assert_int_equal(json_object_update(root, over), 0);
    assert_int_equal(json_dump_file(root, path, 0), 0);
    json_decref(root);
    json_decref(over);
    ae_free(path);
}

static void absurd_config(void **state)
{
    char *scratch = scratch_make(), *config = join(scratch, "config.json");
    (void)state;

    copy_into("model.safetensors", scratch);
    write_config(scratch, "{}");
    ae_model *m = open_or_fail(scratch);
    ae_model_close(m);
    for (size_t i = 0; i < AE_COUNT(json_cases); i++) {
        write_config(scratch, json_cases[i].change);
        assert_refused(scratch, json_cases[i].status, json_cases[i].sentence, json_cases[i].change);
    }
    assert_int_equal(ae_file_write(config, "[1, 2", 5, NULL), AERIE_OK);
    assert_refused(scratch, AERIE_BAD_FILE, "no JSON object", "broken JSON");
    unlink(config);
    assert_refused(scratch, AERIE_NOT_FOUND, "has no config.json", "no config.json");
    ae_free(config);
    scratch_remove(scratch);
}

/* The newer way to write rotation says the same. */
static void rope_parameters(void **state)
{
    char *scratch = scratch_make();
    (void)state;

    copy_into("model.safetensors", scratch);
    write_config(
        scratch,
        "{\"rope_theta\": null, \"rope_parameters\": {\"rope_theta\": 500.0, \"rope_type\": "
        "\"llama3\", \"factor\": 8.0, \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0, "
        "\"original_max_position_embeddings\": 64}}");
    ae_model *m = open_or_fail(scratch);
    assert_true(ae_model_config(m)->rope_theta == 500);
    assert_int_equal(ae_model_config(m)->rope_scaling, AE_ROPE_LLAMA3);
    assert_int_equal(ae_model_config(m)->rope_original_max_position, 64);
    ae_model_close(m);
    scratch_remove(scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absurd_gguf),   cmocka_unit_test(wild_ids),
        cmocka_unit_test(cut_off),       cmocka_unit_test(flipped_bytes),
        cmocka_unit_test(absurd_config), cmocka_unit_test(rope_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
