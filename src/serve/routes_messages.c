/* routes_messages.c -- Anthropic's /v1/messages and /v1/messages/count_tokens. */
#include "serve/messages.h"
#include "serve/openai_chat.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    json_t *chat; /* the request in the form of chats */
    ae_openai_options options;
    ae_tools tools;
    ae_tool_reader reader;
    char id[40];
    int64_t prompt, reused;
    bool begun;
    json_t *content; /* blocks that are done */
    ae_bytes text;   /* of the block that is open */
    bool open;
    aerie_finish why;
    json_t *stop; /* the stop sequence that ended it, or null */
} reply;

static void free_reply(void *state)
{
    reply *r = state;
    json_decref(r->chat);
    json_decref(r->content);
    json_decref(r->stop);
    ae_openai_free(&r->options);
    ae_tool_reader_free(&r->reader);
    ae_tools_free(&r->tools);
    ae_bytes_free(&r->text);
    ae_free(r);
}

/* ---- pieces */

static json_t *usage_of(const reply *r, int64_t tokens)
{
    return json_pack("{s:I, s:i, s:I, s:I}", "input_tokens", (json_int_t)(r->prompt - r->reused),
                     "cache_creation_input_tokens", 0, "cache_read_input_tokens",
                     (json_int_t)r->reused, "output_tokens", (json_int_t)tokens);
}

static json_t *stop_reason(const reply *r)
{
    bool call = false;
    const json_t *block;
    size_t i;
    json_array_foreach(r->content, i, block) if (json_object_get(block, "input")) call = true;
    if (r->why == AERIE_FINISH_LENGTH) return json_string("max_tokens");
    if (json_is_string(r->stop)) return json_string("stop_sequence");
    return json_string(call ? "tool_use" : "end_turn");
}

/* `why` is taken over. */
static json_t *message(const ae_talk *t, json_t *why, int64_t tokens)
{
    const reply *r = t->state;
    return json_pack("{s:s, s:s, s:s, s:s, s:O, s:o, s:O, s:o}", "id", r->id, "type", "message",
                     "role", "assistant", "model", t->model, "content", r->content, "stop_reason",
                     why, "stop_sequence", r->stop, "usage", usage_of(r, tokens));
}

/* ---- events; none where the reply is not streamed */

/* Takes `event` over. */
static void send(ae_talk *t, const char *type, json_t *event)
{
    json_object_set_new(event, "type", json_string(type));
    if (t->stream)
        ae_stream_send(t->x, AE_EVENTS, type, event);
    else
        json_decref(event);
}

static json_int_t place_of(const ae_talk *t)
{
    const reply *r = t->state;
    return (json_int_t)json_array_size(r->content);
}

static void begin_reply(ae_talk *t)
{
    reply *r = t->state;
    if (r->begun) return;
    r->begun = true;
    send(t, "message_start", json_pack("{s:o}", "message", message(t, json_null(), 0)));
    send(t, "ping", json_object());
}

/* `block` and `delta` are taken over. */
static void start_block(ae_talk *t, json_t *block)
{
    send(t, "content_block_start",
         json_pack("{s:I, s:o}", "index", place_of(t), "content_block", block));
}

static void send_delta(ae_talk *t, json_t *delta)
{
    send(t, "content_block_delta", json_pack("{s:I, s:o}", "index", place_of(t), "delta", delta));
}

/* The block is done; it is taken over. */
static void stop_block(ae_talk *t, json_t *block)
{
    reply *r = t->state;
    send(t, "content_block_stop", json_pack("{s:I}", "index", place_of(t)));
    json_array_append_new(r->content, block);
}

static void open_text(ae_talk *t)
{
    reply *r = t->state;
    if (!r->open) start_block(t, json_pack("{s:s, s:s}", "type", "text", "text", ""));
    r->open = true;
}

static void close_text(ae_talk *t)
{
    reply *r = t->state;
    if (!r->open) return;
    r->open = false;
    stop_block(t, json_pack("{s:s, s:o}", "type", "text", "text",
                            json_stringn(r->text.len ? r->text.data : "", r->text.len)));
    ae_bytes_clear(&r->text);
}

static void add_text(ae_talk *t, const ae_bytes *text)
{
    reply *r = t->state;
    if (text->len == 0) return;
    open_text(t);
    ae_bytes_add(&r->text, text->data, text->len);
    send_delta(t, json_pack("{s:s, s:o}", "type", "text_delta", "text",
                            json_stringn(text->data, text->len)));
}

static json_t *call_block(const json_t *call, json_t *input)
{
    return json_pack("{s:s, s:O, s:O, s:o}", "type", "tool_use", "id", json_object_get(call, "id"),
                     "name", json_object_get(call, "name"), "input", input);
}

static void add_call(ae_talk *t, const json_t *call)
{
    close_text(t);
    start_block(t, call_block(call, json_object()));
    send_delta(t, json_pack("{s:s, s:o}", "type", "input_json_delta", "partial_json",
                            ae_openai_arguments(call)));
    stop_block(t, call_block(call, json_incref(json_object_get(call, "arguments"))));
}

static void on_text(ae_talk *t, const aerie_event *e)
{
    reply *r = t->state;
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
    reply *r = t->state;
    ae_bytes text = { 0 };
    begin_reply(t);
    r->why = e->why;
    if (e->stop) {
        json_decref(r->stop);
        r->stop = json_string(e->stop);
    }
    ae_tool_reader_end(&r->reader, &text);
    add_text(t, &text);
    if (json_array_size(r->content) == 0) open_text(t);
    close_text(t);
    ae_bytes_free(&text);
}

static void on_end(ae_talk *t, const aerie_event *e)
{
    const reply *r = t->state;
    ae_exchange *x = t->x;
    if (!t->stream) {
        json_t *json = message(t, stop_reason(r), e->stats.reply_tokens);
        ae_talk_done(t);
        ae_reply_json(x, 200, json);
        return;
    }
    send(t, "message_delta",
         json_pack("{s:{s:o, s:O}, s:o}", "delta", "stop_reason", stop_reason(r), "stop_sequence",
                   r->stop, "usage", usage_of(r, e->stats.reply_tokens)));
    send(t, "message_stop", json_object());
    ae_talk_done(t);
    ae_exchange_end(x);
}

static void on_event(ae_talk *t, size_t n, const aerie_event *e)
{
    reply *r = t->state;
    (void)n;
    switch (e->kind) {
    case AERIE_EVENT_STARTED:
        r->prompt = e->prompt_tokens;
        r->reused = e->reused_tokens;
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

/* ---- asks */

static aerie_status ask(ae_talk *t, bool counts, aerie_asked *asked, aerie_error *err)
{
    reply *r = t->state;
    aerie_ask a = { 0 };
    snprintf(r->id, sizeof r->id, "msg_%016llx%08llx", (unsigned long long)ae_exchange_id(t->x),
             (unsigned long long)ae_clock_unix_seconds());
    aerie_status status = ae_messages_as_chat(&r->chat, &a.continue_final, t->request, counts, err);
    if (!status) status = ae_openai_read(&r->options, r->chat, t->stored, err);
    if (status) return status;
    r->reader = (ae_tool_reader){ .tools = &r->tools, .seed = r->options.sampling.seed };
    return ae_openai_ask(t, r->chat, &r->options, &r->tools, &a, asked, err);
}

static aerie_status begin(ae_talk *t, aerie_error *err)
{
    return ask(t, false, NULL, err);
}

/* The engine counts before it computes; what it would reply is not waited for. */
static aerie_status begin_count(ae_talk *t, aerie_error *err)
{
    ae_exchange *x = t->x;
    aerie_asked asked = { 0 };
    aerie_status status = ask(t, true, &asked, err);
    if (status && !(status == AERIE_TOO_LONG && asked.prompt_tokens)) return status;
    ae_talk_done(t);
    ae_reply_json(x, 200, json_pack("{s:I}", "input_tokens", (json_int_t)asked.prompt_tokens));
    return AERIE_OK;
}

static const ae_talk_form form = { AE_FACE_ANTHROPIC, false, begin, on_event, NULL, free_reply };
static const ae_talk_form count_form = { AE_FACE_ANTHROPIC, false, begin_count,
                                         on_event,          NULL,  free_reply };

static void talk(ae_server *s, ae_exchange *x, const ae_talk_form *how)
{
    json_t *request;
    if (!ae_read_json(&request, x, AE_FACE_ANTHROPIC)) return;
    const char *model = json_string_value(json_object_get(request, "model"));
    reply *r = ae_alloc(1, sizeof *r);
    if (model && *model && r) {
        *r = (reply){ .content = json_array(), .stop = json_null() };
        ae_talk_begin(s, x, how, model, request, r, NULL);
        return;
    }
    ae_reply_error(x, AE_FACE_ANTHROPIC, r ? 400 : 503,
                   r ? "model is required" : "no memory for one more request");
    ae_free(r);
    json_decref(request);
}

static void answer(ae_server *s, ae_exchange *x, ae_span rest)
{
    (void)rest;
    talk(s, x, &form);
}

static void answer_count(ae_server *s, ae_exchange *x, ae_span rest)
{
    (void)rest;
    talk(s, x, &count_form);
}

const ae_route ae_routes_messages[] = {
    { "POST", "/v1/messages", answer, AE_FACE_ANTHROPIC, false, NULL },
    { "POST", "/v1/messages/count_tokens", answer_count, AE_FACE_ANTHROPIC, false, NULL },
};
const size_t ae_n_routes_messages = AE_COUNT(ae_routes_messages);
