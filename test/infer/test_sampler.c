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
static ae_sampler sampler;

static void random_logits(uint64_t seed)
{
    ae_rng rng;
    ae_rng_seed(&rng, seed);
    for (int i = 0; i < V; i++) logits[i] = 3 * ae_rng_normal(&rng);
}

static int32_t draw(const ae_sampling *how, ae_rng *rng)
{
    return ae_sampler_draw(&sampler, how, logits, NULL, 0, rng);
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

/* One token with 0.3 of the probability and five with 0.14: the entropy is 1.74, to which the
 * five's surprise of 1.97 is nearer than the one's of 1.2. */
static void typical_are_those_that_surprise_as_expected(void **state)
{
    (void)state;
    ae_rng rng;
    int seen[V] = { 0 };
    for (int i = 0; i < V; i++)
        logits[i] = (float)(i == 7 ? log(0.3) : i < 5 ? log(0.14) : -INFINITY);
    ae_rng_seed(&rng, 9);
    for (int i = 0; i < 200; i++)
        seen[draw(&(ae_sampling){ .temperature = 1, .typical_p = 0.65f, .top_k = 40 }, &rng)]++;
    assert_int_equal(seen[7], 0);
    for (int i = 0; i < 5; i++) assert_true(seen[i] > 10);
    for (int i = 0; i < 50; i++)
        seen[draw(&(ae_sampling){ .temperature = 1, .typical_p = 0.75f }, &rng)]++;
    assert_true(seen[7] > 5);
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
    assert_int_equal(ae_sampler_draw(&sampler, &how, logits, history, 4, &rng), 0);
    logits[5] = 2.6f;
    assert_int_equal(ae_sampler_draw(&sampler, &how, logits, history, 4, &rng), 5);
    how.repeat_last_n = 1; /* sees one 5 only */
    logits[5] = 1.6f;
    assert_int_equal(ae_sampler_draw(&sampler, &how, logits, history, 4, &rng), 5);
    how = (ae_sampling){ .repeat_last_n = 64, .repeat_penalty = 2 };
    logits[7] = 1;
    logits[5] = 1.9f; /* 0.95 after the penalty */
    assert_int_equal(ae_sampler_draw(&sampler, &how, logits, history, 4, &rng), 7);
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

/* The definition, by sorting everything. */
static int order_by_logit(const void *pa, const void *pb)
{
    const ae_candidate *a = pa, *b = pb;
    if (a->logit != b->logit) return a->logit < b->logit ? 1 : -1;
    return a->id - b->id;
}

static void penalize_plainly(ae_candidate *c, const ae_sampling *how, const int32_t *h, int n)
{
    for (int32_t id = 0; id < V; id++) {
        int count = 0;
        for (int i = 0; i < n; i++)
            if (how->repeat_last_n < 0 || n - i <= how->repeat_last_n) count += h[i] == id;
        if (count == 0) continue;
        if (how->repeat_penalty != 0)
            c[id].logit = c[id].logit > 0 ? c[id].logit / how->repeat_penalty
                                          : c[id].logit * how->repeat_penalty;
        c[id].logit -= how->presence_penalty + (float)count * how->frequency_penalty;
    }
}

static int32_t draw_plainly(const ae_sampling *how, const int32_t *h, int n_history, ae_rng *rng)
{
    static ae_candidate c[V];
    int n = V;
    double total = 0, held = 0, left;
    for (int i = 0; i < V; i++) c[i] = (ae_candidate){ i, logits[i] };
    penalize_plainly(c, how, h, n_history);
    bool narrowed = how->top_k > 0 || how->top_p > 0 || how->min_p > 0;
    if (narrowed || how->temperature == 0) qsort(c, V, sizeof *c, order_by_logit);
    double best = c[0].logit;
    if (how->temperature == 0) return c[0].id;
    if (how->top_k > 0) n = how->top_k;
    for (int i = 0; i < n; i++) total += exp((double)c[i].logit - c[0].logit);
    for (int i = 0; i < n && how->top_p > 0; i++) {
        held += exp((double)c[i].logit - c[0].logit);
        if (held >= (double)how->top_p * total) n = i + 1;
    }
    while (exp((double)c[n - 1].logit - c[0].logit) < (double)how->min_p) n--;
    total = 0;
    for (int i = 0; i < n && !narrowed; i++)
        if (c[i].logit > best) best = c[i].logit;
    for (int i = 0; i < n; i++) total += exp((c[i].logit - best) / how->temperature);
    left = ae_rng_uniform(rng) * total;
    for (int i = 0; i < n - 1; i++) {
        left -= exp((c[i].logit - best) / how->temperature);
        if (left < 0) return c[i].id;
    }
    return c[n - 1].id;
}

static void every_draw_is_what_sorting_everything_gives(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        ae_rng rng, a, b;
        int32_t history[90];
        ae_rng_seed(&rng, seed);
        for (int i = 0; i < V; i++) /* coarse, so that many are equal */
            logits[i] = seed % 2 ? 3 * ae_rng_normal(&rng) : (float)(ae_rng_below(&rng, 30)) - 9;
        for (int i = 0; i < 90; i++) history[i] = (int32_t)ae_rng_below(&rng, 40);
        ae_sampling how = {
            .temperature = seed % 5 ? 0.7f : 0,
            .top_k = seed % 11 == 0 ? 0 : 1 + (int32_t)ae_rng_below(&rng, seed % 7 ? 60 : V),
            .top_p = seed % 3 ? 0.9f : 0,
            .min_p = seed % 4 ? 0 : 0.1f,
            .repeat_penalty = seed % 2 ? 1.3f : 0,
            .presence_penalty = seed % 3 ? 0.25f : 0,
            .frequency_penalty = seed % 7 ? 0.5f : 0,
            .repeat_last_n = (int32_t)(seed % 4) * 20 - 1,
        };
        ae_rng_seed(&a, seed);
        ae_rng_seed(&b, seed);
        int32_t got = ae_sampler_draw(&sampler, &how, logits, history, 90, &a);
        int32_t want = draw_plainly(&how, history, 90, &b);
        if (got != want) fail_msg("seed %d: %d, not %d", (int)seed, got, want);
    }
}

static int open_sampler(void **state)
{
    aerie_error err = { 0 };
    (void)state;
    return ae_sampler_open(&sampler, V, &err) != AERIE_OK;
}

static int close_sampler(void **state)
{
    (void)state;
    ae_sampler_close(&sampler);
    return 0;
}

static void values_out_of_range_are_a_sentence(void **state)
{
    (void)state;
    static const ae_sampling wrong[] = { { .temperature = -1 }, { .top_p = 1.5f },
                                         { .min_p = -0.1f },    { .typical_p = 1.5f },
                                         { .top_k = -3 },       { .repeat_last_n = -2 },
                                         { .temperature = NAN } };
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
        cmocka_unit_test(typical_are_those_that_surprise_as_expected),
        cmocka_unit_test(draws_follow_the_softmax),
        cmocka_unit_test(penalties_follow_their_formulas),
        cmocka_unit_test(the_same_seed_gives_the_same_tokens),
        cmocka_unit_test(every_draw_is_what_sorting_everything_gives),
        cmocka_unit_test(values_out_of_range_are_a_sentence),
    };
    return cmocka_run_group_tests(tests, open_sampler, close_sampler);
}
