/* transfer.h -- private: one request on its way, through redirects and retries. */
#ifndef AE_HTTP_TRANSFER_H
#define AE_HTTP_TRANSFER_H

#include "http/http.h"

#include <curl/curl.h>

typedef struct transfer transfer;
struct transfer {
    transfer *next;
    ae_http_request request;
    void *user;
    CURL *easy;
    struct curl_slist *headers;
    ae_bytes url;      /* of this try */
    bool elsewhere;    /* it is of another host than the request's: secrets stay behind */
    bool without_body; /* a redirect has made it a GET */
    bool running;      /* handed to libcurl; else it waits for begin_at */
    double begin_at;   /* ae_clock_seconds() */
    double moved_at;   /* when a byte last came or went */
    bool stalled;
    int n_redirects, n_retries;
    int body_fd;      /* -1: none */
    uint64_t body_at; /* bytes of it sent */
    size_t header_bytes;
    ae_http_response response;
    aerie_error error; /* what a callback found wrong */
    char curl_says[CURL_ERROR_SIZE];
};

/* Checks the request and makes everything but the connection. On failure *out is NULL. */
aerie_status ae_transfer_open(transfer **out, const ae_http_request *request, void *user,
                              aerie_error *err);
void ae_transfer_close(transfer *t);

/* Sets the handle up for the next try, of t->url. `agent`, `ca_file` may be NULL. */
aerie_status ae_transfer_prepare(transfer *t, const char *agent, const char *ca_file,
                                 aerie_error *err);

/* Looks at a try's end; true: there is another one to make, at t->begin_at. Else t->error and
 * t->response say how it ended. */
bool ae_transfer_goes_on(transfer *t, CURLcode code);

/* callbacks.c: sets what libcurl calls while bytes move. */
void ae_transfer_set_callbacks(transfer *t);

/* failure.c: the sentence of a try that did not bring an answer. */
aerie_status ae_transfer_failure(transfer *t, CURLcode code);
/* An address as a sentence may say it: without user, password, query. */
void ae_transfer_public_url(ae_bytes *out, const char *url);

static inline bool ae_transfer_wants_sink(const transfer *t)
{
    return t->request.sink && t->response.status >= 200 && t->response.status < 300;
}

#endif
