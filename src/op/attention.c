/* attention.c -- causal attention inside a packed row, over sequences that branch from shared
 * prefixes. A segment sees its ancestors whole, then itself up to each token. */
#include "op/check.h"

typedef struct {
    ae_attention_sequence *sequences; /* by group, as the device wants them */
    ae_attention_span *spans;         /* of all sequences, one after another */
    const ae_segment *segments;
    int64_t n;
} plan;

typedef struct {
    ae_node node;
    const ae_tensor *q, *k, *v, *out;
    const float *lse;
    plan plan;
    ae_attention_shape shape;
} note;

static int64_t depth_of(const ae_segment *segments, int64_t i)
{
    int64_t depth = 0;
    for (; i >= 0; i = segments[i].parent) depth++;
    return depth;
}

static int64_t root_of(const ae_segment *segments, int64_t i)
{
    while (segments[i].parent >= 0) i = segments[i].parent;
    return i;
}

/* Ancestors first: filled from the end. */
static void fill_spans(ae_attention_sequence *s, ae_attention_span *spans,
                       const ae_segment *segments, int64_t i, int64_t stride)
{
    s->n_spans = depth_of(segments, i);
    s->spans = spans;
    for (int64_t at = s->n_spans - 1; at >= 0; at--, i = segments[i].parent) {
        spans[at] = (ae_attention_span){ .n = segments[i].n, .stride = stride };
        s->total += segments[i].n;
    }
}

/* place[r], of each root r: where its sequences begin, so that a tree's lie side by side. */
static void find_places(int64_t *place, const ae_segment *segments, int64_t n)
{
    for (int64_t i = 0; i < n; i++) place[root_of(segments, i)]++;
    int64_t next = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t size = place[i];
        place[i] = next;
        next += size;
    }
}

static bool take_plan(plan *p, ae_ctx *cx, const ae_segment *segments, int64_t n)
{
    size_t n_spans = 0;
    for (int64_t i = 0; i < n; i++) n_spans += (size_t)depth_of(segments, i);
    p->n = n;
    p->segments = segments;
    p->sequences = ae_arena_take(cx->arena, (size_t)n, sizeof *p->sequences);
    p->spans = ae_arena_take(cx->arena, n_spans, sizeof *p->spans);
    if (p->sequences && p->spans) return true;
    aerie_fail(&cx->error, AERIE_NO_MEMORY, "attention: no room for %lld segments", (long long)n);
    return false;
}

static bool make_plan(plan *p, ae_ctx *cx, const ae_segment *segments, int64_t n, int64_t stride)
{
    if (!take_plan(p, cx, segments, n)) return false;
    ae_arena_mark mark = ae_arena_here(cx->arena);
    int64_t *place = ae_arena_take(cx->arena, (size_t)n, sizeof *place);
    if (!place) {
        aerie_fail(&cx->error, AERIE_NO_MEMORY, "attention: no room for %lld segments",
                   (long long)n);
        return false;
    }
    find_places(place, segments, n);
    ae_attention_span *spans = p->spans;
    for (int64_t i = 0; i < n; i++) {
        int64_t root = root_of(segments, i);
        ae_attention_sequence *s = &p->sequences[place[root]++];
        *s = (ae_attention_sequence){ .first = segments[i].first,
                                      .n = segments[i].n,
                                      .group = root };
        fill_spans(s, spans, segments, i, stride);
        spans += s->n_spans;
    }
    ae_arena_reset(cx->arena, mark);
    return true;
}

/* Points the spans at k and v, and at their gradients when there are such. Spans lie in the order
 * of the segments, whatever the order of the sequences. */
static void point_spans(plan *p, const float *k, const float *v, float *dk, float *dv)
{
    ae_attention_span *end = p->spans;
    for (int64_t i = 0; i < p->n; i++) {
        int64_t depth = depth_of(p->segments, i), at = i;
        end += depth;
        for (ae_attention_span *s = end - 1; s >= end - depth; s--, at = p->segments[at].parent) {
            int64_t offset = p->segments[at].first * s->stride;
            s->k = k + offset;
            s->v = v + offset;
            s->dk = dk ? dk + offset : NULL;
            s->dv = dv ? dv + offset : NULL;
        }
    }
}

/* The device adds to the gradients of q, k and v together; what is frozen among them gets a buffer
 * that nobody reads. */
static float *grad_or_scratch(const ae_tensor *t, ae_arena *arena)
{
    return t->grad ? t->grad : ae_arena_take(arena, (size_t)(t->rows * t->cols), sizeof(float));
}

static aerie_status backward(const ae_node *node, const ae_backward *to)
{
    note *n = (note *)node;
    float *dq = grad_or_scratch(n->q, to->arena);
    float *dk = grad_or_scratch(n->k, to->arena);
    float *dv = grad_or_scratch(n->v, to->arena);
    if (!dq || !dk || !dv) return AERIE_NO_MEMORY;
    point_spans(&n->plan, ae_f32(n->k), ae_f32(n->v), dk, dv);
    return to->device->attention_bwd(to->device, to->arena, dq, n->out->grad, ae_f32(n->out),
                                     n->lse, ae_f32(n->q), n->plan.sequences, n->plan.n, &n->shape);
}

/* Calls the device and gives its scratch back. */
static bool attend(ae_ctx *cx, ae_tensor *out, float *lse, const ae_tensor *q,
                   const ae_attention_sequence *sequences, int64_t n,
                   const ae_attention_shape *shape)
{
    ae_arena_mark mark = ae_arena_here(cx->arena);
    aerie_status status = cx->device->attention(cx->device, cx->arena, ae_f32(out), lse, ae_f32(q),
                                                sequences, n, shape);
    ae_arena_reset(cx->arena, mark);
    return ae_check_scratch(cx, "attention", status);
}

ae_tensor *ae_attention(ae_ctx *cx, const ae_tensor *q, const ae_tensor *k, const ae_tensor *v,
                        const ae_segment *segments, int64_t n_segments,
                        const ae_attention_shape *shape)
{
    if (!ae_check_input(cx, "attention", q) || !ae_check_input(cx, "attention", k) ||
        !ae_check_input(cx, "attention", v) || !ae_check_heads(cx, "attention", shape, q, k, v) ||
        !ae_check_segments(cx, "attention", segments, n_segments, q->rows))
        return NULL;
    bool wanted = q->grad || k->grad || v->grad;
    ae_tensor *out = ae_tensor_new(cx, q->rows, q->cols, wanted);
    bool kept = wanted && cx->tape;
    ae_tensor *lse = kept ? ae_tensor_new(cx, q->rows, shape->n_heads, false) : NULL;
    plan p;
    if (!out || (kept && !lse) || !make_plan(&p, cx, segments, n_segments, k->cols)) return NULL;
    point_spans(&p, ae_f32(k), ae_f32(v), NULL, NULL);
    if (!attend(cx, out, lse ? ae_f32(lse) : NULL, q, p.sequences, p.n, shape)) return NULL;

    note *n = kept ? ae_tape_note(cx, sizeof *n, backward) : NULL;
    if (n) *n = (note){ n->node, q, k, v, out, ae_f32(lse), p, *shape };
    return ae_ctx_status(cx) ? NULL : out;
}
