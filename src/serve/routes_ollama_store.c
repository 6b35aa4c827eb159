/* routes_ollama_store.c -- Ollama's routes about models as they lie in the store, and those open.
 */
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

/* The `model` of a request, or its older name `name`. False: there is none; it was replied. */
static bool read_model(json_t **request, const char **model, ae_exchange *x)
{
    if (!ae_read_json(request, x, AE_FACE_OLLAMA)) return false;
    *model = json_string_value(json_object_get(*request, "model"));
    if (!*model || !**model) *model = json_string_value(json_object_get(*request, "name"));
    if (*model && **model) return true;
    json_decref(*request);
    ae_reply_error(x, AE_FACE_OLLAMA, 400, "model is required");
    return false;
}

static void show(ae_server *s, ae_exchange *x, ae_span rest)
{
    json_t *request;
    const char *model;
    char *json;
    aerie_error err = { 0 };
    (void)rest;
    if (!read_model(&request, &model, x)) return;
    bool verbose = json_is_true(json_object_get(request, "verbose"));
    if (aerie_store_show(s->options->places, model, true, verbose, &json, &err))
        reply_failure(x, model, &err);
    else
        reply_text(x, json);
    json_decref(request);
}

static void copy(ae_server *s, ae_exchange *x, ae_span rest)
{
    json_t *request;
    aerie_error err = { 0 };
    (void)rest;
    if (!ae_read_json(&request, x, AE_FACE_OLLAMA)) return;
    const char *from = json_string_value(json_object_get(request, "source")),
               *to = json_string_value(json_object_get(request, "destination"));
    if (!from || !*from || !to || !*to)
        ae_reply_error(x, AE_FACE_OLLAMA, 400, "source and destination are required");
    else if (aerie_store_copy(s->options->places, from, to, &err))
        reply_failure(x, from, &err);
    else
        ae_exchange_reply(x, 200, NULL, (ae_span){ "", 0 });
    json_decref(request);
}

static void delete (ae_server *s, ae_exchange *x, ae_span rest)
{
    json_t *request;
    const char *model;
    aerie_error err = { 0 };
    (void)rest;
    if (!read_model(&request, &model, x)) return;
    if (aerie_store_delete(s->options->places, model, &err))
        reply_failure(x, model, &err);
    else
        ae_exchange_reply(x, 200, NULL, (ae_span){ "", 0 });
    json_decref(request);
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
    if (info->state != AERIE_PLACE_OPEN) return;
    json_t *shown = NULL, *details = NULL;
    time_from_now(expires, info->seconds_left);
    if (!aerie_store_show(l->server->options->places, info->name, true, false, &text, NULL))
        shown = json_loads(text, 0, NULL);
    details = json_object_get(shown, "details");
    json_t *one = json_pack("{s:s, s:s, s:I, s:s, s:O, s:s, s:i, s:I}", "name", info->name, "model",
                            info->name, "size", (json_int_t)info->bytes, "digest", info->key,
                            "details", details ? details : json_null(), "expires_at", expires,
                            "size_vram", 0, "context_length", (json_int_t)info->context);
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

static bool blob_data(void *user, ae_exchange *x, ae_span bytes)
{
    aerie_error err = { 0 };
    if (!aerie_blob_add(user, bytes.data, bytes.len, &err)) return true;
    aerie_blob_abandon(user);
    ae_reply_failure(x, AE_FACE_OLLAMA, &err);
    return false;
}

static void blob_end(void *user, ae_exchange *x, bool whole)
{
    aerie_error err = { 0 };
    if (!whole)
        aerie_blob_abandon(user);
    else if (!aerie_blob_finish(user, &err))
        ae_exchange_reply(x, 201, NULL, (ae_span){ "", 0 });
    else if (err.status == AERIE_BAD_FILE)
        ae_reply_error(x, AE_FACE_OLLAMA, 400, "%s", err.message);
    else
        ae_reply_failure(x, AE_FACE_OLLAMA, &err);
}

static void take_blob(ae_server *s, ae_exchange *x, ae_span rest)
{
    enum { MOST = 1 }; /* TiB */
    char digest[128] = "";
    aerie_blob *blob;
    aerie_error err = { 0 };
    aerie_status status = copy_digest(digest, rest)
                              ? aerie_blob_exists(s->options->places, digest, &err)
                              : aerie_fail(&err, AERIE_BAD_ARGUMENT, "invalid digest format");
    if (!status) {
        ae_exchange_reply(x, 200, NULL, (ae_span){ "", 0 });
        return;
    }
    err = status == AERIE_NOT_FOUND ? (aerie_error){ 0 } : err;
    if (status == AERIE_NOT_FOUND)
        status = aerie_blob_begin(&blob, s->options->places, digest, &err);
    if (status) {
        ae_reply_failure(x, AE_FACE_OLLAMA, &err);
        return;
    }
    const ae_body_sink sink = { blob_data, blob_end, blob };
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
    { "POST", "/api/show", show, AE_FACE_OLLAMA, false, NULL },
    { "POST", "/api/copy", copy, AE_FACE_OLLAMA, false, NULL },
    { "DELETE", "/api/delete", delete, AE_FACE_OLLAMA, false, NULL },
    { "GET", "/api/ps", open_models, AE_FACE_OLLAMA, false, NULL },
    { "GET", "/api/blobs/:rest", has_blob, AE_FACE_OLLAMA, false, NULL },
    { "POST", "/api/blobs/:rest", no_blob, AE_FACE_OLLAMA, false, take_blob },
};
const size_t ae_n_routes_ollama_store = AE_COUNT(ae_routes_ollama_store);
