/* client.c -- requests to a server of models. */
#include "aerie/client.h"

#include "aerie/model.h"
#include "client/address.h"
#include "http/http.h"

#include <jansson.h>
#include <string.h>

enum { MOST_REPLY = 256 << 20, MOST_LINE = 64 << 20 };

struct aerie_client {
    ae_address at;
    ae_bytes url, authorization;
    aerie_client_options options; /* host and api_key are NULL: they are the two above */
    ae_http *http; /* NULL before the first request: starting libcurl takes a while */
};

aerie_status aerie_client_open(aerie_client **out, const aerie_client_options *options,
                               aerie_error *err)
{
    static const aerie_client_options none = { 0 };
    const aerie_client_options *o = options ? options : &none;
    *out = NULL;
    aerie_client *c = ae_alloc(1, sizeof *c);
    if (!c) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a client");
    aerie_status status = ae_address_read(&c->at, o->host, err);
    if (!status) {
        ae_address_write(&c->url, &c->at);
        if (o->api_key && *o->api_key) ae_bytes_printf(&c->authorization, "Bearer %s", o->api_key);
        status = ae_bytes_status(&c->url, err);
    }
    if (!status) status = ae_bytes_status(&c->authorization, err);
    c->options = (aerie_client_options){ .stop = o->stop, .user = o->user };
    if (status)
        aerie_client_close(c);
    else
        *out = c;
    return status;
}

void aerie_client_close(aerie_client *c)
{
    if (!c) return;
    ae_http_close(c->http);
    ae_bytes_free(&c->url);
    ae_bytes_free(&c->authorization);
    ae_free(c);
}

const char *aerie_client_url(const aerie_client *c)
{
    return c->url.data;
}

bool aerie_client_is_here(const aerie_client *c)
{
    return c->at.here;
}

/* ---- one request */

static aerie_status open_http(aerie_client *c, aerie_error *err)
{
    const ae_http_options o = { .stop = c->options.stop, .stop_user = c->options.user };
    return c->http ? AERIE_OK : ae_http_open(&c->http, &o, err);
}

/* Sends it, with the address and the headers that every request has. */
static aerie_status send(aerie_client *c, ae_http_request *r, const char *path,
                         ae_http_response *response, aerie_error *err)
{
    const ae_http_header headers[] = { { "Content-Type", r->body_path ? "application/octet-stream"
                                                                      : "application/json" },
                                       { "Authorization", c->authorization.data } };
    ae_bytes url = { 0 };
    aerie_status status = open_http(c, err);
    ae_bytes_printf(&url, "%s%s", c->url.data, path);
    if (!status) status = ae_bytes_status(&url, err);
    r->url = url.data;
    r->headers = headers;
    r->n_headers = c->authorization.data ? 2 : 1;
    r->direct = c->at.here;
    r->max_bytes = MOST_REPLY;
    if (r->connect_seconds <= 0) r->connect_seconds = 5;
    /* A model may be loading, or read a long prompt: nothing comes meanwhile. Who has no patience
     * stops it; a server that ends closes the connection. */
    if (r->stall_seconds <= 0) r->stall_seconds = 7 * 24 * 3600.0;
    if (!status) status = ae_http_send(c->http, r, response, err);
    ae_bytes_free(&url);
    return status;
}

static aerie_status expect(const aerie_client *c, const ae_http_response *response,
                           aerie_error *err)
{
    if (response->status == 401)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "the server at %.200s wants an API key%s",
                          c->url.data, c->authorization.data ? ", and not this one" : "");
    aerie_error why = { 0 };
    aerie_status status = ae_http_expect(response, &why);
    if (response->status == 503) status = AERIE_BUSY;
    return status ? aerie_fail(err, status, "%s", why.message) : AERIE_OK;
}

aerie_server_kind aerie_client_look(aerie_client *c)
{
    ae_http_response response = { 0 };
    double seconds = c->at.here ? 2 : 5;
    ae_http_request r = { .connect_seconds = seconds, .total_seconds = seconds };
    aerie_server_kind kind = AERIE_SERVER_OTHER;
    if (c->at.here && !ae_address_is_open(&c->at)) return AERIE_SERVER_NONE;
    aerie_status status = send(c, &r, "/api/version", &response, NULL);
    json_t *o =
        response.body.len ? json_loadb(response.body.data, response.body.len, 0, NULL) : NULL;
    if (status)
        kind = c->at.here ? AERIE_SERVER_OTHER : AERIE_SERVER_NONE;
    else if (response.status == 401)
        kind = AERIE_SERVER_LOCKED;
    else if (response.status == 200 && json_is_string(json_object_get(o, "version")))
        kind = json_object_get(o, "aerie") ? AERIE_SERVER_AERIE : AERIE_SERVER_OLLAMA;
    json_decref(o);
    ae_http_response_free(&response);
    return kind;
}

static aerie_status give(char **reply, const ae_bytes *body, aerie_error *err)
{
    *reply = ae_strndup(body->data ? body->data : "", body->len);
    return *reply ? AERIE_OK : aerie_fail(err, AERIE_NO_MEMORY, "no memory for an answer");
}

aerie_status aerie_client_ask(aerie_client *c, const char *method, const char *path,
                              const char *json, char **reply, aerie_error *err)
{
    ae_http_response response = { 0 };
    ae_http_request r = { .method = method, .body = json, .body_len = json ? strlen(json) : 0 };
    if (reply) *reply = NULL;
    aerie_status status = send(c, &r, path, &response, err);
    if (!status) status = expect(c, &response, err);
    if (!status && reply) status = give(reply, &response.body, err);
    ae_http_response_free(&response);
    return status;
}

aerie_status aerie_client_send_file(aerie_client *c, const char *path, const char *file,
                                    aerie_error *err)
{
    ae_http_response response = { 0 };
    ae_file mapped = { 0 };
    aerie_status status = ae_file_open(&mapped, file, err);
    ae_http_request r = { .method = "POST", .body_path = file, .body_len = mapped.size };
    ae_file_close(&mapped);
    if (!status) status = send(c, &r, path, &response, err);
    if (!status) status = expect(c, &response, err);
    ae_http_response_free(&response);
    return status;
}

/* ---- lines */

typedef struct {
    aerie_client_line_fn *each;
    void *user;
    ae_bytes held; /* a line's beginning */
} lines;

static aerie_status take_line(lines *l, aerie_error *err)
{
    json_t *o = json_loadb(l->held.data, l->held.len, 0, NULL);
    const char *error = json_string_value(json_object_get(o, "error"));
    aerie_status status = AERIE_OK;
    if (!o)
        status = aerie_fail(err, AERIE_BAD_TEXT, "the server's answer has a line that is not JSON");
    else if (error)
        status = aerie_fail(err, AERIE_IO, "the server says: %s", error);
    else if (!l->each(l->user, l->held.data, l->held.len))
        status = aerie_fail(err, AERIE_INTERRUPTED, "interrupted");
    json_decref(o);
    ae_bytes_clear(&l->held);
    return status;
}

static aerie_status on_data(void *user, const ae_http_response *so_far, const void *data,
                            size_t len, aerie_error *err)
{
    lines *l = user;
    const char *at = data, *end = at + len;
    aerie_status status = AERIE_OK;
    (void)so_far;
    while (at < end && !status) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        ae_bytes_add(&l->held, at, (size_t)((stop ? stop : end) - at));
        at = stop ? stop + 1 : end;
        if (l->held.len > MOST_LINE)
            status = aerie_fail(err, AERIE_BAD_TEXT, "the server's answer has no end of line");
        if (!status) status = ae_bytes_status(&l->held, err);
        if (!status && stop && l->held.len) status = take_line(l, err);
    }
    return status;
}

aerie_status aerie_client_stream(aerie_client *c, const char *path, const char *json,
                                 aerie_client_line_fn *each, void *user, aerie_error *err)
{
    ae_http_response response = { 0 };
    lines l = { .each = each, .user = user };
    ae_http_request r = {
        .method = "POST", .body = json, .body_len = strlen(json), .sink = on_data, .sink_user = &l
    };
    aerie_error why = { 0 };
    aerie_status status = send(c, &r, path, &response, &why);
    /* What the server says of itself, or a wish to stop, needs no address before it. */
    if (status == AERIE_INTERRUPTED) aerie_fail(err, status, "interrupted");
    if (status) aerie_fail(err, status, "%s", why.message);
    if (!status) status = expect(c, &response, err);
    /* The last line may lack its end. */
    if (!status && l.held.len) status = take_line(&l, err);
    ae_bytes_free(&l.held);
    ae_http_response_free(&response);
    return status;
}
