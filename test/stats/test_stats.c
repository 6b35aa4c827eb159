/* test_stats.c -- statistics against what published code computes, and their properties. */
#include "stats/golden_file.h"

#include "stats/stats.h"

#include <string.h>

#define NEAR 1e-14

static void means_are_golden(void **state)
{
    json_t *root = golden_file("metrics.json"), *one;
    const json_t *group = json_object_get(root, "group");
    int64_t sizes[8];
    double *means, *errors;
    size_t i, n;

    (void)state;
    json_array_foreach(json_object_get(root, "mean_stderr"), i, one)
    {
        double *x = reals_of(json_object_get(one, "x"), &n);
        is_close(ae_mean(x, n), real_of(one, "mean"), NEAR, "a mean");
        is_close(ae_mean_stderr(x, n), real_of(one, "stderr"), NEAR, "a standard error");
        ae_free(x);
    }
    means = reals_of(json_object_get(group, "values"), &n);
    errors = reals_of(json_object_get(group, "stderrs"), &n);
    for (i = 0; i < n; i++)
        sizes[i] = json_integer_value(json_array_get(json_object_get(group, "sizes"), i));
    is_close(ae_mean_by_size(means, sizes, n), real_of(group, "weight_by_size"), NEAR, "by size");
    is_close(ae_mean(means, n), real_of(group, "macro"), NEAR, "the macro mean");
    is_close(ae_mean_pooled_stderr(errors, sizes, n), real_of(group, "pooled_stderr"), NEAR,
             "the pooled error");
    ae_free(means);
    ae_free(errors);
    json_decref(root);
}

/* The harness' median sorts the resample and takes the one in the middle. */
static double median_of(void *user, const int64_t *at, size_t n)
{
    double sorted[16];

    for (size_t i = 0; i < n; i++) sorted[i] = ((const double *)user)[at[i]];
    ae_quantile_sort(sorted, n);
    return sorted[n / 2];
}

static void a_bootstrap_is_golden(void **state)
{
    json_t *root = golden_file("metrics.json");
    const json_t *of = json_object_get(root, "bootstrap");
    double stderr_ = 0, *x;
    size_t n;

    (void)state;
    x = reals_of(json_object_get(of, "x"), &n);
    assert_int_equal(ae_bootstrap_stderr(&stderr_, median_of, x, n, 2000, NULL), AERIE_OK);
    is_close(stderr_, real_of(of, "stderr"), NEAR, "the bootstrap");
    assert_int_equal(ae_bootstrap_stderr(&stderr_, median_of, x, 0, 2000, NULL),
                     AERIE_BAD_ARGUMENT);
    ae_free(x);
    json_decref(root);
}

static void check_mcnemar(const json_t *of)
{
    int64_t b = whole_of(of, "b"), c = whole_of(of, "c");
    double p;

    is_close(ae_binomial_sign_test(b, c), real_of(of, "exact_p"), NEAR, "McNemar's exact p");
    is_close(ae_binomial_mcnemar_chi2(b, c, &p), real_of(of, "chi2_cc"), NEAR, "McNemar's chi2");
    is_close(p, real_of(of, "chi2_cc_p"), 1e-12, "the p of chi2");
}

static void shares_and_tests_are_golden(void **state)
{
    json_t *root = golden_file("paired_stats.json"), *one;
    size_t i;

    (void)state;
    check_mcnemar(json_object_get(root, "mcnemar"));
    json_array_foreach(json_object_get(root, "mcnemar_table"), i, one) check_mcnemar(one);
    json_array_foreach(json_object_get(root, "wilson95"), i, one)
    {
        ae_interval is = ae_binomial_wilson(whole_of(one, "k"), whole_of(one, "n"));
        const json_t *ci = json_object_get(one, "ci");
        is_close(is.low, json_number_value(json_array_get(ci, 0)), NEAR, "Wilson's low end");
        is_close(is.high, json_number_value(json_array_get(ci, 1)), NEAR, "Wilson's high end");
    }
    json_array_foreach(json_object_get(root, "sign_test_exact"), i, one)
        is_close(ae_binomial_sign_test(whole_of(one, "wins"), whole_of(one, "losses")),
                 real_of(one, "p"), NEAR, "the sign test");
    json_decref(root);
}

static void a_paired_bootstrap_is_golden(void **state)
{
    json_t *root = golden_file("paired_stats.json"), *one;
    const json_t *of = json_object_get(root, "paired_bootstrap");
    double *a, *b, means[2000];
    uint64_t seed = 1;
    ae_paired_result is;
    size_t n, i;

    (void)state;
    json_array_foreach(json_object_get(root, "splitmix64_seed1_first3"), i, one)
        assert_true(ae_paired_draw(&seed) == strtoull(json_string_value(one), NULL, 10));
    a = reals_of(json_object_get(root, "a"), &n);
    b = reals_of(json_object_get(root, "b"), &n);
    for (i = 0; i < n; i++) a[i] -= b[i];
    is_close(ae_mean(a, n), real_of(root, "paired_diff_mean"), NEAR, "the difference");
    is_close(ae_mean_stderr(a, n), real_of(root, "paired_se"), NEAR, "its error");
    is_close(ae_mean(a, n) / ae_mean_stderr(a, n), real_of(root, "paired_z"), NEAR, "its z");
    assert_int_equal(ae_paired_bootstrap(&is, a, n, 2000, 1, means, NULL), AERIE_OK);
    is_close(is.mean, real_of(of, "mean_diff"), NEAR, "the mean");
    is_close(is.p, real_of(of, "p_boot_two_sided"), NEAR, "the p");
    const json_t *ci = json_object_get(of, "ci95_percentile");
    is_close(is.ci95.low, json_number_value(json_array_get(ci, 0)), NEAR, "the low end");
    is_close(is.ci95.high, json_number_value(json_array_get(ci, 1)), NEAR, "the high end");
    json_array_foreach(json_object_get(of, "first5_sorted"), i, one)
        is_close(means[i], json_number_value(one), NEAR, "a resampled mean");
    ae_free(a);
    ae_free(b);
    json_decref(root);
}

/* Of signs alone the test is the sign test; random signs come near to all of them. */
static void flipped_signs_are_the_sign_test(void **state)
{
    double x[40] = { 0 };
    double p, near;

    (void)state;
    for (int wins = 0; wins <= 12; wins++) {
        for (int i = 0; i < 12; i++) x[2 * i] = i < wins ? 0.3 : -0.3;
        assert_int_equal(ae_paired_sign_flip(&p, x, 40, 10000, 1, NULL), AERIE_OK);
        is_close(p, ae_binomial_sign_test(wins, 12 - wins), NEAR, "all patterns");
        assert_int_equal(ae_paired_sign_flip(&near, x, 40, 4000, 1, NULL), AERIE_OK);
        is_close(near, p, 0.03, "random patterns");
    }
    assert_int_equal(ae_paired_sign_flip(&p, NULL, 0, 100, 1, NULL), AERIE_OK);
    is_close(p, 1, 0, "nothing");
}

static void exact_tests_hold_far_out(void **state)
{
    (void)state;
    is_close(ae_binomial_sign_test(0, 1000), ldexp(1, -999), 0, "1000 losses");
    is_close(ae_binomial_sign_test(0, 40), ldexp(1, -39), 0, "40 losses");
    /* Either side of where logarithms are taken: much the same shares, much the same p. */
    assert_true(fabs(ae_binomial_sign_test(470, 530) - ae_binomial_sign_test(470, 531)) < 5e-3);
    assert_true(ae_binomial_sign_test(4000, 6000) < 1e-80);
    is_close(ae_binomial_sign_test(0, 0), 1, 0, "nothing");
    is_close(ae_binomial_items_needed(0.25, 0.1), 7.84 * 25, 1e-12, "items needed");
    assert_true(isinf(ae_binomial_items_needed(0.25, 0)));
}

static void holm_steps_down(void **state)
{
    double p[4] = { 0.01, 0.04, 0.03, 0.005 }, out[4];
    size_t order[4];

    (void)state;
    ae_binomial_holm(p, 4, out, order);
    is_close(out[3], 0.02, NEAR, "the smallest");
    is_close(out[0], 0.03, NEAR, "the second");
    is_close(out[2], 0.06, NEAR, "the third");
    is_close(out[1], 0.06, NEAR, "the last, no less than the third");
}

static void quantiles_are_between(void **state)
{
    double x[5] = { 3, 1, NAN, 2, 4 };

    (void)state;
    ae_quantile_sort(x, 5);
    assert_true(isnan(x[4]));
    is_close(ae_quantile(x, 4, 0), 1, 0, "the least");
    is_close(ae_quantile(x, 4, 0.5), 2.5, 0, "the median");
    is_close(ae_quantile(x, 4, 0.95), 3.85, NEAR, "near the end");
    is_close(ae_quantile(x, 4, 1), 4, 0, "the most");
    assert_true(isnan(ae_quantile(x, 0, 0.5)));
}

static size_t read_battles(const json_t *root, ae_battle *out)
{
    const json_t *list = json_object_get(root, "battles"), *one;
    size_t i;

    json_array_foreach(list, i, one)
    {
        const char *winner = json_string_value(json_object_get(one, "winner"));
        out[i] = (ae_battle){
            .a = json_string_value(json_object_get(one, "model_a"))[0] - 'a',
            .b = json_string_value(json_object_get(one, "model_b"))[0] - 'a',
            .score = !strcmp(winner, "model_a")   ? 1
                     : !strcmp(winner, "model_b") ? 0
                                                  : 0.5,
            .item = (int64_t)i,
        };
    }
    return json_array_size(list);
}

static void expect_wins(const double *rating, const ae_battle *battles, size_t n)
{
    double surplus[4] = { 0 };

    for (size_t i = 0; i < n; i++) {
        const ae_battle *b = &battles[i];
        double more = b->score - 1 / (1 + pow(10, (rating[b->b] - rating[b->a]) / 400));
        surplus[b->a] += more;
        surplus[b->b] -= more;
    }
    for (int i = 0; i < 4; i++) is_close(surplus[i], 0, 1e-9, "wins beyond the expected");
}

static void ratings_are_golden(void **state)
{
    static const char *const names[4] = { "a", "b", "c", "d" };
    json_t *root = golden_file("arena_bt.json");
    const json_t *bt = json_object_get(root, "bt");
    const json_t *elo = json_object_get(root, "elo_sequential_k4");
    ae_interval range[4], again[4];
    ae_battle battles[200];
    double is[4];
    size_t n = read_battles(root, battles);

    (void)state;
    assert_int_equal(ae_rating_bradley_terry(is, battles, n, 4, NULL, NULL), AERIE_OK);
    /* FastChat's optimiser stops at a gradient of 1e-6, some ten thousandths of a point away from
     * where every player's expected wins are its wins; here they are. */
    for (int i = 0; i < 4; i++) is_close(is[i], real_of(bt, names[i]), 1e-6, names[i]);
    expect_wins(is, battles, n);
    assert_int_equal(ae_rating_bootstrap(range, battles, n, 4, NULL, NULL), AERIE_OK);
    assert_int_equal(ae_rating_bootstrap(again, battles, n, 4, NULL, NULL), AERIE_OK);
    for (int i = 0; i < 4; i++) {
        assert_true(range[i].low < is[i] && is[i] < range[i].high);
        assert_true(range[i].high - range[i].low > 50 && range[i].high - range[i].low < 300);
    }
    assert_memory_equal(range, again, sizeof range);
    ae_rating_elo(is, battles, n, 4, 4, NULL);
    for (int i = 0; i < 4; i++) is_close(is[i], real_of(elo, names[i]), NEAR, names[i]);
    json_decref(root);
}

static void ratings_stay_finite(void **state)
{
    ae_battle won[2] = { { .a = 0, .b = 1, .score = 1 }, { .a = 1, .b = 2, .score = 1 } };
    ae_rating_options prior = { .prior = 1 };
    double is[4];

    (void)state;
    assert_int_equal(ae_rating_bradley_terry(is, won, 2, 4, NULL, NULL), AERIE_OK);
    assert_true(isfinite(is[0]) && is[0] > is[1] + 500 && is[1] > is[2] + 500);
    assert_int_equal(ae_rating_bradley_terry(is, won, 2, 4, &prior, NULL), AERIE_OK);
    assert_true(is[0] > is[1] && is[0] < is[1] + 400 && is[1] > is[2]);
    is_close(is[3], 1000, 1e-6, "who met nobody");
    assert_int_equal(ae_rating_bradley_terry(is, NULL, 0, 1, NULL, NULL), AERIE_OK);
    won[1].b = 4;
    assert_int_equal(ae_rating_bradley_terry(is, won, 2, 4, NULL, NULL), AERIE_BAD_ARGUMENT);
}

/* y's logit falls by 2 from tanh = 1 to tanh = -1 on top of 0.5: found again from soft labels. */
static void length_control_finds_what_was_put_in(void **state)
{
    enum { N = 400 };
    double y[N], a[N], b[N];
    ae_length_result is;

    (void)state;
    for (int i = 0; i < N; i++) {
        a[i] = 100;
        b[i] = 100 + (i % 20 - 9.5) * 10;
    }
    assert_int_equal(ae_length_control(&is, a, a, b, N, NULL), AERIE_OK);
    for (int i = 0; i < N; i++)
        y[i] = ae_logistic_sigmoid(0.5 - tanh((a[i] - b[i]) / is.deviation));
    assert_int_equal(ae_length_control(&is, y, a, b, N, NULL), AERIE_OK);
    is_close(is.length_weight, -1, 1e-3, "the weight of length");
    is_close(is.constant, 0.5, 1e-3, "the constant");
    is_close(is.controlled, ae_logistic_sigmoid(0.5), 1e-3, "the controlled win rate");
    assert_true(is.controlled_z > 3 && is.controlled_z < 6);
    assert_int_equal(ae_length_control(&is, y, a, a, N, NULL), AERIE_OK);
    is_close(is.controlled, is.win_rate, 1e-3, "equal lengths");
    assert_int_equal(ae_length_control(&is, y, a, a, 1, NULL), AERIE_BAD_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(means_are_golden),
        cmocka_unit_test(a_bootstrap_is_golden),
        cmocka_unit_test(shares_and_tests_are_golden),
        cmocka_unit_test(a_paired_bootstrap_is_golden),
        cmocka_unit_test(flipped_signs_are_the_sign_test),
        cmocka_unit_test(exact_tests_hold_far_out),
        cmocka_unit_test(holm_steps_down),
        cmocka_unit_test(quantiles_are_between),
        cmocka_unit_test(ratings_are_golden),
        cmocka_unit_test(ratings_stay_finite),
        cmocka_unit_test(length_control_finds_what_was_put_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
