/* attend.c -- attention over caches: the new keys and values go in, the queries see all of it. */
#include "nn/attend.h"

#include "nn/kv.h"

static bool check_cache(ae_ctx *cx, const ae_kv *kv, int64_t layer, const ae_tensor *k,
                        const ae_tensor *v, int64_t n_tokens)
{
    if (layer >= 0 && layer < kv->n_layers && k->cols == kv->kv_width && v->cols == k->cols &&
        kv->pending == n_tokens)
        return true;
    aerie_fail(&cx->error, AERIE_BAD_SHAPE,
               "layer %lld: the cache has %lld layers of width %lld (not %lld and %lld) and room "
               "reserved for %lld tokens (not %lld)",
               (long long)layer, (long long)kv->n_layers, (long long)kv->kv_width,
               (long long)k->cols, (long long)v->cols, (long long)kv->pending, (long long)n_tokens);
    return false;
}

static bool fill_view(ae_attention_view *view, ae_ctx *cx, const ae_kv *kv, int64_t layer)
{
    view->n_spans = ae_kv_span_count(kv);
    ae_attention_span *spans = ae_arena_take(cx->arena, (size_t)view->n_spans, sizeof *spans);
    if (!spans) {
        aerie_fail(&cx->error, AERIE_NO_MEMORY, "no room for a view of the cache");
        return false;
    }
    ae_kv_spans(kv, layer, spans);
    view->spans = spans;
    return true;
}

ae_tensor *ae_attend_cached(ae_ctx *cx, const ae_decoder_layer_call *call, const ae_tensor *q,
                            const ae_tensor *k, const ae_tensor *v)
{
    const ae_batch *batch = call->batch;
    if (!q || !k || !v) return NULL;
    ae_attention_view *views = ae_arena_take(cx->arena, (size_t)batch->n_segments, sizeof *views);
    if (!views) {
        aerie_fail(&cx->error, AERIE_NO_MEMORY, "no room for %lld views of caches",
                   (long long)batch->n_segments);
        return NULL;
    }
    for (int64_t i = 0; i < batch->n_segments; i++) {
        const ae_segment *s = &batch->segments[i];
        ae_kv *kv = batch->caches[s->cache];
        if (!check_cache(cx, kv, call->layer, k, v, s->n)) return NULL;
        ae_kv_write(kv, call->layer, ae_f32(k) + s->first * k->cols,
                    ae_f32(v) + s->first * v->cols);
        if (!fill_view(&views[i], cx, kv, call->layer)) return NULL;
    }
    return ae_attention_cached(cx, q, batch->segments, views, batch->n_segments, &call->attention);
}
