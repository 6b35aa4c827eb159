/* routes_ollama_talk.c -- Ollama's /api/chat and /api/generate. */
#include "serve/chat.h"
#include "serve/ollama_context.h"
#include "serve/ollama_options.h"

#include <stdlib.h>
#include <string.h>

/* A reply on its way, of either route. */
typedef struct {
    ae_chat chat;
    aerie_grammar *grammar;
    json_t *context; /* of /api/generate: the tokens so far; NULL: none are told */
} ollama_reply;

static const ae_talk_form generate_form;

static bool generates(const ae_talk *t)
{
    return t->form == &generate_form;
}

static void free_reply(void *state)
{
    ollama_reply *r = state;
    ae_chat_free(&r->chat);
    aerie_grammar_free(r->grammar);
    json_decref(r->context);
}

/* ---- replies */

/* Calls as Ollama's messages have them; the first is the reply's n-th. */
static json_t *calls_json(const json_t *calls, size_t n)
{
    json_t *list = json_array(), *one;
    size_t i;
    json_array_foreach(calls, i, one) json_array_append_new(
        list, json_pack("{s:O, s:{s:I, s:O, s:O}}", "id", json_object_get(one, "id"), "function",
                        "index", (json_int_t)(n + i), "name", json_object_get(one, "name"),
                        "arguments", json_object_get(one, "arguments")));
    return list;
}

/* One object of a reply: with a piece of it, or (NULL) with nothing. */
static json_t *object(const ae_talk *t, const ae_chat_piece *p, bool done)
{
    char now[40];
    ae_time_text(now);
    json_t *o = json_pack("{s:s, s:s}", "model", t->model, "created_at", now);
    json_t *content = ae_text_json(p ? p->text : (ae_span){ "", 0 });
    json_t *thinking = p && p->thinking.len ? ae_text_json(p->thinking) : NULL;
    if (generates(t)) {
        json_object_set_new(o, "response", content);
        if (thinking) json_object_set(o, "thinking", thinking);
    } else {
        json_t *message = json_pack("{s:s, s:o}", "role", "assistant", "content", content);
        if (thinking) json_object_set(message, "thinking", thinking);
        if (p && json_array_size(p->calls))
            json_object_set_new(message, "tool_calls", calls_json(p->calls, p->n_before));
        json_object_set_new(o, "message", message);
    }
    json_decref(thinking);
    json_object_set_new(o, "done", json_boolean(done));
    if (p && p->chances) json_object_set(o, "logprobs", p->chances);
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

static void more(ae_talk *t, const ae_chat_piece *p)
{
    if (t->stream && (p->thinking.len || p->text.len || json_array_size(p->calls) ||
                      json_array_size(p->chances)))
        ae_stream_send(t->x, AE_LINES, NULL, object(t, p, false));
}

/* The last object; of a reply that is not streamed the only one. */
static void end(ae_talk *t, const aerie_ask_stats *stats)
{
    const ollama_reply *r = t->state;
    const ae_chat_reply *one = &r->chat.replies[0];
    const ae_chat_piece all = { .thinking = ae_span_of(&one->thinking),
                                .text = ae_span_of(&one->text),
                                .calls = one->calls,
                                .chances = one->chances };
    json_t *o = object(t, t->stream ? NULL : &all, true);
    json_object_set_new(o, "done_reason",
                        json_string(one->why == AERIE_FINISH_LENGTH ? "length" : "stop"));
    if (r->chat.best.told) json_object_set(o, "best_of", r->chat.best.told);
    if (r->chat.dropped_messages)
        json_object_set_new(o, "dropped_messages", json_integer(r->chat.dropped_messages));
    /* Clients look for the list, where there can be one. */
    if (generates(t) && !json_is_true(json_object_get(t->request, "raw")))
        json_object_set_new(o, "context", r->context ? json_incref(r->context) : json_array());
    add_metrics(t, o, stats);
    if (!t->stream) {
        ae_talk_reply(t, o);
        return;
    }
    ae_stream_send(t->x, AE_LINES, NULL, o);
    ae_talk_end(t);
}

static const ae_chat_voice voice = { .lean_chances = true, .more = more, .end = end };

/* Nothing was asked: the model is loaded, or let go. */
static void on_nothing(ae_talk *t)
{
    bool goes = t->has_keep_alive && t->keep_alive == 0;
    json_t *o = object(t, NULL, true);
    json_object_set_new(o, "done_reason", json_string(goes ? "unload" : "load"));
    ae_talk_reply(t, o);
}

/* ---- asks */

static const char *text_of(const json_t *request, const char *key)
{
    const char *text = json_string_value(json_object_get(request, key));
    return text ? text : "";
}

/* Whether /api/generate is to go on from a `context`. */
static bool goes_further(const ae_talk *t)
{
    return generates(t) && json_array_size(json_object_get(t->request, "context")) > 0;
}

/* The Modelfile's system and messages before the request's own. A system message that the request
 * begins with takes that one's place, before the messages too: most templates want it first. */
static json_t *all_messages(const ae_talk *t, const json_t *own)
{
    json_t *all = json_array();
    json_t *stored = t->stored->messages && !goes_further(t)
                         ? json_loads(t->stored->messages, 0, NULL)
                         : NULL; /* they are in the context already */
    bool has_system = !strcmp(text_of(json_array_get(own, 0), "role"), "system");
    if (has_system)
        json_array_append(all, json_array_get(own, 0));
    else if (t->stored->system && *t->stored->system)
        json_array_append_new(
            all, json_pack("{s:s, s:s}", "role", "system", "content", t->stored->system));
    if (stored) json_array_extend(all, stored);
    for (size_t i = has_system; i < json_array_size(own); i++) {
        json_t *m = json_copy(json_array_get(own, i)), *thinking = json_object_get(m, "thinking");
        /* As templates call them. */
        if (thinking) json_object_set(m, "reasoning_content", thinking);
        json_array_append_new(all, m);
    }
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
    /* Beside `options` Ollama reads none; some clients put them there all the same. */
    if (!status) status = ae_ollama_options_add(o, t->request, err);
    if (!status) status = ae_ollama_options_add(o, json_object_get(t->request, "options"), err);
    return status;
}

/* All of an ask but its prompt. */
static aerie_status prepare(ae_talk *t, aerie_ask *ask, const ae_ollama_options *o,
                            aerie_error *err)
{
    ollama_reply *r = t->state;
    const json_t *truncate = json_object_get(t->request, "truncate");
    aerie_status status = AERIE_OK;
    if (!r->grammar)
        status = ae_ollama_format(&r->grammar, json_object_get(t->request, "format"), err);
    ask->sampling = &o->of.sampling;
    ask->max_tokens = o->of.num_predict > 0 ? o->of.num_predict : 0;
    ask->context =
        o->of.num_ctx > 0
            ? ae_min64(o->of.num_ctx, aerie_engine_settings(aerie_lease_engine(t->lease))->context)
            : 0;
    ask->stop = o->stop;
    ask->n_stop = o->n_stop;
    ask->grammar = r->grammar;
    ask->too_long = json_is_false(truncate) ? AERIE_TOO_LONG_REFUSE : AERIE_TOO_LONG_DROP_OLDEST;
    if (!status) status = ae_chances_read(ask, t->request, err);
    return status ? status : ae_chat_open(t, &voice, 1, ask->logprobs, err);
}

static aerie_status ask_text(ae_talk *t, const char *text, const ae_ollama_options *o,
                             aerie_error *err)
{
    const char *suffix = text_of(t->request, "suffix");
    aerie_ask ask = { .text = text, .suffix = *suffix ? suffix : NULL };
    aerie_status status = prepare(t, &ask, o, err);
    return status ? status : ae_talk_ask(t, &ask, NULL, err);
}

/* Tools, and `tool_choice` as OpenAI has it: a call that must be made is all the reply can be. */
static aerie_status read_tools(ae_talk *t, aerie_error *err)
{
    ollama_reply *r = t->state;
    aerie_status status = generates(t) ? AERIE_OK : ae_tools_read(&r->chat.tools, t->request, err);
    return status ? status : ae_tools_grammar(&r->grammar, &r->chat.tools, err);
}

/* Whether thoughts are wanted, and can be had. */
static aerie_status read_thinking(ae_talk *t, const aerie_ask *ask, aerie_error *err)
{
    ollama_reply *r = t->state;
    aerie_status status = ae_thinking_of_ollama(&r->chat.thinking, t->request, err);
    if (!status && r->chat.thinking.wish == AERIE_THINK_YES &&
        !aerie_chat_traits_of(ae_chat_template(t, ask)).thinking)
        status = aerie_fail(err, AERIE_BAD_ARGUMENT, "\"%s\" does not support thinking", t->model);
    return status;
}

/* On from a `context`: the tokens of it, then those of the prompt. */
static aerie_status ask_further(ae_talk *t, json_t *messages, aerie_ask *ask, aerie_error *err)
{
    ollama_reply *r = t->state;
    char *text = NULL;
    size_t len = 0;
    aerie_status status =
        ae_ollama_render(t, messages, &r->chat.thinking, ask->chat_template, &text, &len, err);
    if (!status)
        status = ae_ollama_context(&r->context, t, json_object_get(t->request, "context"), text,
                                   len, err);
    if (!status) status = ae_ollama_ask_context(t, r->context, ask, err);
    if (!status && !ask->grammar && aerie_chat_traits_of(ae_chat_template(t, ask)).thinking)
        status = aerie_thoughts_open(&r->chat.replies[0].thoughts, false, err);
    aerie_free(text);
    return status;
}

/* What the prompt would be, and no reply. */
static aerie_status show_prompt(ae_talk *t, json_t *messages, const aerie_ask *ask,
                                aerie_error *err)
{
    const ollama_reply *r = t->state;
    char *text = NULL;
    size_t len = 0;
    aerie_status status =
        ae_ollama_render(t, messages, &r->chat.thinking, ask->chat_template, &text, &len, err);
    if (!status) {
        json_t *o = object(t, NULL, false);
        json_object_set_new(
            o, "_debug_info",
            json_pack("{s:o}", "rendered_template", ae_text_json((ae_span){ text, len })));
        ae_talk_reply(t, o);
    }
    aerie_free(text);
    return status;
}

/* The tokens that a reply is given back with. */
static aerie_status note_context(ae_talk *t, json_t *messages, const aerie_ask *ask,
                                 aerie_error *err)
{
    ollama_reply *r = t->state;
    char *text = NULL;
    size_t len = 0;
    aerie_status status =
        ae_ollama_render(t, messages, &r->chat.thinking, ask->chat_template, &text, &len, err);
    if (!status) status = ae_ollama_context(&r->context, t, NULL, text, len, err);
    aerie_free(text);
    return status;
}

/* Takes `messages` over. */
static aerie_status ask_messages(ae_talk *t, json_t *messages, const ae_ollama_options *o,
                                 aerie_error *err)
{
    const ollama_reply *r = t->state;
    const char *template_text = text_of(t->request, "template");
    aerie_ask ask = { .chat_template = *template_text ? template_text : t->stored->chat_template };
    aerie_status status = read_tools(t, err);
    if (!status) status = read_thinking(t, &ask, err);
    if (!status) status = prepare(t, &ask, o, err);
    aerie_asked asked = { 0 };
    bool only_shows = json_is_true(json_object_get(t->request, "_debug_render_only"));
    if (!status && only_shows)
        status = show_prompt(t, messages, &ask, err);
    else if (!status && goes_further(t))
        status = ask_further(t, messages, &ask, err);
    else if (!status)
        status = ae_chat_ask(t, messages, &ask, &asked, err);
    /* Where messages were dropped the prompt was not of these. */
    if (!status && !only_shows && !r->context && generates(t) && !asked.dropped_messages)
        status = note_context(t, messages, &ask, err);
    json_decref(messages);
    return status;
}

static aerie_status begin_chat(ae_talk *t, aerie_error *err)
{
    const json_t *messages = json_object_get(t->request, "messages");
    ae_ollama_options o;
    json_t *parameters;
    ae_best *best = &((ollama_reply *)t->state)->chat.best;
    if (json_array_size(messages) == 0) return AERIE_OK;
    aerie_status status = read_options(t, &o, &parameters, err);
    if (!status) status = ae_best_read(best, t->request, err);
    if (!status) status = ae_best_read(best, json_object_get(t->request, "options"), err);
    if (!status) status = ask_messages(t, all_messages(t, messages), &o, err);
    json_decref(parameters);
    return status;
}

static aerie_status begin_generate(ae_talk *t, aerie_error *err)
{
    const char *prompt = text_of(t->request, "prompt");
    bool raw = json_is_true(json_object_get(t->request, "raw"));
    bool inserts = *text_of(t->request, "suffix");
    ae_ollama_options o;
    json_t *parameters;
    if (!*prompt && !inserts) return AERIE_OK;
    if (inserts && !aerie_model_inserts(aerie_lease_model(t->lease)))
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "\"%s\" does not support insert", t->model);
    if (raw && (*text_of(t->request, "system") || *text_of(t->request, "template")))
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "raw mode does not support template, system, or context");
    aerie_status status = read_options(t, &o, &parameters, err);
    bool plain = raw || inserts ||
                 (!t->stored->chat_template && !*text_of(t->request, "template") &&
                  !aerie_model_chat_template(aerie_lease_model(t->lease)));
    if (!status)
        status =
            plain ? ask_text(t, prompt, &o, err) : ask_messages(t, prompt_messages(t), &o, err);
    json_decref(parameters);
    return status;
}

static void on_generate_event(ae_talk *t, size_t n, const aerie_event *e)
{
    const ollama_reply *r = t->state;
    if (e->kind == AERIE_EVENT_TEXT && r->context) ae_ollama_context_add(r->context, e);
    ae_chat_event(t, n, e);
}

/* ---- requests */

static aerie_status check_messages(const json_t *request, aerie_error *err)
{
    const json_t *messages = json_object_get(request, "messages"), *m;
    size_t i;
    if (messages && !json_is_array(messages) && !json_is_null(messages))
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "messages must be a list");
    json_array_foreach(messages, i, m)
    {
        if (!json_is_string(json_object_get(m, "role")))
            return aerie_fail(err, AERIE_BAD_ARGUMENT, "message %zu has no role", i);
        if (json_array_size(json_object_get(m, "images")))
            return aerie_fail(err, AERIE_BAD_ARGUMENT,
                              "message %zu has images, and this server's models read text alone",
                              i);
    }
    return AERIE_OK;
}

static bool asks_no_message(const json_t *request)
{
    return json_array_size(json_object_get(request, "messages")) == 0;
}

static bool asks_no_prompt(const json_t *request)
{
    return !*text_of(request, "prompt") && !*text_of(request, "suffix");
}

static aerie_status check_prompt(const json_t *request, aerie_error *err)
{
    if (json_array_size(json_object_get(request, "images")))
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "the request has images, and this server's models read text alone");
    return AERIE_OK;
}

static const ae_talk_form chat_form = { .face = AE_FACE_OLLAMA,
                                        .streams = true,
                                        .state_bytes = sizeof(ollama_reply),
                                        .check = check_messages,
                                        .asks_nothing = asks_no_message,
                                        .begin = begin_chat,
                                        .event = ae_chat_event,
                                        .finish = on_nothing,
                                        .free = free_reply };
static const ae_talk_form generate_form = { .face = AE_FACE_OLLAMA,
                                            .streams = true,
                                            .state_bytes = sizeof(ollama_reply),
                                            .check = check_prompt,
                                            .asks_nothing = asks_no_prompt,
                                            .begin = begin_generate,
                                            .event = on_generate_event,
                                            .finish = on_nothing,
                                            .free = free_reply };

static void answer_chat(ae_server *s, ae_exchange *x, ae_span rest)
{
    (void)rest;
    ae_talk_answer(s, x, &chat_form);
}

static void answer_generate(ae_server *s, ae_exchange *x, ae_span rest)
{
    (void)rest;
    ae_talk_answer(s, x, &generate_form);
}

const ae_route ae_routes_ollama_talk[] = {
    { "POST", "/api/chat", answer_chat, AE_FACE_OLLAMA, false, NULL },
    { "POST", "/api/generate", answer_generate, AE_FACE_OLLAMA, false, NULL },
};
const size_t ae_n_routes_ollama_talk = AE_COUNT(ae_routes_ollama_talk);
