/* messages.c -- conversations of every spelling into {"role", "content"} messages. */
#include "data/record.h"

#include <string.h>

static aerie_status no_memory(aerie_error *err)
{
    return aerie_fail(err, AERIE_NO_MEMORY, "no room for a conversation");
}

json_t *ae_message_new(const char *role, ae_span content)
{
    return json_pack("{s:s, s:o}", "role", role, "content",
                     json_stringn_nocheck(content.len ? content.data : "", content.len));
}

aerie_status ae_messages_add(json_t *messages, json_t *message, bool in_front, aerie_error *err)
{
    if (!message) return no_memory(err);
    int failed = in_front ? json_array_insert_new(messages, 0, message)
                          : json_array_append_new(messages, message);
    return failed ? no_memory(err) : AERIE_OK;
}

/* ShareGPT's words for who speaks; roles of ours stand for themselves. */
static const char *role_of(const char *name)
{
    static const char *const names[][2] = {
        { "human", "user" },          { "gpt", "assistant" },
        { "chatgpt", "assistant" },   { "bot", "assistant" },
        { "model", "assistant" },     { "function_call", "assistant" },
        { "observation", "tool" },    { "function", "tool" },
        { "system", "system" },       { "user", "user" },
        { "assistant", "assistant" }, { "tool", "tool" },
        { "developer", "developer" },
    };
    for (size_t i = 0; i < AE_COUNT(names); i++)
        if (strcmp(names[i][0], name) == 0) return names[i][1];
    return NULL;
}

/* A message may lack its text when it calls tools, or hold a list of parts. */
static bool has_content(json_t *message, json_t *content)
{
    if (json_is_string(content) || json_is_array(content)) return true;
    return json_is_array(json_object_get(message, "tool_calls"));
}

static aerie_status read_message(json_t **out, const ae_row_source *src, json_t *message,
                                 const char *column, size_t i, aerie_error *err)
{
    bool share = json_object_get(message, "from") != NULL;
    const char *name = json_string_value(json_object_get(message, share ? "from" : "role"));
    json_t *content = json_object_get(message, share ? "value" : "content");
    json_t *weight = json_object_get(message, "weight");
    const char *role = name ? role_of(name) : NULL;
    *out = NULL;
    if (!name)
        return ae_row_fail(src, err, "message %zu of '%s' has no 'role' (or 'from')", i + 1,
                           column);
    if (!role)
        return ae_row_fail(
            src, err,
            "message %zu of '%s' is by '%.40s'; a role is system, user, assistant or "
            "tool (or human, gpt)",
            i + 1, column, name);
    if (!has_content(message, content))
        return ae_row_fail(src, err,
                           "message %zu of '%s' has no text in '%s'; remove or mend this row",
                           i + 1, column, share ? "value" : "content");
    *out = share ? json_object() : json_copy(message);
    if (!*out || json_object_set_new(*out, "role", json_string(role)) ||
        (share && json_object_set(*out, "content", content)) ||
        (share && weight && json_object_set(*out, "weight", weight))) {
        json_decref(*out);
        *out = NULL;
        return no_memory(err);
    }
    return AERIE_OK;
}

aerie_status ae_messages_read(json_t **out, const ae_row_source *src, json_t *list,
                              const char *column, aerie_error *err)
{
    aerie_status status = AERIE_OK;
    *out = NULL;
    if (!json_is_array(list) || json_array_size(list) == 0)
        return ae_row_fail(src, err, "the column '%s' must hold a list of messages, and has none",
                           column);
    json_t *messages = json_array(), *message;
    if (!messages) return no_memory(err);
    for (size_t i = 0; i < json_array_size(list) && !status; i++) {
        status = read_message(&message, src, json_array_get(list, i), column, i, err);
        if (!status) status = ae_messages_add(messages, message, false, err);
    }
    if (status)
        json_decref(messages);
    else
        *out = messages;
    return status;
}

typedef struct {
    const char *marker, *role;
} turn_marker;

static const turn_marker markers[] = { { "\n\nHuman:", "user" },
                                       { "\n\nAssistant:", "assistant" } };

static const turn_marker *marker_at(ae_span text, size_t at)
{
    for (size_t i = 0; i < AE_COUNT(markers); i++) {
        size_t n = strlen(markers[i].marker);
        if (text.len - at >= n && memcmp(text.data + at, markers[i].marker, n) == 0)
            return &markers[i];
    }
    return NULL;
}

static ae_span trimmed(ae_span s)
{
    while (s.len && strchr(" \t\r\n", s.data[0])) s.data++, s.len--;
    while (s.len && strchr(" \t\r\n", s.data[s.len - 1])) s.len--;
    return s;
}

aerie_status ae_messages_from_turns(json_t **out, const ae_row_source *src, ae_span text,
                                    const char *column, aerie_error *err)
{
    aerie_status status = AERIE_OK;
    size_t at = 0;
    *out = NULL;
    if (!marker_at(text, 0))
        return ae_row_fail(
            src, err, "'%s' must begin with an empty line and 'Human:' or 'Assistant:'", column);
    json_t *messages = json_array();
    if (!messages) return no_memory(err);
    while (at < text.len && !status) {
        const turn_marker *who = marker_at(text, at);
        size_t begin = at + strlen(who->marker), end = begin;
        while (end < text.len && !marker_at(text, end)) end++;
        ae_span content = trimmed((ae_span){ text.data + begin, end - begin });
        status = ae_messages_add(messages, ae_message_new(who->role, content), false, err);
        at = end;
    }
    if (status)
        json_decref(messages);
    else
        *out = messages;
    return status;
}

/* Tools may come as a text that holds JSON. */
static aerie_status read_tools(ae_record *out, const ae_row_source *src, aerie_error *err)
{
    json_t *tools = ae_row_get(src, "tools");
    if (json_is_string(tools)) {
        const char *text = json_string_value(tools);
        if (text[strspn(text, " \t\r\n")] == '\0') return AERIE_OK;
        out->tools = json_loads(text, 0, NULL);
        if (out->tools) return AERIE_OK;
        return ae_row_fail(src, err, "the column 'tools' holds a text that is no JSON");
    }
    if (json_is_array(tools) && json_array_size(tools)) out->tools = json_incref(tools);
    return AERIE_OK;
}

aerie_status ae_messages_add_columns(ae_record *out, const ae_row_source *src, json_t *messages,
                                     aerie_error *err)
{
    json_t *system = ae_row_get(src, "system");
    const char *first = json_string_value(json_object_get(json_array_get(messages, 0), "role"));
    aerie_status status = read_tools(out, src, err);
    bool has_system = first && strcmp(first, "system") == 0;
    if (status || has_system || !json_is_string(system) || json_string_length(system) == 0)
        return status;
    ae_span text = { json_string_value(system), json_string_length(system) };
    return ae_messages_add(messages, ae_message_new("system", text), true, err);
}
