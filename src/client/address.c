/* address.c -- "host:port" in its forms, and whether something listens at one of this machine's. */
#include "client/address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DEFAULT_PORT = 11434, OPEN_MS = 500 };

static bool is_number_host(const char *host, struct in_addr *v4, struct in6_addr *v6)
{
    v4->s_addr = 0;
    return inet_pton(AF_INET, host, v4) == 1 || inet_pton(AF_INET6, host, v6) == 1;
}

/* Every address of a machine is no address to ask at; and which ones are the loopback's. */
static void settle_host(ae_address *a)
{
    struct in_addr v4;
    struct in6_addr v6 = IN6ADDR_ANY_INIT;
    if (!is_number_host(a->host, &v4, &v6)) {
        a->here = !strcmp(a->host, "localhost");
        return;
    }
    if (strchr(a->host, ':')) {
        if (IN6_IS_ADDR_UNSPECIFIED(&v6)) snprintf(a->host, sizeof a->host, "::1");
        a->here = IN6_IS_ADDR_UNSPECIFIED(&v6) || IN6_IS_ADDR_LOOPBACK(&v6);
        return;
    }
    uint32_t number = ntohl(v4.s_addr);
    if (number == INADDR_ANY) snprintf(a->host, sizeof a->host, "127.0.0.1");
    a->here = number == INADDR_ANY || number >> 24 == 127;
}

static bool copy(char *out, size_t size, const char *text, size_t len)
{
    if (len >= size) return false;
    memcpy(out, text, len);
    out[len] = '\0';
    return true;
}

static bool read_port(int *port, const char *text, size_t len)
{
    char digits[8], *end;
    if (len == 0) return true;
    if (!copy(digits, sizeof digits, text, len) || strspn(digits, "0123456789") != len)
        return false;
    long n = strtol(digits, &end, 10);
    *port = (int)n;
    return n >= 1 && n <= 65535;
}

/* A name, or a number; one with colons is a whole number. */
static bool is_host(const char *host)
{
    struct in6_addr v6;
    if (strchr(host, ':')) return inet_pton(AF_INET6, host, &v6) == 1;
    for (; *host; host++)
        if (!strchr("-._", *host) && !isalnum((unsigned char)*host)) return false;
    return true;
}

/* "host", "host:port", "[::1]:port", "::1". */
static bool read_host(ae_address *a, const char *text, size_t len)
{
    const char *last = NULL, *end = text + len, *closes = memchr(text, ']', len);
    size_t colons = 0;
    for (size_t i = 0; i < len; i++)
        if (text[i] == ':') {
            colons++;
            last = text + i;
        }
    if (len && text[0] == '[') {
        if (!closes || (closes + 1 < end && closes[1] != ':')) return false;
        return copy(a->host, sizeof a->host, text + 1, (size_t)(closes - text - 1)) &&
               (closes + 1 >= end || read_port(&a->port, closes + 2, (size_t)(end - closes - 2)));
    }
    if (colons == 1)
        return copy(a->host, sizeof a->host, text, (size_t)(last - text)) &&
               read_port(&a->port, last + 1, (size_t)(end - last - 1));
    return copy(a->host, sizeof a->host, text, len);
}

static bool is_clean(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text <= ' ' || *text == 127 || strchr("\"<>\\^`{|}@?#", *text))
            return false;
    return true;
}

aerie_status ae_address_read(ae_address *out, const char *text, aerie_error *err)
{
    const char *rest = text ? text : "";
    *out = (ae_address){ .scheme = "http", .port = DEFAULT_PORT };
    if (!strncmp(rest, "http://", 7)) {
        out->port = 80;
        rest += 7;
    } else if (!strncmp(rest, "https://", 8)) {
        snprintf(out->scheme, sizeof out->scheme, "https");
        out->port = 443;
        rest += 8;
    }
    size_t len = strcspn(rest, "/");
    const char *path = rest + len;
    size_t path_len = strlen(path);
    while (path_len && path[path_len - 1] == '/') path_len--;
    bool good = is_clean(rest) && !strstr(rest, "//") && read_host(out, rest, len) &&
                is_host(out->host) && copy(out->path, sizeof out->path, path, path_len);
    if (!good)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "'%.100s' is no server's address; write HOST, HOST:PORT or "
                          "http://HOST:PORT",
                          text);
    if (!*out->host) snprintf(out->host, sizeof out->host, "127.0.0.1");
    settle_host(out);
    return AERIE_OK;
}

void ae_address_write(ae_bytes *out, const ae_address *a)
{
    bool brackets = strchr(a->host, ':') != NULL;
    ae_bytes_printf(out, "%s://%s%s%s:%d%s", a->scheme, brackets ? "[" : "", a->host,
                    brackets ? "]" : "", a->port, a->path);
}

static bool connects(const struct sockaddr *to, socklen_t len)
{
    struct pollfd wait = { .fd = socket(to->sa_family, SOCK_STREAM, 0), .events = POLLOUT };
    int failure = 0;
    socklen_t size = sizeof failure;
    if (wait.fd < 0) return false;
    fcntl(wait.fd, F_SETFL, fcntl(wait.fd, F_GETFL) | O_NONBLOCK);
    fcntl(wait.fd, F_SETFD, FD_CLOEXEC);
    bool there = !connect(wait.fd, to, len);
    if (!there && errno == EINPROGRESS && poll(&wait, 1, OPEN_MS) == 1)
        there = !getsockopt(wait.fd, SOL_SOCKET, SO_ERROR, &failure, &size) && failure == 0;
    close(wait.fd);
    return there;
}

bool ae_address_is_open(const ae_address *a)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)a->port) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)a->port) };
    bool by_name = !strcmp(a->host, "localhost");
    if (inet_pton(AF_INET, by_name ? "127.0.0.1" : a->host, &v4.sin_addr) == 1 &&
        connects((const struct sockaddr *)&v4, sizeof v4))
        return true;
    return inet_pton(AF_INET6, by_name ? "::1" : a->host, &v6.sin6_addr) == 1 &&
           connects((const struct sockaddr *)&v6, sizeof v6);
}
