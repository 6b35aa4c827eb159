/* routes_ollama_talk.c -- Ollama's /api/chat and /api/generate. */
#include "serve/models.h"
#include "serve/ollama_options.h"
#include "serve/talk.h"
#include "serve/tool_reader.h"

#include <stdlib.h>
#include <string.h>

/* A reply on its way, of either route. */
typedef struct {
    bool chat;       /* /api/chat; else /api/generate */
    bool keeps_none; /* keep_alive is 0 */
    bool logprobs;
    int64_t dropped;
    ae_bytes text;   /* what a reply that is not streamed has so far */
    json_t *chances; /* the same of its log-probabilities */
    aerie_finish why;
    aerie_grammar *grammar;
    ae_tools tools;
    ae_tool_reader reader;
    json_t *calls; /* those that are not sent yet */
    int64_t n_sent;
} ollama_reply;

static void free_reply(void *state)
{
    ollama_reply *r = state;
    ae_bytes_free(&r->text);
    json_decref(r->chances);
    json_decref(r->calls);
    aerie_grammar_free(r->grammar);
    ae_tool_reader_free(&r->reader);
    ae_tools_free(&r->tools);
    ae_free(r);
}

/* ---- replies */

static json_t *chance(const aerie_choice *c)
{
    json_t *bytes = json_array(), *token = json_stringn(c->bytes, c->len);
    /* A part of a character is no text; its bytes are all there is to say. */
    if (!token) token = json_string("\xEF\xBF\xBD");
    for (size_t i = 0; i < c->len; i++)
        json_array_append_new(bytes, json_integer((unsigned char)c->bytes[i]));
    return json_pack("{s:o, s:f, s:o}", "token", token, "logprob", (double)c->logprob, "bytes",
                     bytes);
}

static json_t *chances_of(const aerie_event *e)
{
    json_t *list = json_array();
    for (size_t i = 0; i < e->n_tokens; i++) {
        json_t *one = chance(&e->tokens[i].token);
        if (e->tokens[i].n_top) {
            json_t *top = json_array();
            for (size_t k = 0; k < e->tokens[i].n_top; k++)
                json_array_append_new(top, chance(&e->tokens[i].top[k]));
            json_object_set_new(one, "top_logprobs", top);
        }
        json_array_append_new(list, one);
    }
    return list;
}

/* The calls that are not sent yet, as Ollama's messages have them; they are sent then. */
static void add_calls(ollama_reply *r, json_t *message)
{
    json_t *calls = json_array(), *one;
    size_t i;
    json_array_foreach(r->calls, i, one)
    {
        json_t *call =
            json_pack("{s:O, s:{s:I, s:O, s:O}}", "id", json_object_get(one, "id"), "function",
                      "index", (json_int_t)r->n_sent++, "name", json_object_get(one, "name"),
                      "arguments", json_object_get(one, "arguments"));
        json_array_append_new(calls, call);
    }
    if (json_array_size(calls)) json_object_set(message, "tool_calls", calls);
    json_array_clear(r->calls);
    json_decref(calls);
}

/* One object: with `text`, and `chances` (taken over; NULL: none). */
static json_t *object(ae_talk *t, ae_span text, json_t *chances, bool done)
{
    ollama_reply *r = t->state;
    char now[40];
    ae_time_text(now);
    json_t *o = json_pack("{s:s, s:s}", "model", t->model, "created_at", now);
    json_t *content = json_stringn(text.len ? text.data : "", text.len);
    if (r->chat) {
        json_t *message = json_pack("{s:s, s:o}", "role", "assistant", "content", content);
        add_calls(r, message);
        json_object_set_new(o, "message", message);
    } else
        json_object_set_new(o, "response", content);
    json_object_set_new(o, "done", json_boolean(done));
    if (chances) json_object_set_new(o, "logprobs", chances);
    return o;
}

static json_int_t nanoseconds(double seconds)
{
    return seconds > 0 ? (json_int_t)(seconds * 1e9) : 1;
}

static void add_metrics(const ae_talk *t, json_t *o, const aerie_ask_stats *s)
{
    json_object_set_new(o, "total_duration",
                        json_integer(nanoseconds(ae_clock_seconds() - t->began)));
    json_object_set_new(o, "load_duration",
                        json_integer(nanoseconds(aerie_lease_load_seconds(t->lease))));
    json_object_set_new(o, "prompt_eval_count", json_integer(s->prompt_tokens));
    json_object_set_new(o, "prompt_eval_duration", json_integer(nanoseconds(s->prompt_seconds)));
    json_object_set_new(o, "eval_count", json_integer(s->reply_tokens));
    json_object_set_new(o, "eval_duration", json_integer(nanoseconds(s->reply_seconds)));
}

static void send_last(ae_talk *t, const aerie_ask_stats *stats)
{
    ollama_reply *r = t->state;
    ae_exchange *x = t->x;
    json_t *o = object(t, ae_span_of(&r->text), t->stream ? NULL : json_incref(r->chances), true);
    json_object_set_new(o, "done_reason",
                        json_string(r->why == AERIE_FINISH_LENGTH ? "length" : "stop"));
    if (r->dropped) json_object_set_new(o, "dropped_messages", json_integer(r->dropped));
    if (!r->chat) json_object_set_new(o, "context", json_array());
    add_metrics(t, o, stats);
    ae_talk_done(t);
    if (t->stream) {
        ae_stream_send(x, AE_LINES, NULL, o);
        ae_exchange_end(x);
    } else
        ae_reply_json(x, 200, o);
}

/* More of the reply; takes chances (or NULL) over. */
static void deliver(ae_talk *t, const ae_bytes *text, json_t *chances)
{
    ollama_reply *r = t->state;
    bool any = text->len || json_array_size(chances) || json_array_size(r->calls);
    if (t->stream && any)
        ae_stream_send(t->x, AE_LINES, NULL, object(t, ae_span_of(text), chances, false));
    else {
        ae_bytes_add(&r->text, text->data, t->stream ? 0 : text->len);
        if (chances) json_array_extend(r->chances, chances);
        json_decref(chances);
    }
}

static void on_text(ae_talk *t, const aerie_event *e)
{
    ollama_reply *r = t->state;
    ae_bytes text = { 0 };
    ae_tool_reader_add(&r->reader, (ae_span){ e->text, e->len }, &text, r->calls);
    deliver(t, &text, r->logprobs ? chances_of(e) : NULL);
    ae_bytes_free(&text);
}

static void on_finished(ae_talk *t, const aerie_event *e)
{
    ollama_reply *r = t->state;
    ae_bytes text = { 0 };
    r->why = e->why;
    ae_tool_reader_end(&r->reader, &text);
    deliver(t, &text, NULL);
    ae_bytes_free(&text);
}

static void on_event(ae_talk *t, size_t n, const aerie_event *e)
{
    ollama_reply *r = t->state;
    (void)n;
    switch (e->kind) {
    case AERIE_EVENT_STARTED:
        r->dropped = e->dropped_messages;
        break;
    case AERIE_EVENT_TEXT:
        on_text(t, e);
        break;
    case AERIE_EVENT_FINISHED:
        on_finished(t, e);
        break;
    case AERIE_EVENT_END:
        send_last(t, &e->stats);
        break;
    default:
        break;
    }
}

/* Nothing was asked: the model is loaded, or let go. */
static void on_nothing(ae_talk *t)
{
    const ollama_reply *r = t->state;
    ae_exchange *x = t->x;
    json_t *o = object(t, (ae_span){ "", 0 }, NULL, true);
    json_object_set_new(o, "done_reason", json_string(r->keeps_none ? "unload" : "load"));
    ae_talk_done(t);
    ae_reply_json(x, 200, o);
}

/* ---- asks */

static const char *text_of(const json_t *request, const char *key)
{
    const char *text = json_string_value(json_object_get(request, key));
    return text ? text : "";
}

/* The Modelfile's messages and system before the request's own, which may have a system itself. */
static json_t *all_messages(const ae_talk *t, const json_t *own)
{
    json_t *all = json_array();
    json_t *stored = t->stored->messages ? json_loads(t->stored->messages, 0, NULL) : NULL;
    const char *first = text_of(json_array_get(own, 0), "role");
    if (t->stored->system && *t->stored->system && strcmp(first, "system") != 0)
        json_array_append_new(
            all, json_pack("{s:s, s:s}", "role", "system", "content", t->stored->system));
    if (stored) json_array_extend(all, stored);
    json_array_extend(all, (json_t *)(uintptr_t)own);
    json_decref(stored);
    return all;
}

/* What /api/generate's fields are as a conversation. */
static json_t *prompt_messages(const ae_talk *t)
{
    const char *system = text_of(t->request, "system");
    json_t *own = json_array();
    if (*system)
        json_array_append_new(own, json_pack("{s:s, s:s}", "role", "system", "content", system));
    json_array_append_new(
        own, json_pack("{s:s, s:s}", "role", "user", "content", text_of(t->request, "prompt")));
    json_t *all = all_messages(t, own);
    json_decref(own);
    return all;
}

static aerie_status read_options(ae_talk *t, ae_ollama_options *o, json_t **parameters,
                                 aerie_error *err)
{
    ae_ollama_options_begin(o);
    *parameters = t->stored->parameters ? json_loads(t->stored->parameters, 0, NULL) : NULL;
    aerie_status status = ae_ollama_options_add(o, *parameters, err);
    if (!status) status = ae_ollama_options_add(o, json_object_get(t->request, "options"), err);
    return status;
}

static aerie_status read_logprobs(const json_t *request, aerie_ask *ask, aerie_error *err)
{
    const json_t *top = json_object_get(request, "top_logprobs");
    json_int_t n = json_integer_value(top);
    ask->logprobs = json_is_true(json_object_get(request, "logprobs"));
    if (n < 0 || n > 20)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "top_logprobs must be between 0 and 20");
    ask->top_logprobs = ask->logprobs ? (int)n : 0;
    return AERIE_OK;
}

static aerie_status ask_with(ae_talk *t, aerie_ask *ask, const ae_ollama_options *o,
                             aerie_error *err)
{
    ollama_reply *r = t->state;
    const json_t *truncate = json_object_get(t->request, "truncate");
    aerie_status status = AERIE_OK;
    if (!r->grammar)
        status = ae_ollama_format(&r->grammar, json_object_get(t->request, "format"), err);
    ask->sampling = &o->sampling;
    ask->max_tokens = o->num_predict > 0 ? o->num_predict : 0;
    ask->context =
        o->num_ctx > 0
            ? ae_min64(o->num_ctx, aerie_engine_settings(aerie_lease_engine(t->lease))->context)
            : 0;
    ask->stop = o->stop;
    ask->n_stop = o->n_stop;
    ask->grammar = r->grammar;
    ask->too_long = json_is_false(truncate) ? AERIE_TOO_LONG_REFUSE : AERIE_TOO_LONG_DROP_OLDEST;
    if (!status) status = read_logprobs(t->request, ask, err);
    r->logprobs = ask->logprobs;
    return status ? status : ae_talk_ask(t, ask, NULL, err);
}

/* Tools, and `tool_choice` as OpenAI has it: a call that must be made is all the reply can be. */
static aerie_status read_tools(ae_talk *t, aerie_error *err)
{
    ollama_reply *r = t->state;
    aerie_status status = r->chat ? ae_tools_read(&r->tools, t->request, err) : AERIE_OK;
    uint64_t seed = (uint64_t)(t->began * 1e9) ^ ae_exchange_id(t->x);
    r->reader = (ae_tool_reader){ .tools = &r->tools, .seed = ae_mix64(seed) };
    return status ? status : ae_tools_grammar(&r->grammar, &r->tools, err);
}

static aerie_status ask_messages(ae_talk *t, json_t *messages, const ae_ollama_options *o,
                                 aerie_error *err)
{
    const ollama_reply *r = t->state;
    const char *template_text = text_of(t->request, "template");
    aerie_status status = read_tools(t, err);
    char *text = json_dumps(messages, JSON_COMPACT);
    char *tools_text = r->tools.list ? json_dumps(r->tools.list, JSON_COMPACT) : NULL;
    aerie_ask ask = { .messages = text,
                      .tools = tools_text,
                      .chat_template = *template_text ? template_text : t->stored->chat_template };
    if (!status)
        status = text ? ask_with(t, &ask, o, err)
                      : aerie_fail(err, AERIE_NO_MEMORY, "no memory for the messages");
    free(text);
    free(tools_text);
    json_decref(messages);
    return status;
}

static aerie_status begin_chat(ae_talk *t, aerie_error *err)
{
    const json_t *messages = json_object_get(t->request, "messages");
    ae_ollama_options o;
    json_t *parameters;
    if (json_array_size(messages) == 0) return AERIE_OK;
    aerie_status status = read_options(t, &o, &parameters, err);
    if (!status) status = ask_messages(t, all_messages(t, messages), &o, err);
    json_decref(parameters);
    return status;
}

static aerie_status begin_generate(ae_talk *t, aerie_error *err)
{
    const char *prompt = text_of(t->request, "prompt");
    bool raw = json_is_true(json_object_get(t->request, "raw"));
    ae_ollama_options o;
    json_t *parameters;
    if (!*prompt) return AERIE_OK;
    if (raw && (*text_of(t->request, "system") || *text_of(t->request, "template")))
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "raw mode does not support template, system, or context");
    aerie_status status = read_options(t, &o, &parameters, err);
    aerie_ask ask = { .text = prompt };
    bool plain = raw || (!t->stored->chat_template && !*text_of(t->request, "template") &&
                         !aerie_model_chat_template(aerie_lease_model(t->lease)));
    if (!status)
        status = plain ? ask_with(t, &ask, &o, err) : ask_messages(t, prompt_messages(t), &o, err);
    json_decref(parameters);
    return status;
}

static const ae_talk_form chat_form = { AE_FACE_OLLAMA, true,       begin_chat,
                                        on_event,       on_nothing, free_reply };
static const ae_talk_form generate_form = { AE_FACE_OLLAMA, true,       begin_generate,
                                            on_event,       on_nothing, free_reply };

/* ---- requests */

static bool check_messages(ae_exchange *x, const json_t *request)
{
    const json_t *messages = json_object_get(request, "messages");
    size_t i;
    json_t *m;
    if (messages && !json_is_array(messages) && !json_is_null(messages)) {
        ae_reply_error(x, AE_FACE_OLLAMA, 400, "messages must be a list");
        return false;
    }
    json_array_foreach(messages, i, m)
    {
        const char *role = json_string_value(json_object_get(m, "role"));
        if (role && json_array_size(json_object_get(m, "images")) == 0) continue;
        ae_reply_error(x, AE_FACE_OLLAMA, 400,
                       role ? "message %zu has images, and this server's models read text alone"
                            : "message %zu has no role",
                       i);
        return false;
    }
    return true;
}

static void talk(ae_server *s, ae_exchange *x, bool chat)
{
    json_t *request;
    bool has;
    double keep_alive;
    if (!ae_read_json(&request, x, AE_FACE_OLLAMA)) return;
    const char *model = text_of(request, "model");
    ollama_reply *r = ae_alloc(1, sizeof *r);
    if (!*model)
        ae_reply_error(x, AE_FACE_OLLAMA, 400, "model is required");
    else if (!ae_models_keep_alive(json_object_get(request, "keep_alive"), &has, &keep_alive))
        ae_reply_error(x, AE_FACE_OLLAMA, 400,
                       "invalid keep_alive: give seconds, or a text as \"5m\"");
    else if (!r)
        ae_reply_error(x, AE_FACE_OLLAMA, 503, "no memory for one more request");
    else if (check_messages(x, request)) {
        *r = (ollama_reply){ .chat = chat,
                             .keeps_none = has && keep_alive == 0,
                             .chances = json_array(),
                             .calls = json_array() };
        ae_talk_begin(s, x, chat ? &chat_form : &generate_form, model, request, r,
                      has ? &keep_alive : NULL);
        return;
    }
    ae_free(r);
    json_decref(request);
}

static void answer_chat(ae_server *s, ae_exchange *x, ae_span rest)
{
    (void)rest;
    talk(s, x, true);
}

static void answer_generate(ae_server *s, ae_exchange *x, ae_span rest)
{
    (void)rest;
    talk(s, x, false);
}

const ae_route ae_routes_ollama_talk[] = {
    { "POST", "/api/chat", answer_chat, AE_FACE_OLLAMA, false, NULL },
    { "POST", "/api/generate", answer_generate, AE_FACE_OLLAMA, false, NULL },
};
const size_t ae_n_routes_ollama_talk = AE_COUNT(ae_routes_ollama_talk);
