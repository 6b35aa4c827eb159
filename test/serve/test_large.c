/* test_large.c -- requests whose bodies have megabytes: others are answered while they are read,
 * their replies are those that they would have had, and who leaves is not waited for. */
#include "ask.h"
#include "scratch.h"
#include "wire.h"

#include <jansson.h>
#include <stdatomic.h>
#include <string.h>

enum { MEGABYTES = 4, ROUNDS = 64 };

/* A chat of one message, whose text is `n` bytes; or n / 32 messages. */
static void write_chat(ae_bytes *out, size_t n, bool many)
{
    ae_bytes_add_text(out, "{\"model\":\"nursery\",\"max_tokens\":4,\"messages\":[");
    if (!many) ae_bytes_add_text(out, "{\"role\":\"user\",\"content\":\"");
    for (size_t i = 0; i < n / 32; i++)
        ae_bytes_add_text(out, !many ? "a fox and a bear met in a field "
                               : i   ? ",{\"role\":\"user\",\"content\":\"x\"}"
                                     : "{\"role\":\"user\",\"content\":\"x\"}");
    ae_bytes_add_text(out, many ? "]}" : "\"}]}");
}

typedef struct {
    ae_bytes body;
    atomic_bool stop;
    atomic_int n_sent;
} stream_of_large;

static void send_large(void *user)
{
    stream_of_large *s = user;
    while (!atomic_load(&s->stop) && atomic_load(&s->n_sent) < ROUNDS) {
        assert_int_equal(wire_ask("POST", "/v1/chat/completions", ae_span_of(&s->body), NULL), 400);
        atomic_fetch_add(&s->n_sent, 1);
    }
    atomic_store(&s->stop, true);
}

/* If the loop read them itself, whoever asks for the metrics would see them before or after, never
 * while they are read. */
static void others_are_answered_meanwhile(void **state)
{
    stream_of_large s = { 0 };
    ae_thread *thread;
    bool seen = false;
    (void)state;
    write_chat(&s.body, MEGABYTES << 20, true);
    assert_int_equal(ae_thread_start(&thread, "large", send_large, &s, NULL), AERIE_OK);
    while (!seen && !atomic_load(&s.stop)) seen = wire_metric("large_requests_read") > 0;
    atomic_store(&s.stop, true);
    ae_thread_join(thread);
    ae_bytes_free(&s.body);
    assert_true(seen);
    wire_await_rest();
}

/* The rest of a reply's first choice. */
static char *text_of(ae_span body)
{
    char *reply;
    assert_int_equal(wire_ask("POST", "/v1/chat/completions", body, &reply), 200);
    json_t *json = json_loads(strstr(reply, "\r\n\r\n") + 4, 0, NULL);
    char *text = ae_strdup(text_at(json, "choices.0.message.content"));
    json_decref(json);
    ae_free(reply);
    return text;
}

/* The same request with white space between its tokens, so that it is large. */
static void replies_are_the_same(void **state)
{
    const char *small = "{\"model\":\"nursery\",\"seed\":3,\"max_tokens\":12,\"messages\":"
                        "[{\"role\":\"user\",\"content\":\"Tell me of a fox and a bear.\"}]";
    ae_bytes little = { 0 }, large = { 0 };
    (void)state;
    ae_bytes_printf(&little, "%s}", small);
    ae_bytes_add_text(&large, small);
    for (int i = 0; i < 100000; i++) ae_bytes_add_char(&large, ' ');
    ae_bytes_add_char(&large, '}');
    char *one = text_of(ae_span_of(&little)), *other = text_of(ae_span_of(&large));
    assert_string_equal(one, other);
    ae_free(one);
    ae_free(other);
    ae_bytes_free(&little);
    ae_bytes_free(&large);
}

/* Padded by a field that nobody reads, of 100,000 bytes. */
static void every_route_takes_them(void **state)
{
    static const struct {
        const char *path, *body, *says;
    } asks[] = {
        { "/api/chat", "'messages':[{'role':'user','content':'Go.'}],'options':{'num_predict':3}",
          "\"done\":true" },
        { "/api/generate", "'prompt':'A fox','options':{'num_predict':3}", "\"done\":true" },
        { "/api/generate", "'prompt':''", "\"done_reason\":\"load\"" },
        { "/api/chat", "'messages':[],'keep_alive':0", "\"done_reason\":\"unload\"" },
        { "/v1/completions", "'prompt':['A','B'],'echo':true,'max_tokens':2", "\"index\":1" },
        { "/v1/chat/completions",
          "'messages':[{'role':'user','content':'Go.'}],'stream':true,'max_tokens':3", "[DONE]" },
        { "/v1/responses", "'input':'A fox','max_output_tokens':4", "\"output\"" },
        { "/v1/messages", "'max_tokens':3,'messages':[{'role':'user','content':'Go.'}]",
          "\"stop_reason\"" },
        { "/v1/messages/count_tokens", "'messages':[{'role':'user','content':'Go.'}]",
          "\"input_tokens\"" },
        { "/v1/embeddings", "'input':['one','two']", "\"index\":1" },
        { "/tokenize", "'content':'a fox'", "\"tokens\":[" },
        { "/detokenize", "'tokens':[70,71]", "\"content\":" },
        { "/apply-template", "'messages':[{'role':'user','content':'Go.'}]", "\"prompt\":" },
    };
    (void)state;
    for (size_t i = 0; i < AE_COUNT(asks); i++) {
        ae_bytes body = { 0 };
        ae_bytes_printf(&body, "{'model':'nursery',%s,'pad':'", asks[i].body);
        for (int k = 0; k < 100000; k++) ae_bytes_add_char(&body, 'x');
        ae_bytes_add_text(&body, "'}");
        expect_text(asks[i].path, body.data, 200, asks[i].says);
        ae_bytes_free(&body);
    }
}

static void failures_have_their_sentences(void **state)
{
    ae_bytes body = { 0 };
    (void)state;
    for (int k = 0; k < 100000; k++) ae_bytes_add_char(&body, ' ');
    expect_text("/v1/chat/completions", body.data, 400, "this is not JSON");
    ae_bytes_add_text(&body, "[]");
    expect_text("/v1/chat/completions", body.data, 400, "must be a JSON object");
    body.len -= 2;
    ae_bytes_add_text(&body, "{'model':'nobody','messages':[{'role':'user','content':'x'}]}");
    expect_text("/v1/chat/completions", body.data, 404, "not found");
    ae_bytes_free(&body);
    /* What names a model needs no megabytes. */
    for (int k = 0; k < 2 << 20; k++) ae_bytes_add_char(&body, ' ');
    expect_text("/api/show", body.data, 413, "too large");
    ae_bytes_free(&body);
}

static void who_leaves_is_not_waited_for(void **state)
{
    enum { CLIENTS = 12 };
    ae_bytes body = { 0 }, request = { 0 };
    int fds[CLIENTS];
    (void)state;
    write_chat(&body, MEGABYTES << 20, false);
    wire_request(&request, "POST", "/v1/chat/completions", ae_span_of(&body), true);
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = wire_dial();
        wire_say(fds[i], ae_span_of(&request));
        if (i % 3 == 0) wire_reset(fds[i]);
    }
    for (int i = 0; i < CLIENTS; i++)
        if (i % 3) wire_reset(fds[i]);
    wire_await_rest();
    ae_bytes_free(&body);
    ae_bytes_free(&request);
}

/* Whoever has sent its request is answered, though the server is told to stop meanwhile. */
static void they_are_answered_before_the_end(void **state)
{
    ae_bytes body = { 0 }, request = { 0 };
    (void)state;
    write_chat(&body, MEGABYTES << 20, true);
    wire_request(&request, "POST", "/v1/chat/completions", ae_span_of(&body), true);
    int fd = wire_dial();
    wire_say(fd, ae_span_of(&request));
    ae_bytes_free(&body);
    ae_bytes_free(&request);
    ask_end();
    char *reply = wire_hear(fd, NULL);
    assert_non_null(strstr(reply, "HTTP/1.1 400"));
    ae_free(reply);
    assert_int_equal(ask_begin(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(others_are_answered_meanwhile),
        cmocka_unit_test(replies_are_the_same),
        cmocka_unit_test(every_route_takes_them),
        cmocka_unit_test(failures_have_their_sentences),
        cmocka_unit_test(who_leaves_is_not_waited_for),
        cmocka_unit_test(they_are_answered_before_the_end),
    };
    return cmocka_run_group_tests(tests, live_server_start, live_server_stop);
}
