/* routes_ollama_store.c -- Ollama's routes about models as they lie in the store, and those open.
 */
#include "serve/job.h"
#include "serve/models.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static void reply_failure(ae_exchange *x, const char *model, const aerie_error *err)
{
    if (err->status == AERIE_NOT_FOUND)
        ae_reply_error(x, AE_FACE_OLLAMA, 404, "model '%s' not found", model);
    else
        ae_reply_failure(x, AE_FACE_OLLAMA, err);
}

/* Text that is JSON already; the library's. */
static void reply_text(ae_exchange *x, char *json)
{
    ae_exchange_reply(x, 200, "application/json; charset=utf-8", ae_span_text(json));
    aerie_free(json);
}

static void list(ae_server *s, ae_exchange *x, ae_span rest)
{
    char *json;
    aerie_error err = { 0 };
    (void)rest;
    if (aerie_store_list(s->options->places, &json, &err))
        ae_reply_failure(x, AE_FACE_OLLAMA, &err);
    else
        reply_text(x, json);
}

static void show(ae_server *s, ae_exchange *x, ae_span rest)
{
    json_t *request;
    const char *model;
    char *json;
    aerie_error err = { 0 };
    (void)rest;
    if (!ae_models_read(&request, &model, x)) return;
    bool verbose = json_is_true(json_object_get(request, "verbose"));
    if (aerie_store_show(s->options->places, model, true, verbose, &json, &err))
        reply_failure(x, model, &err);
    else
        reply_text(x, json);
    json_decref(request);
}

/* ---- changed: the store's lock may be another's for a while, so the loop does not wait for it */

typedef struct {
    const aerie_places *places;
    json_t *request;       /* owned */
    const char *from, *to; /* its; to NULL: removed */
} change;

static aerie_status run_change(void *state, aerie_store_fn *on_event, void *user, aerie_error *err)
{
    const change *c = state;
    (void)on_event, (void)user;
    return c->to ? aerie_store_copy(c->places, c->from, c->to, err)
                 : aerie_store_delete(c->places, c->from, err);
}

static void free_change(void *state)
{
    change *c = state;
    json_decref(c->request);
    ae_free(c);
}

/* Takes the request over. */
static void begin_change(ae_server *s, ae_exchange *x, json_t *request, const char *from,
                         const char *to)
{
    change *c = ae_alloc(1, sizeof *c);
    if (!c) {
        json_decref(request);
        ae_reply_error(x, AE_FACE_OLLAMA, 503, "no memory for one more request");
        return;
    }
    *c = (change){ s->options->places, request, from, to };
    const ae_job_call call = {
        .run = run_change, .state = c, .free = free_change, .model = from, .done_status = 200
    };
    ae_job_begin(s, x, &call, false);
}

static void copy(ae_server *s, ae_exchange *x, ae_span rest)
{
    json_t *request;
    (void)rest;
    if (!ae_read_json(&request, x, AE_FACE_OLLAMA)) return;
    const char *from = json_string_value(json_object_get(request, "source")),
               *to = json_string_value(json_object_get(request, "destination"));
    if (from && *from && to && *to) {
        begin_change(s, x, request, from, to);
        return;
    }
    json_decref(request);
    ae_reply_error(x, AE_FACE_OLLAMA, 400, "source and destination are required");
}

static void delete (ae_server *s, ae_exchange *x, ae_span rest)
{
    json_t *request;
    const char *model;
    (void)rest;
    if (ae_models_read(&request, &model, x)) begin_change(s, x, request, model, NULL);
}

/* ---- /api/ps */

typedef struct {
    ae_server *server;
    json_t *models;
} open_list;

static void time_from_now(char out[40], double seconds)
{
    time_t when = time(NULL) + (time_t)seconds;
    struct tm t;
    /* For ever is what Ollama's clients take for it: some three hundred years. */
    if (seconds < 0 || seconds > 9e9) when = time(NULL) + (time_t)9e9;
    out[0] = '\0';
    if (gmtime_r(&when, &t)) strftime(out, 40, "%Y-%m-%dT%H:%M:%SZ", &t);
}

static void add_open(void *user, const aerie_place_info *info)
{
    open_list *l = user;
    char expires[40], *text = NULL;
    if (info->state != AERIE_PLACE_OPEN || info->is_beneath) return;
    json_t *shown = NULL;
    const char *last = strrchr(info->name, '/'), *tag = strchr(last ? last : info->name, ':');
    /* Without the adapters that requests had laid over it. */
    char *model = ae_strndup(info->name, strcspn(info->name, "+"));
    time_from_now(expires, info->seconds_left);
    if (model && !aerie_store_show(l->server->options->places, model, true, false, &text, NULL))
        shown = json_loads(text, 0, NULL);
    ae_free(model);
    /* A model without a manifest is known to the host by its path, which is nobody's to read. */
    json_t *name = json_sprintf("%s%s", info->name, tag ? "" : ":latest");
    json_t *one = json_pack("{s:O, s:o, s:I, s:O?, s:O?, s:s, s:i, s:I}", "name", name, "model",
                            name, "size", (json_int_t)(info->bytes + info->base_bytes), "digest",
                            json_object_get(shown, "digest"), "details",
                            json_object_get(shown, "details"), "expires_at", expires, "size_vram",
                            0, "context_length", (json_int_t)info->context);
    json_array_append_new(l->models, one);
    json_decref(shown);
    aerie_free(text);
}

static void open_models(ae_server *s, ae_exchange *x, ae_span rest)
{
    open_list l = { s, json_array() };
    (void)rest;
    aerie_host_list(s->host, add_open, &l);
    ae_reply_json(x, 200, json_pack("{s:o}", "models", l.models));
}

/* ---- blobs: bodies of gigabytes go to the store as they come */

static bool copy_digest(char out[128], ae_span digest)
{
    if (digest.len >= 128) return false;
    memcpy(out, digest.data, digest.len);
    out[digest.len] = '\0';
    /* Ollama's clients write either sign. */
    if (!strncmp(out, "sha256-", 7)) out[6] = ':';
    return true;
}

static void has_blob(ae_server *s, ae_exchange *x, ae_span rest)
{
    char digest[128] = "";
    aerie_error err = { 0 };
    aerie_status status = copy_digest(digest, rest)
                              ? aerie_blob_exists(s->options->places, digest, &err)
                              : aerie_fail(&err, AERIE_BAD_ARGUMENT, "invalid digest format");
    if (status)
        ae_reply_failure(x, AE_FACE_OLLAMA, &err);
    else
        ae_exchange_reply(x, 200, NULL, (ae_span){ "", 0 });
}

typedef struct {
    ae_server *server;
    aerie_blob *blob;
} upload;

static void end_upload(upload *u)
{
    aerie_blob_abandon(u->blob);
    ae_free(u);
}

static bool blob_data(void *user, ae_exchange *x, ae_span bytes)
{
    upload *u = user;
    aerie_error err = { 0 };
    if (!aerie_blob_add(u->blob, bytes.data, bytes.len, &err)) return true;
    end_upload(u);
    ae_reply_failure(x, AE_FACE_OLLAMA, &err);
    return false;
}

/* The disk takes its time over gigabytes. */
static aerie_status run_finish(void *state, aerie_store_fn *on_event, void *user, aerie_error *err)
{
    upload *u = state;
    aerie_blob *blob = u->blob;
    (void)on_event, (void)user;
    u->blob = NULL;
    return aerie_blob_finish(blob, err);
}

static void free_upload(void *state)
{
    end_upload(state);
}

static int status_of_upload(aerie_status status)
{
    return status == AERIE_BAD_FILE ? 400 : ae_status_of(status);
}

static void blob_end(void *user, ae_exchange *x, bool whole)
{
    upload *u = user;
    const ae_job_call call = { .run = run_finish,
                               .state = u,
                               .free = free_upload,
                               .status_of = status_of_upload,
                               .done_status = 201 };
    if (whole)
        ae_job_begin(u->server, x, &call, false);
    else
        end_upload(u);
}

static void take_blob(ae_server *s, ae_exchange *x, ae_span rest)
{
    enum { MOST = 1 }; /* TiB */
    char digest[128] = "";
    upload *u = NULL;
    aerie_error err = { 0 };
    aerie_status status = copy_digest(digest, rest)
                              ? aerie_blob_exists(s->options->places, digest, &err)
                              : aerie_fail(&err, AERIE_BAD_ARGUMENT, "invalid digest format");
    if (!status) {
        ae_exchange_reply(x, 200, NULL, (ae_span){ "", 0 });
        return;
    }
    err = status == AERIE_NOT_FOUND ? (aerie_error){ 0 } : err;
    if (status == AERIE_NOT_FOUND && !(u = ae_alloc(1, sizeof *u)))
        status = aerie_fail(&err, AERIE_NO_MEMORY, "no memory for one more request");
    if (status == AERIE_NOT_FOUND)
        status = aerie_blob_begin(&u->blob, s->options->places, digest, &err);
    if (status) {
        ae_free(u);
        ae_reply_failure(x, AE_FACE_OLLAMA, &err);
        return;
    }
    u->server = s;
    const ae_body_sink sink = { blob_data, blob_end, u };
    ae_exchange_sink(x, &sink, (uint64_t)MOST << 40);
}

/* A body of no bytes never comes to its sink. */
static void no_blob(ae_server *s, ae_exchange *x, ae_span rest)
{
    (void)s, (void)rest;
    ae_reply_error(x, AE_FACE_OLLAMA, 400, "missing request body");
}

const ae_route ae_routes_ollama_store[] = {
    { "GET", "/api/tags", list, AE_FACE_OLLAMA, false, NULL },
    { "POST", "/api/show", show, AE_FACE_OLLAMA, false, ae_read_little },
    { "POST", "/api/copy", copy, AE_FACE_OLLAMA, false, ae_read_little },
    { "DELETE", "/api/delete", delete, AE_FACE_OLLAMA, false, ae_read_little },
    { "GET", "/api/ps", open_models, AE_FACE_OLLAMA, false, NULL },
    { "GET", "/api/blobs/:rest", has_blob, AE_FACE_OLLAMA, false, NULL },
    { "POST", "/api/blobs/:rest", no_blob, AE_FACE_OLLAMA, false, take_blob },
};
const size_t ae_n_routes_ollama_store = AE_COUNT(ae_routes_ollama_store);
