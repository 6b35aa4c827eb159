/* paired.c -- the bootstrap and the sign-flip test of paired differences. */
#include "stats/paired.h"

#include "stats/mean.h"

#include <math.h>

uint64_t ae_paired_draw(uint64_t *state)
{
    uint64_t x = *state;

    *state += 0x9e3779b97f4a7c15u;
    return ae_mix64(x);
}

size_t ae_paired_draw_below(uint64_t *state, size_t n)
{
    __extension__ typedef unsigned __int128 wide;

    return (size_t)((wide)ae_paired_draw(state) * n >> 64);
}

aerie_status ae_paired_bootstrap(ae_paired_result *out, const double *differences, size_t n,
                                 int64_t rounds, uint64_t seed, double *means, aerie_error *err)
{
    int64_t n_low = 0, n_high = 0;
    double *own = NULL;

    *out = (ae_paired_result){ .mean = ae_mean(differences, n), .ci95 = { NAN, NAN }, .p = 1 };
    if (!n || rounds < 1)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "a bootstrap needs items and a resample");
    if (!means) means = own = ae_alloc((size_t)rounds, sizeof *own);
    if (!means) return aerie_fail(err, AERIE_NO_MEMORY, "no room for a bootstrap");
    for (int64_t i = 0; i < rounds; i++) {
        double sum = 0;
        for (size_t k = 0; k < n; k++) sum += differences[ae_paired_draw_below(&seed, n)];
        means[i] = sum / (double)n;
        n_low += means[i] <= 0;
        n_high += means[i] >= 0;
    }
    ae_quantile_sort(means, (size_t)rounds);
    out->ci95.low = ae_quantile(means, (size_t)rounds, 0.025);
    out->ci95.high = ae_quantile(means, (size_t)rounds, 0.975);
    out->p = fmin(1, 2 * (double)ae_min64(n_low, n_high) / (double)rounds);
    ae_free(own);
    return AERIE_OK;
}

/* The sum with the signs of the bits of `flips`, from its lowest on. */
static double flipped(const double *x, size_t n, uint64_t flips)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++, flips >>= 1) sum += flips & 1 ? -x[i] : x[i];
    return sum;
}

static double flipped_at_random(const double *x, size_t n, uint64_t *seed)
{
    double sum = 0;

    for (size_t i = 0; i < n; i += 64)
        sum += flipped(x + i, n - i < 64 ? n - i : 64, ae_paired_draw(seed));
    return sum;
}

aerie_status ae_paired_sign_flip(double *p, const double *differences, size_t n, int64_t rounds,
                                 uint64_t seed, aerie_error *err)
{
    double *x = ae_alloc(n, sizeof *x), sum = 0, size = 0;
    size_t n_x = 0;
    int64_t hits = 0;

    *p = 1;
    if (!x) return aerie_fail(err, AERIE_NO_MEMORY, "no room for %zu differences", n);
    for (size_t i = 0; i < n; i++) {
        if (differences[i] == 0) continue;
        sum += x[n_x++] = differences[i];
        size += fabs(differences[i]);
    }
    /* What is as far but for the rounding of its sum counts as being as far. */
    double far = fabs(sum) - 1e-12 * size;
    if (n_x < 62 && (INT64_C(1) << n_x) <= rounds) {
        for (uint64_t i = 0; i < UINT64_C(1) << n_x; i++) hits += fabs(flipped(x, n_x, i)) >= far;
        *p = (double)hits / (double)(INT64_C(1) << n_x);
    } else {
        for (int64_t i = 0; i < rounds; i++) hits += fabs(flipped_at_random(x, n_x, &seed)) >= far;
        *p = (double)(1 + hits) / (double)(1 + rounds);
    }
    ae_free(x);
    return AERIE_OK;
}

double ae_paired_items_needed(double deviation, double delta)
{
    return ae_binomial_items_needed(deviation * deviation, delta);
}
