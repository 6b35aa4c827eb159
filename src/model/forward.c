/* forward.c -- the decoder: token ids to hidden states to logits. Training and inference run these
 * same lines. */
#include "model/model.h"

#include <math.h>
#include <string.h>

static ae_attention_shape attention_shape(const ae_config *c)
{
    return (ae_attention_shape){
        .n_heads = c->n_heads,
        .n_kv_heads = c->n_kv_heads,
        .head_dim = c->head_dim,
        .window = c->sliding_window,
        .scale = (float)(1 / sqrt((double)c->head_dim)),
    };
}

/* With a tape everything between the layers is kept, or is made again from the layers' inputs. */
static ae_tensor *layers_on_tape(ae_ctx *cx, const ae_net *net, const ae_decoder_layer_call *common,
                                 ae_tensor *x)
{
    int64_t n = net->config->n_layers;
    ae_decoder_layer_call *calls = ae_arena_take(cx->arena, (size_t)n, sizeof *calls);

    if (!calls) {
        aerie_fail(&cx->error, AERIE_NO_MEMORY, "no room for %lld layers", (long long)n);
        return NULL;
    }
    for (int64_t i = 0; i < n && x; i++) {
        calls[i] = *common; /* outlives this call: recomputation reads it on the way back */
        calls[i].weights = &net->layers[i];
        calls[i].layer = i;
        x = net->recompute ? ae_recompute(cx, ae_decoder_layer_forward, &calls[i], x)
                           : ae_decoder_layer_forward(cx, &calls[i], x);
    }
    return x;
}

/* Without one, only a layer's output outlives it: the arena holds one layer, not all. x is written
 * over. */
static ae_tensor *layers_in_place(ae_ctx *cx, const ae_net *net,
                                  const ae_decoder_layer_call *common, ae_tensor *x)
{
    ae_decoder_layer_call call = *common;

    for (int64_t i = 0; i < net->config->n_layers && x; i++) {
        ae_arena_mark here = ae_arena_here(cx->arena);
        call.weights = &net->layers[i];
        call.layer = i;
        const ae_tensor *y = ae_decoder_layer_forward(cx, &call, x);
        if (!y) return NULL;
        memcpy(x->data, y->data, (size_t)(x->rows * x->cols) * sizeof(float));
        ae_arena_reset(cx->arena, here);
    }
    return x;
}

ae_tensor *ae_net_hidden(ae_ctx *cx, const ae_net *net, const ae_batch *batch)
{
    const ae_config *c = net->config;

    if (ae_ctx_status(cx)) return NULL;
    if (batch->caches && ae_batch_reserve(batch, &cx->error)) return NULL;
    ae_tensor *x = ae_embedding(cx, net->embedding, batch->ids, batch->n_tokens);
    ae_decoder_layer_call common = {
        .batch = batch,
        .rope = ae_rope_table_new(cx, batch->pos, batch->n_tokens, net->rope_freq, c->head_dim,
                                  c->rope_interleaved),
        .attention = attention_shape(c),
        .norm_eps = c->norm_eps,
    };
    x = cx->tape ? layers_on_tape(cx, net, &common, x) : layers_in_place(cx, net, &common, x);
    x = ae_rmsnorm(cx, x, net->norm, c->norm_eps);
    if (x && batch->caches) ae_batch_commit(batch);
    return x;
}

ae_tensor *ae_net_logits(ae_ctx *cx, const ae_net *net, const ae_tensor *hidden,
                         const int32_t *rows, int64_t n)
{
    return ae_linear(cx, ae_pick_rows(cx, hidden, rows, n), net->head, NULL);
}
