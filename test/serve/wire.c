/* wire.c -- bare sockets on loopback. */
#include "wire.h"

#include "scratch.h"

#include <arpa/inet.h>
#include <sys/socket.h>

int wire_dial(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)server.port) };
    struct timeval limit = { .tv_sec = 60 };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

void wire_say(int fd, ae_span bytes)
{
    while (bytes.len > 0) {
        ssize_t n = send(fd, bytes.data, bytes.len, MSG_NOSIGNAL);
        if (n <= 0) return;
        bytes.data += n;
        bytes.len -= (size_t)n;
    }
}

char *wire_hear(int fd, const char *last)
{
    ae_bytes got = { 0 };
    char part[16384];
    ssize_t n;
    ae_bytes_add_text(&got, "");
    while (!(last && strstr(got.data, last)) && (n = recv(fd, part, sizeof part, 0)) > 0)
        ae_bytes_add(&got, part, (size_t)n);
    return got.data;
}

void wire_request(ae_bytes *out, const char *method, const char *path, ae_span body, bool closes)
{
    ae_bytes_printf(out, "%s %s HTTP/1.1\r\nHost: localhost\r\n%s", method, path,
                    closes ? "Connection: close\r\n" : "");
    if (body.data)
        ae_bytes_printf(out, "Content-Type: application/json\r\nContent-Length: %zu\r\n", body.len);
    ae_bytes_add_text(out, "\r\n");
    if (body.data) ae_bytes_add(out, body.data, body.len);
}

void wire_reset(int fd)
{
    const struct linger none = { .l_onoff = 1 };
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    close(fd);
}

int wire_ask(const char *method, const char *path, ae_span body, char **reply)
{
    ae_bytes out = { 0 };
    int fd = wire_dial(), status = 0;
    wire_request(&out, method, path, body, true);
    wire_say(fd, ae_span_of(&out));
    char *got = wire_hear(fd, NULL);
    if (!strncmp(got, "HTTP/1.1 ", 9)) status = atoi(got + 9);
    close(fd);
    ae_bytes_free(&out);
    if (reply)
        *reply = got;
    else
        ae_free(got);
    return status;
}

static double metric_in(const char *metrics, const char *name)
{
    char line[80];
    double sum = 0;
    snprintf(line, sizeof line, "\naerie_%s", name);
    for (const char *at = metrics; (at = strstr(at, line)); at++) {
        const char *value = at + strlen(line);
        if (*value == '{') value = strchr(value, '}') + 1;
        if (*value == ' ') sum += atof(value);
    }
    return sum;
}

double wire_metric(const char *name)
{
    char *text;
    assert_int_equal(wire_ask("GET", "/metrics", (ae_span){ 0 }, &text), 200);
    double value = metric_in(text, name);
    ae_free(text);
    return value;
}

void wire_await_rest(void)
{
    char *text = NULL;
    for (int i = 0; i < 3000; i++) {
        ae_free(text);
        assert_int_equal(wire_ask("GET", "/metrics", (ae_span){ 0 }, &text), 200);
        if (metric_in(text, "requests_running") + metric_in(text, "requests_waiting") +
                    metric_in(text, "cache_tokens") + metric_in(text, "large_requests_bytes") <=
                0 &&
            metric_in(text, "connections") <= 1) {
            ae_free(text);
            return;
        }
        usleep(20000);
    }
    fail_msg("the server does not come to rest:\n%s", text);
}
