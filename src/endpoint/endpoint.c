/* endpoint.c -- requests to a server that speaks OpenAI's protocol. */
#include "endpoint/endpoint.h"

#include <stdlib.h>
#include <string.h>

enum { RETRIES = 8, TIMEOUT_SECONDS = 300, RETRY_SECONDS = 1 };

struct ae_endpoint {
    ae_endpoint_options with; /* its texts are those below */
    ae_bytes url, bearer;     /* url: without "/chat/completions" */
    json_t *over;
    ae_http_header headers[2];
    ae_http *http; /* while something is under way */
};

static void take_url(ae_endpoint *e, const char *url)
{
    static const char end[] = "/chat/completions";
    size_t len = strlen(url), n = sizeof end - 1;

    while (len > 0 && url[len - 1] == '/') len--;
    if (len >= n && !memcmp(url + len - n, end, n)) len -= n;
    ae_bytes_add(&e->url, url, len);
}

static aerie_status fill_in(ae_endpoint *e, const ae_endpoint_options *o, aerie_error *err)
{
    e->with = *o;
    if (o->max_retries == 0) e->with.max_retries = RETRIES;
    if (o->max_retries < 0) e->with.max_retries = 0;
    if (o->retry_seconds <= 0) e->with.retry_seconds = RETRY_SECONDS;
    if (o->timeout_seconds <= 0) e->with.timeout_seconds = TIMEOUT_SECONDS;
    take_url(e, o->url);
    if (o->key) ae_bytes_printf(&e->bearer, "Bearer %s", o->key);
    if (e->url.failed || e->bearer.failed)
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a server's address");
    e->headers[0] = (ae_http_header){ "Content-Type", "application/json" };
    e->headers[1] = (ae_http_header){ "Authorization", e->bearer.data };
    e->over = o->request ? json_loads(o->request, 0, NULL) : NULL;
    if (o->request && !json_is_object(e->over))
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "what is laid over a request is no JSON object: %.100s", o->request);
    return AERIE_OK;
}

aerie_status ae_endpoint_open(ae_endpoint **out, const ae_endpoint_options *options,
                              aerie_error *err)
{
    ae_endpoint *e = ae_alloc(1, sizeof *e);
    aerie_status status;

    *out = NULL;
    if (!e) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a server's address");
    status = fill_in(e, options, err);
    if (status)
        ae_endpoint_close(e);
    else
        *out = e;
    return status;
}

void ae_endpoint_close(ae_endpoint *e)
{
    if (!e) return;
    ae_endpoint_drop(e);
    ae_bytes_free(&e->url);
    ae_bytes_free(&e->bearer);
    json_decref(e->over);
    ae_free(e);
}

/* ---- asking ---- */

void ae_endpoint_call_free(ae_endpoint_call *call)
{
    free(call->body);
    ae_free((char *)(uintptr_t)call->request.url);
    *call = (ae_endpoint_call){ 0 };
}

static void lay_over(json_t *body, json_t *over)
{
    const char *key;
    json_t *value;

    json_object_foreach(over, key, value)
    {
        if (json_is_null(value))
            json_object_del(body, key);
        else
            json_object_set(body, key, value);
    }
}

static aerie_status start(ae_endpoint *e, const ae_endpoint_call *call, void *user,
                          aerie_error *err)
{
    const ae_http_options options = { .stop = e->with.stop, .stop_user = e->with.stop_user };
    aerie_status status = e->http ? AERIE_OK : ae_http_open(&e->http, &options, err);

    return status ? status : ae_http_start(e->http, &call->request, user, err);
}

aerie_status ae_endpoint_send(ae_endpoint *e, ae_endpoint_call *call, const char *path,
                              json_t *body, ae_http_sink *sink, void *user, aerie_error *err)
{
    ae_bytes url = { 0 };

    ae_endpoint_call_free(call);
    if (body) lay_over(body, e->over);
    call->body = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    ae_bytes_printf(&url, "%s/%s", e->url.data ? e->url.data : "", path);
    if (!call->body || url.failed) {
        ae_bytes_free(&url);
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a request");
    }
    call->request = (ae_http_request){ .method = "POST",
                                       .url = url.data,
                                       .headers = e->headers,
                                       .n_headers = e->bearer.data ? 2 : 1,
                                       .body = call->body,
                                       .body_len = strlen(call->body),
                                       .sink = sink,
                                       .sink_user = user,
                                       .max_bytes = e->with.max_bytes,
                                       .stall_seconds = e->with.timeout_seconds,
                                       .max_retries = e->with.max_retries,
                                       .retry_seconds = e->with.retry_seconds };
    return start(e, call, user, err);
}

bool ae_endpoint_wait(ae_endpoint *e, ae_http_done *done)
{
    return e->http && ae_http_wait(e->http, -1, done);
}

void ae_endpoint_drop(ae_endpoint *e)
{
    ae_http_close(e->http);
    e->http = NULL;
}

/* ---- answers ---- */

const json_t *ae_endpoint_text(const json_t *choice)
{
    const json_t *message = json_object_get(choice, "delta");
    const json_t *text;

    if (!message) message = json_object_get(choice, "message");
    text = message ? json_object_get(message, "content") : json_object_get(choice, "text");
    return json_is_string(text) ? text : NULL;
}

void ae_endpoint_usage(const json_t *answer, int64_t *prompt_tokens, int64_t *reply_tokens)
{
    const json_t *usage = json_object_get(answer, "usage");

    if (!json_is_object(usage)) return;
    *prompt_tokens = json_integer_value(json_object_get(usage, "prompt_tokens"));
    *reply_tokens = json_integer_value(json_object_get(usage, "completion_tokens"));
}

bool ae_endpoint_refuses_one(int http_status)
{
    return http_status == 400 || http_status == 413 || http_status == 422;
}

aerie_status ae_endpoint_unlike(const ae_endpoint *e, const ae_bytes *body, aerie_error *err)
{
    return aerie_fail(err, AERIE_BAD_TEXT,
                      "%s answers, but not as OpenAI's chat/completions do: there is no 'choices' "
                      "in it; is the address right? (%.80s)",
                      e->url.data, body->data ? body->data : "");
}
