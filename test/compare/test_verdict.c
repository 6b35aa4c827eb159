/* test_verdict.c -- what is said of differences: seldom a winner where there is none, mostly the
 * right one where there is. */
#include "compare/compare.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { RUNS = 400, PROMPTS = 100, RESAMPLES = 999 };

/* How replies come to numbers. */
typedef double draw_fn(ae_rng *rng, double skill, double hardness);

static double pass(ae_rng *rng, double skill, double hardness)
{
    return ae_rng_uniform(rng) < 1 / (1 + exp(hardness - skill));
}

/* Of three repeats. */
static double passes(ae_rng *rng, double skill, double hardness)
{
    double sum = 0;

    for (int i = 0; i < 3; i++) sum += pass(rng, skill, hardness);
    return sum / 3;
}

static double score(ae_rng *rng, double skill, double hardness)
{
    return skill - hardness + (double)ae_rng_normal(rng);
}

/* A judge of two replies, that goes by the place one time in five: then it is a tie. */
static double judged(ae_rng *rng, double skill, double hardness)
{
    double x = score(rng, skill, hardness) - score(rng, 0, hardness);

    return ae_rng_uniform(rng) < 0.2 ? 0 : x > 0 ? 0.5 : -0.5;
}

static ae_comparison compare_once(ae_rng *rng, draw_fn *draw, bool is_pair, bool signs,
                                  double skill, int64_t run)
{
    ae_comparison of = { .test = "" };
    double d[PROMPTS];

    for (int i = 0; i < PROMPTS; i++) {
        double hardness = 2 * (double)ae_rng_normal(rng);
        d[i] = draw(rng, skill, hardness) - (is_pair ? 0 : draw(rng, 0, hardness));
    }
    assert_int_equal(
        ae_measure_differences(&of, d, PROMPTS, signs, RESAMPLES, (uint64_t)run + 1, NULL),
        AERIE_OK);
    of.p_holm = of.p;
    return of;
}

static const struct {
    const char *name;
    draw_fn *draw;
    bool is_pair, signs;
    double skill;
} ways[] = {
    { "checks", pass, false, true, 1.5 },
    { "checks, three repeats", passes, false, false, 1.5 },
    { "scores", score, false, false, 0.6 },
    { "a judge", judged, true, true, 0.6 },
};

/* The same model twice: at least 95 of 100 runs say "not decided", by every measure. */
static void the_same_model_is_not_better_than_itself(void **state)
{
    (void)state;
    for (size_t w = 0; w < AE_COUNT(ways); w++) {
        int n_decided = 0;
        ae_rng rng;
        ae_rng_seed(&rng, w + 1);
        for (int run = 0; run < RUNS; run++) {
            ae_comparison of =
                compare_once(&rng, ways[w].draw, ways[w].is_pair, ways[w].signs, 0, run);
            n_decided += ae_verdict_is_decided(&of);
        }
        print_message("%s: %d of %d null runs decide\n", ways[w].name, n_decided, RUNS);
        assert_true(n_decided <= RUNS * 5 / 100);
    }
}

static void a_better_model_is_found(void **state)
{
    (void)state;
    for (size_t w = 0; w < AE_COUNT(ways); w++) {
        int n_right = 0;
        ae_rng rng;
        ae_rng_seed(&rng, w + 1);
        for (int run = 0; run < 100; run++) {
            ae_comparison of = compare_once(&rng, ways[w].draw, ways[w].is_pair, ways[w].signs,
                                            ways[w].skill, run);
            if (ae_verdict_is_decided(&of)) assert_true(of.difference > 0);
            n_right += ae_verdict_is_decided(&of);
        }
        print_message("%s: %d of 100 runs find the better one\n", ways[w].name, n_right);
        assert_true(n_right >= 80);
    }
}

/* With as many prompts as it asks for, four runs in five decide. */
static void more_prompts_are_enough(void **state)
{
    ae_comparison of = { .n = 100, .difference = 0.1, .square = 0.3 };

    (void)state;
    /* 7.84 * 0.3 / 0.01 = 235.2, less the 100 that there are. */
    assert_int_equal(ae_verdict_more(&of), 140);
    of.difference = 0.01;
    assert_int_equal(ae_verdict_more(&of), 24000);
    of.difference = 1e-6;
    assert_int_equal(ae_verdict_more(&of), -1);
    of.difference = 0;
    assert_int_equal(ae_verdict_more(&of), -1);
    of.square = 0;
    assert_int_equal(ae_verdict_more(&of), -1);
    assert_true(ae_verdict_visible(&of) == 0.03);
}

static void sentences_are_honest(void **state)
{
    aerie_compare c = { .n_models = 2, .models = { { .label = "A" }, { .label = "B" } } };
    ae_comparison of = { .n = 100,
                         .of_a = 0.71,
                         .of_b = 0.82,
                         .difference = 0.11,
                         .interval = { 0.03, 0.19 },
                         .p = 0.0129,
                         .p_holm = 0.0129,
                         .square = 0.17,
                         .level = 0.05,
                         .test = "McNemar's exact test" };
    ae_bytes text = { 0 };

    (void)state;
    ae_verdict_sentence(&text, &c, AE_MEASURE_CHECKS, &of, 0, 1);
    assert_string_equal(
        text.data, "B is better than A on these prompts: replies pass all checks in 71.0 % (A) "
                   "and 82.0 % (B); +11.0 points, 95 % interval +3.0 to +19.0; p = 0.013, "
                   "McNemar's exact test, 100 prompts.");
    ae_bytes_clear(&text);
    of.p_holm = 0.2;
    ae_verdict_sentence(&text, &c, AE_MEASURE_CHECKS, &of, 0, 1);
    assert_non_null(strstr(text.data, "Not decided between A and B: "));
    assert_non_null(strstr(text.data,
                           "About 11 more examples would show a difference of this size; "
                           "these prompts would most likely have shown one above 11.5 "
                           "points."));
    ae_bytes_clear(&text);
    of = (ae_comparison){ .n = 100, .p_holm = 1, .test = "exact sign test", .of_b = 0.5 };
    ae_verdict_sentence(&text, &c, AE_MEASURE_JUDGE, &of, 0, 1);
    assert_non_null(strstr(text.data, "No prompt tells them apart."));
    ae_bytes_clear(&text);
    ae_verdict_sentence(&text, &c, AE_MEASURE_JUDGE, &(ae_comparison){ .test = "" }, 0, 1);
    assert_string_equal(text.data, "Not decided: there is nothing to compare A and B by.");
    ae_bytes_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_model_is_not_better_than_itself),
        cmocka_unit_test(a_better_model_is_found),
        cmocka_unit_test(more_prompts_are_enough),
        cmocka_unit_test(sentences_are_honest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
