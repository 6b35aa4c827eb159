/* merge.c -- merges the best pair first, with a heap over a linked row of symbols. */
#include "text/merge.h"

enum {
    FIRST_SYMBOLS = 64,
    SHORT_WORD = 12 /* up to here looking at every pair beats keeping a heap */
};

void ae_merger_free(ae_merger *m)
{
    ae_free(m->symbols);
    ae_free(m->steps);
    *m = (ae_merger){ 0 };
}

void ae_merger_start(ae_merger *m)
{
    m->n_symbols = 0;
    m->n_steps = 0;
}

/* Doubles an array when it is full; false: no memory. */
static bool make_room(void **items, size_t count, size_t *cap, size_t size)
{
    size_t wanted = *cap ? *cap * 2 : FIRST_SYMBOLS;
    void *grown;

    if (count < *cap) return true;
    grown = ae_realloc(*items, *cap, wanted, size);
    if (!grown) return false;
    *items = grown;
    *cap = wanted;
    return true;
}

void ae_merger_add(ae_merger *m, int32_t id, size_t at, size_t len)
{
    void *items = m->symbols;
    int32_t index = (int32_t)m->n_symbols;

    if (m->failed) return;
    if (!make_room(&items, m->n_symbols, &m->symbols_cap, sizeof *m->symbols)) {
        m->failed = true;
        return;
    }
    m->symbols = items;
    if (index > 0) m->symbols[index - 1].next = index;
    m->symbols[index] = (ae_symbol){ id, index - 1, -1, (uint32_t)at, (uint32_t)len };
    m->n_symbols++;
}

static void push_step(ae_merger *m, ae_merge_step step)
{
    void *items = m->steps;
    size_t at = m->n_steps;

    if (!make_room(&items, m->n_steps, &m->steps_cap, sizeof *m->steps)) {
        m->failed = true;
        return;
    }
    m->steps = items;
    m->n_steps++;
    for (; at > 0 && m->steps[(at - 1) / 2] > step; at = (at - 1) / 2)
        m->steps[at] = m->steps[(at - 1) / 2];
    m->steps[at] = step;
}

static ae_merge_step pop_step(ae_merger *m)
{
    ae_merge_step top = m->steps[0], last = m->steps[--m->n_steps];
    size_t at = 0;

    for (;;) {
        size_t child = at * 2 + 1;

        if (child >= m->n_steps) break;
        if (child + 1 < m->n_steps && m->steps[child + 1] < m->steps[child]) child++;
        if (m->steps[child] >= last) break;
        m->steps[at] = m->steps[child];
        at = child;
    }
    m->steps[at] = last;
    return top;
}

typedef struct {
    ae_merger *m;
    const ae_number_table *pairs;
    ae_merge_seen_fn *seen;
    void *user;
} merging;

static const ae_number_entry *pair_at(const merging *w, int32_t left)
{
    const ae_symbol *symbols = w->m->symbols;
    const ae_number_entry *pair;
    int32_t right = symbols[left].next;

    if (right < 0) return NULL;
    pair = ae_number_table_find(w->pairs, ae_pair_key(symbols[left].id, symbols[right].id));
    if (pair && w->seen) w->seen(w->user, symbols[left].id, symbols[right].id, pair->id);
    return pair;
}

static void join(ae_merger *m, int32_t left, int32_t id)
{
    ae_symbol *a = &m->symbols[left], *b = &m->symbols[a->next];

    a->id = id;
    a->len += b->len;
    a->next = b->next;
    if (b->next >= 0) m->symbols[b->next].prev = left;
    b->len = 0;
}

static void propose(const merging *w, int32_t left)
{
    const ae_number_entry *pair = pair_at(w, left);

    if (pair) push_step(w->m, (uint64_t)pair->rank << 32 | (uint32_t)left);
}

static void merge_long(const merging *w)
{
    ae_merger *m = w->m;

    for (size_t i = 0; i + 1 < m->n_symbols; i++) propose(w, (int32_t)i);
    while (m->n_steps > 0 && !m->failed) {
        ae_merge_step step = pop_step(m);
        int32_t left = (int32_t)(uint32_t)step;
        const ae_symbol *a = &m->symbols[left];
        const ae_number_entry *pair = a->len ? pair_at(w, left) : NULL;

        /* The symbols may have changed since the step was proposed. */
        if (!pair || pair->rank != (uint32_t)(step >> 32)) continue;
        join(m, left, pair->id);
        if (a->prev >= 0) propose(w, a->prev);
        propose(w, left);
    }
}

/* The same for a short word: each pair's entry is kept beside its left symbol, the best is found
 * by looking at all of them. */
static void merge_short(const merging *w)
{
    const ae_number_entry *pair[SHORT_WORD];
    const ae_symbol *symbols = w->m->symbols;

    for (size_t i = 0; i < w->m->n_symbols; i++) pair[i] = pair_at(w, (int32_t)i);
    for (;;) {
        int32_t best = -1;

        for (int32_t i = 0; i >= 0; i = symbols[i].next)
            if (pair[i] && (best < 0 || pair[i]->rank < pair[best]->rank)) best = i;
        if (best < 0) return;
        join(w->m, best, pair[best]->id);
        pair[best] = pair_at(w, best);
        if (symbols[best].prev >= 0) pair[symbols[best].prev] = pair_at(w, symbols[best].prev);
    }
}

void ae_merge(ae_merger *m, const ae_number_table *pairs, ae_merge_seen_fn *seen, void *user)
{
    merging w = { m, pairs, seen, user };

    if (m->failed || m->n_symbols < 2) return;
    if (m->n_symbols <= SHORT_WORD)
        merge_short(&w);
    else
        merge_long(&w);
}
