/* project.c -- a linear layer as it is used: the weight, and the low-rank additions over it. */
#include "nn/nn.h"

#include <string.h>

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

static const ae_projection *projection_of(const ae_decoder_layer *layer, size_t which)
{
    return (const ae_projection *)(const void *)((const char *)layer + which);
}

static ae_tensor rows_of(const ae_tensor *t, const ae_row_group *g)
{
    ae_tensor view = *t;
    view.data = ae_f32(t) + g->first * t->cols;
    view.rows = g->n;
    return view;
}

/* The additions over the rows of one group. */
static bool add_group(ae_ctx *cx, const ae_projection *p, const ae_tensor *y, const ae_tensor *x,
                      const ae_row_group *g)
{
    ae_tensor y_rows = rows_of(y, g), x_rows = rows_of(x, g);
    ae_tensor *sum = &y_rows;
    if (p->n_lora > 0 && p->lora[0]->m) {
        /* DoRA's bias comes after its scaling: these rows are made by themselves. */
        sum = ae_project(cx, p, &x_rows);
        if (sum) memcpy(y_rows.data, sum->data, (size_t)(g->n * y->cols) * sizeof(float));
        return sum;
    }
    for (int i = 0; sum && i < p->n_lora && i < AE_MAX_LORA; i++)
        sum = add_lora(cx, sum, &x_rows, p->lora[i]);
    return sum;
}

ae_tensor *ae_project_rows(ae_ctx *cx, const ae_decoder_layer_call *call, size_t which,
                           const ae_tensor *x)
{
    const ae_projection *own = projection_of(call->weights, which);
    if (call->n_groups == 0 || !x) return ae_project(cx, own, x);
    if (cx->tape) {
        aerie_fail(&cx->error, AERIE_UNSUPPORTED, "rows under several adapters are not trained");
        return NULL;
    }
    ae_tensor *y = ae_linear(cx, x, own->w, own->bias);
    for (int64_t i = 0; y && i < call->n_groups; i++) {
        const ae_row_group *g = &call->groups[i];
        const ae_projection *p = projection_of(&g->layers[call->layer], which);
        ae_arena_mark mark = ae_arena_here(cx->arena);
        if (!add_group(cx, p, y, x, g)) return NULL;
        ae_arena_reset(cx->arena, mark);
    }
    return y;
}
