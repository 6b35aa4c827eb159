/* engine_logprob.c -- what the model thought of tokens, and tokens as events have them. */
#include "api/live.h"

#include <math.h>

/* log(sum(exp(logits))). */
static double log_sum(const float *logits, int64_t n)
{
    double sum = 0, largest = logits[0];
    for (int64_t i = 1; i < n; i++)
        if (logits[i] > largest) largest = logits[i];
    for (int64_t i = 0; i < n; i++) sum += exp((double)logits[i] - largest);
    return largest + log(sum);
}

void ae_live_judge(live_token *t, int32_t id, int n_top, const float *logits, int64_t vocab_size)
{
    double total = log_sum(logits, vocab_size);
    t->token = (ae_chance){ id, (float)((double)logits[id] - total) };
    t->n_top = ae_chances_top(t->top, n_top, logits, vocab_size);
    for (int i = 0; i < t->n_top; i++)
        t->top[i].logprob = (float)((double)t->top[i].logprob - total);
}

static bool make_room(aerie_engine *e, size_t n)
{
    if (n <= e->out_room) return true;
    aerie_reply_token *out = ae_realloc(e->out, e->out_room, 2 * n, sizeof *out);
    if (!out) return false;
    e->out = out;
    aerie_choice *choices =
        ae_realloc(e->choices, e->out_room * LIVE_MOST_TOP, 2 * n * LIVE_MOST_TOP, sizeof *choices);
    if (!choices) return false;
    e->choices = choices;
    e->out_room = 2 * n;
    return true;
}

/* Where its bytes lie is filled in when they are all there: they move while they grow. */
static aerie_choice choice_of(aerie_engine *e, ae_chance c)
{
    size_t before = e->scratch.len;
    ae_tokenizer_token_bytes(ae_model_tokenizer(e->model->model), c.id, true, &e->scratch);
    return (aerie_choice){ .id = c.id, .logprob = c.logprob, .len = e->scratch.len - before };
}

static const char *place(aerie_choice *c, const char *bytes)
{
    c->bytes = bytes;
    return bytes + c->len;
}

bool ae_live_show_tokens(aerie_engine *e, const live_token *tokens, size_t n)
{
    ae_bytes_clear(&e->scratch);
    ae_bytes_reserve(&e->scratch, 1);
    if (!make_room(e, n)) return false;
    for (size_t i = 0; i < n; i++) {
        aerie_choice *top = e->choices + i * LIVE_MOST_TOP;
        e->out[i] = (aerie_reply_token){ .token = choice_of(e, tokens[i].token),
                                         .top = top,
                                         .n_top = (size_t)tokens[i].n_top };
        for (int j = 0; j < tokens[i].n_top; j++) top[j] = choice_of(e, tokens[i].top[j]);
    }
    if (e->scratch.failed) {
        ae_bytes_free(&e->scratch);
        e->scratch = (ae_bytes){ 0 };
        return false;
    }
    const char *bytes = e->scratch.data;
    for (size_t i = 0; i < n; i++) {
        bytes = place(&e->out[i].token, bytes);
        for (size_t j = 0; j < e->out[i].n_top; j++)
            bytes = place(&e->choices[i * LIVE_MOST_TOP + j], bytes);
    }
    return true;
}
