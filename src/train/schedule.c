/* schedule.c -- the learning rate of every optimizer step. */
#include "train/train.h"

#include <math.h>

static double cosine(double progress)
{
    return 0.5 * (1 + cos(3.14159265358979323846 * progress));
}

static double at_least_one(int64_t n)
{
    return n > 1 ? (double)n : 1.0;
}

double ae_schedule_rate(const ae_schedule *s, int64_t step)
{
    int64_t k = s->kind == AE_LR_COSINE_MIN ? step + 1 : step;
    double after_warmup = (double)(k - s->n_warmup) / at_least_one(s->n_steps - s->n_warmup);

    if (s->kind == AE_LR_CONSTANT) return s->base;
    if (k < s->n_warmup) return s->base * ((double)k / at_least_one(s->n_warmup));
    switch (s->kind) {
    case AE_LR_COSINE:
        return s->base * fmax(0, cosine(after_warmup));
    case AE_LR_LINEAR:
        return s->base * fmax(0, 1 - after_warmup);
    case AE_LR_COSINE_MIN:
        return s->base * (s->min_ratio + (1 - s->min_ratio) * cosine(after_warmup));
    default:
        return s->base;
    }
}

double ae_auto_rate(double base, double tokens)
{
    return base * sqrt(tokens / 4e6);
}
