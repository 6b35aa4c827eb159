/* linear.c -- y = x * transpose(w) + bias. */
#include "op/check.h"

typedef struct {
    ae_node node;
    const ae_tensor *x, *w, *bias, *y;
} note;

static aerie_status backward(const ae_node *node, const ae_backward *to)
{
    const note *n = (const note *)node;
    const ae_tensor *x = n->x, *w = n->w, *y = n->y;
    if (w->grad)
        to->device->linear_dw(to->device, w->grad, y->grad, ae_f32(x), x->rows, w->rows, w->cols);
    if (n->bias && n->bias->grad)
        to->device->add_rows(to->device, n->bias->grad, y->grad, y->rows, y->cols);
    if (!x->grad) return AERIE_OK;
    return to->device->linear_dx(to->device, to->arena, x->grad, y->grad, w, x->rows);
}

static bool fits(ae_ctx *cx, const ae_tensor *x, const ae_tensor *w, const ae_tensor *bias)
{
    if (!ae_check_input(cx, "linear", x) || !ae_check_weight(cx, "linear", w)) return false;
    if (x->cols != w->cols) {
        aerie_fail(&cx->error, AERIE_BAD_SHAPE, "linear: x has %lld columns, the weight has %lld",
                   (long long)x->cols, (long long)w->cols);
        return false;
    }
    return !bias || ae_check_vector(cx, "linear", bias, w->rows);
}

ae_tensor *ae_linear(ae_ctx *cx, const ae_tensor *x, const ae_tensor *w, const ae_tensor *bias)
{
    if (!fits(cx, x, w, bias)) return NULL;
    bool wanted = x->grad || w->grad || (bias && bias->grad);
    ae_tensor *y = ae_tensor_new(cx, x->rows, w->rows, wanted);
    if (!y) return NULL;

    ae_arena_mark mark = ae_arena_here(cx->arena);
    aerie_status status = cx->device->linear(cx->device, cx->arena, ae_f32(y), ae_f32(x), w,
                                             bias ? ae_f32(bias) : NULL, x->rows);
    ae_arena_reset(cx->arena, mark);
    if (!ae_check_scratch(cx, "linear", status)) return NULL;

    note *n = wanted ? ae_tape_note(cx, sizeof *n, backward) : NULL;
    if (n) *n = (note){ n->node, x, w, bias, y };
    return ae_ctx_status(cx) ? NULL : y;
}
