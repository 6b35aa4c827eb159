/* routes_openai_chat.c -- OpenAI's /v1/chat/completions. */
#include "serve/openai_chat.h"

#include <stdlib.h>
#include <string.h>

/* One of the n replies. */
typedef struct {
    ae_bytes text; /* so far, when it is not streamed */
    json_t *calls; /* of tools, so far */
    ae_tool_reader reader;
    json_t *chances; /* the same of its log-probabilities; NULL: none are wanted */
    aerie_finish why;
    bool begun; /* its role was sent */
} chat_reply;

typedef struct {
    ae_openai_options options;
    ae_tools tools;
    char id[48];
    int64_t created, dropped;
    bool logprobs;
    chat_reply *replies;
    int64_t n_replies;
} chat;

static void free_chat(void *state)
{
    chat *c = state;
    for (int64_t i = 0; c->replies && i < c->n_replies; i++) {
        ae_bytes_free(&c->replies[i].text);
        json_decref(c->replies[i].chances);
        json_decref(c->replies[i].calls);
        ae_tool_reader_free(&c->replies[i].reader);
    }
    ae_free(c->replies);
    ae_tools_free(&c->tools);
    ae_openai_free(&c->options);
    ae_free(c);
}

/* ---- replies */

static json_t *envelope(const ae_talk *t, const char *object, json_t *choices)
{
    const chat *c = t->state;
    return json_pack("{s:s, s:s, s:I, s:s, s:s, s:o}", "id", c->id, "object", object, "created",
                     (json_int_t)c->created, "model", t->model, "system_fingerprint",
                     "aerie-" AERIE_VERSION, "choices", choices);
}

/* One choice of a chunk; takes delta and chances (or NULL) over. */
static void send_chunk(ae_talk *t, int64_t reply, json_t *delta, json_t *chances,
                       const char *finish)
{
    json_t *logprobs = chances ? json_pack("{s:o}", "content", chances) : json_null();
    json_t *choice =
        json_pack("{s:I, s:o, s:o, s:o}", "index", (json_int_t)reply, "delta", delta, "logprobs",
                  logprobs, "finish_reason", finish ? json_string(finish) : json_null());
    ae_stream_send(t->x, AE_EVENTS, NULL,
                   envelope(t, "chat.completion.chunk", json_pack("[o]", choice)));
}

static void begin_reply(ae_talk *t, int64_t reply)
{
    chat *c = t->state;
    if (c->replies[reply].begun) return;
    c->replies[reply].begun = true;
    send_chunk(t, reply, json_pack("{s:s, s:s}", "role", "assistant", "content", ""), NULL, NULL);
}

/* Calls go out whole, each in a chunk. */
static void send_calls(ae_talk *t, int64_t reply, const json_t *calls, size_t first)
{
    size_t i;
    json_t *one;
    json_array_foreach(calls, i, one)
    {
        json_t *call = ae_openai_call(one);
        json_object_set_new(call, "index", json_integer((json_int_t)(first + i)));
        send_chunk(t, reply, json_pack("{s:[o]}", "tool_calls", call), NULL, NULL);
    }
}

/* More of a reply; takes calls and chances (or NULL) over. */
static void deliver(ae_talk *t, int64_t reply, const ae_bytes *text, json_t *calls, json_t *chances)
{
    chat *c = t->state;
    chat_reply *r = &c->replies[reply];
    size_t n_calls = json_array_size(r->calls);
    json_array_extend(r->calls, calls);
    if (!t->stream) {
        ae_bytes_add(&r->text, text->data, text->len);
        if (chances) json_array_extend(r->chances, chances);
        json_decref(chances);
    } else {
        begin_reply(t, reply);
        if (text->len || json_array_size(chances))
            send_chunk(
                t, reply,
                json_pack("{s:o}", "content", json_stringn(text->len ? text->data : "", text->len)),
                chances, NULL);
        else
            json_decref(chances);
        send_calls(t, reply, calls, n_calls);
    }
    json_decref(calls);
}

static void on_text(ae_talk *t, const aerie_event *e)
{
    chat *c = t->state;
    ae_bytes text = { 0 };
    json_t *calls = json_array();
    ae_tool_reader_add(&c->replies[e->reply].reader, (ae_span){ e->text, e->len }, &text, calls);
    deliver(t, e->reply, &text, calls, c->logprobs ? ae_openai_chances(e) : NULL);
    ae_bytes_free(&text);
}

static const char *finish_of(const chat_reply *r)
{
    bool calls = json_array_size(r->calls) > 0 && r->why != AERIE_FINISH_LENGTH;
    return calls ? "tool_calls" : ae_openai_finish(r->why);
}

static void on_finished(ae_talk *t, const aerie_event *e)
{
    chat *c = t->state;
    chat_reply *r = &c->replies[e->reply];
    ae_bytes text = { 0 };
    r->why = e->why;
    ae_tool_reader_end(&r->reader, &text);
    deliver(t, e->reply, &text, json_array(), NULL);
    if (t->stream) send_chunk(t, e->reply, json_object(), NULL, finish_of(r));
    ae_bytes_free(&text);
}

static json_t *whole_message(const chat_reply *r)
{
    json_t *calls = json_array(), *one;
    /* What is nothing but calls says nothing. */
    json_t *text = r->text.len || json_array_size(r->calls) == 0
                       ? json_stringn(r->text.len ? r->text.data : "", r->text.len)
                       : json_null();
    json_t *message = json_pack("{s:s, s:o, s:n}", "role", "assistant", "content", text, "refusal");
    size_t i;
    json_array_foreach(r->calls, i, one) json_array_append_new(calls, ae_openai_call(one));
    if (json_array_size(calls)) json_object_set(message, "tool_calls", calls);
    json_decref(calls);
    return message;
}

static json_t *whole_choices(const chat *c)
{
    json_t *choices = json_array();
    for (int64_t i = 0; i < c->n_replies; i++) {
        chat_reply *r = &c->replies[i];
        json_t *logprobs = r->chances ? json_pack("{s:O}", "content", r->chances) : json_null();
        json_array_append_new(choices, json_pack("{s:I, s:o, s:o, s:s}", "index", (json_int_t)i,
                                                 "message", whole_message(r), "logprobs", logprobs,
                                                 "finish_reason", finish_of(r)));
    }
    return choices;
}

static void on_end(ae_talk *t, const aerie_event *e)
{
    const chat *c = t->state;
    ae_exchange *x = t->x;
    json_t *usage =
        ae_openai_usage(e->stats.prompt_tokens, e->stats.reused_tokens, e->stats.reply_tokens);
    if (!t->stream) {
        json_t *whole = envelope(t, "chat.completion", whole_choices(c));
        json_object_set_new(whole, "usage", usage);
        if (c->dropped) json_object_set_new(whole, "dropped_messages", json_integer(c->dropped));
        ae_talk_done(t);
        ae_reply_json(x, 200, whole);
        return;
    }
    if (c->options.include_usage) {
        json_t *last = envelope(t, "chat.completion.chunk", json_array());
        json_object_set(last, "usage", usage);
        ae_stream_send(x, AE_EVENTS, NULL, last);
    }
    json_decref(usage);
    ae_talk_done(t);
    ae_stream_text(x, "data: [DONE]\n\n");
    ae_exchange_end(x);
}

static void on_event(ae_talk *t, size_t n, const aerie_event *e)
{
    chat *c = t->state;
    (void)n;
    switch (e->kind) {
    case AERIE_EVENT_STARTED:
        c->dropped = e->dropped_messages;
        break;
    case AERIE_EVENT_TEXT:
        on_text(t, e);
        break;
    case AERIE_EVENT_FINISHED:
        on_finished(t, e);
        break;
    case AERIE_EVENT_END:
        on_end(t, e);
        break;
    default:
        break;
    }
}

/* ---- asks */

static aerie_status read_logprobs(chat *c, const json_t *request, aerie_ask *ask, aerie_error *err)
{
    const json_t *top = json_object_get(request, "top_logprobs");
    json_int_t n = json_integer_value(top);
    c->logprobs = json_is_true(json_object_get(request, "logprobs"));
    if (n < 0 || n > 20)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "top_logprobs must be between 0 and 20");
    if (n > 0 && !c->logprobs)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "top_logprobs wants logprobs to be true");
    ask->logprobs = c->logprobs;
    ask->top_logprobs = (int)n;
    return AERIE_OK;
}

static aerie_status open_replies(chat *c, aerie_error *err)
{
    c->n_replies = c->options.n_replies;
    c->replies = ae_alloc((size_t)c->n_replies, sizeof *c->replies);
    if (!c->replies) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the replies");
    for (int64_t i = 0; i < c->n_replies; i++) {
        chat_reply *r = &c->replies[i];
        r->calls = json_array();
        r->chances = c->logprobs ? json_array() : NULL;
        r->reader = (ae_tool_reader){ .tools = &c->tools,
                                      .seed = ae_mix64(c->options.sampling.seed + (uint64_t)i) };
    }
    return AERIE_OK;
}

static aerie_status begin(ae_talk *t, aerie_error *err)
{
    chat *c = t->state;
    aerie_ask ask = { 0 };
    ae_openai_id(c->id, "chatcmpl", t->x);
    c->created = ae_clock_unix_seconds();
    aerie_status status = ae_openai_read(&c->options, t->request, t->stored, err);
    if (!status) status = read_logprobs(c, t->request, &ask, err);
    if (!status) status = open_replies(c, err);
    return status ? status : ae_openai_ask(t, t->request, &c->options, &c->tools, &ask, NULL, err);
}

static const ae_talk_form form = { AE_FACE_OPENAI, false, begin, on_event, NULL, free_chat };

static void answer(ae_server *s, ae_exchange *x, ae_span rest)
{
    json_t *request;
    (void)rest;
    if (!ae_read_json(&request, x, AE_FACE_OPENAI)) return;
    const char *model = json_string_value(json_object_get(request, "model"));
    chat *c = ae_alloc(1, sizeof *c);
    if (model && *model && c) {
        ae_talk_begin(s, x, &form, model, request, c, NULL);
        return;
    }
    ae_reply_error(x, AE_FACE_OPENAI, c ? 400 : 503,
                   c ? "model is required" : "no memory for one more request");
    ae_free(c);
    json_decref(request);
}

const ae_route ae_routes_openai_chat[] = {
    { "POST", "/v1/chat/completions", answer, AE_FACE_OPENAI, false, NULL },
};
const size_t ae_n_routes_openai_chat = AE_COUNT(ae_routes_openai_chat);
