/* state.c -- a grammar walked by bytes: all ways that fit so far, side by side.
 *
 * A way is a stack: the element to be matched next and, below it, where each calling rule goes on.
 * Stacks share their lower parts. A call at the end of an alternative leaves nothing to come back
 * to, so lists written as `x tail | ""` take no depth. Levels hold the ways after each byte of a
 * token that is being tried; going back to an earlier level forgets the later ones. */
#include "grammar/state.h"

#include <string.h>

enum {
    MOST_WAYS = 1024,    /* side by side */
    MOST_DEPTH = 1024,   /* of calls: how deep values may be nested */
    MOST_NODES = 1 << 20 /* of all levels */
};

static uint64_t chain_hash(const ae_grammar_state *s, int32_t pos, int32_t below)
{
    uint64_t h = below < 0 ? 0x9E3779B97F4A7C15u : s->nodes[below].hash;
    return ae_mix64(h ^ (uint64_t)(uint32_t)pos * 0xBF58476D1CE4E5B9u);
}

static bool same_chain(const ae_grammar_state *s, int32_t a, int32_t b)
{
    while (a != b) {
        if (a < 0 || b < 0 || s->nodes[a].hash != s->nodes[b].hash ||
            s->nodes[a].pos != s->nodes[b].pos)
            return false;
        a = s->nodes[a].below;
        b = s->nodes[b].below;
    }
    return true;
}

static bool grow(void **data, size_t *cap, size_t need, size_t size)
{
    size_t to = *cap ? *cap : 64;
    if (need <= *cap) return true;
    while (to < need) to *= 2;
    void *more = ae_realloc(*data, *cap, to, size);
    if (!more) return false;
    *data = more;
    *cap = to;
    return true;
}

/* -1: no room, or too deep. */
static int32_t new_node(ae_grammar_state *s, int32_t pos, int32_t below)
{
    int32_t depth = below < 0 ? 1 : s->nodes[below].depth + 1;
    if (depth > MOST_DEPTH || s->n_nodes == MOST_NODES) return -1;
    if (!grow((void **)&s->nodes, &s->cap_nodes, s->n_nodes + 1, sizeof *s->nodes)) return -1;
    s->nodes[s->n_nodes] = (ae_way_node){ chain_hash(s, pos, below), pos, below, depth };
    return (int32_t)s->n_nodes++;
}

/* Whether a way was met before in this level's making; it is from now on. */
static bool met(ae_grammar_state *s, int32_t pos, int32_t below)
{
    uint64_t hash = chain_hash(s, pos, below);
    for (size_t i = hash % AE_MET; s->met[i].round == s->round; i = (i + 1) % AE_MET)
        if (s->met[i].pos == pos && same_chain(s, s->met[i].below, below)) return true;
    if (++s->n_met > AE_MET / 2) return true; /* too many ways: this one is given up */
    size_t i = hash % AE_MET;
    while (s->met[i].round == s->round) i = (i + 1) % AE_MET;
    s->met[i] = (ae_way_met){ s->round, pos, below };
    return false;
}

static void push_work(ae_grammar_state *s, int32_t pos, int32_t below)
{
    if (s->n_work < AE_COUNT(s->work)) s->work[s->n_work++] = (ae_way){ pos, below };
}

static void add_way(ae_grammar_state *s, ae_way_level *level, int32_t pos, int32_t below)
{
    size_t n = level->end - level->begin;
    if (n >= MOST_WAYS) return;
    if (!grow((void **)&s->ways, &s->cap_ways, level->end + 1, sizeof *s->ways)) return;
    s->ways[level->end++] = (ae_way){ pos, below };
}

static void call(ae_grammar_state *s, int32_t rule, int32_t after, int32_t below)
{
    const ae_grammar *g = s->grammar;
    if (g->code.data[after] != AE_RULE_END) {
        below = new_node(s, after, below);
        if (below < 0) return;
    }
    for (int32_t a = g->first.data[rule]; a < g->first.data[rule + 1]; a++)
        push_work(s, g->alternatives.data[a], below);
}

/* Follows calls and ends until bytes are wanted. A way that does not fit the bounds is given up:
 * what it would have let through is refused. */
static void close_ways(ae_grammar_state *s, ae_way_level *level)
{
    while (s->n_work) {
        ae_way w = s->work[--s->n_work];
        if (met(s, w.pos, w.below)) continue;
        int32_t element = s->grammar->code.data[w.pos];
        if (element >= 0)
            call(s, element, w.pos + 1, w.below);
        else if (element != AE_RULE_END)
            add_way(s, level, w.pos, w.below);
        else if (w.below < 0)
            level->may_end = true;
        else
            push_work(s, s->nodes[w.below].pos, s->nodes[w.below].below);
    }
}

/* The level after `from`, empty. */
static ae_way_level *begin_level(ae_grammar_state *s, size_t from)
{
    if (!grow((void **)&s->levels, &s->cap_levels, from + 2, sizeof *s->levels)) return NULL;
    const ae_way_level *before = &s->levels[from];
    s->levels[from + 1] =
        (ae_way_level){ .begin = before->end, .end = before->end, .n_nodes = before->n_nodes };
    s->n_nodes = before->n_nodes;
    s->round++;
    s->n_met = s->n_work = 0;
    return &s->levels[from + 1];
}

bool ae_grammar_level(ae_grammar_state *s, size_t from, unsigned char byte)
{
    const ae_grammar *g = s->grammar;
    ae_way_level *to = begin_level(s, from);
    if (!to) return false;
    for (size_t i = s->levels[from].begin; i < s->levels[from].end; i++) {
        ae_way w = s->ways[i];
        if (!ae_byte_set_has(&g->sets[-1 - g->code.data[w.pos]], byte)) continue;
        push_work(s, w.pos + 1, w.below);
        close_ways(s, to);
    }
    to->n_nodes = s->n_nodes;
    return to->end > to->begin || to->may_end;
}

aerie_status ae_grammar_start(ae_grammar_state **out, const ae_grammar *g, aerie_error *err)
{
    *out = NULL;
    ae_grammar_state *s = ae_alloc(1, sizeof *s);
    if (s) s->grammar = g;
    if (!s || !grow((void **)&s->levels, &s->cap_levels, 2, sizeof *s->levels)) {
        ae_grammar_stop(s);
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a grammar's state");
    }
    s->round = 1;
    for (int32_t a = g->first.data[g->root]; a < g->first.data[g->root + 1]; a++) {
        push_work(s, g->alternatives.data[a], -1);
        close_ways(s, &s->levels[0]);
    }
    s->levels[0].n_nodes = s->n_nodes;
    *out = s;
    return AERIE_OK;
}

void ae_grammar_stop(ae_grammar_state *s)
{
    if (!s) return;
    ae_free(s->nodes);
    ae_free(s->moved);
    ae_free(s->ways);
    ae_free(s->levels);
    ae_free(s);
}

/* How many of the bytes may follow, level after level. */
static size_t follow(ae_grammar_state *s, ae_span bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        if (!ae_grammar_level(s, i, (unsigned char)bytes.data[i])) return i;
    return bytes.len;
}

bool ae_grammar_takes(ae_grammar_state *s, ae_span bytes)
{
    return bytes.len > 0 && follow(s, bytes) == bytes.len;
}

/* Marks the nodes that a level's ways stand on with 0, the others with -1. A node stands on earlier
 * ones: one look from the last to the first finds all. */
static void mark_nodes(ae_grammar_state *s, const ae_way_level *level)
{
    for (size_t i = 0; i < level->n_nodes; i++) s->moved[i] = -1;
    for (size_t i = level->begin; i < level->end; i++)
        if (s->ways[i].below >= 0) s->moved[s->ways[i].below] = 0;
    for (size_t i = level->n_nodes; i-- > 0;)
        if (s->moved[i] == 0 && s->nodes[i].below >= 0) s->moved[s->nodes[i].below] = 0;
}

/* Makes a level the first, with the nodes that it needs and no others. */
static bool keep_level(ae_grammar_state *s, size_t at)
{
    ae_way_level level = s->levels[at];
    size_t n = 0, n_ways = level.end - level.begin;
    if (!grow((void **)&s->moved, &s->cap_moved, level.n_nodes, sizeof *s->moved)) return false;
    mark_nodes(s, &level);
    for (size_t i = 0; i < level.n_nodes; i++) {
        if (s->moved[i] < 0) continue;
        s->nodes[n] = s->nodes[i];
        if (s->nodes[n].below >= 0) s->nodes[n].below = s->moved[s->nodes[n].below];
        s->moved[i] = (int32_t)n++;
    }
    for (size_t i = 0; i < n_ways; i++) {
        s->ways[i] = s->ways[level.begin + i];
        if (s->ways[i].below >= 0) s->ways[i].below = s->moved[s->ways[i].below];
    }
    s->n_nodes = n;
    s->levels[0] = (ae_way_level){ 0, n_ways, n, level.may_end };
    return true;
}

bool ae_grammar_advance(ae_grammar_state *s, ae_span bytes)
{
    if (follow(s, bytes) < bytes.len) return false;
    return bytes.len == 0 || keep_level(s, bytes.len);
}

bool ae_grammar_may_end(const ae_grammar_state *s)
{
    return s->levels[0].may_end;
}

bool ae_grammar_must_end(const ae_grammar_state *s)
{
    return s->levels[0].end == s->levels[0].begin;
}
