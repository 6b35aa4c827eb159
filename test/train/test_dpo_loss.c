/* test_dpo_loss.c -- every preference loss against its slope, and what all of them have in common.
 */
#include "train/train.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const uint64_t seed = 20240607;

static ae_dpo_options options_of(int loss, int divergence)
{
    return (ae_dpo_options){ .loss = (ae_dpo_loss)loss,
                             .divergence = (ae_f_divergence)divergence,
                             .beta = 0.3,
                             .label_smoothing = 0.1,
                             .tau = 0.5,
                             .f_alpha = 0.4,
                             .ld_alpha = 1 };
}

static ae_dpo_pair random_pair(ae_rng *rng)
{
    ae_dpo_pair p = { .n_chosen = 1 + (double)ae_rng_below(rng, 30),
                      .n_rejected = 1 + (double)ae_rng_below(rng, 30) };

    p.ref_chosen = -10 - 20 * ae_rng_uniform(rng);
    p.ref_rejected = -10 - 20 * ae_rng_uniform(rng);
    p.chosen = p.ref_chosen + (double)ae_rng_normal(rng);
    p.rejected = p.ref_rejected + (double)ae_rng_normal(rng);
    return p;
}

static double value(const ae_dpo_options *o, ae_dpo_pair p, double chosen, double rejected)
{
    ae_dpo_term t;

    p.chosen += chosen;
    p.rejected += rejected;
    ae_dpo_term_of(&t, o, &p);
    return t.loss;
}

static void check_slopes(const ae_dpo_options *o, const ae_dpo_pair *p)
{
    const double h = 1e-5;
    double chosen = (value(o, *p, h, 0) - value(o, *p, -h, 0)) / (2 * h);
    double rejected = (value(o, *p, 0, h) - value(o, *p, 0, -h)) / (2 * h);
    ae_dpo_term t;

    ae_dpo_term_of(&t, o, p);
    if (fabs(t.d_chosen - chosen) > 1e-6 * (1 + fabs(chosen)) ||
        fabs(t.d_rejected - rejected) > 1e-6 * (1 + fabs(rejected)))
        fail_msg("%s under %s, seed %llu: slopes %.9g %.9g, gradients %.9g %.9g",
                 ae_dpo_loss_name((int)o->loss), ae_divergence_name((int)o->divergence),
                 (unsigned long long)seed, chosen, rejected, t.d_chosen, t.d_rejected);
}

static void test_gradients_are_slopes(void **state)
{
    ae_rng rng;

    (void)state;
    ae_rng_seed(&rng, seed);
    for (int loss = 0; loss < AE_N_DPO; loss++)
        for (int divergence = 0; divergence < AE_N_DIVERGENCE; divergence++)
            for (int i = 0; i < 40; i++) {
                ae_dpo_options o = options_of(loss, divergence);
                ae_dpo_pair p = random_pair(&rng);
                o.reference_free = i % 4 == 3;
                if (o.reference_free) { /* the divergences are exponential in what is left */
                    p.chosen -= p.ref_chosen;
                    p.rejected -= p.ref_rejected;
                }
                o.rpo_alpha = i % 3 == 2 ? 0.7 : 0;
                /* The hinge has a corner, where no slope is right. */
                if (loss == AE_DPO_HINGE && fabs(value(&o, p, 0, 0)) < 1e-3) continue;
                check_slopes(&o, &p);
            }
}

static double step_value(const ae_dpo_options *o, const ae_dpo_pair *pairs, int64_t n)
{
    ae_dpo_term terms[16];
    double sum = 0;

    assert_int_equal(ae_dpo_terms_of(terms, o, pairs, n, NULL), AERIE_OK);
    for (int64_t i = 0; i < n; i++) sum += terms[i].loss;
    return sum;
}

/* d (the step's loss) / d (a log-probability of one of its answers). */
static double step_slope(const ae_dpo_options *o, ae_dpo_pair *pairs, int64_t n, double *at)
{
    const double h = 1e-6, was = *at;
    double up, down;

    *at = was + h;
    up = step_value(o, pairs, n);
    *at = was - h;
    down = step_value(o, pairs, n);
    *at = was;
    return (up - down) / (2 * h);
}

/* Sorting sends every slope back to the pair that it came from. */
static void test_gradients_of_a_step_are_slopes(void **state)
{
    static const int of_step[] = { AE_DPO_AOT, AE_DPO_AOT_UNPAIRED };
    ae_rng rng;

    (void)state;
    ae_rng_seed(&rng, seed);
    for (int round = 0; round < 60; round++) {
        ae_dpo_options o = options_of(of_step[round % 2], AE_REVERSE_KL);
        int64_t n = 1 + (int64_t)ae_rng_below(&rng, 16);
        ae_dpo_pair pairs[16];
        ae_dpo_term terms[16];
        o.reference_free = round % 5 == 4;
        o.rpo_alpha = round % 3 == 2 ? 0.7 : 0;
        for (int64_t i = 0; i < n; i++) pairs[i] = random_pair(&rng);
        assert_int_equal(ae_dpo_terms_of(terms, &o, pairs, n, NULL), AERIE_OK);
        for (int64_t i = 0; i < n; i++) {
            double chosen = step_slope(&o, pairs, n, &pairs[i].chosen);
            double rejected = step_slope(&o, pairs, n, &pairs[i].rejected);
            if (fabs(terms[i].d_chosen - chosen) > 1e-6 ||
                fabs(terms[i].d_rejected - rejected) > 1e-6)
                fail_msg("%s, pair %d of %d, seed %llu: slopes %.9g %.9g, gradients %.9g %.9g",
                         ae_dpo_loss_name((int)o.loss), (int)i, (int)n, (unsigned long long)seed,
                         chosen, rejected, terms[i].d_chosen, terms[i].d_rejected);
        }
    }
}

/* Any order of the same pairs has the same loss and, pair by pair, the same slopes. */
static void test_a_step_has_no_order(void **state)
{
    ae_dpo_options o = options_of(AE_DPO_AOT_UNPAIRED, AE_REVERSE_KL);
    ae_dpo_pair pairs[9], turned[9];
    ae_dpo_term a[9], b[9];
    ae_rng rng;

    (void)state;
    ae_rng_seed(&rng, seed);
    for (int i = 0; i < 9; i++) pairs[i] = turned[8 - i] = random_pair(&rng);
    assert_int_equal(ae_dpo_terms_of(a, &o, pairs, 9, NULL), AERIE_OK);
    assert_int_equal(ae_dpo_terms_of(b, &o, turned, 9, NULL), AERIE_OK);
    for (int i = 0; i < 9; i++) {
        assert_true(a[i].loss == b[8 - i].loss && a[i].d_chosen == b[8 - i].d_chosen);
        assert_true(a[i].d_rejected == b[8 - i].d_rejected);
    }
}

/* Losses of the margin alone push the two answers with equal force. */
static void test_margin_losses_are_balanced(void **state)
{
    static const int of_margin[] = { AE_DPO_SIGMOID, AE_DPO_HINGE,    AE_DPO_IPO_SUM,
                                     AE_DPO_ROBUST,  AE_DPO_EXO_PAIR, AE_DPO_DISCOPOP };
    ae_rng rng;

    (void)state;
    ae_rng_seed(&rng, seed);
    for (size_t k = 0; k < AE_COUNT(of_margin); k++)
        for (int i = 0; i < 20; i++) {
            ae_dpo_options o = options_of(of_margin[k], AE_REVERSE_KL);
            ae_dpo_pair p = random_pair(&rng);
            ae_dpo_term t;
            ae_dpo_term_of(&t, &o, &p);
            assert_true(t.d_chosen == -t.d_rejected);
        }
}

/* Margins of thousands give finite numbers for every loss that is bounded by a line. */
static void test_extreme_margins_stay_finite(void **state)
{
    static const int linear[] = { AE_DPO_SIGMOID,  AE_DPO_HINGE,       AE_DPO_ROBUST,
                                  AE_DPO_NCA_PAIR, AE_DPO_BCO_PAIR,    AE_DPO_APO_ZERO,
                                  AE_DPO_APO_DOWN, AE_DPO_SIGMOID_NORM };

    (void)state;
    for (size_t k = 0; k < AE_COUNT(linear); k++)
        for (int sign = -1; sign <= 1; sign += 2) {
            ae_dpo_options o = options_of(linear[k], AE_REVERSE_KL);
            ae_dpo_pair p = { -1e4 * sign, 1e4 * sign, 0, 0, 10, 10 };
            ae_dpo_term t;
            ae_dpo_term_of(&t, &o, &p);
            assert_true(isfinite(t.loss) && isfinite(t.d_chosen) && isfinite(t.d_rejected));
        }
}

static void test_policy_equal_to_reference_gives_ln_2(void **state)
{
    ae_dpo_options o = { .loss = AE_DPO_SIGMOID, .beta = 0.1 };
    ae_dpo_pair p = { -12.25, -100.5, -12.25, -100.5, 3, 4 };
    ae_dpo_term t;

    (void)state;
    ae_dpo_term_of(&t, &o, &p);
    assert_true(t.loss == 0.69314718055994530942);
    assert_true(t.reward_chosen == 0 && t.reward_rejected == 0);
}

/* Update k has the rate of k: it starts at 0, rises to the peak, and falls to the end. */
static void test_schedules_rise_and_fall(void **state)
{
    (void)state;
    for (int kind = AE_LR_COSINE; kind <= AE_LR_COSINE_MIN; kind++) {
        ae_schedule s = { .kind = (ae_lr_kind)kind,
                          .base = 2e-5,
                          .min_ratio = 0.1,
                          .n_steps = 100,
                          .n_warmup = kind == AE_LR_CONSTANT ? 0 : 10 };
        for (int64_t k = 0; k < 100; k++) {
            double rate = ae_schedule_rate(&s, k), next = ae_schedule_rate(&s, k + 1);
            assert_true(rate >= 0 && rate <= s.base);
            if (k + 1 < s.n_warmup) assert_true(next > rate);
            if (k >= s.n_warmup && k + 1 < 100) assert_true(next <= rate);
        }
        if (kind == AE_LR_COSINE_MIN)
            assert_true(fabs(ae_schedule_rate(&s, 99) - 0.1 * s.base) < 1e-12);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients_are_slopes),
        cmocka_unit_test(test_gradients_of_a_step_are_slopes),
        cmocka_unit_test(test_a_step_has_no_order),
        cmocka_unit_test(test_margin_losses_are_balanced),
        cmocka_unit_test(test_extreme_margins_stay_finite),
        cmocka_unit_test(test_policy_equal_to_reference_gives_ln_2),
        cmocka_unit_test(test_schedules_rise_and_fall),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
