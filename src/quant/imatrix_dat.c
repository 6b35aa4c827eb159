/* imatrix_dat.c -- llama.cpp's older importance files: how many entries, then for each its name,
 * how often it was called, and the sum over those calls of the means of its inputs' squares; at the
 * end how many chunks, and the name of the text. */
#include "quant/imatrix.h"

#include <string.h>

typedef struct {
    const uint8_t *data;
    size_t left;
} cursor;

static const void *take(cursor *c, uint64_t bytes)
{
    const uint8_t *at = c->data;

    if (bytes > c->left) return NULL;
    c->data += bytes;
    c->left -= (size_t)bytes;
    return at;
}

/* A count: not negative. */
static bool take_count(cursor *c, int32_t *out)
{
    const void *at = take(c, sizeof *out);

    if (at) memcpy(out, at, sizeof *out);
    return at && *out >= 0;
}

static aerie_status read_entry(ae_imatrix *m, cursor *c, aerie_error *err)
{
    int32_t name_len, n_calls, n;
    const void *name = NULL, *values = NULL;

    if (take_count(c, &name_len)) name = take(c, (uint64_t)name_len);
    if (name && take_count(c, &n_calls) && take_count(c, &n))
        values = take(c, (uint64_t)n * sizeof(float));
    if (!values || n == 0) return ae_imatrix_damaged(m, err, "it ends within entry %zu", m->n + 1);
    return ae_imatrix_add(m, (ae_span){ name, (size_t)name_len }, values, n, 1,
                          n_calls > 0 ? 1.0 / n_calls : 1, NULL, err);
}

aerie_status ae_imatrix_read_dat(ae_imatrix *m, const uint8_t *data, size_t size, aerie_error *err)
{
    enum { MOST_ENTRIES = 1 << 20 };
    cursor c = { data, size };
    int32_t n, chunks;

    if (!take_count(&c, &n) || n > MOST_ENTRIES)
        return ae_imatrix_damaged(m, err, "it does not begin with a number of entries");
    for (int32_t i = 0; i < n; i++) {
        aerie_status status = read_entry(m, &c, err);
        if (status) return status;
    }
    if (take_count(&c, &chunks)) m->chunks = chunks; /* older files end before */
    return AERIE_OK;
}
