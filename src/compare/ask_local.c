/* ask_local.c -- replies of a model here: several under way in one engine. */
#include "aerie/engine.h"
#include "compare/compare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AT_ONCE = 8, MOST_AT_ONCE = 256 };

/* A reply under way. The engine's thread writes to it until `done`, and nobody else. */
typedef struct {
    struct asking *a;
    size_t row;
    bool busy, done;
    ae_bytes text;
    ae_compare_reply reply;
    double begun_at;
    aerie_status status;
    char message[480];
} slot;

typedef struct asking {
    aerie_compare *c;
    ae_compare_model *m;
    aerie_engine *engine;
    ae_monitor monitor;
    slot *slots;
    size_t n_slots, n_busy, next_row;
    bool no_more;
} asking;

static void end_reply(slot *s, const aerie_event *e)
{
    asking *a = s->a;

    ae_monitor_enter(&a->monitor);
    s->status = e->status;
    snprintf(s->message, sizeof s->message, "%s", e->message ? e->message : "");
    s->reply.prompt_tokens = e->stats.prompt_tokens;
    s->reply.reply_tokens = e->stats.reply_tokens;
    s->reply.seconds = ae_clock_seconds() - s->begun_at;
    s->done = true;
    ae_monitor_wake(&a->monitor);
    ae_monitor_leave(&a->monitor);
}

/* On the engine's thread. */
static aerie_flow on_event(void *user, const aerie_event *e)
{
    slot *s = user;

    switch (e->kind) {
    case AERIE_EVENT_TEXT:
        if (e->len && !s->text.len) s->reply.first_seconds = ae_clock_seconds() - s->begun_at;
        ae_bytes_add(&s->text, e->text, e->len);
        break;
    case AERIE_EVENT_FINISHED:
        s->reply.cut = e->why == AERIE_FINISH_LENGTH;
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
    ae_compare_reply *r = &s->reply;

    s->busy = false;
    a->n_busy--;
    if (status) return status;
    if (s->status && s->status != AERIE_TOO_LONG)
        return aerie_fail(err, s->status, "%s", s->message);
    r->text = ae_strdup(s->text.data ? s->text.data : "");
    if (s->status) r->failed = ae_strdup(s->message);
    r->similarity = r->reward = NAN;
    if (!r->text || (s->status && !r->failed))
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a reply");
    uint64_t resident = ae_memory_resident();
    if (resident > a->m->memory_bytes) a->m->memory_bytes = resident;
    return ae_compare_replies_add(a->c, a->m, s->row, r, err);
}

static aerie_status ask_one(asking *a, slot *s, aerie_error *err)
{
    const aerie_contender *with = a->m->with;
    json_t *list = ae_compare_messages(a->m, &a->c->data.items[ae_compare_item_of(a->c, s->row)]);
    char *messages = list ? json_dumps(list, JSON_COMPACT) : NULL;
    aerie_sampling sampling = *with->sampling;
    aerie_error why = { 0 };
    aerie_status status;

    json_decref(list);
    if (!messages) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a prompt");
    sampling.seed += s->row % (size_t)a->c->with.repeats;
    const aerie_ask ask = { .messages = messages,
                            .chat_template = with->chat_template,
                            .sampling = &sampling,
                            .max_tokens = with->max_tokens,
                            .stop = with->stop,
                            .n_stop = with->n_stop };
    s->begun_at = ae_clock_seconds();
    s->busy = true;
    a->n_busy++;
    status = aerie_engine_ask(a->engine, &ask, on_event, s, NULL, &why);
    free(messages);
    if (!status) return AERIE_OK;
    s->status = status; /* there are no events */
    snprintf(s->message, sizeof s->message, "%s", why.message);
    s->done = true;
    return AERIE_OK;
}

static void empty(slot *s, asking *a, size_t row)
{
    ae_bytes text = s->text;

    ae_bytes_clear(&text);
    *s = (slot){ .a = a, .row = row, .text = text };
}

static aerie_status fill(asking *a, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    for (size_t i = 0; i < a->n_slots && !status && !a->no_more; i++) {
        if (a->slots[i].busy) continue;
        a->no_more = !ae_compare_next_missing(a->c, a->m, &a->next_row);
        if (a->no_more) break;
        empty(&a->slots[i], a, a->next_row++);
        status = ask_one(a, &a->slots[i], err);
    }
    return status;
}

/* A reply that is done, or NULL when the wait was interrupted. */
static slot *wait_for_one(asking *a)
{
    slot *is = NULL;

    ae_monitor_enter(&a->monitor);
    while (!is) {
        for (size_t i = 0; i < a->n_slots && !is; i++)
            if (a->slots[i].busy && a->slots[i].done) is = &a->slots[i];
        if (!is && !ae_compare_tell(a->c, a->m)) break;
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
        if (!s || !ae_compare_tell(a->c, a->m))
            return aerie_fail(err, AERIE_INTERRUPTED,
                              "stopped; the same command goes on where it was");
        status = keep(a, s, err);
        if (!status) status = fill(a, err);
    }
    return status;
}

static aerie_status answer(asking *a, aerie_model *model, aerie_error *err)
{
    const aerie_engine_options options = { .context = a->m->with->context,
                                           .parallel = (int64_t)a->n_slots };
    aerie_status status = aerie_engine_open(&a->engine, model, &options, err);
    double begun_at = ae_clock_seconds();

    if (status) return status;
    status = run(a, err);
    aerie_engine_close(a->engine); /* cancels what is under way: its events end here */
    a->m->busy_seconds += ae_clock_seconds() - begun_at;
    aerie_error ignored = { 0 };
    aerie_status noted = ae_compare_replies_note(a->c, a->m, status ? &ignored : err);
    return status ? status : noted;
}

aerie_status ae_compare_ask_local(aerie_compare *c, ae_compare_model *m, aerie_error *err)
{
    int64_t n = c->with.parallel > 0 ? c->with.parallel : AT_ONCE;
    asking a = { .c = c, .m = m, .n_slots = (size_t)ae_min64(n, MOST_AT_ONCE) };
    aerie_model_options load = m->with->load ? *m->with->load : (aerie_model_options){ 0 };
    const aerie_memory_plan plan = { .n_ctx = m->with->context, .parallel = (int64_t)a.n_slots };
    aerie_model *model = NULL;
    aerie_status status;

    load.plan = &plan;
    a.slots = ae_alloc(a.n_slots, sizeof *a.slots);
    if (!a.slots) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for replies");
    status = ae_monitor_open(&a.monitor, err);
    if (!status) {
        status = aerie_model_open(&model, m->with->path, &load, err);
        if (!status) status = answer(&a, model, err);
        aerie_model_close(model);
        ae_monitor_close(&a.monitor);
    }
    for (size_t i = 0; i < a.n_slots; i++) ae_bytes_free(&a.slots[i].text);
    ae_free(a.slots);
    return status;
}
