/* routes_openai_chat.c -- OpenAI's /v1/chat/completions. */
#include "serve/openai_chat.h"

static json_t *envelope(const ae_talk *t, const char *object, json_t *choices)
{
    const ae_openai_chat *c = t->state;
    json_t *whole = json_pack("{s:s, s:s, s:I, s:s, s:s, s:o}", "id", c->id, "object", object,
                              "created", (json_int_t)c->created, "model", t->model,
                              "system_fingerprint", "aerie-" AERIE_VERSION, "choices", choices);
    if (c->chat.best.told) json_object_set(whole, "best_of", c->chat.best.told);
    return whole;
}

/* Takes chances (or NULL) over. */
static json_t *logprobs_json(json_t *chances)
{
    return chances ? json_pack("{s:o}", "content", chances) : json_null();
}

static const char *finish_of(const ae_chat_reply *r)
{
    bool calls = r->n_calls > 0 && r->why != AERIE_FINISH_LENGTH;
    return calls ? "tool_calls" : ae_openai_finish(r->why);
}

/* ---- streams */

/* One choice of a chunk; takes delta and chances (or NULL) over. */
static void send_chunk(ae_talk *t, int64_t reply, json_t *delta, json_t *chances,
                       const char *finish)
{
    json_t *choice = json_pack("{s:I, s:o, s:o, s:o}", "index", (json_int_t)reply, "delta", delta,
                               "logprobs", logprobs_json(chances), "finish_reason",
                               finish ? json_string(finish) : json_null());
    ae_stream_send(t->x, AE_EVENTS, NULL,
                   envelope(t, "chat.completion.chunk", json_pack("[o]", choice)));
}

static void begin_reply(ae_talk *t, int64_t reply)
{
    const ae_openai_chat *c = t->state;
    if (c->chat.replies[reply].begun) return;
    c->chat.replies[reply].begun = true;
    send_chunk(t, reply, json_pack("{s:s, s:s}", "role", "assistant", "content", ""), NULL, NULL);
}

/* Calls go out whole, each in a chunk. */
static void send_calls(ae_talk *t, const ae_chat_piece *p)
{
    size_t i;
    json_t *one;
    json_array_foreach(p->calls, i, one)
    {
        json_t *call = ae_openai_call(one);
        json_object_set_new(call, "index", json_integer((json_int_t)(p->n_before + i)));
        send_chunk(t, p->reply, json_pack("{s:[o]}", "tool_calls", call), NULL, NULL);
    }
}

static void more(ae_talk *t, const ae_chat_piece *p)
{
    if (!t->stream) return;
    begin_reply(t, p->reply);
    if (p->thinking.len)
        send_chunk(t, p->reply, json_pack("{s:o}", "reasoning_content", ae_text_json(p->thinking)),
                   NULL, NULL);
    if (p->text.len || json_array_size(p->chances))
        send_chunk(t, p->reply, json_pack("{s:o}", "content", ae_text_json(p->text)),
                   json_incref(p->chances), NULL);
    send_calls(t, p);
}

static void finished(ae_talk *t, int64_t reply)
{
    const ae_openai_chat *c = t->state;
    if (t->stream) send_chunk(t, reply, json_object(), NULL, finish_of(&c->chat.replies[reply]));
}

/* ---- whole replies */

static json_t *whole_message(const ae_chat_reply *r)
{
    json_t *calls = json_array(), *one;
    /* What is nothing but calls says nothing. */
    json_t *text =
        r->text.len || r->n_calls == 0 ? ae_text_json(ae_span_of(&r->text)) : json_null();
    json_t *message = json_pack("{s:s, s:o, s:n}", "role", "assistant", "content", text, "refusal");
    size_t i;
    if (r->thinking.len)
        json_object_set_new(message, "reasoning_content", ae_text_json(ae_span_of(&r->thinking)));
    json_array_foreach(r->calls, i, one) json_array_append_new(calls, ae_openai_call(one));
    if (r->n_calls) json_object_set(message, "tool_calls", calls);
    json_decref(calls);
    return message;
}

static json_t *whole_choices(const ae_chat *c)
{
    json_t *choices = json_array();
    for (int64_t i = 0; i < (c->best.n ? 1 : c->n_replies); i++) {
        const ae_chat_reply *r = &c->replies[i];
        json_array_append_new(choices, json_pack("{s:I, s:o, s:o, s:s}", "index", (json_int_t)i,
                                                 "message", whole_message(r), "logprobs",
                                                 logprobs_json(json_incref(r->chances)),
                                                 "finish_reason", finish_of(r)));
    }
    return choices;
}

static void end(ae_talk *t, const aerie_ask_stats *s)
{
    const ae_openai_chat *c = t->state;
    int64_t dropped = c->chat.dropped_messages;
    json_t *usage = ae_openai_usage(s->prompt_tokens, s->reused_tokens, s->reply_tokens);
    json_object_set_new(usage, "completion_tokens_details",
                        json_pack("{s:I}", "reasoning_tokens", (json_int_t)c->chat.thought_tokens));
    if (!t->stream) {
        json_t *whole = envelope(t, "chat.completion", whole_choices(&c->chat));
        json_object_set_new(whole, "usage", usage);
        if (dropped) json_object_set_new(whole, "dropped_messages", json_integer(dropped));
        ae_talk_reply(t, whole);
        return;
    }
    if (c->options.include_usage) {
        json_t *last = envelope(t, "chat.completion.chunk", json_array());
        json_object_set(last, "usage", usage);
        ae_stream_send(t->x, AE_EVENTS, NULL, last);
    }
    json_decref(usage);
    ae_stream_text(t->x, "data: [DONE]\n\n");
    ae_talk_end(t);
}

static const ae_chat_voice voice = { .more = more, .finished = finished, .end = end };

/* ---- asks */

static aerie_status begin(ae_talk *t, aerie_error *err)
{
    ae_openai_chat *c = t->state;
    aerie_ask ask = { 0 };
    c->request = json_incref(t->request);
    aerie_status status = ae_best_read(&c->chat.best, c->request, err);
    if (status) return status;
    return ae_openai_ask(t, &voice, "chatcmpl-", &ask, NULL, err);
}

static const ae_talk_form form = { .face = AE_FACE_OPENAI,
                                   .state_bytes = sizeof(ae_openai_chat),
                                   .begin = begin,
                                   .event = ae_chat_event,
                                   .free = ae_openai_chat_free };

static void answer(ae_server *s, ae_exchange *x, ae_span rest)
{
    (void)rest;
    ae_talk_answer(s, x, &form);
}

const ae_route ae_routes_openai_chat[] = {
    { "POST", "/v1/chat/completions", answer, AE_FACE_OPENAI, false, NULL },
};
const size_t ae_n_routes_openai_chat = AE_COUNT(ae_routes_openai_chat);
