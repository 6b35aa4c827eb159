/* params.h -- the parameter table: every weight of a model, written once. Private to model. */
#ifndef AE_PARAMS_H
#define AE_PARAMS_H

#include "model/model.h"

/* A layer's weights. A tensor that a model lacks (a bias) has no data. */
typedef struct {
    ae_tensor attention_norm, q, q_bias, q_norm, k, k_bias, k_norm, v, v_bias, o, o_bias;
    ae_tensor attention_post_norm, mlp_norm, mlp_post_norm, gate, up, down;
} ae_layer_weights;

typedef struct {
    ae_tensor embedding, norm, head; /* a tied head is the embedding, with a gradient of its own */
    ae_tensor score;
    ae_layer_weights *layers;
} ae_weights;

typedef enum {
    AE_PARAM_ALWAYS,
    AE_PARAM_QKV_BIAS,
    AE_PARAM_O_BIAS,
    AE_PARAM_QK_NORM,
    AE_PARAM_POST_NORMS,    /* where a layer's outputs are normed before the sums ... */
    AE_PARAM_NO_POST_NORMS, /* ... and where not: one name means another norm there */
    AE_PARAM_UNTIED,
    AE_PARAM_SCORE
} ae_param_when;

/* How a random weight starts. */
typedef enum { AE_START_NORMAL, AE_START_RESIDUAL, AE_START_ONE, AE_START_ZERO } ae_param_start;

/* Dimension letters: 'D' model, 'H' heads x width, 'K' key/value heads x width, 'F' MLP, 'V'
 * vocabulary, 'd' one head's width, '1' one. */
typedef struct {
    const char *hf, *gguf; /* of a layer: what follows "model.layers.N." and "blk.N." */
    size_t offset;         /* in ae_weights, or in ae_layer_weights */
    char rows, cols;
    ae_param_when when;
    ae_param_start start;
    int projection; /* AE_PROJ_..., or -1 */
    char permuted;  /* 'H' or 'K': rows of heads, whose order differs between the layouts; or 0 */
} ae_param;

enum { AE_PARAM_NAME = 96 };

/* One parameter of one model. */
typedef struct {
    const ae_param *param;
    int64_t layer; /* -1: of the whole model */
    int64_t rows, cols;
    ae_tensor *tensor;
} ae_param_site;

/* A norm's weight: files of some families hold it minus one. */
bool ae_param_is_norm(const ae_param *p);
/* A norm or a bias: one number a channel, which weight decay leaves alone. The head that scores is
 * a matrix of one row. */
bool ae_param_is_vector(const ae_param *p);

/* How many parameters a model of this configuration has. */
int64_t ae_param_sites(const ae_config *c);
/* The i-th of them, in Hugging Face's order: embedding, layers, norm, heads. */
ae_param_site ae_param_site_at(const ae_config *c, const ae_weights *w, int64_t i);
void ae_param_hf_name(const ae_param_site *site, char out[AE_PARAM_NAME]);
void ae_param_gguf_name(const ae_param_site *site, char out[AE_PARAM_NAME]);
/* The same parameter of other weights of such a model. */
ae_tensor *ae_param_tensor(const ae_param_site *site, const ae_weights *w);
/* That of the head that scores, whether the model has one or not. */
ae_param_site ae_param_of_score(const ae_config *c, const ae_weights *w);
/* The parameter of a projection: its shape and names. */
ae_param_site ae_param_of_projection(const ae_config *c, const ae_weights *w, int64_t layer,
                                     int projection);

/* Points a layer's projections at its weights. */
void ae_layer_wire(ae_decoder_layer *out, const ae_layer_weights *w);
/* The projection of a layer by its number. */
ae_projection *ae_layer_projection(ae_decoder_layer *layer, int projection);

/* Which row of q or k in the layout at hand becomes row `row` of the other layout. Rows (2i, 2i +
 * 1) of an interleaved head are rows (i, i + d/2) of a split one. */
int64_t ae_rope_row(int64_t row, int64_t head_dim, bool to_interleaved);

#endif
