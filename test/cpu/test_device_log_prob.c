/* test_device_log_prob.c -- log-probabilities both ways: against the plain formula in double, and
 * the same bits however the predictions are cut into calls. */
#include "devices.h"

typedef struct {
    int64_t T, N, V, D;
    ae_tensor w;
    buffer x, dlogp, dmean, dentropy, logp, mean, entropy, top, dx, dw;
    double *lse;
    int32_t *rows, *targets;
    float soft_cap;
} problem;

static problem problem_new(int64_t T, int64_t N, int64_t V, int64_t D, uint64_t seed)
{
    problem p = { .T = T, .N = N, .V = V, .D = D };
    ae_rng rng;

    ae_rng_seed(&rng, seed);
    p.w = weight_random(&rng, AE_F32, V, D);
    p.x = buffer_random(&rng, T * D);
    p.dlogp = buffer_random(&rng, N), p.dmean = buffer_random(&rng, N);
    p.dentropy = buffer_random(&rng, N);
    p.logp = buffer_new(N), p.mean = buffer_new(N), p.entropy = buffer_new(N),
    p.top = buffer_new(N);
    p.lse = ae_alloc((size_t)N, sizeof *p.lse);
    p.dx = buffer_random(&rng, T * D), p.dw = buffer_random(&rng, V * D);
    p.rows = ae_alloc((size_t)N, sizeof *p.rows);
    p.targets = ae_alloc((size_t)N, sizeof *p.targets);
    for (int64_t i = 0; i < N; i++) { /* rows repeat when N > T */
        p.rows[i] = (int32_t)ae_rng_below(&rng, (uint64_t)T);
        p.targets[i] = (int32_t)ae_rng_below(&rng, (uint64_t)V);
    }
    p.targets[0] = (int32_t)V - 1;
    return p;
}

static void problem_free(problem *p)
{
    ae_free(p->w.data), ae_free(p->rows), ae_free(p->targets);
    buffer_free(p->x), buffer_free(p->dlogp), buffer_free(p->dmean), buffer_free(p->logp);
    ae_free(p->lse), buffer_free(p->top), buffer_free(p->mean), buffer_free(p->entropy),
        buffer_free(p->dentropy), buffer_free(p->dx), buffer_free(p->dw);
}

/* Predictions from .. from + n - 1, both ways. */
static void run(problem *p, ae_device *dev, ae_arena *arena, int64_t from, int64_t n)
{
    ae_predictions part = { p->rows + from, p->targets + from, n, p->soft_cap };

    assert_int_equal(dev->log_prob(dev, arena, p->logp.at + from, p->lse + from, p->mean.at + from,
                                   p->entropy.at + from, p->top.at + from, p->x.at, &p->w, &part),
                     0);
    assert_int_equal(dev->log_prob_bwd(dev, arena, p->dx.at, p->dw.at, p->dlogp.at + from,
                                       p->dmean.at + from, p->dentropy.at + from,
                                       p->entropy.at + from, p->lse + from, p->x.at, &p->w, &part),
                     0);
}

static void plain_prediction(problem *p, int64_t i, double *logit)
{
    const float *x = p->x.at + p->rows[i] * p->D, *w = p->w.data;
    double max = -INFINITY, sum = 0, total = 0;

    for (int64_t v = 0; v < p->V; v++) {
        logit[v] = 0;
        for (int64_t c = 0; c < p->D; c++) logit[v] += (double)x[c] * w[v * p->D + c];
        if (p->soft_cap > 0) logit[v] = p->soft_cap * tanh(logit[v] / p->soft_cap);
        max = fmax(max, logit[v]);
        total += logit[v];
    }
    for (int64_t v = 0; v < p->V; v++) sum += exp(logit[v] - max);
    double lse = max + log(sum);
    p->lse[i] = lse;
    p->top.at[i] = (float)(max - lse);
    p->logp.at[i] = (float)(logit[p->targets[i]] - lse);
    p->mean.at[i] = (float)(total / (double)p->V - lse);
    double entropy = lse;
    for (int64_t v = 0; v < p->V; v++) entropy -= exp(logit[v] - lse) * logit[v];
    p->entropy.at[i] = (float)entropy;
    for (int64_t v = 0; v < p->V; v++) {
        double prob = exp(logit[v] - lse), dlogp = p->dlogp.at[i], dmean = p->dmean.at[i];
        double g = dlogp * ((v == p->targets[i]) - prob) + dmean * (1.0 / (double)p->V - prob);
        g -= p->dentropy.at[i] * prob * (logit[v] - lse + entropy);
        if (p->soft_cap > 0) g *= 1 - pow(logit[v] / p->soft_cap, 2);
        for (int64_t c = 0; c < p->D; c++) {
            p->dx.at[p->rows[i] * p->D + c] += (float)(g * w[v * p->D + c]);
            p->dw.at[v * p->D + c] += (float)(g * x[c]);
        }
    }
}

/* Without a soft cap, and with one that some logits reach. */
static void check_capped(ae_device *dev, ae_arena *arena, float soft_cap)
{
    static const int64_t sizes[][4] = { { 1, 1, 3, 5 },
                                        { 4, 9, 1024, 16 },
                                        { 5, 3, 1025, 33 },
                                        { 30, 50, 2500, 20 },
                                        { 90, 520, 40, 8 } };
    double logit[2500];

    for (size_t i = 0; i < AE_COUNT(sizes); i++) {
        const int64_t *s = sizes[i];
        problem got = problem_new(s[0], s[1], s[2], s[3], i);
        problem want = problem_new(s[0], s[1], s[2], s[3], i);
        got.soft_cap = want.soft_cap = soft_cap;
        run(&got, dev, arena, 0, got.N);
        for (int64_t n = 0; n < want.N; n++) plain_prediction(&want, n, logit);
        assert_close("logp", got.logp.at, want.logp.at, want.N, 1e-5, 1);
        for (int64_t n = 0; n < want.N; n++) assert_true(fabs(got.lse[n] - want.lse[n]) < 1e-5);
        assert_close("entropy", got.entropy.at, want.entropy.at, want.N, 1e-5, 1);
        assert_close("top", got.top.at, want.top.at, want.N, 1e-5, 1);
        assert_close("mean", got.mean.at, want.mean.at, want.N, 1e-5, 1);
        assert_close("dx", got.dx.at, want.dx.at, want.dx.n, 5e-5, 3);
        assert_close("dw", got.dw.at, want.dw.at, want.dw.n, 5e-5, 3);
        problem_free(&got);
        problem_free(&want);
    }
}

static void check_right(ae_device *dev, ae_arena *arena)
{
    check_capped(dev, arena, 0);
    check_capped(dev, arena, 3);
}

static void test_right(void **state)
{
    (void)state;
    for_each_device(check_right);
}

/* Logits near 1000: probabilities are still right to float32's own precision. */
static void check_extreme(ae_device *dev, ae_arena *arena)
{
    problem got = problem_new(6, 6, 3, 2, 5), want = problem_new(6, 6, 3, 2, 5);
    problem *both[] = { &got, &want };
    double logit[3];

    for (size_t k = 0; k < 2; k++) {
        float *w = both[k]->w.data;
        /* Eighths: a float holds every logit exactly, so that only the lse is put to the test. */
        for (int64_t i = 0; i < 6; i++)
            both[k]->x.at[2 * i] = 1, both[k]->x.at[2 * i + 1] = (float)(i - 3) / 8;
        for (int64_t v = 0; v < 3; v++) w[2 * v] = 1000.25f, w[2 * v + 1] = (float)(v % 17 - 8) / 8;
    }
    run(&got, dev, arena, 0, got.N);
    for (int64_t n = 0; n < want.N; n++) plain_prediction(&want, n, logit);
    for (int64_t v = 0; v < 3; v++) /* the second column: the first is dominated by 1000 x g */
        assert_true(fabsf(got.dw.at[2 * v + 1] - want.dw.at[2 * v + 1]) < 1e-6f);
    problem_free(&got);
    problem_free(&want);
}

static void test_extreme(void **state)
{
    (void)state;
    for_each_device(check_extreme);
}

static void check_pieces(ae_device *dev, ae_arena *arena)
{
    problem one = problem_new(60, 540, 1100, 24, 3), two = problem_new(60, 540, 1100, 24, 3);

    one.soft_cap = two.soft_cap = 2;
    run(&one, dev, arena, 0, one.N);
    for (int64_t at = 0, n = 1; at < two.N; at += n, n = n * 3 % 101) {
        if (n > two.N - at) n = two.N - at;
        run(&two, dev, arena, at, n);
    }
    assert_same_bits("logp in pieces", two.logp.at, one.logp.at, one.N);
    for (int64_t n = 0; n < one.N; n++) assert_true(two.lse[n] == one.lse[n]);
    assert_same_bits("top in pieces", two.top.at, one.top.at, one.N);
    assert_same_bits("mean in pieces", two.mean.at, one.mean.at, one.N);
    assert_same_bits("dx in pieces", two.dx.at, one.dx.at, one.dx.n);
    assert_same_bits("dw in pieces", two.dw.at, one.dw.at, one.dw.n);
    problem_free(&one);
    problem_free(&two);
}

/* Every token once a target of every row: exactly the likeliest has what is told as its own. */
static void check_top(ae_device *dev, ae_arena *arena)
{
    enum { T = 3, V = 1100 };
    problem p = problem_new(T, T * V, V, 16, 21);

    for (int32_t i = 0; i < T * V; i++) p.rows[i] = i / V, p.targets[i] = i % V;
    run(&p, dev, arena, 0, p.N);
    for (int64_t t = 0; t < T; t++) {
        int64_t likeliest = 0;
        for (int64_t v = 0; v < V; v++)
            if (p.logp.at[t * V + v] > p.logp.at[t * V + likeliest]) likeliest = v;
        for (int64_t v = 0; v < V; v++)
            assert_true((p.logp.at[t * V + v] >= p.top.at[t * V + v]) == (v == likeliest));
    }
    problem_free(&p);
}

static void test_top(void **state)
{
    (void)state;
    for_each_device(check_top);
}

static void test_pieces(void **state)
{
    (void)state;
    for_each_device(check_pieces);
}

static buffer both_ways(ae_device *dev, ae_arena *arena)
{
    problem p = problem_new(100, 200, 1500, 40, 9);
    buffer all = buffer_new(p.N + p.dx.n + p.dw.n);

    run(&p, dev, arena, 0, p.N);
    memcpy(all.at, p.logp.at, (size_t)p.N * 4);
    memcpy(all.at + p.N, p.dx.at, (size_t)p.dx.n * 4);
    memcpy(all.at + p.N + p.dx.n, p.dw.at, (size_t)p.dw.n * 4);
    problem_free(&p);
    return all;
}

static void test_threads(void **state)
{
    (void)state;
    assert_threads_agree("log_prob", both_ways);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right),  cmocka_unit_test(test_extreme), cmocka_unit_test(test_top),
        cmocka_unit_test(test_pieces), cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
