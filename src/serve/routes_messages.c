/* routes_messages.c -- Anthropic's /v1/messages and /v1/messages/count_tokens. */
#include "serve/messages.h"
#include "serve/openai_chat.h"

typedef struct {
    ae_openai_chat open;
    json_t *content; /* blocks that are done */
    ae_bytes text;   /* of the block that is open */
    enum { NOTHING, THOUGHT, TEXT } open_block;
} reply;

static void free_reply(void *state)
{
    reply *r = state;
    ae_openai_chat_free(&r->open);
    json_decref(r->content);
    ae_bytes_free(&r->text);
}

/* The one of the chat's replies that there is. */
static ae_chat_reply *only(const reply *r)
{
    return &r->open.chat.replies[0];
}

/* ---- pieces */

static json_t *usage_of(const reply *r, int64_t tokens)
{
    const ae_chat *c = &r->open.chat;
    return json_pack("{s:I, s:i, s:I, s:I}", "input_tokens",
                     (json_int_t)(c->prompt_tokens - c->reused_tokens),
                     "cache_creation_input_tokens", 0, "cache_read_input_tokens",
                     (json_int_t)c->reused_tokens, "output_tokens", (json_int_t)tokens);
}

static json_t *stop_reason(const reply *r)
{
    if (only(r)->why == AERIE_FINISH_LENGTH) return json_string("max_tokens");
    if (only(r)->stop) return json_string("stop_sequence");
    return json_string(only(r)->n_calls ? "tool_use" : "end_turn");
}

static json_t *stop_sequence(const reply *r)
{
    return only(r)->stop ? json_incref(only(r)->stop) : json_null();
}

/* `why` is taken over. */
static json_t *message(const ae_talk *t, json_t *why, int64_t tokens)
{
    const reply *r = t->state;
    return json_pack("{s:s, s:s, s:s, s:s, s:O, s:o, s:o, s:o}", "id", r->open.id, "type",
                     "message", "role", "assistant", "model", t->model, "content", r->content,
                     "stop_reason", why, "stop_sequence", stop_sequence(r), "usage",
                     usage_of(r, tokens));
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

static void started(ae_talk *t)
{
    const reply *r = t->state;
    if (only(r)->begun) return;
    only(r)->begun = true;
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

/* What blocks of thoughts and of text are called, and their text in them. */
static const struct {
    const char *name, *delta;
} kinds[] = { [THOUGHT] = { "thinking", "thinking_delta" }, [TEXT] = { "text", "text_delta" } };

/* Thoughts have a signature, which stands for nothing here. */
static json_t *block_json(int kind, const ae_bytes *text)
{
    json_t *block = json_pack("{s:s, s:o}", "type", kinds[kind].name, kinds[kind].name,
                              ae_text_json(ae_span_of(text)));
    if (kind == THOUGHT) json_object_set_new(block, "signature", json_string(""));
    return block;
}

static void close_block(ae_talk *t)
{
    reply *r = t->state;
    if (r->open_block == NOTHING) return;
    json_t *block = block_json((int)r->open_block, &r->text);
    r->open_block = NOTHING;
    stop_block(t, block);
    ae_bytes_clear(&r->text);
}

static void open_block(ae_talk *t, int kind)
{
    static const ae_bytes nothing = { 0 };
    reply *r = t->state;
    if ((int)r->open_block == kind) return;
    close_block(t);
    start_block(t, block_json(kind, &nothing));
    r->open_block = kind == THOUGHT ? THOUGHT : TEXT;
}

static void add_text(ae_talk *t, int kind, ae_span text)
{
    reply *r = t->state;
    if (text.len == 0) return;
    open_block(t, kind);
    ae_bytes_add(&r->text, text.data, text.len);
    send_delta(t, json_pack("{s:s, s:o}", "type", kinds[kind].delta, kinds[kind].name,
                            ae_text_json(text)));
}

static json_t *call_block(const json_t *call, json_t *input)
{
    return json_pack("{s:s, s:O, s:O, s:o}", "type", "tool_use", "id", json_object_get(call, "id"),
                     "name", json_object_get(call, "name"), "input", input);
}

static void add_call(ae_talk *t, const json_t *call)
{
    close_block(t);
    start_block(t, call_block(call, json_object()));
    send_delta(t, json_pack("{s:s, s:o}", "type", "input_json_delta", "partial_json",
                            ae_openai_arguments(call)));
    stop_block(t, call_block(call, json_incref(json_object_get(call, "arguments"))));
}

static void more(ae_talk *t, const ae_chat_piece *p)
{
    json_t *one;
    size_t i;
    started(t);
    add_text(t, THOUGHT, p->thinking);
    add_text(t, TEXT, p->text);
    json_array_foreach(p->calls, i, one) add_call(t, one);
}

static void finished(ae_talk *t, int64_t reply_number)
{
    const reply *r = t->state;
    (void)reply_number;
    if (json_array_size(r->content) == 0 && r->open_block == NOTHING) open_block(t, TEXT);
    close_block(t);
}

static void end(ae_talk *t, const aerie_ask_stats *stats)
{
    const reply *r = t->state;
    if (!t->stream) {
        ae_talk_reply(t, message(t, stop_reason(r), stats->reply_tokens));
        return;
    }
    send(t, "message_delta",
         json_pack("{s:{s:o, s:o}, s:o}", "delta", "stop_reason", stop_reason(r), "stop_sequence",
                   stop_sequence(r), "usage", usage_of(r, stats->reply_tokens)));
    send(t, "message_stop", json_object());
    ae_talk_end(t);
}

static const ae_chat_voice voice = {
    .started = started, .more = more, .finished = finished, .end = end
};

/* ---- asks */

static aerie_status ask(ae_talk *t, bool counts, aerie_asked *asked, aerie_error *err)
{
    reply *r = t->state;
    aerie_ask a = { 0 };
    r->content = json_array();
    aerie_status status =
        ae_messages_as_chat(&r->open.request, &a.continue_final, t->request, counts, err);
    return status ? status : ae_openai_ask(t, &voice, "msg_", &a, asked, err);
}

static aerie_status begin(ae_talk *t, aerie_error *err)
{
    return ask(t, false, NULL, err);
}

/* The engine counts before it computes; what it would reply is not waited for. */
static aerie_status begin_count(ae_talk *t, aerie_error *err)
{
    aerie_asked asked = { 0 };
    aerie_status status = ask(t, true, &asked, err);
    if (status && !(status == AERIE_TOO_LONG && asked.prompt_tokens)) return status;
    ae_talk_reply(t, json_pack("{s:I}", "input_tokens", (json_int_t)asked.prompt_tokens));
    return AERIE_OK;
}

static const ae_talk_form form = { .face = AE_FACE_ANTHROPIC,
                                   .state_bytes = sizeof(reply),
                                   .begin = begin,
                                   .event = ae_chat_event,
                                   .free = free_reply };
static const ae_talk_form count_form = { .face = AE_FACE_ANTHROPIC,
                                         .state_bytes = sizeof(reply),
                                         .begin = begin_count,
                                         .event = ae_chat_event,
                                         .free = free_reply };

static void answer(ae_server *s, ae_exchange *x, ae_span rest)
{
    (void)rest;
    ae_talk_answer(s, x, &form);
}

static void answer_count(ae_server *s, ae_exchange *x, ae_span rest)
{
    (void)rest;
    ae_talk_answer(s, x, &count_form);
}

const ae_route ae_routes_messages[] = {
    { "POST", "/v1/messages", answer, AE_FACE_ANTHROPIC, false, NULL },
    { "POST", "/v1/messages/count_tokens", answer_count, AE_FACE_ANTHROPIC, false, NULL },
};
const size_t ae_n_routes_messages = AE_COUNT(ae_routes_messages);
