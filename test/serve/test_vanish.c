/* test_vanish.c -- clients that leave in the middle of everything, and clients that are slow: the
 * server comes to rest and answers as before. */
#include "scratch.h"
#include "wire.h"

#include <jansson.h>
#include <poll.h>
#include <sys/socket.h>

enum { CLIENTS = 12, LEAVES = 500 };

#define TALK "\"messages\":[{\"role\":\"user\",\"content\":\"Tell me of a fox and a bear.\"}]"

static const struct {
    const char *path, *body;
} asks[] = {
    { "/api/chat", "{\"model\":\"nursery\"," TALK "}" },
    { "/api/chat", "{\"model\":\"nursery\",\"stream\":false," TALK "}" },
    { "/api/generate", "{\"model\":\"nursery\",\"raw\":true,\"prompt\":\"A fox\"}" },
    { "/v1/chat/completions", "{\"model\":\"nursery\",\"stream\":true,\"n\":2," TALK "}" },
    { "/v1/chat/completions", "{\"model\":\"nursery\",\"logprobs\":true," TALK "}" },
    { "/v1/chat/completions",
      "{\"model\":\"nursery\",\"stream\":true,\"response_format\":{\"type\":"
      "\"json_object\"}," TALK "}" },
    { "/v1/completions", "{\"model\":\"nursery\",\"prompt\":[\"A\",\"B\",\"C\"],\"stream\":true}" },
    { "/v1/messages", "{\"model\":\"nursery\",\"max_tokens\":90,\"stream\":true," TALK "}" },
    { "/v1/responses", "{\"model\":\"nursery\",\"stream\":true,\"input\":\"A fox\"}" },
    { "/v1/embeddings", "{\"model\":\"nursery\",\"input\":[\"one\",\"two\",\"three\"]}" },
    { "/api/embed", "{\"model\":\"nursery\",\"input\":\"one\"}" },
};

typedef struct {
    int fd; /* -1: nobody */
} client;

/* Asks, as far as it gets: nothing, a part of the head, a part of the body, or all. */
static void begin(client *c, ae_rng *rng)
{
    ae_bytes out = { 0 };
    size_t which = ae_rng_below(rng, AE_COUNT(asks));
    wire_request(&out, "POST", asks[which].path, ae_span_text(asks[which].body), false);
    size_t head = (size_t)(strstr(out.data, "\r\n\r\n") - out.data), n = out.len;
    switch (ae_rng_below(rng, 8)) {
    case 0:
        n = ae_rng_below(rng, head);
        break;
    case 1:
        n = head + ae_rng_below(rng, out.len - head);
        break;
    default:
        break;
    }
    c->fd = wire_dial();
    wire_say(c->fd, (ae_span){ out.data, n });
    ae_bytes_free(&out);
}

/* Reads some of what there is by now, and goes: with a goodbye, without one, or half. */
static void leave(client *c, ae_rng *rng)
{
    char part[4096];
    struct pollfd p = { .fd = c->fd, .events = POLLIN };
    int patience = (int)ae_rng_below(rng, 4) * 7;
    for (uint64_t n = ae_rng_below(rng, 5); n > 0 && poll(&p, 1, patience) > 0; n--)
        if (recv(c->fd, part, 1 + ae_rng_below(rng, sizeof part), 0) <= 0) break;
    uint64_t how = ae_rng_below(rng, 3);
    if (how == 0) shutdown(c->fd, SHUT_WR);
    if (how == 1)
        wire_reset(c->fd);
    else
        close(c->fd);
    c->fd = -1;
}

static char *answer(void)
{
    char *reply, *text;
    json_error_t why;
    assert_int_equal(wire_ask("POST", "/v1/chat/completions",
                              ae_span_text("{\"model\":\"nursery\",\"seed\":3," TALK "}"), &reply),
                     200);
    json_t *json = json_loads(strstr(reply, "\r\n\r\n") + 4, 0, &why);
    const json_t *choice = json_array_get(json_object_get(json, "choices"), 0);
    const json_t *content = json_object_get(json_object_get(choice, "message"), "content");
    assert_true(json_is_string(content));
    text = ae_strndup(json_string_value(content), strlen(json_string_value(content)));
    json_decref(json);
    ae_free(reply);
    return text;
}

static void clients_may_leave_at_any_time(void **state)
{
    client clients[CLIENTS];
    ae_rng rng;
    char *before = answer(), *after;
    (void)state;
    ae_rng_seed(&rng, 5);
    for (int i = 0; i < CLIENTS; i++) clients[i].fd = -1;
    for (int left = 0; left < LEAVES;) {
        client *c = &clients[ae_rng_below(&rng, CLIENTS)];
        if (c->fd < 0) {
            begin(c, &rng);
            continue;
        }
        leave(c, &rng);
        left++;
    }
    for (int i = 0; i < CLIENTS; i++)
        if (clients[i].fd >= 0) leave(&clients[i], &rng);
    wire_await_rest();
    assert_true(wire_metric("clients_vanished_total") > LEAVES / 4);
    assert_true(wire_metric("requests_cancelled_total") > LEAVES / 8);
    after = answer();
    assert_string_equal(before, after);
    ae_free(before);
    ae_free(after);
}

/* Hundreds that send a byte now and then, in the head and in the body, keep nobody from an answer.
 */
static void slow_clients_hold_nobody_up(void **state)
{
    enum { SLOW = 300, BYTES = 20 };
    static int fds[SLOW];
    ae_bytes out = { 0 };
    char *before = answer(), *after;
    (void)state;
    wire_request(&out, "POST", asks[0].path, ae_span_text(asks[0].body), false);
    size_t head = (size_t)(strstr(out.data, "\r\n\r\n") - out.data) + 4;
    for (int i = 0; i < SLOW; i++) {
        fds[i] = wire_dial();
        if (i % 2) wire_say(fds[i], (ae_span){ out.data, head });
    }
    for (size_t n = 0; n < BYTES; n++) {
        for (int i = 0; i < SLOW; i++)
            wire_say(fds[i], (ae_span){ out.data + n + (i % 2 ? head : 0), 1 });
        if (n % 10 == 5) {
            after = answer();
            assert_string_equal(before, after);
            ae_free(after);
        }
    }
    assert_true(wire_metric("connections") >= SLOW);
    for (int i = 0; i < SLOW; i++) close(fds[i]);
    wire_await_rest();
    ae_bytes_free(&out);
    ae_free(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_may_leave_at_any_time),
        cmocka_unit_test(slow_clients_hold_nobody_up),
    };
    return cmocka_run_group_tests(tests, live_server_start, live_server_stop);
}
