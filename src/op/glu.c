/* glu.c -- gated units, y = act(gate) * up (Shazeer, 2002.05202): SwiGLU with silu, GeGLU with the
 * gelu by tanh that Gemma has. They differ in the device's two functions and in nothing else. */
#include "op/check.h"

typedef void forward_fn(ae_device *dev, float *y, const float *gate, const float *up, int64_t n);
typedef void backward_fn(ae_device *dev, float *dgate, float *dup, const float *dy,
                         const float *gate, const float *up, int64_t n);

typedef struct {
    ae_node node;
    const ae_tensor *gate, *up, *y;
    backward_fn *back;
} note;

static aerie_status backward(const ae_node *node, const ae_backward *to)
{
    const note *n = (const note *)node;
    n->back(to->device, n->gate->grad, n->up->grad, n->y->grad, ae_f32(n->gate), ae_f32(n->up),
            n->y->rows * n->y->cols);
    return AERIE_OK;
}

static ae_tensor *gated(ae_ctx *cx, const char *name, const ae_tensor *gate, const ae_tensor *up,
                        forward_fn *forth, backward_fn *back)
{
    if (!ae_check_same_shape(cx, name, gate, up)) return NULL;
    bool wanted = gate->grad || up->grad;
    ae_tensor *y = ae_tensor_new(cx, gate->rows, gate->cols, wanted);
    if (!y) return NULL;
    forth(cx->device, ae_f32(y), ae_f32(gate), ae_f32(up), y->rows * y->cols);

    note *n = wanted ? ae_tape_note(cx, sizeof *n, backward) : NULL;
    if (n) *n = (note){ n->node, gate, up, y, back };
    return ae_ctx_status(cx) ? NULL : y;
}

ae_tensor *ae_swiglu(ae_ctx *cx, const ae_tensor *gate, const ae_tensor *up)
{
    return gated(cx, "swiglu", gate, up, cx->device->swiglu, cx->device->swiglu_bwd);
}

ae_tensor *ae_geglu(ae_ctx *cx, const ae_tensor *gate, const ae_tensor *up)
{
    return gated(cx, "geglu", gate, up, cx->device->geglu, cx->device->geglu_bwd);
}
