/* mean.c -- means, their errors, quantiles. */
#include "stats/mean.h"

#include <math.h>
#include <stdlib.h>

double ae_mean(const double *x, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++) sum += x[i];
    return n ? sum / (double)n : NAN;
}

double ae_mean_deviation(const double *x, size_t n)
{
    double mean = ae_mean(x, n), sum = 0;

    for (size_t i = 0; i < n; i++) sum += (x[i] - mean) * (x[i] - mean);
    return n > 1 ? sqrt(sum / (double)(n - 1)) : NAN;
}

double ae_mean_stderr(const double *x, size_t n)
{
    return ae_mean_deviation(x, n) / sqrt((double)n);
}

double ae_mean_by_size(const double *means, const int64_t *sizes, size_t n_groups)
{
    double sum = 0, total = 0;

    for (size_t i = 0; i < n_groups; i++) {
        sum += means[i] * (double)sizes[i];
        total += (double)sizes[i];
    }
    return total > 0 ? sum / total : NAN;
}

double ae_mean_pooled_stderr(const double *stderrs, const int64_t *sizes, size_t n_groups)
{
    double sum = 0, total = 0;

    for (size_t i = 0; i < n_groups; i++) {
        double size = (double)sizes[i];
        sum += (size - 1) * stderrs[i] * stderrs[i] * size;
        total += size;
    }
    return sqrt(sum / (total - (double)n_groups) / total);
}

double ae_quantile(const double *sorted, size_t n, double q)
{
    double at = q * (double)(n - 1);
    size_t below;

    if (!n) return NAN;
    if (!(at > 0)) return sorted[0];
    below = (size_t)at;
    if (below >= n - 1) return sorted[n - 1];
    return sorted[below] + (at - (double)below) * (sorted[below + 1] - sorted[below]);
}

static int by_size(const void *one, const void *other)
{
    double a = *(const double *)one, b = *(const double *)other;

    if (isnan(a) || isnan(b)) return isnan(a) - isnan(b);
    return (a > b) - (a < b);
}

void ae_quantile_sort(double *x, size_t n)
{
    if (n > 1) qsort(x, n, sizeof *x, by_size);
}
