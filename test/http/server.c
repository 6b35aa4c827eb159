/* server.c -- see server.h. */
#include "http/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 1024, MAX_REQUEST = 8 << 20 };

typedef struct {
    server *s;
    int fd;
    pthread_t thread;
} connection;

struct server {
    int listener, port;
    server_fn *answer;
    void *user;
    pthread_t thread;
    atomic_int count, now, most;
    atomic_bool stopping;
    connection connections[MAX_CONNECTIONS];
    int n;
};

bool server_header(const server_request *request, const char *name, char *out, size_t size)
{
    size_t len = strlen(name);

    for (const char *at = request->headers; (at = strstr(at, "\r\n")) != NULL;) {
        at += 2;
        if (strncasecmp(at, name, len) != 0 || at[len] != ':') continue;
        at += len + 1;
        at += strspn(at, " ");
        snprintf(out, size, "%.*s", (int)strcspn(at, "\r\n"), at);
        return true;
    }
    return false;
}

void server_write(int fd, const char *text)
{
    size_t len = strlen(text);

    while (len > 0) {
        ssize_t sent = send(fd, text, len, MSG_NOSIGNAL);
        if (sent <= 0) return;
        text += sent;
        len -= (size_t)sent;
    }
}

void server_answer(int fd, int status, const char *headers, const char *body)
{
    char head[2048];

    snprintf(head, sizeof head, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n%s\r\n", status,
             strlen(body), headers);
    server_write(fd, head);
    server_write(fd, body);
}

void server_sleep_ms(int ms)
{
    struct timespec t = { ms / 1000, ms % 1000 * 1000000L };

    nanosleep(&t, NULL);
}

/* Reads one request into `text`; false: the other side has gone. */
static bool read_request(int fd, char *text, server_request *r)
{
    size_t len = 0, want = 0;
    char *head_end = NULL, number[32];

    memset(r, 0, sizeof *r);
    for (;;) {
        ssize_t got = recv(fd, text + len, MAX_REQUEST - 1 - len, 0);
        if (got <= 0) return false;
        len += (size_t)got;
        text[len] = '\0';
        if (text[0] == 22) { /* the first byte of TLS, which nobody here speaks */
            server_write(fd, "HTTP/1.1 400 X\r\n\r\n");
            return false;
        }
        if (!head_end && (head_end = strstr(text, "\r\n\r\n"))) {
            head_end[2] = '\0';
            r->headers = text;
            if (server_header(r, "Content-Length", number, sizeof number))
                want = (size_t)strtoull(number, NULL, 10);
        }
        if (head_end && len >= (size_t)(head_end + 4 - text) + want) break;
        if (len + 1 >= MAX_REQUEST) return false;
    }
    r->body = head_end + 4;
    r->body_len = want;
    return sscanf(text, "%15s %511s", r->method, r->path) == 2;
}

static void answer_one(server *s, int fd, server_request *r, bool *go_on)
{
    int now = atomic_fetch_add(&s->now, 1) + 1, most = atomic_load(&s->most);

    while (now > most && !atomic_compare_exchange_weak(&s->most, &most, now)) continue;
    r->number = atomic_fetch_add(&s->count, 1) + 1;
    *go_on = s->answer(s->user, fd, r);
    atomic_fetch_sub(&s->now, 1);
}

static void *serve(void *user)
{
    connection *c = user;
    char *text = malloc(MAX_REQUEST);
    server_request r;
    bool go_on = text != NULL;

    while (go_on && !atomic_load(&c->s->stopping) && read_request(c->fd, text, &r))
        answer_one(c->s, c->fd, &r, &go_on);
    free(text);
    shutdown(c->fd, SHUT_RDWR);
    return NULL;
}

static void *accept_all(void *user)
{
    server *s = user;
    int one = 1;

    while (s->n < MAX_CONNECTIONS) {
        connection *c = &s->connections[s->n];
        c->s = s;
        c->fd = accept(s->listener, NULL, NULL);
        if (c->fd < 0) break;
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (pthread_create(&c->thread, NULL, serve, c) == 0)
            s->n++;
        else
            close(c->fd);
    }
    return NULL;
}

static int listen_on(int port, int *real_port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    socklen_t len = sizeof address;
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 64) ||
        getsockname(fd, (struct sockaddr *)&address, &len)) {
        close(fd);
        return -1;
    }
    *real_port = ntohs(address.sin_port);
    return fd;
}

server *server_start(int port, server_fn *answer, void *user)
{
    server *s = calloc(1, sizeof *s);

    if (!s) return NULL;
    s->answer = answer;
    s->user = user;
    s->listener = listen_on(port, &s->port);
    if (s->listener >= 0 && pthread_create(&s->thread, NULL, accept_all, s) == 0) return s;
    free(s);
    return NULL;
}

int server_port(const server *s)
{
    return s->port;
}

int server_count(const server *s)
{
    return atomic_load(&s->count);
}

int server_most_at_once(const server *s)
{
    return atomic_load(&s->most);
}

void server_stop(server *s)
{
    atomic_store(&s->stopping, true);
    shutdown(s->listener, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->listener);
    for (int i = 0; i < s->n; i++) shutdown(s->connections[i].fd, SHUT_RDWR);
    for (int i = 0; i < s->n; i++) {
        pthread_join(s->connections[i].thread, NULL);
        close(s->connections[i].fd);
    }
    free(s);
}
