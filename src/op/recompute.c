/* recompute.c -- keeps a block's input and output only; what lies between is computed again on the
 * way back (Chen et al., 1604.06174). */
#include "op/check.h"

#include <string.h>

typedef struct {
    ae_node node;
    ae_block_fn *block;
    const void *params;
    const ae_tensor *x, *y;
    uint64_t dropout_key; /* the same keys give the same masks */
    const uint64_t *dropout_rows;
} note;

static aerie_status backward(const ae_node *node, const ae_backward *to)
{
    const note *n = (const note *)node;
    ae_tape tape = { 0 };
    ae_ctx cx = { .device = to->device,
                  .arena = to->arena,
                  .tape = &tape,
                  .dropout_key = n->dropout_key,
                  .dropout_rows = n->dropout_rows };
    const ae_tensor *y = n->block(&cx, n->params, n->x);
    if (!y) return aerie_fail(to->err, cx.error.status, "%s", cx.error.message);
    /* Added, not copied: a block may give back x itself, whose gradient has others' parts. */
    if (y->grad) to->device->add_to(to->device, y->grad, n->y->grad, 1.0f, y->rows * y->cols);
    return ae_tape_backward(&tape, to, to->err);
}

/* Runs the block without a tape. *wanted: whether anything in it has a gradient. */
static bool forward(ae_ctx *cx, ae_block_fn *block, const void *params, const ae_tensor *x,
                    ae_tensor *y, bool *wanted)
{
    ae_tape *tape = cx->tape;
    bool before = cx->grad_wanted;
    ae_arena_mark mark = ae_arena_here(cx->arena);
    cx->tape = NULL;
    cx->grad_wanted = false;
    const ae_tensor *inner = block(cx, params, x);
    bool fits = inner && ae_check_same_shape(cx, "recompute", inner, x);
    if (fits) memcpy(y->data, inner->data, (size_t)(y->rows * y->cols) * sizeof(float));
    *wanted = x->grad || cx->grad_wanted;
    cx->tape = tape;
    cx->grad_wanted = before || *wanted;
    ae_arena_reset(cx->arena, mark);
    return fits;
}

ae_tensor *ae_recompute(ae_ctx *cx, ae_block_fn *block, const void *params, const ae_tensor *x)
{
    bool wanted;
    if (!ae_check_input(cx, "recompute", x)) return NULL;
    if (!cx->tape) return block(cx, params, x);
    ae_tensor *y = ae_tensor_new(cx, x->rows, x->cols, false);
    if (!y || !forward(cx, block, params, x, y, &wanted)) return NULL;
    if (!wanted) return y;

    if (!ae_tensor_want_grad(cx, y)) return NULL;
    note *n = ae_tape_note(cx, sizeof *n, backward);
    if (!n) return NULL;
    *n = (note){ n->node, block, params, x, y, cx->dropout_key, cx->dropout_rows };
    return y;
}
