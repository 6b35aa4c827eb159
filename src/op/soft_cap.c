/* soft_cap.c -- y = cap * tanh(x / cap): Gemma 2's bound on its logits. */
#include "op/check.h"

#include <string.h>

typedef struct {
    ae_node node;
    const ae_tensor *x, *y;
    float cap;
} note;

static aerie_status backward(const ae_node *node, const ae_backward *to)
{
    const note *n = (const note *)node;
    to->device->soft_cap_bwd(to->device, n->x->grad, n->y->grad, ae_f32(n->y), n->cap,
                             n->y->rows * n->y->cols);
    return AERIE_OK;
}

ae_tensor *ae_soft_cap(ae_ctx *cx, const ae_tensor *x, float cap)
{
    if (!ae_check_input(cx, "soft_cap", x)) return NULL;
    if (!(cap > 0)) {
        aerie_fail(&cx->error, AERIE_BAD_ARGUMENT, "soft_cap: a cap is positive, not %g",
                   (double)cap);
        return NULL;
    }
    ae_tensor *y = ae_tensor_new(cx, x->rows, x->cols, x->grad);
    if (!y) return NULL;
    memcpy(y->data, x->data, (size_t)(x->rows * x->cols) * sizeof(float));
    cx->device->soft_cap(cx->device, ae_f32(y), cap, y->rows * y->cols);

    note *n = x->grad ? ae_tape_note(cx, sizeof *n, backward) : NULL;
    if (n) *n = (note){ n->node, x, y, cap };
    return ae_ctx_status(cx) ? NULL : y;
}
