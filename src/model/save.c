/* save.c -- a model written as GGUF or as a Hugging Face folder. */
#include "model/save.h"
#include "model/tokenizer_files.h"

#include <string.h>

ae_dtype ae_save_dtype(const ae_tensor *t, ae_dtype type)
{
    size_t bytes;

    return t->rows > 1 && ae_dtype_bytes(&bytes, type, 1, t->cols) ? type : AE_F32;
}

/* One parameter being sent: rows of a matrix, or a vector's elements when heads lie along it. */
typedef struct {
    const ae_tensor *tensor;
    ae_dtype type;
    int64_t head_dim; /* of rows to be moved; 0: as they lie */
    bool to_interleaved;
    size_t row_bytes;
    float *values;
    void *encoded;
    size_t encoded_bytes;
} sender;

static const void *encode_row(sender *s, int64_t row)
{
    const ae_tensor *t = s->tensor;
    const char *from = (const char *)t->data + (size_t)row * s->row_bytes;

    if (t->dtype == s->type) return from;
    ae_dtype_decode_row(t->dtype, from, t->cols, s->values);
    ae_dtype_encode_row(s->type, s->values, t->cols, s->encoded);
    return s->encoded;
}

static void send_matrix(sender *s, ae_save_sink *sink, void *file)
{
    for (int64_t r = 0; r < s->tensor->rows; r++) {
        int64_t row = s->head_dim ? ae_rope_row(r, s->head_dim, s->to_interleaved) : r;
        sink(file, encode_row(s, row), s->encoded_bytes);
    }
}

/* A bias on q or k: its elements are what the rows are in the weight. Loaded as F32, always. */
static void send_head_vector(sender *s, ae_save_sink *sink, void *file)
{
    for (int64_t i = 0; i < s->tensor->cols; i++)
        s->values[i] = ae_f32(s->tensor)[ae_rope_row(i, s->head_dim, s->to_interleaved)];
    ae_dtype_encode_row(s->type, s->values, s->tensor->cols, s->encoded);
    sink(file, s->encoded, s->encoded_bytes);
}

aerie_status ae_save_tensor(const ae_model *m, const ae_param_site *site, ae_dtype type,
                            bool reorder, bool to_interleaved, ae_save_sink *sink, void *file,
                            aerie_error *err)
{
    sender s = { .tensor = site->tensor, .type = type, .to_interleaved = to_interleaved };
    aerie_status status = AERIE_OK;

    if (reorder && site->param->permuted) s.head_dim = m->config.head_dim;
    if (!ae_dtype_bytes(&s.row_bytes, s.tensor->dtype, 1, s.tensor->cols) ||
        !ae_dtype_bytes(&s.encoded_bytes, type, 1, s.tensor->cols))
        return aerie_fail(err, AERIE_BAD_SHAPE, "'%s': its rows of %lld are no whole blocks",
                          site->param->hf, (long long)s.tensor->cols);
    s.values = ae_alloc((size_t)s.tensor->cols, sizeof *s.values);
    s.encoded = ae_alloc(s.encoded_bytes, 1);
    if (!s.values || !s.encoded)
        status = aerie_fail(err, AERIE_NO_MEMORY, "no room to convert '%s'", site->param->hf);
    else if (s.head_dim && s.tensor->rows == 1)
        send_head_vector(&s, sink, file);
    else
        send_matrix(&s, sink, file);
    ae_free(s.values);
    ae_free(s.encoded);
    return status;
}

static void gguf_sink(void *file, const void *data, size_t bytes)
{
    ae_gguf_writer_add(file, data, bytes);
}

static void safetensors_sink(void *file, const void *data, size_t bytes)
{
    ae_safetensors_writer_add(file, data, bytes);
}

/* llama.cpp's LLAMA_FTYPE numbers. */
static uint32_t gguf_file_type(ae_dtype type)
{
    switch (type) {
    case AE_F16:
        return 1;
    case AE_Q8_0:
        return 7;
    case AE_BF16:
        return 32;
    default:
        return 0;
    }
}

static void announce_gguf(const ae_model *m, ae_gguf_writer *w, ae_dtype type)
{
    if (m->config.rope_scaling == AE_ROPE_LLAMA3 || m->rope_factors)
        ae_gguf_writer_tensor(w, "rope_freqs.weight", AE_F32, 1, m->config.head_dim / 2);
    for (int64_t i = 0; i < m->n_params; i++) {
        ae_param_site site = ae_param_site_at(&m->config, &m->weights, i);
        char name[AE_PARAM_NAME];
        ae_param_gguf_name(&site, name);
        ae_gguf_writer_tensor(w, name, ae_save_dtype(site.tensor, type), site.rows, site.cols);
    }
}

/* The widest head is 1024. */
const float *ae_save_rope_factors(const ae_model *m, float room[512])
{
    if (m->rope_factors || m->config.rope_scaling != AE_ROPE_LLAMA3) return m->rope_factors;
    ae_config_rope_factors(&m->config, room);
    return room;
}

static void send_rope_factors(const ae_model *m, ae_gguf_writer *w)
{
    float made[512];
    const float *factors = ae_save_rope_factors(m, made);

    if (factors) ae_gguf_writer_add(w, factors, (size_t)m->config.head_dim / 2 * sizeof *factors);
}

static aerie_status send_gguf(const ae_model *m, ae_gguf_writer *w, ae_dtype type, aerie_error *err)
{
    bool interleaved = ae_family_of(&m->config)->gguf_interleaved;
    bool reorder = interleaved != m->config.rope_interleaved;
    aerie_status status = AERIE_OK;

    announce_gguf(m, w, type);
    send_rope_factors(m, w);
    for (int64_t i = 0; !status && i < m->n_params; i++) {
        ae_param_site site = ae_param_site_at(&m->config, &m->weights, i);
        status = ae_save_tensor(m, &site, ae_save_dtype(site.tensor, type), reorder, interleaved,
                                gguf_sink, w, err);
    }
    return status;
}

static aerie_status check_type(ae_dtype type, bool gguf, aerie_error *err)
{
    const ae_dtype_info *info = ae_dtype_info_of(type);

    if (type == AE_F32 || type == AE_F16 || type == AE_BF16 || (type == AE_Q8_0 && gguf))
        return AERIE_OK;
    return aerie_fail(err, AERIE_UNSUPPORTED, "weights cannot be written as %s; %s",
                      info ? info->name : "that type",
                      gguf ? "choose F32, F16, BF16 or Q8_0" : "a folder takes F32, F16 or BF16");
}

aerie_status ae_save_metadata(const ae_model *m, ae_gguf_writer *w, ae_dtype type, aerie_error *err)
{
    ae_config_to_gguf(&m->config, w);
    ae_gguf_set_u32(w, "general.file_type", gguf_file_type(type));
    if (type == AE_Q8_0) ae_gguf_set_u32(w, "general.quantization_version", 2); /* of the blocks */
    return ae_model_write_text_metadata(m, w, err);
}

aerie_status ae_model_save_gguf(const ae_model *m, const char *path, ae_dtype type,
                                aerie_error *err)
{
    ae_gguf_writer *w;
    aerie_status status = check_type(type, true, err);

    if (!status) status = ae_gguf_writer_open(&w, path, err);
    if (status) return status;
    status = ae_save_metadata(m, w, type, err);
    if (!status) status = send_gguf(m, w, type, err);
    if (!status) return ae_gguf_writer_commit(w, err);
    ae_gguf_writer_abandon(w);
    return status;
}

static aerie_status send_less_one(const ae_model *m, ae_param_site site, ae_dtype type,
                                  ae_safetensors_writer *w, aerie_error *err)
{
    ae_tensor less = *site.tensor;
    float *values = ae_alloc((size_t)less.cols, sizeof *values);
    aerie_status status;

    if (!values) return aerie_fail(err, AERIE_NO_MEMORY, "no room to convert '%s'", site.param->hf);
    for (int64_t i = 0; i < less.cols; i++) values[i] = ae_f32(site.tensor)[i] - 1;
    less.data = values;
    site.tensor = &less;
    status = ae_save_tensor(m, &site, type, false, false, safetensors_sink, w, err);
    ae_free(values);
    return status;
}

/* In a folder vectors have the type of the matrices. */
static aerie_status send_safetensors(const ae_model *m, ae_safetensors_writer *w, ae_dtype type,
                                     aerie_error *err)
{
    bool less_one = ae_family_of(&m->config)->norms_minus_one;
    aerie_status status = AERIE_OK;

    ae_safetensors_set(w, "format", "pt"); /* transformers refuses a file without it */
    for (int64_t i = 0; i < m->n_params; i++) {
        ae_param_site site = ae_param_site_at(&m->config, &m->weights, i);
        const int64_t dims[2] = { site.rows, site.cols };
        bool vector = ae_param_is_vector(site.param);
        ae_safetensors_writer_tensor(w, m->params[i].name, type, vector ? dims + 1 : dims,
                                     vector ? 1 : 2);
    }
    for (int64_t i = 0; !status && i < m->n_params; i++) {
        ae_param_site site = ae_param_site_at(&m->config, &m->weights, i);
        if (less_one && ae_param_is_norm(site.param))
            status = send_less_one(m, site, type, w, err);
        else
            status = ae_save_tensor(m, &site, type, m->config.rope_interleaved, false,
                                    safetensors_sink, w, err);
    }
    return status;
}

static aerie_status save_weights(const ae_model *m, const char *folder, ae_dtype type,
                                 aerie_error *err)
{
    ae_safetensors_writer *w;
    char *path = ae_path_join(folder, "model.safetensors");
    aerie_status status;

    if (!path) return aerie_fail(err, AERIE_NO_MEMORY, "%s: no room for a path", folder);
    status = ae_safetensors_writer_open(&w, path, err);
    ae_free(path);
    if (status) return status;
    status = send_safetensors(m, w, type, err);
    if (!status) return ae_safetensors_writer_commit(w, err);
    ae_safetensors_writer_abandon(w);
    return status;
}

aerie_status ae_model_save_hf(const ae_model *m, const char *folder, ae_dtype type,
                              aerie_error *err)
{
    const ae_vocab *vocab = m->tokenizer ? ae_tokenizer_vocab(m->tokenizer) : NULL;
    ae_bytes config = { 0 };
    aerie_status status = check_type(type, false, err);

    if (!status) status = ae_config_to_hf(&m->config, type, vocab, &config, err);
    if (!status) status = ae_file_make_folder(folder, err);
    if (!status) status = save_weights(m, folder, type, err);
    if (!status) status = ae_model_write_text_files(m, folder, err);
    /* Last: a folder without it is no model, so that nobody opens half of one. */
    if (!status) status = ae_write_into(folder, "config.json", ae_span_of(&config), err);
    ae_bytes_free(&config);
    return status;
}
