/* check.c -- the questions every op asks of its inputs before it computes. */
#include "op/check.h"

bool ae_check_input(ae_ctx *cx, const char *op, const ae_tensor *x)
{
    if (ae_ctx_status(cx)) return false;
    if (!x) {
        aerie_fail(&cx->error, AERIE_BAD_ARGUMENT, "%s: an input is missing", op);
        return false;
    }
    if (x->dtype != AE_F32) {
        aerie_fail(&cx->error, AERIE_BAD_ARGUMENT, "%s: the input must be F32", op);
        return false;
    }
    return true;
}

bool ae_check_weight(ae_ctx *cx, const char *op, const ae_tensor *w)
{
    if (ae_ctx_status(cx)) return false;
    if (!w) {
        aerie_fail(&cx->error, AERIE_BAD_ARGUMENT, "%s: the weight is missing", op);
        return false;
    }
    if (w->grad && w->dtype != AE_F32) {
        aerie_fail(&cx->error, AERIE_BAD_ARGUMENT,
                   "%s: a weight with a gradient must be F32; train a copy or an adapter", op);
        return false;
    }
    return true;
}

bool ae_check_vector(ae_ctx *cx, const char *op, const ae_tensor *v, int64_t cols)
{
    if (!ae_check_input(cx, op, v)) return false;
    if (v->rows == 1 && v->cols == cols) return true;
    aerie_fail(&cx->error, AERIE_BAD_SHAPE, "%s: a vector of %lld is needed, this is [%lld, %lld]",
               op, (long long)cols, (long long)v->rows, (long long)v->cols);
    return false;
}

bool ae_check_same_shape(ae_ctx *cx, const char *op, const ae_tensor *a, const ae_tensor *b)
{
    if (!ae_check_input(cx, op, a) || !ae_check_input(cx, op, b)) return false;
    if (a->rows == b->rows && a->cols == b->cols) return true;
    aerie_fail(&cx->error, AERIE_BAD_SHAPE, "%s: [%lld, %lld] against [%lld, %lld]", op,
               (long long)a->rows, (long long)a->cols, (long long)b->rows, (long long)b->cols);
    return false;
}

bool ae_check_indices(ae_ctx *cx, const char *op, const char *what, const int32_t *index, int64_t n,
                      int64_t limit)
{
    if (n < 0 || (n > 0 && !index)) {
        aerie_fail(&cx->error, AERIE_BAD_ARGUMENT, "%s: no %ss are given", op, what);
        return false;
    }
    for (int64_t i = 0; i < n; i++) {
        if (index[i] >= 0 && index[i] < limit) continue;
        aerie_fail(&cx->error, AERIE_BAD_ARGUMENT, "%s: %s %lld is %d, there are %lld", op, what,
                   (long long)i, (int)index[i], (long long)limit);
        return false;
    }
    return true;
}

/* A width that is not heads * d, told without ever forming a product that could wrap. */
static bool has_width(ae_ctx *cx, const char *op, const char *name, const ae_tensor *x,
                      int64_t heads, int64_t head_dim)
{
    if (x->cols / head_dim == heads && x->cols % head_dim == 0) return true;
    aerie_fail(&cx->error, AERIE_BAD_SHAPE,
               "%s: %s has %lld columns, %lld heads of %lld are needed", op, name,
               (long long)x->cols, (long long)heads, (long long)head_dim);
    return false;
}

bool ae_check_heads(ae_ctx *cx, const char *op, const ae_attention_shape *shape, const ae_tensor *q,
                    const ae_tensor *k, const ae_tensor *v)
{
    if (shape->n_heads < 1 || shape->n_kv_heads < 1 || shape->head_dim < 1 || shape->window < 0 ||
        shape->n_heads % shape->n_kv_heads) {
        aerie_fail(&cx->error, AERIE_BAD_SHAPE,
                   "%s: %lld heads over %lld key/value heads of width %lld, window %lld", op,
                   (long long)shape->n_heads, (long long)shape->n_kv_heads,
                   (long long)shape->head_dim, (long long)shape->window);
        return false;
    }
    if (!has_width(cx, op, "q", q, shape->n_heads, shape->head_dim)) return false;
    if (!k) return true;
    if (k->rows != q->rows) {
        aerie_fail(&cx->error, AERIE_BAD_SHAPE, "%s: q has %lld rows, k has %lld", op,
                   (long long)q->rows, (long long)k->rows);
        return false;
    }
    return ae_check_same_shape(cx, op, k, v) &&
           has_width(cx, op, "k", k, shape->n_kv_heads, shape->head_dim);
}

bool ae_check_segments(ae_ctx *cx, const char *op, const ae_segment *segments, int64_t n_segments,
                       int64_t rows)
{
    int64_t covered = 0;
    for (int64_t i = 0; i < n_segments; i++) {
        const ae_segment *s = &segments[i];
        if (s->first != covered || s->n < 1 || s->n > rows - covered) {
            aerie_fail(&cx->error, AERIE_BAD_SHAPE,
                       "%s: segment %lld has rows %lld + %lld, but %lld of %lld are covered so far",
                       op, (long long)i, (long long)s->first, (long long)s->n, (long long)covered,
                       (long long)rows);
            return false;
        }
        if (s->parent < -1 || s->parent >= i) {
            aerie_fail(&cx->error, AERIE_BAD_SHAPE,
                       "%s: segment %lld goes on from segment %lld, which is not before it", op,
                       (long long)i, (long long)s->parent);
            return false;
        }
        covered += s->n;
    }
    if (covered == rows) return true;
    aerie_fail(&cx->error, AERIE_BAD_SHAPE, "%s: the segments cover %lld of %lld rows", op,
               (long long)covered, (long long)rows);
    return false;
}

bool ae_check_scratch(ae_ctx *cx, const char *op, aerie_status status)
{
    if (!status) return true;
    aerie_fail(&cx->error, status,
               "%s: no room for scratch memory beside %zu bytes in use; "
               "use shorter or fewer sequences at a time",
               op, cx->arena->used);
    return false;
}
