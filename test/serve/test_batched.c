/* test_batched.c -- a reply is the same to the byte whether its chat is asked alone or among
 * fifteen others, with guessing ahead and shared beginnings. */
#include "scratch.h"
#include "wire.h"

#include <jansson.h>

enum { CHATS = 16 };

/* Chats of three beginnings, some of which repeat themselves; half of them are sampled. */
static void request(ae_bytes *out, int64_t i, uint64_t round)
{
    static const char *const systems[] = {
        "You tell of animals in the forest. You tell of animals in the forest. You are kind.",
        "You tell of animals in the forest. You tell of animals at sea.", "You answer in one word."
    };
    static const char *const questions[] = { "Tell me of a fox.", "Say fox, fox, fox, fox, fox.",
                                             "Where is the bear?", "Tell me of a fox and a bear.",
                                             "Who is there?" };
    ae_bytes body = { 0 };
    ae_bytes_printf(
        &body,
        "{\"model\":\"nursery\",\"seed\":%lld,\"temperature\":%s,\"max_tokens\":60,\"logprobs\":"
        "true,\"top_logprobs\":2,\"messages\":[{\"role\":\"system\",\"content\":\"%s\"},{\"role\":"
        "\"user\",\"content\":\"%s\"}]}",
        (long long)((uint64_t)i + 100 * round), i % 2 ? "0.9" : "0",
        systems[(size_t)i % AE_COUNT(systems)], questions[(size_t)i % AE_COUNT(questions)]);
    wire_request(out, "POST", "/v1/chat/completions", ae_span_of(&body), true);
    ae_bytes_free(&body);
}

/* What was drawn: text, tokens and log-probabilities. */
static char *drawn_of(int fd)
{
    char *reply = wire_hear(fd, NULL);
    json_error_t why;
    if (strncmp(reply, "HTTP/1.1 200", 12)) fail_msg("%s", reply);
    json_t *json = json_loads(strstr(reply, "\r\n\r\n") + 4, 0, &why);
    char *choices = json_dumps(json_object_get(json, "choices"), JSON_SORT_KEYS);
    assert_non_null(choices);
    char *copy = ae_strndup(choices, strlen(choices));
    free(choices);
    json_decref(json);
    ae_free(reply);
    close(fd);
    return copy;
}

static int ask(int64_t i, uint64_t round)
{
    ae_bytes out = { 0 };
    int fd = wire_dial();
    request(&out, i, round);
    wire_say(fd, ae_span_of(&out));
    ae_bytes_free(&out);
    return fd;
}

static void a_reply_is_its_own_requests_alone(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < 3; round++) {
        char *alone[CHATS];
        int fds[CHATS];
        for (int64_t i = 0; i < CHATS; i++) alone[i] = drawn_of(ask(i, round));
        for (int64_t i = 0; i < CHATS; i++) fds[i] = ask(i, round);
        for (int64_t i = 0; i < CHATS; i++) {
            char *together = drawn_of(fds[i]);
            assert_string_equal(alone[i], together);
            ae_free(together);
            ae_free(alone[i]);
        }
    }
    /* The test is of what it says. How much is guessed ahead depends on what a pass costs here. */
    print_message("%g tokens guessed ahead, %g of them right\n",
                  wire_metric("drafted_tokens_total"), wire_metric("accepted_tokens_total"));
    assert_true(wire_metric("prompt_tokens_reused_total") > 0);
    assert_true(wire_metric("reply_tokens_total") > wire_metric("passes_total"));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_reply_is_its_own_requests_alone) };
    server.parallel = CHATS;
    return cmocka_run_group_tests(tests, live_server_start, live_server_stop);
}
