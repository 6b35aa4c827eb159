/* MT19937 and what CPython 3.11 and libstdc++ draw with it: their own numbers. */
#include "base/base.h"
#include "base/mersenne.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static ae_mersenne seeded(uint64_t seed)
{
    ae_mersenne m;

    ae_python_seed(&m, seed);
    return m;
}

static void test_python_words(void **state)
{
    static const uint32_t want[] = { 4150886329u, 3342196574u, 1892932127u, 501869158u,
                                     32175636u,   389311301u,  3912611952u, 4048155970u };
    ae_mersenne m = seeded(1234);

    (void)state;
    for (size_t i = 0; i < AE_COUNT(want); i++) assert_int_equal(ae_python_bits(&m, 32), want[i]);
    m = seeded((UINT64_C(1) << 40) + 7); /* a seed of two words */
    assert_true(ae_python_bits(&m, 40) == UINT64_C(822974591194));
    assert_true(ae_python_bits(&m, 64) == UINT64_C(17301799233109514933));
    assert_true(ae_python_random(&m) == 0.9450115087592873);
}

static void test_python_numbers(void **state)
{
    static const double real[] = { 0.9664535356921388, 0.4407325991753527, 0.007491470058587191 };
    static const int below[] = { 6374, 3610, 957, 61, 742, 7462, 6610, 4769, 286, 5501 };
    ae_mersenne m = seeded(1234);

    (void)state;
    for (size_t i = 0; i < AE_COUNT(real); i++) assert_true(ae_python_random(&m) == real[i]);
    m = seeded(1234);
    for (size_t i = 0; i < AE_COUNT(below); i++)
        assert_int_equal(ae_python_below(&m, 7473), below[i]);
}

static void check_items(const int64_t *got, const int *want, size_t n)
{
    for (size_t i = 0; i < n; i++) assert_int_equal(got[i], want[i]);
}

static void test_python_samples(void **state)
{
    static const int small[3][3] = { { 7, 1, 0 }, { 1, 9, 0 }, { 10, 1, 11 } };
    static const int large[] = { 902, 239, 15, 185, 71, 171, 201, 726, 484 };
    ae_mersenne m = seeded(1234);
    int64_t *out = ae_alloc(700, sizeof *out);

    (void)state;
    assert_non_null(out);
    for (int i = 0; i < 3; i++) {
        assert_true(ae_python_sample(&m, out, 3, 12)); /* from a pool */
        check_items(out, small[i], 3);
    }
    m = seeded(1234);
    assert_true(ae_python_sample(&m, out, 25, 1119)); /* from a set */
    check_items(out, large, AE_COUNT(large));
    m = seeded(5);
    assert_true(ae_python_sample(&m, out, 700, 2000));
    check_items(out + 697, (const int[]){ 1896, 713, 0 }, 3);
    assert_true(ae_python_random(&m) == 0.42698768131573916);
    ae_free(out);
}

static void test_python_shuffle(void **state)
{
    static const int want[] = {
        19, 5, 14, 4, 9, 13, 15, 18, 6, 12, 17, 10, 1, 11, 2, 16, 7, 8, 0, 3
    };
    static const int drawn[2][10] = { { 8, 7, 4, 2, 5, 4, 7, 3, 4, 5 },
                                      { 9, 5, 2, 7, 6, 2, 9, 9, 8, 9 } };
    ae_mersenne m = seeded(42);
    int64_t items[20];

    (void)state;
    for (int i = 0; i < 20; i++) items[i] = i;
    ae_python_shuffle(&m, items, 20);
    check_items(items, want, 20);
    m = seeded(0);
    for (int i = 0; i < 2; i++) {
        ae_python_choices(&m, items, 10, 10);
        check_items(items, drawn[i], 10);
    }
}

static void test_python_texts(void **state)
{
    static const struct {
        const char *text;
        double first;
    } cases[] = {
        { "", 0.9602256525641875 },
        { "a", 0.2720295377534757 },
        { "is_switch_output_1_output_2Hello123", 0.5297276963053911 },
        { "x = \xc3\xbc", 0.3066734923351897 },
        { "01234567890123456789", 0.546965617006238 },
    };
    ae_mersenne m;

    (void)state;
    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        assert_true(ae_python_seed_text(&m, cases[i].text, strlen(cases[i].text)));
        if (ae_python_random(&m) != cases[i].first) fail_msg("case %zu", i);
    }
}

/* The standard names the 10000th word of a default-seeded std::mt19937 ([rand.predef]). */
static void test_standard(void **state)
{
    ae_mersenne m;
    uint32_t last = 0;

    (void)state;
    ae_mersenne_seed(&m, 5489);
    for (int i = 0; i < 10000; i++) last = ae_mersenne_next(&m);
    assert_int_equal(last, 4123659995u);
    for (int i = 0; i < 1000; i++) assert_true(ae_mersenne_below(&m, 7) < 7);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_python_words),   cmocka_unit_test(test_python_numbers),
        cmocka_unit_test(test_python_samples), cmocka_unit_test(test_python_shuffle),
        cmocka_unit_test(test_python_texts),   cmocka_unit_test(test_standard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
