/* httpd.h -- an HTTP/1.1 server on a loop: sockets, limits, timeouts, framing. It decides nothing
 * about what is asked.
 *
 * libevent gives the loop, sockets and buffers. Its evhttp keeps a whole request's body in memory
 * before anybody may look; a model's blob has gigabytes, so messages are taken apart here, by
 * httpd_head.c and httpd_body.c. */
#ifndef AE_HTTPD_H
#define AE_HTTPD_H

#include "serve/httpd_head.h"
#include "serve/loop.h"

typedef struct ae_httpd ae_httpd;

/* A request and its reply, on a connection. Everything about it happens on the loop's thread. It is
 * gone once ae_exchange_reply(), ae_exchange_end() or the watcher's gone() was called. */
typedef struct ae_exchange ae_exchange;

/* Zero means the default. */
typedef struct {
    size_t max_head;     /* bytes; 64 KiB */
    size_t max_body;     /* bytes that are kept in memory; 32 MiB */
    int max_connections; /* 4096; more are told 503 */
    int head_seconds;    /* from a request's first byte to its head's last; 10 */
    int body_seconds;    /* without a byte of the body, and on top of 1 s a KiB in all; 30 */
    int write_seconds;   /* in which a client reads nothing of what waits for it; 60 */
    int idle_seconds;    /* between two requests; 75 */
    int silent_seconds;  /* of a reply under way, until its watcher hears of it; 15 */
} ae_httpd_limits;

/* Both are called with whole heads; the exchange's functions below may be called inside. */
typedef struct {
    void *user;
    /* NULL, or what to do before the body is read: reply, and the body is never read; or say with
     * ae_exchange_sink() where it goes. */
    void (*head)(void *user, ae_exchange *x);
    /* The body is here too. A reply must follow, now or later. */
    void (*request)(void *user, ae_exchange *x);
} ae_httpd_handler;

aerie_status ae_httpd_open(ae_httpd **out, ae_loop *loop, const ae_httpd_limits *limits,
                           const ae_httpd_handler *handler, aerie_error *err);
/* Closes all connections; the watchers' gone() are called. NULL is fine. */
void ae_httpd_close(ae_httpd *h);

/* Listens at a numeric address or name; port 0 takes a free one. *port (or NULL): the one taken.
 * May be called for several addresses. */
aerie_status ae_httpd_listen(ae_httpd *h, const char *host, int port, int *taken, aerie_error *err);

/* No new connections; those that rest are closed, the others after their reply. `done` is called
 * when none is left. */
void ae_httpd_drain(ae_httpd *h, ae_loop_fn *done, void *user);

typedef struct {
    int64_t connections, accepted, refused, requests, vanished; /* now; since the start */
    int64_t starved; /* times that there was no descriptor for a connection */
    int64_t bytes_in, bytes_out;
} ae_httpd_counts;
ae_httpd_counts ae_httpd_count(const ae_httpd *h);

/* ---- The request. Borrowed until the exchange is gone. */
const ae_httpd_head *ae_exchange_head(const ae_exchange *x);
ae_span ae_exchange_body(const ae_exchange *x);
ae_bytes ae_exchange_take_body(ae_exchange *x); /* the caller's; the exchange has none after it */
const char *ae_exchange_peer(const ae_exchange *x); /* "127.0.0.1:4000" */
uint64_t ae_exchange_id(const ae_exchange *x);      /* different for every request */

/* Inside head(): a body of more bytes is refused; at most limits.max_body. */
void ae_exchange_body_most(ae_exchange *x, size_t most);
/* Inside head(): the body goes to data() as it comes, up to `most` bytes, instead of into memory.
 * false from data(): enough; a reply was given. Exactly one end() follows the last data() unless
 * that is what ended it: `whole` tells whether all was there; if not, the exchange is gone. */
typedef struct {
    bool (*data)(void *user, ae_exchange *x, ae_span bytes);
    void (*end)(void *user, ae_exchange *x, bool whole);
    void *user;
} ae_body_sink;
void ae_exchange_sink(ae_exchange *x, const ae_body_sink *sink, uint64_t most);

/* Who wants to know what happens while a reply is under way. Any may be NULL. */
typedef struct {
    void (*gone)(void *user, ae_exchange *x);    /* the client left; the exchange ends here */
    void (*drained)(void *user, ae_exchange *x); /* little waits to be sent: go on */
    void (*silent)(void *user, ae_exchange *x);  /* nothing was sent for limits.silent_seconds */
    void *user;
} ae_exchange_watcher;
void ae_exchange_watch(ae_exchange *x, const ae_exchange_watcher *watcher);

/* ---- The reply. */
/* A field of its head, before it begins. Line ends in a value become spaces. */
void ae_exchange_field(ae_exchange *x, const char *name, const char *value);
/* A whole reply; `type` (or NULL) its Content-Type. */
void ae_exchange_reply(ae_exchange *x, int status, const char *type, ae_span body);
/* A reply that comes in pieces. */
void ae_exchange_begin(ae_exchange *x, int status, const char *type);
void ae_exchange_write(ae_exchange *x, ae_span bytes);
void ae_exchange_end(ae_exchange *x);
/* The connection breaks off: an error where a status can be no longer said. */
void ae_exchange_break(ae_exchange *x);
bool ae_exchange_begun(const ae_exchange *x);
/* Bytes that the client has not read yet. Above AE_HTTPD_HIGH_WATER a writer should rest until
 * drained(). */
enum { AE_HTTPD_HIGH_WATER = 256 << 10, AE_HTTPD_LOW_WATER = 64 << 10 };
size_t ae_exchange_waiting(const ae_exchange *x);

const char *ae_httpd_reason(int status); /* "Not Found" */

#endif
