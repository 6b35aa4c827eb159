/* httpd_private.h -- what the files of the HTTP server share: a connection and its exchange. */
#ifndef AE_HTTPD_PRIVATE_H
#define AE_HTTPD_PRIVATE_H

#include "serve/httpd.h"
#include "serve/httpd_body.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

struct ae_httpd {
    ae_loop *loop;
    ae_httpd_limits limits;
    ae_httpd_handler handler;
    struct evconnlistener *listeners[8];
    int n_listeners;
    struct event *pause; /* accepting rests after the system had no more descriptors */
    double complained;   /* when that was last said */
    ae_exchange *first;  /* all connections */
    ae_httpd_counts counts;
    bool draining;
    ae_loop_fn *drained;
    void *drained_user;
};

typedef enum {
    AE_READING_HEAD,
    AE_READING_BODY,
    AE_WAITING,  /* the request is whole; the reply has not ended */
    AE_SENDING,  /* the reply has ended; the client still reads */
    AE_LINGERING /* all is sent, nothing more is answered; what still comes is thrown away, so that
                  * the client sees the reply and not a reset */
} ae_exchange_state;

struct ae_exchange {
    ae_httpd *http;
    ae_exchange *next, **prev;
    struct bufferevent *bev;
    struct event *timer;
    char peer[64];
    ae_exchange_state state;

    uint64_t id;
    ae_bytes head_bytes;
    size_t seen; /* of the input, while the head is not whole */
    ae_httpd_head head;
    ae_httpd_body framing;
    ae_bytes body;
    uint64_t body_bytes, body_most; /* come so far; allowed */
    double body_began;
    ae_body_sink sink;
    bool has_sink;

    ae_bytes fields; /* of the reply, as they will be sent */
    bool begun, chunked, keep;
    ae_exchange_watcher watcher;
};

/* httpd_exchange.c */
void ae_httpd_accept(ae_httpd *h, evutil_socket_t fd, const struct sockaddr *from, int from_len);
void ae_exchange_close(ae_exchange *x); /* frees it; nobody is told */
/* Whether it was answered, and has not begun to ask again. */
bool ae_exchange_is_idle(const ae_exchange *x);
void ae_exchange_vanish(ae_exchange *x); /* tells whoever waits, then closes */
/* Refuses with a sentence and closes the connection after it. */
void ae_exchange_refuse(ae_exchange *x, int status, const char *why);
/* Something was sent, or is about to be: silence begins anew. */
void ae_exchange_spoke(ae_exchange *x);
/* After a reply's last byte was handed over. */
void ae_exchange_ended(ae_exchange *x);

#endif
