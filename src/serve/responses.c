/* responses.c -- requests of /v1/responses as chats. */
#include "serve/responses.h"

#include <string.h>

static const char *text_of(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text ? text : "";
}

/* A call goes to the message of the assistant before it, as chats have it. */
static void add_call(json_t *messages, const json_t *item)
{
    json_t *last = json_array_get(messages, json_array_size(messages) - 1);
    if (strcmp(text_of(last, "role"), "assistant") != 0) {
        last = json_pack("{s:s, s:s}", "role", "assistant", "content", "");
        json_array_append_new(messages, last);
    }
    if (!json_object_get(last, "tool_calls")) json_object_set_new(last, "tool_calls", json_array());
    json_array_append_new(json_object_get(last, "tool_calls"),
                          json_pack("{s:s, s:s, s:{s:s, s:s}}", "id", text_of(item, "call_id"),
                                    "type", "function", "function", "name", text_of(item, "name"),
                                    "arguments", text_of(item, "arguments")));
}

static void add_result(json_t *messages, const json_t *item)
{
    json_t *output = json_object_get(item, "output");
    json_array_append_new(messages, json_pack("{s:s, s:s, s:o}", "role", "tool", "tool_call_id",
                                              text_of(item, "call_id"), "content",
                                              output ? json_deep_copy(output) : json_string("")));
}

static aerie_status add_item(json_t *messages, const json_t *item, size_t i, aerie_error *err)
{
    const char *type = text_of(item, "type");
    json_t *content = json_object_get(item, "content");
    if (!*type || !strcmp(type, "message")) {
        if (!content || !*text_of(item, "role"))
            return aerie_fail(err, AERIE_BAD_ARGUMENT, "input %zu wants a role and content", i);
        json_array_append_new(messages, json_pack("{s:s, s:o}", "role", text_of(item, "role"),
                                                  "content", json_deep_copy(content)));
    } else if (!strcmp(type, "function_call"))
        add_call(messages, item);
    else if (!strcmp(type, "function_call_output"))
        add_result(messages, item);
    else if (strcmp(type, "reasoning") != 0)
        return aerie_fail(err, AERIE_UNSUPPORTED,
                          "input %zu is of the type '%.40s'; messages, function_call and "
                          "function_call_output are known",
                          i, type);
    return AERIE_OK;
}

static aerie_status add_messages(json_t *chat, const json_t *request, aerie_error *err)
{
    const json_t *input = json_object_get(request, "input");
    const char *instructions = text_of(request, "instructions");
    json_t *messages = json_array(), *item;
    aerie_status status = AERIE_OK;
    size_t i;
    json_object_set_new(chat, "messages", messages);
    if (*instructions)
        json_array_append_new(messages,
                              json_pack("{s:s, s:s}", "role", "system", "content", instructions));
    if (json_is_string(input))
        json_array_append_new(
            messages, json_pack("{s:s, s:s}", "role", "user", "content", json_string_value(input)));
    else if (json_array_size(input) == 0)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "input must be a text or a list of items");
    json_array_foreach(input, i, item)
    {
        if (!status) status = add_item(messages, item, i, err);
    }
    return status;
}

/* {type, name, parameters...} as chats have it: {type, function: {name, parameters...}}. */
static json_t *as_chat_tool(json_t *tool)
{
    const json_t *type = json_object_get(tool, "type");
    if (!json_is_object(tool) || json_object_get(tool, "function") || !json_is_string(type) ||
        strcmp(json_string_value(type), "function") != 0)
        return json_incref(tool);
    return json_pack("{s:s, s:O}", "type", "function", "function", tool);
}

static void add_tools(json_t *chat, const json_t *request)
{
    json_t *tools = json_object_get(request, "tools"),
           *choice = json_object_get(request, "tool_choice"), *tool;
    size_t i;
    if (json_array_size(tools)) {
        json_t *list = json_array();
        json_array_foreach(tools, i, tool) json_array_append_new(list, as_chat_tool(tool));
        json_object_set_new(chat, "tools", list);
    } else if (tools && !json_is_null(tools))
        json_object_set(chat, "tools", tools);
    if (choice) json_object_set_new(chat, "tool_choice", as_chat_tool(choice));
}

static bool wants_chances(const json_t *request)
{
    const json_t *one;
    size_t i;
    bool wants = json_integer_value(json_object_get(request, "top_logprobs")) > 0;
    json_array_foreach(json_object_get(request, "include"), i, one)
    {
        const char *what = json_string_value(one);
        if (what && !strcmp(what, "message.output_text.logprobs")) wants = true;
    }
    return wants;
}

aerie_status ae_responses_as_chat(json_t **out, const json_t *request, aerie_error *err)
{
    static const struct {
        const char *from, *to;
    } same[] = {
        { "max_output_tokens", "max_tokens" },
        { "temperature", "temperature" },
        { "top_p", "top_p" },
        { "top_k", "top_k" },
        { "min_p", "min_p" },
        { "typical_p", "typical_p" },
        { "seed", "seed" },
        { "stop", "stop" },
        { "grammar", "grammar" },
        { "logit_bias", "logit_bias" },
        { "presence_penalty", "presence_penalty" },
        { "frequency_penalty", "frequency_penalty" },
        { "parallel_tool_calls", "parallel_tool_calls" },
        { "top_logprobs", "top_logprobs" },
        { "chat_template_kwargs", "chat_template_kwargs" },
    };
    const json_t *before = json_object_get(request, "previous_response_id");
    json_t *format = json_object_get(json_object_get(request, "text"), "format"), *v;
    *out = NULL;
    if (before && !json_is_null(before))
        return aerie_fail(err, AERIE_UNSUPPORTED,
                          "responses are not kept: send the whole conversation as input, without "
                          "previous_response_id");
    json_t *chat = json_object();
    for (size_t i = 0; i < AE_COUNT(same); i++)
        if ((v = json_object_get(request, same[i].from))) json_object_set(chat, same[i].to, v);
    if (format) json_object_set(chat, "response_format", format);
    if ((v = json_object_get(json_object_get(request, "reasoning"), "effort")))
        json_object_set(chat, "reasoning_effort", v);
    if (wants_chances(request)) json_object_set_new(chat, "logprobs", json_true());
    add_tools(chat, request);
    aerie_status status = add_messages(chat, request, err);
    if (!status)
        *out = chat;
    else
        json_decref(chat);
    return status;
}
