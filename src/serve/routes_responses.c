/* routes_responses.c -- OpenAI's /v1/responses. Nothing is kept: a conversation comes whole. */
#include "serve/openai_chat.h"
#include "serve/responses.h"

#include <string.h>

typedef struct {
    ae_openai_chat open; /* its id without "resp_", "msg_" or "fc_" */
    int64_t sequence;
    json_t *output; /* items that are done */
    enum { NOTHING, THOUGHT, MESSAGE } open_item;
    ae_bytes text;            /* these three: of the item that is open */
    json_t *chances, *unsent; /* NULL: none are wanted */
} response;

static void free_response(void *state)
{
    response *r = state;
    ae_openai_chat_free(&r->open);
    json_decref(r->output);
    json_decref(r->chances);
    json_decref(r->unsent);
    ae_bytes_free(&r->text);
}

/* The one of the chat's replies that there is. */
static ae_chat_reply *only(const response *r)
{
    return &r->open.chat.replies[0];
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
    json_t *json = json_pack("{s:o, s:s, s:I, s:s, s:o, s:o, s:s, s:O}", "id",
                             json_sprintf("resp_%s", r->open.id), "object", "response",
                             "created_at", (json_int_t)r->open.created, "status", status, "error",
                             error ? error : json_null(), "incomplete_details", cut, "model",
                             t->model, "output", r->output);
    static const char *const nulls[] = { "instructions", "max_output_tokens", "user" };
    for (size_t i = 0; i < AE_COUNT(nulls); i++)
        json_object_set_new(json, nulls[i], said_or(t, nulls[i], json_null()));
    json_object_set_new(json, "previous_response_id", json_null());
    json_object_set_new(json, "parallel_tool_calls",
                        said_or(t, "parallel_tool_calls", json_true()));
    json_object_set_new(json, "reasoning", json_pack("{s:n, s:n}", "effort", "summary"));
    json_object_set_new(json, "store", json_false());
    json_object_set_new(json, "temperature",
                        json_real((double)r->open.options.sampling.temperature));
    json_object_set_new(json, "top_p", json_real((double)r->open.options.sampling.top_p));
    json_object_set_new(json, "text",
                        said_or(t, "text", json_pack("{s:{s:s}}", "format", "type", "text")));
    json_object_set_new(json, "tool_choice", said_or(t, "tool_choice", json_string("auto")));
    json_object_set_new(json, "tools", said_or(t, "tools", json_array()));
    json_object_set_new(json, "truncation", said_or(t, "truncation", json_string("disabled")));
    json_object_set_new(json, "metadata", said_or(t, "metadata", json_object()));
    json_object_set_new(json, "usage", usage ? usage : json_null());
    return json;
}

static json_t *usage_of(const aerie_ask_stats *s, int64_t thought_tokens)
{
    return json_pack("{s:I, s:{s:I}, s:I, s:{s:I}, s:I}", "input_tokens",
                     (json_int_t)s->prompt_tokens, "input_tokens_details", "cached_tokens",
                     (json_int_t)s->reused_tokens, "output_tokens", (json_int_t)s->reply_tokens,
                     "output_tokens_details", "reasoning_tokens", (json_int_t)thought_tokens,
                     "total_tokens", (json_int_t)(s->prompt_tokens + s->reply_tokens));
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

static void started(ae_talk *t)
{
    const response *r = t->state;
    if (only(r)->begun) return;
    only(r)->begun = true;
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
    return json_sprintf("%s_%s_%lld", prefix, r->open.id, (long long)place_of(r));
}

static void send_item(ae_talk *t, const char *type, json_t *item)
{
    send(t, type, json_pack("{s:I, s:O}", "output_index", place_of(t->state), "item", item));
}

/* What thoughts and messages are called. */
static const struct {
    const char *prefix, *item, *part, *delta, *done;
} kinds[] = {
    [THOUGHT] = { "rs", "reasoning", "reasoning_text", "response.reasoning_text.delta",
                  "response.reasoning_text.done" },
    [MESSAGE] = { "msg", "message", "output_text", "response.output_text.delta",
                  "response.output_text.done" },
};

static json_t *list_or_empty(json_t *list)
{
    return list ? json_incref(list) : json_array();
}

/* An event of the open item's one part; `field` (taken over) goes by `name`, and `chances` (NULL:
 * it has none) with it. */
static void send_part(ae_talk *t, const char *type, const char *name, json_t *field,
                      json_t *chances)
{
    const response *r = t->state;
    json_t *event =
        json_pack("{s:o, s:I, s:i, s:o}", "item_id", item_id(r, kinds[r->open_item].prefix),
                  "output_index", place_of(r), "content_index", 0, name, field);
    if (chances) json_object_set(event, "logprobs", chances);
    send(t, type, event);
}

static json_t *part_json(const response *r)
{
    json_t *part = json_pack("{s:s, s:o}", "type", kinds[r->open_item].part, "text",
                             ae_text_json(ae_span_of(&r->text)));
    if (r->open_item == MESSAGE) {
        json_object_set_new(part, "annotations", json_array());
        json_object_set_new(part, "logprobs", list_or_empty(r->chances));
    }
    return part;
}

/* Takes `content` over. */
static json_t *item_json(const response *r, const char *status, json_t *content)
{
    json_t *item =
        json_pack("{s:o, s:s, s:s, s:o}", "id", item_id(r, kinds[r->open_item].prefix), "type",
                  kinds[r->open_item].item, "status", status, "content", content);
    if (r->open_item == MESSAGE)
        json_object_set_new(item, "role", json_string("assistant"));
    else
        json_object_set_new(item, "summary", json_array());
    return item;
}

static void close_item(ae_talk *t)
{
    response *r = t->state;
    if (r->open_item == NOTHING) return;
    json_t *part = part_json(r);
    const char *status = only(r)->why == AERIE_FINISH_LENGTH ? "incomplete" : "completed";
    json_t *item = item_json(r, status, json_pack("[O]", part));
    send_part(t, kinds[r->open_item].done, "text", json_incref(json_object_get(part, "text")),
              json_object_get(part, "logprobs"));
    send_part(t, "response.content_part.done", "part", part, NULL);
    send_item(t, "response.output_item.done", item);
    json_array_append_new(r->output, item);
    ae_bytes_clear(&r->text);
    json_array_clear(r->unsent);
    if (r->chances) {
        json_decref(r->chances);
        r->chances = json_array();
    }
    r->open_item = NOTHING;
}

static void open_item(ae_talk *t, int kind)
{
    response *r = t->state;
    if ((int)r->open_item == kind) return;
    close_item(t);
    r->open_item = kind == THOUGHT ? THOUGHT : MESSAGE;
    json_t *item = item_json(r, "in_progress", json_array());
    send_item(t, "response.output_item.added", item);
    json_decref(item);
    send_part(t, "response.content_part.added", "part", part_json(r), NULL);
}

static void add_text(ae_talk *t, int kind, ae_span text)
{
    response *r = t->state;
    if (text.len == 0) return;
    open_item(t, kind);
    ae_bytes_add(&r->text, text.data, text.len);
    json_t *chances = kind == MESSAGE ? list_or_empty(r->unsent) : NULL;
    send_part(t, kinds[kind].delta, "delta", ae_text_json(text), chances);
    json_decref(chances);
    json_array_clear(r->unsent);
}

/* Of the message's tokens, not of thoughts. */
static void add_chances(response *r, const ae_chat_piece *p)
{
    if (!p->chances || (p->thinking.len && !p->text.len)) return;
    if (!r->chances) r->chances = json_array();
    if (!r->unsent) r->unsent = json_array();
    json_array_extend(r->chances, p->chances);
    json_array_extend(r->unsent, p->chances);
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
    close_item(t);
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

static void more(ae_talk *t, const ae_chat_piece *p)
{
    json_t *one;
    size_t i;
    started(t);
    add_text(t, THOUGHT, p->thinking);
    add_chances(t->state, p);
    add_text(t, MESSAGE, p->text);
    json_array_foreach(p->calls, i, one) add_call(t, one);
}

static void finished(ae_talk *t, int64_t reply)
{
    const response *r = t->state;
    (void)reply;
    /* Clients want a message, if an empty one. */
    if (json_array_size(r->output) == 0 && r->open_item == NOTHING) open_item(t, MESSAGE);
    close_item(t);
}

static void end(ae_talk *t, const aerie_ask_stats *stats)
{
    const response *r = t->state;
    int64_t dropped = r->open.chat.dropped_messages;
    bool cut = only(r)->why == AERIE_FINISH_LENGTH;
    json_t *json = whole(t, cut ? "incomplete" : "completed", NULL,
                         usage_of(stats, r->open.chat.thought_tokens));
    if (dropped) json_object_set_new(json, "dropped_messages", json_integer(dropped));
    if (!t->stream) {
        ae_talk_reply(t, json);
        return;
    }
    send(t, cut ? "response.incomplete" : "response.completed",
         json_pack("{s:o}", "response", json));
    ae_talk_end(t);
}

static const ae_chat_voice voice = {
    .started = started, .more = more, .finished = finished, .end = end
};

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
    r->output = json_array();
    t->failure = on_failure;
    aerie_status status = ae_responses_as_chat(&r->open.request, t->request, err);
    return status ? status : ae_openai_ask(t, &voice, "", &ask, NULL, err);
}

static const ae_talk_form form = { .face = AE_FACE_OPENAI,
                                   .state_bytes = sizeof(response),
                                   .begin = begin,
                                   .event = ae_chat_event,
                                   .free = free_response };

static void answer(ae_server *s, ae_exchange *x, ae_span rest)
{
    (void)rest;
    ae_talk_answer(s, x, &form);
}

const ae_route ae_routes_responses[] = {
    { "POST", "/v1/responses", answer, AE_FACE_OPENAI, false, NULL },
};
const size_t ae_n_routes_responses = AE_COUNT(ae_routes_responses);
