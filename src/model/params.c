/* params.c -- the parameter table and the walks over it. */
#include "model/params.h"

#include <stdio.h>

#define AT(field)    offsetof(ae_weights, field)
#define LAYER(field) offsetof(ae_layer_weights, field)

/* clang-format off */
static const ae_param embedding =
    { "model.embed_tokens.weight", "token_embd.weight", AT(embedding),
      'V', 'D', AE_PARAM_ALWAYS, AE_START_NORMAL, -1, 0 };
static const ae_param norm =
    { "model.norm.weight", "output_norm.weight", AT(norm),
      '1', 'D', AE_PARAM_ALWAYS, AE_START_ONE, -1, 0 };
static const ae_param head =
    { "lm_head.weight", "output.weight", AT(head),
      'V', 'D', AE_PARAM_UNTIED, AE_START_NORMAL, -1, 0 };
static const ae_param score =
    { "score.weight", "cls.output.weight", AT(score),
      '1', 'D', AE_PARAM_SCORE, AE_START_NORMAL, -1, 0 };

static const ae_param layer_params[] = {
    { "input_layernorm.weight", "attn_norm.weight", LAYER(attention_norm),
      '1', 'D', AE_PARAM_ALWAYS, AE_START_ONE, -1, 0 },
    { "self_attn.q_proj.weight", "attn_q.weight", LAYER(q),
      'H', 'D', AE_PARAM_ALWAYS, AE_START_NORMAL, AE_PROJ_Q, 'H' },
    { "self_attn.q_proj.bias", "attn_q.bias", LAYER(q_bias),
      '1', 'H', AE_PARAM_QKV_BIAS, AE_START_ZERO, -1, 'H' },
    { "self_attn.q_norm.weight", "attn_q_norm.weight", LAYER(q_norm),
      '1', 'd', AE_PARAM_QK_NORM, AE_START_ONE, -1, 0 },
    { "self_attn.k_proj.weight", "attn_k.weight", LAYER(k),
      'K', 'D', AE_PARAM_ALWAYS, AE_START_NORMAL, AE_PROJ_K, 'K' },
    { "self_attn.k_proj.bias", "attn_k.bias", LAYER(k_bias),
      '1', 'K', AE_PARAM_QKV_BIAS, AE_START_ZERO, -1, 'K' },
    { "self_attn.k_norm.weight", "attn_k_norm.weight", LAYER(k_norm),
      '1', 'd', AE_PARAM_QK_NORM, AE_START_ONE, -1, 0 },
    { "self_attn.v_proj.weight", "attn_v.weight", LAYER(v),
      'K', 'D', AE_PARAM_ALWAYS, AE_START_NORMAL, AE_PROJ_V, 0 },
    { "self_attn.v_proj.bias", "attn_v.bias", LAYER(v_bias),
      '1', 'K', AE_PARAM_QKV_BIAS, AE_START_ZERO, -1, 0 },
    { "self_attn.o_proj.weight", "attn_output.weight", LAYER(o),
      'D', 'H', AE_PARAM_ALWAYS, AE_START_RESIDUAL, AE_PROJ_O, 0 },
    { "self_attn.o_proj.bias", "attn_output.bias", LAYER(o_bias),
      '1', 'D', AE_PARAM_O_BIAS, AE_START_ZERO, -1, 0 },
    { "post_attention_layernorm.weight", "post_attention_norm.weight", LAYER(attention_post_norm),
      '1', 'D', AE_PARAM_POST_NORMS, AE_START_ONE, -1, 0 },
    { "pre_feedforward_layernorm.weight", "ffn_norm.weight", LAYER(mlp_norm),
      '1', 'D', AE_PARAM_POST_NORMS, AE_START_ONE, -1, 0 },
    { "post_attention_layernorm.weight", "ffn_norm.weight", LAYER(mlp_norm),
      '1', 'D', AE_PARAM_NO_POST_NORMS, AE_START_ONE, -1, 0 },
    { "mlp.gate_proj.weight", "ffn_gate.weight", LAYER(gate),
      'F', 'D', AE_PARAM_ALWAYS, AE_START_NORMAL, AE_PROJ_GATE, 0 },
    { "mlp.up_proj.weight", "ffn_up.weight", LAYER(up),
      'F', 'D', AE_PARAM_ALWAYS, AE_START_NORMAL, AE_PROJ_UP, 0 },
    { "mlp.down_proj.weight", "ffn_down.weight", LAYER(down),
      'D', 'F', AE_PARAM_ALWAYS, AE_START_RESIDUAL, AE_PROJ_DOWN, 0 },
    { "post_feedforward_layernorm.weight", "post_ffw_norm.weight", LAYER(mlp_post_norm),
      '1', 'D', AE_PARAM_POST_NORMS, AE_START_ONE, -1, 0 },
};
/* clang-format on */

static const char *const projection_names[AE_N_PROJ] = {
    "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj",
};

const char *ae_proj_name(int id)
{
    return id >= 0 && id < AE_N_PROJ ? projection_names[id] : NULL;
}

static int64_t dimension(const ae_config *c, char letter)
{
    switch (letter) {
    case 'D':
        return c->hidden_size;
    case 'H':
        return c->n_heads * c->head_dim;
    case 'K':
        return c->n_kv_heads * c->head_dim;
    case 'F':
        return c->intermediate_size;
    case 'V':
        return c->vocab_size;
    case 'd':
        return c->head_dim;
    default:
        return 1;
    }
}

static bool present(const ae_config *c, const ae_param *p)
{
    switch (p->when) {
    case AE_PARAM_QKV_BIAS:
        return c->qkv_bias;
    case AE_PARAM_O_BIAS:
        return c->o_bias;
    case AE_PARAM_QK_NORM:
        return c->qk_norm;
    case AE_PARAM_POST_NORMS:
        return c->post_norms;
    case AE_PARAM_NO_POST_NORMS:
        return !c->post_norms;
    case AE_PARAM_UNTIED:
        return !c->tied_head && !c->no_language_head;
    case AE_PARAM_SCORE:
        return c->score_head;
    case AE_PARAM_ALWAYS:
        break;
    }
    return true;
}

bool ae_param_is_norm(const ae_param *p)
{
    return p->start == AE_START_ONE;
}

bool ae_param_is_vector(const ae_param *p)
{
    return p->start == AE_START_ONE || p->start == AE_START_ZERO;
}

static int64_t params_per_layer(const ae_config *c)
{
    int64_t n = 0;

    for (size_t i = 0; i < AE_COUNT(layer_params); i++) n += present(c, &layer_params[i]);
    return n;
}

int64_t ae_param_sites(const ae_config *c)
{
    return 1 + c->n_layers * params_per_layer(c) + 1 + present(c, &head) + present(c, &score);
}

static ae_param_site site_of(const ae_config *c, const ae_weights *w, const ae_param *p,
                             int64_t layer)
{
    ae_param_site site = { p, layer, dimension(c, p->rows), dimension(c, p->cols), NULL };

    site.tensor = ae_param_tensor(&site, w);
    return site;
}

ae_tensor *ae_param_tensor(const ae_param_site *site, const ae_weights *w)
{
    char *base = site->layer < 0 ? (char *)w : (char *)&w->layers[site->layer];

    return (ae_tensor *)(base + site->param->offset);
}

/* What comes after the layers, in turn. */
static const ae_param *last_param(const ae_config *c, int64_t i)
{
    if (i == 0) return &norm;
    return i == 1 && present(c, &head) ? &head : &score;
}

ae_param_site ae_param_site_at(const ae_config *c, const ae_weights *w, int64_t i)
{
    int64_t per_layer = params_per_layer(c), in_layers = c->n_layers * per_layer;

    if (i == 0) return site_of(c, w, &embedding, -1);
    if (i > in_layers) return site_of(c, w, last_param(c, i - in_layers - 1), -1);
    int64_t layer = (i - 1) / per_layer, skip = (i - 1) % per_layer;
    const ae_param *p = layer_params;
    while (!present(c, p) || skip-- > 0) p++;
    return site_of(c, w, p, layer);
}

ae_param_site ae_param_of_score(const ae_config *c, const ae_weights *w)
{
    return site_of(c, w, &score, -1);
}

ae_param_site ae_param_of_projection(const ae_config *c, const ae_weights *w, int64_t layer,
                                     int projection)
{
    const ae_param *p = layer_params;

    while (p->projection != projection) p++;
    return site_of(c, w, p, layer);
}

void ae_param_hf_name(const ae_param_site *site, char out[AE_PARAM_NAME])
{
    if (site->layer < 0)
        snprintf(out, AE_PARAM_NAME, "%s", site->param->hf);
    else
        snprintf(out, AE_PARAM_NAME, "model.layers.%lld.%s", (long long)site->layer,
                 site->param->hf);
}

void ae_param_gguf_name(const ae_param_site *site, char out[AE_PARAM_NAME])
{
    if (site->layer < 0)
        snprintf(out, AE_PARAM_NAME, "%s", site->param->gguf);
    else
        snprintf(out, AE_PARAM_NAME, "blk.%lld.%s", (long long)site->layer, site->param->gguf);
}

static const ae_tensor *if_there(const ae_tensor *t)
{
    return t->data ? t : NULL;
}

static ae_projection projection_of(const ae_tensor *w, const ae_tensor *bias)
{
    return (ae_projection){ .w = w, .bias = bias ? if_there(bias) : NULL };
}

void ae_layer_wire(ae_decoder_layer *out, const ae_layer_weights *w)
{
    *out = (ae_decoder_layer){
        .attention_norm = &w->attention_norm,
        .mlp_norm = &w->mlp_norm,
        .attention_post_norm = if_there(&w->attention_post_norm),
        .mlp_post_norm = if_there(&w->mlp_post_norm),
        .q_norm = if_there(&w->q_norm),
        .k_norm = if_there(&w->k_norm),
        .q = projection_of(&w->q, &w->q_bias),
        .k = projection_of(&w->k, &w->k_bias),
        .v = projection_of(&w->v, &w->v_bias),
        .o = projection_of(&w->o, &w->o_bias),
        .gate = projection_of(&w->gate, NULL),
        .up = projection_of(&w->up, NULL),
        .down = projection_of(&w->down, NULL),
    };
}

ae_projection *ae_layer_projection(ae_decoder_layer *layer, int projection)
{
    switch (projection) {
    case AE_PROJ_Q:
        return &layer->q;
    case AE_PROJ_K:
        return &layer->k;
    case AE_PROJ_V:
        return &layer->v;
    case AE_PROJ_O:
        return &layer->o;
    case AE_PROJ_GATE:
        return &layer->gate;
    case AE_PROJ_UP:
        return &layer->up;
    default:
        return &layer->down;
    }
}

int64_t ae_rope_row(int64_t row, int64_t head_dim, bool to_interleaved)
{
    int64_t first = row / head_dim * head_dim, i = row % head_dim, half = head_dim / 2;

    if (to_interleaved) return first + i / 2 + i % 2 * half;
    return first + (i < half ? 2 * i : 2 * (i - half) + 1);
}
