/* routes_ollama_make.c -- Ollama's routes that bring models: /api/create, /api/pull, /api/push. */
#include "serve/job.h"
#include "serve/models.h"

#include <stdlib.h>
#include <string.h>

typedef aerie_status transfer_fn(const aerie_places *places, const char *model,
                                 const aerie_pull_options *options, aerie_error *err);

typedef struct {
    ae_server *server;
    json_t *request;   /* owned */
    const char *model; /* its */
    transfer_fn *fn;   /* NULL: it is made */
} work;

static void free_work(void *state)
{
    work *w = state;
    json_decref(w->request);
    ae_free(w);
}

static aerie_status run_transfer(void *state, aerie_store_fn *on_event, void *user,
                                 aerie_error *err)
{
    const work *w = state;
    const aerie_pull_options options = { .insecure =
                                             json_is_true(json_object_get(w->request, "insecure")),
                                         .on_event = on_event,
                                         .user = user };
    return w->fn(w->server->options->places, w->model, &options, err);
}

static aerie_status run_create(void *state, aerie_store_fn *on_event, void *user, aerie_error *err)
{
    const work *w = state;
    const aerie_create_options options = {
        .fetch = true, .threads = w->server->options->threads, .on_event = on_event, .user = user
    };
    char *text = json_dumps(w->request, JSON_COMPACT);
    aerie_status status =
        text ? aerie_store_create(w->server->options->places, w->model, text, &options, err)
             : aerie_fail(err, AERIE_NO_MEMORY, "no memory for the request");
    free(text);
    return status;
}

/* Whatever a model cannot be made of came with the request, or is named there. */
static int status_of_create(aerie_status status)
{
    return status == AERIE_BAD_FILE || status == AERIE_NOT_FOUND ? 400 : ae_status_of(status);
}

static work *read_work(ae_server *s, ae_exchange *x)
{
    json_t *request;
    const char *model;
    if (!ae_models_read(&request, &model, x)) return NULL;
    const json_t *stream = json_object_get(request, "stream");
    if (stream && !json_is_boolean(stream) && !json_is_null(stream)) {
        json_decref(request);
        ae_reply_error(x, AE_FACE_OLLAMA, 400, "stream must be true or false");
        return NULL;
    }
    work *w = ae_alloc(1, sizeof *w);
    if (w) {
        *w = (work){ .server = s, .request = request, .model = model };
        return w;
    }
    json_decref(request);
    ae_reply_error(x, AE_FACE_OLLAMA, 503, "no memory for one more request");
    return NULL;
}

static bool is_streamed(const work *w)
{
    return !json_is_false(json_object_get(w->request, "stream"));
}

/* Two that want one model of one place share the work. */
static void transfer(ae_server *s, ae_exchange *x, const char *verb, transfer_fn *fn)
{
    ae_bytes key = { 0 };
    work *w = read_work(s, x);
    if (!w) return;
    w->fn = fn;
    ae_bytes_printf(&key, "%s %s %s", verb,
                    json_is_true(json_object_get(w->request, "insecure")) ? "http" : "https",
                    w->model);
    const ae_job_call call = {
        .key = key.failed ? NULL : key.data, .run = run_transfer, .state = w, .free = free_work
    };
    ae_job_begin(s, x, &call, is_streamed(w));
    ae_bytes_free(&key);
}

static void pull(ae_server *s, ae_exchange *x, ae_span rest)
{
    (void)rest;
    transfer(s, x, "pull", aerie_store_pull);
}

static void push(ae_server *s, ae_exchange *x, ae_span rest)
{
    (void)rest;
    /* What is in the store would be anybody's to send anywhere. */
    if (s->options->no_key && !s->options->n_keys)
        ae_reply_error(x, AE_FACE_OLLAMA, 403,
                       "this server sends no models away, since it asks nobody for a key");
    else
        transfer(s, x, "push", aerie_store_push);
}

static void create(ae_server *s, ae_exchange *x, ae_span rest)
{
    work *w = read_work(s, x);
    (void)rest;
    if (!w) return;
    const ae_job_call call = {
        .run = run_create, .state = w, .free = free_work, .status_of = status_of_create
    };
    ae_job_begin(s, x, &call, is_streamed(w));
}

const ae_route ae_routes_ollama_make[] = {
    { "POST", "/api/create", create, AE_FACE_OLLAMA, false, ae_read_little },
    { "POST", "/api/pull", pull, AE_FACE_OLLAMA, false, ae_read_little },
    { "POST", "/api/push", push, AE_FACE_OLLAMA, false, ae_read_little },
};
const size_t ae_n_routes_ollama_make = AE_COUNT(ae_routes_ollama_make);
