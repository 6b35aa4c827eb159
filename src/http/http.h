/* http.h -- the door of http: a client for HTTP and HTTPS, over libcurl.
 *
 * One thread drives a client; several threads may each have their own. Within a client any number
 * of requests may be under way at once: ae_http_start() begins one, ae_http_wait() gives the next
 * that is done. Only http and https are spoken, certificates are always verified, nothing is
 * unpacked (no Accept-Encoding), cookies are not kept. Proxies come from the usual variables, which
 * libcurl reads by itself. A request's sentence on failure names the address without its query,
 * user or password, and never a header. */
#ifndef AE_HTTP_H
#define AE_HTTP_H

#include "base/base.h"

typedef struct ae_http ae_http;

typedef struct {
    const char *name, *value;
} ae_http_header;

/* What came back. Owned by whoever got it; ae_http_response_free(). */
typedef struct {
    int status;        /* 200, 404...; 0: nothing came */
    ae_bytes headers;  /* of the last answer, a line each, "Name: value\r\n", without the first */
    ae_bytes body;     /* what did not go to the request's sink */
    ae_bytes url;      /* that answered: another than the request's after a redirect */
    uint64_t received; /* bytes of body, the sink's included */
} ae_http_response;

/* Takes the next piece of the body of an answer of 200 to 299; `so_far` has its status and headers.
 * A failure ends the request with that sentence. */
typedef aerie_status ae_http_sink(void *user, const ae_http_response *so_far, const void *data,
                                  size_t len, aerie_error *err);

/* Everything is borrowed until the request is done. Zero means the default. */
typedef struct {
    const char *method; /* NULL: GET, or POST when there is a body */
    const char *url;
    const ae_http_header *headers;
    size_t n_headers;

    const void *body; /* [body_len] */
    const char
        *body_path; /* else body_len bytes of this file, from body_from on; it may be sent twice */
    uint64_t body_from, body_len;
    uint64_t *sent; /* how much of the body went out; NULL: nobody asks */

    ae_http_sink *sink; /* else the body is kept in the response */
    void *sink_user;
    size_t max_bytes; /* that are kept of a body; more is a failure. 0: 16 MiB */

    double connect_seconds; /* until a connection stands; 0: 15 */
    double stall_seconds;   /* without a byte either way, an answer's thinking included; 0: 60 */
    double total_seconds;   /* of one try; 0: no limit */
    bool direct;            /* past any proxy: what is asked is this machine */

    /* Followed at most; 0: none, a redirect is an answer like others. Authorization, Cookie and the
     * headers named in `secret` go to the first host alone (scheme, name and port); from https to
     * http is refused. */
    int max_redirects;
    const char *const *secret; /* names, NULL-ended; or NULL */

    /* Tries after the first, when the answer is 408, 429, 500, 502, 503 or 504 or the connection
     * fails, and no byte has gone to the sink yet. The wait doubles from retry_seconds (0: half a
     * second) to 30 seconds (a handle that has reached no server yet tries thrice); a Retry-After
     * is waited for instead, if it is at most retry_after_seconds (0: 120), else its answer is the
     * answer. */
    int max_retries;
    double retry_seconds, retry_after_seconds;
} ae_http_request;

typedef struct {
    const char *agent;   /* User-Agent; NULL: aerie */
    const char *ca_file; /* certificates to trust instead of the system's; NULL: those */
    /* Asked at least ten times a second while requests are waited for; true ends them all with
     * AERIE_INTERRUPTED. */
    bool (*stop)(void *user);
    void *stop_user;
} ae_http_options;

/* `options` may be NULL; its texts are copied. */
aerie_status ae_http_open(ae_http **out, const ae_http_options *options, aerie_error *err);
void ae_http_close(ae_http *http); /* NULL is fine; requests under way are dropped */

/* Begins a request; `user` comes back with its end. Fails at once on what can never work: an
 * address, header or method that makes no sense, a body's file that cannot be read. */
aerie_status ae_http_start(ae_http *http, const ae_http_request *request, void *user,
                           aerie_error *err);

typedef struct {
    void *user;
    aerie_status status; /* AERIE_OK: an answer came whole, whatever its status code */
    aerie_error error;
    ae_http_response response; /* of the last try; after a failure, what came of it */
} ae_http_done;

/* Waits for the next request that is done, at most `seconds` (below 0: as long as it takes); false:
 * none is. On true done->response is the caller's. */
bool ae_http_wait(ae_http *http, double seconds, ae_http_done *done);
size_t ae_http_under_way(const ae_http *http);

/* One request from start to end; no other may be under way in the client. `out` starts zeroed or
 * from an earlier call, and is the caller's to free, after a failure too. */
aerie_status ae_http_send(ae_http *http, const ae_http_request *request, ae_http_response *out,
                          aerie_error *err);

void ae_http_response_free(ae_http_response *response);
/* The value of the first header of that name, whatever its case; data NULL: there is none. */
ae_span ae_http_header_of(const ae_http_response *response, const char *name);
/* AERIE_OK for a status of 200 to 299, else a sentence with it and the server's own words: the
 * "error" or "message" of a JSON body, or its first line. 404 is AERIE_NOT_FOUND. */
aerie_status ae_http_expect(const ae_http_response *response, aerie_error *err);

#endif
