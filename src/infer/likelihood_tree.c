/* likelihood_tree.c -- sorts texts and cuts them where they part, without recursion: texts that
 * each go one token further than the one before would make it as deep as there are texts. */
#include "infer/likelihood_tree.h"

#include "infer/prefix.h"

#include <stdlib.h>

static int by_tokens(const void *a, const void *b)
{
    const ae_fed_text *x = a, *y = b;
    int64_t n = ae_prefixes_common(x->ids, x->n, y->ids, y->n);

    if (n < x->n && n < y->n) return x->ids[n] < y->ids[n] ? -1 : 1;
    if (x->n != y->n) return x->n < y->n ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

/* Texts lo .. hi - 1, of which positions before `from` are in nodes: `parent` is the last. */
typedef struct {
    int64_t lo, hi, from, parent;
} range;

typedef struct {
    ae_text_tree *tree;
    range *open; /* a stack */
    int64_t n_open, room;
    int64_t worth;
} builder;

static bool push(builder *b, range r)
{
    if (b->n_open == b->room) {
        int64_t room = b->room ? 2 * b->room : 64;
        range *more = ae_realloc(b->open, (size_t)b->room, (size_t)room, sizeof *more);
        if (!more) return false;
        b->open = more;
        b->room = room;
    }
    b->open[b->n_open++] = r;
    return true;
}

/* A node for the range up to `to`; its index, or -1 without memory. */
static int64_t add_node(ae_text_tree *t, const range *r, int64_t to)
{
    int64_t longest = 0;

    if (t->n_nodes == t->room) {
        int64_t room = t->room ? 2 * t->room : 64;
        ae_tree_node *more = ae_realloc(t->nodes, (size_t)t->room, (size_t)room, sizeof *more);
        if (!more) return -1;
        t->nodes = more;
        t->room = room;
    }
    for (int64_t i = r->lo; i < r->hi; i++) longest = ae_max64(longest, t->texts[i].n);
    t->nodes[t->n_nodes] = (ae_tree_node){ r->lo, r->hi, r->from, to, r->parent, longest };
    return t->n_nodes++;
}

/* Groups of texts i .. that have the same token at `at`, the last group first, so that the stack
 * gives the first first. */
static bool push_groups(builder *b, const range *r, int64_t at)
{
    const ae_fed_text *texts = b->tree->texts;

    for (int64_t hi = r->hi, lo; hi > r->lo; hi = lo) {
        for (lo = hi - 1; lo > r->lo && texts[lo - 1].ids[at] == texts[hi - 1].ids[at];) lo--;
        if (!push(b, (range){ lo, hi, r->from, r->parent })) return false;
    }
    return true;
}

static bool cut(builder *b, range r)
{
    ae_text_tree *t = b->tree;
    const ae_fed_text *first = &t->texts[r.lo], *last = &t->texts[r.hi - 1];
    int64_t common = ae_prefixes_common(first->ids, first->n, last->ids, last->n);
    bool all_alike = common == last->n; /* sorted: the last is the longest of them */

    if (common > r.from && (all_alike || (common - r.from) * (r.hi - r.lo - 1) >= b->worth)) {
        int64_t node = add_node(t, &r, common);
        if (node < 0) return false;
        r.from = common;
        r.parent = node;
    }
    if (all_alike) return true;
    /* Who ends here while others go on. */
    range ended = { r.lo, r.lo, r.from, r.parent };
    while (t->texts[ended.hi].n == common) ended.hi++;
    r.lo = ended.hi;
    if (ended.hi > ended.lo && r.from < common && add_node(t, &ended, common) < 0) return false;
    return push_groups(b, &r, common);
}

aerie_status ae_text_tree_build(ae_text_tree *out, ae_fed_text *texts, int64_t n, int64_t worth,
                                aerie_error *err)
{
    builder b = { .tree = out, .worth = worth };
    bool ok = true;

    *out = (ae_text_tree){ .texts = texts, .n = n };
    if (n > 1) qsort(texts, (size_t)n, sizeof *texts, by_tokens);
    if (n > 0) ok = push(&b, (range){ 0, n, 0, -1 });
    while (ok && b.n_open > 0) ok = cut(&b, b.open[--b.n_open]);
    ae_free(b.open);
    return ok ? AERIE_OK
              : aerie_fail(err, AERIE_NO_MEMORY, "no memory for %lld texts", (long long)n);
}

void ae_text_tree_free(ae_text_tree *t)
{
    ae_free(t->texts);
    ae_free(t->nodes);
    *t = (ae_text_tree){ 0 };
}
