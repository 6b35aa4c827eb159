/* score.c -- log-probabilities and logits of a given text, one sequence: read at once, or pass by
 * pass over a cache of the type that replies have. */
#include "infer/engine_private.h"

#include <string.h>

typedef struct {
    ae_engine *engine;
    ae_kv *kv; /* NULL: none */
    const int32_t *ids;
    int64_t n;
    float *logp; /* [n - 1], or */
    ae_logits_fn *fn;
    void *user;
} text_run;

static aerie_status no_memory(const text_run *t, aerie_error *err)
{
    return aerie_fail(err, AERIE_NO_MEMORY, "no memory for %lld tokens", (long long)t->n);
}

static aerie_status give(const ae_ctx *cx, aerie_error *err)
{
    if (err && err->status == AERIE_OK) *err = cx->error;
    return ae_ctx_status(cx);
}

/* Tokens first .. first + n - 1 as one packed row with one segment, and their hidden states. */
static ae_tensor *hidden_of(text_run *t, ae_ctx *cx, int64_t first, int64_t n)
{
    int32_t *pos = ae_arena_take_raw(cx->arena, (size_t)n, sizeof *pos);
    ae_segment *segment = ae_arena_take(cx->arena, 1, sizeof *segment);

    if (!pos || !segment) {
        no_memory(t, &cx->error);
        return NULL;
    }
    for (int64_t i = 0; i < n; i++) pos[i] = (int32_t)(first + i);
    *segment = (ae_segment){ .first = 0, .n = n, .parent = -1, .cache = t->kv ? 0 : -1 };
    ae_batch batch = { .n_tokens = n,
                       .ids = t->ids + first,
                       .pos = pos,
                       .segments = segment,
                       .n_segments = 1,
                       .caches = t->kv ? &t->kv : NULL };
    return ae_net_hidden(cx, t->engine->options.net, &batch);
}

/* The text's last token predicts nothing. */
static aerie_status score_rows(text_run *t, ae_ctx *cx, const ae_tensor *hidden, int64_t first,
                               int64_t n, aerie_error *err)
{
    int64_t count = first + n < t->n ? n : n - 1;

    if (count == 0) return give(cx, err);
    int32_t *rows = ae_arena_take_raw(cx->arena, (size_t)count, sizeof *rows);
    if (!rows) return no_memory(t, err);
    for (int64_t i = 0; i < count; i++) rows[i] = (int32_t)i;
    ae_predictions p = { .rows = rows, .targets = t->ids + first + 1, .n = count };
    ae_tensor *result = ae_net_log_prob(cx, t->engine->options.net, hidden, &p, NULL);
    if (result) memcpy(t->logp + first, ae_f32(result), (size_t)count * sizeof *t->logp);
    return give(cx, err);
}

static aerie_status give_logits(text_run *t, ae_ctx *cx, const ae_tensor *hidden, int64_t n,
                                aerie_error *err)
{
    enum {
        ROWS = 64
    }; /* logits held at once: a long text over a large vocabulary fits no memory */

    for (int64_t first = 0; hidden && first < n; first += ROWS) {
        ae_arena_mark mark = ae_arena_here(cx->arena);
        int32_t rows[ROWS];
        int64_t count = n - first < ROWS ? n - first : ROWS;
        for (int64_t i = 0; i < count; i++) rows[i] = (int32_t)(first + i);
        ae_tensor *logits = ae_net_logits(cx, t->engine->options.net, hidden, rows, count);
        if (!logits) break;
        aerie_status status = t->fn(t->user, ae_f32(logits), count, logits->cols, err);
        if (status) return status;
        ae_arena_reset(cx->arena, mark);
    }
    return give(cx, err);
}

static aerie_status read_text(text_run *t, aerie_error *err)
{
    int64_t most = t->kv ? t->engine->options.max_batch : t->n;
    aerie_status status = AERIE_OK;

    for (int64_t first = 0; first < t->n && !status; first += most) {
        int64_t n = ae_min64(most, t->n - first);
        ae_arena_reset_all(&t->engine->step);
        ae_ctx cx = { .device = t->engine->options.device, .arena = &t->engine->step };
        ae_tensor *hidden = hidden_of(t, &cx, first, n);
        status = t->logp ? score_rows(t, &cx, hidden, first, n, err)
                         : give_logits(t, &cx, hidden, n, err);
    }
    return status;
}

aerie_status ae_score_log_probs(ae_engine *e, ae_kv *kv, const int32_t *ids, int64_t n, float *logp,
                                aerie_error *err)
{
    text_run t = { .engine = e, .kv = kv, .ids = ids, .n = n, .logp = logp };

    if (n < 2)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "a text of one token has nothing to predict");
    return read_text(&t, err);
}

aerie_status ae_score_logits(ae_engine *e, ae_kv *kv, const int32_t *ids, int64_t n,
                             ae_logits_fn *fn, void *user, aerie_error *err)
{
    text_run t = { .engine = e, .kv = kv, .ids = ids, .n = n, .fn = fn, .user = user };

    if (n < 1) return aerie_fail(err, AERIE_BAD_ARGUMENT, "the text is empty");
    return read_text(&t, err);
}

/* *out stays NULL for an engine that scores without one. */
static aerie_status open_cache(ae_kv **out, ae_engine *e, int64_t n, aerie_error *err)
{
    *out = NULL;
    if (!e->options.score_in_cache || n < 1) return AERIE_OK;
    return ae_engine_new_kv(out, e, e->options.net, n, NULL, 0, err);
}

aerie_status ae_engine_log_probs(ae_engine *e, const int32_t *ids, int64_t n, float *logp,
                                 aerie_error *err)
{
    ae_kv *kv;
    aerie_status status = open_cache(&kv, e, n, err);

    if (!status) status = ae_score_log_probs(e, kv, ids, n, logp, err);
    ae_kv_free(kv);
    return status;
}

aerie_status ae_engine_logits(ae_engine *e, const int32_t *ids, int64_t n, ae_logits_fn *fn,
                              void *user, aerie_error *err)
{
    ae_kv *kv;
    aerie_status status = open_cache(&kv, e, n, err);

    if (!status) status = ae_score_logits(e, kv, ids, n, fn, user, err);
    ae_kv_free(kv);
    return status;
}
