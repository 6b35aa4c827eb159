/* chance.c -- log-probabilities of given tokens and of the most likely ones, a few rows at a time:
 * logits of all rows at once fit no memory where the vocabulary is large. */
#include "infer/chance.h"

int ae_chances_top(ae_chance *top, int k, const float *logits, int64_t n)
{
    int held = 0;
    for (int64_t i = 0; i < n; i++) {
        if (k == 0 || (held == k && !(logits[i] > top[k - 1].logprob))) continue;
        int at = held < k ? held++ : k - 1;
        for (; at > 0 && logits[i] > top[at - 1].logprob; at--) top[at] = top[at - 1];
        top[at] = (ae_chance){ (int32_t)i, logits[i] };
    }
    return held;
}

/* logits [V] of a row whose token has its log-probability already: the difference of the two is
 * that of all others. */
static void add_top(ae_chance *row, int tops, const float *logits, int64_t vocab_size)
{
    double total = (double)logits[row->id] - (double)row->logprob;
    int n = ae_chances_top(row + 1, tops - 1, logits, vocab_size);
    for (int i = 1; i <= n; i++)
        row[i].logprob =
            row[i].id == row->id ? row->logprob : (float)((double)row[i].logprob - total);
    for (int i = n + 1; i < tops; i++) row[i] = (ae_chance){ .id = -1 };
}

static aerie_status some_chances(ae_chance *out, int tops, ae_ctx *cx, const ae_net *net,
                                 const ae_tensor *hidden, int64_t first, const int32_t *tokens,
                                 int64_t n)
{
    int32_t rows[AE_CHANCE_ROWS];
    for (int64_t i = 0; i < n; i++) rows[i] = (int32_t)(first + i);
    const ae_predictions p = { .rows = rows, .targets = tokens, .n = n };
    const ae_tensor *logp = ae_net_log_prob(cx, net, hidden, &p, NULL);
    const ae_tensor *logits = logp && tops > 1 ? ae_net_logits(cx, net, hidden, rows, n) : NULL;
    for (int64_t i = 0; i < n && !ae_ctx_status(cx); i++) {
        out[i * tops] = (ae_chance){ tokens[i], ae_f32(logp)[i] };
        if (logits) add_top(out + i * tops, tops, ae_f32(logits) + i * logits->cols, logits->cols);
    }
    return ae_ctx_status(cx);
}

aerie_status ae_chances_of(ae_chance *out, int tops, ae_ctx *cx, const ae_net *net,
                           const ae_tensor *hidden, int64_t first, const int32_t *tokens, int64_t n,
                           aerie_error *err)
{
    for (int64_t at = 0; at < n; at += AE_CHANCE_ROWS) {
        ae_arena_mark mark = ae_arena_here(cx->arena);
        int64_t some = ae_min64(AE_CHANCE_ROWS, n - at);
        if (some_chances(out + at * tops, tops, cx, net, hidden, first + at, tokens + at, some))
            return aerie_fail(err, cx->error.status, "%s", cx->error.message);
        ae_arena_reset(cx->arena, mark);
    }
    return AERIE_OK;
}
