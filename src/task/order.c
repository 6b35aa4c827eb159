/* order.c -- which documents are asked, and in which order. */
#include "task/task_private.h"

enum { LEADERBOARD_SEED = 42, OLMES_SEED = 1234, LLAMA_SEED = 1 };

/* llama.cpp's --hellaswag draws always, from those that are left in their order. */
static void draw_hellaswag(int64_t *order, size_t n, size_t most)
{
    ae_mersenne rng;

    ae_mersenne_seed(&rng, LLAMA_SEED);
    for (size_t i = 0; i < most; i++) {
        size_t j = i + ae_mersenne_below(&rng, (uint32_t)(n - i));
        int64_t drawn = order[j];
        for (size_t k = j; k > i; k--) order[k] = order[k - 1]; /* the rest keeps its order */
        order[i] = drawn;
    }
}

/* Its other tasks draw where not all are asked for, in floats; the last fills the gap. */
static bool draw_scaled(int64_t *order, size_t n, size_t most)
{
    const float scale = 1 / 4294967296.0f;
    int64_t *left = ae_alloc(n, sizeof *left);
    ae_mersenne rng;

    if (!left) return false;
    ae_mersenne_seed(&rng, LLAMA_SEED);
    for (size_t i = 0; i < n; i++) left[i] = order[i];
    for (size_t i = 0; i < most; i++) {
        float at = scale * (float)ae_mersenne_next(&rng) * (float)(n - i);
        size_t j = (size_t)at < n - i ? (size_t)at : n - i - 1;
        order[i] = left[j];
        left[j] = left[n - i - 1];
    }
    ae_free(left);
    return true;
}

static bool choose(int64_t *order, size_t *n, const ae_task *t, size_t limit, ae_mersenne *rng)
{
    size_t most = limit && limit < *n ? limit : *n;

    if (t->protocol->shuffle) {
        ae_python_seed(rng, LEADERBOARD_SEED);
        ae_python_shuffle(rng, order, *n);
    }
    if (t->protocol->subset && t->subset == ORDER_HELLASWAG) draw_hellaswag(order, *n, most);
    if (t->protocol->subset && t->subset == ORDER_SCALED && most < *n &&
        !draw_scaled(order, *n, most))
        return false;
    if (t->subsample && t->subsample < *n) {
        ae_mersenne own;
        ae_python_seed(&own, OLMES_SEED);
        if (!ae_python_sample(&own, order, t->subsample, *n)) return false;
        if (most > t->subsample) most = t->subsample;
    }
    *n = most;
    return true;
}

aerie_status task_order(int64_t **order, size_t *n, const ae_task *t, size_t n_docs, size_t limit,
                        ae_mersenne *rng, ae_arena *arena, aerie_error *err)
{
    *n = n_docs;
    *order = n_docs <= UINT32_MAX ? ae_arena_take(arena, n_docs, sizeof **order) : NULL;
    for (size_t i = 0; *order && i < n_docs; i++) (*order)[i] = (int64_t)i;
    if (!*order || !choose(*order, n, t, limit, rng))
        return aerie_fail(err, AERIE_NO_MEMORY, "%s: no memory for the order of %zu documents",
                          t->name, n_docs);
    return AERIE_OK;
}
