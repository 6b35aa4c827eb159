/* unpair.c -- samples of one reply each out of pairs, with replies of other prompts beside them. */
#include "data/encode.h"

#include <string.h>

/* How far to look for another prompt: rows of one prompt stand together in a file, not in the
 * thousands. */
enum { MAX_LOOK = 4096 };

/* A view of one reply of a sample; the ids stay where they are. */
typedef struct {
    const int32_t *prompt, *reply;
    const float *weight; /* of the reply */
    int32_t n_prompt, n_reply;
    bool undesirable, truncated;
} one_reply;

static one_reply chosen_of(const ae_sample *s)
{
    return (one_reply){ .prompt = s->ids,
                        .reply = s->ids + s->n_prompt,
                        .weight = s->weight + s->n_prompt,
                        .n_prompt = s->n_prompt,
                        .n_reply = s->n_chosen,
                        .undesirable = s->undesirable,
                        .truncated = s->truncated };
}

static one_reply rejected_of(const ae_sample *s)
{
    one_reply r = chosen_of(s);
    r.reply += s->n_chosen;
    r.weight += s->n_chosen;
    r.n_reply = s->n_rejected;
    r.undesirable = true;
    return r;
}

static bool same_prompt(const one_reply *a, const one_reply *b)
{
    return a->n_prompt == b->n_prompt &&
           memcmp(a->prompt, b->prompt, (size_t)a->n_prompt * sizeof *a->prompt) == 0;
}

/* The nearest before i, round the list, that answers another prompt; the one before i when all that
 * is looked at answer the same. */
static size_t other_prompt(const one_reply *list, size_t n, size_t i)
{
    size_t before = (i + n - 1) % n, at = before;
    for (size_t k = 0; k < n && k < MAX_LOOK; k++, at = (at + n - 1) % n)
        if (!same_prompt(&list[i], &list[at])) return at;
    return before;
}

static aerie_status lay(ae_sample *out, const one_reply *r, const one_reply *other,
                        int32_t max_length, ae_arena *arena, aerie_error *err)
{
    int32_t n_other = other ? other->n_reply : 0, begin = r->n_prompt + r->n_reply;
    bool cut = max_length > 0 && n_other > max_length - r->n_prompt;
    if (cut) n_other = max_length > r->n_prompt ? max_length - r->n_prompt : 1;
    aerie_status status =
        ae_sample_new(out, AE_EXAMPLE_UNPAIRED, (int64_t)begin + n_other, arena, err);
    if (status) return status;
    out->n_prompt = r->n_prompt;
    out->n_chosen = r->n_reply;
    out->n_rejected = n_other;
    out->undesirable = r->undesirable;
    out->truncated = r->truncated;
    memcpy(out->ids, r->prompt, (size_t)r->n_prompt * sizeof *out->ids);
    memcpy(out->ids + r->n_prompt, r->reply, (size_t)r->n_reply * sizeof *out->ids);
    memcpy(out->weight + r->n_prompt, r->weight, (size_t)r->n_reply * sizeof *out->weight);
    if (n_other > 0) memcpy(out->ids + begin, other->reply, (size_t)n_other * sizeof *out->ids);
    for (int32_t k = 0; k < n_other; k++) out->weight[begin + k] = 1;
    return AERIE_OK;
}

static size_t list_replies(one_reply *out, const ae_samples *set)
{
    size_t n = 0;
    for (size_t i = 0; i < set->n; i++) {
        const ae_sample *s = &set->items[i];
        out[n++] = chosen_of(s);
        if (s->kind == AE_EXAMPLE_PAIR) out[n++] = rejected_of(s);
    }
    return n;
}

aerie_status ae_samples_unpair(ae_samples *set, bool mismatch, int32_t max_length, aerie_error *err)
{
    one_reply *list = ae_alloc(2 * set->n, sizeof *list);
    size_t n = list ? list_replies(list, set) : 0;
    ae_sample *items = ae_arena_take(&set->arena, n, sizeof *items);
    aerie_status status = AERIE_OK;
    if (!list || !items)
        status = aerie_fail(err, AERIE_NO_MEMORY, "no room for %zu samples", 2 * set->n);
    for (size_t i = 0; i < n && !status; i++) {
        const one_reply *other = mismatch ? &list[other_prompt(list, n, i)] : NULL;
        status = lay(&items[i], &list[i], other, max_length, &set->arena, err);
    }
    ae_free(list);
    if (status) return status;
    set->items = items;
    set->n = n;
    return AERIE_OK;
}
