/* project.c -- a linear layer as it is used: the weight, and the low-rank additions over it. */
#include "nn/nn.h"

/* y is an output that no note reads: of a product, or of a rescaling. */
static ae_tensor *add_lora(ae_ctx *cx, ae_tensor *y, const ae_tensor *x, const ae_lora *lora)
{
    const ae_tensor *thinned = ae_dropout(cx, x, lora->dropout, lora->site);
    return ae_add_low_rank(cx, y, thinned, lora->a, lora->b, lora->scale);
}

ae_tensor *ae_project(ae_ctx *cx, const ae_projection *p, const ae_tensor *x)
{
    const ae_lora *dora = p->n_lora > 0 && p->lora[0]->m ? p->lora[0] : NULL;
    if (cx->observer && x) cx->observer->linear(cx->observer->user, p->w, x);
    ae_tensor *y = ae_linear(cx, x, p->w, dora ? NULL : p->bias);
    for (int i = 0; i < p->n_lora && i < AE_MAX_LORA; i++) {
        y = add_lora(cx, y, x, p->lora[i]);
        if (dora && i == 0) y = ae_rescale(cx, y, dora->m, dora->norm, p->bias);
    }
    return y;
}
