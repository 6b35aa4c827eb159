/* likelihood.c -- likelihoods of many continuations: nodes of the tree of their texts go through
 * the model as soon as what they go on from has, those that let go of a cache soonest first. */
#include "infer/engine_private.h"
#include "infer/likelihood_tree.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    WORTH = 32, /* tokens: a node of its own copies part of a page in every layer */
    ROWS = 64   /* logits held at once */
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

/* Of one request's wants the rows are in its text's order already. */
static int by_row(const void *a, const void *b)
{
    const want *x = a, *y = b;
    if (x->row != y->row) return x->row < y->row ? -1 : 1;
    return (x->request > y->request) - (x->request < y->request);
}

/* exp(x) for x <= 0, to about 2e-7 of itself, in few enough steps that a compiler does several at
 * once: exp(x) = 2^k exp(r), k the nearest integer to x / ln 2, and Taylor's polynomial of r. */
static inline float exp_below(float x)
{
    x = x < -87.0f ? -87.0f : x;
    int32_t k = (int32_t)(x * 1.44269504f - 0.5f);
    float r = x - (float)k * 0.693359375f + (float)k * 2.12194440e-4f; /* ln 2 in two parts */
    float p =
        1 + r * (1 + r * (0.5f +
                          r * (1 / 6.0f + r * (1 / 24.0f + r * (1 / 120.0f + r * (1 / 720.0f))))));
    union {
        int32_t bits;
        float value;
    } power = { (k + 127) << 23 };
    return p * power.value;
}

/* log(sum(exp(logits))), and the largest of them. The sum is made of LANES sums, each of every
 * LANES-th logit, in runs that go into a double. */
static double total_of(const float *logits, int64_t n, float *largest)
{
    enum { LANES = 16, RUN = 256 * LANES };
    float most = logits[0];
    double sum = 0;

    for (int64_t i = 1; i < n; i++) most = logits[i] > most ? logits[i] : most;
    *largest = most;
    for (int64_t first = 0; first < n; first += RUN) {
        int64_t end = ae_min64(first + RUN, n), i = first;
        float lanes[LANES] = { 0 };
        for (; i + LANES <= end; i += LANES)
            for (int j = 0; j < LANES; j++) lanes[j] += exp_below(logits[i + j] - most);
        for (int j = 0; i < end; i++, j++) lanes[j] += exp_below(logits[i] - most);
        for (int j = 0; j < LANES; j++) sum += (double)lanes[j];
    }
    return (double)most + log(sum);
}

/* Appends a token's log-probability to its request's. */
static void note(lot *l, const want *w, const float *logits, double total, float largest)
{
    ae_likelihood *f = &l->found[w->request];
    double logprob = (double)logits[w->target] - total;
    float *each = l->each + (f->logprobs - l->each);

    each[f->n_tokens++] = (float)logprob;
    f->logprob += logprob;
    f->is_greedy = f->is_greedy && logits[w->target] >= largest;
}

/* Wants first .. end - 1, which are of at most ROWS rows. */
static aerie_status use_rows(lot *l, ae_ctx *cx, const ae_tensor *hidden, int64_t first,
                             int64_t end, aerie_error *err)
{
    int32_t rows[ROWS];
    int64_t n = 0, row = -1;
    float largest = 0;
    double total = 0;

    for (int64_t i = first; i < end; i++)
        if (i == first || l->wants[i].row != l->wants[i - 1].row) rows[n++] = l->wants[i].row;
    const ae_tensor *logits = ae_net_logits(cx, l->engine->options.net, hidden, rows, n);
    if (!logits) return aerie_fail(err, cx->error.status, "%s", cx->error.message);
    for (int64_t i = first; i < end; i++) {
        if (i == first || l->wants[i].row != l->wants[i - 1].row) {
            row++;
            total = total_of(ae_f32(logits) + row * logits->cols, logits->cols, &largest);
        }
        note(l, &l->wants[i], ae_f32(logits) + row * logits->cols, total, largest);
    }
    return AERIE_OK;
}

static aerie_status use_wants(lot *l, ae_ctx *cx, const ae_tensor *hidden, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    if (l->n_wants > 1) qsort(l->wants, (size_t)l->n_wants, sizeof *l->wants, by_row);
    for (int64_t i = 0, end; i < l->n_wants && !status; i = end) {
        ae_arena_mark mark = ae_arena_here(cx->arena);
        int64_t n_rows = 1;
        for (end = i + 1; end < l->n_wants; end++)
            if (l->wants[end].row != l->wants[end - 1].row && n_rows++ == ROWS) break;
        status = use_rows(l, cx, hidden, i, end, err);
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
