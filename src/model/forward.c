/* forward.c -- the decoder: token ids to hidden states to logits. Training and inference run these
 * same lines. */
#include "model/model.h"

#include <math.h>
#include <string.h>

static ae_attention_shape attention_shape(const ae_config *c)
{
    /* YaRN lengthens q and k alike: their product by the square. */
    double sharper = c->rope_scaling == AE_ROPE_YARN ? c->rope_attention_factor : 1;

    return (ae_attention_shape){
        .n_heads = c->n_heads,
        .n_kv_heads = c->n_kv_heads,
        .head_dim = c->head_dim,
        .scale = (float)(sharper * sharper / sqrt(c->query_pre_attn_scalar)),
        .soft_cap = c->attn_logit_softcapping,
    };
}

/* What the layers of a pass share, and the rotations that they choose from. */
typedef struct {
    ae_decoder_layer_call call;
    const ae_rope_table *rope, *local_rope;
} layer_plan;

static ae_decoder_layer_call call_of(const ae_net *net, const layer_plan *plan, int64_t layer)
{
    ae_decoder_layer_call call = plan->call;

    call.weights = &net->layers[layer];
    call.layer = layer;
    call.attention.window = ae_config_window(net->config, layer);
    call.rope = call.attention.window && plan->local_rope ? plan->local_rope : plan->rope;
    return call;
}

static bool is_trained(const ae_tensor *t)
{
    return t && t->grad;
}

static bool is_trained_projection(const ae_projection *p)
{
    bool trained = is_trained(p->w) || is_trained(p->bias);

    for (int i = 0; i < p->n_lora; i++)
        trained |=
            is_trained(p->lora[i]->a) || is_trained(p->lora[i]->b) || is_trained(p->lora[i]->m);
    return trained;
}

static bool is_trained_layer(const ae_decoder_layer *l)
{
    return is_trained(l->attention_norm) || is_trained(l->mlp_norm) ||
           is_trained(l->attention_post_norm) || is_trained(l->mlp_post_norm) ||
           is_trained(l->q_norm) || is_trained(l->k_norm) || is_trained_projection(&l->q) ||
           is_trained_projection(&l->k) || is_trained_projection(&l->v) ||
           is_trained_projection(&l->o) || is_trained_projection(&l->gate) ||
           is_trained_projection(&l->up) || is_trained_projection(&l->down);
}

/* With a tape everything between the layers is kept, or is made again from the layers' inputs.
 * Below the first layer that is trained nothing goes back: recomputation, which then never comes to
 * it, keeps its output alone. */
static ae_tensor *layers_on_tape(ae_ctx *cx, const ae_net *net, const layer_plan *plan,
                                 ae_tensor *x)
{
    int64_t n = net->config->n_layers;
    ae_decoder_layer_call *calls = ae_arena_take(cx->arena, (size_t)n, sizeof *calls);

    if (!calls) {
        aerie_fail(&cx->error, AERIE_NO_MEMORY, "no room for %lld layers", (long long)n);
        return NULL;
    }
    for (int64_t i = 0; i < n && x; i++) {
        calls[i] = call_of(net, plan, i); /* outlives this call: recomputation reads it on the way
                                             back */
        bool lean = net->recompute || (!x->grad && !is_trained_layer(calls[i].weights));
        x = lean ? ae_recompute(cx, ae_decoder_layer_forward, &calls[i], x)
                 : ae_decoder_layer_forward(cx, &calls[i], x);
    }
    return x;
}

/* Without one, only a layer's output outlives it: the arena holds one layer, not all. x is written
 * over. */
static ae_tensor *layers_in_place(ae_ctx *cx, const ae_net *net, const layer_plan *plan,
                                  ae_tensor *x)
{
    for (int64_t i = 0; i < net->config->n_layers && x; i++) {
        ae_arena_mark here = ae_arena_here(cx->arena);
        const ae_decoder_layer_call call = call_of(net, plan, i);
        const ae_tensor *y = ae_decoder_layer_forward(cx, &call, x);
        if (!y) return NULL;
        memcpy(x->data, y->data, (size_t)(x->rows * x->cols) * sizeof(float));
        ae_arena_reset(cx->arena, here);
    }
    return x;
}

static const ae_rope_table *rotation(ae_ctx *cx, const ae_net *net, const ae_batch *batch,
                                     const double *freq)
{
    return ae_rope_table_new(cx, batch->pos, batch->n_tokens, freq, net->config->head_dim,
                             net->config->rope_interleaved);
}

static ae_tensor *embed(ae_ctx *cx, const ae_net *net, const ae_batch *batch)
{
    ae_tensor *x = ae_embedding(cx, net->embedding, batch->ids, batch->n_tokens);

    return net->config->scaled_embedding ? ae_scale(cx, x, sqrtf((float)net->config->hidden_size))
                                         : x;
}

ae_tensor *ae_net_hidden(ae_ctx *cx, const ae_net *net, const ae_batch *batch)
{
    const ae_config *c = net->config;

    if (ae_ctx_status(cx)) return NULL;
    if (batch->caches && ae_batch_reserve(batch, &cx->error)) return NULL;
    ae_tensor *x = embed(cx, net, batch);
    const layer_plan plan = {
        .call = { .batch = batch,
                  .attention = attention_shape(c),
                  .activation = c->activation,
                  .norm_eps = c->norm_eps,
                  .groups = net->groups,
                  .n_groups = net->n_groups },
        .rope = rotation(cx, net, batch, net->rope_freq),
        .local_rope = net->rope_local_freq ? rotation(cx, net, batch, net->rope_local_freq) : NULL,
    };
    x = cx->tape ? layers_on_tape(cx, net, &plan, x) : layers_in_place(cx, net, &plan, x);
    x = ae_rmsnorm(cx, x, net->norm, c->norm_eps);
    if (x && batch->caches) ae_batch_commit(batch);
    return x;
}

/* Unless something failed before. */
static bool has_head(ae_ctx *cx, const ae_tensor *head, const char *sentence)
{
    if (!head && !ae_ctx_status(cx)) aerie_fail(&cx->error, AERIE_BAD_ARGUMENT, "%s", sentence);
    return head != NULL;
}

static const char no_words[] = "a reward model has no language head: it scores texts (aerie score) "
                               "and cannot continue them";

ae_tensor *ae_net_logits(ae_ctx *cx, const ae_net *net, const ae_tensor *hidden,
                         const int32_t *rows, int64_t n)
{
    float cap = net->config->final_logit_softcapping;

    if (!has_head(cx, net->head, no_words)) return NULL;
    ae_tensor *logits = ae_linear(cx, ae_pick_rows(cx, hidden, rows, n), net->head, NULL);

    return cap > 0 ? ae_soft_cap(cx, logits, cap) : logits;
}

static ae_predictions capped(const ae_net *net, const ae_predictions *p)
{
    return (ae_predictions){ p->rows, p->targets, p->n, net->config->final_logit_softcapping };
}

/* One of the two is asked for, or neither. */
static ae_tensor *log_prob(ae_ctx *cx, const ae_net *net, const ae_tensor *hidden,
                           const ae_predictions *p, ae_tensor **mean, ae_tensor **entropy)
{
    const ae_predictions all = capped(net, p);

    if (mean) *mean = NULL;
    if (entropy) *entropy = NULL;
    if (!has_head(cx, net->head, no_words)) return NULL;
    return entropy ? ae_log_prob_entropy(cx, hidden, net->head, &all, entropy)
                   : ae_log_prob(cx, hidden, net->head, &all, mean);
}

ae_tensor *ae_net_log_prob(ae_ctx *cx, const ae_net *net, const ae_tensor *hidden,
                           const ae_predictions *p, ae_tensor **mean)
{
    return log_prob(cx, net, hidden, p, mean, NULL);
}

ae_tensor *ae_net_log_prob_top(ae_ctx *cx, const ae_net *net, const ae_tensor *hidden,
                               const ae_predictions *p, ae_tensor **top)
{
    const ae_predictions all = capped(net, p);

    *top = NULL;
    return has_head(cx, net->head, no_words) ? ae_log_prob_top(cx, hidden, net->head, &all, top)
                                             : NULL;
}

ae_tensor *ae_net_scores(ae_ctx *cx, const ae_net *net, const ae_tensor *hidden,
                         const int32_t *rows, int64_t n)
{
    if (!has_head(cx, net->score,
                  "the model has no head that scores; give a reward model (or an adapter that "
                  "brings one), or train one with 'method: reward'"))
        return NULL;
    return ae_linear(cx, ae_pick_rows(cx, hidden, rows, n), net->score, NULL);
}

/* The hidden states whose logits are divided by the temperature. */
static const ae_tensor *tempered(ae_ctx *cx, const ae_net *net, const ae_tensor *hidden,
                                 float temperature)
{
    if (temperature == 1) return hidden;
    if (net->config->final_logit_softcapping > 0 && !ae_ctx_status(cx)) {
        aerie_fail(&cx->error, AERIE_UNSUPPORTED,
                   "the model caps its logits, which a temperature other than 1 would have to "
                   "follow; set the temperature to 1");
        return NULL;
    }
    return ae_scale(cx, hidden, 1 / temperature);
}

ae_tensor *ae_net_log_prob_at(ae_ctx *cx, const ae_net *net, const ae_tensor *hidden,
                              const ae_predictions *p, float temperature, ae_tensor **mean)
{
    return log_prob(cx, net, tempered(cx, net, hidden, temperature), p, mean, NULL);
}

ae_tensor *ae_net_log_prob_entropy(ae_ctx *cx, const ae_net *net, const ae_tensor *hidden,
                                   const ae_predictions *p, float temperature, ae_tensor **entropy)
{
    return log_prob(cx, net, tempered(cx, net, hidden, temperature), p, NULL, entropy);
}
