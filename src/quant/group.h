/* group.h -- the best scale and minimum for one group of numbers that share them. Private to quant.
 *
 * Every block format says the same thing: x[i] is near s * q[i] - m with q whole, lo <= q <= hi,
 * and what is to be small is sum w[i] * (s * q[i] - m - x[i])^2. A symmetric format has m = 0. */
#ifndef AE_QUANT_GROUP_H
#define AE_QUANT_GROUP_H

#include "quant/lanes.h"

#include <stdbool.h>

typedef struct {
    const float *x, *w; /* [n], w above 0 */
    int n;
    float lo, hi; /* the range of q */
    float sum_w, sum_wx;
} ae_group;

/* A scale and a minimum, and what comes of them when every q is the nearest there is: the error and
 * the sums over w that least squares needs. */
typedef struct {
    float s, m;
    float error, sum_q, sum_qq, sum_xq;
} ae_fit;

/* Eight of them. */
typedef struct {
    lanes s, m;
    lanes error, sum_q, sum_qq, sum_xq;
} ae_fits;

typedef enum {
    AE_MINIMUM_NONE,     /* m = 0 */
    AE_MINIMUM_POSITIVE, /* m >= 0: the K types */
    AE_MINIMUM_FREE
} ae_minimum;

/* The files that search are compiled once for every processor and once more with AVX2; the numbers
 * are the same. */
#ifdef AE_QUANT_AVX2
#define AE_QUANT_NAME(name) name##_avx2
#else
#define AE_QUANT_NAME(name) name
#endif

#define ae_group_of      AE_QUANT_NAME(ae_group_of)
#define ae_group_measure AE_QUANT_NAME(ae_group_measure)
#define ae_group_keep    AE_QUANT_NAME(ae_group_keep)
#define ae_group_fit     AE_QUANT_NAME(ae_group_fit)
#define ae_group_round   AE_QUANT_NAME(ae_group_round)

ae_group ae_group_of(const float *x, const float *w, int n, float lo, float hi);
/* Fills the rest of eight fits from their s and m. */
void ae_group_measure(const ae_group *g, ae_fits *fits);
/* Puts the best of eight into *best if it is better; its lane, or -1. */
int ae_group_keep(ae_fit *best, const ae_fits *fits);
/* The best of many starts, each improved by turns: q from (s, m), then (s, m) from q. */
ae_fit ae_group_fit(const ae_group *g, ae_minimum minimum);
/* q[n] of a scale and a minimum. */
void ae_group_round(const ae_group *g, float s, float m, int *q);

#endif
