/* scale.c -- y = alpha * x. */
#include "op/check.h"

#include <string.h>

typedef struct {
    ae_node node;
    const ae_tensor *x, *y;
    float alpha;
} note;

static aerie_status backward(const ae_node *node, const ae_backward *to)
{
    const note *n = (const note *)node;
    to->device->add_to(to->device, n->x->grad, n->y->grad, n->alpha, n->y->rows * n->y->cols);
    return AERIE_OK;
}

ae_tensor *ae_scale(ae_ctx *cx, const ae_tensor *x, float alpha)
{
    if (!ae_check_input(cx, "scale", x)) return NULL;
    ae_tensor *y = ae_tensor_new(cx, x->rows, x->cols, x->grad);
    if (!y) return NULL;
    memset(y->data, 0, (size_t)(y->rows * y->cols) * sizeof(float));
    cx->device->add_to(cx->device, ae_f32(y), ae_f32(x), alpha, y->rows * y->cols);

    note *n = x->grad ? ae_tape_note(cx, sizeof *n, backward) : NULL;
    if (n) *n = (note){ n->node, x, y, alpha };
    return ae_ctx_status(cx) ? NULL : y;
}
