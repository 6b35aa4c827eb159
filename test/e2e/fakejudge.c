/* fakejudge.c -- an OpenAI-compatible server that judges by a rule, or badly: the model's name says
 * how. Prints its port and serves until its input ends.
 *
 *   longer   the longer answer is better; a mark is the answer's words, at most 10
 *   first    whatever is shown first is better
 *   mumbling says nothing of use until it is asked again
 *   mute     never does
 *   flaky    the same as longer, between 429, 500, 503 and hang-ups
 *   slow     the same as longer, after 30 ms
 *   fussy    refuses a question with the word "unspeakable" (400)
 *   locked   wants the key s3cret
 *   html     answers 200 with a page
 *   broken   cuts every answer off
 *   halfway  the same as longer, but hangs up on every sixth request
 *   letters  the same as longer without log-probabilities
 *   hollow   log-probabilities of nothing, and no letter
 *
 * AlpacaEval's and Arena-Hard's prompts are judged by length, too: the former with the
 * log-probabilities of m and M, the latter strongly where an answer is twice as long. */
#include "http/server.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What stands between two marks, or "". */
static const char *between(const char *text, const char *from, const char *to, size_t *len)
{
    const char *begin = strstr(text, from), *end;

    *len = 0;
    if (!begin) return "";
    begin += strlen(from);
    end = strstr(begin, to);
    *len = end ? (size_t)(end - begin) : strlen(begin);
    return begin;
}

static int words_in(const char *text, size_t len)
{
    int n = 0;

    for (size_t i = 0; i < len; i++) n += text[i] != ' ' && (i == 0 || text[i - 1] == ' ');
    return n;
}

/* Arena-Hard's two answers; false: it is another prompt. */
static bool arena_hard(char out[200], const char *text)
{
    size_t a, b;

    if (!strstr(text, "<|User Prompt|>")) return false;
    between(text, "Assistant A's Answer|>\n", "\n<|The End of Assistant A", &a);
    between(text, "Assistant B's Answer|>\n", "\n<|The End of Assistant B", &b);
    snprintf(out, 200, "Not [[A=B]] by sight: my final verdict is [[%s]]",
             a > 2 * b   ? "A>>B"
             : a > b     ? "A>B"
             : b > 2 * a ? "B>>A"
             : b > a     ? "B>A"
                         : "A=B");
    return true;
}

/* AlpacaEval's: how probable m is; -1: it is another prompt. */
static double alpaca_eval(const char *text)
{
    static const char mark[] = "\"output\": \"\"\"";
    const char *first = strstr(text, mark), *second = first ? strstr(first + 1, mark) : NULL;
    size_t a, b;

    if (!second) return -1;
    between(first, mark, "\"\"\"", &a);
    between(second, mark, "\"\"\"", &b);
    return (double)(a + 1) / (double)(a + b + 2);
}

static void by_length(char out[200], const char *text)
{
    size_t a, b, c;

    if (arena_hard(out, text)) return;
    const char *answer = between(text, "[The answer begins]\n", "\n[The answer ends]", &c);

    if (*answer) {
        int mark = words_in(answer, c);
        snprintf(out, 200, "It has %d words. [[%d]]", mark, mark > 10 ? 10 : mark < 1 ? 1 : mark);
        return;
    }
    between(text, "[Answer A begins]\n", "\n[Answer A ends]", &a);
    between(text, "[Answer B begins]\n", "\n[Answer B ends]", &b);
    snprintf(out, 200, "Lengths are %zu and %zu; neither [[A]] nor [[B]] goes unread. [[%s]]", a, b,
             a > b   ? "A"
             : a < b ? "B"
                     : "C");
}

static void reply(int fd, const char *text)
{
    json_t *body = json_pack("{s:[{s:i, s:{s:s, s:s}, s:s}], s:{s:i, s:i}}", "choices", "index", 0,
                             "message", "role", "assistant", "content", text, "finish_reason",
                             "stop", "usage", "prompt_tokens", 100, "completion_tokens", 10);
    char *json = json_dumps(body, JSON_COMPACT);

    server_answer(fd, 200, "Content-Type: application/json\r\n", json);
    free(json);
    json_decref(body);
}

/* One letter, with the probabilities of both: NULL: none are told. */
static void reply_letter(int fd, const char *said, const char *model, double p)
{
    json_t *body = json_pack("{s:[{s:i, s:{s:s, s:s}, s:s}]}", "choices", "index", 0, "message",
                             "role", "assistant", "content", said, "finish_reason", "length");
    json_t *choice = json_array_get(json_object_get(body, "choices"), 0);
    char *json;

    if (!strcmp(model, "hollow"))
        json_object_set_new(choice, "logprobs", json_pack("{s:[]}", "content"));
    else if (strcmp(model, "letters") != 0)
        json_object_set_new(choice, "logprobs",
                            json_pack("{s:[{s:s, s:f, s:[{s:s, s:f}, {s:s}, {s:s, s:f}]}]}",
                                      "content", "token", said, "logprob", log(p), "top_logprobs",
                                      "token", "m", "logprob", log(p), "token", "x", "token", "M",
                                      "logprob", log(1 - p)));
    json = json_dumps(body, JSON_COMPACT);
    server_answer(fd, 200, "Content-Type: application/json\r\n", json);
    free(json);
    json_decref(body);
}

/* Every other request fails, in turns. */
static bool is_flaky(int fd, int number)
{
    switch (number % 8) {
    case 1:
        server_answer(fd, 429, "Retry-After: 0\r\n", "{\"error\": \"slow down\"}");
        return true;
    case 3:
        server_answer(fd, 500, "", "oops");
        return true;
    case 5:
        server_answer(fd, 503, "", "{\"error\": \"busy\"}");
        return true;
    default:
        return false;
    }
}

static bool judge(int fd, const server_request *r, const char *model, const json_t *messages)
{
    size_t n = json_array_size(messages);
    const char *text = json_string_value(json_object_get(json_array_get(messages, 1), "content"));
    char said[200] = "", key[100] = "";

    if (!text) text = "";
    by_length(said, text);
    if (!strcmp(model, "flaky") && r->number % 8 == 7) return false;
    if (!strcmp(model, "flaky") && is_flaky(fd, r->number)) return true;
    if (!strcmp(model, "halfway") && r->number % 6 == 0) {
        server_write(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"choices\"");
        return false;
    }
    if (!strcmp(model, "slow")) server_sleep_ms(30);
    if (!strcmp(model, "first")) snprintf(said, sizeof said, "[[A]]");
    if (!strcmp(model, "mute") || (!strcmp(model, "mumbling") && n < 4))
        snprintf(said, sizeof said, "Well, [[D]], or [A]; who knows?");
    if (!strcmp(model, "mumbling") && n >= 4)
        snprintf(said, sizeof said, "<think>[[B]]</think>\n **[[A]]**");
    if (!strcmp(model, "fussy") && strstr(text, "unspeakable")) {
        server_answer(fd, 400, "", "{\"error\": {\"message\": \"too long for me\"}}");
        return true;
    }
    if (!strcmp(model, "locked") && (!server_header(r, "Authorization", key, sizeof key) ||
                                     strcmp(key, "Bearer s3cret") != 0)) {
        server_answer(fd, 401, "", "{\"error\": {\"message\": \"Incorrect API key\"}}");
        return true;
    }
    if (!strcmp(model, "html")) {
        server_answer(fd, 200, "", "<html>Welcome</html>");
        return true;
    }
    if (!strcmp(model, "broken")) {
        server_write(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"choices\"");
        return false;
    }
    double p = alpaca_eval(text);
    if (p >= 0)
        reply_letter(fd, !strcmp(model, "hollow") ? "Both" : p > 0.5 ? "m" : "M", model, p);
    else
        reply(fd, said);
    return true;
}

static bool answer(void *user, int fd, const server_request *r)
{
    static const char known[] =
        "longer first mumbling mute flaky slow fussy locked html broken halfway letters hollow";
    json_t *body = json_loadb(r->body, r->body_len, 0, NULL);
    const char *model = json_string_value(json_object_get(body, "model"));
    bool go_on = true;

    (void)user;
    if (strcmp(r->path, "/v1/chat/completions") != 0)
        server_answer(fd, 404, "", "404 page not found");
    else if (!model || !strstr(known, model))
        server_answer(fd, 404, "", "{\"error\": {\"message\": \"model not found\"}}");
    else
        go_on = judge(fd, r, model, json_object_get(body, "messages"));
    json_decref(body);
    return go_on;
}

int main(void)
{
    server *s = server_start(0, answer, NULL);

    if (!s) return 1;
    printf("%d\n", server_port(s));
    fflush(stdout);
    while (getchar() != EOF) continue;
    fprintf(stderr, "%d requests, at most %d at once\n", server_count(s), server_most_at_once(s));
    server_stop(s);
    return 0;
}
