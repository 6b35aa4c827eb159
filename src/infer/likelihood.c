/* likelihood.c -- likelihoods of many continuations: nodes of the tree of their texts go through
 * the model as soon as what they go on from has, those that let go of a cache soonest first. */
#include "infer/engine_private.h"
#include "infer/likelihood_tree.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    WORTH = 8,    /* tokens: a node of its own copies part of a page in every layer */
    AT_ONCE = 512 /* predictions handed to the model's head together */
};

/* A node on its way. */
typedef struct {
    ae_kv *kv;                 /* NULL: not begun, or not needed any more */
    int64_t fed;               /* of its positions, counted from its `from` */
    int64_t n_unstarted;       /* children that still want its cache */
    int64_t first_child, next; /* of the same parent; of those that are ready. -1: none */
} node_run;

/* A token whose probability a request wants, told by the row before it. */
typedef struct {
    int32_t row;
    int32_t target;
    int64_t request;
} want;

typedef struct {
    ae_engine *engine;
    const ae_continuation *requests;
    int64_t n;
    ae_likelihood *found; /* [n]; logprobs lie in `each` */
    float *each;
    ae_text_tree tree;
    node_run *nodes; /* [tree.n_nodes] */
    int64_t ready;   /* the first node that is; -1: none */
    ae_dtype kv_type;
    /* The pass. */
    int32_t *ids, *pos;
    ae_segment *segments;
    ae_kv **caches;
    int64_t *parts; /* [segments]: the node of each */
    int64_t n_tokens, n_segments;
    want *wants;
    int64_t n_wants, wants_room;
    ae_likelihood_fn *fn;
    void *user;
} lot;

static aerie_status no_memory(const lot *l, aerie_error *err)
{
    return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the likelihoods of %lld texts",
                      (long long)l->n);
}

static aerie_status check(const lot *l, aerie_error *err)
{
    int64_t vocab_size = l->engine->options.net->config->vocab_size;

    for (int64_t i = 0; i < l->n; i++) {
        const ae_continuation *r = &l->requests[i];
        if (r->n_context < 1 || r->n <= r->n_context || r->n > INT32_MAX)
            return aerie_fail(err, AERIE_BAD_ARGUMENT,
                              "text %lld: %lld tokens after %lld of context; each must be at "
                              "least one",
                              (long long)i, (long long)(r->n - r->n_context),
                              (long long)r->n_context);
        for (int64_t t = 0; t < r->n; t++)
            if (r->ids[t] < 0 || r->ids[t] >= vocab_size)
                return aerie_fail(err, AERIE_BAD_ARGUMENT,
                                  "text %lld: token %d is none of the model's %lld", (long long)i,
                                  (int)r->ids[t], (long long)vocab_size);
    }
    return AERIE_OK;
}

static aerie_status take_results(lot *l, aerie_error *err)
{
    int64_t total = 0;

    for (int64_t i = 0; i < l->n; i++) total += l->requests[i].n - l->requests[i].n_context;
    l->found = ae_alloc((size_t)l->n, sizeof *l->found);
    l->each = ae_alloc((size_t)total, sizeof *l->each);
    if (!l->found || !l->each) return no_memory(l, err);
    total = 0;
    for (int64_t i = 0; i < l->n; i++) {
        l->found[i] = (ae_likelihood){ .is_greedy = true, .logprobs = l->each + total };
        total += l->requests[i].n - l->requests[i].n_context;
    }
    return AERIE_OK;
}

static aerie_status build_tree(lot *l, aerie_error *err)
{
    ae_fed_text *texts = ae_alloc((size_t)l->n, sizeof *texts);

    if (!texts) return no_memory(l, err);
    for (int64_t i = 0; i < l->n; i++)
        texts[i] = (ae_fed_text){ l->requests[i].ids, l->requests[i].n - 1, i };
    aerie_status status = ae_text_tree_build(&l->tree, texts, l->n, WORTH, err);
    if (status) return status;
    l->nodes = ae_alloc((size_t)l->tree.n_nodes, sizeof *l->nodes);
    if (!l->nodes) return no_memory(l, err);
    l->ready = -1;
    for (int64_t i = 0; i < l->tree.n_nodes; i++) l->nodes[i].first_child = -1;
    for (int64_t i = l->tree.n_nodes - 1; i >= 0; i--) {
        int64_t parent = l->tree.nodes[i].parent;
        int64_t *list = parent < 0 ? &l->ready : &l->nodes[parent].first_child;
        l->nodes[i].next = *list;
        *list = i;
        if (parent >= 0) l->nodes[parent].n_unstarted++;
    }
    return AERIE_OK;
}

static aerie_status take_pass(lot *l, aerie_error *err)
{
    size_t most = (size_t)l->engine->options.max_batch;

    l->ids = ae_alloc(most, sizeof *l->ids);
    l->pos = ae_alloc(most, sizeof *l->pos);
    l->segments = ae_alloc(most, sizeof *l->segments);
    l->caches = ae_alloc(most, sizeof(ae_kv *));
    l->parts = ae_alloc(most, sizeof *l->parts);
    return l->ids && l->pos && l->segments && l->caches && l->parts ? AERIE_OK : no_memory(l, err);
}

static int64_t left_of(const lot *l, int64_t node)
{
    const ae_tree_node *t = &l->tree.nodes[node];
    return t->to - t->from - l->nodes[node].fed;
}

/* What no child wants any more is let go of. */
static void let_go(lot *l, int64_t node)
{
    node_run *r = &l->nodes[node];

    if (r->n_unstarted > 0 || left_of(l, node) > 0) return;
    ae_kv_free(r->kv);
    r->kv = NULL;
}

static aerie_status begin(lot *l, int64_t node, aerie_error *err)
{
    const ae_tree_node *t = &l->tree.nodes[node];
    const ae_engine *e = l->engine;
    aerie_status status =
        ae_engine_new_kv_of(&l->nodes[node].kv, e, e->options.net, l->kv_type, t->longest,
                            t->parent >= 0 ? l->nodes[t->parent].kv : NULL, t->from, err);

    if (status || t->parent < 0) return status;
    l->nodes[t->parent].n_unstarted--;
    let_go(l, t->parent);
    return AERIE_OK;
}

/* The node's next n positions go into the pass. */
static void pack(lot *l, int64_t node, int64_t n)
{
    const ae_tree_node *t = &l->tree.nodes[node];
    int64_t at = t->from + l->nodes[node].fed, s = l->n_segments++;

    l->segments[s] = (ae_segment){ .first = l->n_tokens, .n = n, .parent = -1, .cache = s };
    l->caches[s] = l->nodes[node].kv;
    l->parts[s] = node;
    for (int64_t i = 0; i < n; i++, l->n_tokens++) {
        l->ids[l->n_tokens] = l->tree.texts[t->lo].ids[at + i];
        l->pos[l->n_tokens] = (int32_t)(at + i);
    }
}

static aerie_status pack_ready(lot *l, aerie_error *err)
{
    int64_t most = l->engine->options.max_batch;

    l->n_tokens = l->n_segments = 0;
    for (int64_t i = l->ready; i >= 0 && l->n_tokens < most; i = l->nodes[i].next) {
        aerie_status status = l->nodes[i].kv ? AERIE_OK : begin(l, i, err);
        if (status) return status;
        pack(l, i, ae_min64(most - l->n_tokens, left_of(l, i)));
    }
    return AERIE_OK;
}

static bool add_want(lot *l, want w)
{
    if (l->n_wants == l->wants_room) {
        int64_t room = l->wants_room ? 2 * l->wants_room : 256;
        want *more = ae_realloc(l->wants, (size_t)l->wants_room, (size_t)room, sizeof *more);
        if (!more) return false;
        l->wants = more;
        l->wants_room = room;
    }
    l->wants[l->n_wants++] = w;
    return true;
}

/* Which tokens the rows of a segment tell of. */
static bool add_wants(lot *l, const ae_segment *s, int64_t node)
{
    const ae_tree_node *t = &l->tree.nodes[node];
    int64_t at = t->from + l->nodes[node].fed, end = at + s->n;

    for (int64_t k = t->lo; k < t->hi; k++) {
        int64_t request = l->tree.texts[k].index;
        const ae_continuation *r = &l->requests[request];
        int64_t last = ae_min64(end, r->n - 1);
        for (int64_t p = ae_max64(at, r->n_context - 1); p < last; p++)
            if (!add_want(l, (want){ (int32_t)(s->first + p - at), r->ids[p + 1], request }))
                return false;
    }
    return true;
}

/* Appends a token's log-probability to its request's. */
static void note(lot *l, const want *w, float logprob, float top)
{
    ae_likelihood *f = &l->found[w->request];
    float *each = l->each + (f->logprobs - l->each);

    each[f->n_tokens++] = logprob;
    f->logprob += (double)logprob;
    f->is_greedy = f->is_greedy && logprob >= top;
}

static aerie_status use_some(lot *l, ae_ctx *cx, const ae_tensor *hidden, const want *wants,
                             int64_t n, aerie_error *err)
{
    int32_t rows[AT_ONCE], targets[AT_ONCE];
    const ae_predictions p = { .rows = rows, .targets = targets, .n = n };
    ae_tensor *top;

    for (int64_t i = 0; i < n; i++) {
        rows[i] = wants[i].row;
        targets[i] = wants[i].target;
    }
    const ae_tensor *logp = ae_net_log_prob_top(cx, l->engine->options.net, hidden, &p, &top);
    if (!logp) return aerie_fail(err, cx->error.status, "%s", cx->error.message);
    for (int64_t i = 0; i < n; i++) note(l, &wants[i], ae_f32(logp)[i], ae_f32(top)[i]);
    return AERIE_OK;
}

/* Those of one request come in its text's order. */
static aerie_status use_wants(lot *l, ae_ctx *cx, const ae_tensor *hidden, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    for (int64_t i = 0; i < l->n_wants && !status; i += AT_ONCE) {
        ae_arena_mark mark = ae_arena_here(cx->arena);
        status = use_some(l, cx, hidden, l->wants + i, ae_min64(AT_ONCE, l->n_wants - i), err);
        ae_arena_reset(cx->arena, mark);
    }
    return status;
}

static aerie_status forward(lot *l, aerie_error *err)
{
    ae_engine *e = l->engine;
    const ae_batch batch = { .n_tokens = l->n_tokens,
                             .ids = l->ids,
                             .pos = l->pos,
                             .segments = l->segments,
                             .n_segments = l->n_segments,
                             .caches = l->caches };

    l->n_wants = 0;
    for (int64_t s = 0; s < l->n_segments; s++)
        if (!add_wants(l, &l->segments[s], l->parts[s])) return no_memory(l, err);
    ae_arena_reset_all(&e->step);
    ae_ctx cx = { .device = e->options.device, .arena = &e->step };
    const ae_tensor *hidden = ae_net_hidden(&cx, e->options.net, &batch);
    if (!hidden) return aerie_fail(err, cx.error.status, "%s", cx.error.message);
    return use_wants(l, &cx, hidden, err);
}

/* Its children are ready, before all others. */
static void put_first(lot *l, int64_t child)
{
    int64_t last = child;

    if (child < 0) return;
    while (l->nodes[last].next >= 0) last = l->nodes[last].next;
    l->nodes[last].next = l->ready;
    l->ready = child;
}

/* Tells of the requests whose last token the node's last positions told of. */
static aerie_status tell(lot *l, int64_t node, aerie_error *err)
{
    const ae_tree_node *t = &l->tree.nodes[node];

    for (int64_t k = t->lo; k < t->hi; k++) {
        int64_t i = l->tree.texts[k].index;
        if (l->tree.texts[k].n != t->to) continue;
        if (!isfinite(l->found[i].logprob))
            return aerie_fail(err, AERIE_BAD_NUMBER,
                              "the model gives log-probabilities that are no finite numbers");
        if (l->fn && !l->fn(l->user, i, &l->found[i]))
            return aerie_fail(err, AERIE_INTERRUPTED, "interrupted");
    }
    return AERIE_OK;
}

/* The segments' nodes are the first that are ready; all but the last are at their end. */
static aerie_status finish_pass(lot *l, aerie_error *err)
{
    for (int64_t s = 0; s < l->n_segments; s++) {
        int64_t node = l->parts[s];
        l->nodes[node].fed += l->segments[s].n;
        if (left_of(l, node) == 0) l->ready = l->nodes[node].next;
    }
    for (int64_t s = l->n_segments - 1; s >= 0; s--) {
        int64_t node = l->parts[s];
        if (left_of(l, node) > 0) continue;
        put_first(l, l->nodes[node].first_child);
        let_go(l, node);
    }
    for (int64_t s = 0; s < l->n_segments; s++) {
        aerie_status status = AERIE_OK;
        if (left_of(l, l->parts[s]) == 0) status = tell(l, l->parts[s], err);
        if (status) return status;
    }
    return AERIE_OK;
}

static void free_lot(lot *l)
{
    for (int64_t i = 0; l->nodes && i < l->tree.n_nodes; i++) ae_kv_free(l->nodes[i].kv);
    ae_free(l->nodes);
    ae_text_tree_free(&l->tree);
    ae_free(l->found);
    ae_free(l->each);
    ae_free(l->ids);
    ae_free(l->pos);
    ae_free(l->segments);
    ae_free(l->caches);
    ae_free(l->parts);
    ae_free(l->wants);
}

aerie_status ae_engine_likelihoods(ae_engine *e, const ae_continuation *requests, int64_t n,
                                   ae_likelihood_fn *fn, void *user, ae_likelihood_stats *stats,
                                   aerie_error *err)
{
    ae_likelihood_stats none;
    lot l = { .engine = e, .requests = requests, .n = n, .fn = fn, .user = user, .ready = -1 };
    aerie_status status = check(&l, err);

    l.kv_type = e->options.score_in_cache ? e->options.kv_type : AE_F32;
    if (!stats) stats = &none, none = (ae_likelihood_stats){ 0 };
    if (!status) status = take_results(&l, err);
    if (!status) status = build_tree(&l, err);
    if (!status) status = take_pass(&l, err);
    for (int64_t i = 0; i < n && !status; i++) stats->tokens += requests[i].n - 1;
    while (!status && l.ready >= 0) {
        status = pack_ready(&l, err);
        if (!status) status = forward(&l, err);
        if (!status) status = finish_pass(&l, err);
        if (status) break;
        stats->passes++;
        stats->computed += l.n_tokens;
    }
    free_lot(&l);
    return status;
}
