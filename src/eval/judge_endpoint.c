/* judge_endpoint.c -- a judge behind an OpenAI-compatible server: several questions under way, and
 * each asked again until a reply holds a verdict. */
#include "endpoint/endpoint.h"
#include "eval/judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    ae_judge judge;
    ae_judge_endpoint with; /* its texts are those below */
    char *model;
    ae_endpoint *server;
} endpoint_judge;

/* A question under way. */
typedef struct {
    int64_t id;
    bool busy;
    int64_t n_asks;
    json_t *messages;
    ae_endpoint_call call;
} slot;

typedef struct {
    const endpoint_judge *j;
    const ae_judge_task *task;
    const ae_judge_work *work;
    ae_judge_counts *counts;
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
    ae_endpoint_call_free(&s->call);
    *s = (slot){ 0 };
}

static bool add_message(json_t *messages, const char *role, ae_span content)
{
    json_t *text = json_stringn(content.data ? content.data : "", content.len);

    return text &&
           !json_array_append_new(messages, json_pack("{s:s, s:o}", "role", role, "content", text));
}

static aerie_status send_slot(asking *a, slot *s, aerie_error *err)
{
    const endpoint_judge *j = a->j;
    json_t *body = json_pack("{s:s, s:O, s:f, s:I, s:b}", "model", j->model, "messages",
                             s->messages, "temperature", j->with.temperature, "max_tokens",
                             (json_int_t)j->with.max_tokens, "stream", 0);

    s->n_asks++;
    return ae_endpoint_send(j->server, &s->call, "chat/completions", body, NULL, s, err);
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

static aerie_status take_reply(asking *a, slot *s, const ae_bytes *body, aerie_error *err)
{
    json_t *answer = json_loadb(body->data ? body->data : "", body->len, 0, NULL);
    const json_t *choice = json_array_get(json_object_get(answer, "choices"), 0);
    const json_t *text = ae_endpoint_text(choice);
    ae_span said = { json_string_value(text), json_string_length(text) };
    ae_verdict v = ae_judge_parse(a->task, said.data ? said : (ae_span){ "", 0 });
    int64_t prompt_tokens = 0, reply_tokens = 0;
    aerie_status status;

    ae_endpoint_usage(answer, &prompt_tokens, &reply_tokens);
    a->counts->prompt_tokens += prompt_tokens;
    a->counts->reply_tokens += reply_tokens;
    if (!choice && a->counts->n_answered == 0 && s->n_asks >= a->j->with.max_asks)
        status = ae_endpoint_unlike(a->j->server, body, err);
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
    aerie_status status = ae_http_expect(r, &why);

    if (!ae_endpoint_refuses_one(r->status) || a->counts->n_answered == 0)
        return aerie_fail(err, status, "%s", why.message);
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

    while (!status && ae_endpoint_wait(a->j->server, &done)) {
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
    asking a = { .j = j, .task = task, .work = work, .counts = counts };
    aerie_status status = AERIE_OK;

    a.n_slots = j->with.in_flight;
    a.slots = ae_alloc((size_t)a.n_slots, sizeof *a.slots);
    if (!a.slots) status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for a judge");
    if (!status) status = ae_judge_instruction(&a.instruction, task, err);
    if (!status) status = run(&a, err);
    ae_endpoint_drop(j->server); /* before the bodies that it sends */
    for (int64_t i = 0; a.slots && i < a.n_slots; i++) empty_slot(&a.slots[i]);
    ae_free(a.slots);
    ae_bytes_free(&a.instruction);
    ae_bytes_free(&a.text);
    return status;
}

static void close_endpoint(ae_judge *judge)
{
    endpoint_judge *j = (endpoint_judge *)judge;

    ae_endpoint_close(j->server);
    ae_free(j->model);
    ae_free(j);
}

static void fill_in(ae_judge_endpoint *e)
{
    if (e->in_flight <= 0) e->in_flight = 4;
    if (e->in_flight > AE_ENDPOINT_AT_ONCE) e->in_flight = AE_ENDPOINT_AT_ONCE;
    if (e->max_tokens <= 0) e->max_tokens = 1024;
    if (e->max_asks <= 0) e->max_asks = 3;
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
    const ae_endpoint_options server = { .url = endpoint->url,
                                         .key = endpoint->key,
                                         .request = endpoint->extra,
                                         .max_retries = (int)endpoint->max_retries,
                                         .retry_seconds = endpoint->retry_seconds,
                                         .timeout_seconds = endpoint->timeout_seconds,
                                         .stop = endpoint->stop,
                                         .stop_user = endpoint->stop_user };
    endpoint_judge *j = NULL;
    aerie_status status = check(endpoint, err);

    *out = NULL;
    if (status) return status;
    j = ae_alloc(1, sizeof *j);
    if (!j) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a judge");
    j->judge = (ae_judge){ .state = "", .ask = ask, .close = close_endpoint };
    j->with = *endpoint;
    fill_in(&j->with);
    j->model = ae_strdup(endpoint->model);
    j->judge.name = j->model;
    if (!j->model) status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for a judge");
    if (!status) status = ae_endpoint_open(&j->server, &server, err);
    if (status)
        close_endpoint(&j->judge);
    else
        *out = &j->judge;
    return status;
}
