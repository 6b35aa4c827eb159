/* Divergence and what goes with it, against the definitions written out in long double. */
#include "infer/infer.h"

#include "scratch.h"

#include <math.h>

enum { V = 57 };

static void fill(float *logits, ae_rng *rng, double size)
{
    for (int i = 0; i < V; i++) logits[i] = (float)(size * ae_rng_normal(rng));
}

static void softmax(long double *p, const float *logits)
{
    long double sum = 0;

    for (int i = 0; i < V; i++) sum += p[i] = expl(logits[i]);
    for (int i = 0; i < V; i++) p[i] /= sum;
}

static void numbers_are_those_of_the_definitions(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        float a[V], b[V];
        long double p[V], q[V], kl = 0, ab = 0, aa = 0, bb = 0;
        int32_t token = (int32_t)(seed % V);
        ae_divergence d;
        ae_rng rng;

        ae_rng_seed(&rng, seed);
        fill(a, &rng, 4);
        fill(b, &rng, 0.3);
        for (int i = 0; i < V; i++) b[i] += a[i];
        softmax(p, a);
        softmax(q, b);
        for (int i = 0; i < V; i++) {
            kl += p[i] * logl(p[i] / q[i]);
            ab += (long double)a[i] * b[i];
            aa += (long double)a[i] * a[i];
            bb += (long double)b[i] * b[i];
        }
        assert_true(ae_divergence_open(&d, 1));
        ae_diverged_token t = ae_divergence_add(&d, a, b, V, token);
        if (fabsl(d.kl[0] - kl) > 1e-12L || fabsl(t.logprob - logl(q[token])) > 1e-12L ||
            t.kl != d.kl[0] || fabsl(t.reference - logl(p[token])) > 1e-12L ||
            t.same_top != (d.same_top == 1) || fabsl(d.nll + logl(q[token])) > 1e-12L ||
            fabsl(d.reference_nll + logl(p[token])) > 1e-12L ||
            fabsl(d.cosine - ab / sqrtl(aa * bb)) > 1e-12L)
            fail_msg("seed %llu: kl %.17g, not %.17Lg", (unsigned long long)seed, d.kl[0], kl);
        ae_divergence_close(&d);
    }
}

static void the_same_logits_do_not_differ(void **state)
{
    float a[V], b[V];
    ae_divergence d;
    ae_rng rng;
    (void)state;

    ae_rng_seed(&rng, 3);
    fill(a, &rng, 30);
    for (int i = 0; i < V; i++) b[i] = a[i];
    assert_true(ae_divergence_open(&d, 2));
    ae_divergence_add(&d, a, b, V, 0);
    for (int i = 0; i < V; i++) b[i] = 2000 - a[i];
    ae_divergence_add(&d, a, b, V, 0);
    ae_divergence_add(&d, a, b, V, 0); /* one more than there is room for */
    assert_int_equal(d.n, 2);
    assert_true(d.kl[0] == 0);
    assert_true(isfinite(d.kl[1]) && d.kl[1] > 1);
    assert_int_equal(d.same_top, 1);
    ae_divergence_close(&d);
}

static void quantiles_lie_between_the_values(void **state)
{
    ae_divergence d;
    (void)state;

    assert_true(ae_divergence_open(&d, 5));
    assert_true(ae_divergence_quantile(&d, 0.5) == 0);
    for (int i = 0; i < 5; i++) d.kl[d.n++] = (i * 3) % 5; /* 0 3 1 4 2 */
    assert_true(ae_divergence_quantile(&d, 0) == 0);
    assert_true(ae_divergence_quantile(&d, 0.5) == 2);
    assert_true(fabs(ae_divergence_quantile(&d, 0.9) - 3.6) < 1e-12);
    assert_true(ae_divergence_quantile(&d, 1) == 4);
    ae_divergence_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_those_of_the_definitions),
        cmocka_unit_test(the_same_logits_do_not_differ),
        cmocka_unit_test(quantiles_lie_between_the_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
