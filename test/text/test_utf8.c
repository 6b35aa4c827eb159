/* test_utf8.c -- UTF-8 in and out. */
#include "text/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static bool is_scalar(int32_t code)
{
    return code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
}

/* What put writes, next reads; what is no character is written as U+FFFD. */
static void every_code_point_comes_back(void **state)
{
    (void)state;
    for (int32_t code = 0; code < 0x110010; code++) {
        char bytes[4];
        ae_span text = { bytes, ae_utf8_put(code, bytes) };
        size_t at = 0;

        assert_int_equal(ae_utf8_next(text, &at), is_scalar(code) ? code : 0xfffd);
        assert_int_equal(at, text.len);
        assert_true(ae_utf8_valid(text));
        assert_int_equal(ae_utf8_complete(text), text.len);
    }
}

/* A character that ends too early is unfinished, and waits; whatever follows settles it. */
static void unfinished_characters_wait(void **state)
{
    (void)state;
    for (int32_t code = 0x80; code < 0x110000; code += 7) {
        char bytes[6] = "a";
        size_t len;

        if (!is_scalar(code)) continue;
        len = ae_utf8_put(code, bytes + 1);
        for (size_t cut = 1; cut < len; cut++) {
            assert_int_equal(ae_utf8_complete((ae_span){ bytes, 1 + cut }), 1);
            assert_false(ae_utf8_valid((ae_span){ bytes, 1 + cut }));
        }
        bytes[len] = 'z'; /* in place of the last byte */
        assert_int_equal(ae_utf8_complete((ae_span){ bytes, len + 1 }), len + 1);
        assert_false(ae_utf8_valid((ae_span){ bytes, len + 1 }));
    }
}

typedef struct {
    const char *text;
    const char *parts; /* for each step '-' for ill-formed or '+', with how many bytes it takes */
} case_of;

/* The Unicode standard's examples (tables 3-8 to 3-11): each maximal ill-formed part is one step.
 */
static void ill_formed_parts_are_maximal(void **state)
{
    static const case_of cases[] = {
        { "\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41", "-1-1-1-1-1-1-1-1+1" },
        { "\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41", "-1-1-1-1-1-1-1-1+1" },
        { "\xf4\x91\x92\x93\xff\x41\x80\xbf\x42", "-1-1-1-1-1+1-1-1+1" },
        { "\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", "-2-1-3-2+1" },
        { "\xc3\xa9\xc3", "+2-1" },
        { "\xe2\x96\x81\xe2\x96", "+3-2" },
        { "\xf0\x9f\x98\x80\xf0\x9f\x98", "+4-3" },
    };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        ae_span text = ae_span_text(cases[i].text);
        ae_bytes steps = { 0 };

        for (size_t at = 0; at < text.len;) {
            size_t here = at;
            int32_t code = ae_utf8_next(text, &at);

            ae_bytes_printf(&steps, "%c%zu", code < 0 ? '-' : '+', at - here);
        }
        assert_string_equal(steps.data, cases[i].parts);
        ae_bytes_free(&steps);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_comes_back),
        cmocka_unit_test(unfinished_characters_wait),
        cmocka_unit_test(ill_formed_parts_are_maximal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
