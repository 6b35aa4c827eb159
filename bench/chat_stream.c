/* chat_stream.c -- HTTP/1.1 as far as servers of chats speak it, and their server-sent events. */
#define _GNU_SOURCE
#include "chat_stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

bool chat_stream_open(chat_stream *s, int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    int on = 1;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *s = (chat_stream){ .fd = socket(AF_INET, SOCK_STREAM, 0) };
    if (s->fd < 0) return false;
    if (connect(s->fd, (struct sockaddr *)&a, sizeof a) ||
        setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) ||
        fcntl(s->fd, F_SETFL, O_NONBLOCK)) {
        close(s->fd);
        return false;
    }
    return s->is_open = true;
}

void chat_stream_close(chat_stream *s)
{
    if (s->is_open) close(s->fd);
    ae_bytes_free(&s->out);
    ae_bytes_free(&s->in);
    ae_bytes_free(&s->line);
    *s = (chat_stream){ 0 };
}

void chat_stream_ask(chat_stream *s, const char *path, ae_span body, chat_piece_fn *fn, void *user)
{
    ae_bytes_clear(&s->out);
    ae_bytes_clear(&s->in);
    ae_bytes_clear(&s->line);
    ae_bytes_printf(&s->out,
                    "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                    "Content-Length: %zu\r\n\r\n",
                    path, body.len);
    ae_bytes_add(&s->out, body.data, body.len);
    s->sent = s->left = 0;
    s->status = 0;
    s->n_tokens = s->length = 0;
    s->in_body = s->is_done = false;
    s->fn = fn;
    s->user = user;
}

short chat_stream_wants(const chat_stream *s)
{
    return s->sent < s->out.len ? POLLIN | POLLOUT : POLLIN;
}

static void use_line(chat_stream *s, ae_span line)
{
    static const char counted[] = "\"completion_tokens\":";
    const char *at = memmem(line.data, line.len, counted, sizeof counted - 1);
    if (at) s->n_tokens = atoll(at + sizeof counted - 1);
    /* Neither the first piece, which only names the speaker, nor the last has text. */
    at = memmem(line.data, line.len, "\"content\":\"", 11);
    if (at && at[11] != '"') s->fn(s->user, line);
}

static void use_body(chat_stream *s, const char *data, size_t n)
{
    for (const char *end; n && (end = memchr(data, '\n', n));) {
        size_t len = (size_t)(end - data);
        ae_bytes_add(&s->line, data, len);
        use_line(s, ae_span_of(&s->line));
        ae_bytes_clear(&s->line);
        data += len + 1;
        n -= len + 1;
    }
    ae_bytes_add(&s->line, data, n);
}

static void end_of_body(chat_stream *s)
{
    if (s->line.len) use_line(s, ae_span_of(&s->line));
    s->is_done = true;
}

static void drop_front(ae_bytes *b, size_t n)
{
    memmove(b->data, b->data + n, b->len - n);
    b->len -= n;
    b->data[b->len] = '\0';
}

static bool read_head(chat_stream *s)
{
    char *end = s->in.data ? strstr(s->in.data, "\r\n\r\n") : NULL;
    if (!end) return false;
    *end = '\0';
    const char *space = strchr(s->in.data, ' ');
    const char *length = strcasestr(s->in.data, "\r\nContent-Length:");
    s->status = space ? atoi(space) : -1;
    s->is_chunked = strcasestr(s->in.data, "chunked") != NULL;
    s->length = length ? atoll(length + 17) : -1;
    s->in_body = true;
    drop_front(&s->in, (size_t)(end - s->in.data) + 4);
    return true;
}

/* False: more must come first. */
static bool read_chunk(chat_stream *s)
{
    if (s->left == 0) {
        char *end = strstr(s->in.data, "\r\n");
        if (!end) return false;
        size_t size = strtoul(s->in.data, NULL, 16), head = (size_t)(end - s->in.data) + 2;
        if (size == 0) {
            end_of_body(s);
            return false;
        }
        s->left = size + 2; /* with the line's end behind it */
        drop_front(&s->in, head);
    }
    size_t n = s->in.len < s->left ? s->in.len : s->left;
    size_t text = s->left > 2 ? s->left - 2 : 0;
    use_body(s, s->in.data, n < text ? n : text);
    s->left -= n;
    drop_front(&s->in, n);
    return s->in.len > 0;
}

static void read_plain(chat_stream *s)
{
    use_body(s, s->in.data, s->in.len);
    if (s->length >= 0) s->length -= (int64_t)s->in.len;
    ae_bytes_clear(&s->in);
    if (s->length == 0) end_of_body(s);
}

static void take(chat_stream *s)
{
    if (!s->in_body && !read_head(s)) return;
    if (!s->is_chunked)
        read_plain(s);
    else
        while (s->in.len > 0 && !s->is_done && read_chunk(s)) continue;
}

bool chat_stream_go_on(chat_stream *s)
{
    char bytes[16384];
    if (s->sent < s->out.len) {
        ssize_t n = send(s->fd, s->out.data + s->sent, s->out.len - s->sent, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) return false;
        if (n > 0) s->sent += (size_t)n;
    }
    for (;;) {
        ssize_t n = recv(s->fd, bytes, sizeof bytes, 0);
        if (n < 0) return errno == EAGAIN || errno == EINTR;
        if (n == 0) {
            if (s->in_body && !s->is_chunked && s->length < 0) end_of_body(s);
            return false;
        }
        ae_bytes_add(&s->in, bytes, (size_t)n);
        take(s);
        if (s->is_done) return true;
    }
}

char *chat_get(int port, const char *path)
{
    ae_bytes all = { 0 };
    char bytes[4096];
    chat_stream s;
    if (!chat_stream_open(&s, port)) return NULL;
    fcntl(s.fd, F_SETFL, 0);
    int n = snprintf(bytes, sizeof bytes,
                     "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
    ssize_t got = send(s.fd, bytes, (size_t)n, MSG_NOSIGNAL);
    while (got > 0 && (got = recv(s.fd, bytes, sizeof bytes, 0)) > 0)
        ae_bytes_add(&all, bytes, (size_t)got);
    chat_stream_close(&s);
    char *body = all.data ? strstr(all.data, "\r\n\r\n") : NULL;
    char *copy = body ? ae_strndup(body + 4, strlen(body + 4)) : NULL;
    ae_bytes_free(&all);
    return copy;
}
