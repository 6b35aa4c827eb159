/* rescale.c -- y = x * m / norm + bias, column by column: the magnitudes of DoRA (Liu et al.,
 * 2402.09353). The norms count as constants on the way back, as in its section 4.3. */
#include "op/check.h"

typedef struct {
    ae_node node;
    const ae_tensor *x, *m, *bias, *y;
    const float *by, *inverse; /* [N]: m / norm, 1 / norm */
} note;

static aerie_status backward(const ae_node *node, const ae_backward *to)
{
    const note *n = (const note *)node;
    ae_device *d = to->device;
    int64_t T = n->y->rows, N = n->y->cols;

    if (n->x->grad) d->scale_cols(d, n->x->grad, n->y->grad, n->by, NULL, T, N, true);
    if (n->m->grad) d->dot_cols(d, n->m->grad, n->y->grad, ae_f32(n->x), n->inverse, T, N);
    if (n->bias && n->bias->grad) d->add_rows(d, n->bias->grad, n->y->grad, T, N);
    return AERIE_OK;
}

static bool has_size(ae_ctx *cx, const ae_tensor *x, const ae_tensor *m)
{
    if (m->cols == 1 && m->rows == x->cols) return true;
    aerie_fail(&cx->error, AERIE_BAD_SHAPE, "rescale: [%lld, %lld] magnitudes for %lld columns",
               (long long)m->rows, (long long)m->cols, (long long)x->cols);
    return false;
}

ae_tensor *ae_rescale(ae_ctx *cx, const ae_tensor *x, const ae_tensor *m, const float *norm,
                      const ae_tensor *bias)
{
    if (!ae_check_input(cx, "rescale", x) || !ae_check_input(cx, "rescale", m) ||
        !has_size(cx, x, m) || (bias && !ae_check_vector(cx, "rescale", bias, x->cols)))
        return NULL;
    bool grad = x->grad || m->grad || (bias && bias->grad);
    ae_tensor *factors = ae_tensor_new(cx, 2, x->cols, false);
    ae_tensor *y = ae_tensor_new(cx, x->rows, x->cols, grad);
    if (!y || !factors) return NULL;
    float *by = ae_f32(factors), *inverse = by + x->cols;
    for (int64_t i = 0; i < x->cols; i++) {
        /* A row of zeros has no direction: it stays zero. */
        inverse[i] = norm[i] > 0 ? 1 / norm[i] : 0;
        by[i] = norm[i] > 0 ? ae_f32(m)[i] / norm[i] : 0;
    }
    cx->device->scale_cols(cx->device, ae_f32(y), ae_f32(x), by, bias ? ae_f32(bias) : NULL,
                           x->rows, x->cols, false);
    note *n = grad ? ae_tape_note(cx, sizeof *n, backward) : NULL;
    if (n) *n = (note){ n->node, x, m, bias, y, by, inverse };
    return ae_ctx_status(cx) ? NULL : y;
}
