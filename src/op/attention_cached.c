/* attention_cached.c -- causal attention over key/value caches. */
#include "op/check.h"

static bool has_pages(const ae_cached_sequence *s, int64_t window)
{
    int64_t first = s->total - s->n + 1 - window;
    if (window == 0 || first < 0) first = 0;
    for (int64_t p = first / AE_KV_PAGE; p * AE_KV_PAGE < s->total; p++)
        if (!s->pages[p]) return false;
    return true;
}

static bool check_sequences(ae_ctx *cx, const ae_cached_sequence *sequences, int64_t n,
                            int64_t n_rows, int64_t window)
{
    int64_t covered = 0;
    for (int64_t i = 0; i < n; i++) {
        const ae_cached_sequence *s = &sequences[i];
        if (s->first == covered && s->n > 0 && s->n <= n_rows - covered && s->total >= s->n &&
            has_pages(s, window)) {
            covered += s->n;
            continue;
        }
        aerie_fail(
            &cx->error, AERIE_BAD_SHAPE,
            "attention: sequence %lld has rows %lld + %lld of %lld and %lld positions, some of "
            "which may not be there",
            (long long)i, (long long)s->first, (long long)s->n, (long long)n_rows,
            (long long)s->total);
        return false;
    }
    if (covered == n_rows) return true;
    aerie_fail(&cx->error, AERIE_BAD_SHAPE, "attention: sequences cover %lld of %lld rows",
               (long long)covered, (long long)n_rows);
    return false;
}

static bool check_shape(ae_ctx *cx, const ae_kv_shape *kv, const ae_attention_shape *shape)
{
    size_t bytes;
    if (ae_kv_page_bytes(&bytes, kv, &cx->error)) return false;
    if (kv->n_kv_heads == shape->n_kv_heads && kv->head_dim == shape->head_dim) return true;
    aerie_fail(&cx->error, AERIE_BAD_SHAPE,
               "attention: %lld key/value heads of %lld over a cache of %lld of %lld",
               (long long)shape->n_kv_heads, (long long)shape->head_dim, (long long)kv->n_kv_heads,
               (long long)kv->head_dim);
    return false;
}

ae_tensor *ae_attention_cached(ae_ctx *cx, const ae_tensor *q, const ae_tensor *k,
                               const ae_tensor *v, const ae_cached_sequence *sequences,
                               int64_t n_sequences, const ae_kv_shape *kv,
                               const ae_attention_shape *shape)
{
    if (!ae_check_input(cx, "attention", q) || !ae_check_input(cx, "attention", k) ||
        !ae_check_input(cx, "attention", v) || !ae_check_heads(cx, "attention", shape, q, k, v) ||
        !check_shape(cx, kv, shape) ||
        !check_sequences(cx, sequences, n_sequences, q->rows, shape->window))
        return NULL;
    if (cx->tape) {
        aerie_fail(&cx->error, AERIE_UNSUPPORTED,
                   "attention: no gradients lead through a cache; "
                   "train without one");
        return NULL;
    }
    ae_tensor *out = ae_tensor_new(cx, q->rows, q->cols, false);
    if (!out) return NULL;
    ae_arena_mark mark = ae_arena_here(cx->arena);
    cx->device->kv_write(cx->device, ae_f32(k), ae_f32(v), sequences, n_sequences, kv);
    aerie_status status = cx->device->attention_cached(
        cx->device, cx->arena, ae_f32(out), ae_f32(q), sequences, n_sequences, kv, shape);
    ae_arena_reset(cx->arena, mark);
    return ae_check_scratch(cx, "attention", status) ? out : NULL;
}
