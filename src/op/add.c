/* add.c -- y = a + b, and y = a + alpha * b. */
#include "op/check.h"

#include <string.h>

typedef struct {
    ae_node node;
    const ae_tensor *a, *b, *y;
    float alpha;
} note;

static aerie_status backward(const ae_node *node, const ae_backward *to)
{
    const note *n = (const note *)node;
    int64_t count = n->y->rows * n->y->cols;
    if (n->a->grad) to->device->add_to(to->device, n->a->grad, n->y->grad, 1.0f, count);
    if (n->b->grad) to->device->add_to(to->device, n->b->grad, n->y->grad, n->alpha, count);
    return AERIE_OK;
}

static ae_tensor *sum_of(ae_ctx *cx, const ae_tensor *a, const ae_tensor *b)
{
    return ae_check_same_shape(cx, "add", a, b)
               ? ae_tensor_new(cx, a->rows, a->cols, a->grad || b->grad)
               : NULL;
}

static ae_tensor *noted(ae_ctx *cx, const ae_tensor *a, const ae_tensor *b, ae_tensor *y,
                        float alpha)
{
    note *n = a->grad || b->grad ? ae_tape_note(cx, sizeof *n, backward) : NULL;
    if (n) *n = (note){ n->node, a, b, y, alpha };
    return ae_ctx_status(cx) ? NULL : y;
}

ae_tensor *ae_add(ae_ctx *cx, const ae_tensor *a, const ae_tensor *b)
{
    ae_tensor *y = sum_of(cx, a, b);
    if (!y) return NULL;
    cx->device->add(cx->device, ae_f32(y), ae_f32(a), ae_f32(b), y->rows * y->cols);
    return noted(cx, a, b, y, 1.0f);
}

ae_tensor *ae_add_scaled(ae_ctx *cx, const ae_tensor *a, const ae_tensor *b, float alpha)
{
    ae_tensor *y = sum_of(cx, a, b);
    if (!y) return NULL;
    memcpy(y->data, a->data, (size_t)(y->rows * y->cols) * sizeof(float));
    cx->device->add_to(cx->device, ae_f32(y), ae_f32(b), alpha, y->rows * y->cols);
    return noted(cx, a, b, y, alpha);
}
