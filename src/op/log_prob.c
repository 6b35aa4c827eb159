/* log_prob.c -- log-probabilities of given tokens, without ever holding the logits of all rows. */
#include "op/check.h"

/* What is wanted beside them; each may be NULL. */
typedef struct {
    ae_tensor **mean, **entropy, **top;
} beside;

typedef struct {
    ae_node node;
    const ae_tensor *x, *w, *logp, *mean, *entropy; /* the last two: NULL when not asked for */
    const double *lse;                              /* [N], from the way there */
    ae_predictions predictions;
} note;

static aerie_status backward(const ae_node *node, const ae_backward *to)
{
    const note *n = (const note *)node;
    return to->device->log_prob_bwd(
        to->device, to->arena, n->x->grad, n->w->grad, n->logp->grad,
        n->mean ? n->mean->grad : NULL, n->entropy ? n->entropy->grad : NULL,
        n->entropy ? ae_f32(n->entropy) : NULL, n->lse, ae_f32(n->x), n->w, &n->predictions);
}

static bool fits(ae_ctx *cx, const ae_tensor *x, const ae_tensor *w, const ae_predictions *p)
{
    if (!ae_check_input(cx, "log_prob", x) || !ae_check_weight(cx, "log_prob", w)) return false;
    if (x->cols != w->cols) {
        aerie_fail(&cx->error, AERIE_BAD_SHAPE, "log_prob: x has %lld columns, the head has %lld",
                   (long long)x->cols, (long long)w->cols);
        return false;
    }
    return ae_check_indices(cx, "log_prob", "row", p->rows, p->n, x->rows) &&
           ae_check_indices(cx, "log_prob", "target", p->targets, p->n, w->rows);
}

static ae_tensor *log_prob(ae_ctx *cx, const ae_tensor *x, const ae_tensor *w,
                           const ae_predictions *p, beside also)
{
    if (!fits(cx, x, w, p)) return NULL;
    bool wanted = x->grad || w->grad;
    ae_tensor *average = also.mean ? ae_tensor_new(cx, p->n, 1, wanted) : NULL;
    ae_tensor *spread = also.entropy ? ae_tensor_new(cx, p->n, 1, wanted) : NULL;
    ae_tensor *top = also.top ? ae_tensor_new(cx, p->n, 1, false) : NULL;
    ae_tensor *logp = ae_tensor_new(cx, p->n, 1, wanted);
    double *lse = ae_arena_take_raw(cx->arena, (size_t)p->n, sizeof *lse);
    if (!ae_check_scratch(cx, "log_prob", lse ? AERIE_OK : AERIE_NO_MEMORY) || !logp) return NULL;

    ae_arena_mark mark = ae_arena_here(cx->arena);
    aerie_status status = cx->device->log_prob(
        cx->device, cx->arena, ae_f32(logp), lse, average ? ae_f32(average) : NULL,
        spread ? ae_f32(spread) : NULL, top ? ae_f32(top) : NULL, ae_f32(x), w, p);
    ae_arena_reset(cx->arena, mark);
    if (!ae_check_scratch(cx, "log_prob", status)) return NULL;

    note *n = wanted ? ae_tape_note(cx, sizeof *n, backward) : NULL;
    if (n) *n = (note){ n->node, x, w, logp, average, spread, lse, *p };
    if (ae_ctx_status(cx)) return NULL;
    if (also.mean) *also.mean = average;
    if (also.entropy) *also.entropy = spread;
    if (also.top) *also.top = top;
    return logp;
}

ae_tensor *ae_log_prob(ae_ctx *cx, const ae_tensor *x, const ae_tensor *w, const ae_predictions *p,
                       ae_tensor **mean)
{
    if (mean) *mean = NULL;
    return log_prob(cx, x, w, p, (beside){ .mean = mean });
}

ae_tensor *ae_log_prob_entropy(ae_ctx *cx, const ae_tensor *x, const ae_tensor *w,
                               const ae_predictions *p, ae_tensor **entropy)
{
    *entropy = NULL;
    return log_prob(cx, x, w, p, (beside){ .entropy = entropy });
}

ae_tensor *ae_log_prob_top(ae_ctx *cx, const ae_tensor *x, const ae_tensor *w,
                           const ae_predictions *p, ae_tensor **top)
{
    *top = NULL;
    return log_prob(cx, x, w, p, (beside){ .top = top });
}
