/* engine_reply.c -- tokens on their way to a reader: characters made whole, stop strings held back,
 * and the events that say so. */
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
    if (!ae_live_show_tokens(e, r->tokens, n_tokens)) return fail_reply(a);
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
    if (!a->request.tells_rows) r->next = (live_token){ .token = { id, NAN } };
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
    ae_live_judge(&a->replies[reply].next, id, a->top, logits, e->model->net.config->vocab_size);
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
                               .chances = ae_live_chances,
                               .hidden = ae_live_hidden,
                               .score = ae_live_score,
                               .token = on_token,
                               .guessed = on_guessed,
                               .finish = on_finish,
                               .done = on_done };
}
