/* judge_endpoint.c -- a judge behind an OpenAI-compatible server: several questions under way, and
 * each asked again until a reply holds a verdict. */
#include "eval/judge.h"
#include "http/http.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    ae_judge judge;
    ae_judge_endpoint with; /* its texts are those below */
    char *url, *model, *bearer;
    json_t *extra;
} endpoint_judge;

/* A question under way. */
typedef struct {
    int64_t id;
    bool busy;
    int64_t n_asks;
    json_t *messages;
    char *body;
    ae_http_request request;
} slot;

typedef struct {
    const endpoint_judge *j;
    const ae_judge_task *task;
    const ae_judge_work *work;
    ae_judge_counts *counts;
    ae_http *http;
    ae_http_header headers[2];
    ae_bytes instruction, text;
    slot *slots;
    int64_t n_slots;
    bool no_more;
} asking;

static const char again_pair[] = "There is no verdict in what you said. Say it now, as exactly one "
                                 "of [[A]], [[B]], [[C]], and nothing else.";
static const char again_score[] = "There is no mark in what you said. Say it now, as a number in "
                                  "double brackets, and nothing else.";

static void empty_slot(slot *s)
{
    json_decref(s->messages);
    free(s->body);
    *s = (slot){ 0 };
}

static bool add_message(json_t *messages, const char *role, ae_span content)
{
    json_t *text = json_stringn(content.data ? content.data : "", content.len);

    return text &&
           !json_array_append_new(messages, json_pack("{s:s, s:o}", "role", role, "content", text));
}

/* Keys of `extra` win; null takes one out. */
static void lay_over(json_t *body, json_t *extra)
{
    const char *key;
    json_t *value;

    json_object_foreach(extra, key, value)
    {
        if (json_is_null(value))
            json_object_del(body, key);
        else
            json_object_set(body, key, value);
    }
}

static aerie_status make_body(slot *s, const endpoint_judge *j, aerie_error *err)
{
    json_t *body = json_pack("{s:s, s:O, s:f, s:I, s:b}", "model", j->model, "messages",
                             s->messages, "temperature", j->with.temperature, "max_tokens",
                             (json_int_t)j->with.max_tokens, "stream", 0);

    if (body) lay_over(body, j->extra);
    free(s->body);
    s->body = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    return s->body ? AERIE_OK : aerie_fail(err, AERIE_NO_MEMORY, "no memory for a question");
}

static aerie_status send_slot(asking *a, slot *s, aerie_error *err)
{
    const endpoint_judge *j = a->j;
    aerie_status status = make_body(s, j, err);

    s->n_asks++;
    s->request = (ae_http_request){ .method = "POST",
                                    .url = j->url,
                                    .headers = a->headers,
                                    .n_headers = j->bearer ? 2 : 1,
                                    .body = s->body,
                                    .body_len = s->body ? strlen(s->body) : 0,
                                    .stall_seconds = j->with.timeout_seconds,
                                    .max_retries = (int)j->with.max_retries,
                                    .retry_seconds = j->with.retry_seconds };
    return status ? status : ae_http_start(a->http, &s->request, s, err);
}

static aerie_status begin(asking *a, slot *s, const ae_judge_case *c, aerie_error *err)
{
    aerie_status status;

    ae_bytes_clear(&a->text);
    status = ae_judge_question(&a->text, a->task, c, err);
    if (status) return status;
    *s = (slot){ .id = c->id, .busy = true, .messages = json_array() };
    if (!s->messages ||
        (a->instruction.len && !add_message(s->messages, "system", ae_span_of(&a->instruction))) ||
        !add_message(s->messages, "user", ae_span_of(&a->text)))
        return aerie_fail(err, AERIE_BAD_TEXT, "a question is no text in UTF-8");
    a->counts->n_asked++;
    return send_slot(a, s, err);
}

static aerie_status fill(asking *a, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    for (int64_t i = 0; i < a->n_slots && !status && !a->no_more; i++) {
        ae_judge_case c = { 0 };
        bool is_one = false;
        if (a->slots[i].busy) continue;
        status = a->work->next(a->work->user, &c, &is_one, err);
        a->no_more = !status && !is_one;
        if (!status && is_one) status = begin(a, &a->slots[i], &c, err);
        ae_judge_case_free(&c);
    }
    return status;
}

static aerie_status end_slot(asking *a, slot *s, const ae_verdict *v, aerie_error *err)
{
    aerie_status status;

    if (!ae_verdict_is_one(a->task, v)) a->counts->n_none++;
    status = a->work->answer(a->work->user, s->id, v, err);
    empty_slot(s);
    return status;
}

/* At temperature 0 the same question has the same answer: what was said becomes part of it. */
static aerie_status ask_again(asking *a, slot *s, ae_span said, aerie_error *err)
{
    const char *again = a->task->kind == AE_JUDGE_PAIR ? again_pair : again_score;
    bool ok = true;

    a->counts->n_again++;
    if (said.len > 0)
        ok = add_message(s->messages, "assistant", said) &&
             add_message(s->messages, "user", ae_span_text(again));
    if (!ok) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a question");
    return send_slot(a, s, err);
}

static void count_tokens(ae_judge_counts *counts, const json_t *answer)
{
    const json_t *usage = json_object_get(answer, "usage");

    counts->prompt_tokens += json_integer_value(json_object_get(usage, "prompt_tokens"));
    counts->reply_tokens += json_integer_value(json_object_get(usage, "completion_tokens"));
}

static aerie_status take_reply(asking *a, slot *s, const ae_bytes *body, aerie_error *err)
{
    json_t *answer = json_loadb(body->data ? body->data : "", body->len, 0, NULL);
    const json_t *choice = json_array_get(json_object_get(answer, "choices"), 0);
    const json_t *text = json_object_get(json_object_get(choice, "message"), "content");
    ae_span said = { json_string_value(text), json_string_length(text) };
    ae_verdict v = ae_judge_parse(a->task, said.data ? said : (ae_span){ "", 0 });
    aerie_status status;

    count_tokens(a->counts, answer);
    if (!choice && a->counts->n_answered == 0 && s->n_asks >= a->j->with.max_asks)
        status = aerie_fail(err, AERIE_BAD_TEXT,
                            "%s answers, but not as OpenAI's chat/completions do: there is no "
                            "'choices' in it; is the address right? (%.80s)",
                            a->j->url, body->data ? body->data : "");
    else if (!ae_verdict_is_one(a->task, &v) && s->n_asks < a->j->with.max_asks)
        status = ask_again(a, s, said, err);
    else
        status = end_slot(a, s, &v, err);
    if (choice) a->counts->n_answered++;
    json_decref(answer);
    return status;
}

/* 400, 413 and 422 may be about one question, a too long one; when no question has been answered
 * they are about all. */
static aerie_status take_refusal(asking *a, slot *s, const ae_http_response *r, aerie_error *err)
{
    aerie_error why = { 0 };
    ae_verdict v = { .score = NAN };
    bool of_one = r->status == 400 || r->status == 413 || r->status == 422;
    aerie_status status = ae_http_expect(r, &why);

    if (!of_one || a->counts->n_answered == 0) return aerie_fail(err, status, "%s", why.message);
    v.reply = ae_span_text(why.message);
    return end_slot(a, s, &v, err);
}

static aerie_status take(asking *a, ae_http_done *done, aerie_error *err)
{
    slot *s = done->user;

    if (done->status) return aerie_fail(err, done->status, "%s", done->error.message);
    if (done->response.status < 200 || done->response.status > 299)
        return take_refusal(a, s, &done->response, err);
    return take_reply(a, s, &done->response.body, err);
}

static aerie_status run(asking *a, aerie_error *err)
{
    aerie_status status = fill(a, err);
    ae_http_done done;

    while (!status && ae_http_wait(a->http, -1, &done)) {
        status = take(a, &done, err);
        ae_http_response_free(&done.response);
        if (!status) status = fill(a, err);
    }
    return status;
}

static aerie_status ask(ae_judge *judge, const ae_judge_task *task, const ae_judge_work *work,
                        ae_judge_counts *counts, aerie_error *err)
{
    endpoint_judge *j = (endpoint_judge *)judge;
    ae_http_options options = { .stop = j->with.stop, .stop_user = j->with.stop_user };
    asking a = { .j = j, .task = task, .work = work, .counts = counts };
    aerie_status status = ae_http_open(&a.http, &options, err);

    a.headers[0] = (ae_http_header){ "Content-Type", "application/json" };
    a.headers[1] = (ae_http_header){ "Authorization", j->bearer };
    a.n_slots = j->with.in_flight;
    a.slots = ae_alloc((size_t)a.n_slots, sizeof *a.slots);
    if (!status && !a.slots) status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for a judge");
    if (!status) status = ae_judge_instruction(&a.instruction, task, err);
    if (!status) status = run(&a, err);
    ae_http_close(a.http); /* before the bodies that it sends */
    for (int64_t i = 0; a.slots && i < a.n_slots; i++) empty_slot(&a.slots[i]);
    ae_free(a.slots);
    ae_bytes_free(&a.instruction);
    ae_bytes_free(&a.text);
    return status;
}

static void close_endpoint(ae_judge *judge)
{
    endpoint_judge *j = (endpoint_judge *)judge;

    ae_free(j->url);
    ae_free(j->model);
    ae_free(j->bearer);
    json_decref(j->extra);
    ae_free(j);
}

static void fill_in(ae_judge_endpoint *e)
{
    if (e->in_flight <= 0) e->in_flight = 4;
    if (e->in_flight > 256) e->in_flight = 256;
    if (e->max_tokens <= 0) e->max_tokens = 1024;
    if (e->max_retries == 0) e->max_retries = 8;
    if (e->max_retries < 0) e->max_retries = 0;
    if (e->max_asks <= 0) e->max_asks = 3;
    if (e->timeout_seconds <= 0) e->timeout_seconds = 300;
    if (e->retry_seconds <= 0) e->retry_seconds = 1;
}

static char *full_url(const char *url)
{
    static const char end[] = "/chat/completions";
    size_t len = strlen(url), n = sizeof end - 1;
    ae_bytes text = { 0 };
    char *full = NULL;

    while (len > 0 && url[len - 1] == '/') len--;
    ae_bytes_add(&text, url, len);
    if (len < n || memcmp(url + len - n, end, n) != 0) ae_bytes_add_text(&text, end);
    if (!text.failed) full = ae_strdup(text.data);
    ae_bytes_free(&text);
    return full;
}

static char *bearer_of(const char *key)
{
    ae_bytes text = { 0 };
    char *bearer = NULL;

    ae_bytes_printf(&text, "Bearer %s", key);
    if (!text.failed) bearer = ae_strdup(text.data);
    ae_bytes_free(&text);
    return bearer;
}

static aerie_status check(const ae_judge_endpoint *e, aerie_error *err)
{
    if (!e->url || !*e->url || !e->model || !*e->model)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "a judge behind a server has an address, http://localhost:11434/v1 for "
                          "instance, and a model's name");
    return AERIE_OK;
}

aerie_status ae_judge_endpoint_open(ae_judge **out, const ae_judge_endpoint *endpoint,
                                    aerie_error *err)
{
    endpoint_judge *j = NULL;
    aerie_status status = check(endpoint, err);

    *out = NULL;
    if (status) return status;
    j = ae_alloc(1, sizeof *j);
    if (!j) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a judge");
    j->judge = (ae_judge){ .ask = ask, .close = close_endpoint };
    j->with = *endpoint;
    fill_in(&j->with);
    j->url = full_url(endpoint->url);
    j->model = ae_strdup(endpoint->model);
    j->judge.name = j->model;
    if (endpoint->key) j->bearer = bearer_of(endpoint->key);
    if (!j->url || !j->model || (endpoint->key && !j->bearer))
        status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for a judge");
    if (!status && endpoint->extra) {
        j->extra = json_loads(endpoint->extra, 0, NULL);
        if (!json_is_object(j->extra))
            status = aerie_fail(err, AERIE_BAD_ARGUMENT,
                                "what is laid over the judge's request is no JSON object: %.100s",
                                endpoint->extra);
    }
    if (status)
        close_endpoint(&j->judge);
    else
        *out = &j->judge;
    return status;
}
