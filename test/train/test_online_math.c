/* test_online_math.c -- slopes of the online methods' losses against the losses themselves, and
 * what their advantages must keep. The golden files (aerie selftest) have the values. */
#include "train/online.h"
#include "train/reward_source.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const ae_ratio_clip clip = { 0.2, 0.28, 3 };
static double old, advantage, ref; /* of the token at hand */

static ae_token_loss policy_at(double x)
{
    return ae_policy_loss(x, old, advantage, &clip);
}
static ae_token_loss value_at(double x)
{
    return ae_value_loss(x, old, ref, 0.2);
}
static ae_token_loss apa_at(double x)
{
    return ae_apa_loss(x, ref, advantage, 0.1);
}
static ae_token_loss awr_at(double x)
{
    return ae_awr_loss(x, advantage, 0.5);
}
static ae_token_loss grpo_at(double x)
{
    return ae_grpo_loss(x, old, ref, advantage, &clip, 0.04);
}

static void check_slope(const char *name, ae_token_loss (*f)(double), double x, uint64_t i)
{
    double h = 1e-6, measured = (f(x + h).loss - f(x - h).loss) / (2 * h);

    /* At a kink there is no slope: the two sides differ. */
    if (f(x + h).clipped != f(x - h).clipped) return;
    if (fabs(measured - f(x).slope) > 1e-6 * fmax(1, fabs(measured)))
        fail_msg("%s, draw %llu: slope %.9g, measured %.9g", name, (unsigned long long)i,
                 f(x).slope, measured);
}

static void test_slopes_are_those_of_the_losses(void **state)
{
    ae_rng rng;
    int n_clipped = 0;

    (void)state;
    ae_rng_seed(&rng, 1);
    for (uint64_t i = 0; i < 2000; i++) {
        double x = -3 * ae_rng_uniform(&rng);
        old = x + 3 * ae_rng_uniform(&rng) - 1.5;
        ref = x + ae_rng_uniform(&rng) - 0.5;
        advantage = 4 * ae_rng_uniform(&rng) - 2;
        check_slope("ppo", policy_at, x, i);
        check_slope("value", value_at, x, i);
        check_slope("apa", apa_at, x, i);
        check_slope("awr", awr_at, x, i);
        check_slope("grpo", grpo_at, x, i);
        n_clipped += policy_at(x).clipped;
    }
    assert_in_range(n_clipped, 500, 1500);
}

static void test_dual_clip_bounds_the_loss(void **state)
{
    ae_ratio_clip off = { 0.2, 0.2, 0 }, on = { 0.2, 0.2, 3 };

    (void)state;
    assert_true(ae_policy_loss(5, 0, -1, &off).loss > 100);
    assert_true(ae_policy_loss(5, 0, -1, &on).loss == 3);
    assert_true(ae_policy_loss(5, 0, -1, &on).slope == 0);
    assert_true(ae_policy_loss(5, 0, 1, &on).loss == ae_policy_loss(5, 0, 1, &off).loss);
}

static void test_kl_estimates(void **state)
{
    (void)state;
    for (double x = -3; x <= 3; x += 0.25) {
        for (int k = 0; k < AE_N_KL; k++) {
            double h = 1e-6, here = ae_kl_estimate((ae_kl_kind)k, x, 0.5);
            double up = ae_kl_estimate((ae_kl_kind)k, x + h, 0.5),
                   down = ae_kl_estimate((ae_kl_kind)k, x - h, 0.5);
            assert_true(fabs((up - down) / (2 * h) - ae_kl_slope((ae_kl_kind)k, x, 0.5)) < 1e-6);
            assert_true(k == AE_KL_K1 || here >= 0);
        }
    }
    for (int k = 0; k < AE_N_KL; k++) assert_true(ae_kl_estimate((ae_kl_kind)k, -1.25, -1.25) == 0);
}

static void test_entropy_and_its_gradient(void **state)
{
    float logits[5] = { 0.5f, -1, 2, 0, 300 }, same[4] = { 7, 7, 7, 7 };
    double grad[5];

    (void)state;
    assert_true(fabs(ae_entropy_of(same, 4, NULL) - log(4)) < 1e-12);
    assert_true(ae_entropy_of(logits, 5, grad) < 1e-100);
    for (int v = 0; v < 5; v++) assert_true(isfinite(grad[v]));
    logits[4] = 1;
    ae_entropy_of(logits, 5, grad);
    for (int v = 0; v < 5; v++) {
        float h = 1.0f / 1024, was = logits[v];
        logits[v] = was + h;
        double up = ae_entropy_of(logits, 5, NULL);
        logits[v] = was - h;
        double down = ae_entropy_of(logits, 5, NULL);
        logits[v] = was;
        assert_true(fabs((up - down) / (2 * (double)h) - grad[v]) < 1e-6);
    }
}

static void test_groups_sum_to_nothing(void **state)
{
    double rewards[12], a[12], b[12];
    ae_rng rng;

    (void)state;
    ae_rng_seed(&rng, 3);
    for (int i = 0; i < 12; i++) rewards[i] = ae_rng_uniform(&rng);
    for (int s = 0; s < AE_N_SCALE; s++) {
        ae_grpo_advantages(a, rewards, 3, 4, (ae_group_scale)s);
        for (int g = 0; g < 3; g++)
            assert_true(fabs(a[4 * g] + a[4 * g + 1] + a[4 * g + 2] + a[4 * g + 3]) < 1e-12);
    }
    /* RLOO is Dr. GRPO's by size / (size - 1). */
    ae_grpo_advantages(a, rewards, 3, 4, AE_SCALE_NONE);
    ae_rloo_advantages(b, rewards, 3, 4);
    for (int i = 0; i < 12; i++) assert_true(fabs(b[i] - a[i] * 4 / 3) < 1e-12);
}

static void test_gae_of_lambda_one_is_the_return(void **state)
{
    double rewards[4] = { 0.5, -1, 0, 2 }, values[4] = { 3, 1, -2, 0.5 }, a[4], r[4];

    (void)state;
    ae_gae(a, r, rewards, values, 4, 1, 1);
    assert_true(fabs(r[0] - 1.5) < 1e-12 && fabs(r[1] - 1) < 1e-12 && fabs(r[3] - 2) < 1e-12);
    ae_gae(a, r, rewards, NULL, 4, 1, 1);
    for (int t = 0; t < 4; t++) assert_true(a[t] == r[t]);
}

static void test_scores_are_shaped(void **state)
{
    double one = 4, same[3] = { 2, 2, 2 };
    ae_moments m = { 0 };

    (void)state;
    assert_true(ae_score_shaped(0.5, true, 1, 0) == 0.5);
    assert_true(ae_score_shaped(0.5, false, 1, 0) == -0.5);
    assert_true(ae_score_shaped(50, true, 0, 10) == 10);
    assert_true(ae_score_shaped(-50, true, 0, 10) == -10);
    ae_moments_scale(&m, &one, 1); /* no deviation yet */
    assert_true(one == 4);
    ae_whiten(&one, 1, false);
    assert_true(one == 4);
    m = (ae_moments){ 0 };
    ae_moments_scale(&m, same, 3);
    assert_true(same[0] == 2);
}

static double number_of(const char *text)
{
    return ae_reward_source_number(text, strlen(text));
}

/* GSM8K's: the last number, or the one after the mark. */
static void test_numbers_in_replies(void **state)
{
    (void)state;
    assert_true(number_of("She has 3 apples and 4 pears: 7.") == 7);
    assert_true(number_of("It costs $1,234.50 in all") == 1234.5);
    assert_true(number_of("so it is -12") == -12);
    assert_true(number_of("4 + 4 = 8\n#### 8") == 8);
    assert_true(number_of("#### 8 dollars, not 9") == 8);
    assert_true(isnan(number_of("none")) && isnan(number_of("")) && isnan(number_of("####")));
    assert_true(number_of("1.2.3") == 3);
}

static void test_built_in_scores(void **state)
{
    ae_recipe r = { .online = {
                        .source = AE_REWARD_NUMBER, .length = 10, .begins = "<a>", .ends = "." } };
    const ae_train_run run = { 0 };
    aerie_reward_item items[] = {
        { .row = "{\"answer\": \"3 + 4\\n#### 7\"}", .reply = "<a> 7.\n", .n_tokens = 12 },
        { .row = "{\"answer\": 7}", .reply = "<a> 8", .n_tokens = 30 },
    };
    double scores[2];

    (void)state;
    for (int i = 0; i < 2; i++) items[i].reply_len = strlen(items[i].reply);
    assert_int_equal(ae_reward_source_score(scores, &r, &run, NULL, items, 2, NULL), AERIE_OK);
    assert_true(scores[0] == 1 && scores[1] == 0);
    r.online.source = AE_REWARD_LENGTH;
    assert_int_equal(ae_reward_source_score(scores, &r, &run, NULL, items, 2, NULL), AERIE_OK);
    assert_true(fabs(scores[0] - 0.8) < 1e-12 && scores[1] == 0);
    r.online.source = AE_REWARD_FORMAT;
    assert_int_equal(ae_reward_source_score(scores, &r, &run, NULL, items, 2, NULL), AERIE_OK);
    assert_true(scores[0] == 1 && scores[1] == 0.5);
    r.online.source = AE_REWARD_NUMBER;
    items[0].row = "{\"answer\": \"no\"}";
    assert_int_equal(ae_reward_source_score(scores, &r, &run, NULL, items, 1, NULL),
                     AERIE_BAD_FILE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slopes_are_those_of_the_losses),
        cmocka_unit_test(test_dual_clip_bounds_the_loss),
        cmocka_unit_test(test_kl_estimates),
        cmocka_unit_test(test_entropy_and_its_gradient),
        cmocka_unit_test(test_groups_sum_to_nothing),
        cmocka_unit_test(test_gae_of_lambda_one_is_the_return),
        cmocka_unit_test(test_scores_are_shaped),
        cmocka_unit_test(test_numbers_in_replies),
        cmocka_unit_test(test_built_in_scores),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
