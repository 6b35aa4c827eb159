/* rules_check.c -- what makes rules fit to be walked: each comes to an end, none begins with
 * itself. */
#include "grammar/rules.h"

#include <string.h>

/* Alternatives side by side by their rule. */
static void sort_alternatives(ae_rules *r)
{
    ae_grammar *g = r->grammar;
    ae_ids sorted = { 0 };
    size_t n = g->alternatives.len;
    for (int32_t i = 0; i <= r->n_rules; i++) ae_ids_add(&g->first, 0);
    for (size_t i = 0; i < n; i++) ae_ids_add(&sorted, 0);
    if (g->first.failed || sorted.failed || r->owner.failed || g->code.failed ||
        g->alternatives.failed) {
        ae_rules_fail(r, AERIE_NO_MEMORY, "no memory for a grammar");
        ae_ids_free(&sorted);
        return;
    }
    int32_t *first = g->first.data;
    for (size_t i = 0; i < n; i++) first[r->owner.data[i] + 1]++;
    for (int32_t i = 0; i < r->n_rules; i++) first[i + 1] += first[i];
    for (size_t i = 0; i < n; i++) sorted.data[first[r->owner.data[i]]++] = g->alternatives.data[i];
    for (int32_t i = r->n_rules; i > 0; i--) first[i] = first[i - 1];
    first[0] = 0;
    ae_ids_free(&g->alternatives);
    g->alternatives = sorted;
}

/* Whether all elements of an alternative can come to an end. */
static bool ends(const ae_grammar *g, int32_t alternative, const bool *finite)
{
    static const ae_byte_set none = { 0 };
    const int32_t *e = &g->code.data[g->alternatives.data[alternative]];
    for (; *e != AE_RULE_END; e++)
        if (*e >= 0 ? !finite[*e] : !memcmp(&g->sets[-1 - *e], &none, sizeof none)) return false;
    return true;
}

/* Takes alternatives away that no text ever gets through: a reply must not be led into them. */
static void drop_endless(ae_grammar *g, int32_t n_rules, bool *finite)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (int32_t rule = 0; rule < n_rules; rule++)
            for (int32_t a = g->first.data[rule]; a < g->first.data[rule + 1] && !finite[rule]; a++)
                if (ends(g, a, finite)) finite[rule] = changed = true;
    }
    int32_t kept = 0;
    for (int32_t rule = 0; rule < n_rules; rule++) {
        int32_t a = g->first.data[rule];
        g->first.data[rule] = kept;
        for (; a < g->first.data[rule + 1]; a++)
            if (ends(g, a, finite)) g->alternatives.data[kept++] = g->alternatives.data[a];
    }
    g->first.data[n_rules] = kept;
}

/* Rules that can be nothing. */
static void find_empty(const ae_grammar *g, int32_t n_rules, bool *empty)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (int32_t rule = 0; rule < n_rules; rule++)
            for (int32_t a = g->first.data[rule]; a < g->first.data[rule + 1] && !empty[rule];
                 a++) {
                const int32_t *e = &g->code.data[g->alternatives.data[a]];
                while (*e >= 0 && empty[*e]) e++;
                if (*e != AE_RULE_END) continue;
                empty[rule] = changed = true;
            }
    }
}

/* A walk over "begins with": Tarjan's strongly connected components, on a stack of our own. */
typedef struct {
    const ae_grammar *g;
    const bool *empty;
    int32_t *number, *low, *component; /* [n_rules]; number 0: not seen */
    int32_t *stack, *path;             /* rules */
    const int32_t **at;                /* [n_rules] where a rule's looking has come to */
    int32_t *alternative;              /* [n_rules] */
    int32_t n_stack, n_path, next, n_components;
} walk;

/* The next rule that `rule` may begin with; -1: none is left. *pushes: there is something after it,
 * to come back to. */
static int32_t next_begin(walk *w, int32_t rule, bool *pushes)
{
    const ae_grammar *g = w->g;
    for (;;) {
        const int32_t *e = w->at[rule];
        if (e && *e >= 0) {
            /* Behind what may be nothing, the next is a beginning too. */
            w->at[rule] = w->empty[*e] ? e + 1 : NULL;
            *pushes = e[1] != AE_RULE_END;
            return *e;
        }
        if (w->alternative[rule] == g->first.data[rule + 1]) return -1;
        w->at[rule] = &g->code.data[g->alternatives.data[w->alternative[rule]++]];
    }
}

static void enter(walk *w, int32_t rule)
{
    w->number[rule] = w->low[rule] = ++w->next;
    w->component[rule] = -1;
    w->alternative[rule] = w->g->first.data[rule];
    w->at[rule] = NULL;
    w->stack[w->n_stack++] = rule;
    w->path[w->n_path++] = rule;
}

static void leave(walk *w, int32_t rule)
{
    w->n_path--;
    if (w->n_path && w->low[rule] < w->low[w->path[w->n_path - 1]])
        w->low[w->path[w->n_path - 1]] = w->low[rule];
    if (w->low[rule] != w->number[rule]) return;
    int32_t member;
    do {
        member = w->stack[--w->n_stack];
        w->component[member] = w->n_components;
    } while (member != rule);
    w->n_components++;
}

static void find_components(walk *w, int32_t from)
{
    bool pushes;
    if (w->number[from]) return;
    enter(w, from);
    while (w->n_path) {
        int32_t rule = w->path[w->n_path - 1], to = next_begin(w, rule, &pushes);
        if (to < 0)
            leave(w, rule);
        else if (!w->number[to])
            enter(w, to);
        else if (w->component[to] < 0 && w->number[to] < w->low[rule])
            w->low[rule] = w->number[to];
    }
}

/* A rule that comes back to its own beginning with more to do each time would be walked for ever.
 * One that comes back with nothing more to do is where it was. */
static bool begins_with_itself(walk *w, int32_t n_rules)
{
    bool pushes;
    for (int32_t rule = 0; rule < n_rules; rule++) find_components(w, rule);
    for (int32_t rule = 0; rule < n_rules; rule++) {
        w->alternative[rule] = w->g->first.data[rule];
        w->at[rule] = NULL;
        for (int32_t to; (to = next_begin(w, rule, &pushes)) >= 0;)
            if (pushes && w->component[to] == w->component[rule]) return true;
    }
    return false;
}

static void check_walk(ae_rules *r, int32_t root, ae_arena *arena)
{
    size_t n = (size_t)r->n_rules;
    bool *empty = ae_arena_take(arena, n, sizeof *empty);
    bool *finite = ae_arena_take(arena, n, sizeof *finite);
    walk w = { .g = r->grammar,
               .empty = empty,
               .number = ae_arena_take(arena, n, sizeof(int32_t)),
               .low = ae_arena_take(arena, n, sizeof(int32_t)),
               .component = ae_arena_take(arena, n, sizeof(int32_t)),
               .stack = ae_arena_take(arena, n, sizeof(int32_t)),
               .path = ae_arena_take(arena, n, sizeof(int32_t)),
               .at = ae_arena_take(arena, n, sizeof(const int32_t *)),
               .alternative = ae_arena_take(arena, n, sizeof(int32_t)) };
    if (!empty || !finite || !w.number || !w.low || !w.component || !w.stack || !w.path || !w.at ||
        !w.alternative) {
        ae_rules_fail(r, AERIE_NO_MEMORY, "no memory for a grammar");
        return;
    }
    drop_endless(r->grammar, r->n_rules, finite);
    if (!finite[root]) {
        ae_rules_fail(r, AERIE_BAD_TEXT, "no text fits the grammar: it never comes to an end");
        return;
    }
    find_empty(r->grammar, r->n_rules, empty);
    if (begins_with_itself(&w, r->n_rules))
        ae_rules_fail(r, AERIE_BAD_TEXT,
                      "a rule of the grammar begins with itself (left recursion); write what comes "
                      "first, then the rest of it");
}

aerie_status ae_rules_finish(ae_rules *r, int32_t root, ae_grammar **out)
{
    ae_arena arena = { 0 };
    *out = NULL;
    if (!r->status) sort_alternatives(r);
    if (!r->status) check_walk(r, root, &arena);
    ae_arena_free(&arena);
    aerie_status status = r->status;
    if (!status) {
        r->grammar->root = root;
        *out = r->grammar;
        r->grammar = NULL;
    }
    ae_rules_abandon(r);
    return status;
}
