/* Filters and exact match give what the harness' own code gave on GSM8K's replies. */
#include "eval/reply_filter.h"

#include "scratch.h"

#include "text/text.h"

static const char *const ignored[] = { ",", "\\$", "(?s).*#### ", "\\.$" };
static const ae_metric exact = { .name = "exact_match",
                                 .rule = "exact_match",
                                 .ignore_regexes = ignored,
                                 .n_ignore_regexes = 4,
                                 .ignore_case = true };

static json_t *object(const char *text)
{
    json_t *value = json_loads(text, 0, NULL);

    assert_non_null(value);
    return value;
}

static ae_span span_of(const json_t *text)
{
    return (ae_span){ json_string_value(text), json_string_length(text) };
}

/* What comes before each stop string, one after the other. */
static ae_span cut(ae_span text, const json_t *stops)
{
    for (size_t i = 0; i < json_array_size(stops); i++) {
        size_t at = jinja_find_text(text, span_of(json_array_get(stops, i)), 0);
        if (at != SIZE_MAX) text.len = at;
    }
    return text;
}

static void check_reply(const json_t *row, const json_t *root, const ae_filter *filter)
{
    const json_t *want = json_object_get(json_object_get(row, "filtered"), filter->name);
    const json_t *doc = json_array_get(json_object_get(root, "docs"),
                                       (size_t)json_integer_value(json_object_get(row, "doc")));
    ae_span reply =
        cut(span_of(json_object_get(row, "raw_generation")), json_object_get(root, "stop"));
    ae_bytes found = { 0 };
    bool same;
    aerie_error err = { 0 };

    assert_true(ae_span_equal(reply, span_of(json_object_get(row, "after_stop"))));
    if (ae_filter_apply(&found, filter, reply, &err)) fail_msg("%s", err.message);
    if (!ae_span_equal(ae_span_of(&found), span_of(want)))
        fail_msg("'%.*s', not '%s'", (int)found.len, found.data, json_string_value(want));
    if (ae_exact_match(&same, &exact, ae_span_of(&found), span_of(json_object_get(doc, "answer")),
                       &err))
        fail_msg("%s", err.message);
    assert_int_equal(same, json_number_value(json_object_get(json_object_get(row, "exact_match"),
                                                             filter->name)) > 0.5);
    ae_bytes_free(&found);
}

static void replies_to_gsm8k_are_read_as_by_the_harness(void **state)
{
    json_t *root = json_load_file("test/eval/golden/gsm8k_scoring.json", 0, NULL);
    json_t *strict = object("{\"regex_pattern\": \"#### (\\\\-?[0-9\\\\.\\\\,]+)\"}");
    json_t *flexible =
        object("{\"group_select\": -1, \"regex_pattern\": \"(-?[$0-9.,]{2,})|(-?[0-9]+)\"}");
    json_t *none = json_object();
    const ae_filter_step steps[2][2] = { { { "regex", strict }, { "take_first", none } },
                                         { { "regex", flexible }, { "take_first", none } } };
    const ae_filter filters[] = { { "strict-match", steps[0], 2 },
                                  { "flexible-extract", steps[1], 2 } };
    const json_t *rows = json_object_get(root, "scoring");
    (void)state;

    assert_true(json_array_size(rows) > 10);
    for (size_t i = 0; i < json_array_size(rows); i++)
        for (int f = 0; f < 2; f++) check_reply(json_array_get(rows, i), root, &filters[f]);
    json_decref(strict);
    json_decref(flexible);
    json_decref(none);
    json_decref(root);
}

static void steps_do_what_they_say(void **state)
{
    static const struct {
        const char *function, *options, *reply, *answer;
    } cases[] = {
        { "lowercase", "{}", "A Bc", "a bc" },
        { "uppercase", "{}", "a bc", "A BC" },
        { "remove_whitespace", "{}", "  a b ", "a b " },
        { "regex", "{\"regex_pattern\": \"x(\\\\d)\", \"group_select\": 1}", "x1 x2 x3", "2" },
        { "regex", "{\"regex_pattern\": \"x(\\\\d)\", \"group_select\": -3}", "x1 x2",
          "[invalid]" },
        { "regex", "{\"regex_pattern\": \"x\\\\d\"}", "ax1", "x1" },
        { "regex", "{\"regex_pattern\": \"q\", \"fallback\": \"-\"}", "x", "-" },
        { "map", "{\"mapping_dict\": {\"a\": \"1\"}, \"default_value\": \"?\"}", "a", "1" },
        { "map", "{\"mapping_dict\": {\"a\": \"1\"}, \"default_value\": \"?\"}", "b", "?" },
    };
    (void)state;

    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        json_t *options = object(cases[i].options);
        const ae_filter_step step = { cases[i].function, options };
        const ae_filter filter = { "f", &step, 1 };
        ae_bytes out = { 0 };
        assert_int_equal(ae_filter_apply(&out, &filter, ae_span_text(cases[i].reply), NULL),
                         AERIE_OK);
        if (!ae_span_is(ae_span_of(&out), cases[i].answer))
            fail_msg("case %zu: '%.*s'", i, (int)out.len, out.data);
        ae_bytes_free(&out);
        json_decref(options);
    }
}

static void an_unknown_step_is_named(void **state)
{
    json_t *none = json_object();
    const ae_filter_step step = { "shout", none };
    const ae_filter filter = { "f", &step, 1 };
    ae_bytes out = { 0 };
    aerie_error err = { 0 };
    (void)state;

    assert_int_equal(ae_filter_apply(&out, &filter, ae_span_text("x"), &err), AERIE_UNSUPPORTED);
    assert_non_null(strstr(err.message, "shout"));
    ae_bytes_free(&out);
    json_decref(none);
}

/* Neither is it "[invalid]", nor do the texts differ. */
static void a_pattern_that_is_given_up_is_named(void **state)
{
    static const char *const pattern[] = { "(a+)+b" };
    static const char reply[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!b";
    json_t *options = json_pack("{s:s, s:i}", "regex_pattern", pattern[0], "group_select", -1);
    const ae_filter_step step = { "regex", options };
    const ae_filter filter = { "f", &step, 1 };
    const ae_metric metric = { .ignore_regexes = pattern, .n_ignore_regexes = 1 };
    ae_bytes out = { 0 };
    bool same;
    aerie_error err = { 0 }, other = { 0 };
    (void)state;

    assert_int_equal(ae_filter_apply(&out, &filter, ae_span_text(reply), &err), AERIE_BAD_TEXT);
    assert_non_null(strstr(err.message, "'(a+)+b' was given up"));
    assert_int_equal(
        ae_exact_match(&same, &metric, ae_span_text(reply), ae_span_text(reply), &other),
        AERIE_BAD_TEXT);
    assert_non_null(strstr(other.message, "'(a+)+b' was given up"));
    ae_bytes_free(&out);
    json_decref(options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_to_gsm8k_are_read_as_by_the_harness),
        cmocka_unit_test(steps_do_what_they_say),
        cmocka_unit_test(an_unknown_step_is_named),
        cmocka_unit_test(a_pattern_that_is_given_up_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
