/* score.c -- log-probabilities and logits of a given text, one sequence, no cache. */
#include "infer/engine_private.h"

#include <string.h>

/* A whole text as one packed row with one segment, and its hidden states. */
static ae_tensor *hidden_of(ae_engine *e, ae_ctx *cx, const int32_t *ids, int64_t n)
{
    int32_t *pos = ae_arena_take_raw(&e->step, (size_t)n, sizeof *pos);
    ae_segment *segment = ae_arena_take(&e->step, 1, sizeof *segment);
    if (!pos || !segment) {
        aerie_fail(&cx->error, AERIE_NO_MEMORY, "no memory for %lld tokens", (long long)n);
        return NULL;
    }
    for (int64_t i = 0; i < n; i++) pos[i] = (int32_t)i;
    *segment = (ae_segment){ .first = 0, .n = n, .parent = -1, .cache = -1 };
    ae_batch batch = {
        .n_tokens = n, .ids = ids, .pos = pos, .segments = segment, .n_segments = 1
    };
    return ae_net_hidden(cx, e->options.net, &batch);
}

static aerie_status give(const ae_ctx *cx, aerie_error *err)
{
    if (err && err->status == AERIE_OK) *err = cx->error;
    return ae_ctx_status(cx);
}

aerie_status ae_engine_log_probs(ae_engine *e, const int32_t *ids, int64_t n, float *logp,
                                 aerie_error *err)
{
    if (n < 2)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "a text of one token has nothing to predict");
    ae_arena_reset_all(&e->step);
    ae_ctx cx = { .device = e->options.device, .arena = &e->step };
    ae_tensor *hidden = hidden_of(e, &cx, ids, n);
    int32_t *rows = ae_arena_take_raw(&e->step, (size_t)n, sizeof *rows);
    if (!rows) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for %lld tokens", (long long)n);
    for (int64_t i = 0; i < n - 1; i++) rows[i] = (int32_t)i;
    ae_predictions p = { .rows = rows, .targets = ids + 1, .n = n - 1 };
    ae_tensor *result = ae_net_log_prob(&cx, e->options.net, hidden, &p, NULL);
    if (result) memcpy(logp, ae_f32(result), (size_t)(n - 1) * sizeof *logp);
    return give(&cx, err);
}

aerie_status ae_engine_logits(ae_engine *e, const int32_t *ids, int64_t n, ae_logits_fn *fn,
                              void *user, aerie_error *err)
{
    enum {
        ROWS = 64
    }; /* logits held at once: a long text over a large vocabulary fits no memory */
    if (n < 1) return aerie_fail(err, AERIE_BAD_ARGUMENT, "the text is empty");
    ae_arena_reset_all(&e->step);
    ae_ctx cx = { .device = e->options.device, .arena = &e->step };
    ae_tensor *hidden = hidden_of(e, &cx, ids, n);

    for (int64_t first = 0; hidden && first < n; first += ROWS) {
        ae_arena_mark mark = ae_arena_here(&e->step);
        int32_t rows[ROWS];
        int64_t count = n - first < ROWS ? n - first : ROWS;
        for (int64_t i = 0; i < count; i++) rows[i] = (int32_t)(first + i);
        ae_tensor *logits = ae_net_logits(&cx, e->options.net, hidden, rows, count);
        if (!logits) break;
        aerie_status status = fn(user, ae_f32(logits), count, logits->cols, err);
        if (status) return status;
        ae_arena_reset(&e->step, mark);
    }
    return give(&cx, err);
}
