/* reference.c -- the reference policy of preference methods: the starting weights, whose
 * log-probabilities of every pair are computed once and kept by content. A second run over the same
 * pairs, with another beta or loss, starts at once. */
#include "train/reference.h"

#include "train/reference_cache.h"

#include <string.h>

typedef struct {
    ae_reference *reference;
    const ae_pass *pass;
    ae_reference_cache cache;
    uint64_t identity;
    int64_t *todo; /* items that are not known, each once */
    int64_t n_todo;
    bool *listed; /* [items] */
} filler;

static void key_of(const filler *f, int64_t item, uint64_t key[2])
{
    const ae_sample *s = &f->pass->set->items[item];
    int32_t lengths[3] = { s->n_prompt, s->n_chosen, s->n_rejected };

    for (int i = 0; i < 2; i++) {
        key[i] = ae_hash64(lengths, sizeof lengths, f->identity + (uint64_t)i);
        key[i] = ae_hash64(s->ids, (size_t)s->n * sizeof *s->ids, key[i]);
    }
}

static aerie_status take_room(filler *f, int64_t n, aerie_error *err)
{
    int64_t count = f->pass->objective->count(f->pass->set);
    ae_reference *r = f->reference;

    r->values = ae_alloc((size_t)count, (size_t)f->pass->objective->n_reference * sizeof(double));
    f->todo = ae_alloc((size_t)n, sizeof *f->todo);
    f->listed = ae_alloc((size_t)count, sizeof *f->listed);
    if (r->values && f->todo && f->listed) return AERIE_OK;
    return aerie_fail(err, AERIE_NO_MEMORY, "no memory for reference log-probabilities");
}

/* Takes what the cache has and lists the rest. */
static void look_up(filler *f, const int64_t *items, int64_t n)
{
    for (int64_t k = 0; k < n; k++) {
        const ae_reference_entry *entry;
        uint64_t key[2];
        int64_t item = items[k];
        if (f->listed[item]) continue;
        f->listed[item] = true;
        key_of(f, item, key);
        entry = ae_reference_cache_find(&f->cache, key);
        if (entry) {
            f->reference->values[2 * item] = entry->chosen;
            f->reference->values[2 * item + 1] = entry->rejected;
        } else {
            f->todo[f->n_todo++] = item;
        }
    }
}

static aerie_status keep(filler *f, const int64_t *items, int64_t n, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    for (int64_t k = 0; k < n && !status; k++) {
        const double *values = f->reference->values + 2 * items[k];
        ae_reference_entry entry = { .chosen = values[0], .rejected = values[1] };
        key_of(f, items[k], entry.key);
        status = ae_reference_cache_add(&f->cache, &entry, err);
    }
    return status;
}

static void write_cache(filler *f, const char *path)
{
    aerie_error problem = { 0 };

    if (ae_reference_cache_write(&f->cache, path, &problem))
        ae_log(AERIE_LOG_WARNING, "%s", problem.message);
}

/* Rows of items, one after another. What is computed reaches the disk every half minute: with a
 * large model this takes hours. */
static aerie_status compute(filler *f, const char *path, ae_reference_progress *progress,
                            void *user, aerie_error *err)
{
    const ae_pass *p = f->pass;
    double written = ae_clock_seconds();
    int64_t done = 0;

    while (done < f->n_todo) {
        const int64_t *items = f->todo + done;
        int64_t k = ae_plan_micro(p->recipe, p->objective, p->set, items, f->n_todo - done,
                                  p->recipe->micro_batch_tokens);
        aerie_status status = ae_pass_reference(p, items, k, f->reference->values, err);
        if (!status) status = keep(f, items, k, err);
        if (status) return status;
        done += k;
        if (ae_clock_seconds() - written > 30) {
            write_cache(f, path);
            written = ae_clock_seconds();
        }
        if (progress && progress(user, done, f->n_todo))
            return aerie_fail(err, AERIE_INTERRUPTED,
                              "stopped while computing the reference; run it again: what was "
                              "computed is kept");
    }
    return AERIE_OK;
}

aerie_status ae_reference_fill(ae_reference *r, const ae_pass *p, const int64_t *items, int64_t n,
                               const char *path, const char *identity,
                               ae_reference_progress *progress, void *user, aerie_error *err)
{
    filler f = { .reference = r, .pass = p, .identity = ae_hash64(identity, strlen(identity), 0) };
    aerie_status status;

    *r = (ae_reference){ 0 };
    status = take_room(&f, n, err);
    if (!status) status = ae_reference_cache_read(&f.cache, path, err);
    if (status) goto done;
    look_up(&f, items, n);
    status = compute(&f, path, progress, user, err);
    if (f.n_todo > 0 && (!status || status == AERIE_INTERRUPTED)) write_cache(&f, path);
done:
    ae_reference_cache_free(&f.cache);
    ae_free(f.todo);
    ae_free(f.listed);
    if (status) ae_reference_free(r);
    return status;
}

void ae_reference_free(ae_reference *r)
{
    ae_free(r->values);
    *r = (ae_reference){ 0 };
}
