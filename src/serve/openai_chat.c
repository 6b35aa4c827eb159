/* openai_chat.c -- conversations that OpenAI's requests hold, and what becomes of them. */
#include "serve/openai_chat.h"

#include <stdlib.h>
#include <string.h>

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
    aerie_error ignored = { 0 };
    json_array_foreach(calls, i, call)
    {
        json_t *function = json_object_get(call, "function");
        const char *text = json_string_value(json_object_get(function, "arguments"));
        json_t *arguments = text ? ae_json_of(ae_span_text(text), &ignored) : NULL;
        if (arguments) json_object_set_new(function, "arguments", arguments);
    }
}

json_t *ae_openai_messages(const ae_talk *t, const json_t *request, aerie_error *err)
{
    const json_t *own = json_object_get(request, "messages");
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

/* Where a call must be made the reply is held to it, whatever else the request says of its form. */
static aerie_status hold_to_tools(ae_openai_options *o, const ae_tools *tools, aerie_error *err)
{
    aerie_grammar *grammar;
    aerie_status status = ae_tools_grammar(&grammar, tools, err);
    if (!grammar) return status;
    aerie_grammar_free(o->grammar);
    o->grammar = grammar;
    return AERIE_OK;
}

static aerie_status read_form(ae_talk *t, const ae_chat_voice *voice, aerie_ask *ask,
                              aerie_error *err)
{
    ae_openai_chat *c = t->state;
    const json_t *top = json_object_get(c->request, "top_logprobs");
    aerie_status status = ae_openai_read(&c->options, c->request, t->stored, err);
    if (!status) status = ae_chances_read(ask, c->request, err);
    if (!status && json_integer_value(top) > 0 && !ask->logprobs)
        status = aerie_fail(err, AERIE_BAD_ARGUMENT, "top_logprobs wants logprobs to be true");
    if (!status) status = ae_chat_open(t, voice, c->options.n_replies, ask->logprobs, err);
    if (!status) status = ae_tools_read(&c->chat.tools, c->request, err);
    if (!status) status = ae_thinking_of_openai(&c->chat.thinking, c->request, err);
    return status ? status : hold_to_tools(&c->options, &c->chat.tools, err);
}

aerie_status ae_openai_ask(ae_talk *t, const ae_chat_voice *voice, const char *id_prefix,
                           aerie_ask *ask, aerie_asked *asked, aerie_error *err)
{
    ae_openai_chat *c = t->state;
    ae_openai_id(c->id, id_prefix, t->id);
    c->created = ae_clock_unix_seconds();
    aerie_status status = read_form(t, voice, ask, err);
    json_t *messages = status ? NULL : ae_openai_messages(t, c->request, err);
    if (!messages) return status ? status : AERIE_BAD_ARGUMENT;
    ask->chat_template = t->stored->chat_template;
    ae_openai_fill(ask, &c->options);
    status = ae_chat_ask(t, messages, ask, asked, err);
    json_decref(messages);
    return status;
}

void ae_openai_chat_free(void *state)
{
    ae_openai_chat *c = state;
    ae_chat_free(&c->chat);
    ae_openai_free(&c->options);
    json_decref(c->request);
}

json_t *ae_openai_arguments(const json_t *call)
{
    char *text = json_dumps(json_object_get(call, "arguments"), JSON_COMPACT);
    json_t *json = json_string(text ? text : "{}");
    free(text);
    return json;
}

json_t *ae_openai_call(const json_t *call)
{
    return json_pack("{s:O, s:s, s:{s:O, s:o}}", "id", json_object_get(call, "id"), "type",
                     "function", "function", "name", json_object_get(call, "name"), "arguments",
                     ae_openai_arguments(call));
}
