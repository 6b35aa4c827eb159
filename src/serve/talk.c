/* talk.c -- requests that models answer: read, given a lease, asked, and released. */
#include "serve/talk_private.h"

#include "serve/models.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LARGE = 64 << 10,            /* bytes of a body that are read, and made prompts of, beside the
                                  * loop: what is smaller takes it two milliseconds at most */
    MOST_LARGE_BYTES = 512 << 20 /* of large ones that are under way together */
};

/* ---- its end */

/* What a large request was read into takes its time to free, too. */
static void free_contents(void *user)
{
    talk *t = user;
    json_decref(t->open.request);
    if (t->open.form->free) t->open.form->free(t->open.state);
    ae_free(t->open.state);
    ae_bytes_free(&t->body);
    free(t->reply);
}

static void free_talk(void *user)
{
    talk *t = user;
    ae_server *s = t->open.server;
    s->n_talks--;
    s->large_bytes -= t->large_bytes;
    ae_free(t);
    if (s->closing && s->n_talks == 0) ae_loop_stop(s->loop);
}

void ae_talk_release(talk *t)
{
    for (talk_ask *a = t->asks, *next; a; a = next) {
        next = a->next;
        ae_free(a);
    }
    aerie_lease_release(t->open.lease);
    aerie_stored_free(t->open.stored);
    t->work = (ae_work){ .run = free_contents, .done = free_talk, .user = t };
    if (t->is_large) {
        ae_workers_give(t->open.server->workers, &t->work);
        return;
    }
    free_contents(t);
    free_talk(t);
}

bool ae_talk_at_rest(const talk *t)
{
    return !t->is_away && !t->awaits_lease && t->n_live == 0;
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
    if (t->is_away) {
        atomic_store(&t->was_left, true);
        return;
    }
    cancel_all(t);
    if (ae_talk_at_rest(t)) ae_talk_release(t);
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
    talk *t = (talk *)open;
    if (t->is_away) {
        t->has_reply = true;
        t->reply = json_dumps(json, JSON_COMPACT);
        json_decref(json);
        return;
    }
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

static void on_drained(void *user, ae_exchange *x)
{
    (void)x;
    ae_talk_go_on(user);
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

aerie_status ae_talk_ask(ae_talk *open, const aerie_ask *ask, aerie_asked *asked, aerie_error *err)
{
    talk *t = (talk *)open;
    aerie_asked ignored;
    if (atomic_load(&t->was_left))
        return aerie_fail(err, AERIE_INTERRUPTED, "nobody waits for the reply");
    talk_ask *a = ae_alloc(1, sizeof *a);
    if (!a) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for one more request");
    if (!asked) asked = &ignored;
    *a = (talk_ask){ .next = t->asks, .of = t, .number = t->n_asks };
    aerie_ask with = *ask;
    with.adapter = aerie_lease_adapter(open->lease);
    aerie_status status =
        aerie_engine_ask(aerie_lease_engine(open->lease), &with, ae_talk_on_event, a, asked, err);
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

static void fail(talk *t, const aerie_error *err)
{
    ae_exchange *x = t->open.x;
    if (err->status == AERIE_TOO_LONG && x && !ae_exchange_begun(x)) {
        let_go(&t->open);
        ae_reply_too_long(x, t->open.form->face, err->message);
    } else
        ae_talk_fail(&t->open, ae_status_of(err->status), err->message);
}

/* ---- steps, here or on a worker's thread */

static void send_away(talk *t, ae_loop_fn *run, ae_loop_fn *back)
{
    t->is_away = true;
    t->open.server->n_away++;
    t->work = (ae_work){ .run = run, .done = back, .user = t };
    ae_workers_give(t->open.server->workers, &t->work);
}

static void take_back(talk *t)
{
    t->is_away = false;
    t->open.server->n_away--;
}

static void take_step(void *user)
{
    talk *t = user;
    if (!atomic_load(&t->was_left)) t->status = t->next(&t->open, &t->err);
}

static void send_reply(talk *t)
{
    ae_exchange *x = let_go(&t->open);
    ae_reply_text(x, 200, t->reply);
    t->reply = NULL;
}

/* What a step has come to, told to the client. */
static void end_step(talk *t)
{
    const ae_exchange_watcher watcher = { on_gone, on_drained, on_silent, t };
    if (t->open.x && t->status)
        fail(t, &t->err);
    else if (t->open.x && t->has_reply)
        send_reply(t);
    if (t->open.x) ae_exchange_watch(t->open.x, &watcher);
    if (!ae_talk_at_rest(t)) return;
    if (t->open.x) {
        t->open.form->finish(&t->open);
        t->open.x = NULL;
    }
    ae_talk_release(t);
}

static void on_step_taken(void *user)
{
    talk *t = user;
    take_back(t);
    if (!t->open.x) cancel_all(t);
    bool has_events = t->held; /* then there is an ask, and end_step() does not release the talk */
    end_step(t);
    if (has_events) ae_talk_let_events_in(t);
}

static void begin(talk *t)
{
    t->status = AERIE_OK;
    t->err = (aerie_error){ 0 };
    if (t->is_large)
        send_away(t, take_step, on_step_taken);
    else {
        take_step(t);
        end_step(t);
    }
}

aerie_status ae_talk_then(ae_talk *open, ae_talk_step *step, aerie_error *err)
{
    talk *t = (talk *)open;
    if (!t->is_large) return step(open, err);
    t->next = step;
    begin(t);
    return AERIE_OK;
}

/* ---- from a name to a lease */

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
    ae_talk_release(t);
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

aerie_status ae_talk_move(ae_talk *open, const char *model, ae_talk_step *step, aerie_error *err)
{
    talk *t = (talk *)open;
    aerie_lease_release(open->lease);
    aerie_stored_free(open->stored);
    open->lease = NULL;
    open->stored = NULL;
    t->next = step;
    t->is_large = true; /* what was asked comes again, with each of its replies */
    aerie_status status = take_lease(t, model, NULL, err);
    return status || !open->lease ? status : ae_talk_then(open, step, err);
}

static aerie_status read_request(ae_talk *open, const json_t *request, aerie_error *err)
{
    const ae_talk_form *form = open->form;
    const char *model = json_string_value(json_object_get(request, "model"));
    const json_t *stream = json_object_get(request, "stream");
    if (!model || !*model) return aerie_fail(err, AERIE_BAD_ARGUMENT, "model is required");
    if (stream && !json_is_boolean(stream) && !json_is_null(stream))
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "stream must be true or false");
    snprintf(open->model, sizeof open->model, "%s", model);
    open->stream = form->streams ? !json_is_false(stream) : json_is_true(stream);
    if (!ae_models_keep_alive(json_object_get(request, "keep_alive"), &open->has_keep_alive,
                              &open->keep_alive))
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "invalid keep_alive: give seconds, or a text as \"5m\"");
    return form->check ? form->check(request, err) : AERIE_OK;
}

/* A talk that nothing is under way of yet. NULL: no memory. */
static talk *new_talk(ae_server *s, ae_exchange *x, const ae_talk_form *form)
{
    talk *t = ae_alloc(1, sizeof *t);
    void *state = ae_alloc(1, form->state_bytes);
    if (!t || !state) {
        ae_free(t);
        ae_free(state);
        return NULL;
    }
    t->open = (ae_talk){ .server = s,
                         .x = x,
                         .id = ae_exchange_id(x),
                         .form = form,
                         .state = state,
                         .began = ae_clock_seconds() };
    t->next = form->begin;
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
    ae_talk_release(t);
}

static void find_model(talk *t)
{
    aerie_error err = { 0 };
    if (wants_to_let_go(&t->open))
        unload(t);
    else if (take_lease(t, t->open.model, t->open.request, &err)) {
        fail(t, &err);
        ae_talk_release(t);
    } else if (t->open.lease)
        begin(t);
}

static void read_text(talk *t, ae_span text)
{
    t->open.request = ae_json_object_of(text, &t->err);
    t->status = t->open.request ? read_request(&t->open, t->open.request, &t->err) : t->err.status;
}

/* Once it was read. */
static void go_on(talk *t)
{
    if (t->open.x && !t->status) {
        find_model(t);
        return;
    }
    if (t->open.x) fail(t, &t->err);
    ae_talk_release(t);
}

static void read_body(void *user)
{
    talk *t = user;
    if (!atomic_load(&t->was_left)) read_text(t, ae_span_of(&t->body));
    ae_bytes_free(&t->body);
}

static void on_body_read(void *user)
{
    take_back(user);
    go_on(user);
}

static void read_beside(talk *t)
{
    const ae_exchange_watcher watcher = { .gone = on_gone, .user = t };
    t->body = ae_exchange_take_body(t->open.x);
    t->is_large = true;
    t->large_bytes = t->body.len;
    t->open.server->large_bytes += t->large_bytes;
    ae_exchange_watch(t->open.x, &watcher);
    send_away(t, read_body, on_body_read);
}

void ae_talk_answer(ae_server *s, ae_exchange *x, const ae_talk_form *form)
{
    ae_span body = ae_exchange_body(x);
    if (body.len == 0) {
        ae_reply_error(x, form->face, 400, "missing request body");
        return;
    }
    if (body.len > LARGE && s->large_bytes && s->large_bytes + body.len > MOST_LARGE_BYTES) {
        ae_reply_error(x, form->face, 503,
                       "too many large requests are being answered; please try again");
        return;
    }
    talk *t = new_talk(s, x, form);
    if (!t)
        ae_reply_error(x, form->face, 503, "no memory for one more request");
    else if (body.len > LARGE)
        read_beside(t);
    else {
        read_text(t, body);
        go_on(t);
    }
}
