/* engine_reader.c -- takes the live engine's events, on its thread. */
#include "engine_reader.h"

#include <math.h>

void open_reader(reader *r, aerie_engine *e)
{
    aerie_error err = { 0 };
    *r = (reader){ .engine = e, .top_is_sorted = true };
    assert_int_equal(ae_monitor_open(&r->monitor, &err), AERIE_OK);
}

void close_reader(reader *r)
{
    for (int i = 0; i < MOST_REPLIES; i++) ae_bytes_free(&r->text[i]);
    ae_monitor_close(&r->monitor);
}

static void look_at_tokens(reader *r, const aerie_event *event)
{
    for (size_t i = 0; i < event->n_tokens; i++) {
        const aerie_reply_token *t = &event->tokens[i];
        r->n_tokens++;
        if (!isnan(t->token.logprob)) r->logprob += (double)t->token.logprob;
        for (size_t j = 1; j < t->n_top; j++)
            if (t->top[j].logprob > t->top[j - 1].logprob) r->top_is_sorted = false;
    }
}

static aerie_flow read_text(reader *r, const aerie_event *event)
{
    ae_bytes_add(&r->text[event->reply], event->text, event->len);
    look_at_tokens(r, event);
    r->n_events++;
    if (r->cancel_after && r->n_events >= r->cancel_after)
        aerie_engine_cancel(r->engine, event->ticket);
    if (r->stop_after && r->n_events >= r->stop_after) return AERIE_STOP;
    return r->hold_every && r->n_events % r->hold_every == 0 ? AERIE_HOLD : AERIE_GO_ON;
}

aerie_flow on_event(void *user, const aerie_event *event)
{
    reader *r = user;
    aerie_flow flow = AERIE_GO_ON;
    ae_monitor_enter(&r->monitor);
    switch (event->kind) {
    case AERIE_EVENT_STARTED:
        r->n_started++;
        r->reused = event->reused_tokens;
        r->dropped = event->dropped_messages;
        break;
    case AERIE_EVENT_TEXT:
        flow = read_text(r, event);
        break;
    case AERIE_EVENT_PROMPT:
        if (r->cancel_in_prompt) aerie_engine_cancel(r->engine, event->ticket);
        for (size_t i = 0; i < event->n_tokens && r->n_prompt_tokens < 64; i++)
            r->prompt_logprobs[r->n_prompt_tokens++] = event->tokens[i].token.logprob;
        break;
    case AERIE_EVENT_NUMBERS:
        assert_true(event->n_numbers <= 512);
        r->n_numbers = event->n_numbers;
        memcpy(r->numbers, event->numbers, event->n_numbers * sizeof *event->numbers);
        break;
    case AERIE_EVENT_FINISHED:
        r->n_finished++;
        r->why[event->reply] = event->why;
        snprintf(r->stop[event->reply], sizeof r->stop[0], "%s", event->stop ? event->stop : "");
        break;
    case AERIE_EVENT_END:
        r->n_end++;
        r->status = event->status;
        r->stats = event->stats;
        snprintf(r->message, sizeof r->message, "%s", event->message);
        break;
    default:
        break;
    }
    ae_monitor_wake(&r->monitor);
    ae_monitor_leave(&r->monitor);
    return flow;
}

void await_end(reader *r)
{
    ae_monitor_enter(&r->monitor);
    while (r->n_end == 0) ae_monitor_wait(&r->monitor, -1);
    ae_monitor_leave(&r->monitor);
}

int set_up(void **state)
{
    static world w;
    aerie_error err = { 0 };
    aerie_model_options o = { .threads = 2 };
    *state = &w;
    if (!aerie_model_open(&w.model, "recipes/nursery/nursery.gguf", &o, &err)) return 0;
    fprintf(stderr, "%s\n", err.message);
    return 1;
}

int tear_down(void **state)
{
    world *w = *state;
    aerie_model_close(w->model);
    return 0;
}

aerie_engine *open_engine(const world *w, const aerie_engine_options *o)
{
    aerie_error err = { 0 };
    aerie_engine *e;
    if (aerie_engine_open(&e, w->model, o, &err)) fail_msg("%s", err.message);
    return e;
}

uint64_t ask(aerie_engine *e, const aerie_ask *a, reader *r)
{
    aerie_error err = { 0 };
    aerie_asked asked;
    if (aerie_engine_ask(e, a, on_event, r, &asked, &err)) fail_msg("%s", err.message);
    return asked.ticket;
}

void ask_and_wait(aerie_engine *e, const aerie_ask *a, reader *r)
{
    open_reader(r, e);
    ask(e, a, r);
    await_end(r);
    assert_int_equal(r->n_end, 1);
    if (r->status) fail_msg("%s", r->message);
}

const char *const prompts[N_PROMPTS] = {
    "Once upon a time",
    "Write a story about a fox and a bird.",
    "The",
    "List three animals.",
    "Tom and Mia went to the river because",
    "2 + 2 =",
    "A cat sat.",
    "Ben Nash is a",
};

aerie_sampling warm(uint64_t seed)
{
    aerie_sampling s = aerie_sampling_default();
    s.temperature = 1;
    s.seed = seed;
    return s;
}

aerie_ask text_ask(int i, const aerie_sampling *s)
{
    return (aerie_ask){ .text = prompts[i % N_PROMPTS],
                        .sampling = s,
                        .max_tokens = 8 + 3 * (i % 7),
                        .ignore_eog = i % 2 == 0 };
}
