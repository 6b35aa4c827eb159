/* routes_openai_chat.c -- OpenAI's /v1/chat/completions. */
#include "serve/openai.h"

#include <stdlib.h>
#include <string.h>

/* One of the n replies. */
typedef struct {
    ae_bytes text;   /* so far, when it is not streamed */
    json_t *chances; /* the same of its log-probabilities; NULL: none are wanted */
    aerie_finish why;
    bool begun; /* its role was sent */
} chat_reply;

typedef struct {
    ae_openai_options options;
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
    }
    ae_free(c->replies);
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

static void on_text(ae_talk *t, const aerie_event *e)
{
    chat *c = t->state;
    chat_reply *r = &c->replies[e->reply];
    json_t *chances = c->logprobs ? ae_openai_chances(e) : NULL;
    if (!t->stream) {
        ae_bytes_add(&r->text, e->text, e->len);
        if (chances) json_array_extend(r->chances, chances);
        json_decref(chances);
        return;
    }
    begin_reply(t, e->reply);
    if (e->len || json_array_size(chances))
        send_chunk(t, e->reply,
                   json_pack("{s:o}", "content", json_stringn(e->len ? e->text : "", e->len)),
                   chances, NULL);
    else
        json_decref(chances);
}

static void on_finished(ae_talk *t, const aerie_event *e)
{
    chat *c = t->state;
    c->replies[e->reply].why = e->why;
    if (!t->stream) return;
    begin_reply(t, e->reply);
    send_chunk(t, e->reply, json_object(), NULL, ae_openai_finish(e->why));
}

static json_t *whole_choices(const chat *c)
{
    json_t *choices = json_array();
    for (int64_t i = 0; i < c->n_replies; i++) {
        chat_reply *r = &c->replies[i];
        json_t *text = json_stringn(r->text.len ? r->text.data : "", r->text.len);
        json_t *message =
            json_pack("{s:s, s:o, s:n}", "role", "assistant", "content", text, "refusal");
        json_t *logprobs = r->chances ? json_pack("{s:O}", "content", r->chances) : json_null();
        json_array_append_new(choices, json_pack("{s:I, s:o, s:o, s:s}", "index", (json_int_t)i,
                                                 "message", message, "logprobs", logprobs,
                                                 "finish_reason", ae_openai_finish(r->why)));
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

/* Contents that are lists of parts become texts; anything but text is refused. */
static aerie_status flatten(json_t *message, aerie_error *err)
{
    json_t *content = json_object_get(message, "content"), *part;
    ae_bytes text = { 0 };
    size_t i;
    aerie_status status = AERIE_OK;
    if (json_is_null(content))
        return json_object_set_new(message, "content", json_string("")), AERIE_OK;
    if (!json_is_array(content)) return AERIE_OK;
    json_array_foreach(content, i, part)
    {
        const char *one = json_string_value(json_object_get(part, "text"));
        if (one)
            ae_bytes_add_text(&text, one);
        else
            status =
                aerie_fail(err, AERIE_BAD_ARGUMENT,
                           "a message has a part that is no text, and this server's models read "
                           "text alone");
    }
    json_object_set_new(message, "content", json_stringn(text.len ? text.data : "", text.len));
    ae_bytes_free(&text);
    return status;
}

/* Arguments of calls are texts of JSON with OpenAI, and objects with templates. */
static void parse_arguments(json_t *message)
{
    json_t *calls = json_object_get(message, "tool_calls"), *call;
    size_t i;
    json_array_foreach(calls, i, call)
    {
        json_t *function = json_object_get(call, "function");
        const char *text = json_string_value(json_object_get(function, "arguments"));
        json_t *arguments = text ? json_loads(text, 0, NULL) : NULL;
        if (arguments) json_object_set_new(function, "arguments", arguments);
    }
}

static json_t *read_messages(const ae_talk *t, aerie_error *err)
{
    const json_t *own = json_object_get(t->request, "messages");
    json_t *all = json_array(), *m;
    const char *first = json_string_value(json_object_get(json_array_get(own, 0), "role"));
    size_t i;
    bool system = first && (!strcmp(first, "system") || !strcmp(first, "developer"));
    aerie_status status =
        json_array_size(own)
            ? AERIE_OK
            : aerie_fail(err, AERIE_BAD_ARGUMENT, "messages must be a list with a message");
    if (t->stored->system && *t->stored->system && !system)
        json_array_append_new(
            all, json_pack("{s:s, s:s}", "role", "system", "content", t->stored->system));
    json_array_foreach(own, i, m)
    {
        const char *role = json_string_value(json_object_get(m, "role"));
        if (status) break;
        if (!role) status = aerie_fail(err, AERIE_BAD_ARGUMENT, "message %zu has no role", i);
        if (role && !strcmp(role, "developer"))
            json_object_set_new(m, "role", json_string("system"));
        if (!status) status = flatten(m, err);
        parse_arguments(m);
        json_array_append(all, m);
    }
    if (!status) return all;
    json_decref(all);
    return NULL;
}

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
    for (int64_t i = 0; c->logprobs && i < c->n_replies; i++) c->replies[i].chances = json_array();
    return AERIE_OK;
}

static aerie_status begin(ae_talk *t, aerie_error *err)
{
    chat *c = t->state;
    const json_t *tools = json_object_get(t->request, "tools"),
                 *choice = json_object_get(t->request, "tool_choice");
    aerie_ask ask = { .chat_template = t->stored->chat_template };
    ae_openai_id(c->id, "chatcmpl", t->x);
    c->created = ae_clock_unix_seconds();
    aerie_status status = ae_openai_read(&c->options, t->request, t->stored, err);
    if (!status) status = read_logprobs(c, t->request, &ask, err);
    if (!status) status = open_replies(c, err);
    json_t *messages = status ? NULL : read_messages(t, err);
    if (!messages) return status ? status : AERIE_BAD_ARGUMENT;
    bool none = json_is_string(choice) && !strcmp(json_string_value(choice), "none");
    char *text = json_dumps(messages, JSON_COMPACT);
    char *tools_text = json_array_size(tools) && !none ? json_dumps(tools, JSON_COMPACT) : NULL;
    ask.messages = text;
    ask.tools = tools_text;
    ae_openai_fill(&ask, &c->options);
    status = text ? ae_talk_ask(t, &ask, NULL, err)
                  : aerie_fail(err, AERIE_NO_MEMORY, "no memory for the messages");
    free(text);
    free(tools_text);
    json_decref(messages);
    return status;
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
