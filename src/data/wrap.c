/* wrap.c -- samples glued together and cut into blocks of one length (TRL's ConstantLength). */
#include "data/encode.h"

/* A sample that learns all it can learns its first token too, once there is something before it. */
static bool learns_all(const ae_sample *s)
{
    for (int32_t i = 1; i < s->n; i++)
        if (s->weight[i] == 0) return false;
    return true;
}

typedef struct {
    ae_samples *out;
    int32_t length, at; /* tokens in the block being filled */
} wrapping;

static void add_token(wrapping *w, int32_t id, float weight)
{
    ae_samples *out = w->out;
    ae_sample *block = &out->items[out->n];
    block->ids[w->at] = id;
    block->weight[w->at] = w->at ? weight : 0;
    out->n_trained += block->weight[w->at] != 0;
    if (++w->at < w->length) return;
    w->at = 0;
    out->n++;
}

static aerie_status make_blocks(ae_samples *out, size_t n, int32_t length, aerie_error *err)
{
    out->items = ae_arena_take(&out->arena, n, sizeof *out->items);
    if (!out->items) return aerie_fail(err, AERIE_NO_MEMORY, "no room for %zu blocks", n);
    for (size_t i = 0; i < n; i++) {
        aerie_status status =
            ae_sample_new(&out->items[i], AE_EXAMPLE_TEXT, length, &out->arena, err);
        if (status) return status;
    }
    return AERIE_OK;
}

static void fill_blocks(wrapping *w, const ae_samples *in, size_t n_blocks)
{
    for (size_t i = 0; i < in->n && w->out->n < n_blocks; i++) {
        const ae_sample *s = &in->items[i];
        float first = learns_all(s) ? 1 : 0;
        for (int32_t k = 0; k < s->n && w->out->n < n_blocks; k++)
            add_token(w, s->ids[k], k ? s->weight[k] : first);
    }
}

aerie_status ae_samples_wrap(ae_samples *out, const ae_samples *in, int32_t length,
                             aerie_error *err)
{
    int64_t tokens = 0;
    aerie_status status;
    *out =
        (ae_samples){ .longest = length, .n_dropped = in->n_dropped, .n_left_out = in->n_left_out };
    if (length < 2) return aerie_fail(err, AERIE_BAD_ARGUMENT, "max_length must be at least 2");
    for (size_t i = 0; i < in->n; i++) tokens += in->items[i].n;
    size_t n = (size_t)(tokens / length);
    if (n == 0)
        return aerie_fail(
            err, AERIE_BAD_FILE,
            "the data has %lld tokens, less than one block of max_length %d: give more "
            "data or a smaller max_length",
            (long long)tokens, length);
    status = make_blocks(out, n, length, err);
    if (status) {
        ae_samples_free(out);
        return status;
    }
    wrapping w = { .out = out, .length = length };
    fill_blocks(&w, in, n);
    out->n_tokens = (int64_t)n * length;
    return AERIE_OK;
}
