/* registry.c -- see registry.h. */
#include "registry.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { PIECE = 64 << 10 };

fake_registry registry = { .hold_after = -1 };

void hash_of(char hex[HEX], const char *data, size_t len)
{
    ae_sha256 h;
    ae_sha256_start(&h);
    ae_sha256_add(&h, data, len);
    ae_sha256_hex(&h, hex);
}

/* ---- what it has ---- */

static bool is_over(long sent)
{
    long most = registry.hold_after;
    return most >= 0 && sent >= most;
}

/* False: the client has left. */
static bool wait_held(int fd, bool in_midst)
{
    char c;
    bool left = false;
    registry.waiting++;
    while (!left && ((in_midst && registry.held) || is_over(registry.sent))) {
        left = recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
        server_sleep_ms(2);
    }
    registry.waiting--;
    if (left) registry.gone++;
    return !left;
}

static bool send_all(int fd, const char *data, size_t len)
{
    while (len) {
        if (is_over(registry.sent) && !wait_held(fd, false)) return false;
        ssize_t n = send(fd, data, len < PIECE ? len : PIECE, MSG_NOSIGNAL);
        if (n <= 0) return false;
        registry.sent += n;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

static bool answer_weights(int fd, const server_request *q)
{
    char head[200], range[64];
    long from = 0, to = (long)registry.weights.len - 1;
    if (server_header(q, "Range", range, sizeof range)) sscanf(range, "bytes=%ld-%ld", &from, &to);
    long len = to - from + 1;
    for (long part = from / REGISTRY_PART; part * REGISTRY_PART <= to; part++)
        registry.asked[part]++;
    snprintf(head, sizeof head,
             "HTTP/1.1 206 Partial\r\nContent-Length: %ld\r\nContent-Range: bytes %ld-%ld/%zu\r\n"
             "\r\n",
             len, from, to, registry.weights.len);
    server_write(fd, head);
    const char *data = registry.weights.data + from;
    if (!send_all(fd, data, (size_t)len / 2) || (from && registry.held && !wait_held(fd, true)) ||
        !send_all(fd, data + len / 2, (size_t)(len - len / 2)))
        return false;
    for (long part = from / REGISTRY_PART; part * REGISTRY_PART <= to; part++)
        registry.served[part]++;
    return true;
}

/* Layers that are sent here are counted, not kept. */
static void take(int fd, const server_request *q)
{
    if (!strcmp(q->method, "HEAD"))
        server_write(fd, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    else if (!strcmp(q->method, "POST"))
        server_answer(fd, 202, "Location: /v2/up?x=1\r\n", "");
    else {
        if (strstr(q->path, "/manifests/")) {
            ae_bytes_clear(&registry.last);
            ae_bytes_add(&registry.last, q->body, q->body_len);
        } else
            registry.taken += (long)q->body_len;
        server_answer(fd, 201, "", "");
    }
}

static bool answer(void *user, int fd, const server_request *q)
{
    (void)user;
    if (strcmp(q->method, "GET") != 0)
        take(fd, q);
    else if (strstr(q->path, "/team/net/manifests/v1"))
        server_answer(fd, 200, "", registry.manifest);
    else if (strstr(q->path, registry.hex))
        return answer_weights(fd, q);
    else if (strstr(q->path, registry.config_hex))
        server_answer(fd, 200, "", "{}");
    else
        server_answer(fd, 404, "", "{\"errors\":[]}");
    return true;
}

/* ---- its life ---- */

static bool make_weights(size_t n)
{
    ae_rng rng;
    if (!n) return !ae_file_read(&registry.weights, "recipes/nursery/nursery.gguf", 0, NULL);
    ae_rng_seed(&rng, 1);
    for (size_t i = 0; i < n; i += 8) {
        uint64_t bits = ae_rng_next(&rng);
        ae_bytes_add(&registry.weights, &bits, n - i < 8 ? n - i : 8);
    }
    return !registry.weights.failed;
}

bool registry_start(size_t n_bytes)
{
    if (!make_weights(n_bytes)) return false;
    registry.n_parts = (int)((registry.weights.len + REGISTRY_PART - 1) / REGISTRY_PART);
    hash_of(registry.hex, registry.weights.data, registry.weights.len);
    hash_of(registry.config_hex, "{}", 2);
    snprintf(registry.manifest, sizeof registry.manifest,
             "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"c\",\"digest\":\"sha256:%s\","
             "\"size\":2},\"layers\":[{\"mediaType\":\"application/vnd.ollama.image.model\","
             "\"digest\":\"sha256:%s\",\"size\":%zu}]}",
             registry.config_hex, registry.hex, registry.weights.len);
    registry.s = server_start(0, answer, NULL);
    return registry.s && registry.n_parts <= MOST_PARTS;
}

void registry_reset(void)
{
    registry.held = false;
    registry.hold_after = -1;
    registry.gone = 0;
    registry.sent = registry.taken = 0;
    for (int i = 0; i < MOST_PARTS; i++) registry.asked[i] = registry.served[i] = 0;
}

void registry_stop(void)
{
    registry_reset();
    server_stop(registry.s);
    ae_bytes_free(&registry.weights);
    ae_bytes_free(&registry.last);
}

const char *registry_about(const char *name, const char *more)
{
    static char body[512];
    snprintf(body, sizeof body, "{'model':'http://127.0.0.1:%d/%s'%s}", server_port(registry.s),
             name, more);
    return body;
}
