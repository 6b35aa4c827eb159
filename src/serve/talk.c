/* talk.c -- leases, asks and events of requests that models answer. */
#include "serve/talk.h"

#include "serve/models.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

typedef struct talk talk;

/* One ask. The engine's thread writes to it until its end is posted; then it is the loop's. */
typedef struct talk_ask {
    struct talk_ask *next;
    talk *of;
    size_t number;
    uint64_t ticket;
    bool ended;
    /* Its end has its place from the beginning: nothing may keep that from coming. */
    ae_post end_post;
    aerie_event end;
    char message[480];
} talk_ask;

struct talk {
    ae_talk open; /* what forms see; first, so that either is the other */
    uint64_t lease_ticket;
    aerie_status (*next)(ae_talk *t, aerie_error *err); /* NULL: the form's begin() */
    bool awaits_lease, done;
    ae_post lease_post;
    aerie_lease *given;
    aerie_status lease_status;
    char lease_message[480];
    talk_ask *asks;
    size_t n_asks, n_live;
    atomic_size_t carried; /* bytes on their way from the engine to the loop */
    atomic_size_t unsent;  /* bytes that the client had not read when it was last looked */
    atomic_bool held;      /* replies rest because of them */
};

static void release(talk *t)
{
    ae_server *s = t->open.server;
    for (talk_ask *a = t->asks, *next; a; a = next) {
        next = a->next;
        ae_free(a);
    }
    aerie_lease_release(t->open.lease);
    aerie_stored_free(t->open.stored);
    json_decref(t->open.request);
    if (t->open.form->free) t->open.form->free(t->open.state);
    ae_free(t->open.state);
    ae_free(t);
    s->n_talks--;
    if (s->closing && s->n_talks == 0) ae_loop_stop(s->loop);
}

/* Nothing is under way any more. */
static bool at_rest(const talk *t)
{
    return !t->awaits_lease && t->n_live == 0;
}

static void cancel_all(talk *t)
{
    if (t->awaits_lease) aerie_host_cancel(t->open.server->host, t->lease_ticket);
    for (talk_ask *a = t->asks; a; a = a->next)
        if (!a->ended) aerie_engine_cancel(aerie_lease_engine(t->open.lease), a->ticket);
}

static void on_gone(void *user, ae_exchange *x)
{
    talk *t = user;
    (void)x;
    t->open.x = NULL;
    cancel_all(t);
    if (at_rest(t)) release(t);
}

/* The exchange, which is no longer the talk's. */
static ae_exchange *let_go(ae_talk *open)
{
    ae_exchange *x = open->x;
    open->x = NULL;
    cancel_all((talk *)open);
    return x;
}

void ae_talk_reply(ae_talk *open, json_t *json)
{
    ae_exchange *x = let_go(open);
    ae_reply_json(x, 200, json);
}

void ae_talk_end(ae_talk *open)
{
    ae_exchange *x = let_go(open);
    ae_exchange_end(x);
}

void ae_talk_fail(ae_talk *open, int status, const char *message)
{
    ae_exchange *x = open->x;
    bool own = x && open->failure && ae_exchange_begun(x);
    if (own) open->failure(open, status, message);
    if (own)
        ae_talk_end(open);
    else if (let_go(open))
        ae_reply_error(x, open->form->face, status, "%s", message);
}

/* Replies go on once little waits for the client. */
static void go_on(talk *t)
{
    size_t unsent = t->open.x ? ae_exchange_waiting(t->open.x) : 0;
    atomic_store(&t->unsent, unsent);
    if (unsent + atomic_load(&t->carried) > AE_HTTPD_LOW_WATER) return;
    if (!atomic_exchange(&t->held, false)) return;
    for (talk_ask *a = t->asks; a; a = a->next)
        if (!a->ended) aerie_engine_go_on(aerie_lease_engine(t->open.lease), a->ticket);
}

static void on_drained(void *user, ae_exchange *x)
{
    (void)x;
    go_on(user);
}

/* A long prompt is being read, or the reply waits its turn: whoever stands between must not think
 * the connection dead. Streams of lines have nothing that clients pass over. */
static void on_silent(void *user, ae_exchange *x)
{
    const talk *t = user;
    if (!t->open.stream || t->open.form->face == AE_FACE_OLLAMA || ae_exchange_waiting(x)) return;
    ae_stream_begin(x, AE_EVENTS);
    ae_stream_text(x, ": ping\n\n");
}

/* ---- events, from the engine's thread to the loop's */

typedef struct {
    ae_post post;
    talk_ask *ask;
    size_t bytes;
    aerie_event event; /* what it points to lies behind it */
} carried_event;

typedef struct {
    char *at, *end;
} room;

static void *take(room *r, const void *data, size_t bytes)
{
    void *place = r->at;
    r->at += (bytes + 15) / 16 * 16;
    if (data && bytes) memcpy(place, data, bytes);
    return place;
}

static size_t rounded(size_t bytes)
{
    return (bytes + 15) / 16 * 16;
}

static size_t bytes_of(const aerie_event *e)
{
    size_t n = rounded(e->len) + rounded(e->n_tokens * sizeof *e->tokens) +
               rounded(e->n_numbers * sizeof *e->numbers) +
               rounded(e->stop ? strlen(e->stop) + 1 : 0);
    for (size_t i = 0; i < e->n_tokens; i++) {
        n += rounded(e->tokens[i].token.len) +
             rounded(e->tokens[i].n_top * sizeof *e->tokens[i].top);
        for (size_t k = 0; k < e->tokens[i].n_top; k++) n += rounded(e->tokens[i].top[k].len);
    }
    return n;
}

static void copy_token(aerie_reply_token *to, const aerie_reply_token *from, room *r)
{
    aerie_choice *top = take(r, from->top, from->n_top * sizeof *top);
    *to = *from;
    to->token.bytes = take(r, from->token.bytes, from->token.len);
    for (size_t k = 0; k < from->n_top; k++)
        top[k].bytes = take(r, from->top[k].bytes, from->top[k].len);
    to->top = top;
}

static carried_event *copy_event(talk_ask *a, const aerie_event *e)
{
    size_t bytes = rounded(sizeof(carried_event)) + bytes_of(e);
    char *memory = ae_alloc(1, bytes);
    if (!memory) return NULL;
    room r = { memory + rounded(sizeof(carried_event)), memory + bytes };
    carried_event *c = (carried_event *)(void *)memory;
    *c = (carried_event){ .ask = a, .bytes = bytes, .event = *e };
    c->event.text = take(&r, e->text, e->len);
    c->event.stop = e->stop ? take(&r, e->stop, strlen(e->stop) + 1) : NULL;
    c->event.numbers = take(&r, e->numbers, e->n_numbers * sizeof *e->numbers);
    c->event.message = "";
    aerie_reply_token *tokens = take(&r, NULL, e->n_tokens * sizeof *tokens);
    for (size_t i = 0; i < e->n_tokens; i++) copy_token(&tokens[i], &e->tokens[i], &r);
    c->event.tokens = tokens;
    return c;
}

static void on_carried(void *user)
{
    carried_event *c = user;
    talk *t = c->ask->of;
    atomic_fetch_sub(&t->carried, c->bytes);
    if (t->open.x) t->open.form->event(&t->open, c->ask->number, &c->event);
    ae_free(c);
    go_on(t);
}

static void on_end(void *user)
{
    talk_ask *a = user;
    talk *t = a->of;
    a->ended = true;
    t->n_live--;
    if (t->open.x && a->end.status) {
        int status = ae_status_of(a->end.status);
        ae_talk_fail(&t->open, status, a->end.message);
    } else if (t->open.x) {
        t->open.form->event(&t->open, a->number, &a->end);
        if (t->open.x && at_rest(t)) {
            t->open.form->finish(&t->open);
            t->open.x = NULL;
        }
    }
    if (at_rest(t)) release(t);
}

/* On the engine's thread. */
static aerie_flow on_event(void *user, const aerie_event *e)
{
    talk_ask *a = user;
    talk *t = a->of;
    ae_loop *loop = t->open.server->loop;
    if (e->kind == AERIE_EVENT_END) {
        a->end = *e;
        snprintf(a->message, sizeof a->message, "%s", e->message);
        a->end.message = a->message;
        a->end_post = (ae_post){ .fn = on_end, .user = a };
        ae_loop_post(loop, &a->end_post);
        return AERIE_GO_ON;
    }
    carried_event *c = copy_event(a, e);
    if (!c) return AERIE_STOP; /* no memory: the reply ends here */
    size_t waiting = atomic_fetch_add(&t->carried, c->bytes) + c->bytes + atomic_load(&t->unsent);
    bool hold = e->kind == AERIE_EVENT_TEXT && waiting > AE_HTTPD_HIGH_WATER;
    /* Before it is posted: whoever takes it finds the replies held, and lets them go on. */
    if (hold) atomic_store(&t->held, true);
    c->post = (ae_post){ .fn = on_carried, .user = c };
    ae_loop_post(loop, &c->post);
    return hold ? AERIE_HOLD : AERIE_GO_ON;
}

aerie_status ae_talk_ask(ae_talk *open, const aerie_ask *ask, aerie_asked *asked, aerie_error *err)
{
    talk *t = (talk *)open;
    aerie_asked ignored;
    talk_ask *a = ae_alloc(1, sizeof *a);
    if (!a) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for one more request");
    if (!asked) asked = &ignored;
    *a = (talk_ask){ .next = t->asks, .of = t, .number = t->n_asks };
    aerie_ask with = *ask;
    with.adapter = aerie_lease_adapter(open->lease);
    aerie_status status =
        aerie_engine_ask(aerie_lease_engine(open->lease), &with, on_event, a, asked, err);
    if (status) {
        ae_free(a);
        return status;
    }
    a->ticket = asked->ticket;
    t->asks = a;
    t->n_asks++;
    t->n_live++;
    return AERIE_OK;
}

/* ---- from a name to a lease */

static void fail(talk *t, const aerie_error *err)
{
    ae_talk_fail(&t->open, ae_status_of(err->status), err->message);
}

static void begin(talk *t)
{
    aerie_error err = { 0 };
    aerie_status status = (t->next ? t->next : t->open.form->begin)(&t->open, &err);
    if (status && t->open.x) fail(t, &err);
    if (t->open.x) {
        const ae_exchange_watcher watcher = { on_gone, on_drained, on_silent, t };
        ae_exchange_watch(t->open.x, &watcher);
    }
    if (at_rest(t)) {
        if (t->open.x) {
            t->open.form->finish(&t->open);
            t->open.x = NULL;
        }
        release(t);
    }
}

static void on_lease_posted(void *user)
{
    talk *t = user;
    aerie_error err = { 0 };
    t->awaits_lease = false;
    t->open.lease = t->given;
    if (t->open.x && t->open.lease) {
        begin(t);
        return;
    }
    if (t->open.x) {
        aerie_fail(&err, t->lease_status, "%s", t->lease_message);
        fail(t, &err);
    }
    release(t);
}

/* On the host's thread. */
static void on_lease(void *user, aerie_lease *lease, aerie_status status, const char *message)
{
    talk *t = user;
    t->given = lease;
    t->lease_status = status;
    snprintf(t->lease_message, sizeof t->lease_message, "%s", message ? message : "");
    t->lease_post = (ae_post){ .fn = on_lease_posted, .user = t };
    ae_loop_post(t->open.server->loop, &t->lease_post);
}

/* Of a model, with the adapters that `request` (or NULL) wants over it. */
static aerie_status take_lease(talk *t, const char *model, const json_t *request, aerie_error *err)
{
    ae_server *s = t->open.server;
    const ae_exchange_watcher watcher = { .gone = on_gone, .user = t };
    ae_model_place p = { 0 };
    aerie_status status = ae_models_find(s, model, &t->open.stored, err);
    if (!status) status = ae_models_place(&p, s, t->open.stored, model, request, err);
    t->awaits_lease = true;
    if (!status)
        status =
            aerie_host_take(s->host, &p.place, t->open.has_keep_alive ? &t->open.keep_alive : NULL,
                            on_lease, t, &t->open.lease, &t->lease_ticket, err);
    ae_models_place_free(&p);
    t->awaits_lease = !status && !t->open.lease;
    if (t->awaits_lease) ae_exchange_watch(t->open.x, &watcher);
    return status;
}

aerie_status ae_talk_move(ae_talk *open, const char *model,
                          aerie_status (*next)(ae_talk *t, aerie_error *err), aerie_error *err)
{
    talk *t = (talk *)open;
    aerie_lease_release(open->lease);
    aerie_stored_free(open->stored);
    open->lease = NULL;
    open->stored = NULL;
    t->next = next;
    aerie_status status = take_lease(t, model, NULL, err);
    return status || !open->lease ? status : next(open, err);
}

/* Whether a request is one for this form; of `open` its model and what is said of its stay. */
static aerie_status read_request(ae_talk *open, const json_t *request, aerie_error *err)
{
    const ae_talk_form *form = open->form;
    const char *model = json_string_value(json_object_get(request, "model"));
    const json_t *stream = json_object_get(request, "stream");
    if (!model || !*model) return aerie_fail(err, AERIE_BAD_ARGUMENT, "model is required");
    snprintf(open->model, sizeof open->model, "%s", model);
    open->stream = form->streams ? !json_is_false(stream) : json_is_true(stream);
    if (!ae_models_keep_alive(json_object_get(request, "keep_alive"), &open->has_keep_alive,
                              &open->keep_alive))
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "invalid keep_alive: give seconds, or a text as \"5m\"");
    return form->check ? form->check(request, err) : AERIE_OK;
}

/* A talk that nothing is under way of yet; takes `request` over. NULL: no memory. */
static talk *new_talk(ae_server *s, const ae_talk *like, json_t *request)
{
    talk *t = ae_alloc(1, sizeof *t);
    void *state = ae_alloc(1, like->form->state_bytes);
    if (!t || !state) {
        ae_free(t);
        ae_free(state);
        json_decref(request);
        return NULL;
    }
    t->open = *like;
    t->open.state = state;
    t->open.request = request;
    s->n_talks++;
    return t;
}

static bool wants_to_let_go(const ae_talk *t)
{
    return t->has_keep_alive && t->keep_alive == 0 && t->form->asks_nothing &&
           t->form->asks_nothing(t->request);
}

static void unload(talk *t)
{
    ae_talk *open = &t->open;
    ae_model_place p = { 0 };
    aerie_error err = { 0 };
    if (ae_models_find(open->server, open->model, &open->stored, &err) ||
        ae_models_place(&p, open->server, open->stored, open->model, open->request, &err))
        fail(t, &err);
    else {
        aerie_host_unload(open->server->host, p.place.key, NULL); /* one that is not open is fine */
        open->form->finish(open);
    }
    ae_models_place_free(&p);
    release(t);
}

void ae_talk_answer(ae_server *s, ae_exchange *x, const ae_talk_form *form)
{
    aerie_error err = { 0 };
    json_t *request;
    ae_talk open = { .server = s, .x = x, .form = form, .began = ae_clock_seconds() };
    if (!ae_read_json(&request, x, form->face)) return;
    if (read_request(&open, request, &err)) {
        ae_reply_failure(x, form->face, &err);
        json_decref(request);
        return;
    }
    talk *t = new_talk(s, &open, request);
    if (!t)
        ae_reply_error(x, form->face, 503, "no memory for one more request");
    else if (wants_to_let_go(&t->open))
        unload(t);
    else if (take_lease(t, t->open.model, t->open.request, &err)) {
        fail(t, &err);
        release(t);
    } else if (t->open.lease)
        begin(t);
}
