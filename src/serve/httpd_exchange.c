/* httpd_exchange.c -- a connection: heads and bodies in, replies out, one after the other. */
#include "serve/httpd_private.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

enum {
    MOST_INPUT = 256 << 10, /* read ahead of what is being answered */
    LINGER_SECONDS = 2,
    SLOWEST_BODY = 1024 /* bytes a second, on average */
};

const ae_httpd_head *ae_exchange_head(const ae_exchange *x)
{
    return &x->head;
}

ae_span ae_exchange_body(const ae_exchange *x)
{
    return ae_span_of(&x->body);
}

ae_bytes ae_exchange_take_body(ae_exchange *x)
{
    ae_bytes body = x->body;
    x->body = (ae_bytes){ 0 };
    return body;
}

void ae_exchange_body_most(ae_exchange *x, size_t most)
{
    if (most < x->body_most) x->body_most = most;
}

const char *ae_exchange_peer(const ae_exchange *x)
{
    return x->peer;
}

uint64_t ae_exchange_id(const ae_exchange *x)
{
    return x->id;
}

void ae_exchange_sink(ae_exchange *x, const ae_body_sink *sink, uint64_t most)
{
    x->sink = *sink;
    x->has_sink = true;
    x->body_most = most;
}

static void set_timer(ae_exchange *x, int seconds)
{
    struct timeval t = { .tv_sec = seconds };
    event_add(x->timer, &t);
}

void ae_exchange_watch(ae_exchange *x, const ae_exchange_watcher *watcher)
{
    x->watcher = *watcher;
    ae_exchange_spoke(x);
}

void ae_exchange_spoke(ae_exchange *x)
{
    if (x->state == AE_WAITING && x->watcher.silent) set_timer(x, x->http->limits.silent_seconds);
}

void ae_exchange_close(ae_exchange *x)
{
    ae_httpd *h = x->http;
    *x->prev = x->next;
    if (x->next) x->next->prev = x->prev;
    if (x->timer) event_free(x->timer);
    if (x->bev) bufferevent_free(x->bev);
    ae_bytes_free(&x->head_bytes);
    ae_bytes_free(&x->body);
    ae_bytes_free(&x->fields);
    ae_free(x);
    h->counts.connections--;
    if (h->draining && !h->first && h->drained) h->drained(h->drained_user);
}

bool ae_exchange_is_idle(const ae_exchange *x)
{
    enum { REQUESTS = (1 << 20) - 1 }; /* the part of the id that counts them */
    return x->state == AE_READING_HEAD && x->seen == 0 && (x->id & REQUESTS) > 0;
}

void ae_exchange_vanish(ae_exchange *x)
{
    ae_exchange_watcher watcher = x->watcher;
    ae_body_sink sink = x->sink;
    bool in_body = x->state == AE_READING_BODY && x->has_sink, waiting = x->state == AE_WAITING;
    if (in_body || waiting) x->http->counts.vanished++;
    x->has_sink = false;
    x->watcher = (ae_exchange_watcher){ 0 };
    if (in_body && sink.end)
        sink.end(sink.user, x, false);
    else if (waiting && watcher.gone)
        watcher.gone(watcher.user, x);
    ae_exchange_close(x);
}

void ae_exchange_break(ae_exchange *x)
{
    x->watcher = (ae_exchange_watcher){ 0 };
    x->has_sink = false;
    x->keep = false;
    /* What was written so far still goes out, but not the mark of a whole reply. */
    x->chunked = false;
    ae_exchange_ended(x);
}

void ae_exchange_refuse(ae_exchange *x, int status, const char *why)
{
    ae_bytes body = { 0 };
    x->keep = false;
    x->http->counts.refused++;
    ae_bytes_printf(&body, "{\"error\":\"%s\"}", why);
    ae_exchange_reply(x, status, "application/json; charset=utf-8", ae_span_of(&body));
    ae_bytes_free(&body);
}

/* All is sent and nothing more will be answered. */
static void linger(ae_exchange *x)
{
    struct evbuffer *in = bufferevent_get_input(x->bev);
    x->state = AE_LINGERING;
    shutdown(bufferevent_getfd(x->bev), SHUT_WR);
    evbuffer_drain(in, evbuffer_get_length(in));
    set_timer(x, LINGER_SECONDS);
}

static void next_request(ae_exchange *x)
{
    ae_bytes_clear(&x->head_bytes);
    ae_bytes_free(&x->body);
    ae_bytes_clear(&x->fields);
    x->seen = 0;
    x->head = (ae_httpd_head){ 0 };
    x->has_sink = x->begun = x->chunked = false;
    x->body_bytes = 0;
    x->watcher = (ae_exchange_watcher){ 0 };
    x->state = AE_READING_HEAD;
    set_timer(x, x->http->limits.idle_seconds);
}

void ae_exchange_ended(ae_exchange *x)
{
    /* A body that nobody will read cannot be told from the next request. */
    if (x->state == AE_READING_BODY && !x->framing.done) x->keep = false;
    if (x->http->draining) x->keep = false;
    x->watcher = (ae_exchange_watcher){ 0 };
    x->has_sink = false;
    x->state = AE_SENDING;
    event_del(x->timer);
    if (ae_exchange_waiting(x) == 0)
        bufferevent_trigger(x->bev, EV_WRITE,
                            BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
}

static void begin_body(ae_exchange *x)
{
    ae_httpd *h = x->http;
    ae_httpd_body_begin(&x->framing, &x->head);
    x->state = AE_READING_BODY;
    x->body_most = h->limits.max_body;
    x->body_began = ae_clock_seconds();
    h->counts.requests++;
    if (h->handler.head) h->handler.head(h->handler.user, x);
    if (x->state != AE_READING_BODY) return;
    if (x->head.framing == AE_HTTPD_LENGTH && x->head.length > x->body_most) {
        x->has_sink = false;
        ae_exchange_refuse(x, 413, "the request's body is too large");
    } else if (x->head.expects_continue && !x->framing.done)
        bufferevent_write(x->bev, "HTTP/1.1 100 Continue\r\n\r\n", 25);
}

/* False: there is no whole head yet. */
static bool read_head(ae_exchange *x)
{
    struct evbuffer *in = bufferevent_get_input(x->bev);
    size_t have = evbuffer_get_length(in), most = x->http->limits.max_head;
    size_t look = have < most ? have : most;
    const char *data = (const char *)evbuffer_pullup(in, (ev_ssize_t)look), *why;
    if (!data) return false;
    size_t len = ae_httpd_head_end((ae_span){ data, look }, x->seen);
    if (x->seen == 0) set_timer(x, x->http->limits.head_seconds);
    x->seen = look;
    if (len == 0 && have < most) return false;
    x->id++;
    x->keep = false;
    if (len == 0) {
        ae_exchange_refuse(x, 431, "the request's head is too large");
        return true;
    }
    ae_bytes_add(&x->head_bytes, data, len);
    evbuffer_drain(in, len);
    if (x->head_bytes.failed) {
        ae_exchange_refuse(x, 503, "no memory for the request");
        return true;
    }
    int status = ae_httpd_head_parse(&x->head, ae_span_of(&x->head_bytes), &why);
    if (status) {
        x->head.minor = 1;
        ae_exchange_refuse(x, status, why);
        return true;
    }
    x->keep = x->head.keep_alive;
    begin_body(x);
    return true;
}

/* One piece of the body. False: nothing more of it, for now or for good. */
static bool take_piece(ae_exchange *x, ae_span piece)
{
    x->body_bytes += piece.len;
    x->http->counts.bytes_in += (int64_t)piece.len;
    if (x->body_bytes > x->body_most) {
        ae_body_sink sink = x->sink;
        bool had = x->has_sink;
        x->has_sink = false;
        if (had) sink.end(sink.user, x, false);
        ae_exchange_refuse(x, 413, "the request's body is too large");
        return false;
    }
    if (x->has_sink) return x->sink.data(x->sink.user, x, piece);
    ae_bytes_add(&x->body, piece.data, piece.len);
    if (!x->body.failed) return true;
    ae_exchange_refuse(x, 503, "no memory for the request's body");
    return false;
}

static void body_is_whole(ae_exchange *x)
{
    ae_body_sink sink = x->sink;
    x->state = AE_WAITING;
    event_del(x->timer);
    if (x->has_sink)
        sink.end(sink.user, x, true);
    else
        x->http->handler.request(x->http->handler.user, x);
}

/* False: more bytes must come first. */
static bool read_body(ae_exchange *x)
{
    struct evbuffer *in = bufferevent_get_input(x->bev);
    while (!x->framing.done) {
        struct evbuffer_iovec part;
        if (evbuffer_peek(in, -1, NULL, &part, 1) < 1 || part.iov_len == 0) {
            set_timer(x, x->http->limits.body_seconds);
            return false;
        }
        ae_span rest = { part.iov_base, part.iov_len }, piece;
        bool fine = ae_httpd_body_take(&x->framing, &rest, &piece);
        if (fine && piece.len && !take_piece(x, piece)) return true;
        evbuffer_drain(in, part.iov_len - rest.len);
        if (!fine) {
            ae_body_sink sink = x->sink;
            bool had = x->has_sink;
            x->has_sink = false;
            if (had) sink.end(sink.user, x, false);
            ae_exchange_refuse(x, 400, "the request's body is not framed as HTTP has it");
            return true;
        }
    }
    body_is_whole(x);
    return true;
}

static bool body_is_too_slow(const ae_exchange *x)
{
    double least =
        (ae_clock_seconds() - x->body_began - x->http->limits.body_seconds) * SLOWEST_BODY;
    return x->state == AE_READING_BODY && (double)x->body_bytes < least;
}

/* Takes what there is, as far as it goes. A handler may end the exchange, but never the connection.
 */
static void go_on(ae_exchange *x)
{
    bool more = true;
    while (more) switch (x->state) {
        case AE_READING_HEAD:
            more = evbuffer_get_length(bufferevent_get_input(x->bev)) > 0 && read_head(x);
            break;
        case AE_READING_BODY:
            more = read_body(x);
            break;
        default:
            more = false;
        }
}

static void on_read(struct bufferevent *bev, void *user)
{
    ae_exchange *x = user;
    struct evbuffer *in = bufferevent_get_input(bev);
    if (x->state == AE_LINGERING)
        evbuffer_drain(in, evbuffer_get_length(in));
    else if (body_is_too_slow(x))
        ae_exchange_vanish(x);
    else
        go_on(x);
}

static void on_written(struct bufferevent *bev, void *user)
{
    ae_exchange *x = user;
    if (x->state == AE_WAITING && x->watcher.drained) {
        x->watcher.drained(x->watcher.user, x);
        return;
    }
    if (x->state != AE_SENDING || evbuffer_get_length(bufferevent_get_output(bev))) return;
    if (x->keep) {
        next_request(x);
        go_on(x);
    } else
        linger(x);
}

static void on_event(struct bufferevent *bev, short what, void *user)
{
    ae_exchange *x = user;
    (void)bev;
    bool only_read = (what & BEV_EVENT_EOF) && (what & BEV_EVENT_READING);
    /* A client that says it will ask nothing more still gets the reply that is on its way. */
    if (only_read && x->state == AE_SENDING) {
        x->keep = false;
        return;
    }
    ae_exchange_vanish(x);
}

static void on_time(evutil_socket_t fd, short what, void *user)
{
    ae_exchange *x = user;
    (void)fd, (void)what;
    if (x->state == AE_WAITING) {
        ae_exchange_spoke(x);
        if (x->watcher.silent) x->watcher.silent(x->watcher.user, x);
        return;
    }
    bool asking = (x->state == AE_READING_HEAD && x->seen > 0) ||
                  (x->state == AE_READING_BODY && !x->has_sink);
    if (asking)
        ae_exchange_refuse(x, 408, "the request did not come in time");
    else
        ae_exchange_vanish(x);
}

static void name_peer(ae_exchange *x, const struct sockaddr *from, int len)
{
    char text[INET6_ADDRSTRLEN] = "";
    int port = 0;
    if (from->sa_family == AF_INET && len >= (int)sizeof(struct sockaddr_in)) {
        struct sockaddr_in a;
        memcpy(&a, from, sizeof a);
        evutil_inet_ntop(AF_INET, &a.sin_addr, text, sizeof text);
        port = ntohs(a.sin_port);
    } else if (from->sa_family == AF_INET6 && len >= (int)sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 a;
        memcpy(&a, from, sizeof a);
        evutil_inet_ntop(AF_INET6, &a.sin6_addr, text, sizeof text);
        port = ntohs(a.sin6_port);
    }
    snprintf(x->peer, sizeof x->peer, "%s:%d", text, port);
}

static bool open_exchange(ae_exchange *x, evutil_socket_t fd)
{
    struct event_base *base = ae_loop_base(x->http->loop);
    struct timeval write_time = { .tv_sec = x->http->limits.write_seconds };
    x->timer = evtimer_new(base, on_time, x);
    x->bev = x->timer ? bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE) : NULL;
    if (!x->bev) return false;
    bufferevent_setcb(x->bev, on_read, on_written, on_event, x);
    bufferevent_setwatermark(x->bev, EV_READ, 0, MOST_INPUT);
    bufferevent_setwatermark(x->bev, EV_WRITE, AE_HTTPD_LOW_WATER, 0);
    bufferevent_set_timeouts(x->bev, NULL, &write_time);
    return !bufferevent_enable(x->bev, EV_READ | EV_WRITE);
}

void ae_httpd_accept(ae_httpd *h, evutil_socket_t fd, const struct sockaddr *from, int from_len)
{
    int on = 1;
    ae_exchange *x = ae_alloc(1, sizeof *x);
    if (!x) {
        evutil_closesocket(fd);
        return;
    }
    /* A token is a small packet: it shall not wait for the next one. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    *x = (ae_exchange){
        .http = h, .next = h->first, .prev = &h->first, .id = (uint64_t)h->counts.accepted++ << 20
    };
    if (h->first) h->first->prev = &x->next;
    h->first = x;
    h->counts.connections++;
    name_peer(x, from, from_len);
    if (!open_exchange(x, fd)) {
        if (!x->bev) evutil_closesocket(fd);
        ae_exchange_close(x);
        return;
    }
    next_request(x);
    if (h->counts.connections > h->limits.max_connections)
        ae_exchange_refuse(x, 503, "too many connections; try again later");
}
