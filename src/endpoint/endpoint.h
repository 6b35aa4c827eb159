/* endpoint.h -- the door of endpoint: a server of models that speaks OpenAI's completions and
 * chat/completions, asked several things at once. What a request says, and what becomes of an
 * answer, is its user's; the address, the key, what is laid over requests, and how often one is
 * tried are here. */
#ifndef AE_ENDPOINT_H
#define AE_ENDPOINT_H

#include "http/http.h"

#include <jansson.h>

/* Texts are copied. Zero means the default. */
typedef struct {
    const char *url;        /* "http://localhost:11434/v1", or with /chat/completions */
    const char *key;        /* sent as "Authorization: Bearer", to that server alone; NULL: none */
    const char *request;    /* a JSON object laid over every request's body: its keys win, and null
                             * takes one out; NULL: nothing */
    int max_retries;        /* of a request whose answer is 429, 5xx or none; 0: 8; -1: none */
    double retry_seconds;   /* before the first retry, doubled from there; 0: 1 */
    double timeout_seconds; /* without a byte; 0: 300 */
    size_t max_bytes;       /* of an answer that is kept whole; 0: 16 MiB */
    bool (*stop)(void *user); /* asked while waiting; true: AERIE_INTERRUPTED */
    void *stop_user;
} ae_endpoint_options;

enum { AE_ENDPOINT_AT_ONCE = 256 }; /* requests at once, at most */

typedef struct ae_endpoint ae_endpoint;

/* AERIE_BAD_ARGUMENT: options->request is no JSON object. */
aerie_status ae_endpoint_open(ae_endpoint **out, const ae_endpoint_options *options,
                              aerie_error *err);
void ae_endpoint_close(ae_endpoint *e); /* NULL is fine */

/* A request under way, a part of its user's state; what it holds is let go of by
 * ae_endpoint_call_free(), after its end. Zeroed: none. */
typedef struct {
    char *body;
    ae_http_request request;
} ae_endpoint_call;
void ae_endpoint_call_free(ae_endpoint_call *call);

/* Sends `body`, whose reference is taken (NULL: AERIE_NO_MEMORY), to URL/`path`. `sink` NULL: the
 * answer is kept. `user` comes back with the end of it. */
aerie_status ae_endpoint_send(ae_endpoint *e, ae_endpoint_call *call, const char *path,
                              json_t *body, ae_http_sink *sink, void *user, aerie_error *err);
/* Waits for the next that is done; false: none is under way. As ae_http_wait(). */
bool ae_endpoint_wait(ae_endpoint *e, ae_http_done *done);
/* Drops what is under way: before the calls are freed. */
void ae_endpoint_drop(ae_endpoint *e);

/* ---- answers ---- */

/* What a choice says: of a reply to a conversation, of a piece of one, or of a completion. NULL:
 * no text. Borrowed. */
const json_t *ae_endpoint_text(const json_t *choice);
/* What an answer's "usage" says; without one they stay as they are. */
void ae_endpoint_usage(const json_t *answer, int64_t *prompt_tokens, int64_t *reply_tokens);
/* 400, 413 and 422: it may be one question that is refused, a too long one. */
bool ae_endpoint_refuses_one(int http_status);
/* Fails, because the answer `body` has no choices. */
aerie_status ae_endpoint_unlike(const ae_endpoint *e, const ae_bytes *body, aerie_error *err);

#endif
