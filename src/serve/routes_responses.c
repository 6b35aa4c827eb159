/* routes_responses.c -- OpenAI's /v1/responses. Nothing is kept: a conversation comes whole. */
#include "serve/openai_chat.h"
#include "serve/responses.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    json_t *chat; /* the request in the form of chats */
    ae_openai_options options;
    ae_tools tools;
    ae_tool_reader reader;
    char id[40]; /* without "resp_", "msg_" or "fc_" */
    int64_t created, dropped, sequence;
    bool begun;
    json_t *output; /* items that are done */
    ae_bytes text;  /* of the message that is open */
    bool open;
    aerie_finish why;
} response;

static void free_response(void *state)
{
    response *r = state;
    json_decref(r->chat);
    json_decref(r->output);
    ae_openai_free(&r->options);
    ae_tool_reader_free(&r->reader);
    ae_tools_free(&r->tools);
    ae_bytes_free(&r->text);
    ae_free(r);
}

/* ---- the reply as a whole */

/* What the request said, or what holds where it said nothing (taken over). */
static json_t *said_or(const ae_talk *t, const char *key, json_t *otherwise)
{
    json_t *said = json_object_get(t->request, key);
    if (!said) return otherwise;
    json_decref(otherwise);
    return json_incref(said);
}

/* `error` (NULL: none) and `usage` (NULL: not known yet) are taken over. */
static json_t *whole(const ae_talk *t, const char *status, json_t *error, json_t *usage)
{
    const response *r = t->state;
    json_t *cut = strcmp(status, "incomplete") != 0
                      ? json_null()
                      : json_pack("{s:s}", "reason", "max_output_tokens");
    json_t *json =
        json_pack("{s:o, s:s, s:I, s:s, s:o, s:o, s:s, s:O}", "id", json_sprintf("resp_%s", r->id),
                  "object", "response", "created_at", (json_int_t)r->created, "status", status,
                  "error", error ? error : json_null(), "incomplete_details", cut, "model",
                  t->model, "output", r->output);
    static const char *const nulls[] = { "instructions", "max_output_tokens", "user" };
    for (size_t i = 0; i < AE_COUNT(nulls); i++)
        json_object_set_new(json, nulls[i], said_or(t, nulls[i], json_null()));
    json_object_set_new(json, "previous_response_id", json_null());
    json_object_set_new(json, "parallel_tool_calls",
                        said_or(t, "parallel_tool_calls", json_true()));
    json_object_set_new(json, "reasoning", json_pack("{s:n, s:n}", "effort", "summary"));
    json_object_set_new(json, "store", json_false());
    json_object_set_new(json, "temperature", json_real((double)r->options.sampling.temperature));
    json_object_set_new(json, "top_p", json_real((double)r->options.sampling.top_p));
    json_object_set_new(json, "text",
                        said_or(t, "text", json_pack("{s:{s:s}}", "format", "type", "text")));
    json_object_set_new(json, "tool_choice", said_or(t, "tool_choice", json_string("auto")));
    json_object_set_new(json, "tools", said_or(t, "tools", json_array()));
    json_object_set_new(json, "truncation", said_or(t, "truncation", json_string("disabled")));
    json_object_set_new(json, "metadata", said_or(t, "metadata", json_object()));
    json_object_set_new(json, "usage", usage ? usage : json_null());
    return json;
}

static json_t *usage_of(const aerie_ask_stats *s)
{
    return json_pack("{s:I, s:{s:I}, s:I, s:{s:i}, s:I}", "input_tokens",
                     (json_int_t)s->prompt_tokens, "input_tokens_details", "cached_tokens",
                     (json_int_t)s->reused_tokens, "output_tokens", (json_int_t)s->reply_tokens,
                     "output_tokens_details", "reasoning_tokens", 0, "total_tokens",
                     (json_int_t)(s->prompt_tokens + s->reply_tokens));
}

/* ---- events; none where the reply is not streamed */

/* Takes `event` over. */
static void send(ae_talk *t, const char *type, json_t *event)
{
    response *r = t->state;
    json_object_set_new(event, "type", json_string(type));
    json_object_set_new(event, "sequence_number", json_integer(r->sequence++));
    if (t->stream)
        ae_stream_send(t->x, AE_EVENTS, type, event);
    else
        json_decref(event);
}

static void begin_reply(ae_talk *t)
{
    response *r = t->state;
    if (r->begun) return;
    r->begun = true;
    send(t, "response.created",
         json_pack("{s:o}", "response", whole(t, "in_progress", NULL, NULL)));
    send(t, "response.in_progress",
         json_pack("{s:o}", "response", whole(t, "in_progress", NULL, NULL)));
}

static json_int_t place_of(const response *r)
{
    return (json_int_t)json_array_size(r->output);
}

static json_t *item_id(const response *r, const char *prefix)
{
    return json_sprintf("%s_%s_%lld", prefix, r->id, (long long)place_of(r));
}

static void send_item(ae_talk *t, const char *type, json_t *item)
{
    send(t, type, json_pack("{s:I, s:O}", "output_index", place_of(t->state), "item", item));
}

/* An event of the message's one part; `field` (taken over) goes by `name`. */
static void send_part(ae_talk *t, const char *type, const char *name, json_t *field)
{
    const response *r = t->state;
    json_t *event = json_pack("{s:o, s:I, s:i, s:o}", "item_id", item_id(r, "msg"), "output_index",
                              place_of(r), "content_index", 0, name, field);
    if (!strncmp(type, "response.output_text", 20))
        json_object_set_new(event, "logprobs", json_array());
    send(t, type, event);
}

static json_t *text_part(const ae_bytes *text)
{
    return json_pack("{s:s, s:o, s:[], s:[]}", "type", "output_text", "text",
                     json_stringn(text->len ? text->data : "", text->len), "annotations",
                     "logprobs");
}

static json_t *message_item(const response *r, const char *status, json_t *content)
{
    return json_pack("{s:o, s:s, s:s, s:s, s:o}", "id", item_id(r, "msg"), "type", "message",
                     "status", status, "role", "assistant", "content", content);
}

static void open_message(ae_talk *t)
{
    response *r = t->state;
    if (r->open) return;
    r->open = true;
    json_t *item = message_item(r, "in_progress", json_array());
    send_item(t, "response.output_item.added", item);
    json_decref(item);
    send_part(t, "response.content_part.added", "part", text_part(&r->text));
}

static void close_message(ae_talk *t)
{
    response *r = t->state;
    if (!r->open) return;
    json_t *part = text_part(&r->text);
    const char *status = r->why == AERIE_FINISH_LENGTH ? "incomplete" : "completed";
    json_t *item = message_item(r, status, json_pack("[O]", part));
    send_part(t, "response.output_text.done", "text", json_incref(json_object_get(part, "text")));
    send_part(t, "response.content_part.done", "part", part);
    send_item(t, "response.output_item.done", item);
    json_array_append_new(r->output, item);
    ae_bytes_clear(&r->text);
    r->open = false;
}

static void add_text(ae_talk *t, const ae_bytes *text)
{
    response *r = t->state;
    if (text->len == 0) return;
    open_message(t);
    ae_bytes_add(&r->text, text->data, text->len);
    send_part(t, "response.output_text.delta", "delta", json_stringn(text->data, text->len));
}

static json_t *call_item(const response *r, const json_t *call, const char *status,
                         json_t *arguments)
{
    return json_pack("{s:o, s:s, s:s, s:O, s:O, s:o}", "id", item_id(r, "fc"), "type",
                     "function_call", "status", status, "call_id", json_object_get(call, "id"),
                     "name", json_object_get(call, "name"), "arguments", arguments);
}

static void add_call(ae_talk *t, const json_t *call)
{
    response *r = t->state;
    close_message(t);
    json_t *arguments = ae_openai_arguments(call),
           *begun = call_item(r, call, "in_progress", json_string("")),
           *item = call_item(r, call, "completed", json_incref(arguments));
    send_item(t, "response.output_item.added", begun);
    send(t, "response.function_call_arguments.delta",
         json_pack("{s:o, s:I, s:O}", "item_id", item_id(r, "fc"), "output_index", place_of(r),
                   "delta", arguments));
    send(t, "response.function_call_arguments.done",
         json_pack("{s:o, s:I, s:O, s:O}", "item_id", item_id(r, "fc"), "output_index", place_of(r),
                   "name", json_object_get(call, "name"), "arguments", arguments));
    send_item(t, "response.output_item.done", item);
    json_array_append_new(r->output, item);
    json_decref(begun);
    json_decref(arguments);
}

static void on_text(ae_talk *t, const aerie_event *e)
{
    response *r = t->state;
    ae_bytes text = { 0 };
    json_t *calls = json_array(), *one;
    size_t i;
    begin_reply(t);
    ae_tool_reader_add(&r->reader, (ae_span){ e->text, e->len }, &text, calls);
    add_text(t, &text);
    json_array_foreach(calls, i, one) add_call(t, one);
    json_decref(calls);
    ae_bytes_free(&text);
}

static void on_finished(ae_talk *t, const aerie_event *e)
{
    response *r = t->state;
    ae_bytes text = { 0 };
    begin_reply(t);
    r->why = e->why;
    ae_tool_reader_end(&r->reader, &text);
    add_text(t, &text);
    /* Clients want a message, if an empty one. */
    if (json_array_size(r->output) == 0) open_message(t);
    close_message(t);
    ae_bytes_free(&text);
}

static void on_end(ae_talk *t, const aerie_event *e)
{
    const response *r = t->state;
    ae_exchange *x = t->x;
    bool cut = r->why == AERIE_FINISH_LENGTH;
    json_t *json = whole(t, cut ? "incomplete" : "completed", NULL, usage_of(&e->stats));
    if (r->dropped) json_object_set_new(json, "dropped_messages", json_integer(r->dropped));
    if (!t->stream) {
        ae_talk_done(t);
        ae_reply_json(x, 200, json);
        return;
    }
    send(t, cut ? "response.incomplete" : "response.completed",
         json_pack("{s:o}", "response", json));
    ae_talk_done(t);
    ae_exchange_end(x);
}

static void on_event(ae_talk *t, size_t n, const aerie_event *e)
{
    response *r = t->state;
    (void)n;
    switch (e->kind) {
    case AERIE_EVENT_STARTED:
        r->dropped = e->dropped_messages;
        begin_reply(t);
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

static void on_failure(ae_talk *t, int status, const char *message)
{
    json_t *error = json_pack("{s:s, s:s}", "code",
                              status < 500 ? "invalid_prompt" : "server_error", "message", message);
    send(t, "response.failed", json_pack("{s:o}", "response", whole(t, "failed", error, NULL)));
}

static aerie_status begin(ae_talk *t, aerie_error *err)
{
    response *r = t->state;
    const char *truncation = json_string_value(json_object_get(t->request, "truncation"));
    aerie_ask ask = { 0 };
    if (truncation && !strcmp(truncation, "auto")) ask.too_long = AERIE_TOO_LONG_DROP_OLDEST;
    snprintf(r->id, sizeof r->id, "%016llx%08llx", (unsigned long long)ae_exchange_id(t->x),
             (unsigned long long)ae_clock_unix_seconds());
    r->created = ae_clock_unix_seconds();
    r->output = json_array();
    t->failure = on_failure;
    aerie_status status = ae_responses_as_chat(&r->chat, t->request, err);
    if (!status) status = ae_openai_read(&r->options, r->chat, t->stored, err);
    if (status) return status;
    r->reader = (ae_tool_reader){ .tools = &r->tools, .seed = r->options.sampling.seed };
    return ae_openai_ask(t, r->chat, &r->options, &r->tools, &ask, NULL, err);
}

static const ae_talk_form form = { AE_FACE_OPENAI, false, begin, on_event, NULL, free_response };

static void answer(ae_server *s, ae_exchange *x, ae_span rest)
{
    json_t *request;
    (void)rest;
    if (!ae_read_json(&request, x, AE_FACE_OPENAI)) return;
    const char *model = json_string_value(json_object_get(request, "model"));
    response *r = ae_alloc(1, sizeof *r);
    if (model && *model && r) {
        ae_talk_begin(s, x, &form, model, request, r, NULL);
        return;
    }
    ae_reply_error(x, AE_FACE_OPENAI, r ? 400 : 503,
                   r ? "model is required" : "no memory for one more request");
    ae_free(r);
    json_decref(request);
}

const ae_route ae_routes_responses[] = {
    { "POST", "/v1/responses", answer, AE_FACE_OPENAI, false, NULL },
};
const size_t ae_n_routes_responses = AE_COUNT(ae_routes_responses);
