/* Patterns that users bring: what is found, and that a search comes to an end. */
#include "text/regex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static ae_regex *search_for(const char *pattern)
{
    ae_regex *r = NULL;
    aerie_error err = { 0 };

    if (ae_regex_open_search(&r, pattern, 0, &err)) fail_msg("%s", err.message);
    return r;
}

static void matches_are_found_one_after_the_other(void **state)
{
    static const struct {
        const char *pattern, *text;
        int64_t n;
    } cases[] = {
        { "\\w+", "one zwei, três", 3 },
        { "", "äb", 3 },
        { "(?s)a.*?c", "a\nc abc", 2 },
        { "\\Ga", "aaba", 2 },
        { "a(?C1)b", "abab", 2 },
        { "q", "", 0 },
        { "a", "a\xff", 0 }, /* no text */
    };
    (void)state;

    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        ae_regex *r = search_for(cases[i].pattern);
        int64_t n = ae_regex_count(r, ae_span_text(cases[i].text));
        if (n != cases[i].n) fail_msg("%s: %lld", cases[i].pattern, (long long)n);
        assert_int_equal(ae_regex_status(r, NULL), AERIE_OK);
        ae_regex_close(r);
    }
}

/* PCRE2 lets a group set where the match begins, and lets a look ahead or behind call the group: it
 * can begin behind its end, or before where it was looked for, and be found again for ever. */
static void a_match_begins_where_it_was_looked_for(void **state)
{
    static const struct {
        const char *pattern, *without;
        int64_t n;
    } cases[] = {
        { "(?(DEFINE)(?<x>a\\K))(?=(?&x))", "abcabab", 0 },
        { "(?(DEFINE)(?<x>a\\K))(?<=(?&x)b)", "acabab", 1 }, /* the second begins before the end
                                                              * of the first */
    };
    (void)state;

    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        ae_regex *r = search_for(cases[i].pattern);
        ae_bytes out = { 0 };
        assert_int_equal(ae_regex_count(r, ae_span_text("abcabab")), cases[i].n);
        ae_regex_replace(r, ae_span_text("abcabab"), "", &out);
        if (!ae_span_is(ae_span_of(&out), cases[i].without))
            fail_msg("%s: '%.*s'", cases[i].pattern, (int)out.len, out.data);
        ae_bytes_free(&out);
        ae_regex_close(r);
    }
}

/* More than a match has room for. */
static void groups_may_be_many(void **state)
{
    ae_bytes pattern = { 0 };
    ae_span groups[3];
    (void)state;

    for (int i = 0; i < 100; i++) ae_bytes_add_text(&pattern, i == 1 ? "(b)" : "(a)?");
    ae_bytes_add_char(&pattern, '\0');
    ae_regex *r = search_for(pattern.data);
    assert_int_equal(ae_regex_groups(r), 100);
    assert_true(ae_regex_find(
        r, ae_span_text("-abaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), 0, groups, 3));
    assert_true(ae_span_is(groups[1], "a") && ae_span_is(groups[2], "b"));
    ae_regex_close(r);
    ae_bytes_free(&pattern);
}

/* A text may be long, and a pattern that looks at each character a few times is not given up. */
static void what_is_linear_is_found_in_a_long_text(void **state)
{
    enum { LONG = 1 << 17 };
    static const char *const patterns[] = { "(?s)^a.*?b.*?$", "a*+b", "(?:a|c)*b", "^(a+)b" };
    char *text = ae_alloc(LONG + 2, 1);
    (void)state;

    assert_non_null(text);
    memset(text, 'a', LONG);
    text[LONG] = 'b';
    for (size_t i = 0; i < AE_COUNT(patterns); i++) {
        ae_regex *r = search_for(patterns[i]);
        aerie_error err = { 0 };
        int64_t n = ae_regex_count(r, (ae_span){ text, LONG + 1 });
        if (ae_regex_status(r, &err)) fail_msg("%s", err.message);
        assert_int_equal(n, 1);
        ae_regex_close(r);
    }
    ae_free(text);
}

/* However the ways are hidden: in one start or in many, in many matches, in the ends of groups,
 * in what is gone over at once. */
static void a_search_without_end_is_given_up(void **state)
{
    enum { LONG = 1 << 20 };
    static const char *const patterns[] = {
        "(a+)+c",
        "(?:a|aa)*?c",
        "a(?=((?:a|aa){22}c)?)",
        "(?:a{0,1000}){0,1000}cc",
        "(a*)(?:\\1\\1d|\\1\\1e|\\1\\1f)*c",
        "^.(?:a|d)*c", /* by its memory */
    };
    char *text = ae_alloc(LONG, 1);
    (void)state;

    assert_non_null(text);
    memset(text, 'a', LONG);
    memcpy(text, "0", 1);
    memcpy(text + LONG - 2, "!c", 2); /* a "c" to look for, never reached */
    for (size_t i = 0; i < AE_COUNT(patterns); i++) {
        ae_regex *r = search_for(patterns[i]);
        aerie_error err = { 0 };
        ae_span match;
        (void)ae_regex_count(r, (ae_span){ text, LONG });
        print_message("%s: %lld steps\n", patterns[i], (long long)ae_regex_cost(r));
        if (ae_regex_status(r, &err) != AERIE_BAD_TEXT) fail_msg("%s", patterns[i]);
        if (!strstr(err.message, "was given up")) fail_msg("%s", err.message);
        /* From then on it finds nothing. */
        assert_false(ae_regex_find(r, ae_span_text("0aaac"), 0, &match, 1));
        ae_regex_close(r);
    }
    ae_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_are_found_one_after_the_other),
        cmocka_unit_test(a_match_begins_where_it_was_looked_for),
        cmocka_unit_test(groups_may_be_many),
        cmocka_unit_test(what_is_linear_is_found_in_a_long_text),
        cmocka_unit_test(a_search_without_end_is_given_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
