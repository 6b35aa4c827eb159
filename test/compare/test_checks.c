/* test_checks.c -- what replies are held to. */
#include "compare/check.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

typedef struct {
    const char *spec, *reply, *expected;
    bool passes;
} check_case;

static aerie_status answer_by_length(void *user, const char *line,
                                     void (*answer)(void *to, const char *text, size_t len),
                                     void *to, aerie_error *err)
{
    json_t *o = json_loads(line, 0, NULL);
    bool is_short = json_string_length(json_object_get(o, "reply")) < 4;
    const char *command = json_string_value(json_object_get(o, "command"));
    const char *text = !strcmp(command, "length") ? (is_short ? "3" : "4.0")
                       : is_short                 ? "{\"pass\": true}"
                                                  : "{\"pass\": false}";

    (void)user;
    (void)err;
    assert_non_null(json_object_get(o, "messages"));
    assert_non_null(json_object_get(json_object_get(o, "row"), "own"));
    json_decref(o);
    answer(to, text, strlen(text));
    return AERIE_OK;
}

static void check_one(const check_case *c)
{
    json_t *spec = json_loads(c->spec, JSON_DECODE_ANY, NULL), *messages = json_array();
    json_t *row = json_pack("{s:i}", "own", 1);
    ae_check_of of = { .id = "1",
                       .messages = messages,
                       .expected = c->expected,
                       .program = answer_by_length,
                       .row = row };
    aerie_error err = { 0 };
    ae_check *check;
    bool passed = false;

    assert_non_null(spec);
    if (ae_check_open(&check, spec, &err)) fail_msg("%s: %s", c->spec, err.message);
    if (!c->expected) assert_false(ae_check_wants_expected(check));
    if (ae_check_run(check, &of, c->reply, strlen(c->reply), &passed, &err))
        fail_msg("%s: %s", c->spec, err.message);
    if (passed != c->passes) fail_msg("%s of '%s' is %d", c->spec, c->reply, passed);
    ae_check_close(check);
    json_decref(messages);
    json_decref(row);
    json_decref(spec);
}

static void replies_are_held_to_checks(void **state)
{
    static const check_case cases[] = {
        { "\"json\"", "{\"a\": 1}", NULL, true },
        { "\"json\"", " [1, 2]\n", NULL, true },
        { "\"json\"", "```json\n{\"a\": [1]}\n```", NULL, true },
        { "\"json\"", "```\n7\n```\n", NULL, true },
        { "\"json\"", "Here: {\"a\": 1}", NULL, false },
        { "\"json\"", "{\"a\": 1, \"a\": 2}", NULL, false },
        { "\"json\"", "```json\n{\n```", NULL, false },
        { "\"json\"", "", NULL, false },
        { "\"!json\"", "no", NULL, true },
        { "{\"type\": \"json\", \"not\": true}", "1", NULL, false },
        { "\"contains:yes\"", "oh yes", NULL, true },
        { "\"contains:yes\"", "Yes", NULL, false },
        { "{\"type\": \"contains\", \"text\": \"YES\", \"ignore_case\": true}", "a yes", NULL,
          true },
        { "{\"type\": \"contains\", \"texts\": [\"a\", \"b\"]}", "a", NULL, false },
        { "{\"type\": \"contains\", \"texts\": [\"a\", \"b\"], \"any\": true}", "a", NULL, true },
        { "\"regex:^\\\\d+$\"", "123", NULL, true },
        { "\"regex:^\\\\d+$\"", "12a", NULL, false },
        { "{\"type\": \"regex\", \"pattern\": \"straße\", \"ignore_case\": true}", "STRAßE", NULL,
          true },
        { "\"equals\"", " Paris\n", "Paris", true },
        { "\"equals\"", "paris", "Paris", false },
        { "{\"type\": \"equals\", \"ignore_case\": true}", "paris", "Paris ", true },
        { "\"equals:4\"", "4", NULL, true },
        { "\"number\"", "So it is 1,234.50 in all.", "1234.5", true },
        { "\"number\"", "first 3, then 42", "42", true },
        { "\"number\"", "-5", "5", false },
        { "\"number\"", "10-5", "5", true },
        { "\"number\"", "none", "5", false },
        { "\"number:7\"", "7.0", NULL, true },
        { "{\"type\": \"number\", \"value\": 3.14, \"tolerance\": 0.01}", "3.145", NULL, true },
        { "\"max_words:3\"", "one two three", NULL, true },
        { "\"max_words:3\"", "one two three four", NULL, false },
        { "\"max_chars:4\"", "äöüß", NULL, true },
        { "{\"type\": \"length\", \"min\": 2, \"unit\": \"words\"}", "one", NULL, false },
        { "{\"type\": \"length\", \"min\": 2, \"max\": 3}", "one", NULL, true },
        { "\"not_empty\"", " \n", NULL, false },
        { "\"answers\"", "Paris, of course.", NULL, true },
        { "\"answers\"", "I\xe2\x80\x99m sorry, but I can\xe2\x80\x99t help with that.", NULL,
          false },
        { "\"refuses\"", "I cannot assist with that request.", NULL, true },
        { "\"language:en\"", "The cat is in the house and it is warm.", NULL, true },
        { "\"language:de\"", "Die Katze ist im Haus, und es ist warm.", NULL, true },
        { "\"language:fr\"", "Le chat est dans la maison et il fait chaud.", NULL, true },
        { "\"language:en\"", "Le chat est dans la maison et il fait chaud.", NULL, false },
        { "\"language:zh\"", "猫在房子里。", NULL, true },
        { "\"language:ja\"", "猫は家の中にいます。", NULL, true },
        { "\"language:ru\"", "Кошка в доме.", NULL, true },
        { "\"similar:0.5\"", "the cat sat on the mat", "The cat sat.", true },
        { "\"similar:0.9\"", "the cat sat on the mat", "The cat sat.", false },
        { "\"program:anything\"", "abc", NULL, true },
        { "\"program:anything\"", "abcd", NULL, false },
        { "{\"type\": \"program\", \"command\": \"length\", \"min\": 4}", "abcd", NULL, true },
    };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(cases); i++) check_one(&cases[i]);
}

/* Neither did it match, nor did it not. */
static void a_pattern_that_is_given_up_is_named(void **state)
{
    static const char *const specs[] = { "\"regex:(a+)+$\"", "\"!regex:(a+)+$\"" };
    static const char reply[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab";

    (void)state;
    for (size_t i = 0; i < AE_COUNT(specs); i++) {
        json_t *spec = json_loads(specs[i], JSON_DECODE_ANY, NULL);
        const ae_check_of of = { .id = "1" };
        aerie_error err = { 0 };
        ae_check *check;
        bool passed;
        assert_int_equal(ae_check_open(&check, spec, &err), AERIE_OK);
        assert_int_equal(ae_check_run(check, &of, reply, strlen(reply), &passed, &err),
                         AERIE_BAD_TEXT);
        if (!strstr(err.message, "'(a+)+$' was given up")) fail_msg("%s", err.message);
        ae_check_close(check);
        json_decref(spec);
    }
}

/* Another check's word in its spec does not stand in for it. */
static void what_is_expected_is_asked_for(void **state)
{
    static const struct {
        const char *spec;
        bool wants;
    } cases[] = {
        { "\"equals\"", true },
        { "\"equals:4\"", false },
        { "{\"type\": \"equals\", \"value\": 4}", true },
        { "\"number\"", true },
        { "\"number:4\"", false },
        { "{\"type\": \"number\", \"text\": \"4\"}", true },
        { "\"similar:0.5\"", true },
        { "{\"type\": \"similar\", \"min\": 0.5, \"value\": 4}", true },
        { "\"contains:yes\"", false },
    };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        json_t *spec = json_loads(cases[i].spec, JSON_DECODE_ANY, NULL);
        ae_check *check;
        assert_int_equal(ae_check_open(&check, spec, NULL), AERIE_OK);
        if (ae_check_wants_expected(check) != cases[i].wants) fail_msg("%s", cases[i].spec);
        ae_check_close(check);
        json_decref(spec);
    }
}

static void mistakes_are_named(void **state)
{
    static const struct {
        const char *spec, *says;
    } cases[] = {
        { "\"jsn\"", "did you mean 'json'" },
        { "{\"type\": \"regexp\"}", "did you mean 'regex'" },
        { "\"regex:(\"", "at character" },
        { "\"number:x\"", "no number" },
        { "\"json:x\"", "nothing goes after" },
        { "{\"type\": \"contains\"}", "'text'" },
        { "{\"type\": \"length\"}", "'min'" },
        { "{\"type\": \"similar\", \"min\": 2}", "at most 1" },
        { "{\"type\": \"json_schema\"}", "'schema'" },
        { "{\"type\": \"json_schema\", \"schema\": {\"if\": {}}}", "'if'" },
        { "{\"type\": \"json_schema\", \"schema\": {\"$ref\": \"#/$defs/a\"}}", "leads nowhere" },
        { "{\"type\": \"json_schema\", \"schema\": {\"pattern\": \"(\"}}",
          "pattern '(' is no regular" },
        { "{\"type\": \"json_schema\", \"schema\": {\"type\": \"int\"}}", "'int' is none" },
        { "{\"type\": \"json_schema\", \"schema\": {\"type\": [\"null\", 3]}}", "list of types" },
        { "{\"type\": \"length\", \"min\": \"5\", \"max\": 9}", "numbers as 'min'" },
        { "\"number:nan\"", "no number" },
        { "\"max_words:inf\"", "no number" },
        { "3", "a check is" },
        { "{}", "a check is" },
    };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        json_t *spec = json_loads(cases[i].spec, JSON_DECODE_ANY, NULL);
        aerie_error err = { 0 };
        ae_check *check;
        assert_true(ae_check_open(&check, spec, &err) != AERIE_OK);
        assert_null(check);
        if (!strstr(err.message, cases[i].says)) fail_msg("%s: %s", cases[i].spec, err.message);
        json_decref(spec);
    }
}

static void schemas_bind(void **state)
{
    static const struct {
        const char *schema, *value;
        bool fits;
    } cases[] = {
        { "{\"type\": \"object\", \"required\": [\"a\"]}", "{\"a\": 1}", true },
        { "{\"type\": \"object\", \"required\": [\"a\"]}", "{\"b\": 1}", false },
        { "{\"properties\": {\"a\": {\"type\": \"integer\"}}}", "{\"a\": 1.0}", true },
        { "{\"properties\": {\"a\": {\"type\": \"integer\"}}}", "{\"a\": 1.5}", false },
        { "{\"properties\": {\"a\": {}}, \"additionalProperties\": false}", "{\"a\": 1}", true },
        { "{\"properties\": {\"a\": {}}, \"additionalProperties\": false}", "{\"b\": 1}", false },
        { "{\"additionalProperties\": {\"type\": \"string\"}}", "{\"b\": 1}", false },
        { "{\"type\": [\"string\", \"null\"]}", "null", true },
        { "{\"enum\": [1, \"a\"]}", "1.0", true },
        { "{\"enum\": [1, \"a\"]}", "\"b\"", false },
        { "{\"const\": {\"a\": [1]}}", "{\"a\": [1]}", true },
        { "{\"items\": {\"minimum\": 2}}", "[2, 3]", true },
        { "{\"items\": {\"minimum\": 2}}", "[1]", false },
        { "{\"prefixItems\": [{\"type\": \"string\"}], \"items\": false}", "[\"a\"]", true },
        { "{\"prefixItems\": [{\"type\": \"string\"}], \"items\": false}", "[\"a\", 1]", false },
        { "{\"minItems\": 2, \"uniqueItems\": true}", "[1, 1]", false },
        { "{\"exclusiveMaximum\": 3, \"multipleOf\": 0.1}", "2.9", true },
        { "{\"exclusiveMaximum\": 3}", "3", false },
        { "{\"minLength\": 2, \"maxLength\": 2}", "\"äö\"", true },
        { "{\"pattern\": \"^a\"}", "\"ba\"", false },
        { "{\"anyOf\": [{\"type\": \"string\"}, {\"type\": \"number\"}]}", "true", false },
        { "{\"oneOf\": [{\"minimum\": 1}, {\"maximum\": 5}]}", "3", false },
        { "{\"allOf\": [{\"minimum\": 1}, {\"maximum\": 5}]}", "3", true },
        { "{\"not\": {\"type\": \"string\"}}", "\"a\"", false },
        { "{\"$ref\": \"#/$defs/t\", \"$defs\": {\"t\": {\"properties\": {\"l\": {\"$ref\": "
          "\"#/$defs/t\"}}, \"required\": [\"v\"]}}}",
          "{\"v\": 1, \"l\": {\"v\": 2}}", true },
        { "{\"$ref\": \"#/$defs/t\", \"$defs\": {\"t\": {\"properties\": {\"l\": {\"$ref\": "
          "\"#/$defs/t\"}}, \"required\": [\"v\"]}}}",
          "{\"v\": 1, \"l\": {}}", false },
        /* Leads to itself, many ways: refused, in bounded time. */
        { "{\"anyOf\": [{\"$ref\": \"#\"}, {\"$ref\": \"#\"}, {\"$ref\": \"#\"}]}", "1", false },
        { "false", "1", false },
    };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        json_t *schema = json_loads(cases[i].schema, JSON_DECODE_ANY, NULL);
        json_t *value = json_loads(cases[i].value, JSON_DECODE_ANY, NULL);
        assert_non_null(schema);
        assert_int_equal(ae_check_schema_open(schema, NULL), AERIE_OK);
        if (ae_check_schema(schema, value) != cases[i].fits)
            fail_msg("%s of %s is not %d", cases[i].schema, cases[i].value, cases[i].fits);
        json_decref(schema);
        json_decref(value);
    }
}

static void texts_are_likened(void **state)
{
    static const struct {
        const char *text, *cut;
    } cuts[] = { { "a\xc3\xa4", "a\xc3\xa4" },
                 { "a\xc3", "a" },
                 { "\xe7\x8c", "" },
                 { "\xf0\x9f\x98", "" },
                 { "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
                 { "", "" },
                 { "abc", "abc" } };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(cuts); i++) {
        char text[8];
        strcpy(text, cuts[i].text);
        ae_reply_cut(text);
        assert_string_equal(text, cuts[i].cut);
    }
    assert_true(ae_reply_similarity("a b c", "A, b; c!") == 1);
    assert_true(ae_reply_similarity("a b c d", "b d") == 2.0 * 2 / 6);
    assert_true(ae_reply_similarity("a", "b") == 0);
    assert_true(ae_reply_similarity("", "") == 1);
    assert_string_equal(ae_reply_language("", 0), "");
    assert_int_equal(ae_reply_words("  a b\n", 6), 2);
}

/* A value is looked at for so long, and what was not looked at does not fit, whatever is "not". */
static void a_schema_comes_to_an_end(void **state)
{
    static const char *const schemas[] = {
        "{\"items\": {\"pattern\": \"^(a|aa)+$\"}}",
        "{\"not\": {\"items\": {\"pattern\": \"^(a|aa)+$\"}}}",
        "{\"$ref\": \"#\"}",
        "{\"not\": {\"anyOf\": [{\"$ref\": \"#\"}, {\"$ref\": \"#\"}, {\"$ref\": \"#\"}]}}",
    };
    json_t *value = json_array();

    (void)state;
    for (int i = 0; i < 3000; i++)
        json_array_append_new(value, json_string("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"));
    for (size_t i = 0; i < AE_COUNT(schemas); i++) {
        json_t *schema = json_loads(schemas[i], 0, NULL);
        assert_int_equal(ae_check_schema_open(schema, NULL), AERIE_OK);
        assert_false(ae_check_schema(schema, value));
        json_decref(schema);
    }
    for (int i = 0; i < 3000; i++) json_array_set_new(value, (size_t)i, json_integer(i));
    json_t *unique = json_loads("{\"uniqueItems\": true}", 0, NULL);
    assert_false(ae_check_schema(unique, value)); /* four million and a half to compare */
    json_decref(unique);
    json_decref(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_are_held_to_checks),
        cmocka_unit_test(a_pattern_that_is_given_up_is_named),
        cmocka_unit_test(what_is_expected_is_asked_for),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(schemas_bind),
        cmocka_unit_test(a_schema_comes_to_an_end),
        cmocka_unit_test(texts_are_likened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
