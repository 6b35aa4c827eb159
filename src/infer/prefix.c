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
    ae_prefix is;
    int32_t *ids; /* is.ids, owned */
    ae_kv *kv;
    ae_chance *chances; /* owned; NULL: none */
    int64_t used;       /* when, by the count of uses */
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

static int64_t shared_by(const text *a, const text *b)
{
    return ae_min64(ae_kv_shared(a->kv, b->kv), ae_min64(a->is.n, b->is.n));
}

/* Positions of pages that the i-th text shares with the one before it. */
static int64_t shared_with_last(const ae_prefixes *p, int64_t i)
{
    if (i < 1 || i >= p->n_texts) return 0;
    const text *a = &p->texts[i - 1], *b = &p->texts[i];
    return shared_by(a, b);
}

/* What a text holds that neither neighbour does: its whole length, less what it shares with them,
 * but for what they share with each other anyway. To be called while it is there. */
static int64_t own_positions(const ae_prefixes *p, int64_t i)
{
    int64_t left = shared_with_last(p, i), right = shared_with_last(p, i + 1), across = 0;
    if (i > 0 && i + 1 < p->n_texts) across = shared_by(&p->texts[i - 1], &p->texts[i + 1]);
    return (p->texts[i].is.n - left - right + across) * p->texts[i].is.cost;
}

static void free_text(text *t)
{
    ae_free(t->ids);
    ae_free(t->chances);
    ae_kv_free(t->kv);
}

static void drop(ae_prefixes *p, int64_t i)
{
    p->held -= own_positions(p, i);
    free_text(&p->texts[i]);
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

/* The same of texts of one kind; of two kinds they have nothing alike. */
static int64_t common(const ae_prefix *a, const ae_prefix *b)
{
    return a->kind == b->kind ? ae_prefixes_common(a->ids, a->n, b->ids, b->n) : 0;
}

static bool is_smaller(const ae_prefix *a, const ae_prefix *b)
{
    int64_t same = common(a, b);
    if (a->kind != b->kind) return a->kind < b->kind;
    return same == a->n ? a->n < b->n : same < b->n && a->ids[same] < b->ids[same];
}

/* Where a text stands, or would stand: all before it are smaller. */
static int64_t place_of(const ae_prefixes *p, const ae_prefix *t)
{
    int64_t low = 0, high = p->n_texts;
    while (low < high) {
        int64_t mid = low + (high - low) / 2;
        if (is_smaller(&p->texts[mid].is, t))
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* The best text from `at` on, going by `step`: those further away share ever less. A window may
 * have let go of what a near one shares, and a near one may not tell what is wanted. */
static text *best_along(ae_prefixes *p, int64_t at, int64_t step, const ae_prefix *like,
                        int64_t *len)
{
    text *best = NULL;
    for (int steps = 0; steps < MOST_STEPS && at >= 0 && at < p->n_texts; steps++, at += step) {
        text *t = &p->texts[at];
        int64_t same = common(&t->is, like) - (like->tops > 0);
        if (same <= *len) break;
        int64_t usable = ae_kv_keepable(t->kv, same);
        if (usable <= *len || t->is.tops < like->tops) continue;
        *len = usable;
        best = t;
    }
    return best;
}

ae_prefix_found ae_prefixes_find(ae_prefixes *p, const ae_prefix *like)
{
    int64_t at = place_of(p, like), len = 0;
    text *before = best_along(p, at - 1, -1, like, &len);
    text *after = best_along(p, at, 1, like, &len);
    text *best = after ? after : before;
    if (!best) return (ae_prefix_found){ 0 };
    best->used = ++p->uses;
    return (ae_prefix_found){ best->kv, len, like->tops ? best->chances : NULL, best->is.tops };
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
    return a->is.n <= b->is.n && a->is.tops <= b->is.tops && common(&a->is, &b->is) == a->is.n &&
           ae_kv_keepable(b->kv, a->is.n) == a->is.n;
}

/* Texts that go on from t stand right after it. */
static bool is_kept(ae_prefixes *p, const text *t)
{
    int64_t at = place_of(p, &t->is);
    for (int64_t i = at; i < p->n_texts && i < at + MOST_STEPS; i++) {
        if (common(&p->texts[i].is, &t->is) < t->is.n) return false;
        if (!covers(&p->texts[i], t)) continue;
        p->texts[i].used = ++p->uses;
        return true;
    }
    return false;
}

/* Texts that t goes on from stand before it, most of them near; its equal is in its place. */
static void drop_covered(ae_prefixes *p, const text *t)
{
    int64_t at = place_of(p, &t->is);
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
    int64_t at = place_of(p, &t.is);
    memmove(p->texts + at + 1, p->texts + at, (size_t)(p->n_texts - at) * sizeof *p->texts);
    p->texts[at] = t;
    p->n_texts++;
    p->held += own_positions(p, at);
}

void ae_prefixes_keep(ae_prefixes *p, const ae_prefix *what, ae_kv *kv, ae_chance *chances)
{
    text t = { .is = *what, .kv = kv, .chances = chances };
    if (t.is.cost < 1) t.is.cost = 1;
    t.is.ids = t.ids = ae_alloc((size_t)what->n, sizeof *t.ids);
    if (!t.ids || what->n < 1 || what->n > p->positions / t.is.cost || ae_kv_len(kv) < what->n)
        goto fail;
    memcpy(t.ids, what->ids, (size_t)what->n * sizeof *t.ids);
    if (is_kept(p, &t) || !grow(p)) goto fail;
    drop_covered(p, &t);
    t.used = ++p->uses;
    insert(p, t); /* the latest used: with it in place it shows how much has to go */
    while (p->held > p->positions || p->n_texts > MOST_TEXTS) drop_oldest(p);
    return;
fail:
    free_text(&t);
}
