/* test_malformed.c -- ten thousand requests made of good ones by accident: each is answered, with
 * an error if it has become one, or its connection closed; and the server goes on. */
#include "scratch.h"
#include "wire.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

enum { REQUESTS = 10000, AT_ONCE = 50, PATIENCE_MS = 20 };

#define TALK "\"messages\":[{\"role\":\"user\",\"content\":\"Go on.\"}]"

static const struct {
    const char *method, *path, *body;
} good[] = {
    { "GET", "/api/tags", NULL },
    { "GET", "/v1/models", NULL },
    { "GET", "/metrics", NULL },
    { "POST", "/api/show", "{\"model\":\"nursery\",\"verbose\":true}" },
    { "POST", "/api/chat",
      "{\"model\":\"nursery\",\"stream\":true,\"keep_alive\":\"5m\",\"think\":false," TALK
      ",\"options\":{\"num_predict\":2,\"temperature\":0.7,\"top_k\":20,\"top_p\":0.9,\"seed\":4,"
      "\"stop\":[\"x\",\"\\u00e9\"],\"num_ctx\":512}}" },
    { "POST", "/api/generate",
      "{\"model\":\"nursery\",\"prompt\":\"A fox\",\"raw\":true,\"options\":{\"num_predict\":1}}" },
    { "POST", "/api/embed",
      "{\"model\":\"nursery\",\"input\":[\"one\",\"two\"],\"truncate\":true}" },
    { "POST", "/v1/chat/completions",
      "{\"model\":\"nursery\",\"max_tokens\":2,\"n\":2,\"logprobs\":true,\"top_logprobs\":3,"
      "\"logit_bias\":{\"5\":-100,\"6\":3.5},\"stop\":[\"a\"],\"stream_options\":{\"include_"
      "usage\":"
      "true},\"stream\":true," TALK "}" },
    { "POST", "/v1/chat/completions",
      "{\"model\":\"nursery\",\"max_tokens\":2,\"tool_choice\":\"required\",\"tools\":[{\"type\":"
      "\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\","
      "\"properties\":"
      "{\"a\":{\"type\":\"integer\",\"minimum\":3}},\"required\":[\"a\"]}}}]," TALK "}" },
    { "POST", "/v1/chat/completions",
      "{\"model\":\"nursery\",\"max_tokens\":2,\"response_format\":{\"type\":\"json_schema\","
      "\"json_schema\":{\"name\":\"s\",\"schema\":{\"type\":\"object\",\"properties\":{\"b\":"
      "{\"type\":\"string\",\"pattern\":\"^[a-z]{2,5}$\"},\"c\":{\"$ref\":\"#/$defs/"
      "d\"}},\"$defs\":"
      "{\"d\":{\"enum\":[1,\"two\",null]}}}}}," TALK "}" },
    { "POST", "/v1/chat/completions",
      "{\"model\":\"nursery\",\"max_tokens\":2,\"grammar\":\"root ::= [a-z]{1,4} (\\\" \\\" "
      "root)?\","
      "" TALK "}" },
    { "POST", "/v1/completions",
      "{\"model\":\"nursery\",\"prompt\":[[5,6,7],[8]],\"max_tokens\":1,\"echo\":true,\"logprobs\":"
      "2}" },
    { "POST", "/v1/embeddings",
      "{\"model\":\"nursery\",\"input\":\"one\",\"encoding_format\":\"base64\",\"dimensions\":4}" },
    { "POST", "/v1/responses",
      "{\"model\":\"nursery\",\"max_output_tokens\":2,\"input\":[{\"role\":\"user\",\"content\":[{"
      "\"type\":\"input_text\",\"text\":\"Hi\"}]}],\"stream\":true}" },
    { "POST", "/v1/messages",
      "{\"model\":\"nursery\",\"max_tokens\":2,\"system\":\"Be brief.\",\"stop_sequences\":[\"q\"],"
      "" TALK "}" },
    { "POST", "/v1/messages/count_tokens", "{\"model\":\"nursery\"," TALK "}" },
};

static size_t below(ae_rng *rng, size_t n)
{
    return (size_t)ae_rng_below(rng, n ? n : 1);
}

static void replace(ae_bytes *b, size_t at, size_t n, const char *with, size_t len)
{
    ae_bytes out = { 0 };
    ae_bytes_add(&out, b->data, at);
    ae_bytes_add(&out, with, len);
    ae_bytes_add(&out, b->data + at + n, b->len - at - n);
    ae_bytes_free(b);
    *b = out;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The first number after a random place becomes another. */
static void change_number(ae_bytes *b, ae_rng *rng)
{
    static const char *const numbers[] = { "-1",         "0",    "1e999",  "99999999999999999999",
                                           "NaN",        "-0.0", "1e-400", "9223372036854775807",
                                           "2147483648", "1.5",  "true",   "[]" };
    size_t at = below(rng, b->len), n = 0;
    while (at < b->len && !is_digit(b->data[at])) at++;
    while (at + n < b->len && is_digit(b->data[at + n])) n++;
    const char *with = numbers[below(rng, AE_COUNT(numbers))];
    if (n) replace(b, at, n, with, strlen(with));
}

static void mutate(ae_bytes *b, ae_rng *rng)
{
    static const char signs[] = "{}[]\",:\\\r\n \t0-eE+nult%\x01\x7f\x80\xc3\xed\xff";
    char noise[8];
    size_t at = below(rng, b->len), rest = b->len - at, n = below(rng, rest < 12 ? rest : 12);
    if (b->len == 0) return;
    switch (ae_rng_below(rng, 8)) {
    case 0:
        b->data[at] = (char)ae_rng_below(rng, 256);
        break;
    case 1:
        b->data[at] = signs[below(rng, sizeof signs - 1)];
        break;
    case 2:
        replace(b, at, n, "", 0);
        break;
    case 3:
        for (size_t i = 0; i < sizeof noise; i++) noise[i] = signs[below(rng, sizeof signs - 1)];
        replace(b, at, 0, noise, below(rng, sizeof noise));
        break;
    case 4: { /* said twice */
        char *part = ae_strndup(b->data + at, n);
        replace(b, at, 0, part, n);
        ae_free(part);
        break;
    }
    case 5:
        b->len = at;
        break;
    case 6: { /* nested deeper */
        const char *open = ae_rng_below(rng, 2) ? "[" : "{\"a\":";
        for (size_t i = below(rng, 200); i > 0; i--) replace(b, at, 0, open, strlen(open));
        break;
    }
    default:
        change_number(b, rng);
    }
}

static void add_line(ae_bytes *head, ae_rng *rng)
{
    static const char *const lines[] = { "Transfer-Encoding: chunked\r\n",
                                         "Content-Length: 5\r\n",
                                         "Expect: 100-continue\r\n",
                                         "Host: example.org\r\n",
                                         "Connection: upgrade\r\n",
                                         "Origin: http://x.y\r\n",
                                         " folded\r\n",
                                         "X\r\n",
                                         "Content-Length: -1\r\n",
                                         "\r\n" };
    size_t first = (size_t)(strstr(head->data, "\r\n") - head->data) + 2;
    const char *line = lines[below(rng, AE_COUNT(lines))];
    replace(head, first, 0, line, strlen(line));
}

/* One request: its body, its head or both are no longer what they were. */
static void make(ae_bytes *out, ae_rng *rng)
{
    ae_bytes body = { 0 };
    size_t which = below(rng, AE_COUNT(good)), times = 1 + below(rng, 4);
    uint64_t where = ae_rng_below(rng, 10);
    const char *text = good[which].body;
    if (text) ae_bytes_add_text(&body, text);
    for (size_t i = 0; i < times && where < 7 && text; i++) mutate(&body, rng);
    wire_request(out, good[which].method, good[which].path,
                 text ? (ae_span){ body.data ? body.data : "", body.len } : (ae_span){ 0 }, false);
    if (where == 7) add_line(out, rng);
    for (size_t i = 0; i < times && (where > 7 || !text); i++) mutate(out, rng);
    ae_bytes_free(&body);
}

/* ---- what becomes of them */

typedef struct {
    int fd, status;
    bool over;
    ae_bytes sent, got;
} request;

/* The last status that came, but for "100 Continue". */
static int status_in(const ae_bytes *got)
{
    const char *at = got->data;
    while (at && !strncmp(at, "HTTP/1.1 100", 12)) at = strstr(at + 1, "HTTP/1.1 ");
    return at && got->len >= 12 && !strncmp(at, "HTTP/1.1 ", 9) && strstr(at, "\r\n") ? atoi(at + 9)
                                                                                      : 0;
}

static void look(request *r)
{
    char part[4096];
    ssize_t n = recv(r->fd, part, sizeof part, MSG_DONTWAIT);
    if (n > 0) ae_bytes_add(&r->got, part, (size_t)n);
    r->status = status_in(&r->got);
    r->over = r->status != 0 || n == 0 || (n < 0 && errno != EAGAIN);
}

/* True when the last of them is over. */
static bool await(request *all, int ms)
{
    struct pollfd p[AT_ONCE];
    for (;;) {
        nfds_t n = 0;
        for (int i = 0; i < AT_ONCE; i++) {
            p[i] = (struct pollfd){ .fd = all[i].over ? -1 : all[i].fd, .events = POLLIN };
            n += !all[i].over;
        }
        if (n == 0) return true;
        if (poll(p, AT_ONCE, ms) <= 0) return false;
        for (int i = 0; i < AT_ONCE; i++)
            if (p[i].revents) look(&all[i]);
    }
}

static void judge(const request *r, int *counts)
{
    int s = r->status;
    bool fine = s == 0 || s == 200 || s == 204 || (s >= 400 && s < 500) || s == 501 || s == 505;
    if (!fine) fail_msg("%.*s\n---\n%s", (int)r->sent.len, r->sent.data, r->got.data);
    counts[s / 100]++;
}

static void send_some(ae_rng *rng, int *counts)
{
    request all[AT_ONCE] = { 0 };
    for (int i = 0; i < AT_ONCE; i++) {
        make(&all[i].sent, rng);
        all[i].fd = wire_dial();
        wire_say(all[i].fd, ae_span_of(&all[i].sent));
    }
    /* Who still waits has not sent all that it said it would: it says that this is all. */
    if (!await(all, PATIENCE_MS)) {
        for (int i = 0; i < AT_ONCE; i++)
            if (!all[i].over) shutdown(all[i].fd, SHUT_WR);
        if (!await(all, 60000)) fail_msg("some are neither answered nor closed");
    }
    for (int i = 0; i < AT_ONCE; i++) {
        judge(&all[i], counts);
        close(all[i].fd);
        ae_bytes_free(&all[i].sent);
        ae_bytes_free(&all[i].got);
    }
}

static void accidents_are_survived(void **state)
{
    int counts[10] = { 0 };
    ae_rng rng;
    (void)state;
    ae_rng_seed(&rng, 2);
    for (int i = 0; i < REQUESTS; i += AT_ONCE) send_some(&rng, counts);
    print_message("%d answered, %d refused, %d of another protocol, %d closed\n", counts[2],
                  counts[4], counts[5], counts[0]);
    assert_true(counts[4] > REQUESTS / 4);
    wire_await_rest();
    assert_int_equal(wire_ask("POST", "/api/chat", ae_span_text(good[4].body), NULL), 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(accidents_are_survived) };
    return cmocka_run_group_tests(tests, live_server_start, live_server_stop);
}
