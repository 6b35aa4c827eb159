/* bootstrap.c -- intervals by the paired bootstrap: prompts are drawn again, with replacement, and
 * every model is asked about the same draw. */
#include "nursery.h"

#include <stdlib.h>

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The middle 95 % of the sorted values. */
static nu_interval middle(double *values, size_t n)
{
    qsort(values, n, sizeof *values, by_value);
    return (nu_interval){ values[n / 40], values[n - 1 - n / 40] };
}

static double mean_of(const double *scores, const uint32_t *draw, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++) sum += scores[draw[i]];
    return sum / (double)n;
}

void nu_bootstrap(nu_interval *means, nu_interval *gains, const double *const *scores,
                  const size_t *starts, size_t n_models, size_t n_prompts, size_t n_draws,
                  uint64_t seed)
{
    nu_chance c = nu_chance_seed(seed, "bootstrap");
    uint32_t *draw = calloc(n_prompts, sizeof *draw);
    double *all = calloc(n_models * n_draws, sizeof *all), *gain = calloc(n_draws, sizeof *gain);

    if (!draw || !all || !gain) nu_die("out of memory");
    for (size_t d = 0; d < n_draws; d++) {
        for (size_t i = 0; i < n_prompts; i++) draw[i] = (uint32_t)nu_chance_below(&c, n_prompts);
        for (size_t m = 0; m < n_models; m++)
            all[m * n_draws + d] = mean_of(scores[m], draw, n_prompts);
    }
    for (size_t m = 0; m < n_models; m++) {
        for (size_t d = 0; d < n_draws; d++)
            gain[d] = all[m * n_draws + d] - all[starts[m] * n_draws + d];
        gains[m] = middle(gain, n_draws);
    }
    for (size_t m = 0; m < n_models; m++) means[m] = middle(all + m * n_draws, n_draws);
    free(draw);
    free(all);
    free(gain);
}
