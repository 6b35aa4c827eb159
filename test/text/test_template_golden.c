/* test_template_golden.c -- published chat templates against recorded renderings. The files lie
 * outside of the project: a test whose file is missing is skipped. */
#include "text/template.h"
#include "text/tokenizer_compare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static json_t *load(const char *name)
{
    char *path = shared_path(name);
    ae_bytes text = { 0 };
    json_t *root = NULL;
    if (path && ae_file_read(&text, path, 0, NULL) == AERIE_OK)
        root = json_loadb(text.data, text.len, JSON_ALLOW_NUL, NULL);
    ae_bytes_free(&text);
    ae_free(path);
    return root;
}

/* Calls `check` for each line of JSON; returns how many did not pass. */
static size_t each_line(const char *name, size_t *lines, bool (*check)(json_t *line, void *user),
                        void *user)
{
    char *path = shared_path(name);
    ae_bytes text = { 0 };
    size_t wrong = 0, at = 0;
    *lines = 0;
    if (path) assert_int_equal(ae_file_read(&text, path, 0, NULL), AERIE_OK);
    while (at < text.len) {
        const char *end = memchr(text.data + at, '\n', text.len - at);
        size_t len = end ? (size_t)(end - text.data) - at : text.len - at;
        json_t *line = json_loadb(text.data + at, len, JSON_ALLOW_NUL, NULL);
        if (line) {
            ++*lines;
            wrong += !check(line, user);
        }
        json_decref(line);
        at += len + 1;
    }
    ae_bytes_free(&text);
    ae_free(path);
    return wrong;
}

static aerie_status render(const char *source, const ae_template_input *in, ae_bytes *out,
                           aerie_error *err)
{
    ae_template *t = NULL;
    aerie_status status = ae_template_parse(&t, ae_span_text(source), err);
    if (!status) status = ae_template_render(t, in, out, err);
    ae_template_free(t);
    return status;
}

/* The template's own words must be in the sentence; other errors need only be errors. */
static bool same_refusal(const char *want, aerie_status status, const aerie_error *err)
{
    static const char raised[] = "TemplateError: ";
    if (!status) return false;
    if (strncmp(want, raised, sizeof raised - 1) != 0) return true;
    return strstr(err->message, want + sizeof raised - 1) != NULL;
}

typedef struct {
    json_t *templates, *conversations;
} sources;

static bool check_rendered(json_t *line, void *user)
{
    const sources *s = user;
    const char *name = json_string_value(json_object_get(line, "template"));
    const char *talk = json_string_value(json_object_get(line, "conversation"));
    const char *want = json_string_value(json_object_get(line, "expected"));
    ae_template_input in = {
        .messages = json_object_get(s->conversations, talk),
        .bos_token = "<s>",
        .eos_token = "</s>",
        .add_generation_prompt = json_is_true(json_object_get(line, "add_generation_prompt")),
        .now_unix = 1721995200, /* 2024-07-26 12:00 */
    };
    ae_bytes out = { 0 };
    aerie_error err = { 0 };
    aerie_status status =
        render(json_string_value(json_object_get(s->templates, name)), &in, &out, &err);
    bool same = want
                    ? !status && ae_span_is(ae_span_of(&out), want)
                    : same_refusal(json_string_value(json_object_get(line, "error")), status, &err);
    if (!same) print_error("%s, %s: %s\n", name, talk, status ? err.message : out.data);
    ae_bytes_free(&out);
    return same;
}

static void published_templates_as_jinja2(void **state)
{
    sources s = { load("data/templates/jinja_templates.json.gz"),
                  load("data/templates/conversations.json") };
    size_t lines, wrong;
    (void)state;
    if (!s.templates || !s.conversations) return;
    wrong = each_line("data/templates/golden_rendered_jinja2.jsonl.gz", &lines, check_rendered, &s);
    print_message("%zu of %zu renderings are equal\n", lines - wrong, lines);
    assert_int_equal(lines, 3888);
    assert_int_equal(wrong, 0);
    json_decref(s.templates);
    json_decref(s.conversations);
}

static json_t *take(json_t *data, const char *key)
{
    json_t *value = json_incref(json_object_get(data, key));
    json_object_del(data, key);
    return value;
}

/* One template prints a list of dicts as it is: Python shows its repr(), the JavaScript engine
 * that recorded the line shows JSON. Ours is what jinja2 gives. */
static bool differs_by_language(const char *name)
{
    return strcmp(name, "MadeAgents/Hammer2.1") == 0;
}

static bool check_javascript(json_t *line, void *user)
{
    json_t *data = json_object_get(line, "data");
    const char *name = json_string_value(json_object_get(line, "name"));
    const char *want = json_string_value(json_object_get(line, "target"));
    json_t *messages = take(data, "messages"), *tools = take(data, "tools");
    json_t *bos = take(data, "bos_token"), *eos = take(data, "eos_token");
    json_t *prompt = take(data, "add_generation_prompt");
    ae_template_input in = {
        .messages = messages,
        .tools = tools,
        .extra = data,
        .bos_token = json_string_value(bos),
        .eos_token = json_string_value(eos),
        .add_generation_prompt = json_is_true(prompt),
        .generation_unsaid = !prompt,
        .now_unix = 1752148800, /* 2025-07-10, the day of the recording */
    };
    ae_bytes out = { 0 };
    aerie_error err = { 0 };
    aerie_status status =
        render(json_string_value(json_object_get(line, "chat_template")), &in, &out, &err);
    bool same = !status && ae_span_is(ae_span_of(&out), want);
    (void)user;
    if (!status && !same) same = differs_by_language(name);
    if (!same) print_error("%s: %s\n", name, status ? err.message : out.data);
    ae_bytes_free(&out);
    json_decref(messages);
    json_decref(tools);
    json_decref(bos);
    json_decref(eos);
    json_decref(prompt);
    return same;
}

static void published_templates_as_huggingface_js(void **state)
{
    size_t lines, wrong;
    (void)state;
    wrong = each_line("data/templates/golden_huggingface_js.jsonl", &lines, check_javascript, NULL);
    assert_int_equal(wrong, 0);
    assert_true(lines == 0 || lines == 45);
}

static void check_alignment(json_t *one, const char *source)
{
    ae_template_input in = {
        .messages = json_object_get(one, "messages"),
        .bos_token = "<s>",
        .eos_token = "</s>",
        .add_generation_prompt = json_is_true(json_object_get(one, "add_generation_prompt")),
    };
    ae_bytes out = { 0 };
    aerie_error err = { 0 };
    if (render(source, &in, &out, &err)) fail_msg("%s", err.message);
    assert_string_equal(out.data, json_string_value(json_object_get(one, "text")));
    ae_bytes_free(&out);
}

/* The recipes' own templates, and our own table's, give the recorded texts. */
static void alignment_formats(void **state)
{
    json_t *root = load("golden/alignment/chat_templates.json"), *one;
    size_t i;
    (void)state;
    if (!root) return;
    json_array_foreach(json_object_get(root, "cases"), i, one)
    {
        bool zephyr = strcmp(json_string_value(json_object_get(one, "template")), "zephyr") == 0;
        const char *key = zephyr ? "zephyr_template" : "openchat_template";
        check_alignment(one, json_string_value(json_object_get(root, key)));
        check_alignment(one, ae_template_known(zephyr ? "zephyr" : "openchat"));
    }
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_templates_as_jinja2),
        cmocka_unit_test(published_templates_as_huggingface_js),
        cmocka_unit_test(alignment_formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
