/* test_schema.c -- values that a schema takes and those it does not; schemas that cannot be
 * enforced; and whatever is written by chance under a schema is JSON. */
#include "follow.h"
#include "scratch.h"

static ae_grammar *compile(const char *text, aerie_error *err)
{
    ae_grammar *g = NULL;
    json_t *schema = json_loads(text, JSON_DECODE_ANY, NULL);
    if (!schema) fail_msg("not JSON: %s", text);
    aerie_status status = ae_grammar_of_schema(&g, schema, err);
    assert_int_equal(status != AERIE_OK, g == NULL);
    json_decref(schema);
    return g;
}

typedef struct {
    const char *schema;
    const char *takes[8], *not [8]; /* with ' for " */
} case_of_schema;

static const case_of_schema cases[] = {
    { "{\"type\": \"object\"}",
      { "{}", "{'a': 1, 'b': [true, null, -1.5e+3, '\\u00e4\\n', {}]}", "{\n  'a': 1\n}" },
      { "[]", "{'a'}", "{'a': 01}", "{'a': .5}", "{'a': '\\ud800'}", "{'a': '\n'}", "{,}" } },
    { "{\"type\": \"string\", \"minLength\": 2, \"maxLength\": 3}",
      { "'ab'", "'a\\n\xC3\xA4'", "'\\u00e4b'" },
      { "'a'", "'abcd'", "ab", "''" } },
    { "{\"type\": [\"integer\", \"null\"]}",
      { "0", "-12", "null" },
      { "1.0", "01", "--1", "true" } },
    { "{\"type\": \"integer\", \"minimum\": -3, \"exclusiveMaximum\": 120}",
      { "-3", "0", "7", "42", "100", "119" },
      { "-4", "120", "-0", "1000", "007" } },
    { "{\"type\": \"integer\", \"minimum\": 1950, \"maximum\": 2026}",
      { "1950", "1999", "2000", "2026" },
      { "1949", "2027", "195", "20000" } },
    { "{\"type\": \"number\", \"minimum\": 0, \"maximum\": 1}",
      { "0", "0.5", "1", "1.0", "0.123456" },
      { "1.1", "-0.1", "2", ".5" } },
    { "{\"type\": \"number\", \"minimum\": -2}",
      { "-2", "-1.5", "-0.5", "3", "17.25" },
      { "-2.1", "-3" } },
    { "{\"enum\": [\"red\", 1, null, [1, \"x\"]]}",
      { "'red'", "1", "null", "[1,'x']" },
      { "'blue'", "2", "'re'" } },
    { "{\"type\": \"string\", \"enum\": [\"a\", 1, \"b\"]}", { "'a'", "'b'" }, { "1" } },
    { "{\"const\": {\"a\": \"\\\"\"}}", { "{'a':'\\''}" }, { "{'a': 1}" } },
    { "{\"type\": \"object\", \"properties\": {\"name\": {\"type\": \"string\"}, \"age\": "
      "{\"type\": "
      "\"integer\"}, \"on\": {\"type\": \"boolean\"}}, \"required\": [\"name\", \"on\"]}",
      { "{'name': 'x', 'age': 3, 'on': true}", "{'name':'x','on':false}" },
      { "{'on': true, 'name': 'x'}", "{'name': 'x'}", "{}", "{'name': 'x', 'on': true, 'z': 1}",
        "{'name': 1, 'on': true}" } },
    { "{\"properties\": {\"a\": {}, \"b\": {\"type\": \"null\"}}}",
      { "{}", "{'a': {'x': 1}}", "{'b': null}", "{'a': 1, 'b': null}" },
      { "{'b': null, 'a': 1}", "{'b': 1}", "{'c': 1}" } },
    { "{\"type\": \"object\", \"properties\": {\"ab\": {\"type\": \"null\"}, \"ac\": {}}, "
      "\"additionalProperties\": {\"type\": \"integer\"}}",
      { "{'ab': null, 'x': 1}", "{'a': 1, 'abc': 2}", "{'x': 1}", "{'ac': [], 'ad': 1}",
        "{'': 1}" },
      { "{'ab': 1}", "{'x': 'y'}", "{'x': 1, 'ab': null}", "{'\\u0061b': 1}" } },
    { "{\"type\": \"object\", \"additionalProperties\": {\"type\": \"integer\"}, "
      "\"minProperties\": 1, "
      "\"maxProperties\": 2}",
      { "{'a': 1}", "{'a': 1, 'b': 2}" },
      { "{}", "{'a': 1, 'b': 2, 'c': 3}", "{'a': true}" } },
    { "{\"type\": \"array\", \"items\": {\"type\": \"integer\"}, \"minItems\": 1, \"maxItems\": 3}",
      { "[1]", "[1, 2,3]" },
      { "[]", "[1,2,3,4]", "['a']", "[1,]" } },
    { "{\"type\": \"array\", \"prefixItems\": [{\"type\": \"string\"}, {\"type\": \"integer\"}], "
      "\"items\": false}",
      { "['a', 1]" },
      { "['a']", "['a', 1, 2]", "[1, 'a']" } },
    { "{\"anyOf\": [{\"type\": \"integer\"}, {\"type\": \"string\", \"maxLength\": 1}]}",
      { "5", "'x'" },
      { "'xy'", "true" } },
    { "{\"type\": \"object\", \"properties\": {\"k\": {\"type\": \"string\"}}, \"required\": "
      "[\"k\"], "
      "\"oneOf\": [{\"properties\": {\"a\": {\"type\": \"integer\"}}, \"required\": [\"a\"]}, "
      "{\"properties\": {\"b\": {\"type\": \"null\"}}, \"required\": [\"b\"]}]}",
      { "{'k': 'x', 'a': 1}", "{'k': 'x', 'b': null}" },
      { "{'k': 'x'}", "{'a': 1}", "{'k': 'x', 'b': 1}" } },
    { "{\"allOf\": [{\"properties\": {\"a\": {\"type\": \"integer\"}}}, {\"required\": [\"a\"]}]}",
      { "{'a': 1}" },
      { "{}", "{'a': true}" } },
    { "{\"$ref\": \"#/$defs/tree\", \"$defs\": {\"tree\": {\"type\": \"object\", \"properties\": "
      "{\"v\": {\"type\": \"integer\"}, \"next\": {\"type\": \"array\", \"items\": {\"$ref\": "
      "\"#/$defs/tree\"}}}, \"required\": [\"v\"]}}}",
      { "{'v': 1}", "{'v': 1, 'next': [{'v': 2, 'next': []}, {'v': 3}]}" },
      { "{}", "{'v': 1, 'next': [{}]}" } },
    { "{\"type\": \"string\", \"pattern\": \"^(\\\\d{3}-)?[a-c\\\"]+\\\\.$\"}",
      { "'123-abc.'", "'a.'", "'\\'.'" },
      { "'123-.'", "'a'", "'da.'", "'123-abcx.'" } },
    { "{\"type\": \"string\", \"pattern\": \"b\"}", { "'b'", "'abc'", "'\\nb'" }, { "'a'", "''" } },
    { "{\"type\": \"string\", \"format\": \"date\"}",
      { "'2026-11-22'" },
      { "'2026-13-22'", "'2026-1-2'", "'x'" } },
    { "{\"type\": \"string\", \"format\": \"ipv4\"}",
      { "'127.0.0.1'" },
      { "'256.0.0.1'", "'1.2.3'" } },
    { "{\"type\": \"string\", \"nullable\": true, \"description\": \"x\", \"x-more\": 1}",
      { "null", "'a'" },
      { "1" } },
    { "true", { "1", "'a'", "[{}]" }, { "a" } },
};

/* ' is " there, so that the table can be read. */
static follow_result follows(const ae_grammar *g, const char *text, size_t step)
{
    char real[256];
    size_t n = strlen(text);
    assert_true(n < sizeof real);
    for (size_t i = 0; i <= n; i++) real[i] = text[i] == '\'' ? '"' : text[i];
    return follow_text(g, (ae_span){ real, n }, step);
}

static void schemas_take_their_values_alone(void **state)
{
    (void)state;
    for (size_t c = 0; c < AE_COUNT(cases); c++) {
        aerie_error err = { 0 };
        ae_grammar *g = compile(cases[c].schema, &err);
        if (!g) fail_msg("%s\n%s", cases[c].schema, err.message);
        for (size_t i = 0; i < 8 && cases[c].takes[i]; i++)
            for (size_t step = 1; step < 9; step += 7)
                if (follows(g, cases[c].takes[i], step) != FOLLOW_WHOLE)
                    fail_msg("%s\nrefuses %s", cases[c].schema, cases[c].takes[i]);
        for (size_t i = 0; i < 8 && cases[c].not [i]; i++)
            if (follows(g, cases[c].not [i], 1) == FOLLOW_WHOLE)
                fail_msg("%s\ntakes %s", cases[c].schema, cases[c].not [i]);
        ae_grammar_free(g);
    }
}

static void what_cannot_be_enforced_is_refused(void **state)
{
    static const struct {
        const char *schema, *says;
    } bad[] = {
        { "{\"not\": {}}", "'not' cannot be enforced" },
        { "{\"type\": \"array\", \"uniqueItems\": true}", "'uniqueItems' cannot be enforced" },
        { "{\"type\": \"object\", \"patternProperties\": {}}", "'patternProperties'" },
        { "{\"type\": \"number\", \"minimum\": 0.5}", "that are whole" },
        { "{\"type\": \"integer\", \"multipleOf\": 3}", "multipleOf" },
        { "{\"type\": \"integer\", \"minimum\": 5, \"maximum\": 4}", "no number fits" },
        { "{\"type\": \"thing\"}", "no type 'thing'" },
        { "{\"type\": 3}", "not a name" },
        { "{\"type\": \"string\", \"minLength\": -1}", "not a count" },
        { "{\"type\": \"string\", \"minLength\": 3, \"maxLength\": 2}", "cannot be" },
        { "{\"type\": \"string\", \"pattern\": \"(?=a)\"}", "looking ahead" },
        { "{\"type\": \"string\", \"pattern\": \"(a\"}", "not closed" },
        { "{\"type\": \"string\", \"pattern\": \"a)\"}", "has no (" },
        { "{\"type\": \"string\", \"pattern\": \"*a\"}", "nothing before" },
        { "{\"type\": \"string\", \"pattern\": \"^a|b$\"}", "in a group" },
        { "{\"type\": \"string\", \"pattern\": \"\\\\1\"}", "of escapes only" },
        { "{\"type\": \"string\", \"pattern\": \"a\", \"minLength\": 1}", "beside a pattern" },
        { "{\"type\": \"object\", \"required\": [\"a\"]}", "'a' is required" },
        { "{\"enum\": []}", "no value fits" },
        { "{\"$ref\": \"#/a\"}", "is not there" },
        { "{\"$ref\": \"https://example.org/s\"}", "only parts of itself" },
        { "{\"$ref\": \"#\"}", "circle" },
        { "{\"allOf\": [{\"type\": \"string\"}, {\"type\": \"integer\"}]}", "both have 'type'" },
        { "false", "lets no value through" },
        { "3", "must be an object or a boolean" },
        { "{\"anyOf\": []}", "not a list of schemas" },
        { "{\"type\": \"array\", \"items\": {\"$ref\": \"#\"}, \"minItems\": 1}",
          "never comes to an end" },
        { "{\"type\": \"array\", \"minItems\": 1000000}", "cannot be" },
    };
    (void)state;
    for (size_t i = 0; i < AE_COUNT(bad); i++) {
        aerie_error err = { 0 };
        ae_grammar *g = compile(bad[i].schema, &err);
        if (g || !strstr(err.message, bad[i].says)) fail_msg("%s\n%s", bad[i].schema, err.message);
    }
}

static void a_deep_schema_is_refused(void **state)
{
    ae_bytes text = { 0 };
    aerie_error err = { 0 };
    (void)state;
    for (int i = 0; i < 1000; i++) ae_bytes_add_text(&text, "{\"type\":\"array\",\"items\":");
    ae_bytes_add_text(&text, "{}");
    for (int i = 0; i < 1000; i++) ae_bytes_add_char(&text, '}');
    assert_null(compile(text.data, &err));
    assert_non_null(strstr(err.message, "too deep"));
    ae_bytes_free(&text);
}

/* Writes a text byte by byte, each drawn from those that may come; false when it is not at an end
 * after `most`. */
static bool write_text(const ae_grammar *g, ae_bytes *text, ae_rng *rng, size_t most)
{
    ae_grammar_state *s;
    bool ended = false;
    assert_int_equal(ae_grammar_start(&s, g, NULL), AERIE_OK);
    while (text->len < most && !ended) {
        char may[256];
        size_t n = 0;
        for (int b = 0; b < 256; b++) {
            char c = (char)b;
            if (ae_grammar_takes(s, (ae_span){ &c, 1 })) may[n++] = c;
        }
        if (n == 0) assert_true(ae_grammar_must_end(s) && ae_grammar_may_end(s));
        ended = n == 0 || (ae_grammar_may_end(s) && ae_rng_below(rng, 4) == 0);
        if (ended) break;
        char c = may[ae_rng_below(rng, n)];
        assert_true(ae_grammar_advance(s, (ae_span){ &c, 1 }));
        ae_bytes_add_char(text, c);
    }
    ae_grammar_stop(s);
    return ended;
}

static void whatever_is_written_is_json(void **state)
{
    ae_rng rng;
    int n_whole = 0;
    (void)state;
    ae_rng_seed(&rng, 7);
    for (size_t c = 0; c < AE_COUNT(cases); c++) {
        ae_grammar *g = compile(cases[c].schema, NULL);
        for (int i = 0; i < 20; i++) {
            ae_bytes text = { 0 };
            json_error_t why;
            if (write_text(g, &text, &rng, 400)) {
                json_t *value =
                    json_loadb(text.data, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
                if (!value) fail_msg("%s\nwrote %s: %s", cases[c].schema, text.data, why.text);
                json_decref(value);
                n_whole++;
            }
            ae_bytes_free(&text);
        }
        ae_grammar_free(g);
    }
    assert_true(n_whole > 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schemas_take_their_values_alone),
        cmocka_unit_test(what_cannot_be_enforced_is_refused),
        cmocka_unit_test(a_deep_schema_is_refused),
        cmocka_unit_test(whatever_is_written_is_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
