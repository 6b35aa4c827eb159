/* layer.c -- one layer of the Llama family:
 *   h = x + o(attention(rope(q(n)), rope(k(n)), v(n))),   n = norm(x)
 *   y = h + down(silu(gate(m)) * up(m)),                  m = norm(h) */
#include "nn/attend.h"

static ae_tensor *attention(ae_ctx *cx, const ae_decoder_layer_call *call, const ae_tensor *x)
{
    const ae_decoder_layer *w = call->weights;
    const ae_tensor *n = ae_rmsnorm(cx, x, w->attention_norm, call->norm_eps);
    const ae_tensor *q = ae_rope(cx, ae_project(cx, &w->q, n), call->rope);
    const ae_tensor *k = ae_rope(cx, ae_project(cx, &w->k, n), call->rope);
    const ae_tensor *v = ae_project(cx, &w->v, n);
    const ae_tensor *seen = call->batch->caches
                                ? ae_attend_cached(cx, call, q, k, v)
                                : ae_attention(cx, q, k, v, call->batch->segments,
                                               call->batch->n_segments, &call->attention);
    return ae_project(cx, &w->o, seen);
}

static ae_tensor *mlp(ae_ctx *cx, const ae_decoder_layer_call *call, const ae_tensor *h)
{
    const ae_decoder_layer *w = call->weights;
    const ae_tensor *m = ae_rmsnorm(cx, h, w->mlp_norm, call->norm_eps);
    const ae_tensor *gate = ae_project(cx, &w->gate, m);
    const ae_tensor *up = ae_project(cx, &w->up, m);
    return ae_project(cx, &w->down, ae_swiglu(cx, gate, up));
}

ae_tensor *ae_decoder_layer_forward(ae_ctx *cx, const void *params, const ae_tensor *x)
{
    const ae_decoder_layer_call *call = params;
    if (x && x->rows != call->batch->n_tokens) {
        aerie_fail(&cx->error, AERIE_BAD_SHAPE,
                   "layer %lld: x has %lld rows, the batch %lld tokens", (long long)call->layer,
                   (long long)x->rows, (long long)call->batch->n_tokens);
        return NULL;
    }
    const ae_tensor *h = ae_add(cx, x, attention(cx, call, x));
    return ae_add(cx, h, mlp(cx, call, h));
}
