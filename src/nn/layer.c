/* layer.c -- one layer of a decoder:
 *   h = x + p(o(attention(rope(q(n)), rope(k(n)), v(n)))),   n = norm(x)
 *   y = h + p(down(f(gate(m)) * up(m))),                     m = norm(h)
 * f is silu, or gelu by tanh. Gemma norms the summands too (p), and like Qwen3 it norms every head
 * of q and k before these are rotated. */
#include "nn/attend.h"

#define AT(projection) offsetof(ae_decoder_layer, projection)

/* x [T, heads * d], each head a row of its own to the norm of width d; NULL: none. */
static ae_tensor *norm_heads(ae_ctx *cx, ae_tensor *x, const ae_tensor *norm, float eps)
{
    if (!norm || !x) return x;
    const ae_tensor *heads = ae_reshape(cx, x, x->rows * x->cols / norm->cols, norm->cols);
    return ae_reshape(cx, ae_rmsnorm(cx, heads, norm, eps), x->rows, x->cols);
}

static ae_tensor *norm_if(ae_ctx *cx, ae_tensor *x, const ae_tensor *norm, float eps)
{
    return norm ? ae_rmsnorm(cx, x, norm, eps) : x;
}

static ae_tensor *attention(ae_ctx *cx, const ae_decoder_layer_call *call, const ae_tensor *x)
{
    const ae_decoder_layer *w = call->weights;
    const ae_tensor *n = ae_rmsnorm(cx, x, w->attention_norm, call->norm_eps);
    ae_tensor *q = norm_heads(cx, ae_project_rows(cx, call, AT(q), n), w->q_norm, call->norm_eps);
    ae_tensor *k = norm_heads(cx, ae_project_rows(cx, call, AT(k), n), w->k_norm, call->norm_eps);
    q = ae_rope(cx, q, call->rope);
    k = ae_rope(cx, k, call->rope);
    const ae_tensor *v = ae_project_rows(cx, call, AT(v), n);
    const ae_tensor *seen = call->batch->caches
                                ? ae_attend_cached(cx, call, q, k, v)
                                : ae_attention(cx, q, k, v, call->batch->segments,
                                               call->batch->n_segments, &call->attention);
    return norm_if(cx, ae_project_rows(cx, call, AT(o), seen), w->attention_post_norm,
                   call->norm_eps);
}

static ae_tensor *mlp(ae_ctx *cx, const ae_decoder_layer_call *call, const ae_tensor *h)
{
    const ae_decoder_layer *w = call->weights;
    const ae_tensor *m = ae_rmsnorm(cx, h, w->mlp_norm, call->norm_eps);
    const ae_tensor *gate = ae_project_rows(cx, call, AT(gate), m);
    const ae_tensor *up = ae_project_rows(cx, call, AT(up), m);
    const ae_tensor *inner =
        call->activation == AE_GELU_TANH ? ae_geglu(cx, gate, up) : ae_swiglu(cx, gate, up);
    return norm_if(cx, ae_project_rows(cx, call, AT(down), inner), w->mlp_post_norm,
                   call->norm_eps);
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
