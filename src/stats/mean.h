/* mean.h -- means with their standard errors, means of groups, quantiles. */
#ifndef AE_STATS_MEAN_H
#define AE_STATS_MEAN_H

#include "base/base.h"

/* Sums are added in order. Of nothing: NaN. */
double ae_mean(const double *x, size_t n);
/* Standard deviation with n - 1 below the line (NaN when n < 2), and that over sqrt(n). */
double ae_mean_deviation(const double *x, size_t n);
double ae_mean_stderr(const double *x, size_t n);

/* Of groups with `sizes` items each: the mean over all items. The macro mean is ae_mean(). */
double ae_mean_by_size(const double *means, const int64_t *sizes, size_t n_groups);
/* Its standard error as lm-evaluation-harness pools it (metrics.py, pooled_sample_stderr):
 * sqrt(sum((n_i - 1) se_i^2 n_i) / (N - k) / N). */
double ae_mean_pooled_stderr(const double *stderrs, const int64_t *sizes, size_t n_groups);

/* The q-quantile, 0 <= q <= 1, of sorted numbers, between two of them by linear interpolation
 * (numpy's default). Of nothing: NaN. */
double ae_quantile(const double *sorted, size_t n, double q);
/* Sorts upwards; NaN last. */
void ae_quantile_sort(double *x, size_t n);

#endif
