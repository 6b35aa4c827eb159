/* attend.c -- attention over caches: the new keys and values go in, the queries see all of it. */
#include "nn/attend.h"

#include "nn/kv.h"

static bool check_cache(ae_ctx *cx, const ae_decoder_layer_call *call, const ae_kv *kv,
                        const ae_kv *first, int64_t n_tokens)
{
    const ae_attention_shape *a = &call->attention;
    if (call->layer < 0 || call->layer >= kv->n_layers || a->n_kv_heads != kv->shape.n_kv_heads ||
        a->head_dim != kv->shape.head_dim || kv->shape.dtype != first->shape.dtype ||
        kv->pending != n_tokens) {
        aerie_fail(
            &cx->error, AERIE_BAD_SHAPE,
            "layer %lld: the cache has %lld layers of %lld heads of %lld (not %lld of %lld) "
            "and room reserved for %lld tokens (not %lld), or is of another type than others",
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

ae_tensor *ae_attend_cached(ae_ctx *cx, const ae_decoder_layer_call *call, const ae_tensor *q,
                            const ae_tensor *k, const ae_tensor *v)
{
    const ae_batch *batch = call->batch;
    if (!q || !k || !v) return NULL;
    ae_cached_sequence *sequences =
        ae_arena_take(cx->arena, (size_t)batch->n_segments, sizeof *sequences);
    if (!sequences) {
        aerie_fail(&cx->error, AERIE_NO_MEMORY, "no room for %lld views of caches",
                   (long long)batch->n_segments);
        return NULL;
    }
    const ae_kv *first = batch->caches[batch->segments[0].cache];
    for (int64_t i = 0; i < batch->n_segments; i++) {
        const ae_segment *s = &batch->segments[i];
        const ae_kv *kv = batch->caches[s->cache];
        if (!check_cache(cx, call, kv, first, s->n)) return NULL;
        sequences[i] = (ae_cached_sequence){ .first = s->first,
                                             .n = s->n,
                                             .pages = kv->layers[call->layer].pages,
                                             .total = kv->len + s->n };
    }
    return ae_attention_cached(cx, q, k, v, sequences, batch->n_segments, &first->shape,
                               &call->attention);
}
