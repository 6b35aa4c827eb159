/* here.c -- answers of a model in this process: several under way in one engine. */
#include "answer/answer_private.h"

#include <stdio.h>
#include <stdlib.h>

enum { AT_ONCE = 8 };

/* A reply under way. The engine's thread writes to it until `done`, and nobody else. */
typedef struct {
    struct asking *a;
    bool busy, done;
    ae_bytes text;
    bool wants_logprobs;
    json_t *top_logprobs; /* NULL: the first token has not come */
    ae_answer answer;
    double begun_at;
    aerie_status status;
    char message[480];
} slot;

typedef struct asking {
    const ae_answerer *who;
    const ae_answer_work *work;
    ae_answer_totals *out;
    aerie_engine *engine;
    ae_monitor monitor;
    slot *slots;
    size_t n_slots, n_busy;
} asking;

static void end_reply(slot *s, const aerie_event *e)
{
    asking *a = s->a;

    ae_monitor_enter(&a->monitor);
    s->status = e->status;
    snprintf(s->message, sizeof s->message, "%s", e->message ? e->message : "");
    s->answer.prompt_tokens = e->stats.prompt_tokens;
    s->answer.reply_tokens = e->stats.reply_tokens;
    s->answer.seconds = ae_clock_seconds() - s->begun_at;
    s->done = true;
    ae_monitor_wake(&a->monitor);
    ae_monitor_leave(&a->monitor);
}

/* Of the reply's first token. One that is no whole character has no name in JSON. */
static void take_logprobs(slot *s, const aerie_event *e)
{
    if (!s->wants_logprobs || s->top_logprobs || !e->n_tokens) return;
    s->top_logprobs = json_array();
    for (size_t i = 0; i < e->tokens[0].n_top; i++) {
        const aerie_choice *c = &e->tokens[0].top[i];
        json_t *token = json_stringn(c->bytes, c->len);
        if (token)
            json_array_append_new(s->top_logprobs, json_pack("[o, f]", token, (double)c->logprob));
    }
}

/* On the engine's thread. */
static aerie_flow on_event(void *user, const aerie_event *e)
{
    slot *s = user;

    switch (e->kind) {
    case AERIE_EVENT_TEXT:
        if (e->len && !s->text.len) s->answer.first_seconds = ae_clock_seconds() - s->begun_at;
        ae_bytes_add(&s->text, e->text, e->len);
        take_logprobs(s, e);
        break;
    case AERIE_EVENT_FINISHED:
        s->answer.cut = e->why == AERIE_FINISH_LENGTH;
        break;
    case AERIE_EVENT_END:
        end_reply(s, e);
        break;
    default:
        break;
    }
    return AERIE_GO_ON;
}

static aerie_status keep(asking *a, slot *s, aerie_error *err)
{
    aerie_status status = ae_bytes_status(&s->text, err);
    uint64_t resident = ae_memory_resident();

    s->busy = false;
    a->n_busy--;
    if (status) return status;
    /* One prompt may be too long; anything else would befall the others too. */
    if (s->status && s->status != AERIE_TOO_LONG)
        return aerie_fail(err, s->status, "%s", s->message);
    s->answer.text = s->text.data && !s->status ? s->text.data : "";
    s->answer.failed = s->status ? s->message : NULL;
    s->answer.top_logprobs = s->top_logprobs;
    if (resident > a->out->memory_bytes) a->out->memory_bytes = resident;
    return a->work->take(a->work->user, &s->answer, err);
}

static void ask_one(asking *a, slot *s, const ae_question *q)
{
    aerie_error why = { 0 };
    const aerie_ask ask = { .messages = q->messages,
                            .chat_template = a->who->chat_template,
                            .sampling = &q->sampling,
                            .max_tokens = q->max_tokens,
                            .stop = q->stop,
                            .n_stop = q->n_stop,
                            .grammar = q->grammar,
                            .logprobs = q->top_logprobs > 0,
                            .top_logprobs = q->top_logprobs };
    ae_bytes text = s->text;

    ae_bytes_clear(&text);
    json_decref(s->top_logprobs);
    *s = (slot){ .a = a,
                 .busy = true,
                 .text = text,
                 .wants_logprobs = q->top_logprobs > 0,
                 .answer.id = q->id };
    s->begun_at = ae_clock_seconds();
    a->n_busy++;
    s->status = aerie_engine_ask(a->engine, &ask, on_event, s, NULL, &why);
    if (!s->status) return;
    snprintf(s->message, sizeof s->message, "%s", why.message); /* there are no events */
    s->done = true;
}

static aerie_status fill(asking *a, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    for (size_t i = 0; i < a->n_slots && !status; i++) {
        ae_question q = { 0 };
        if (a->slots[i].busy) continue;
        status = a->work->next(a->work->user, &q, err);
        if (status || !q.messages) break;
        ask_one(a, &a->slots[i], &q);
        free(q.messages);
    }
    return status;
}

/* A reply that is done, or NULL when it is to stop. */
static slot *wait_for_one(asking *a)
{
    slot *is = NULL;

    ae_monitor_enter(&a->monitor);
    while (!is && a->work->go_on(a->work->user)) {
        for (size_t i = 0; i < a->n_slots && !is; i++)
            if (a->slots[i].busy && a->slots[i].done) is = &a->slots[i];
        if (!is) ae_monitor_wait(&a->monitor, 0.2);
    }
    ae_monitor_leave(&a->monitor);
    return is;
}

static aerie_status run(asking *a, aerie_error *err)
{
    aerie_status status = fill(a, err);

    while (!status && a->n_busy > 0) {
        slot *s = wait_for_one(a);
        if (!s) return ae_answer_stopped(err);
        status = keep(a, s, err);
        if (!status) status = fill(a, err);
    }
    return status;
}

static aerie_status answer(asking *a, aerie_model *model, aerie_error *err)
{
    const aerie_engine_options options = { .context = a->who->context,
                                           .parallel = (int64_t)a->n_slots };
    aerie_status status = aerie_engine_open(&a->engine, model, &options, err);
    double begun_at = ae_clock_seconds();

    if (status) return status;
    status = run(a, err);
    aerie_engine_close(a->engine); /* cancels what is under way: its events end here */
    a->out->seconds = ae_clock_seconds() - begun_at;
    return status;
}

aerie_status ae_answer_here(const ae_answerer *who, const ae_answer_work *work,
                            ae_answer_totals *out, aerie_error *err)
{
    int64_t n = who->parallel > 0 ? who->parallel : AT_ONCE;
    asking a = {
        .who = who, .work = work, .out = out, .n_slots = (size_t)ae_min64(n, AE_ANSWERS_AT_MOST)
    };
    aerie_model_options load = who->load ? *who->load : (aerie_model_options){ 0 };
    const aerie_memory_plan plan = { .n_ctx = who->context, .parallel = (int64_t)a.n_slots };
    aerie_model *model = NULL;
    aerie_status status;

    load.plan = &plan;
    a.slots = ae_alloc(a.n_slots, sizeof *a.slots);
    if (!a.slots) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for replies");
    status = ae_monitor_open(&a.monitor, err);
    if (!status) {
        if (!who->opened) status = aerie_model_open(&model, who->path, &load, err);
        if (!status) status = answer(&a, who->opened ? who->opened : model, err);
        aerie_model_close(model);
        ae_monitor_close(&a.monitor);
    }
    for (size_t i = 0; i < a.n_slots; i++) {
        ae_bytes_free(&a.slots[i].text);
        json_decref(a.slots[i].top_logprobs);
    }
    ae_free(a.slots);
    return status;
}
