/* low_rank.c -- y += scale * (x A^T) B^T, into y itself: the adapter of a projection without a
 * second and a third copy of its output, nor their gradients. Of SmolLM2 under all-linear LoRA a
 * layer then leaves 10,500 numbers a token on the tape instead of 19,700 (train/describe.c). */
#include "op/check.h"

typedef struct {
    ae_node node;
    const ae_tensor *x, *a, *b, *inner, *y;
    float scale;
} note;

/* out = scale * in, n numbers; out is zero. */
static void scaled(ae_device *d, float *out, const float *in, float scale, int64_t n)
{
    d->add_to(d, out, in, scale, n);
}

static aerie_status backward(const ae_node *node, const ae_backward *to)
{
    const note *n = (const note *)node;
    ae_device *d = to->device;
    int64_t T = n->y->rows, R = n->a->rows, count = T * R;
    float *room = ae_arena_take(to->arena, (size_t)count, 3 * sizeof *room);
    aerie_status status;

    if (!room) return AERIE_NO_MEMORY;
    if (n->b->grad) {
        scaled(d, room, ae_f32(n->inner), n->scale, count);
        d->linear_dw(d, n->b->grad, n->y->grad, room, T, n->b->rows, R);
    }
    if (!n->a->grad && !n->x->grad) return AERIE_OK;
    status = d->linear_dx(d, to->arena, room + count, n->y->grad, n->b, T);
    if (status) return status;
    scaled(d, room + 2 * count, room + count, n->scale, count);
    if (n->a->grad) d->linear_dw(d, n->a->grad, room + 2 * count, ae_f32(n->x), T, R, n->a->cols);
    if (!n->x->grad) return AERIE_OK;
    return d->linear_dx(d, to->arena, n->x->grad, room + 2 * count, n->a, T);
}

static bool fits(ae_ctx *cx, const ae_tensor *y, const ae_tensor *x, const ae_tensor *a,
                 const ae_tensor *b)
{
    if (!ae_check_input(cx, "low rank", y) || !ae_check_input(cx, "low rank", x) ||
        !ae_check_input(cx, "low rank", a) || !ae_check_input(cx, "low rank", b))
        return false;
    if (y->rows == x->rows && x->cols == a->cols && a->rows == b->cols && b->rows == y->cols)
        return true;
    aerie_fail(&cx->error, AERIE_BAD_SHAPE,
               "low rank: [%lld, %lld] over [%lld, %lld] of [%lld, %lld] do not give [%lld, %lld]",
               (long long)b->rows, (long long)b->cols, (long long)a->rows, (long long)a->cols,
               (long long)x->rows, (long long)x->cols, (long long)y->rows, (long long)y->cols);
    return false;
}

/* y += scale * inner B^T. */
static bool add_product(ae_ctx *cx, ae_tensor *y, const ae_tensor *inner, const ae_tensor *b,
                        float scale)
{
    ae_arena_mark mark = ae_arena_here(cx->arena);
    const ae_tensor *sum = ae_tensor_new(cx, y->rows, y->cols, false);
    aerie_status status = sum ? cx->device->linear(cx->device, cx->arena, ae_f32(sum),
                                                   ae_f32(inner), b, NULL, y->rows)
                              : AERIE_OK;

    if (sum && !status)
        cx->device->add_to(cx->device, ae_f32(y), ae_f32(sum), scale, y->rows * y->cols);
    ae_arena_reset(cx->arena, mark);
    return sum && ae_check_scratch(cx, "low rank", status);
}

ae_tensor *ae_add_low_rank(ae_ctx *cx, ae_tensor *y, const ae_tensor *x, const ae_tensor *a,
                           const ae_tensor *b, float scale)
{
    if (!fits(cx, y, x, a, b)) return NULL;
    bool wanted = x->grad || a->grad || b->grad;
    ae_tensor *inner = ae_tensor_new(cx, x->rows, a->rows, false);
    if (!inner) return NULL;
    aerie_status status =
        cx->device->linear(cx->device, cx->arena, ae_f32(inner), ae_f32(x), a, NULL, x->rows);
    if (!ae_check_scratch(cx, "low rank", status) || !add_product(cx, y, inner, b, scale))
        return NULL;
    if (!wanted) return y;

    if (!ae_tensor_want_grad(cx, y)) return NULL;
    note *n = ae_tape_note(cx, sizeof *n, backward);
    if (n) *n = (note){ n->node, x, a, b, inner, y, scale };
    return ae_ctx_status(cx) ? NULL : y;
}
