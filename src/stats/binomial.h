/* binomial.h -- shares of n, and the tests that count heads of a fair coin. */
#ifndef AE_STATS_BINOMIAL_H
#define AE_STATS_BINOMIAL_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    double low, high;
} ae_interval;

/* Wilson's score interval of k of n at z = 1.959963984540054 (95 %). n = 0: [0, 1]. */
ae_interval ae_binomial_wilson(int64_t k, int64_t n);

/* The exact two-sided p of `wins` against `losses` under a fair coin: min(1, 2 P(X <= min)). It is
 * the sign test (ties left out) and, of the items where two models differ, McNemar's exact test.
 * 1 when there are none. */
double ae_binomial_sign_test(int64_t wins, int64_t losses);

/* McNemar's chi-squared with the continuity correction, (|b - c| - 1)^2 / (b + c), and its p with
 * one degree of freedom. b + c = 0: 0 and 1. */
double ae_binomial_mcnemar_chi2(int64_t b, int64_t c, double *p);

/* How many items a paired test needs to see a difference `delta` of two shares when the share
 * `discordant` of the items tells the models apart: (1.96 + 0.84)^2 discordant / delta^2, a power
 * of 80 % at the 5 % level (Connor 1987). Infinity for delta = 0. */
double ae_binomial_items_needed(double discordant, double delta);

/* Holm's step-down correction: out[i] is p[i] as it may be compared with the level when all n were
 * tested. `order` is room for n indices. */
void ae_binomial_holm(const double *p, size_t n, double *out, size_t *order);

#endif
