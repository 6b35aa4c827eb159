/* geglu.c -- y = gelu(gate) * up (Shazeer, 2002.05202), with the gelu by tanh that Gemma has. */
#include "op/check.h"

typedef struct {
    ae_node node;
    const ae_tensor *gate, *up, *y;
} note;

static aerie_status backward(const ae_node *node, const ae_backward *to)
{
    const note *n = (const note *)node;
    to->device->geglu_bwd(to->device, n->gate->grad, n->up->grad, n->y->grad, ae_f32(n->gate),
                          ae_f32(n->up), n->y->rows * n->y->cols);
    return AERIE_OK;
}

ae_tensor *ae_geglu(ae_ctx *cx, const ae_tensor *gate, const ae_tensor *up)
{
    if (!ae_check_same_shape(cx, "geglu", gate, up)) return NULL;
    bool wanted = gate->grad || up->grad;
    ae_tensor *y = ae_tensor_new(cx, gate->rows, gate->cols, wanted);
    if (!y) return NULL;
    cx->device->geglu(cx->device, ae_f32(y), ae_f32(gate), ae_f32(up), y->rows * y->cols);

    note *n = wanted ? ae_tape_note(cx, sizeof *n, backward) : NULL;
    if (n) *n = (note){ n->node, gate, up, y };
    return ae_ctx_status(cx) ? NULL : y;
}
