/* four_bit.c -- QLoRA's base: an open model's projections quantized to NF4 in memory, for training
 * an adapter over them. */
#include "model/model_private.h"

#include <string.h>

static bool takes_part(const ae_param_site *site)
{
    return site->param->projection >= 0 && site->tensor->cols % AE_NF4_BLOCK == 0 &&
           site->tensor->dtype != AE_NF4;
}

static size_t room_of(const ae_tensor *t)
{
    size_t bytes = 0;

    return ae_dtype_bytes(&bytes, AE_NF4, t->rows, t->cols) ? (bytes + 63) / 64 * 64 : 0;
}

typedef struct {
    const ae_tensor *from;
    size_t in_bytes, out_bytes; /* of a row */
    uint8_t *out;
    float *rows; /* [workers, cols] */
} quantizing;

static void quantize_rows(void *job, int64_t begin, int64_t end, int worker)
{
    const quantizing *q = job;
    int64_t cols = q->from->cols;
    float *row = q->rows + worker * cols;

    for (int64_t r = begin; r < end; r++) {
        const char *in = (const char *)q->from->data + (size_t)r * q->in_bytes;
        ae_dtype_decode_row(q->from->dtype, in, cols, row);
        ae_dtype_encode_row(AE_NF4, row, cols, q->out + (size_t)r * q->out_bytes);
    }
}

/* Every block's scale becomes what double quantization keeps of it. */
static aerie_status squeeze_scales(uint8_t *blocks, int64_t n, aerie_error *err)
{
    float *scales = ae_alloc((size_t)n, sizeof *scales);

    if (!scales)
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the scales of a 4-bit weight");
    for (int64_t i = 0; i < n; i++) memcpy(&scales[i], blocks + i * AE_NF4_BYTES, sizeof *scales);
    ae_nf4_double_quantize(scales, n, NULL, NULL, NULL);
    for (int64_t i = 0; i < n; i++) memcpy(blocks + i * AE_NF4_BYTES, &scales[i], sizeof *scales);
    ae_free(scales);
    return AERIE_OK;
}

static aerie_status quantize_one(ae_model *m, ae_pool *pool, ae_tensor *t, void *out,
                                 bool double_quant, aerie_error *err)
{
    quantizing q = { .from = t, .out = out };
    aerie_status status = AERIE_OK;
    size_t bytes = 0;

    ae_dtype_bytes(&q.in_bytes, t->dtype, 1, t->cols);
    ae_dtype_bytes(&q.out_bytes, AE_NF4, 1, t->cols);
    ae_dtype_bytes(&bytes, t->dtype, t->rows, t->cols);
    q.rows = ae_alloc((size_t)ae_pool_size(pool) * (size_t)t->cols, sizeof *q.rows);
    if (!q.rows) return aerie_fail(err, AERIE_NO_MEMORY, "%s: no memory for a row", m->path);
    ae_pool_run(pool, t->rows, 1 + 4096 / t->cols, quantize_rows, &q);
    ae_free(q.rows);
    if (double_quant) status = squeeze_scales(out, t->rows * t->cols / AE_NF4_BLOCK, err);
    if (m->gguf) ae_gguf_forget(m->gguf, t->data, bytes);
    if (m->safetensors) ae_safetensors_forget(m->safetensors, t->data, bytes);
    t->data = out;
    t->dtype = AE_NF4;
    return status;
}

static aerie_status take_room(ae_model *m, size_t *n_left_out, aerie_error *err)
{
    *n_left_out = 0;
    for (int64_t i = 0; i < m->n_params; i++) {
        ae_param_site site = ae_param_site_at(&m->config, &m->weights, i);
        if (takes_part(&site))
            m->four_bit_bytes += room_of(site.tensor);
        else
            *n_left_out += site.param->projection >= 0;
    }
    if (!m->four_bit_bytes)
        return aerie_fail(err, AERIE_UNSUPPORTED,
                          "%s: none of its matrices has rows of whole blocks of %d, which nf4 asks "
                          "for; load it as it is",
                          m->path, AE_NF4_BLOCK);
    m->four_bit = ae_pages_take(m->four_bit_bytes);
    if (m->four_bit) return AERIE_OK;
    return aerie_fail(err, AERIE_NO_MEMORY, "%s: no room for its weights in 4 bits, %zu bytes",
                      m->path, m->four_bit_bytes);
}

aerie_status ae_model_load_in_nf4(ae_model *m, bool double_quant, int n_threads, aerie_error *err)
{
    size_t n_left_out;
    char hash[65];
    ae_pool *pool = NULL;
    /* What is trained over it is an adapter of the model as the file has it. */
    aerie_status status = ae_model_hash(m, hash, err);

    if (status || m->four_bit) return status;
    status = take_room(m, &n_left_out, err);
    if (!status) status = ae_pool_open(&pool, n_threads, err);
    char *next = m->four_bit;
    for (int64_t i = 0; i < m->n_params && !status; i++) {
        ae_param_site site = ae_param_site_at(&m->config, &m->weights, i);
        if (!takes_part(&site)) continue;
        size_t room = room_of(site.tensor);
        status = quantize_one(m, pool, site.tensor, next, double_quant, err);
        next += room;
    }
    ae_pool_close(pool);
    if (!status && n_left_out)
        ae_log(AERIE_LOG_WARNING,
               "%s: %zu matrices stay as they are: their rows are no whole blocks of %d", m->path,
               n_left_out, AE_NF4_BLOCK);
    return status;
}
