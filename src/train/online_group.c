/* online_group.c -- advantages of replies by comparison with the others to the same prompt. */
#include "train/online.h"

#include <math.h>

static const double group_epsilon = 1e-4; /* TRL's, added to the standard deviation */

const char *ae_group_scale_name(int scale)
{
    static const char *const names[] = { "group", "batch", "none" };

    return scale >= 0 && scale < AE_N_SCALE ? names[scale] : NULL;
}

const char *ae_grpo_norm_name(int norm)
{
    static const char *const names[] = { "grpo", "bnpo", "dapo", "dr_grpo" };

    return norm >= 0 && norm < AE_N_GRPO_NORM ? names[norm] : NULL;
}

static double mean_of(const double *x, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++) sum += x[i];
    return sum / (double)n;
}

/* The unbiased standard deviation; 0 for fewer than two. */
static double deviation_of(const double *x, int64_t n)
{
    double mean = mean_of(x, n), sum = 0;

    for (int64_t i = 0; i < n; i++) sum += (x[i] - mean) * (x[i] - mean);
    return n > 1 ? sqrt(sum / (double)(n - 1)) : 0;
}

void ae_grpo_advantages(double *advantages, const double *rewards, int64_t n_groups, int64_t size,
                        ae_group_scale scale)
{
    double of_all = scale == AE_SCALE_BATCH ? deviation_of(rewards, n_groups * size) : 0;

    for (int64_t g = 0; g < n_groups; g++) {
        const double *r = rewards + g * size;
        double mean = mean_of(r, size), by = 1;
        if (scale == AE_SCALE_GROUP) by = deviation_of(r, size) + group_epsilon;
        if (scale == AE_SCALE_BATCH) by = of_all + group_epsilon;
        for (int64_t i = 0; i < size; i++) advantages[g * size + i] = (r[i] - mean) / by;
    }
}

void ae_rloo_advantages(double *advantages, const double *rewards, int64_t n_groups, int64_t size)
{
    for (int64_t g = 0; g < n_groups; g++) {
        const double *r = rewards + g * size;
        double sum = mean_of(r, size) * (double)size;
        for (int64_t i = 0; i < size; i++)
            advantages[g * size + i] = r[i] - (sum - r[i]) / (double)(size - 1);
    }
}
