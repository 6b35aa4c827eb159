/* attend.c -- attention over caches: the new keys and values go in, the queries see all of it. */
#include "nn/attend.h"

#include "nn/kv.h"

#include <string.h>

static bool check_cache(ae_ctx *cx, const ae_decoder_layer_call *call, const ae_kv *kv,
                        int64_t n_tokens)
{
    const ae_attention_shape *a = &call->attention;
    if (call->layer < 0 || call->layer >= kv->n_layers || a->n_kv_heads != kv->shape.n_kv_heads ||
        a->head_dim != kv->shape.head_dim || kv->pending != n_tokens) {
        aerie_fail(&cx->error, AERIE_BAD_SHAPE,
                   "layer %lld: the cache has %lld layers of %lld heads of %lld (not %lld of %lld) "
                   "and room reserved for %lld tokens (not %lld)",
                   (long long)call->layer, (long long)kv->n_layers, (long long)kv->shape.n_kv_heads,
                   (long long)kv->shape.head_dim, (long long)a->n_kv_heads, (long long)a->head_dim,
                   (long long)kv->pending, (long long)n_tokens);
        return false;
    }
    int64_t kept = kv->layers[call->layer].window;
    if (kept == 0 || (a->window > 0 && a->window <= kept)) return true;
    aerie_fail(&cx->error, AERIE_BAD_SHAPE,
               "layer %lld: the cache keeps the last %lld positions, attention wants %lld",
               (long long)call->layer, (long long)kept, (long long)a->window);
    return false;
}

/* Segments first .. end - 1, whose caches are of one type, as rows of their own. */
static ae_tensor *attend_some(ae_ctx *cx, const ae_decoder_layer_call *call,
                              const ae_tensor *const qkv[3], ae_cached_sequence *sequences,
                              int64_t first, int64_t end)
{
    const ae_batch *batch = call->batch;
    int64_t row = sequences[first].first, rows = 0;
    ae_tensor some[3];
    for (int64_t i = first; i < end; i++) {
        rows += sequences[i].n;
        sequences[i].first -= row;
    }
    for (int i = 0; i < 3; i++) {
        some[i] = *qkv[i];
        some[i].data = ae_f32(qkv[i]) + row * qkv[i]->cols;
        some[i].rows = rows;
    }
    return ae_attention_cached(cx, &some[0], &some[1], &some[2], sequences + first, end - first,
                               &batch->caches[batch->segments[first].cache]->shape,
                               &call->attention);
}

static ae_dtype type_at(const ae_batch *batch, int64_t segment)
{
    return batch->caches[batch->segments[segment].cache]->shape.dtype;
}

/* Segments whose caches are of one type are one call each; what they give is put together. */
static ae_tensor *attend_by_type(ae_ctx *cx, const ae_decoder_layer_call *call,
                                 const ae_tensor *const qkv[3], ae_cached_sequence *sequences)
{
    const ae_batch *batch = call->batch;
    ae_tensor *all = NULL;
    for (int64_t first = 0, end; first < batch->n_segments; first = end) {
        for (end = first + 1; end < batch->n_segments; end++)
            if (type_at(batch, end) != type_at(batch, first)) break;
        bool is_whole = first == 0 && end == batch->n_segments;
        int64_t row = sequences[first].first;
        if (!all && !is_whole) all = ae_tensor_new(cx, qkv[0]->rows, qkv[0]->cols, false);
        if (!all && !is_whole) return NULL;
        ae_arena_mark mark = ae_arena_here(cx->arena);
        ae_tensor *seen = attend_some(cx, call, qkv, sequences, first, end);
        if (is_whole || !seen) return seen;
        memcpy(ae_f32(all) + row * all->cols, seen->data,
               (size_t)(seen->rows * seen->cols) * sizeof(float));
        ae_arena_reset(cx->arena, mark);
    }
    return all;
}

ae_tensor *ae_attend_cached(ae_ctx *cx, const ae_decoder_layer_call *call, const ae_tensor *q,
                            const ae_tensor *k, const ae_tensor *v)
{
    const ae_batch *batch = call->batch;
    const ae_tensor *const qkv[3] = { q, k, v };
    if (!q || !k || !v) return NULL;
    ae_cached_sequence *sequences =
        ae_arena_take(cx->arena, (size_t)batch->n_segments, sizeof *sequences);
    if (!sequences) {
        aerie_fail(&cx->error, AERIE_NO_MEMORY, "no room for %lld views of caches",
                   (long long)batch->n_segments);
        return NULL;
    }
    for (int64_t i = 0; i < batch->n_segments; i++) {
        const ae_segment *s = &batch->segments[i];
        const ae_kv *kv = batch->caches[s->cache];
        if (!check_cache(cx, call, kv, s->n)) return NULL;
        sequences[i] = (ae_cached_sequence){ .first = s->first,
                                             .n = s->n,
                                             .pages = kv->layers[call->layer].pages,
                                             .total = kv->len + s->n };
    }
    return attend_by_type(cx, call, qkv, sequences);
}
