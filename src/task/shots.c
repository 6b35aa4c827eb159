/* shots.c -- which rows are shown before a question. */
#include "task/task_private.h"

static aerie_status too_few(const ae_task *t, size_t k, size_t n, aerie_error *err)
{
    return aerie_fail(err, AERIE_BAD_ARGUMENT,
                      "%s: %zu examples are wanted and the split '%s' has %zu to choose from; ask "
                      "with fewer shots",
                      t->name, k, t->shot_split ? t->shot_split : "samples", n);
}

/* Keeps the first k of those drawn that are not the document itself. */
static aerie_status keep_others(int32_t *out, size_t k, const int64_t *drawn, size_t n,
                                const ae_task *t, task_rows *pool, json_t *doc, aerie_error *err)
{
    size_t kept = 0;

    for (size_t i = 0; i < n && kept < k; i++) {
        json_t *row = NULL;
        aerie_status status = doc ? task_rows_at(&row, pool, (size_t)drawn[i], err) : AERIE_OK;
        if (status) return status;
        if (doc && json_equal(row, doc)) continue;
        out[kept++] = (int32_t)drawn[i];
    }
    return kept == k ? AERIE_OK : too_few(t, k, kept, err);
}

/* The leaderboard's code looked for the document among its shots where there was no training split;
 * v0.4 does where both splits' names are equal. */
static bool looks_for_itself(const ae_task *t)
{
    return t->protocol->shuffle ? !t->has_train && t->shots != SHOTS_FIRST : t->same_split;
}

static aerie_status draw(int64_t *drawn, size_t n, size_t k, const ae_task *t, task_rows *pool,
                         ae_mersenne *rng, aerie_error *err)
{
    if (n > pool->n) return too_few(t, k, pool->n, err);
    if (t->shots == SHOTS_FIRST)
        for (size_t i = 0; i < n; i++) drawn[i] = (int64_t)i;
    else if (!ae_python_sample(rng, drawn, n, pool->n))
        return aerie_fail(err, AERIE_NO_MEMORY, "%s: no memory to draw examples", t->name);
    return AERIE_OK;
}

aerie_status task_draw_shots(int32_t *out, size_t k, const ae_task *t, task_rows *pool, json_t *doc,
                             ae_mersenne *rng, aerie_error *err)
{
    bool itself = looks_for_itself(t);
    size_t n = t->shots == SHOTS_FIRST && itself ? pool->n : k + itself;
    int64_t *drawn;
    aerie_status status;

    if (!k) return AERIE_OK;
    drawn = ae_alloc(n, sizeof *drawn);
    if (!drawn) return aerie_fail(err, AERIE_NO_MEMORY, "%s: no memory to draw examples", t->name);
    status = draw(drawn, n, k, t, pool, rng, err);
    if (!status) status = keep_others(out, k, drawn, n, t, pool, itself ? doc : NULL, err);
    ae_free(drawn);
    return status;
}
