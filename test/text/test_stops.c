/* Stop strings: however a text is cut into parts, what leaves ends where the first stop string
 * begins, and nothing is held back that cannot be one. Seed 3. */
#include "text/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static ae_span span(const char *text)
{
    return (ae_span){ text, strlen(text) };
}

static void found_where_they_first_stand(void **state)
{
    static const struct {
        const char *stops[3], *text;
        bool found;
        size_t at, which;
    } cases[] = {
        { { "END" }, "the END", true, 4, 0 },
        { { "END" }, "the EN", false, 4, 0 },
        { { "END" }, "the EX", false, 6, 0 },
        { { "END" }, "", false, 0, 0 },
        { { "aab" }, "aaab", true, 1, 0 },
        { { "aab" }, "aaa", false, 1, 0 },
        { { "xyz", "b" }, "abxyz", true, 1, 1 },
        { { "abc", "ab" }, "xabc", true, 1, 0 },
        { { "bcd", "xyz" }, "abcx", false, 3, 0 },
        { { "longer than it" }, "lon", false, 0, 0 },
        { { "\n\n" }, "a\n", false, 1, 0 },
        { { "\xc3\xa4\xc3\xb6" }, "x\xc3\xa4", false, 1, 0 },
    };
    (void)state;
    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        ae_span stops[3];
        size_t n = 0, at, which = 0;
        while (n < 3 && cases[i].stops[n]) {
            stops[n] = span(cases[i].stops[n]);
            n++;
        }
        assert_int_equal(ae_stops_find(stops, n, span(cases[i].text), &at, &which), cases[i].found);
        assert_int_equal(at, cases[i].at);
        assert_int_equal(which, cases[i].which);
    }
}

/* What leaves when a text of letters comes in random parts. */
static size_t left_by_parts(const ae_span *stops, size_t n, ae_span text, ae_rng *rng)
{
    size_t gone = 0, come = 0, at, which;
    while (come < text.len) {
        come += 1 + ae_rng_below(rng, 4);
        if (come > text.len) come = text.len;
        bool found =
            ae_stops_find(stops, n, (ae_span){ text.data + gone, come - gone }, &at, &which);
        gone += at;
        if (found) return gone;
    }
    return text.len; /* the end lets go of what was held back */
}

static void one_stop_does_not_depend_on_parts(void **state)
{
    ae_rng rng;
    (void)state;
    ae_rng_seed(&rng, 3);
    for (int trial = 0; trial < 20000; trial++) {
        char text[32] = { 0 }, stop[6] = { 0 };
        size_t n = ae_rng_below(&rng, 31), n_stop = 1 + ae_rng_below(&rng, 5);
        for (size_t i = 0; i < n; i++) text[i] = (char)('a' + ae_rng_below(&rng, 2));
        for (size_t i = 0; i < n_stop; i++) stop[i] = (char)('a' + ae_rng_below(&rng, 2));
        const ae_span stops = span(stop);
        const char *first = strstr(text, stop);
        assert_int_equal(left_by_parts(&stops, 1, span(text), &rng),
                         first ? (size_t)(first - text) : n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(found_where_they_first_stand),
        cmocka_unit_test(one_stop_does_not_depend_on_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
