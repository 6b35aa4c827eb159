/* embedding.c -- y[i] = row ids[i] of a matrix: token embeddings, and picking rows of a batch. */
#include "op/check.h"

typedef struct {
    ae_node node;
    const ae_tensor *w, *y;
    const int32_t *ids;
} note;

static aerie_status backward(const ae_node *node, const ae_backward *to)
{
    const note *n = (const note *)node;
    to->device->embedding_bwd(to->device, n->w->grad, n->y->grad, n->ids, n->y->rows, n->w->rows,
                              n->w->cols);
    return AERIE_OK;
}

static ae_tensor *gather(ae_ctx *cx, const ae_tensor *w, const int32_t *ids, int64_t n_ids)
{
    ae_tensor *y = ae_tensor_new(cx, n_ids, w->cols, w->grad);
    if (!y) return NULL;
    cx->device->embedding(cx->device, ae_f32(y), w, ids, n_ids);

    note *n = w->grad ? ae_tape_note(cx, sizeof *n, backward) : NULL;
    if (n) *n = (note){ n->node, w, y, ids };
    return ae_ctx_status(cx) ? NULL : y;
}

ae_tensor *ae_embedding(ae_ctx *cx, const ae_tensor *w, const int32_t *ids, int64_t T)
{
    if (!ae_check_weight(cx, "embedding", w) ||
        !ae_check_indices(cx, "embedding", "id", ids, T, w->rows))
        return NULL;
    return gather(cx, w, ids, T);
}

ae_tensor *ae_pick_rows(ae_ctx *cx, const ae_tensor *x, const int32_t *rows, int64_t n)
{
    if (!ae_check_input(cx, "pick_rows", x) ||
        !ae_check_indices(cx, "pick_rows", "row", rows, n, x->rows))
        return NULL;
    return gather(cx, x, rows, n);
}
