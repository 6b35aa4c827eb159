/* rmsnorm.c -- y = x / rms(x) * w, row by row (Zhang and Sennrich, 1910.07467). */
#include "op/check.h"

typedef struct {
    ae_node node;
    const ae_tensor *x, *w, *y;
    const float *rstd; /* [T], from the way there */
} note;

static aerie_status backward(const ae_node *node, const ae_backward *to)
{
    const note *n = (const note *)node;
    to->device->rmsnorm_bwd(to->device, n->x->grad, n->w->grad, n->y->grad, ae_f32(n->x),
                            ae_f32(n->w), n->rstd, n->x->rows, n->x->cols);
    return AERIE_OK;
}

ae_tensor *ae_rmsnorm(ae_ctx *cx, const ae_tensor *x, const ae_tensor *w, float eps)
{
    if (!ae_check_input(cx, "rmsnorm", x) || !ae_check_vector(cx, "rmsnorm", w, x->cols))
        return NULL;
    bool wanted = x->grad || w->grad;
    ae_tensor *rstd = ae_tensor_new(cx, x->rows, 1, false);
    ae_tensor *y = ae_tensor_new(cx, x->rows, x->cols, wanted);
    if (!y || !rstd) return NULL;
    cx->device->rmsnorm(cx->device, ae_f32(y), ae_f32(rstd), ae_f32(x), ae_f32(w), x->rows, x->cols,
                        eps);

    note *n = wanted ? ae_tape_note(cx, sizeof *n, backward) : NULL;
    if (n) *n = (note){ n->node, x, w, y, ae_f32(rstd) };
    return ae_ctx_status(cx) ? NULL : y;
}
