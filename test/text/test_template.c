/* test_template.c -- chat templates against jinja2's recorded output, known formats, and templates
 * meant to do harm. tools/golden/template_cases.py wrote the cases. */
#include "text/template.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct {
    aerie_status status;
    ae_bytes out;
    aerie_error err;
} rendered;

static rendered render(ae_span source, const ae_template_input *in)
{
    rendered r = { 0 };
    ae_template *t = NULL;
    r.status = ae_template_parse(&t, source, &r.err);
    if (!r.status) r.status = ae_template_render(t, in, &r.out, &r.err);
    ae_template_free(t);
    if (r.status) {
        assert_int_equal(r.out.len, 0);
        ae_bytes_free(&r.out);
    }
    return r;
}

static bool same_case(json_t *one, json_t *context)
{
    const char *source = json_string_value(json_object_get(one, "template"));
    const char *want = json_string_value(json_object_get(one, "out"));
    ae_template_input in = { .extra = context, .now_unix = 1721995200 };
    rendered r = render(ae_span_text(source), &in);
    bool same = want ? !r.status && ae_span_is(ae_span_of(&r.out), want)
                     : r.status == AERIE_BAD_TEXT && strstr(r.err.message, "template line ");
    if (!same)
        print_error("%s\n  wanted %s\n  got    %s\n", source, want ? want : "an error",
                    r.status ? r.err.message : r.out.data);
    ae_bytes_free(&r.out);
    return same;
}

static void renders_as_jinja2(void **state)
{
    json_error_t where;
    json_t *root = json_load_file("test/text/template_cases.json", 0, &where);
    size_t wrong = 0, n;
    (void)state;
    assert_non_null(root);
    json_t *cases = json_object_get(root, "cases");
    n = json_array_size(cases);
    assert_true(n > 500);
    for (size_t i = 0; i < n; i++)
        wrong += !same_case(json_array_get(cases, i), json_object_get(root, "context"));
    assert_int_equal(wrong, 0);
    json_decref(root);
}

/* A template that must fail with a sentence about its own fault, whatever it wanted to do. */
static void refuses(ae_span source, const char *words)
{
    ae_template_input in = { 0 };
    rendered r = render(source, &in);
    if (!r.status || !strstr(r.err.message, words) || r.out.len)
        fail_msg("wanted '%s', got '%s'", words, r.status ? r.err.message : "output");
    ae_bytes_free(&r.out);
}

static void refuses_repeated(const char *piece, size_t times, const char *words)
{
    ae_bytes source = { 0 };
    for (size_t i = 0; i < times; i++) ae_bytes_add_text(&source, piece);
    refuses(ae_span_of(&source), words);
    ae_bytes_free(&source);
}

static void refuses_deep_nesting(void **state)
{
    static const char *const pieces[] = { "(",  "[",  "{1:",   "-",           "not ",
                                          "a[", "a(", "1 if ", "1 if 1 else " };
    (void)state;
    for (size_t k = 0; k < AE_COUNT(pieces); k++) {
        ae_bytes source = { 0 };
        ae_bytes_add_text(&source, "{{ ");
        for (int i = 0; i < 60000; i++) ae_bytes_add_text(&source, pieces[k]);
        ae_bytes_add_text(&source, "1 }}");
        refuses(ae_span_of(&source), "template line 1");
        ae_bytes_free(&source);
    }
    refuses_repeated("{% if true %}", 60000, "nested more than 128 deep");
    refuses_repeated("{% for x in [1] %}", 60000, "nested more than 128 deep");
    refuses_repeated("{% macro m() %}", 60000, "nested more than 128 deep");
    refuses_repeated("{% set x %}", 60000, "nested more than 128 deep");
}

/* Chains that nest nowhere in the source are deep trees all the same. */
static void long_chains_end_softly(void **state)
{
    static const char *const pieces[] = { "1 + ", "'a' ~ ", "1 and ", "1 < ", "0 or " };
    (void)state;
    for (size_t k = 0; k < AE_COUNT(pieces); k++) {
        ae_bytes source = { 0 };
        ae_template_input in = { 0 };
        ae_bytes_add_text(&source, "{{ ");
        for (int i = 0; i < 60000; i++) ae_bytes_add_text(&source, pieces[k]);
        ae_bytes_add_text(&source, "1 }}");
        rendered r = render(ae_span_of(&source), &in);
        assert_true(r.status == AERIE_OK || strstr(r.err.message, "template line 1"));
        ae_bytes_free(&r.out);
        ae_bytes_free(&source);
    }
    refuses_repeated("{{ x|upper", 1, "template line 1");
    ae_bytes strings = { 0 };
    ae_template_input in = { 0 };
    ae_bytes_add_text(&strings, "{{ ");
    for (int i = 0; i < 300000; i++) ae_bytes_add_text(&strings, "'ab' ");
    ae_bytes_add_text(&strings, "}}");
    rendered r = render(ae_span_of(&strings), &in);
    assert_int_equal(r.status, AERIE_OK);
    assert_int_equal(r.out.len, 600000);
    ae_bytes_free(&r.out);
    ae_bytes_free(&strings);
}

static void refuses_what_never_ends(void **state)
{
    static const char *const sources[] = {
        "{{ range(10**9)|length }}",
        "{{ 'x' * 10**9 }}",
        "{{ [1] * 10**9 }}",
        "{{ 10 ** 100 }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
        "{% macro m(x) %}{% call m(x) %}{{ caller() }}{% endcall %}{% endmacro %}{{ m(1) }}",
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% for a in range(99999) %}{% for b in range(999) %}xxxxxxxxxxxxxxxx{% endfor %}{% endfor "
        "%}",
        "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% "
        "endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% "
        "endfor %}",
        "{% set ns = namespace(x=[]) %}{% for i in range(9999) %}{% set ns.x = [ns.x] %}{% endfor "
        "%}{{ ns.x }}",
        "{% set ns = namespace(x=[]) %}{% for i in range(9999) %}{% set ns.x = [ns.x] %}{% endfor "
        "%}{{ ns.x == [ns.x] }}",
        "{% set ns = namespace(x=[]) %}{% for i in range(9999) %}{% set ns.x = [ns.x] %}{% endfor "
        "%}{{ ns.x|tojson }}",
        "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}",
        "{{ ('a' * 4000000)|replace('a', 'bbbbbbbb') }}",
        "{{ ('a' * 4000000).split('a')|join('xxxxxxxx') }}",
        "{{ 'x'.ljust(10**12) }}",
        "{{ '%999999999d' % 1 }}",
        "{{ '%.999999999f' % 1 }}",
        "{{ 1|round(10**9) ~ 1|indent(10**9) }}",
        "{{ [1]|batch(10**12, 1)|list }}",
        "{{ [1]|slice(10**12)|list }}",
        "{% set x = 'a' * 16000000 %}{% for i in range(99999) %}{% set y = x|wordcount %}{% endfor "
        "%}",
        "{% set x = 'a' * 16000000 %}{% set y = 'a' * 8000000 %}{{ x.rfind(y) }}{{ x.rfind(y ~ "
        "'b') }}"
        "{{ x.rsplit(y, 3) }}",
        "{% for i in range(99999) %}{% set x = ('a' * 9999)|upper|lower|trim %}{% endfor %}",
        "{{ 9223372036854775807 + 1 }}",
        "{{ -9223372036854775807 - 2 }}",
        "{{ 99999999999999999999 }}",
    };
    (void)state;
    for (size_t i = 0; i < AE_COUNT(sources); i++)
        refuses(ae_span_text(sources[i]), "template line 1");
}

static void bounds_are_the_callers(void **state)
{
    ae_template_input in = { .max_output = 10 };
    rendered r = render(ae_span_text("{{ 'x' * 11 }}"), &in);
    (void)state;
    assert_int_equal(r.status, AERIE_BAD_TEXT);
    r = render(ae_span_text("{{ 'x' * 10 }}"), &in);
    assert_int_equal(r.status, AERIE_OK);
    ae_bytes_free(&r.out);
    in = (ae_template_input){ .max_steps = 100 };
    r = render(ae_span_text("{% for i in range(1000) %}{% endfor %}"), &in);
    assert_int_equal(r.status, AERIE_BAD_TEXT);
    assert_non_null(strstr(r.err.message, "too long"));
    ae_bytes_free(&r.out);
}

static void refuses_deep_messages(void **state)
{
    json_t *deep = json_array();
    ae_template_input in = { .messages = deep };
    (void)state;
    for (int i = 0; i < 60000; i++) {
        json_t *outer = json_array();
        json_array_append_new(outer, in.messages);
        in.messages = outer;
    }
    rendered r = render(ae_span_text("x"), &in);
    assert_int_equal(r.status, AERIE_BAD_TEXT);
    assert_non_null(strstr(r.err.message, "nested"));
    ae_bytes_free(&r.out);
    while (json_array_size(in.messages)) {
        json_t *inner = json_incref(json_array_get(in.messages, 0));
        json_decref(in.messages);
        in.messages = inner;
    }
    json_decref(in.messages);
}

static void errors_name_their_line(void **state)
{
    ae_template_input in = { 0 };
    rendered r = render(ae_span_text("a\nb\n{{ 1 }}\n{{ nope.x }}"), &in);
    (void)state;
    assert_non_null(strstr(r.err.message, "template line 4: 'nope' is undefined"));
    r = render(ae_span_text("a\n\n{% if 1 %}\n{{ 1 ! }}"), &in);
    assert_non_null(strstr(r.err.message, "template line 4"));
    r = render(ae_span_text("\n{{ raise_exception('Only user roles') }}"), &in);
    assert_int_equal(r.status, AERIE_BAD_TEXT);
    assert_string_equal(r.err.message, "template line 2: Only user roles");
    r = render(ae_span_text("{% include 'other.jinja' %}"), &in);
    assert_non_null(strstr(r.err.message, "'include' is not allowed"));
}

/* What was in the buffer before stays, also when the rendering fails half-way. */
static void a_failure_leaves_no_output(void **state)
{
    ae_bytes out = { 0 };
    ae_template *t;
    ae_template_input in = { 0 };
    (void)state;
    ae_bytes_add_text(&out, "before");
    assert_int_equal(ae_template_parse(&t, ae_span_text("text {{ 1 / 0 }}"), NULL), AERIE_OK);
    assert_int_equal(ae_template_render(t, &in, &out, NULL), AERIE_BAD_TEXT);
    assert_string_equal(out.data, "before");
    ae_template_free(t);
    ae_bytes_free(&out);
}

static const char conversation[] =
    "[{\"role\":\"system\",\"content\":\"Be kind.\"},{\"role\":\"user\",\"content\":\"Hi\"},"
    "{\"role\":\"assistant\",\"content\":\"Hello\"},{\"role\":\"user\",\"content\":\"Bye\"}]";

static void known_formats(void **state)
{
    static const struct {
        const char *name, *text;
    } cases[] = {
        { "zephyr", "<|system|>\nBe kind.</s>\n<|user|>\nHi</s>\n<|assistant|>\nHello</s>\n"
                    "<|user|>\nBye</s>\n<|assistant|>\n" },
        { "openchat", "<s>Be kind.<|end_of_turn|>GPT4 Correct User: Hi<|end_of_turn|>"
                      "GPT4 Correct Assistant: Hello<|end_of_turn|>GPT4 Correct User: Bye"
                      "<|end_of_turn|>GPT4 Correct Assistant:" },
        { "chatml", "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
                    "<|im_start|>assistant\nHello<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n"
                    "<|im_start|>assistant\n" },
        { "mistral", "<s>[INST] Be kind.\n\nHi [/INST] Hello</s>[INST] Bye [/INST]" },
        { "llama2", "<s>[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\nHi [/INST] Hello </s>"
                    "<s>[INST] Bye [/INST]" },
        { "llama3", "<s><|start_header_id|>system<|end_header_id|>\n\nBe kind.<|eot_id|>"
                    "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
                    "<|start_header_id|>assistant<|end_header_id|>\n\nHello<|eot_id|>"
                    "<|start_header_id|>user<|end_header_id|>\n\nBye<|eot_id|>"
                    "<|start_header_id|>assistant<|end_header_id|>\n\n" },
        { "gemma", "<s><start_of_turn>user\nBe kind.\n\nHi<end_of_turn>\n<start_of_turn>model\n"
                   "Hello<end_of_turn>\n<start_of_turn>user\nBye<end_of_turn>\n"
                   "<start_of_turn>model\n" },
        { "vicuna", "<s>Be kind. USER: Hi ASSISTANT: Hello</s> USER: Bye ASSISTANT:" },
        { "phi3", "<|system|>\nBe kind.<|end|>\n<|user|>\nHi<|end|>\n<|assistant|>\nHello<|end|>\n"
                  "<|user|>\nBye<|end|>\n<|assistant|>\n" },
        { "alpaca", "<s>Be kind.\n\n### Instruction:\nHi\n\n### Response:\nHello</s>\n\n"
                    "### Instruction:\nBye\n\n### Response:\n" },
    };
    json_t *messages = json_loads(conversation, 0, NULL);
    ae_template_input in = {
        .messages = messages, .bos_token = "<s>", .eos_token = "</s>", .add_generation_prompt = true
    };
    (void)state;
    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        const char *source = ae_template_known(cases[i].name);
        assert_non_null(source);
        rendered r = render(ae_span_text(source), &in);
        if (r.status) fail_msg("%s: %s", cases[i].name, r.err.message);
        assert_string_equal(r.out.data, cases[i].text);
        ae_bytes_free(&r.out);
    }
    json_decref(messages);
}

static void every_known_name_has_a_source(void **state)
{
    const char *name;
    size_t n = 0;
    (void)state;
    for (; (name = ae_template_known_name(n)) != NULL; n++)
        assert_non_null(ae_template_known(name));
    assert_true(n >= 9);
    assert_null(ae_template_known("no such format"));
}

static bool has_token(void *user, const char *token)
{
    for (const char *const *tokens = user; *tokens; tokens++)
        if (strcmp(*tokens, token) == 0) return true;
    return false;
}

static void guesses_by_special_tokens(void **state)
{
    const char *qwen[] = { "<|im_start|>", "<|im_end|>", NULL }, *half[] = { "<|im_start|>", NULL };
    const char *starling[] = { "<s>", "</s>", "<|end_of_turn|>", NULL };
    (void)state;
    assert_string_equal(ae_template_guess(has_token, qwen), "chatml");
    assert_string_equal(ae_template_guess(has_token, starling), "openchat");
    assert_null(ae_template_guess(has_token, half));
}

/* The n-th allocation fails, n = 1, 2 ...: a status each time, nothing left behind. */
static void survives_lack_of_memory(void **state)
{
    json_t *messages = json_loads(conversation, 0, NULL);
    ae_template_input in = { .messages = messages, .bos_token = "<s>" };
    ae_span source =
        ae_span_text("{% macro m(x) %}{{ x|upper }}{% endmacro %}{% for m2 in messages %}"
                     "{{ m(m2.content) ~ m2|tojson }}{% endfor %}");
    size_t held = ae_alloc_bytes();
    bool failed = true;
    (void)state;
    for (long n = 1; failed; n++) {
        ae_alloc_fail_at(n);
        rendered r = render(source, &in);
        failed = ae_alloc_has_failed();
        ae_alloc_fail_at(0);
        /* An arena may make do with less: then all is well. */
        assert_true(r.status == AERIE_OK || (failed && r.status == AERIE_NO_MEMORY));
        ae_bytes_free(&r.out);
        assert_int_equal(ae_alloc_bytes(), held);
        assert_true(n < 10000);
    }
    json_decref(messages);
}

/* As jinja2's Environment(keep_trailing_newline=True, undefined=StrictUndefined) does. */
static void plain_sources_keep_their_lines(void **state)
{
    static const char *const bad[] = { "{{ missing }}", "{{ a ~ missing }}" };
    json_t *extra = json_pack("{s:i}", "a", 1);
    ae_template_input in = { .extra = extra };
    ae_template *t;
    ae_bytes out = { 0 };
    aerie_error err = { 0 };

    (void)state;
    assert_int_equal(
        ae_template_parse_plain(&t, ae_span_text("  {% if a %}\n{{a}}\n{% endif %}\n"), &err), 0);
    assert_int_equal(ae_template_render(t, &in, &out, &err), 0);
    assert_string_equal(out.data, "  \n1\n\n");
    ae_template_free(t);
    for (size_t i = 0; i < AE_COUNT(bad); i++) {
        assert_int_equal(ae_template_parse_plain(&t, ae_span_text(bad[i]), &err), 0);
        assert_int_equal(ae_template_render(t, &in, &out, &err), AERIE_BAD_TEXT);
        assert_non_null(strstr(err.message, "'missing' is undefined"));
        err = (aerie_error){ 0 };
        ae_template_free(t);
    }
    ae_bytes_free(&out);
    json_decref(extra);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(renders_as_jinja2),
        cmocka_unit_test(refuses_deep_nesting),
        cmocka_unit_test(long_chains_end_softly),
        cmocka_unit_test(refuses_what_never_ends),
        cmocka_unit_test(bounds_are_the_callers),
        cmocka_unit_test(refuses_deep_messages),
        cmocka_unit_test(errors_name_their_line),
        cmocka_unit_test(a_failure_leaves_no_output),
        cmocka_unit_test(plain_sources_keep_their_lines),
        cmocka_unit_test(known_formats),
        cmocka_unit_test(every_known_name_has_a_source),
        cmocka_unit_test(guesses_by_special_tokens),
        cmocka_unit_test(survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
