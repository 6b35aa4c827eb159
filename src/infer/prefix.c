/* prefix.c -- computed texts, kept in a list: comparing a prompt with some dozens of texts costs
 * microseconds, and the texts that are kept share their pages as it is. */
#include "infer/prefix.h"

#include <string.h>

enum { MOST_TEXTS = 64 };

typedef struct {
    int32_t *ids; /* [n] */
    int64_t n;
    ae_kv *kv;
    int64_t used; /* when, by the count of uses */
} text;

struct ae_prefixes {
    text texts[MOST_TEXTS];
    int n_texts;
    int64_t positions, held, uses;
};

aerie_status ae_prefixes_open(ae_prefixes **out, int64_t positions, aerie_error *err)
{
    ae_prefixes *p = *out = ae_alloc(1, sizeof *p);
    if (!p) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a prefix cache");
    p->positions = positions;
    return AERIE_OK;
}

static void drop(ae_prefixes *p, int i)
{
    p->held -= p->texts[i].n;
    ae_free(p->texts[i].ids);
    ae_kv_free(p->texts[i].kv);
    p->texts[i] = p->texts[--p->n_texts];
}

void ae_prefixes_close(ae_prefixes *p)
{
    if (!p) return;
    while (p->n_texts > 0) drop(p, p->n_texts - 1);
    ae_free(p);
}

int64_t ae_prefixes_held(const ae_prefixes *p)
{
    return p->held;
}

int64_t ae_prefixes_common(const int32_t *a, int64_t n_a, const int32_t *b, int64_t n_b)
{
    int64_t n = 0, most = ae_min64(n_a, n_b);
    while (n < most && a[n] == b[n]) n++;
    return n;
}

/* How much of a kept text ids [n] can go on from: all they share, unless a window let go of it. */
static int64_t usable(const text *t, const int32_t *ids, int64_t n)
{
    return ae_kv_keepable(t->kv, ae_prefixes_common(t->ids, t->n, ids, n));
}

const ae_kv *ae_prefixes_find(ae_prefixes *p, const int32_t *ids, int64_t n, int64_t *len)
{
    text *best = NULL;
    *len = 0;
    for (int i = 0; i < p->n_texts; i++) {
        int64_t shared = usable(&p->texts[i], ids, n);
        if (shared <= *len) continue;
        *len = shared;
        best = &p->texts[i];
    }
    if (!best) return NULL;
    best->used = ++p->uses;
    return best->kv;
}

static void make_room(ae_prefixes *p, int64_t n)
{
    while (p->n_texts > 0 && (p->held + n > p->positions || p->n_texts == MOST_TEXTS)) {
        int oldest = 0;
        for (int i = 1; i < p->n_texts; i++)
            if (p->texts[i].used < p->texts[oldest].used) oldest = i;
        drop(p, oldest);
    }
}

/* Whether everything that `a` can lend, `b` can. */
static bool covers(const text *b, const text *a)
{
    return a->n <= b->n && ae_prefixes_common(a->ids, a->n, b->ids, b->n) == a->n &&
           ae_kv_keepable(b->kv, a->n) == a->n;
}

static bool is_kept(ae_prefixes *p, const text *t)
{
    for (int i = 0; i < p->n_texts; i++)
        if (covers(&p->texts[i], t)) {
            p->texts[i].used = ++p->uses;
            return true;
        }
    return false;
}

void ae_prefixes_keep(ae_prefixes *p, const int32_t *ids, int64_t n, ae_kv *kv)
{
    text t = { .ids = ae_alloc((size_t)n, sizeof *ids), .n = n, .kv = kv };
    if (!t.ids || n < 1 || n > p->positions || ae_kv_len(kv) < n) goto fail;
    memcpy(t.ids, ids, (size_t)n * sizeof *ids);
    if (is_kept(p, &t)) goto fail;
    for (int i = p->n_texts - 1; i >= 0; i--)
        if (covers(&t, &p->texts[i])) drop(p, i);
    make_room(p, n);
    t.used = ++p->uses;
    p->texts[p->n_texts++] = t;
    p->held += n;
    return;
fail:
    ae_free(t.ids);
    ae_kv_free(kv);
}
