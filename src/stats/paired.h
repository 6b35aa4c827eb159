/* paired.h -- two models on the same items: what their differences allow one to say.
 *
 * An item's difference is one number: where a model answered an item several times, its answers
 * are averaged first, so that repeats are never taken for new items. */
#ifndef AE_STATS_PAIRED_H
#define AE_STATS_PAIRED_H

#include "base/base.h"
#include "stats/binomial.h"

typedef struct {
    double mean;      /* of the differences */
    ae_interval ci95; /* percentiles of the resampled means */
    double p;         /* two-sided: twice the smaller share of resampled means on a side of 0, at
                       * most 1; those that are 0 count on both sides */
} ae_paired_result;

/* Bootstrap over items: `rounds` means of n differences drawn with replacement, SplitMix64 from
 * `seed`, an index being the high word of (number * n). `means` is NULL or room for the sorted
 * means. */
aerie_status ae_paired_bootstrap(ae_paired_result *out, const double *differences, size_t n,
                                 int64_t rounds, uint64_t seed, double *means, aerie_error *err);

/* The sign-flip permutation test's two-sided p of a mean difference of 0: the share of sign
 * patterns whose mean is at least as far from 0; all 2^n of them where that is no more than
 * `rounds`, else (1 + hits) / (1 + rounds) of random ones. Items without a difference take no
 * part: their sign changes nothing. */
aerie_status ae_paired_sign_flip(double *p, const double *differences, size_t n, int64_t rounds,
                                 uint64_t seed, aerie_error *err);

/* How many items would show a mean difference of `delta` whose items deviate by `deviation`, with
 * a power of 80 % at the 5 % level: (1.96 + 0.84)^2 deviation^2 / delta^2. */
double ae_paired_items_needed(double deviation, double delta);

/* SplitMix64 (Steele, Lea and Flood 2014). The state is the seed. */
uint64_t ae_paired_draw(uint64_t *state);
size_t ae_paired_draw_below(uint64_t *state, size_t n); /* 0 .. n-1; n > 0 */

#endif
