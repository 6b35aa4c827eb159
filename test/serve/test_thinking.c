/* test_thinking.c -- thoughts in what models write, and tools told in words. */
#include "scratch.h"
#include "serve/thinking.h"
#include "serve/tool_words.h"

#include <stdlib.h>
#include <string.h>

static void keep(ae_bytes *thinking, ae_bytes *text, const aerie_thoughts_part *part)
{
    ae_bytes_add(thinking, part->thought, part->thought_len);
    ae_bytes_add(text, part->said, part->said_len);
}

/* What a reply is, come in pieces of `step` bytes, each of them a token. Returns the thought's. */
static int64_t read_reply(ae_bytes *thinking, ae_bytes *text, const char *reply, bool within,
                          size_t step)
{
    aerie_thoughts *r;
    aerie_thoughts_part part;
    size_t n = strlen(reply);
    assert_int_equal(aerie_thoughts_open(&r, within, NULL), AERIE_OK);
    for (size_t at = 0; at < n; at += step) {
        part = aerie_thoughts_add(r, reply + at, n - at < step ? n - at : step, 1);
        keep(thinking, text, &part);
    }
    assert_int_equal(aerie_thoughts_end(r, &part, NULL), AERIE_OK);
    keep(thinking, text, &part);
    int64_t tokens = aerie_thoughts_tokens(r);
    aerie_thoughts_close(r);
    return tokens;
}

static void tokens_of_thoughts_are_counted(void **state)
{
    static const struct {
        const char *reply;
        bool within;
        int64_t tokens;
    } cases[] = {
        { "Yes.", false, 0 },           { "<think>ab</think>Yes.", false, 17 },
        { "ab</think>Yes.", true, 10 }, { " <think></think>", false, 16 },
        { "<think>ab", false, 9 },      { "<thing>", false, 0 },
    };
    (void)state;
    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        ae_bytes thinking = { 0 }, text = { 0 };
        assert_int_equal(read_reply(&thinking, &text, cases[i].reply, cases[i].within, 1),
                         cases[i].tokens);
        ae_bytes_free(&thinking);
        ae_bytes_free(&text);
    }
}

static void thoughts_are_told_from_replies(void **state)
{
    static const struct {
        const char *reply, *thinking, *text;
        bool within;
    } cases[] = {
        { "Hello <think>", "", "Hello <think>", false },
        { "<think>\nI see.\n</think>\n\nYes.", "I see.", "Yes.", false },
        { " \n<think>a < b</think>c", "a < b", "c", false },
        { "<think>\n\n</think>\n\nYes.", "", "Yes.", false },
        { "<think>only this </thin", "only this </thin", "", false },
        { "<think>cut short \n", "cut short", "", false },
        { "I see.\n</think>\nYes.", "I see.", "Yes.", true },
        { "no end", "no end", "", true },
        { "[THINK]a</think>b[/THINK]c", "a</think>b", "c", false },
        { "<thi", "", "<thi", false },
        { "  Yes. ", "", "  Yes. ", false },
        { "<think>a</think><think>b</think>", "a", "<think>b</think>", false },
    };
    (void)state;
    for (size_t i = 0; i < AE_COUNT(cases); i++)
        for (size_t step = 1; step < 40; step += step < 4 ? 1 : 12) {
            ae_bytes thinking = { 0 }, text = { 0 };
            ae_bytes_add_text(&thinking, "");
            ae_bytes_add_text(&text, "");
            read_reply(&thinking, &text, cases[i].reply, cases[i].within, step);
            assert_string_equal(thinking.data, cases[i].thinking);
            assert_string_equal(text.data, cases[i].text);
            ae_bytes_free(&thinking);
            ae_bytes_free(&text);
        }
}

static void requests_tell_templates(void **state)
{
    static const struct {
        const char *request, *vars;
    } cases[] = {
        { "{}", NULL },
        { "{\"reasoning_effort\":\"none\"}", "{\"enable_thinking\":false,\"thinking\":false}" },
        { "{\"reasoning_effort\":\"low\"}",
          "{\"enable_thinking\":true,\"thinking\":true,\"reasoning_effort\":\"low\"}" },
        { "{\"chat_template_kwargs\":{\"a\":1}}", "{\"a\":1}" },
    };
    (void)state;
    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        json_t *request = json_loads(cases[i].request, 0, NULL);
        ae_thinking thinking;
        assert_int_equal(ae_thinking_of_openai(&thinking, request, NULL), AERIE_OK);
        char *vars;
        assert_int_equal(ae_thinking_vars(&vars, &thinking, NULL), AERIE_OK);
        if (cases[i].vars)
            assert_string_equal(vars, cases[i].vars);
        else
            assert_null(vars);
        aerie_free(vars);
        json_decref(request);
    }
}

/* With `traits`: the messages as they are then, quotes as '. */
static char *in_words(const aerie_chat_traits *traits)
{
    json_t *request = json_loads(
        "{\"tools\":[{\"function\":{\"name\":\"f\"}}],\"messages\":["
        "{\"role\":\"user\",\"content\":\"Hi\"},"
        "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"f\","
        "\"arguments\":{\"a\":1}}}]},"
        "{\"role\":\"tool\",\"content\":\"1\"},{\"role\":\"tool\",\"content\":\"2\"}]}",
        0, NULL);
    ae_tools tools;
    assert_int_equal(ae_tools_read(&tools, request, NULL), AERIE_OK);
    json_t *list = ae_tool_words(json_object_get(request, "messages"), &tools, traits);
    char *text = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    ae_tools_free(&tools);
    json_decref(request);
    return text;
}

static void tools_are_told_in_words(void **state)
{
    (void)state;
    char *text = in_words(&(aerie_chat_traits){ .system = true });
    assert_non_null(strstr(text, "[{\"role\":\"system\",\"content\":\"You can call functions."));
    assert_non_null(strstr(text, "{\"role\":\"user\",\"content\":\"Hi\"}"));
    assert_non_null(strstr(text, "\"<tool_call>\\n{\\\"name\\\": \\\"f\\\", \\\"arguments\\\": "
                                 "{\\\"a\\\":1}}\\n</tool_call>\""));
    assert_non_null(strstr(text, "{\"role\":\"user\",\"content\":\"<tool_response>\\n1\\n"
                                 "</tool_response>\\n<tool_response>\\n2\\n</tool_response>\"}"));
    assert_null(strstr(text, "\"tool\""));
    free(text);
    text = in_words(&(aerie_chat_traits){ 0 });
    assert_non_null(strstr(text, "[{\"role\":\"user\",\"content\":\"You can call functions."));
    assert_non_null(strstr(text, "\\n\\nHi\"}"));
    free(text);
    text = in_words(&(aerie_chat_traits){ .tools = true, .system = true });
    assert_null(strstr(text, "You can call"));
    assert_non_null(strstr(text, "\"tool_calls\""));
    free(text);
}

static void templates_are_known_by_their_words(void **state)
{
    (void)state;
    assert_true(aerie_chat_traits_of("{% if tools %}{{ enable_thinking }}").tools);
    assert_true(aerie_chat_traits_of("{% if tools %}{{ enable_thinking }}").thinking);
    assert_false(aerie_chat_traits_of("zephyr").tools);
    assert_false(aerie_chat_traits_of("{{ raise_exception('System role not supported') }}").system);
    assert_true(aerie_chat_traits_of("<|{{ role }}|>").system);
    assert_true(aerie_chat_traits_of(NULL).system);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thoughts_are_told_from_replies),
        cmocka_unit_test(tokens_of_thoughts_are_counted),
        cmocka_unit_test(requests_tell_templates),
        cmocka_unit_test(tools_are_told_in_words),
        cmocka_unit_test(templates_are_known_by_their_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
