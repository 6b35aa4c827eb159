/* reply.c -- JSON in and out of exchanges. */
#include "serve/reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DEEPEST = 128 };

/* Brackets open at once at most, those in strings left out. */
static int depth_of(ae_span text)
{
    int depth = 0, deepest = 0;
    bool string = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (string) {
            if (c == '\\') i++;
            if (c == '"') string = false;
        } else if (c == '"')
            string = true;
        else if (c == '[' || c == '{') {
            if (++depth > deepest) deepest = depth;
        } else if (c == ']' || c == '}')
            depth--;
    }
    return deepest;
}

json_t *ae_json_of(ae_span text, aerie_error *err)
{
    json_error_t why;
    if (depth_of(text) > DEEPEST) {
        aerie_fail(err, AERIE_BAD_ARGUMENT, "the JSON is nested deeper than %d levels", DEEPEST);
        return NULL;
    }
    json_t *json = json_loadb(text.data ? text.data : "", text.len, 0, &why);
    if (!json)
        aerie_fail(err, AERIE_BAD_ARGUMENT, "this is not JSON (line %d, column %d): %s", why.line,
                   why.column, why.text);
    return json;
}

json_t *ae_text_json(ae_span text)
{
    json_t *json = json_stringn(text.len ? text.data : "", text.len);
    return json ? json : json_string("\xEF\xBF\xBD");
}

json_t *ae_json_object_of(ae_span text, aerie_error *err)
{
    json_t *json = ae_json_of(text, err);
    if (!json || json_is_object(json)) return json;
    aerie_fail(err, AERIE_BAD_ARGUMENT, "the request's body must be a JSON object");
    json_decref(json);
    return NULL;
}

bool ae_read_json(json_t **out, ae_exchange *x, ae_face face)
{
    ae_span body = ae_exchange_body(x);
    aerie_error err = { 0 };
    *out = body.len ? ae_json_object_of(body, &err) : NULL;
    if (!*out) ae_reply_error(x, face, 400, "%s", body.len ? err.message : "missing request body");
    return *out != NULL;
}

void ae_read_little(ae_server *s, ae_exchange *x, ae_span rest)
{
    (void)s, (void)rest;
    ae_exchange_body_most(x, (size_t)1 << 20);
}

/* Without the '\0'; "" after a failure. */
static ae_span dump(json_t *json, char **text)
{
    *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return ae_span_text(*text ? *text : "");
}

static const char content_type[] = "application/json; charset=utf-8";

void ae_reply_json(ae_exchange *x, int status, json_t *json)
{
    char *text;
    dump(json, &text);
    ae_reply_text(x, status, text);
}

void ae_reply_text(ae_exchange *x, int status, char *text)
{
    if (text)
        ae_exchange_reply(x, status, content_type, ae_span_text(text));
    else
        ae_exchange_reply(x, 500, content_type,
                          ae_span_text("{\"error\":\"no memory for the reply\"}"));
    free(text);
}

/* What clients tell errors apart by. NULL: as all others of the hundred. */
static const struct {
    int status;
    const char *openai, *anthropic;
} error_types[] = {
    { 401, "authentication_error", "authentication_error" },
    { 403, "permission_error", "permission_error" },
    { 404, "not_found_error", "not_found_error" },
    { 413, NULL, "request_too_large" },
    { 429, "unavailable_error", "rate_limit_error" },
    { 501, "not_supported_error", NULL },
    { 503, "unavailable_error", "overloaded_error" },
};

static const char *error_type(ae_face face, int status)
{
    bool openai = face == AE_FACE_OPENAI;
    const char *type = NULL;
    for (size_t i = 0; i < AE_COUNT(error_types); i++)
        if (error_types[i].status == status)
            type = openai ? error_types[i].openai : error_types[i].anthropic;
    if (type) return type;
    if (status < 500) return "invalid_request_error";
    return openai ? "server_error" : "api_error";
}

static json_t *error_json(ae_face face, int status, const char *code, const char *sentence)
{
    switch (face) {
    case AE_FACE_OPENAI:
        return json_pack("{s:{s:s, s:s, s:n, s:s?}}", "error", "message", sentence, "type",
                         error_type(face, status), "param", "code", code);
    case AE_FACE_ANTHROPIC:
        return json_pack("{s:s, s:{s:s, s:s}}", "type", "error", "error", "type",
                         error_type(face, status), "message", sentence);
    default:
        return json_pack("{s:s}", "error", sentence);
    }
}

static void fail_stream(ae_exchange *x, ae_face face, int status, const char *sentence)
{
    ae_stream_form form = face == AE_FACE_OLLAMA ? AE_LINES : AE_EVENTS;
    ae_stream_send(x, form, face == AE_FACE_ANTHROPIC ? "error" : NULL,
                   error_json(face, status, NULL, sentence));
    ae_exchange_end(x);
}

void ae_reply_too_long(ae_exchange *x, ae_face face, const char *sentence)
{
    ae_reply_json(x, 400, error_json(face, 400, "context_length_exceeded", sentence));
}

void ae_reply_error(ae_exchange *x, ae_face face, int status, const char *format, ...)
{
    char sentence[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    if (ae_exchange_begun(x)) {
        fail_stream(x, face, status, sentence);
        return;
    }
    if (status == 503) ae_exchange_field(x, "Retry-After", "1");
    ae_reply_json(x, status, error_json(face, status, NULL, sentence));
}

int ae_status_of(aerie_status status)
{
    switch (status) {
    case AERIE_OK:
        return 200;
    case AERIE_BAD_ARGUMENT:
    case AERIE_BAD_TEXT:
    case AERIE_UNSUPPORTED:
    case AERIE_TOO_LONG:
        return 400;
    case AERIE_NOT_FOUND:
        return 404;
    case AERIE_BUSY:
    case AERIE_NO_MEMORY:
        return 503;
    case AERIE_INTERRUPTED:
        return 499;
    default:
        return 500;
    }
}

void ae_reply_failure(ae_exchange *x, ae_face face, const aerie_error *err)
{
    ae_reply_error(x, face, ae_status_of(err->status), "%s", err->message);
}

void ae_stream_begin(ae_exchange *x, ae_stream_form form)
{
    if (ae_exchange_begun(x)) return;
    if (form == AE_EVENTS) ae_exchange_field(x, "Cache-Control", "no-cache");
    ae_exchange_begin(x, 200, form == AE_LINES ? "application/x-ndjson" : "text/event-stream");
}

void ae_stream_send(ae_exchange *x, ae_stream_form form, const char *event, json_t *json)
{
    ae_bytes out = { 0 };
    char *text;
    ae_span body = dump(json, &text);
    ae_stream_begin(x, form);
    if (event) ae_bytes_printf(&out, "event: %s\n", event);
    if (form == AE_EVENTS) ae_bytes_add_text(&out, "data: ");
    ae_bytes_add(&out, body.data, body.len);
    ae_bytes_add_text(&out, form == AE_EVENTS ? "\n\n" : "\n");
    /* One write: a client that reads by packets gets whole objects. */
    if (text && !out.failed) ae_exchange_write(x, ae_span_of(&out));
    free(text);
    ae_bytes_free(&out);
}

void ae_stream_text(ae_exchange *x, const char *text)
{
    ae_exchange_write(x, ae_span_text(text));
}

void ae_time_text(char out[40])
{
    struct timespec now;
    struct tm t;
    char seconds[24] = "";
    clock_gettime(CLOCK_REALTIME, &now);
    if (gmtime_r(&now.tv_sec, &t)) strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &t);
    snprintf(out, 40, "%s.%09uZ", seconds, (unsigned)now.tv_nsec % 1000000000u);
}
