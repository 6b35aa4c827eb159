/* The sampler: every filter keeps what its definition says, and draws follow the distribution. */
#include "infer/infer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { V = 1000 };

static float logits[V];
static ae_candidate scratch[V];

static void random_logits(uint64_t seed)
{
    ae_rng rng;
    ae_rng_seed(&rng, seed);
    for (int i = 0; i < V; i++) logits[i] = 3 * ae_rng_normal(&rng);
}

static int32_t draw(const ae_sampling *how, ae_rng *rng)
{
    return ae_sampler_draw(how, logits, V, NULL, 0, scratch, rng);
}

static int best(void)
{
    int at = 0;
    for (int i = 1; i < V; i++)
        if (logits[i] > logits[at]) at = i;
    return at;
}

static void greedy_takes_the_most_likely_and_the_lower_of_equals(void **state)
{
    (void)state;
    ae_rng rng;
    ae_rng_seed(&rng, 1);
    for (uint64_t seed = 1; seed <= 20; seed++) {
        random_logits(seed);
        assert_int_equal(draw(&(ae_sampling){ 0 }, &rng), best());
    }
    for (int i = 0; i < V; i++) logits[i] = i == 7 || i == 9 ? 1 : 0;
    assert_int_equal(draw(&(ae_sampling){ 0 }, &rng), 7);
}

static int more_likely(const void *a, const void *b)
{
    float x = logits[*(const int *)a], y = logits[*(const int *)b];
    return x < y ? 1 : x > y ? -1 : 0;
}

/* Ranks: 0 is the most likely. */
static void rank(int of[V])
{
    int order[V];
    for (int i = 0; i < V; i++) order[i] = i;
    qsort(order, V, sizeof *order, more_likely);
    for (int i = 0; i < V; i++) of[order[i]] = i;
}

static void top_k_draws_only_the_k_best_and_all_of_them(void **state)
{
    (void)state;
    static const int ks[] = { 1, 2, 5, 40, 200 };
    int of[V];
    for (size_t k = 0; k < AE_COUNT(ks); k++)
        for (uint64_t seed = 1; seed <= 5; seed++) {
            ae_rng rng;
            int seen = 0;
            bool hit[V] = { false };
            random_logits(seed);
            rank(of);
            ae_rng_seed(&rng, seed);
            for (int i = 0; i < 4000; i++) {
                int id = draw(&(ae_sampling){ .temperature = 5, .top_k = ks[k] }, &rng);
                assert_true(of[id] < ks[k]);
                if (!hit[id]) seen++;
                hit[id] = true;
            }
            if (ks[k] <= 5) assert_int_equal(seen, ks[k]);
        }
}

static void nucleus_holds_the_fewest_with_enough_probability(void **state)
{
    (void)state;
    int of[V];
    ae_rng rng;
    random_logits(3);
    rank(of);
    double total = 0, sorted[V];
    for (int i = 0; i < V; i++) total += exp(logits[i]);
    for (int i = 0; i < V; i++) sorted[of[i]] = exp(logits[i]) / total;
    int keep = 0;
    for (double held = 0; held < 0.5;) held += sorted[keep++];
    ae_rng_seed(&rng, 9);
    int highest = 0;
    for (int i = 0; i < 20000; i++) {
        int id = draw(&(ae_sampling){ .temperature = 1, .top_p = 0.5f }, &rng);
        if (of[id] > highest) highest = of[id];
    }
    assert_int_equal(highest, keep - 1);
}

static void min_p_keeps_what_is_near_the_best(void **state)
{
    (void)state;
    ae_rng rng;
    random_logits(4);
    ae_rng_seed(&rng, 9);
    for (int i = 0; i < 5000; i++) {
        int id = draw(&(ae_sampling){ .temperature = 3, .min_p = 0.2f }, &rng);
        assert_true(exp((double)logits[id] - logits[best()]) >= 0.2 - 1e-6);
    }
}

static void draws_follow_the_softmax(void **state)
{
    (void)state;
    enum { N = 200000 };
    ae_rng rng;
    for (int i = 0; i < V; i++) logits[i] = -1e9f;
    logits[3] = logf(0.5f);
    logits[10] = logf(0.3f);
    logits[500] = logf(0.2f);
    ae_rng_seed(&rng, 5);
    int count[V] = { 0 };
    for (int i = 0; i < N; i++) count[draw(&(ae_sampling){ .temperature = 1 }, &rng)]++;
    assert_true(fabs(count[3] / (double)N - 0.5) < 0.01);
    assert_true(fabs(count[10] / (double)N - 0.3) < 0.01);
    assert_int_equal(count[3] + count[10] + count[500], N);
}

static void penalties_follow_their_formulas(void **state)
{
    (void)state;
    const int32_t history[] = { 5, 5, 6, 5 };
    ae_rng rng;
    ae_rng_seed(&rng, 1);
    ae_sampling how = { .repeat_last_n = -1, .presence_penalty = 1, .frequency_penalty = 0.5f };
    memset(logits, 0, sizeof logits);
    logits[5] = 2.4f; /* 2.4 - 1 - 3 * 0.5 < 0 */
    assert_int_equal(ae_sampler_draw(&how, logits, V, history, 4, scratch, &rng), 0);
    logits[5] = 2.6f;
    assert_int_equal(ae_sampler_draw(&how, logits, V, history, 4, scratch, &rng), 5);
    how.repeat_last_n = 1; /* sees one 5 only */
    logits[5] = 1.6f;
    assert_int_equal(ae_sampler_draw(&how, logits, V, history, 4, scratch, &rng), 5);
    how = (ae_sampling){ .repeat_last_n = 64, .repeat_penalty = 2 };
    logits[7] = 1;
    logits[5] = 1.9f; /* 0.95 after the penalty */
    assert_int_equal(ae_sampler_draw(&how, logits, V, history, 4, scratch, &rng), 7);
}

static void the_same_seed_gives_the_same_tokens(void **state)
{
    (void)state;
    ae_rng a, b;
    ae_sampling how = { .temperature = 0.8f, .top_k = 40, .top_p = 0.9f };
    random_logits(6);
    ae_rng_seed(&a, 11);
    ae_rng_seed(&b, 11);
    for (int i = 0; i < 1000; i++) assert_int_equal(draw(&how, &a), draw(&how, &b));
}

static void values_out_of_range_are_a_sentence(void **state)
{
    (void)state;
    static const ae_sampling wrong[] = { { .temperature = -1 },   { .top_p = 1.5f },
                                         { .min_p = -0.1f },      { .top_k = -3 },
                                         { .repeat_last_n = -2 }, { .temperature = NAN } };
    for (size_t i = 0; i < AE_COUNT(wrong); i++) {
        aerie_error err = { 0 };
        assert_int_equal(ae_sampling_check(&wrong[i], &err), AERIE_BAD_ARGUMENT);
        assert_true(strlen(err.message) > 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy_takes_the_most_likely_and_the_lower_of_equals),
        cmocka_unit_test(top_k_draws_only_the_k_best_and_all_of_them),
        cmocka_unit_test(nucleus_holds_the_fewest_with_enough_probability),
        cmocka_unit_test(min_p_keeps_what_is_near_the_best),
        cmocka_unit_test(draws_follow_the_softmax),
        cmocka_unit_test(penalties_follow_their_formulas),
        cmocka_unit_test(the_same_seed_gives_the_same_tokens),
        cmocka_unit_test(values_out_of_range_are_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
