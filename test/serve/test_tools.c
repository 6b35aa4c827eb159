/* test_tools.c -- tools of requests, and calls in what models write. */
#include "scratch.h"
#include "serve/tool_reader.h"

#include <stdlib.h>
#include <string.h>

static const char request_text[] =
    "{\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":"
    "\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}},\"required\":[\"a\"]}}},"
    "{\"function\":{\"name\":\"g\"}}]}";

/* What a reply is, come in pieces of `step` bytes: its text, and "name(arguments)" of each call. */
static void read_reply(ae_bytes *text, ae_bytes *said, const ae_tools *tools, const char *reply,
                       size_t step)
{
    ae_tool_reader r = { .tools = tools };
    json_t *calls = json_array(), *one;
    size_t i, n = strlen(reply);
    for (size_t at = 0; at < n; at += step)
        ae_tool_reader_add(&r, (ae_span){ reply + at, n - at < step ? n - at : step }, text, calls);
    ae_tool_reader_end(&r, text);
    ae_tool_reader_free(&r);
    json_array_foreach(calls, i, one)
    {
        char *arguments = json_dumps(json_object_get(one, "arguments"), JSON_COMPACT);
        const char *id = json_string_value(json_object_get(one, "id"));
        assert_int_equal(strlen(id), 13);
        assert_true(!strncmp(id, "call_", 5));
        ae_bytes_printf(said, "%s%s;", json_string_value(json_object_get(one, "name")), arguments);
        free(arguments);
    }
    json_decref(calls);
}

static void calls_are_told_from_text(void **state)
{
    static const struct {
        const char *reply, *text, *calls;
    } cases[] = {
        { "Hello <b>there</b> [T] {x}", "Hello <b>there</b> [T] {x}", "" },
        /* Hermes, Qwen: text before, several calls, and text after. */
        { "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>", "",
          "f{\"a\":1};" },
        { "Well.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"}<\\\"\"}}\n</tool_call>"
          "\n<tool_call>\n{\"name\": \"g\", \"arguments\": {}}\n</tool_call>",
          "Well.", "f{\"a\":\"}<\\\"\"};g{};" },
        { "<tool_call>{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":2}\"}</tool_call> Done.", "Done.",
          "f{\"a\":2};" },
        { "<tool_call>{\"name\":\"g\"}", "", "g{};" },
        { "<tool_call> nothing", "<tool_call> nothing", "" },
        { "<tool_call>{\"name\":", "<tool_call>{\"name\":", "" },
        { "<tool_call>{\"name\":1}</tool_call>", "<tool_call>{\"name\":1}</tool_call>", "" },
        /* Llama 3.1. */
        { "{\"name\": \"f\", \"parameters\": {\"a\": 1}}", "", "f{\"a\":1};" },
        { "{\"type\": \"function\", \"name\": \"f\", \"parameters\": {\"a\": 1}}; {\"name\": "
          "\"g\", "
          "\"parameters\": {}}",
          "", "f{\"a\":1};g{};" },
        { "<|python_tag|>{\"name\": \"f\", \"parameters\": {\"a\": 1}}", "", "f{\"a\":1};" },
        { "<|python_tag|>print(1)", "<|python_tag|>print(1)", "" },
        /* Mistral. */
        { "[TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {\"a\": 1}}, {\"name\": \"g\", "
          "\"arguments\": {}}]",
          "", "f{\"a\":1};g{};" },
        { " [{\"name\": \"g\", \"arguments\": {}}]", "", "g{};" },
        { "[TOOL", "[TOOL", "" },
        { "[TOOL_CALLS]f[ARGS]{\"a\": 1}", "", "f{\"a\":1};" },
        { "Well.[TOOL_CALLS]f[CALL_ID]x9[ARGS]{\"a\": 1}[TOOL_CALLS]g[ARGS]{}", "Well.",
          "f{\"a\":1};g{};" },
        { "[TOOL_CALLS]f[ARGS]nothing", "[TOOL_CALLS]f[ARGS]nothing", "" },
        { "[TOOL_CALLS]words of its own", "[TOOL_CALLS]words of its own", "" },
        { "[TOOL_CALLS]f[ARGS", "[TOOL_CALLS]f[ARGS", "" },
        /* In a fence. */
        { "```json\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n```", "", "f{\"a\":1};" },
        { "```\n[{\"name\": \"g\", \"arguments\": {}}]\n```\nDone.", "Done.", "g{};" },
        { "```json\n{\"city\": \"Rome\"}\n```", "```json\n{\"city\": \"Rome\"}\n```", "" },
        { "```python\nprint(1)\n```", "```python\nprint(1)\n```", "" },
        { "See ```json\n{\"name\": \"g\", \"arguments\": {}}\n```",
          "See ```json\n{\"name\": \"g\", \"arguments\": {}}\n```", "" },
        { "``", "``", "" },
        /* As OpenAI writes them. */
        { "{\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}", "",
          "f{};" },
        /* JSON that is no call. */
        { "{\"name\": \"other\", \"arguments\": {}}", "{\"name\": \"other\", \"arguments\": {}}",
          "" },
        { " {\"name\": \"f\"} ", " {\"name\": \"f\"} ", "" },
        { "{\"city\": \"Rome\"}", "{\"city\": \"Rome\"}", "" },
        { "[1, 2]", "[1, 2]", "" },
        { "See {\"name\": \"g\", \"arguments\": {}}", "See {\"name\": \"g\", \"arguments\": {}}",
          "" },
    };
    json_t *request = json_loads(request_text, 0, NULL);
    ae_tools tools;
    (void)state;
    assert_int_equal(ae_tools_read(&tools, request, NULL), AERIE_OK);
    for (size_t i = 0; i < AE_COUNT(cases); i++)
        for (size_t step = 1; step < 80; step += step < 4 ? 1 : 25) {
            ae_bytes text = { 0 }, calls = { 0 };
            ae_bytes_add_text(&text, "");
            ae_bytes_add_text(&calls, "");
            read_reply(&text, &calls, &tools, cases[i].reply, step);
            assert_string_equal(text.data, cases[i].text);
            assert_string_equal(calls.data, cases[i].calls);
            ae_bytes_free(&text);
            ae_bytes_free(&calls);
        }
    ae_tools_free(&tools);
    json_decref(request);
}

/* What cannot be a call does not wait for its end. */
static void text_is_not_held_up(void **state)
{
    json_t *request = json_loads(request_text, 0, NULL), *calls = json_array();
    ae_tools tools;
    ae_tool_reader r = { .tools = &tools };
    ae_bytes text = { 0 };
    (void)state;
    assert_int_equal(ae_tools_read(&tools, request, NULL), AERIE_OK);
    ae_tool_reader_add(&r, ae_span_text("{\"city\": \"Ro"), &text, calls);
    assert_string_equal(text.data, "{\"city\": \"Ro");
    ae_tool_reader_add(&r, ae_span_text("me <tool"), &text, calls);
    assert_string_equal(text.data, "{\"city\": \"Rome");
    ae_tool_reader_add(&r, ae_span_text("box>"), &text, calls);
    assert_string_equal(text.data, "{\"city\": \"Rome <toolbox>");
    ae_tool_reader_free(&r);
    ae_bytes_free(&text);
    ae_tools_free(&tools);
    json_decref(calls);
    json_decref(request);
}

static void at_most_one_call_where_one_is_wanted(void **state)
{
    json_t *request = json_loads(request_text, 0, NULL);
    ae_tools tools;
    ae_bytes text = { 0 }, calls = { 0 };
    (void)state;
    json_object_set_new(request, "parallel_tool_calls", json_false());
    assert_int_equal(ae_tools_read(&tools, request, NULL), AERIE_OK);
    read_reply(&text, &calls, &tools,
               "[{\"name\":\"f\",\"arguments\":{}},{\"name\":\"g\",\"arguments\":{}}]\n"
               "<tool_call>{\"name\":\"g\"}</tool_call>",
               5);
    assert_string_equal(calls.data, "f{};");
    assert_int_equal(text.len, 0);
    ae_bytes_free(&text);
    ae_bytes_free(&calls);
    ae_tools_free(&tools);
    json_decref(request);
}

static bool fits(const char *choice, const char *reply)
{
    json_t *request = json_loads(request_text, 0, NULL);
    ae_tools tools;
    aerie_grammar *grammar;
    json_object_set_new(request, "tool_choice", json_loads(choice, JSON_DECODE_ANY, NULL));
    assert_int_equal(ae_tools_read(&tools, request, NULL), AERIE_OK);
    assert_int_equal(ae_tools_grammar(&grammar, &tools, NULL), AERIE_OK);
    bool yes = grammar && aerie_grammar_fits(grammar, reply, strlen(reply));
    aerie_grammar_free(grammar);
    ae_tools_free(&tools);
    json_decref(request);
    return yes;
}

static void calls_that_must_be_made_are_grammars(void **state)
{
    static const char only_g[] = "{\"type\":\"function\",\"function\":{\"name\":\"g\"}}",
                      f[] = "{\"name\": \"f\", \"arguments\": {\"a\": 5}}",
                      g[] = "{\"name\": \"g\", \"arguments\": {}}";
    (void)state;
    assert_true(fits("\"required\"", f));
    assert_true(fits("\"required\"", g));
    assert_false(fits("\"required\"", "{\"name\": \"g\", \"arguments\": {\"a\": 5}}"));
    assert_false(fits("\"required\"", "Hello"));
    assert_true(fits(only_g, g));
    assert_false(fits(only_g, f));
    assert_false(fits("\"auto\"", f));
    assert_false(fits("\"none\"", f));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_told_from_text),
        cmocka_unit_test(text_is_not_held_up),
        cmocka_unit_test(at_most_one_call_where_one_is_wanted),
        cmocka_unit_test(calls_that_must_be_made_are_grammars),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
