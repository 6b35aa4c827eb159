/* server.c -- answers of a model behind an OpenAI-compatible server, streamed, so that the time to
 * the first text is known; several under way. */
#include "answer/answer_private.h"
#include "endpoint/endpoint.h"

#include <stdlib.h>
#include <string.h>

enum { AT_ONCE = 4, MOST_BYTES = 16 << 20, MOST_BROKEN = 4 };

typedef struct {
    bool busy, streamed; /* streamed: a line with data has come */
    bool ended;          /* it says so: a stream may break off without a sign */
    int n_broken;        /* streams of this question that did */
    ae_bytes line, text; /* line: what has come of the next one; not streamed: all of the body */
    json_t *top_logprobs;
    double begun_at;
    ae_answer answer;
    ae_endpoint_call call;
} slot;

typedef struct {
    const ae_answerer *who;
    const ae_answer_work *work;
    ae_endpoint *server;
    slot *slots;
    size_t n_slots, n_answered;
} asking;

/* ---- what comes ---- */

/* Of a reply's first token, once. What is no list of tokens with numbers is passed over. */
static void take_logprobs(slot *s, const json_t *choice)
{
    const json_t *content = json_object_get(json_object_get(choice, "logprobs"), "content");
    const json_t *top = json_object_get(json_array_get(content, 0), "top_logprobs");
    json_t *one;
    size_t i;

    if (s->top_logprobs || !json_array_size(top)) return;
    s->top_logprobs = json_array();
    json_array_foreach(top, i, one)
    {
        json_t *token = json_object_get(one, "token"), *number = json_object_get(one, "logprob");
        if (json_is_string(token) && json_is_number(number))
            json_array_append_new(s->top_logprobs, json_pack("[O, O]", token, number));
    }
}

/* A piece of a reply, or all of it: choices[0].delta or .message. */
static void take_event(slot *s, const json_t *event)
{
    const json_t *choice = json_array_get(json_object_get(event, "choices"), 0);
    const json_t *text = ae_endpoint_text(choice);
    const char *why = json_string_value(json_object_get(choice, "finish_reason"));

    if (json_string_length(text) && !s->text.len)
        s->answer.first_seconds = ae_clock_seconds() - s->begun_at;
    if (text) ae_bytes_add(&s->text, json_string_value(text), json_string_length(text));
    if (why) s->answer.cut = !strcmp(why, "length");
    take_logprobs(s, choice);
    s->ended = s->ended || why;
    ae_endpoint_usage(event, &s->answer.prompt_tokens, &s->answer.reply_tokens);
}

static bool is_done(const char *text, size_t len)
{
    while (len > 0 && *text == ' ') text++, len--;
    return len >= 6 && !memcmp(text, "[DONE]", 6);
}

static aerie_status take_line(slot *s, const char *line, size_t len, aerie_error *err)
{
    json_t *event;

    if (len < 5 || memcmp(line, "data:", 5) != 0) return AERIE_OK;
    s->streamed = true;
    event = json_loadb(line + 5, len - 5, 0, NULL);
    if (!event) {
        s->ended = s->ended || is_done(line + 5, len - 5);
        return AERIE_OK;
    }
    const json_t *error = json_object_get(event, "error");
    const char *why = json_string_value(json_object_get(error, "message"));
    take_event(s, event);
    aerie_status status =
        error ? aerie_fail(err, AERIE_IO, "the server says: %.300s", why ? why : "an error")
              : AERIE_OK;
    json_decref(event);
    return status;
}

static aerie_status on_body(void *user, const ae_http_response *so_far, const void *data,
                            size_t len, aerie_error *err)
{
    slot *s = user;
    aerie_status status = AERIE_OK;
    size_t at = 0;
    const char *end;

    if (s->line.len + len > MOST_BYTES || s->text.len > MOST_BYTES ||
        so_far->received > (uint64_t)4 * MOST_BYTES) /* a stream's pieces are wrapped */
        return aerie_fail(err, AERIE_IO, "the answer is longer than %d bytes", MOST_BYTES);
    ae_bytes_add(&s->line, data, len);
    status = ae_bytes_status(&s->line, err);
    while (!status && s->line.data &&
           (end = memchr(s->line.data + at, '\n', s->line.len - at)) != NULL) {
        size_t next = (size_t)(end - s->line.data) + 1;
        status = take_line(s, s->line.data + at, next - 1 - at, err);
        at = next;
    }
    if (!s->streamed || status || !at) return status;
    memmove(s->line.data, s->line.data + at, s->line.len - at);
    s->line.len -= at;
    return AERIE_OK;
}

/* ---- what is asked ---- */

static json_t *body_of(const asking *a, const ae_question *q)
{
    json_t *messages = json_loads(q->messages, 0, NULL), *body;

    if (!messages) return NULL;
    body = json_pack("{s:s, s:o, s:I, s:b, s:{s:b}, s:I}", "model", a->who->name, "messages",
                     messages, "max_tokens", (json_int_t)q->max_tokens, "stream", 1,
                     "stream_options", "include_usage", 1, "seed", (json_int_t)q->sampling.seed);
    if (!body) return NULL;
    if (q->sampling.temperature >= 0)
        json_object_set_new(body, "temperature", json_real((double)q->sampling.temperature));
    if (q->sampling.top_p >= 0)
        json_object_set_new(body, "top_p", json_real((double)q->sampling.top_p));
    if (q->n_stop) {
        json_t *stops = json_array();
        for (size_t i = 0; i < q->n_stop; i++)
            json_array_append_new(stops, json_string(q->stop[i]));
        json_object_set_new(body, "stop", stops);
    }
    if (q->top_logprobs > 0) {
        json_object_set_new(body, "logprobs", json_true());
        json_object_set_new(body, "top_logprobs", json_integer(q->top_logprobs));
    }
    return body;
}

static aerie_status ask_one(asking *a, slot *s, const ae_question *q, aerie_error *err)
{
    s->busy = true;
    s->answer.id = q->id;
    s->begun_at = ae_clock_seconds();
    return ae_endpoint_send(a->server, &s->call, "chat/completions", body_of(a, q), on_body, s,
                            err);
}

static void empty(slot *s)
{
    ae_bytes_free(&s->line);
    ae_bytes_free(&s->text);
    json_decref(s->top_logprobs);
    ae_endpoint_call_free(&s->call);
    *s = (slot){ 0 };
}

static aerie_status fill(asking *a, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    for (size_t i = 0; i < a->n_slots && !status; i++) {
        ae_question q = { 0 };
        if (a->slots[i].busy) continue;
        status = a->work->next(a->work->user, &q, err);
        if (status || !q.messages) break;
        status = ask_one(a, &a->slots[i], &q, err);
        free(q.messages);
    }
    return status;
}

/* ---- what becomes of it ---- */

/* A last line may lack its end. */
static void end_line(slot *s)
{
    aerie_error ignored = { 0 };

    if (!s->streamed || !s->line.len) return;
    (void)take_line(s, s->line.data, s->line.len, &ignored);
    ae_bytes_clear(&s->line);
}

/* A server that does not stream answers with one object. */
static aerie_status end_text(asking *a, slot *s, aerie_error *err)
{
    if (s->streamed && !s->ended)
        return aerie_fail(err, AERIE_IO,
                          "the server's replies break off: a stream ends with a 'finish_reason' or "
                          "with [DONE]; the same command goes on where it was");
    if (s->streamed) return ae_bytes_status(&s->text, err);
    json_t *answer = json_loadb(s->line.data ? s->line.data : "", s->line.len, 0, NULL);
    bool is_one = json_array_size(json_object_get(answer, "choices")) > 0;
    if (is_one) take_event(s, answer);
    json_decref(answer);
    if (!is_one) return ae_endpoint_unlike(a->server, &s->line, err);
    return ae_bytes_status(&s->text, err);
}

static aerie_status keep(asking *a, slot *s, aerie_error *err)
{
    s->answer.seconds = ae_clock_seconds() - s->begun_at;
    s->answer.text = s->text.data ? s->text.data : "";
    s->answer.top_logprobs = s->top_logprobs;
    a->n_answered++;
    return a->work->take(a->work->user, &s->answer, err);
}

/* 400, 413 and 422 may be about one prompt, a too long one; when none has been answered they are
 * about all. */
static aerie_status take_refusal(asking *a, slot *s, const ae_http_response *r, aerie_error *err)
{
    aerie_error why = { 0 };
    aerie_status status = ae_http_expect(r, &why);

    if (!ae_endpoint_refuses_one(r->status) || a->n_answered == 0)
        return aerie_fail(err, status, "%s", why.message);
    s->answer.failed = why.message;
    ae_bytes_clear(&s->text);
    return keep(a, s, err);
}

/* A reply of which a part came is asked for again, from its beginning. */
static aerie_status ask_again(asking *a, slot *s, aerie_error *err)
{
    json_t *body = json_loads(s->call.body, 0, NULL);

    s->n_broken++;
    s->streamed = s->ended = false;
    ae_bytes_clear(&s->line);
    ae_bytes_clear(&s->text);
    json_decref(s->top_logprobs);
    s->top_logprobs = NULL;
    return ae_endpoint_send(a->server, &s->call, "chat/completions", body, on_body, s, err);
}

static bool is_broken(const asking *a, const slot *s, const ae_http_done *done)
{
    bool came = done->response.status >= 200 && done->response.status <= 299;

    if (!came || a->who->max_retries < 0 || s->n_broken >= MOST_BROKEN) return false;
    return done->status ? done->status == AERIE_IO && done->response.received < MOST_BYTES
                        : s->streamed && !s->ended;
}

static aerie_status take(asking *a, ae_http_done *done, aerie_error *err)
{
    slot *s = done->user;
    aerie_status status;

    if (!done->status) end_line(s);
    if (is_broken(a, s, done)) return ask_again(a, s, err);
    if (done->status) return aerie_fail(err, done->status, "%s", done->error.message);
    if (done->response.status < 200 || done->response.status > 299) {
        status = take_refusal(a, s, &done->response, err);
    } else {
        status = end_text(a, s, err);
        if (!status) status = keep(a, s, err);
    }
    empty(s);
    return status;
}

static aerie_status run(asking *a, aerie_error *err)
{
    aerie_status status = fill(a, err);
    ae_http_done done;

    while (!status && ae_endpoint_wait(a->server, &done)) {
        status = take(a, &done, err);
        ae_http_response_free(&done.response);
        /* A quick server leaves no time to be asked while waiting. */
        if (!status && !a->work->go_on(a->work->user)) status = ae_answer_stopped(err);
        if (!status) status = fill(a, err);
    }
    return status;
}

static bool stop(void *user)
{
    const asking *a = user;

    return !a->work->go_on(a->work->user);
}

static aerie_status open_asking(asking *a, aerie_error *err)
{
    const ae_endpoint_options options = { .url = a->who->url,
                                          .key = a->who->key,
                                          .request = a->who->request,
                                          .timeout_seconds = a->who->timeout_seconds,
                                          .max_retries = a->who->max_retries,
                                          .stop = stop,
                                          .stop_user = a };

    a->slots = ae_alloc(a->n_slots, sizeof *a->slots);
    if (!a->slots) return aerie_fail(err, AERIE_NO_MEMORY, "no memory to ask a server");
    return ae_endpoint_open(&a->server, &options, err);
}

aerie_status ae_answer_by_server(const ae_answerer *who, const ae_answer_work *work,
                                 ae_answer_totals *out, aerie_error *err)
{
    int64_t n = who->parallel > 0 ? who->parallel : AT_ONCE;
    asking a = { .who = who, .work = work, .n_slots = (size_t)ae_min64(n, AE_ANSWERS_AT_MOST) };
    double begun_at = ae_clock_seconds();
    aerie_status status = open_asking(&a, err);

    if (!status) {
        status = run(&a, err);
        out->seconds = ae_clock_seconds() - begun_at;
    }
    ae_endpoint_close(a.server); /* before the bodies that it sends */
    for (size_t i = 0; a.slots && i < a.n_slots; i++) empty(&a.slots[i]);
    ae_free(a.slots);
    return status;
}
