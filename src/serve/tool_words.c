/* tool_words.c -- tools, calls and results as plain messages. */
#include "serve/tool_words.h"

#include <stdlib.h>
#include <string.h>

static const char *text_of(const json_t *message, const char *key)
{
    const char *text = json_string_value(json_object_get(message, key));
    return text ? text : "";
}

static bool is_role(const json_t *message, const char *role)
{
    return !strcmp(text_of(message, "role"), role);
}

static json_t *message_of(const char *role, const ae_bytes *text)
{
    return json_pack("{s:s, s:o}", "role", role, "content", ae_text_json(ae_span_of(text)));
}

static void add_json(ae_bytes *out, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    ae_bytes_add_text(out, text ? text : "{}");
    free(text);
}

/* ---- what there is */

static void add_tools(ae_bytes *out, const ae_tools *tools)
{
    size_t i;
    json_t *tool;
    ae_bytes_add_text(out, "You can call functions. They are:\n");
    json_array_foreach(tools->list, i, tool)
    {
        add_json(out, json_object_get(tool, "function"));
        ae_bytes_add_char(out, '\n');
    }
    ae_bytes_add_text(out, "To call one, reply with nothing but\n<tool_call>\n{\"name\": \"...\", "
                           "\"arguments\": {...}}\n</tool_call>\n"
                           "Its result follows. Where none is needed, reply as usual.");
}

/* `words` before the n-th message's own text, or after it. */
static void join(json_t *list, size_t n, const ae_bytes *words, bool before)
{
    json_t *message = json_copy(json_array_get(list, n));
    ae_bytes text = { 0 };
    if (before) ae_bytes_printf(&text, "%s\n\n", words->data);
    ae_bytes_add_text(&text, text_of(message, "content"));
    if (!before) ae_bytes_printf(&text, "\n\n%s", words->data);
    json_object_set_new(message, "content", ae_text_json(ae_span_of(&text)));
    json_array_set_new(list, n, message);
    ae_bytes_free(&text);
}

static void tell(json_t *list, const ae_tools *tools, bool has_system)
{
    ae_bytes words = { 0 };
    size_t first = 0, n = json_array_size(list);
    add_tools(&words, tools);
    if (is_role(json_array_get(list, 0), "system"))
        join(list, 0, &words, false);
    else if (has_system)
        json_array_insert_new(list, 0, message_of("system", &words));
    else {
        while (first < n && !is_role(json_array_get(list, first), "user")) first++;
        if (first < n) join(list, first, &words, true);
    }
    ae_bytes_free(&words);
}

/* ---- what was called, and what came of it */

static json_t *called(const json_t *message)
{
    ae_bytes text = { 0 };
    size_t i;
    json_t *call;
    ae_bytes_add_text(&text, text_of(message, "content"));
    json_array_foreach(json_object_get(message, "tool_calls"), i, call)
    {
        const json_t *function = json_object_get(call, "function");
        ae_bytes_printf(&text, "%s<tool_call>\n{\"name\": ", text.len ? "\n" : "");
        add_json(&text, json_object_get(function, "name"));
        ae_bytes_add_text(&text, ", \"arguments\": ");
        add_json(&text, json_object_get(function, "arguments"));
        ae_bytes_add_text(&text, "}\n</tool_call>");
    }
    json_t *plain = message_of("assistant", &text);
    ae_bytes_free(&text);
    return plain;
}

/* The results from the n-th message on, as one; *n is then the first that is none. */
static json_t *results(const json_t *messages, size_t *n)
{
    ae_bytes text = { 0 };
    for (; is_role(json_array_get(messages, *n), "tool"); ++*n)
        ae_bytes_printf(&text, "%s<tool_response>\n%s\n</tool_response>", text.len ? "\n" : "",
                        text_of(json_array_get(messages, *n), "content"));
    json_t *message = message_of("user", &text);
    ae_bytes_free(&text);
    return message;
}

json_t *ae_tool_words(json_t *messages, const ae_tools *tools, const aerie_chat_traits *traits)
{
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(messages);) {
        json_t *m = json_array_get(messages, i);
        if (!traits->tools && is_role(m, "tool")) {
            json_array_append_new(list, results(messages, &i));
            continue;
        }
        bool calls = json_array_size(json_object_get(m, "tool_calls")) > 0;
        json_array_append_new(list, !traits->tools && calls ? called(m) : json_incref(m));
        i++;
    }
    if (!traits->tools && tools->list) tell(list, tools, traits->system);
    return list;
}
