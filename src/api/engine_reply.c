/* engine_reply.c -- tokens on their way to a reader: characters made whole, stop strings held back,
 * log-probabilities, and the events that say so. */
#include "api/live.h"

#include <math.h>
#include <string.h>

void ae_live_doom(live_ask *a, aerie_status status, const char *because)
{
    if (a->verdict) return;
    a->verdict = status;
    a->because = because;
    a->engine->has_verdicts = true;
}

aerie_flow ae_live_tell(live_ask *a, aerie_event *event)
{
    event->ticket = a->ticket;
    if (!event->message) event->message = "";
    aerie_flow flow = a->fn(a->user, event);
    if (flow == AERIE_STOP && event->kind != AERIE_EVENT_TEXT && event->kind != AERIE_EVENT_END)
        ae_live_doom(a, AERIE_INTERRUPTED, "its reader stopped it");
    return flow;
}

/* ---- log-probabilities ---- */

/* log(sum(exp(logits))). */
static double log_sum(const float *logits, int64_t n)
{
    double sum = 0, largest = logits[0];
    for (int64_t i = 1; i < n; i++)
        if (logits[i] > largest) largest = logits[i];
    for (int64_t i = 0; i < n; i++) sum += exp((double)logits[i] - largest);
    return largest + log(sum);
}

/* The k largest, sorted; of equals the lower id first. */
static int best_of(live_choice *top, int k, const float *logits, int64_t n, double total)
{
    int held = 0;
    for (int64_t i = 0; i < n; i++) {
        if (k == 0 || (held == k && !(logits[i] > top[k - 1].logprob))) continue;
        int at = held < k ? held++ : k - 1;
        for (; at > 0 && logits[i] > top[at - 1].logprob; at--) top[at] = top[at - 1];
        top[at] = (live_choice){ (int32_t)i, logits[i] };
    }
    for (int i = 0; i < held; i++) top[i].logprob = (float)((double)top[i].logprob - total);
    return held;
}

static void judge(live_token *t, int32_t id, int n_top, const float *logits, int64_t vocab_size)
{
    double total = log_sum(logits, vocab_size);
    t->token = (live_choice){ id, (float)((double)logits[id] - total) };
    t->n_top = best_of(t->top, n_top, logits, vocab_size, total);
}

/* ---- tokens as events have them ---- */

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
static aerie_choice choice_of(aerie_engine *e, live_choice c)
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

static bool show_tokens(aerie_engine *e, const live_token *tokens, size_t n)
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

/* ---- a reply's text ---- */

static bool fail_reply(live_ask *a)
{
    ae_live_doom(a, AERIE_NO_MEMORY, "no memory for a reply's text");
    return false;
}

/* The first `n` bytes of the text leave, with the tokens that end in them. False: the reply is to
 * end. */
static bool release(live_ask *a, live_reply *r, size_t n, size_t n_tokens)
{
    aerie_engine *e = a->engine;
    if (n == 0 && n_tokens == 0) return true;
    if (!show_tokens(e, r->tokens, n_tokens)) return fail_reply(a);
    aerie_event event = { .kind = AERIE_EVENT_TEXT,
                          .reply = r - a->replies,
                          .text = r->text.data ? r->text.data : "",
                          .len = n,
                          .tokens = e->out,
                          .n_tokens = n_tokens };
    uint64_t go_ons = ae_live_go_ons(a);
    aerie_flow flow = ae_live_tell(a, &event);
    if (n > 0) memmove(r->text.data, r->text.data + n, r->text.len - n);
    r->text.len -= n;
    r->n_tokens -= n_tokens;
    memmove(r->tokens, r->tokens + n_tokens, r->n_tokens * sizeof *r->tokens);
    for (size_t i = 0; i < r->n_tokens; i++) r->tokens[i].end -= n;
    if (flow == AERIE_HOLD) ae_live_hold(a, r - a->replies, go_ons);
    if (flow == AERIE_STOP) r->was_told_to_stop = true;
    return flow != AERIE_STOP;
}

static size_t tokens_ending_by(const live_reply *r, size_t n)
{
    size_t count = 0;
    while (count < r->n_tokens && r->tokens[count].end <= n) count++;
    return count;
}

/* Of a text that is cut there: those that begin before. */
static size_t tokens_beginning_before(const live_reply *r, size_t n)
{
    size_t count = tokens_ending_by(r, n), before = count > 0 ? r->tokens[count - 1].end : 0;
    return count < r->n_tokens && before < n ? count + 1 : count;
}

static bool add_token(live_ask *a, live_reply *r, int32_t id)
{
    if (r->n_tokens == r->room) {
        size_t room = r->room ? 2 * r->room : 4;
        live_token *tokens = ae_realloc(r->tokens, r->room, room, sizeof *tokens);
        if (!tokens) return false;
        r->tokens = tokens;
        r->room = room;
    }
    if (a->top < 0) r->next = (live_token){ .token = { id, NAN } };
    ae_decoder_push(&r->decoder, ae_model_tokenizer(a->engine->model->model), id, &r->text);
    r->next.end = r->text.len + (size_t)r->decoder.n_held;
    r->tokens[r->n_tokens++] = r->next;
    return !r->text.failed;
}

static bool let_go(live_ask *a, live_reply *r)
{
    size_t at, which;
    if (!ae_stops_find(a->stops, a->n_stops, ae_span_of(&r->text), &at, &which))
        return release(a, r, at, tokens_ending_by(r, at));
    r->stop = a->stops[which].data;
    release(a, r, at, tokens_beginning_before(r, at));
    return false;
}

/* ---- what the run tells ---- */

static void on_started(void *user, int64_t request, int64_t reused)
{
    live_ask *a = ae_live_ask_of(request);
    (void)user;
    a->reused = reused;
    ae_live_let_in(a);
    aerie_event event = { .kind = AERIE_EVENT_STARTED,
                          .prompt_tokens = a->request.n_prompt,
                          .reused_tokens = reused,
                          .dropped_messages = a->dropped };
    ae_live_tell(a, &event);
}

static void on_row(void *user, int64_t request, int64_t reply, int32_t id, const float *logits)
{
    live_ask *a = ae_live_ask_of(request);
    const aerie_engine *e = user;
    judge(&a->replies[reply].next, id, a->top, logits, e->model->net.config->vocab_size);
}

static void note_token(live_ask *a, live_reply *r)
{
    r->drawn++;
    if (r->first_token > 0) return;
    r->first_token = ae_clock_seconds();
    if (!(a->first_token_at > 0)) a->first_token_at = r->first_token;
}

static bool on_token(void *user, int64_t request, int64_t reply, int32_t id)
{
    live_ask *a = ae_live_ask_of(request);
    live_reply *r = &a->replies[reply];
    (void)user;
    note_token(a, r);
    if (!add_token(a, r, id)) return fail_reply(a);
    return let_go(a, r);
}

static void on_guessed(void *user, int64_t request, int64_t reply, int64_t drafted,
                       int64_t accepted)
{
    live_reply *r = &ae_live_ask_of(request)->replies[reply];
    (void)user;
    r->drafted = drafted;
    r->accepted = accepted;
}

static aerie_finish public_finish(const live_reply *r, ae_finish why)
{
    return r->stop || why == AE_FINISH_STOP ? AERIE_FINISH_STOP
           : why == AE_FINISH_LENGTH        ? AERIE_FINISH_LENGTH
                                            : AERIE_FINISH_CALLER;
}

static aerie_ask_stats stats_of(const live_ask *a, const live_reply *r)
{
    double now = ae_clock_seconds();
    return (aerie_ask_stats){ .prompt_tokens = a->request.n_prompt,
                              .reused_tokens = a->reused,
                              .reply_tokens = r->drawn,
                              .drafted_tokens = r->drafted,
                              .accepted_tokens = r->accepted,
                              .queue_seconds = a->let_in_at - a->asked_at,
                              .prompt_seconds = r->first_token - a->let_in_at,
                              .reply_seconds = now - r->first_token };
}

static void on_finish(void *user, int64_t request, int64_t reply, ae_finish why)
{
    live_ask *a = ae_live_ask_of(request);
    live_reply *r = &a->replies[reply];
    (void)user;
    if (a->verdict) return;
    if (why == AE_FINISH_STOP) note_token(a, r);
    if (!r->stop && !r->was_told_to_stop) {
        ae_decoder_finish(&r->decoder, &r->text);
        if (r->text.failed)
            fail_reply(a);
        else
            release(a, r, r->text.len, r->n_tokens);
    }
    if (a->verdict) return;
    aerie_event event = { .kind = AERIE_EVENT_FINISHED,
                          .reply = reply,
                          .why = public_finish(r, why),
                          .stop = r->stop,
                          .prompt_tokens = a->request.n_prompt,
                          .reused_tokens = a->reused,
                          .dropped_messages = a->dropped,
                          .stats = stats_of(a, r) };
    ae_live_tell(a, &event);
}

static void on_done(void *user, int64_t request, aerie_status status, const aerie_error *why)
{
    const char *message = why ? why->message : status == AERIE_INTERRUPTED ? "cancelled" : "";
    (void)user;
    ae_live_end(ae_live_ask_of(request), status, message);
}

ae_engine_events ae_live_events(aerie_engine *e)
{
    return (ae_engine_events){ .user = e,
                               .started = on_started,
                               .row = on_row,
                               .token = on_token,
                               .guessed = on_guessed,
                               .finish = on_finish,
                               .done = on_done };
}
