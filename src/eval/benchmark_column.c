/* benchmark_column.c -- one number of a task from its items', with its standard error. */
#include "eval/benchmark_private.h"
#include "stats/stats.h"

#include <math.h>

aerie_status ae_bench_column_add(ae_bench_column *c, double value, double weight, aerie_error *err)
{
    if (c->n == c->room) {
        size_t room = c->room ? 2 * (size_t)c->room : 256;
        double *values = ae_realloc(c->values, (size_t)c->room, room, sizeof *values);
        if (values) c->values = values;
        double *weights = ae_realloc(c->weights, (size_t)c->room, room, sizeof *weights);
        if (weights) c->weights = weights;
        if (!values || !weights)
            return aerie_fail(err, AERIE_NO_MEMORY, "no memory for %s", c->name);
        c->room = (int64_t)room;
    }
    c->values[c->n] = value;
    c->weights[c->n++] = weight;
    return AERIE_OK;
}

void ae_bench_column_free(ae_bench_column *c)
{
    ae_free(c->values);
    ae_free(c->weights);
}

static double sum(const double *x, int64_t n)
{
    double total = 0;

    for (int64_t i = 0; i < n; i++) total += x[i];
    return total;
}

static double f1_of(const double *predicted, const double *gold, const int64_t *at, int64_t n)
{
    double both = 0, some = 0;

    for (int64_t k = 0; k < n; k++) {
        int64_t i = at ? at[k] : k;
        both += 2 * predicted[i] * gold[i];
        some += predicted[i] + gold[i];
    }
    return some > 0 ? both / some : 0;
}

static double perplexity_of(const double *values, const int64_t *at, int64_t n)
{
    double total = 0;

    for (int64_t k = 0; k < n; k++) total += values[at ? at[k] : k];
    return exp(-total / (double)n);
}

double ae_bench_column_value(const ae_bench_column *c)
{
    double total = sum(c->values, c->n), weight = sum(c->weights, c->n);

    switch (c->aggregate) {
    case AE_AGGREGATE_PERPLEXITY:
        return perplexity_of(c->values, NULL, c->n);
    case AE_AGGREGATE_WEIGHTED_PPL:
    case AE_AGGREGATE_TOKEN_PPL:
        return exp(-total / weight);
    case AE_AGGREGATE_BITS_PER_BYTE:
        return -total / weight / log(2);
    case AE_AGGREGATE_F1:
        return f1_of(c->values, c->weights, NULL, c->n);
    default:
        return ae_mean(c->values, (size_t)c->n);
    }
}

static double resampled(void *user, const int64_t *at, size_t n)
{
    const ae_bench_column *c = user;
    return c->aggregate == AE_AGGREGATE_F1 ? f1_of(c->values, c->weights, at, (int64_t)n)
                                           : perplexity_of(c->values, at, (int64_t)n);
}

/* Of exp(mean loss) of tokens, from sums: llama.cpp's. */
static double token_error(const ae_bench_column *c)
{
    double n = sum(c->weights, c->n), total = sum(c->values, c->n), mean = total / n;
    double var = (c->squares / n - mean * mean) / (n - 1);

    return c->squares > 0 && n > 1 ? exp(-mean) * sqrt(fmax(var, 0)) : NAN;
}

/* As the harness has them: analytic of means, of perplexity and F1 over its 100,000 resamples, none
 * of sums over sums. */
aerie_status ae_bench_column_error(double *out, ae_bench_column *c, aerie_error *err)
{
    enum { ROUNDS = 100000 };

    *out = NAN;
    if (c->aggregate == AE_AGGREGATE_TOKEN_PPL) *out = token_error(c);
    if (c->aggregate == AE_AGGREGATE_MEAN) *out = ae_mean_stderr(c->values, (size_t)c->n);
    if (c->aggregate == AE_AGGREGATE_PERPLEXITY || c->aggregate == AE_AGGREGATE_F1)
        return ae_bootstrap_stderr(out, resampled, c, (size_t)c->n, ROUNDS, err);
    return AERIE_OK;
}
