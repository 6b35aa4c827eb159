/* divergence.c -- Kullback-Leibler divergence between two models' predictions, and what else is
 * asked of a quantized model beside its original. */
#include "infer/divergence.h"

#include <math.h>
#include <stdlib.h>

bool ae_divergence_open(ae_divergence *d, int64_t capacity)
{
    *d = (ae_divergence){ .capacity = capacity };
    d->kl = ae_alloc((size_t)capacity, sizeof *d->kl);
    return d->kl != NULL;
}

void ae_divergence_close(ae_divergence *d)
{
    ae_free(d->kl);
    *d = (ae_divergence){ 0 };
}

static int64_t top_of(const float *logits, int64_t n)
{
    int64_t top = 0;

    for (int64_t i = 1; i < n; i++)
        if (logits[i] > logits[top]) top = i;
    return top;
}

double ae_log_sum_exp(const float *logits, int64_t n)
{
    double most = logits[top_of(logits, n)], sum = 0;

    for (int64_t i = 0; i < n; i++) sum += exp(logits[i] - most);
    return most + log(sum);
}

/* With a, b the logits: sum of P * (a - b), less the difference of their log-sum-exps. */
static double divergence_of(const float *a, const float *b, int64_t n, double lse_a, double lse_b)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++) sum += exp(a[i] - lse_a) * ((double)a[i] - b[i]);
    return fmax(0, sum - (lse_a - lse_b));
}

static double cosine_of(const float *a, const float *b, int64_t n)
{
    double ab = 0, aa = 0, bb = 0;

    for (int64_t i = 0; i < n; i++) {
        ab += (double)a[i] * b[i];
        aa += (double)a[i] * a[i];
        bb += (double)b[i] * b[i];
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : aa == bb;
}

static void add_differences(ae_divergence *d, const float *a, const float *b, int64_t n)
{
    double sum = 0, most = 0;

    for (int64_t i = 0; i < n; i++) {
        double off = fabs((double)a[i] - b[i]);
        sum += off;
        if (off > most) most = off;
    }
    if (most > d->logit_max) d->logit_max = most;
    d->logit_sum += sum / (double)n;
}

ae_diverged_token ae_divergence_add(ae_divergence *d, const float *reference, const float *logits,
                                    int64_t vocab_size, int32_t token)
{
    double lse_a = ae_log_sum_exp(reference, vocab_size),
           lse_b = ae_log_sum_exp(logits, vocab_size);
    const ae_diverged_token t = { .kl = divergence_of(reference, logits, vocab_size, lse_a, lse_b),
                                  .logprob = logits[token] - lse_b,
                                  .reference = reference[token] - lse_a,
                                  .same_top =
                                      top_of(reference, vocab_size) == top_of(logits, vocab_size) };

    if (d->n >= d->capacity) return t;
    d->kl[d->n++] = t.kl;
    d->nll -= t.logprob;
    d->reference_nll -= t.reference;
    add_differences(d, reference, logits, vocab_size);
    d->cosine += cosine_of(reference, logits, vocab_size);
    d->same_top += t.same_top;
    return t;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double ae_divergence_quantile(ae_divergence *d, double share)
{
    if (d->n < 1) return 0;
    qsort(d->kl, (size_t)d->n, sizeof *d->kl, by_size);
    double at = share * (double)(d->n - 1);
    int64_t below = (int64_t)at, above = below + 1 < d->n ? below + 1 : below;
    return d->kl[below] + (at - (double)below) * (d->kl[above] - d->kl[below]);
}
