/* messages.c -- requests of Anthropic's /v1/messages as chats. */
#include "serve/messages.h"

#include <stdlib.h>
#include <string.h>

static const char *text_of(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text ? text : "";
}

static bool is(const json_t *block, const char *type)
{
    return !strcmp(text_of(block, "type"), type);
}

/* Texts of `content`, a text or a list of blocks; NULL: there are others. */
static json_t *texts_of(const json_t *content)
{
    ae_bytes text = { 0 };
    const json_t *block;
    size_t i;
    bool ok = !content || json_is_string(content) || json_is_array(content);
    if (json_is_string(content)) ae_bytes_add_text(&text, json_string_value(content));
    json_array_foreach(content, i, block)
    {
        ok = ok && is(block, "text") && json_object_get(block, "text");
        ae_bytes_add_text(&text, text_of(block, "text"));
    }
    json_t *json = ok ? json_stringn(text.len ? text.data : "", text.len) : NULL;
    ae_bytes_free(&text);
    return json;
}

static aerie_status no_text(size_t i, aerie_error *err)
{
    return aerie_fail(err, AERIE_BAD_ARGUMENT,
                      "message %zu has a block that is no text, and this server's models read text "
                      "alone",
                      i);
}

static aerie_status add_result(json_t *messages, const json_t *block, size_t i, aerie_error *err)
{
    json_t *text = texts_of(json_object_get(block, "content"));
    if (!text) return no_text(i, err);
    json_array_append_new(messages, json_pack("{s:s, s:s, s:o}", "role", "tool", "tool_call_id",
                                              text_of(block, "tool_use_id"), "content", text));
    return AERIE_OK;
}

static json_t *call_of(const json_t *block)
{
    const json_t *input = json_object_get(block, "input");
    char *arguments = input ? json_dumps(input, JSON_COMPACT) : NULL;
    json_t *call = json_pack("{s:s, s:s, s:{s:s, s:s}}", "id", text_of(block, "id"), "type",
                             "function", "function", "name", text_of(block, "name"), "arguments",
                             arguments ? arguments : "{}");
    free(arguments);
    return call;
}

/* Results of tools are messages of their own, before the text that came with them. */
static aerie_status add_blocks(json_t *messages, const json_t *message, size_t i, aerie_error *err)
{
    const json_t *content = json_object_get(message, "content"), *block;
    json_t *calls = json_array();
    ae_bytes text = { 0 };
    size_t n, n_before = json_array_size(messages);
    aerie_status status = AERIE_OK;
    json_array_foreach(content, n, block)
    {
        if (status) break;
        if (is(block, "text"))
            ae_bytes_add_text(&text, text_of(block, "text"));
        else if (is(block, "tool_use"))
            json_array_append_new(calls, call_of(block));
        else if (is(block, "tool_result"))
            status = add_result(messages, block, i, err);
        else if (!is(block, "thinking") && !is(block, "redacted_thinking"))
            status = no_text(i, err);
    }
    if (text.len || json_array_size(calls) || json_array_size(messages) == n_before) {
        json_t *one = json_pack("{s:s, s:o}", "role", text_of(message, "role"), "content",
                                json_stringn(text.len ? text.data : "", text.len));
        if (json_array_size(calls)) json_object_set(one, "tool_calls", calls);
        json_array_append_new(messages, one);
    }
    json_decref(calls);
    ae_bytes_free(&text);
    return status;
}

static aerie_status add_messages(json_t *chat, const json_t *request, aerie_error *err)
{
    const json_t *own = json_object_get(request, "messages"),
                 *system = json_object_get(request, "system"), *m;
    json_t *messages = json_array(), *text = texts_of(system);
    aerie_status status = AERIE_OK;
    size_t i;
    json_object_set_new(chat, "messages", messages);
    if (!text) return aerie_fail(err, AERIE_BAD_ARGUMENT, "system must be a text");
    if (system)
        json_array_append_new(messages, json_pack("{s:s, s:O}", "role", "system", "content", text));
    json_decref(text);
    if (json_array_size(own) == 0)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "messages must be a list with a message");
    json_array_foreach(own, i, m)
    {
        const json_t *content = json_object_get(m, "content");
        const char *role = text_of(m, "role");
        if (status) break;
        if (strcmp(role, "user") != 0 && strcmp(role, "assistant") != 0)
            status = aerie_fail(err, AERIE_BAD_ARGUMENT,
                                "message %zu: the role must be user or assistant", i);
        else if (json_is_string(content))
            json_array_append_new(messages, json_pack("{s:s, s:s}", "role", role, "content",
                                                      json_string_value(content)));
        else if (json_is_array(content))
            status = add_blocks(messages, m, i, err);
        else
            status = aerie_fail(err, AERIE_BAD_ARGUMENT, "message %zu has no content", i);
    }
    return status;
}

static void add_tools(json_t *chat, const json_t *request)
{
    const json_t *tools = json_object_get(request, "tools"), *tool;
    json_t *list = json_array();
    size_t i;
    json_array_foreach(tools, i, tool)
    {
        json_t *function = json_pack("{s:s, s:s}", "name", text_of(tool, "name"), "description",
                                     text_of(tool, "description")),
               *schema = json_object_get(tool, "input_schema");
        const char *type = text_of(tool, "type");
        if (schema) json_object_set(function, "parameters", schema);
        json_array_append_new(list, json_pack("{s:s, s:o}", "type",
                                              *type && strcmp(type, "custom") ? type : "function",
                                              "function", function));
    }
    if (json_array_size(list)) json_object_set(chat, "tools", list);
    json_decref(list);
}

static void add_choice(json_t *chat, const json_t *choice)
{
    json_t *to = NULL;
    if (!choice || json_is_null(choice)) return;
    if (is(choice, "tool"))
        to = json_pack("{s:s, s:{s:s}}", "type", "function", "function", "name",
                       text_of(choice, "name"));
    else
        to = json_string(is(choice, "any") ? "required" : text_of(choice, "type"));
    json_object_set_new(chat, "tool_choice", to);
    if (json_is_true(json_object_get(choice, "disable_parallel_tool_use")))
        json_object_set_new(chat, "parallel_tool_calls", json_false());
}

static void add_thinking(json_t *chat, const json_t *thinking)
{
    bool off = is(thinking, "disabled");
    if (!off && !is(thinking, "enabled") && !is(thinking, "adaptive")) return;
    json_object_set_new(chat, "chat_template_kwargs", json_pack("{s:b}", "enable_thinking", !off));
}

aerie_status ae_messages_as_chat(json_t **out, bool *goes_on, const json_t *request, bool counts,
                                 aerie_error *err)
{
    static const char *const same[][2] = {
        { "max_tokens", "max_tokens" }, { "temperature", "temperature" }, { "top_p", "top_p" },
        { "top_k", "top_k" },           { "stop_sequences", "stop" },     { "seed", "seed" },
    };
    json_t *chat = json_object(), *v;
    *out = NULL;
    for (size_t i = 0; i < AE_COUNT(same); i++)
        if ((v = json_object_get(request, same[i][0]))) json_object_set(chat, same[i][1], v);
    add_tools(chat, request);
    add_choice(chat, json_object_get(request, "tool_choice"));
    add_thinking(chat, json_object_get(request, "thinking"));
    aerie_status status = AERIE_OK;
    if (!counts && json_integer_value(json_object_get(request, "max_tokens")) <= 0)
        status = aerie_fail(err, AERIE_BAD_ARGUMENT, "max_tokens must be a whole number above 0");
    if (!status) status = add_messages(chat, request, err);
    const json_t *messages = json_object_get(chat, "messages"),
                 *last = json_array_get(messages, json_array_size(messages) - 1);
    *goes_on = !status && !strcmp(text_of(last, "role"), "assistant") &&
               !json_object_get(last, "tool_calls");
    if (!status)
        *out = chat;
    else
        json_decref(chat);
    return status;
}
