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

enum { LANES = 16 };

/* The largest of 16 logits; of those that are numbers. */
static float largest_of_lanes(const float *x)
{
    float best = x[0];
    for (int i = 1; i < LANES; i++)
        if (x[i] > best) best = x[i];
    return best;
}

/* Lane by lane, which a compiler turns into vectors; then the first that is as large. */
static int32_t most_likely(const float *logits, int64_t n)
{
    float lanes[LANES];
    int64_t whole = n / LANES * LANES, best = 0;
    for (int i = 0; i < LANES; i++) lanes[i] = -INFINITY;
    for (int64_t i = 0; i < whole; i += LANES)
        for (int j = 0; j < LANES; j++)
            lanes[j] = logits[i + j] > lanes[j] ? logits[i + j] : lanes[j];
    float largest = largest_of_lanes(lanes);
    for (int64_t i = whole; i < n; i++)
        if (logits[i] > largest) largest = logits[i];
    while (best < n && logits[best] != largest) best++;
    return best < n ? (int32_t)best : 0;
}

static bool penalizes(const ae_sampling *how)
{
    bool repeats = how->repeat_penalty != 0 && how->repeat_penalty != 1;
    return how->repeat_last_n != 0 &&
           (repeats || how->presence_penalty != 0 || how->frequency_penalty != 0);
}

static void penalize(const ae_sampler *s, const ae_sampling *how, const int32_t *history,
                     int64_t n_history)
{
    bool repeats = how->repeat_penalty != 0 && how->repeat_penalty != 1;
    int64_t n =
        how->repeat_last_n < 0 || how->repeat_last_n > n_history ? n_history : how->repeat_last_n;
    const int32_t *window = history + n_history - n;

    for (int64_t i = 0; i < n; i++)
        if (window[i] >= 0 && window[i] < s->vocab_size) s->counts[window[i]]++;
    for (int64_t i = 0; i < n; i++) {
        if (window[i] < 0 || window[i] >= s->vocab_size || s->counts[window[i]] == 0) continue;
        float *logit = &s->logits[window[i]];
        if (repeats)
            *logit = *logit > 0 ? *logit / how->repeat_penalty : *logit * how->repeat_penalty;
        *logit -= how->presence_penalty + (float)s->counts[window[i]] * how->frequency_penalty;
        s->counts[window[i]] = 0; /* once, and clean for the next draw */
    }
}

static void sift_down(ae_candidate *heap, int64_t n, int64_t at)
{
    ae_candidate moving = heap[at];
    for (int64_t child = 2 * at + 1; child < n; child = 2 * at + 1) {
        if (child + 1 < n && by_logit(&heap[child + 1], &heap[child]) > 0) child++;
        if (by_logit(&heap[child], &moving) <= 0) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moving;
}

/* The k best so far are a heap with the worst on top. Most logits are worse, and are passed sixteen
 * at a time; of equals the first stays. */
static void select_best(ae_candidate *heap, int64_t k, const float *logits, int64_t n)
{
    for (int64_t i = 0; i < k; i++) heap[i] = (ae_candidate){ (int32_t)i, logits[i] };
    for (int64_t i = k / 2 - 1; i >= 0; i--) sift_down(heap, k, i);
    for (int64_t i = k; i < n; i++) {
        while (i + LANES <= n) {
            int better = 0;
            for (int j = 0; j < LANES; j++) better |= logits[i + j] > heap[0].logit;
            if (better) break;
            i += LANES;
        }
        if (i >= n) break;
        if (!(logits[i] > heap[0].logit)) continue;
        heap[0] = (ae_candidate){ (int32_t)i, logits[i] };
        sift_down(heap, k, 0);
    }
}

/* The k best (0: all), sorted; returns how many are kept. */
static int64_t keep_top_k(ae_candidate *c, const float *logits, int64_t n, int32_t k)
{
    int64_t kept = k > 0 && k < n ? k : n;
    select_best(c, kept, logits, n);
    qsort(c, (size_t)kept, sizeof *c, by_logit);
    return kept;
}

/* Sorted candidates: how many hold top_p of the probability, of which all have `total` times the
 * best's, and at least min_p of the best's. */
static int64_t keep_nucleus(const ae_candidate *c, int64_t n, const ae_sampling *how, double total)
{
    double held = 0;
    for (int64_t i = 0; i < n && total > 0; i++) {
        held += exp((double)c[i].logit - c[0].logit);
        if (held >= (double)how->top_p * total) n = i + 1;
    }
    if (how->min_p > 0)
        while (n > 1 && exp((double)c[n - 1].logit - c[0].logit) < (double)how->min_p) n--;
    return n;
}

static bool filters(float p)
{
    return p > 0 && p < 1;
}

static int by_distance(const void *a, const void *b)
{
    const ae_candidate *x = a, *y = b;
    if (x->logit != y->logit) return x->logit < y->logit ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Of sorted candidates the typical ones, sorted again. */
static int64_t keep_typical(ae_candidate *c, int64_t n, double typical_p, const float *logits)
{
    double total = 0, weighed = 0, held = 0, best = c[0].logit;
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++) {
        double p = exp((double)c[i].logit - best);
        total += p;
        if (p > 0) weighed += p * ((double)c[i].logit - best);
    }
    /* How far each one's surprise, log(total) - (logit - best), is from their mean, the entropy:
     * log(total) stands on both sides. */
    for (int64_t i = 0; i < n; i++)
        c[i].logit = (float)fabs(weighed / total - ((double)c[i].logit - best));
    qsort(c, (size_t)n, sizeof *c, by_distance);
    while (kept < n && held < typical_p * total) held += exp((double)logits[c[kept++].id] - best);
    for (int64_t i = 0; i < kept; i++) c[i].logit = logits[c[i].id];
    qsort(c, (size_t)kept, sizeof *c, by_logit);
    return kept;
}

/* Of the k best. */
static int64_t narrow(const ae_sampler *s, const ae_sampling *how, const float *logits)
{
    ae_candidate *c = s->candidates;
    int64_t n = keep_top_k(c, logits, s->vocab_size, how->top_k);
    double total = 0;
    if (filters(how->typical_p)) n = keep_typical(c, n, (double)how->typical_p, logits);
    if (filters(how->top_p))
        for (int64_t i = 0; i < n; i++) total += exp((double)c[i].logit - c[0].logit);
    return keep_nucleus(c, n, how, total);
}

enum { BLOCK = 256 };

/* exp((logits - top) / temperature) of a block, to 3e-7 of itself, 0 below exp(-87): a draw tells
 * no more. Plain arithmetic in loops without branches, which a compiler turns into vectors and
 * every machine rounds alike: exp() of the C library took a fifth of a pass of 16 replies. */
static void weigh(float *weights, const float *logits, int64_t n, float top, float temperature)
{
    float scale = 1 / temperature, powers[BLOCK];
    int32_t bits[BLOCK];
    for (int64_t i = 0; i < n; i++) {
        float x = (logits[i] - top) * scale;
        weights[i] = x > -87 ? x : -87; /* of what is no number, too */
    }
    for (int64_t i = 0; i < n; i++) {
        float y = weights[i];
        int32_t k = (int32_t)(y * 1.44269504f - 0.5f);
        float f = y - (float)k * 0.693359375f; /* ln 2 in two parts: k times the first is exact */
        f += (float)k * 2.12194440e-4f;
        float e = 1 / 120.0f + f * (1 / 720.0f);
        e = 1 / 24.0f + f * e;
        e = 1 / 6.0f + f * e;
        e = 0.5f + f * e;
        e = 1 + f * (1 + f * e);
        weights[i] = e;
        bits[i] = y > -87 ? (k + 127) * (1 << 23) : 0; /* 2^k, or 0 */
    }
    memcpy(powers, bits, (size_t)n * sizeof *bits);
    for (int64_t i = 0; i < n; i++) weights[i] *= powers[i];
}

/* The sums of the weights of every block; returns theirs. */
static double sum_weights(double *sums, const float *logits, int64_t n, float top,
                          float temperature)
{
    float weights[BLOCK];
    double total = 0;
    for (int64_t at = 0; at < n; at += BLOCK) {
        int64_t len = n - at < BLOCK ? n - at : BLOCK;
        double lanes[LANES] = { 0 }, sum = 0;
        weigh(weights, logits + at, len, top, temperature);
        for (int64_t i = len; i < BLOCK; i++) weights[i] = 0;
        for (int64_t i = 0; i < BLOCK; i += LANES)
            for (int j = 0; j < LANES; j++) lanes[j] += (double)weights[i + j];
        for (int j = 0; j < LANES; j++) sum += lanes[j];
        sums[at / BLOCK] = sum;
        total += sum;
    }
    return total;
}

/* Draws from the whole vocabulary: which block first, then which of it. */
static int32_t draw_any(const ae_sampler *s, const float *logits, float temperature, ae_rng *rng)
{
    float weights[BLOCK];
    int64_t n = s->vocab_size, best = most_likely(logits, n), at = 0;
    double total = sum_weights(s->sums, logits, n, logits[best], temperature);
    double left = ae_rng_uniform(rng) * total;
    while (at + BLOCK < n && left >= s->sums[at / BLOCK]) {
        left -= s->sums[at / BLOCK];
        at += BLOCK;
    }
    int64_t len = n - at < BLOCK ? n - at : BLOCK;
    weigh(weights, logits + at, len, logits[best], temperature);
    for (int64_t i = 0; i < len; i++) {
        left -= (double)weights[i];
        if (left < 0) return (int32_t)(at + i);
    }
    return (int32_t)best; /* rounding left a crumb */
}

/* Of the whole vocabulary, of which mostly few are kept: sorting it all takes 30 ms for 128,000. */
static int64_t narrow_all(const ae_sampler *s, const ae_sampling *how, const float *logits)
{
    int64_t n = s->vocab_size, kept;
    double total = 0;
    if (filters(how->top_p))
        total = sum_weights(s->sums, logits, n, logits[most_likely(logits, n)], 1);
    for (int32_t k = 256;; k *= 8) {
        int64_t sorted = keep_top_k(s->candidates, logits, n, k < n ? k : 0);
        kept = keep_nucleus(s->candidates, sorted, how, total);
        if (kept < sorted || sorted == n) return kept;
    }
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

int32_t ae_sampler_draw(const ae_sampler *s, const ae_sampling *how, const float *logits,
                        const int32_t *history, int64_t n_history, ae_rng *rng)
{
    int64_t n = s->vocab_size;
    if (penalizes(how)) {
        memcpy(s->logits, logits, (size_t)n * sizeof *logits);
        penalize(s, how, history, n_history);
        logits = s->logits;
    }
    if (how->temperature <= 0) return most_likely(logits, n);

    if (how->top_k > 0 || filters(how->typical_p))
        n = narrow(s, how, logits);
    else if (filters(how->top_p) || how->min_p > 0)
        n = narrow_all(s, how, logits);
    else
        return draw_any(s, logits, how->temperature, rng);
    return draw(s->candidates, n, how->temperature, rng);
}

aerie_status ae_sampler_open(ae_sampler *s, int64_t vocab_size, aerie_error *err)
{
    *s = (ae_sampler){ .vocab_size = vocab_size,
                       .logits = ae_alloc((size_t)vocab_size, sizeof *s->logits),
                       .counts = ae_alloc((size_t)vocab_size, sizeof *s->counts),
                       .sums = ae_alloc((size_t)(vocab_size / BLOCK + 1), sizeof *s->sums),
                       .candidates = ae_alloc((size_t)vocab_size, sizeof *s->candidates) };
    if (s->logits && s->counts && s->sums && s->candidates) return AERIE_OK;
    ae_sampler_close(s);
    return aerie_fail(err, AERIE_NO_MEMORY, "no memory to choose among %lld tokens",
                      (long long)vocab_size);
}

void ae_sampler_close(ae_sampler *s)
{
    ae_free(s->logits);
    ae_free(s->counts);
    ae_free(s->sums);
    ae_free(s->candidates);
    *s = (ae_sampler){ 0 };
}

aerie_status ae_sampling_check(const ae_sampling *how, aerie_error *err)
{
    if (!(how->temperature >= 0 && how->temperature <= 100))
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "temperature is %g; give a number from 0 to 100",
                          (double)how->temperature);
    if (!(how->top_p >= 0 && how->top_p <= 1))
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "top_p is %g; give a number from 0 to 1",
                          (double)how->top_p);
    if (!(how->typical_p >= 0 && how->typical_p <= 1))
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "typical_p is %g; give a number from 0 to 1",
                          (double)how->typical_p);
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
