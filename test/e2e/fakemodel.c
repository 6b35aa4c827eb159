/* fakemodel.c -- an OpenAI-compatible server that answers completions, or badly: the model's name
 * says how. Every character is a token; its likelihood follows from it. Prints its port and serves
 * until its input ends; each request's number goes to stderr.
 *
 *   good       as it should
 *   flaky      the same, between 429 with Retry-After, 500, 503 and hang-ups
 *   cut        the first stream for each prompt breaks off in its midst, without a sign
 *   reset      the first body for each prompt is shorter than its Content-Length
 *   always_cut all streams break off
 *   null       no reply: null, because its length ended it
 *   silent     no log-probabilities
 *   untopped   none of the likeliest tokens
 *   backwards  offsets that go back
 *   short      an offset too few
 *   above      a log-probability above 0
 *   nan        NaN in the JSON
 *   none       no choices
 *   huge       80 MB of spaces
 *   endless    a stream of 32 MB
 *   fussy      refuses what has the word "unspeakable" (400)
 *   busy       429 always, with a Retry-After of a day
 *   slow       as good, after 20 ms */
#include "http/server.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether this is asked for the first time. */
static bool is_new(const char *model, const char *prompt)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static json_t *seen;
    char key[4096];

    snprintf(key, sizeof key, "%s %s", model, prompt);
    pthread_mutex_lock(&lock);
    if (!seen) seen = json_object();
    bool is = !json_object_get(seen, key);
    json_object_set_new(seen, key, json_true());
    pthread_mutex_unlock(&lock);
    return is;
}

/* ---- likelihoods ---- */

static double logprob_of(char c)
{
    return -0.25 - (double)((unsigned char)c % 13) / 8;
}

/* Of the prompt, a token a character, and of one more. */
static json_t *scored(const char *model, const char *prompt)
{
    json_t *values = json_array(), *offsets = json_array(), *tops = json_array();
    size_t n = strlen(prompt);

    for (size_t i = 0; i <= n; i++) {
        double x = logprob_of(i < n ? prompt[i] : '.');
        if (!strcmp(model, "above")) x = 1;
        json_array_append_new(values, i ? json_real(x) : json_null());
        json_array_append_new(offsets,
                              json_integer((json_int_t)(strcmp(model, "backwards") ? i : n - i)));
        json_array_append_new(tops, i ? json_pack("{s:f}", "e", -0.5) : json_null());
    }
    if (!strcmp(model, "short")) json_array_remove(offsets, n);
    json_t *all = json_pack("{s:o, s:o, s:o}", "token_logprobs", values, "text_offset", offsets,
                            "top_logprobs", tops);
    if (!strcmp(model, "untopped")) json_object_del(all, "top_logprobs");
    if (!strcmp(model, "silent")) json_object_clear(all);
    return all;
}

static void send_json(int fd, json_t *body)
{
    char *text = json_dumps(body, JSON_COMPACT);

    server_answer(fd, 200, "Content-Type: application/json\r\n", text);
    free(text);
    json_decref(body);
}

/* ---- replies ---- */

/* Words that follow from the prompt. */
static void reply_to(char out[64], const char *prompt)
{
    unsigned sum = 7;

    for (; *prompt; prompt++) sum = 31 * sum + (unsigned char)*prompt;
    snprintf(out, 64, "Reply %u of words.", sum % 1000);
}

static void write_piece(int fd, const char *text, const char *why)
{
    json_t *event = json_pack("{s:[{s:i, s:{s:s}, s:s?}]}", "choices", "index", 0, "delta",
                              "content", text, "finish_reason", why);
    char *json = json_dumps(event, JSON_COMPACT);

    server_write(fd, "data: ");
    server_write(fd, json);
    server_write(fd, "\n\n");
    free(json);
    json_decref(event);
}

/* The body ends with the connection, as of servers that stream without chunks. */
static bool stream(int fd, const char *model, const char *prompt, const char *text)
{
    bool breaks = !strcmp(model, "always_cut") || (!strcmp(model, "cut") && is_new(model, prompt));
    char half[64];

    snprintf(half, sizeof half, "%.*s", (int)strlen(text) / 2, text);
    server_write(fd,
                 "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n");
    write_piece(fd, half, NULL);
    if (breaks) return false;
    write_piece(fd, text + strlen(half), NULL);
    if (!strcmp(model, "endless")) {
        static char much[1 << 14];
        memset(much, 'x', sizeof much - 1);
        for (int i = 0; i < 2000; i++) write_piece(fd, much, NULL);
    }
    write_piece(fd, "", "stop");
    server_write(fd, "data: [DONE]\n\n");
    return false;
}

static bool reply(int fd, const server_request *r, const char *model, const json_t *body,
                  const char *prompt)
{
    bool chat = strstr(r->path, "/chat/") != NULL;
    char text[64];

    reply_to(text, prompt);
    if (json_is_true(json_object_get(body, "stream"))) return stream(fd, model, prompt, text);
    json_t *said = strcmp(model, "null") ? json_string(text) : json_null();
    json_t *choice =
        chat ? json_pack("{s:i, s:{s:s, s:o}, s:s}", "index", 0, "message", "role", "assistant",
                         "content", said, "finish_reason", "length")
             : json_pack("{s:i, s:o, s:s}", "index", 0, "text", said, "finish_reason", "length");
    send_json(fd, json_pack("{s:[o]}", "choices", choice));
    return true;
}

/* ---- mishaps ---- */

/* True: it has been answered, or not; *go_on: the connection stays. */
static bool goes_wrong(int fd, const server_request *r, const char *model, const char *prompt,
                       bool *go_on)
{
    int turn = r->number % 8;

    *go_on = true;
    if (!strcmp(model, "busy") || (!strcmp(model, "flaky") && turn == 1))
        server_answer(fd, 429,
                      strcmp(model, "busy") ? "Retry-After: 0\r\n" : "Retry-After: 86400\r\n",
                      "{\"error\": \"slow down\"}");
    else if (!strcmp(model, "flaky") && turn == 3)
        server_answer(fd, 500, "", "oops");
    else if (!strcmp(model, "flaky") && turn == 5)
        server_answer(fd, 503, "", "{\"error\": \"busy\"}");
    else if (!strcmp(model, "flaky") && turn == 7)
        *go_on = false;
    else if (!strcmp(model, "reset") && is_new(model, prompt)) {
        server_write(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"choices\"");
        *go_on = false;
    } else if (!strcmp(model, "fussy") && strstr(prompt, "unspeakable"))
        server_answer(fd, 400, "", "{\"error\": {\"message\": \"too long for me\"}}");
    else if (!strcmp(model, "nan"))
        server_answer(fd, 200, "", "{\"choices\": [{\"logprobs\": {\"token_logprobs\": [NaN]}}]}");
    else if (!strcmp(model, "none"))
        server_answer(fd, 200, "", "{\"choices\": []}");
    else
        return false;
    return true;
}

static bool send_huge(int fd)
{
    static char room[1 << 16];

    memset(room, ' ', sizeof room - 1);
    server_write(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    for (int i = 0; i < 1300; i++) server_write(fd, room);
    return false;
}

static bool answer(void *user, int fd, const server_request *r)
{
    json_t *body = json_loadb(r->body, r->body_len, 0, NULL);
    const char *model = json_string_value(json_object_get(body, "model"));
    const json_t *messages = json_object_get(body, "messages");
    const json_t *last = json_array_get(messages, json_array_size(messages) - 1);
    const char *prompt =
        json_string_value(json_object_get(messages ? last : body, messages ? "content" : "prompt"));
    bool go_on = true;

    (void)user;
    fprintf(stderr, "%d %s\n", r->number, model ? model : "-");
    if (!model || !prompt)
        server_answer(fd, 400, "", "{\"error\": \"no model or no prompt\"}");
    else if (!strcmp(model, "slow"))
        server_sleep_ms(20);
    if (!model || !prompt)
        ;
    else if (!strcmp(model, "huge"))
        go_on = send_huge(fd);
    else if (goes_wrong(fd, r, model, prompt, &go_on))
        ;
    else if (json_is_integer(json_object_get(body, "logprobs")))
        send_json(fd, json_pack("{s:[{s:i, s:s, s:o}]}", "choices", "index", 0, "text", prompt,
                                "logprobs", scored(model, prompt)));
    else
        go_on = reply(fd, r, model, body, prompt);
    json_decref(body);
    return go_on;
}

int main(int argc, char **argv)
{
    server *s = server_start(argc > 1 ? atoi(argv[1]) : 0, answer, NULL);

    if (!s) return 1;
    printf("%d\n", server_port(s));
    fflush(stdout);
    while (getchar() != EOF) continue;
    server_stop(s);
    return 0;
}
