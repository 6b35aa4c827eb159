/* httpd.c -- the server: listening, limits, ending. */
#define _GNU_SOURCE
#include "serve/httpd_private.h"

#include <errno.h>
#include <event2/listener.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>

static ae_httpd_limits defaults(ae_httpd_limits l)
{
    if (!l.max_head) l.max_head = 64 << 10;
    if (!l.max_body) l.max_body = 32 << 20;
    if (l.max_connections <= 0) l.max_connections = 4096;
    if (l.head_seconds <= 0) l.head_seconds = 10;
    if (l.body_seconds <= 0) l.body_seconds = 30;
    if (l.write_seconds <= 0) l.write_seconds = 60;
    if (l.idle_seconds <= 0) l.idle_seconds = 75;
    if (l.silent_seconds <= 0) l.silent_seconds = 15;
    return l;
}

static void listen_again(evutil_socket_t fd, short what, void *user)
{
    ae_httpd *h = user;
    (void)fd, (void)what;
    for (int i = 0; i < h->n_listeners && !h->draining; i++) evconnlistener_enable(h->listeners[i]);
}

aerie_status ae_httpd_open(ae_httpd **out, ae_loop *loop, const ae_httpd_limits *limits,
                           const ae_httpd_handler *handler, aerie_error *err)
{
    static const ae_httpd_limits none = { 0 };
    *out = NULL;
    ae_httpd *h = ae_alloc(1, sizeof *h);
    if (h) h->pause = evtimer_new(ae_loop_base(loop), listen_again, h);
    if (!h || !h->pause) {
        ae_free(h);
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a server");
    }
    h->loop = loop;
    h->limits = defaults(limits ? *limits : none);
    h->handler = *handler;
    *out = h;
    return AERIE_OK;
}

static void stop_listening(ae_httpd *h)
{
    for (int i = 0; i < h->n_listeners; i++) evconnlistener_free(h->listeners[i]);
    h->n_listeners = 0;
}

void ae_httpd_close(ae_httpd *h)
{
    if (!h) return;
    stop_listening(h);
    h->drained = NULL;
    while (h->first) ae_exchange_vanish(h->first);
    event_free(h->pause);
    ae_free(h);
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *from, int len,
                      void *user)
{
    (void)l;
    ae_httpd_accept(user, fd, from, len);
}

/* The oldest connections that were answered and have asked nothing since: a client must be ready
 * for that at any time (RFC 9112, 9.5). */
static void close_idle(ae_httpd *h)
{
    enum { AT_ONCE = 16 };
    ae_exchange *idle[AT_ONCE];
    int n = 0;
    for (ae_exchange *x = h->first; x; x = x->next) /* the newest comes first */
        if (ae_exchange_is_idle(x)) idle[n++ % AT_ONCE] = x;
    for (int i = 0; i < n && i < AT_ONCE; i++) ae_exchange_close(idle[i]);
}

/* No descriptors are left: who waits in the backlog is served when some come free. */
static void on_accept_failed(struct evconnlistener *l, void *user)
{
    enum { SAID_AGAIN = 60 };
    const char *why = strerror(errno);
    ae_httpd *h = user;
    struct timeval soon = { .tv_usec = 100000 };
    double now = ae_clock_seconds();
    evconnlistener_disable(l);
    event_add(h->pause, &soon);
    h->counts.starved++;
    close_idle(h);
    if (h->complained > 0 && now - h->complained < SAID_AGAIN) return;
    h->complained = now;
    ae_log(
        AERIE_LOG_WARNING,
        "no connection can be accepted (%s); %lld are open, others wait. Raise the limit of open "
        "files (ulimit -n, LimitNOFILE=), or lower the server's of connections",
        why, (long long)h->counts.connections);
}

static int port_of(evutil_socket_t fd)
{
    struct sockaddr_storage a;
    socklen_t len = sizeof a;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    if (getsockname(fd, (struct sockaddr *)&a, &len)) return 0;
    memcpy(&v4, &a, sizeof v4);
    memcpy(&v6, &a, sizeof v6);
    return ntohs(a.ss_family == AF_INET6 ? v6.sin6_port : v4.sin_port);
}

static aerie_status listen_at(ae_httpd *h, const struct addrinfo *a, const char *host, int port,
                              int *taken, aerie_error *err)
{
    enum { BACKLOG = 4096 };
    const unsigned flags = LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE;
    if (h->n_listeners == AE_COUNT(h->listeners))
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "the server listens at 8 addresses already");
    struct evconnlistener *l = evconnlistener_new_bind(ae_loop_base(h->loop), on_accept, h, flags,
                                                       BACKLOG, a->ai_addr, (int)a->ai_addrlen);
    if (!l && errno == EADDRINUSE)
        return aerie_fail(err, AERIE_IO,
                          "port %d of %s is taken, perhaps by a server that runs already; stop it "
                          "or take another (--port)",
                          port, host);
    if (!l)
        return aerie_fail(err, AERIE_IO, "cannot listen at %s:%d: %s", host, port, strerror(errno));
    evconnlistener_set_error_cb(l, on_accept_failed);
    if (taken) *taken = port_of(evconnlistener_get_fd(l));
    h->listeners[h->n_listeners++] = l;
    return AERIE_OK;
}

aerie_status ae_httpd_listen(ae_httpd *h, const char *host, int port, int *taken, aerie_error *err)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *found;
    char service[16];
    snprintf(service, sizeof service, "%d", port);
    if (port < 0 || port > 65535)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "there is no port %d; they end at 65535", port);
    int code = getaddrinfo(host, service, &hints, &found);
    if (code)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "%s is no address of this machine: %s", host,
                          gai_strerror(code));
    aerie_status status = listen_at(h, found, host, port, taken, err);
    freeaddrinfo(found);
    return status;
}

void ae_httpd_drain(ae_httpd *h, ae_loop_fn *done, void *user)
{
    h->draining = true;
    stop_listening(h);
    for (ae_exchange *x = h->first, *next; x; x = next) {
        next = x->next;
        x->keep = false;
        if (x->state == AE_READING_HEAD && x->seen == 0) ae_exchange_close(x);
    }
    h->drained = done;
    h->drained_user = user;
    if (!h->first && done) done(user);
}

ae_httpd_counts ae_httpd_count(const ae_httpd *h)
{
    return h->counts;
}
