/* job.c -- jobs: their threads, their steps, and who hears of them. */
#include "serve/job.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { MOST_LONG = 32 };
static const double step_seconds = 0.06; /* between two steps that differ in a number alone */

typedef struct {
    char status[160], digest[80]; /* digest "": none */
    int64_t total, completed;
} step;

/* Somebody who asked. */
typedef struct listener {
    struct listener *next;
    ae_job *of;
    ae_exchange *x;
    bool stream;
} listener;

struct ae_job {
    ae_job *next;
    ae_server *server;
    ae_job_call call;
    char *key, *model; /* owned */
    ae_thread *thread;
    atomic_bool stop;
    listener *listeners;
    step last; /* what was told, on the loop's thread; status "": nothing yet */

    /* The thread's own, until its end is posted. */
    step said;
    double said_at;
    ae_post end_post;
    aerie_status status;
    aerie_error err;
};

/* ---- replies */

static json_t *step_json(const step *s)
{
    json_t *o = json_pack("{s:s}", "status", s->status);
    if (s->digest[0]) json_object_set_new(o, "digest", json_string(s->digest));
    if (s->total) json_object_set_new(o, "total", json_integer(s->total));
    if (s->completed) json_object_set_new(o, "completed", json_integer(s->completed));
    return o;
}

/* A number that waits to be read is out of date when the next one is there. */
static void tell(const listener *l, const step *s, bool is_new)
{
    if (!l->stream || (!is_new && ae_exchange_waiting(l->x) > AE_HTTPD_LOW_WATER)) return;
    ae_stream_send(l->x, AE_LINES, NULL, step_json(s));
}

static void reply_end(const ae_job *j, const listener *l)
{
    static const step success = { .status = "success" };
    int (*status_of)(aerie_status) = j->call.status_of ? j->call.status_of : ae_status_of;
    if (j->status == AERIE_NOT_FOUND && j->model)
        ae_reply_error(l->x, AE_FACE_OLLAMA, 404, "model '%s' not found", j->model);
    else if (j->status)
        ae_reply_error(l->x, AE_FACE_OLLAMA, status_of(j->status), "%s", j->err.message);
    else if (j->call.done_status)
        ae_exchange_reply(l->x, j->call.done_status, NULL, (ae_span){ "", 0 });
    else if (l->stream) {
        tell(l, &success, true);
        ae_exchange_end(l->x);
    } else
        ae_reply_json(l->x, 200, step_json(&success));
}

/* ---- who hears of it */

static void on_gone(void *user, ae_exchange *x)
{
    listener *l = user, **at = &l->of->listeners;
    ae_job *j = l->of;
    (void)x;
    while (*at != l) at = &(*at)->next;
    *at = l->next;
    ae_free(l);
    if (!j->listeners) atomic_store(&j->stop, true);
}

static bool listen_to(ae_job *j, ae_exchange *x, bool stream)
{
    listener *l = ae_alloc(1, sizeof *l);
    if (!l) return false;
    *l = (listener){ .next = j->listeners, .of = j, .x = x, .stream = stream };
    j->listeners = l;
    const ae_exchange_watcher watcher = { .gone = on_gone, .user = l };
    ae_exchange_watch(x, &watcher);
    if (j->last.status[0]) tell(l, &j->last, true);
    return true;
}

/* ---- steps, from the job's thread to the loop's */

typedef struct {
    ae_post post;
    ae_job *of;
    step step;
} carried_step;

static void on_step(void *user)
{
    carried_step *c = user;
    ae_job *j = c->of;
    bool is_new = strcmp(j->last.status, c->step.status) != 0;
    j->last = c->step;
    for (const listener *l = j->listeners; l; l = l->next) tell(l, &j->last, is_new);
    ae_free(c);
}

/* Whether it is worth telling: not what was just told, nor numbers in between. */
static bool is_news(const ae_job *j, const step *s, double now)
{
    if (strcmp(j->said.status, s->status) != 0 || strcmp(j->said.digest, s->digest) != 0)
        return true;
    if (j->said.completed == s->completed && j->said.total == s->total) return false;
    return s->completed == s->total || now - j->said_at >= step_seconds;
}

/* On the job's thread. */
static bool take_event(void *user, const aerie_store_event *e)
{
    ae_job *j = user;
    double now = ae_clock_seconds();
    step s = { .total = e->total, .completed = e->completed };
    snprintf(s.status, sizeof s.status, "%s", e->status);
    snprintf(s.digest, sizeof s.digest, "%s", e->digest ? e->digest : "");
    /* The end says so: a part of a job may succeed, and a client that reads of it leaves. */
    if (!strcmp(s.status, "success") || !is_news(j, &s, now)) return !atomic_load(&j->stop);
    carried_step *c = ae_alloc(1, sizeof *c);
    if (c) {
        j->said = s;
        j->said_at = now;
        *c = (carried_step){ .post = { .fn = on_step, .user = c }, .of = j, .step = s };
        ae_loop_post(j->server->loop, &c->post);
    }
    return !atomic_load(&j->stop);
}

/* ---- its life */

static void release(ae_job *j)
{
    ae_thread_join(j->thread);
    if (j->call.free) j->call.free(j->call.state);
    ae_free(j->key);
    ae_free(j->model);
    ae_free(j);
}

static void on_end(void *user)
{
    ae_job *j = user, **at = &j->server->jobs;
    ae_server *s = j->server;
    for (listener *l = j->listeners, *next; l; l = next) {
        next = l->next;
        reply_end(j, l);
        ae_free(l);
    }
    while (*at != j) at = &(*at)->next;
    *at = j->next;
    release(j);
    s->n_talks--;
    if (s->closing && s->n_talks == 0) ae_loop_stop(s->loop);
}

static void run(void *user)
{
    ae_job *j = user;
    j->status = j->call.run(j->call.state, take_event, j, &j->err);
    ae_loop_post(j->server->loop, &j->end_post);
}

static ae_job *find(const ae_server *s, const char *key)
{
    for (ae_job *j = s->jobs; j && key; j = j->next)
        if (j->key && !strcmp(j->key, key) && !atomic_load(&j->stop)) return j;
    return NULL;
}

/* Those that tell steps; the others are over soon, and a blob that has come whole is not refused.
 */
static bool is_long(const ae_job_call *call)
{
    return !call->done_status;
}

static size_t count_long(const ae_server *s)
{
    size_t n = 0;
    for (const ae_job *j = s->jobs; j; j = j->next) n += is_long(&j->call);
    return n;
}

/* NULL: there is no room for another one, now. */
static ae_job *make(ae_server *s, const ae_job_call *call)
{
    ae_job *j = !is_long(call) || count_long(s) < MOST_LONG ? ae_alloc(1, sizeof *j) : NULL;
    if (!j) return NULL;
    *j = (ae_job){ .server = s, .call = *call, .end_post = { .fn = on_end, .user = j } };
    j->key = call->key ? ae_strdup(call->key) : NULL;
    j->model = call->model ? ae_strdup(call->model) : NULL;
    if ((!call->key || j->key) && (!call->model || j->model)) return j;
    j->call.free = NULL; /* the caller's still */
    release(j);
    return NULL;
}

static void refuse(ae_exchange *x)
{
    ae_reply_error(x, AE_FACE_OLLAMA, 503,
                   "too many models are being fetched or made; please try again");
}

void ae_job_begin(ae_server *s, ae_exchange *x, const ae_job_call *call, bool stream)
{
    ae_job *j = find(s, call->key);
    if (j) {
        if (call->free) call->free(call->state);
        if (!listen_to(j, x, stream)) refuse(x);
        return;
    }
    j = make(s, call);
    if (!j || !listen_to(j, x, stream) || ae_thread_start(&j->thread, "job", run, j, NULL)) {
        if (j) {
            ae_free(j->listeners);
            release(j);
        } else if (call->free)
            call->free(call->state);
        refuse(x);
        return;
    }
    j->next = s->jobs;
    s->jobs = j;
    s->n_talks++;
}
