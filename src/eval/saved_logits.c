/* saved_logits.c -- files of a reference model's predictions, read with every size checked. */
#include "eval/saved_logits.h"

#include <string.h>

static aerie_status damaged(const ae_saved_logits *s, aerie_error *err)
{
    return aerie_fail(err, AERIE_BAD_FILE,
                      "%s: holds no saved logits, or is cut off; make it with `aerie perplexity "
                      "MODEL --file TEXT --save-logits FILE`",
                      s->file.path);
}

/* Where the rows begin, after `at` bytes of head and the ids; the file ends with them. */
static aerie_status place_rows(ae_saved_logits *s, size_t at, aerie_error *err)
{
    const ae_saved_logits_head *h = &s->head;
    size_t ids, rows, total;

    if (!ae_mul_size(&ids, h->n_windows, h->n_ctx * sizeof(int32_t)) ||
        !ae_mul_size(&rows, h->n_windows, (size_t)ae_saved_logits_scored(h)) ||
        !ae_mul_size(&rows, rows, s->row_bytes) || !ae_add_size(&total, ids, rows) ||
        !ae_add_size(&total, total, at) || total != s->file.size)
        return damaged(s, err);
    s->ids = (const int32_t *)(const void *)(s->file.data + at);
    s->rows = s->file.data + at + ids;
    for (uint64_t i = 0; i < h->n_windows * h->n_ctx; i++)
        if (s->ids[i] < 0 || (uint32_t)s->ids[i] >= h->vocab_size) return damaged(s, err);
    return AERIE_OK;
}

static bool is_sound(const ae_saved_logits_head *h)
{
    return h->n_ctx >= 4 && h->n_ctx <= INT32_MAX && h->vocab_size >= 1 &&
           h->vocab_size <= INT32_MAX && h->first < h->n_ctx - 1 && h->n_windows >= 1;
}

static aerie_status read_own(ae_saved_logits *s, aerie_error *err)
{
    if (s->file.size < sizeof s->head) return damaged(s, err);
    memcpy(&s->head, s->file.data, sizeof s->head);
    if (s->head.version != 1 || !is_sound(&s->head)) return damaged(s, err);
    s->row_bytes = s->head.vocab_size * sizeof(float);
    return place_rows(s, sizeof s->head, err);
}

/* "_logits_", three numbers, the ids; of each scored token a scale and a least value, and steps of
 * 16 bits, an even number of them. */
static aerie_status read_llama(ae_saved_logits *s, aerie_error *err)
{
    uint32_t n[3]; /* context, vocabulary, windows */

    if (s->file.size < 8 + sizeof n) return damaged(s, err);
    memcpy(n, s->file.data + 8, sizeof n);
    s->head = (ae_saved_logits_head){
        .version = 1, .vocab_size = n[1], .n_ctx = n[0], .first = n[0] / 2, .n_windows = n[2]
    };
    if (!is_sound(&s->head)) return damaged(s, err);
    s->packed = true;
    s->row_bytes = (2 * (((size_t)n[1] + 1) / 2) + 4) * sizeof(uint16_t);
    return place_rows(s, 8 + sizeof n, err);
}

aerie_status ae_saved_logits_open(ae_saved_logits *s, const char *path, aerie_error *err)
{
    aerie_status status;

    *s = (ae_saved_logits){ 0 };
    status = ae_file_open(&s->file, path, err);
    if (status) return status;
    if (s->file.size >= 8 && !memcmp(s->file.data, "_logits_", 8))
        status = read_llama(s, err);
    else if (s->file.size >= 8 && !memcmp(s->file.data, AE_SAVED_LOGITS_MAGIC, 8))
        status = read_own(s, err);
    else
        status = damaged(s, err);
    if (status) ae_saved_logits_close(s);
    return status;
}

void ae_saved_logits_close(ae_saved_logits *s)
{
    ae_file_close(&s->file);
    *s = (ae_saved_logits){ 0 };
}

const float *ae_saved_logits_row(const ae_saved_logits *s, int64_t window, int64_t i,
                                 float *scratch)
{
    size_t row = (size_t)(window * ae_saved_logits_scored(&s->head) + i);
    const unsigned char *at = s->rows + row * s->row_bytes;
    const uint16_t *steps = (const uint16_t *)(const void *)(at + 2 * sizeof(float));
    float scale_and_least[2];

    if (!s->packed) return (const float *)(const void *)at;
    memcpy(scale_and_least, at, sizeof scale_and_least);
    for (uint32_t k = 0; k < s->head.vocab_size; k++)
        scratch[k] = scale_and_least[0] * (float)steps[k] + scale_and_least[1];
    return scratch;
}

void ae_saved_logits_forget(const ae_saved_logits *s, int64_t window)
{
    size_t bytes = (size_t)ae_saved_logits_scored(&s->head) * s->row_bytes;

    ae_file_forget(&s->file, s->rows + (size_t)window * bytes, bytes);
}
