/* dropout.c -- zeroes a share p of the numbers and scales the rest (Srivastava et al., 2014). The
 * mask is a hash of keys, not a stream: recomputing a layer or packing it otherwise repeats it. */
#include "op/check.h"

typedef struct {
    ae_node node;
    const ae_tensor *x, *y;
    const uint64_t *rows;
    uint64_t key;
    float p;
} note;

static aerie_status backward(const ae_node *node, const ae_backward *to)
{
    const note *n = (const note *)node;
    to->device->dropout(to->device, n->x->grad, n->y->grad, n->rows, n->key, n->p, n->x->rows,
                        n->x->cols, true);
    return AERIE_OK;
}

ae_tensor *ae_dropout(ae_ctx *cx, const ae_tensor *x, float p, uint64_t site)
{
    if (!ae_check_input(cx, "dropout", x)) return NULL;
    if (!(p >= 0.0f && p < 1.0f)) {
        aerie_fail(&cx->error, AERIE_BAD_ARGUMENT, "dropout: %g is not in [0, 1)", (double)p);
        return NULL;
    }
    /* Ops never change their inputs, so that x itself can stand for its unchanged copy. */
    if (p == 0.0f || cx->dropout_key == 0) return (ae_tensor *)x;
    if (!cx->dropout_rows) {
        aerie_fail(&cx->error, AERIE_BAD_ARGUMENT, "dropout: the rows have no keys");
        return NULL;
    }
    ae_tensor *y = ae_tensor_new(cx, x->rows, x->cols, x->grad);
    if (!y) return NULL;
    uint64_t key = ae_mix64(cx->dropout_key ^ ae_mix64(site));
    cx->device->dropout(cx->device, ae_f32(y), ae_f32(x), cx->dropout_rows, key, p, x->rows,
                        x->cols, false);

    note *n = x->grad ? ae_tape_note(cx, sizeof *n, backward) : NULL;
    if (n) *n = (note){ n->node, x, y, cx->dropout_rows, key, p };
    return ae_ctx_status(cx) ? NULL : y;
}
