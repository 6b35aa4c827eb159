/* client.h -- a server of models that answers Ollama's interface: aerie's own, or another.
 *
 * Opening a client connects to nothing; every call is one request. One thread uses a client. */
#ifndef AERIE_CLIENT_H
#define AERIE_CLIENT_H

#include "aerie/error.h"

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct aerie_client aerie_client;

/* Zero means the default everywhere. Texts are copied. */
typedef struct {
    /* "host", "host:port", "scheme://host:port/path", "[::1]", ":port"; the port is 11434, or the
     * scheme's own where there is one. An address that means every one of a machine's ("0.0.0.0")
     * is asked at the loopback. NULL or "": 127.0.0.1. */
    const char *host;
    const char *api_key; /* sent as a bearer's token; NULL or "": none */
    /* Asked at least ten times a second while an answer is waited for; true ends the request with
     * AERIE_INTERRUPTED, and the connection with it: the server stops what it was doing. */
    bool (*stop)(void *user);
    void *user;
} aerie_client_options;

AERIE_API aerie_status aerie_client_open(aerie_client **out, const aerie_client_options *options,
                                         aerie_error *err);
AERIE_API void aerie_client_close(aerie_client *c); /* NULL is fine */
/* "http://127.0.0.1:11434". Borrowed. */
AERIE_API const char *aerie_client_url(const aerie_client *c);
/* Whether the address is this machine's own loopback. */
AERIE_API bool aerie_client_is_here(const aerie_client *c);

typedef enum {
    AERIE_SERVER_NONE,   /* nothing listens there, or it cannot be reached */
    AERIE_SERVER_OTHER,  /* something does, and it is not a server of models */
    AERIE_SERVER_LOCKED, /* a server that wants another key */
    AERIE_SERVER_OLLAMA,
    AERIE_SERVER_AERIE
} aerie_server_kind;
/* Looks who is there (GET /api/version). On this machine it is known at once that nobody is, and
 * what does not answer within two seconds is AERIE_SERVER_OTHER; elsewhere it is five. */
AERIE_API aerie_server_kind aerie_client_look(aerie_client *c);

/* One request: `json` is its body, NULL: none. *reply is the answer's body, the caller's
 * (aerie_free); NULL where it is not wanted. AERIE_NOT_FOUND for 404, AERIE_BUSY for 503. */
AERIE_API aerie_status aerie_client_ask(aerie_client *c, const char *method, const char *path,
                                        const char *json, char **reply, aerie_error *err);
/* Told of each line of an answer, which is JSON by itself, '\0'-terminated; false ends the request
 * (AERIE_INTERRUPTED). */
typedef bool aerie_client_line_fn(void *user, const char *line, size_t len);
/* POST; a line {"error": "..."} is a failure with its words. */
AERIE_API aerie_status aerie_client_stream(aerie_client *c, const char *path, const char *json,
                                           aerie_client_line_fn *each, void *user,
                                           aerie_error *err);
/* POST with a file of this machine's as the body. */
AERIE_API aerie_status aerie_client_send_file(aerie_client *c, const char *path, const char *file,
                                              aerie_error *err);

#ifdef __cplusplus
}
#endif
#endif
