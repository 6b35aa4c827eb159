/* samples.c -- a whole dataset as tokens, in the dataset's order whatever the number of threads. */
#include "data/encode.h"

#include <string.h>

enum { AT_ONCE = 64 }; /* examples encoded side by side before they are gathered in order */

typedef struct {
    ae_arena arena;
    ae_sample sample;
    aerie_status status;
    aerie_error err;
} slot;

typedef struct {
    const ae_dataset *dataset;
    const ae_encode_options *options;
    slot *slots;
    size_t first; /* the example of slot 0 */
} job;

static void encode_some(void *user, int64_t begin, int64_t end, int worker)
{
    job *b = user;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        slot *s = &b->slots[i];
        ae_example e = ae_dataset_at(b->dataset, b->first + (size_t)i);
        ae_arena_reset_all(&s->arena);
        s->err = (aerie_error){ 0 };
        s->status = ae_encode(&s->sample, &e, b->options, &s->arena, &s->err);
    }
}

static aerie_status keep_replies(ae_sample *copy, ae_arena *arena, aerie_error *err)
{
    size_t n = (size_t)copy->n_replies;
    int32_t *reply_n = n ? ae_arena_take(arena, n, sizeof *reply_n) : NULL;
    float *rank = n ? ae_arena_take(arena, n, sizeof *rank) : NULL;
    if (n == 0) return AERIE_OK;
    if (!reply_n || !rank) return aerie_fail(err, AERIE_NO_MEMORY, "no room for %zu replies", n);
    memcpy(reply_n, copy->reply_n, n * sizeof *reply_n);
    memcpy(rank, copy->rank, n * sizeof *rank);
    copy->reply_n = reply_n;
    copy->rank = rank;
    return AERIE_OK;
}

static aerie_status keep_row(ae_sample *copy, ae_arena *arena, aerie_error *err)
{
    copy->row = ae_arena_strndup(arena, copy->row, strlen(copy->row));
    return copy->row ? AERIE_OK : aerie_fail(err, AERIE_NO_MEMORY, "no room for a prompt's record");
}

/* The table doubles: what is given up of it is less than what stays. */
static aerie_status make_room(ae_samples *out, aerie_error *err)
{
    bool full = out->n == 0 || (out->n >= AT_ONCE && (out->n & (out->n - 1)) == 0);
    size_t cap = out->n < AT_ONCE ? AT_ONCE : 2 * out->n;
    ae_sample *items;

    if (!full) return AERIE_OK;
    items = ae_arena_take(&out->arena, cap, sizeof *items);
    if (!items) return aerie_fail(err, AERIE_NO_MEMORY, "no room for %zu samples", cap);
    if (out->n) memcpy(items, out->items, out->n * sizeof *items);
    out->items = items;
    return AERIE_OK;
}

aerie_status ae_samples_add(ae_samples *out, const ae_sample *s, aerie_error *err)
{
    aerie_status status = make_room(out, err);
    ae_sample *copy = status ? NULL : &out->items[out->n];
    if (!status) status = ae_sample_new(copy, s->kind, s->n, &out->arena, err);
    if (status) return status;
    int32_t *ids = copy->ids;
    float *weight = copy->weight;
    memcpy(ids, s->ids, (size_t)s->n * sizeof *ids);
    memcpy(weight, s->weight, (size_t)s->n * sizeof *weight);
    *copy = *s;
    copy->ids = ids;
    copy->weight = weight;
    status = keep_replies(copy, &out->arena, err);
    if (!status && s->row) status = keep_row(copy, &out->arena, err);
    if (status) return status;
    out->n++;
    out->n_truncated += s->truncated;
    out->n_tokens += s->n;
    for (int32_t i = 0; i < s->n; i++) out->n_trained += weight[i] != 0;
    if (s->n > out->longest) out->longest = s->n;
    return AERIE_OK;
}

/* The first failure in the dataset's order is the one that is told. */
static aerie_status gather(ae_samples *out, const slot *slots, size_t n, aerie_error *err)
{
    aerie_status status = AERIE_OK;
    for (size_t i = 0; i < n && !status; i++) {
        if (slots[i].status)
            status = aerie_fail(err, slots[i].status, "%s", slots[i].err.message);
        else if (slots[i].sample.dropped)
            out->n_dropped++;
        else
            status = ae_samples_add(out, &slots[i].sample, err);
    }
    return status;
}

/* Those that the dataset holds. */
static aerie_status encode_held(ae_samples *out, job *b, ae_pool *pool, aerie_error *err)
{
    size_t n = ae_dataset_len(b->dataset);
    aerie_status status = AERIE_OK;

    for (b->first = 0; b->first < n && !status; b->first += AT_ONCE) {
        size_t count = n - b->first < AT_ONCE ? n - b->first : AT_ONCE;
        if (pool)
            ae_pool_run(pool, (int64_t)count, 1, encode_some, b);
        else
            encode_some(b, 0, (int64_t)count, 0);
        status = gather(out, b->slots, count, err);
    }
    return status;
}

static aerie_status encode_all(ae_samples *out, job *b, ae_dataset *d, ae_pool *pool, size_t *n,
                               aerie_error *err)
{
    aerie_status status = AERIE_OK;

    if (ae_dataset_len(d) == 0) status = ae_dataset_more(d, AT_ONCE, err);
    for (*n = 0; !status;) {
        *n += ae_dataset_len(d);
        status = encode_held(out, b, pool, err);
        if (status || ae_dataset_ended(d)) break;
        status = ae_dataset_more(d, AT_ONCE, err);
    }
    return status;
}

aerie_status ae_samples_encode(ae_samples *out, ae_dataset *d, const ae_encode_options *options,
                               ae_pool *pool, aerie_error *err)
{
    size_t n = 0;
    job b = { .dataset = d, .options = options, .slots = ae_alloc(AT_ONCE, sizeof *b.slots) };
    aerie_status status;
    *out = (ae_samples){ 0 };
    status = b.slots ? encode_all(out, &b, d, pool, &n, err)
                     : aerie_fail(err, AERIE_NO_MEMORY, "no room to encode samples");
    for (size_t i = 0; b.slots && i < AT_ONCE; i++) ae_arena_free(&b.slots[i].arena);
    ae_free(b.slots);
    if (!status && out->n == 0) status = ae_dataset_none_left(d, n, err);
    if (status) ae_samples_free(out);
    return status;
}

void ae_samples_free(ae_samples *s)
{
    ae_arena_free(&s->arena);
    *s = (ae_samples){ 0 };
}
