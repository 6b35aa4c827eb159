/* sampler.c -- penalties, filters and the draw. */
#include "infer/sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int by_logit(const void *pa, const void *pb)
{
    const ae_candidate *a = pa, *b = pb;
    if (a->logit != b->logit) return a->logit < b->logit ? 1 : -1;
    return (a->id > b->id) - (a->id < b->id);
}

static int32_t most_likely(const ae_candidate *c, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (c[i].logit > c[best].logit) best = i;
    return c[best].id;
}

/* Each distinct token of the window once, at its first occurrence. */
static int64_t occurrences(const int32_t *window, int64_t n, int64_t at)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) {
        if (window[i] != window[at]) continue;
        if (i < at) return 0;
        count++;
    }
    return count;
}

static void penalize(const ae_sampling *how, ae_candidate *c, int64_t vocab_size,
                     const int32_t *history, int64_t n_history)
{
    bool repeats = how->repeat_penalty != 0 && how->repeat_penalty != 1;
    if (!repeats && how->presence_penalty == 0 && how->frequency_penalty == 0) return;
    int64_t n =
        how->repeat_last_n < 0 || how->repeat_last_n > n_history ? n_history : how->repeat_last_n;
    const int32_t *window = history + n_history - n;

    for (int64_t i = 0; i < n; i++) {
        int64_t count = occurrences(window, n, i);
        if (count == 0 || window[i] < 0 || window[i] >= vocab_size) continue;
        float *logit = &c[window[i]].logit;
        if (repeats)
            *logit = *logit > 0 ? *logit / how->repeat_penalty : *logit * how->repeat_penalty;
        *logit -= how->presence_penalty + (float)count * how->frequency_penalty;
    }
}

/* Moves the k best to the front, in no order (Hoare's selection): sorting a vocabulary of 128,000
 * to keep 40 would cost more than the forward pass of a small model. */
static void select_best(ae_candidate *c, int64_t n, int64_t k)
{
    int64_t low = 0, high = n - 1;
    while (low < high) {
        ae_candidate pivot = c[low + (high - low) / 2];
        int64_t i = low, j = high;
        while (i <= j) {
            while (by_logit(&c[i], &pivot) < 0) i++;
            while (by_logit(&c[j], &pivot) > 0) j--;
            if (i > j) break;
            ae_candidate swap = c[i];
            c[i++] = c[j];
            c[j--] = swap;
        }
        if (k - 1 <= j)
            high = j;
        else if (k - 1 >= i)
            low = i;
        else
            break;
    }
}

/* Sorts the k best (0: all) to the front; returns how many are kept. */
static int64_t keep_top_k(ae_candidate *c, int64_t n, int32_t k)
{
    if (k > 0 && k < n) {
        select_best(c, n, k);
        n = k;
    }
    qsort(c, (size_t)n, sizeof *c, by_logit);
    return n;
}

/* Sorted candidates: how many hold top_p of the probability, and at least min_p of the best's. */
static int64_t keep_nucleus(const ae_candidate *c, int64_t n, float top_p, float min_p)
{
    if (top_p > 0 && top_p < 1) {
        double total = 0, held = 0;
        for (int64_t i = 0; i < n; i++) total += exp((double)c[i].logit - c[0].logit);
        for (int64_t i = 0; i < n; i++) {
            held += exp((double)c[i].logit - c[0].logit);
            if (held >= (double)top_p * total) {
                n = i + 1;
                break;
            }
        }
    }
    if (min_p > 0)
        while (n > 1 && exp((double)c[n - 1].logit - c[0].logit) < (double)min_p) n--;
    return n;
}

static int32_t draw(const ae_candidate *c, int64_t n, double temperature, ae_rng *rng)
{
    double top = c[0].logit, total = 0;
    for (int64_t i = 1; i < n; i++)
        if (c[i].logit > top) top = c[i].logit;
    for (int64_t i = 0; i < n; i++) total += exp((c[i].logit - top) / temperature);
    double left = ae_rng_uniform(rng) * total;
    for (int64_t i = 0; i < n; i++) {
        left -= exp((c[i].logit - top) / temperature);
        if (left < 0) return c[i].id;
    }
    return c[n - 1].id; /* rounding left a crumb */
}

int32_t ae_sampler_draw(const ae_sampling *how, const float *logits, int64_t vocab_size,
                        const int32_t *history, int64_t n_history, ae_candidate *scratch,
                        ae_rng *rng)
{
    for (int64_t i = 0; i < vocab_size; i++) scratch[i] = (ae_candidate){ (int32_t)i, logits[i] };
    penalize(how, scratch, vocab_size, history, n_history);
    if (how->temperature <= 0) return most_likely(scratch, vocab_size);

    int64_t n = vocab_size;
    bool nucleus = (how->top_p > 0 && how->top_p < 1) || how->min_p > 0;
    if (how->top_k > 0 || nucleus) n = keep_top_k(scratch, n, how->top_k);
    n = keep_nucleus(scratch, n, how->top_p, how->min_p);
    return draw(scratch, n, how->temperature, rng);
}

aerie_status ae_sampling_check(const ae_sampling *how, aerie_error *err)
{
    if (!(how->temperature >= 0 && how->temperature <= 100))
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "temperature is %g; give a number from 0 to 100",
                          (double)how->temperature);
    if (!(how->top_p >= 0 && how->top_p <= 1))
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "top_p is %g; give a number from 0 to 1",
                          (double)how->top_p);
    if (!(how->min_p >= 0 && how->min_p <= 1))
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "min_p is %g; give a number from 0 to 1",
                          (double)how->min_p);
    if (how->top_k < 0)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "top_k is %d; give 0 (off) or more", how->top_k);
    if (!(how->repeat_penalty >= 0 && how->repeat_penalty <= 100))
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "repeat_penalty is %g; give a number from 0 to 100",
                          (double)how->repeat_penalty);
    if (how->repeat_last_n < -1)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "repeat_last_n is %d; give -1 (all) or more",
                          how->repeat_last_n);
    if (!isfinite(how->presence_penalty) || !isfinite(how->frequency_penalty))
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "presence and frequency penalties must be finite");
    return AERIE_OK;
}
