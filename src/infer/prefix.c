/* prefix.c -- computed texts in the order of their tokens: what shares the longest beginning with a
 * prompt stands next to where the prompt would stand. That is a radix tree without the tree: a
 * search among 4,096 texts compares with a dozen of them, and what neighbours share of their caches
 * is what all of them share. (A list that was compared with one by one was good for 64 texts.) */
#include "infer/prefix.h"

#include <string.h>

enum {
    MOST_TEXTS = 4096,
    MOST_STEPS = 64 /* away from where a text would stand, past those that a window cut */
};

typedef struct {
    int32_t *ids; /* [n] */
    int64_t n;
    ae_kv *kv;
    int64_t used; /* when, by the count of uses */
} text;

struct ae_prefixes {
    text *texts; /* [room], sorted */
    int64_t n_texts, room;
    int64_t positions, held, uses;
};

aerie_status ae_prefixes_open(ae_prefixes **out, int64_t positions, aerie_error *err)
{
    ae_prefixes *p = *out = ae_alloc(1, sizeof *p);
    if (!p) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a prefix cache");
    p->positions = positions;
    return AERIE_OK;
}

/* Positions of pages that the i-th text shares with the one before it. */
static int64_t shared_with_last(const ae_prefixes *p, int64_t i)
{
    if (i < 1 || i >= p->n_texts) return 0;
    const text *a = &p->texts[i - 1], *b = &p->texts[i];
    return ae_min64(ae_kv_shared(a->kv, b->kv), ae_min64(a->n, b->n));
}

/* What a text holds that neither neighbour does: its whole length, less what it shares with them,
 * but for what they share with each other anyway. To be called while it is there. */
static int64_t own_positions(const ae_prefixes *p, int64_t i)
{
    int64_t left = shared_with_last(p, i), right = shared_with_last(p, i + 1), across = 0;
    if (i > 0 && i + 1 < p->n_texts) {
        const text *a = &p->texts[i - 1], *b = &p->texts[i + 1];
        across = ae_min64(ae_kv_shared(a->kv, b->kv), ae_min64(a->n, b->n));
    }
    return p->texts[i].n - left - right + across;
}

static void drop(ae_prefixes *p, int64_t i)
{
    p->held -= own_positions(p, i);
    ae_free(p->texts[i].ids);
    ae_kv_free(p->texts[i].kv);
    p->n_texts--;
    memmove(p->texts + i, p->texts + i + 1, (size_t)(p->n_texts - i) * sizeof *p->texts);
}

void ae_prefixes_close(ae_prefixes *p)
{
    if (!p) return;
    while (p->n_texts > 0) drop(p, p->n_texts - 1);
    ae_free(p->texts);
    ae_free(p);
}

int64_t ae_prefixes_held(const ae_prefixes *p)
{
    return p->held;
}

int64_t ae_prefixes_common(const int32_t *a, int64_t n_a, const int32_t *b, int64_t n_b)
{
    enum { RUN = 64 };
    int64_t n = 0, most = ae_min64(n_a, n_b);
    while (n + RUN <= most && memcmp(a + n, b + n, RUN * sizeof *a) == 0) n += RUN;
    while (n < most && a[n] == b[n]) n++;
    return n;
}

/* Where ids [n] stands, or would stand: all before it are smaller. */
static int64_t place_of(const ae_prefixes *p, const int32_t *ids, int64_t n)
{
    int64_t low = 0, high = p->n_texts;
    while (low < high) {
        int64_t mid = low + (high - low) / 2;
        const text *t = &p->texts[mid];
        int64_t same = ae_prefixes_common(t->ids, t->n, ids, n);
        bool smaller = same == t->n ? t->n < n : same < n && t->ids[same] < ids[same];
        if (smaller)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* The best text from `at` on, going by `step`: those further away share ever less. A window may
 * have let go of what a near one shares. */
static text *best_along(ae_prefixes *p, int64_t at, int64_t step, const int32_t *ids, int64_t n,
                        int64_t *len)
{
    text *best = NULL;
    for (int steps = 0; steps < MOST_STEPS && at >= 0 && at < p->n_texts; steps++, at += step) {
        text *t = &p->texts[at];
        int64_t common = ae_prefixes_common(t->ids, t->n, ids, n);
        if (common <= *len) break;
        int64_t usable = ae_kv_keepable(t->kv, common);
        if (usable <= *len) continue;
        *len = usable;
        best = t;
    }
    return best;
}

const ae_kv *ae_prefixes_find(ae_prefixes *p, const int32_t *ids, int64_t n, int64_t *len)
{
    int64_t at = place_of(p, ids, n);
    *len = 0;
    text *before = best_along(p, at - 1, -1, ids, n, len);
    text *after = best_along(p, at, 1, ids, n, len);
    text *best = after ? after : before;
    if (!best) return NULL;
    best->used = ++p->uses;
    return best->kv;
}

static void drop_oldest(ae_prefixes *p)
{
    int64_t oldest = 0;
    for (int64_t i = 1; i < p->n_texts; i++)
        if (p->texts[i].used < p->texts[oldest].used) oldest = i;
    drop(p, oldest);
}

/* Whether everything that `a` can lend, `b` can. */
static bool covers(const text *b, const text *a)
{
    return a->n <= b->n && ae_prefixes_common(a->ids, a->n, b->ids, b->n) == a->n &&
           ae_kv_keepable(b->kv, a->n) == a->n;
}

/* Texts that go on from t stand right after it. */
static bool is_kept(ae_prefixes *p, const text *t)
{
    int64_t at = place_of(p, t->ids, t->n);
    for (int64_t i = at; i < p->n_texts && i < at + MOST_STEPS; i++) {
        if (ae_prefixes_common(p->texts[i].ids, p->texts[i].n, t->ids, t->n) < t->n) return false;
        if (!covers(&p->texts[i], t)) continue;
        p->texts[i].used = ++p->uses;
        return true;
    }
    return false;
}

/* Texts that t goes on from stand before it, most of them near. */
static void drop_covered(ae_prefixes *p, const text *t)
{
    int64_t at = place_of(p, t->ids, t->n);
    if (at < p->n_texts && covers(t, &p->texts[at])) drop(p, at);
    for (int64_t i = at - 1; i >= 0 && i >= at - MOST_STEPS; i--)
        if (covers(t, &p->texts[i])) drop(p, i);
}

static bool grow(ae_prefixes *p)
{
    if (p->n_texts < p->room) return true;
    int64_t room = p->room ? 2 * p->room : 16;
    text *texts = ae_realloc(p->texts, (size_t)p->room, (size_t)room, sizeof *texts);
    if (!texts) return false;
    p->texts = texts;
    p->room = room;
    return true;
}

static void insert(ae_prefixes *p, text t)
{
    int64_t at = place_of(p, t.ids, t.n);
    memmove(p->texts + at + 1, p->texts + at, (size_t)(p->n_texts - at) * sizeof *p->texts);
    p->texts[at] = t;
    p->n_texts++;
    p->held += own_positions(p, at);
}

void ae_prefixes_keep(ae_prefixes *p, const int32_t *ids, int64_t n, ae_kv *kv)
{
    text t = { .ids = ae_alloc((size_t)n, sizeof *ids), .n = n, .kv = kv };
    if (!t.ids || n < 1 || n > p->positions || ae_kv_len(kv) < n) goto fail;
    memcpy(t.ids, ids, (size_t)n * sizeof *ids);
    if (is_kept(p, &t) || !grow(p)) goto fail;
    drop_covered(p, &t);
    t.used = ++p->uses;
    insert(p, t); /* the latest used: with it in place it shows how much has to go */
    while (p->held > p->positions || p->n_texts > MOST_TEXTS) drop_oldest(p);
    return;
fail:
    ae_free(t.ids);
    ae_kv_free(kv);
}
