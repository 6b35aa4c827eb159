/* tools.c -- the functions that a request offers, and the grammar of their calls. */
#include "serve/tools.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TOOLS = 256, LONGEST_NAME = 256 };

static const json_t *function_of(const json_t *tool)
{
    return json_object_get(tool, "function");
}

static const char *name_of(const json_t *tool)
{
    return json_string_value(json_object_get(function_of(tool), "name"));
}

static aerie_status check_tool(const ae_tools *before, const json_t *tool, size_t i,
                               aerie_error *err)
{
    const char *type = json_string_value(json_object_get(tool, "type")), *name = name_of(tool);
    const json_t *parameters = json_object_get(function_of(tool), "parameters");
    if (!json_is_object(tool) || (type && strcmp(type, "function") != 0))
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "tool %zu is not of the type \"function\", the only one there is", i);
    if (!name || !*name || strlen(name) > LONGEST_NAME)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "tool %zu wants a function with a name of at most %d bytes", i,
                          LONGEST_NAME);
    if (parameters && !json_is_null(parameters) && !json_is_object(parameters))
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "the parameters of the tool '%s' must be a JSON schema", name);
    if (ae_tools_has(before, name))
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "two tools are called '%s'", name);
    return AERIE_OK;
}

static aerie_status read_list(ae_tools *out, const json_t *tools, aerie_error *err)
{
    size_t i;
    json_t *tool;
    aerie_status status = AERIE_OK;
    if (!tools || json_is_null(tools)) return AERIE_OK;
    if (!json_is_array(tools) || json_array_size(tools) > MOST_TOOLS)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "tools must be a list of at most %d",
                          MOST_TOOLS);
    if (json_array_size(tools) == 0) return AERIE_OK;
    out->list = json_array();
    json_array_foreach(tools, i, tool)
    {
        if (!status) status = check_tool(out, tool, i, err);
        json_array_append(out->list, tool);
    }
    return status;
}

/* A choice that names a function. */
static aerie_status read_named(ae_tools *out, const json_t *choice, aerie_error *err)
{
    const char *name = name_of(choice);
    if (!name)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "tool_choice must be \"none\", \"auto\", \"required\" or "
                          "{\"type\": \"function\", \"function\": {\"name\": ...}}");
    if (!ae_tools_has(out, name))
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "tool_choice names '%s', which is no tool",
                          name);
    out->only = name;
    out->must = true;
    return AERIE_OK;
}

static aerie_status read_choice(ae_tools *out, const json_t *choice, aerie_error *err)
{
    const char *word = json_string_value(choice);
    if (!choice || json_is_null(choice) || (word && !strcmp(word, "auto"))) return AERIE_OK;
    if (word && !strcmp(word, "none")) {
        ae_tools_free(out);
        return AERIE_OK;
    }
    if (!word || strcmp(word, "required") != 0) return read_named(out, choice, err);
    if (!out->list)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "tool_choice is \"required\", and there are no tools");
    out->must = true;
    return AERIE_OK;
}

aerie_status ae_tools_read(ae_tools *out, const json_t *request, aerie_error *err)
{
    *out = (ae_tools){ 0 };
    aerie_status status = read_list(out, json_object_get(request, "tools"), err);
    if (!status) status = read_choice(out, json_object_get(request, "tool_choice"), err);
    out->one = json_is_false(json_object_get(request, "parallel_tool_calls"));
    if (status) ae_tools_free(out);
    return status;
}

void ae_tools_free(ae_tools *tools)
{
    json_decref(tools->list);
    *tools = (ae_tools){ 0 };
}

bool ae_tools_has(const ae_tools *tools, const char *name)
{
    size_t i;
    json_t *tool;
    json_array_foreach(tools->list, i, tool)
    {
        const char *other = name_of(tool);
        if (other && !strcmp(other, name)) return true;
    }
    return false;
}

/* ---- the grammar of calls */

/* Parameters are schemas of their own, whose references begin at themselves; in the schema of
 * calls they lie under #/$defs/<place>. Requests are at most 128 levels deep. */
static void move_references(json_t *schema, const char *place)
{
    const char *key, *ref = json_string_value(json_object_get(schema, "$ref"));
    size_t i;
    json_t *v;
    if (ref && ref[0] == '#')
        json_object_set_new(schema, "$ref", json_sprintf("#/$defs/%s%s", place, ref + 1));
    json_object_foreach(schema, key, v) move_references(v, place);
    json_array_foreach(schema, i, v) move_references(v, place);
}

/* {"name": the tool's, "arguments": its parameters}; the parameters go to `defs`. */
static json_t *schema_of_call(json_t *defs, const json_t *tool)
{
    char place[32], ref[48];
    const json_t *parameters = json_object_get(function_of(tool), "parameters");
    json_t *own = json_object_size(parameters) ? json_deep_copy(parameters)
                                               : json_pack("{s:s, s:{}, s:b}", "type", "object",
                                                           "properties", "additionalProperties", 0);
    snprintf(place, sizeof place, "%zu", json_object_size(defs));
    snprintf(ref, sizeof ref, "#/$defs/%s", place);
    /* Arguments are an object, whatever else is left unsaid of them. */
    if (!json_object_get(own, "type") && !json_object_get(own, "$ref"))
        json_object_set_new(own, "type", json_string("object"));
    move_references(own, place);
    json_object_set_new(defs, place, own);
    return json_pack("{s:s, s:{s:{s:s}, s:{s:s}}, s:[s,s], s:b}", "type", "object", "properties",
                     "name", "const", name_of(tool), "arguments", "$ref", ref, "required", "name",
                     "arguments", "additionalProperties", 0);
}

aerie_status ae_tools_grammar(aerie_grammar **out, const ae_tools *tools, aerie_error *err)
{
    json_t *defs = json_object(), *calls = json_array(), *tool;
    size_t i;
    *out = NULL;
    json_array_foreach(tools->list, i, tool)
    {
        if (tools->must && (!tools->only || !strcmp(tools->only, name_of(tool))))
            json_array_append_new(calls, schema_of_call(defs, tool));
    }
    aerie_status status = AERIE_OK;
    if (json_array_size(calls)) {
        json_t *schema = json_pack("{s:O, s:O}", "anyOf", calls, "$defs", defs);
        char *text = schema ? json_dumps(schema, JSON_COMPACT) : NULL;
        status = text ? aerie_grammar_schema(out, text, err)
                      : aerie_fail(err, AERIE_NO_MEMORY, "no memory for the tools' schema");
        free(text);
        json_decref(schema);
    }
    json_decref(calls);
    json_decref(defs);
    return status;
}
