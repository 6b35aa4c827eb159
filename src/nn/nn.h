/* nn.h -- the door of nn: the parts that a decoder is made of, as compositions of ops. */
#ifndef AE_NN_H
#define AE_NN_H

#include "op/op.h"

/* A low-rank addition to a linear layer (Hu et al., 2106.09685): y += scale * (dropout(x) A^T) B^T.
 */
typedef struct {
    ae_tensor *a;  /* [R, in], F32 */
    ae_tensor *b;  /* [out, R], F32 */
    float scale;   /* alpha / R, or alpha / sqrt(R) for rsLoRA */
    float dropout; /* 0: none */
    uint64_t site; /* tells its dropout from others' */
    /* DoRA: the sum of the weight's output and this, without dropout's thinning of the former, is
     * scaled to m / norm. Only the first over a weight may have it. */
    ae_tensor *m; /* [out, 1], F32; NULL: none */
    float *norm;  /* [out]: lengths of the rows of W + scale * B A; of this A and B */
} ae_lora;

enum { AE_MAX_LORA = 4 };

/* A linear layer as it is used: the weight, and what lies over it. Borrows everything. */
typedef struct {
    const ae_tensor *w;               /* [out, in] */
    const ae_tensor *bias;            /* [1, out] or NULL */
    const ae_lora *lora[AE_MAX_LORA]; /* applied in order */
    int n_lora;
} ae_projection;

ae_tensor *ae_project(ae_ctx *cx, const ae_projection *p, const ae_tensor *x);

/* The keys and values of one sequence, all layers; or of a branch over another sequence's first
 * positions. Owned by the session; freed with it. */
typedef struct ae_kv ae_kv;

/* capacity: positions it can hold itself, prefix not counted; memory grows as it fills.
 * kv_width = K * d. `prefix` (or NULL) lends its first prefix_len positions: it must outlive this
 * and not be truncated below them; it may go on growing. */
aerie_status ae_kv_new(ae_kv **out, int64_t n_layers, int64_t kv_width, int64_t capacity,
                       const ae_kv *prefix, int64_t prefix_len, aerie_error *err);
void ae_kv_free(ae_kv *kv);
int64_t ae_kv_len(const ae_kv *kv);      /* positions held, prefix included */
int64_t ae_kv_capacity(const ae_kv *kv); /* positions that fit, prefix included */
void ae_kv_truncate(ae_kv *kv,
                    int64_t len); /* forgets positions from `len` on; not into the prefix */
size_t ae_kv_bytes(const ae_kv *kv);

/* A packed row of tokens. */
typedef struct {
    int64_t n_tokens;
    const int32_t *ids;         /* [T] */
    const int32_t *pos;         /* [T], 0-based within the sequence */
    const ae_segment *segments; /* in order, covering all rows */
    int64_t n_segments;
    ae_kv *const *caches; /* segment.cache indexes it; NULL in training */
} ae_batch;

/* Before a forward pass with caches: checks that every segment goes on where its cache ends, and
 * makes room for its new positions. After a pass that succeeded: counts them in. Until then the
 * caches hold what they held, whatever fails. Both do nothing for a batch without caches. */
aerie_status ae_batch_reserve(const ae_batch *batch, aerie_error *err);
void ae_batch_commit(const ae_batch *batch);

typedef enum { AE_SILU, AE_GELU_TANH } ae_activation;

/* One layer: x + attention(norm(x)), then + mlp(norm(.)). What a family does not have is NULL. */
typedef struct {
    const ae_tensor *attention_norm, *mlp_norm;           /* [1, D] */
    const ae_tensor *attention_post_norm, *mlp_post_norm; /* [1, D], before the sums; or NULL */
    const ae_tensor *q_norm, *k_norm;                     /* [1, d], of every head; or NULL */
    ae_projection q, k, v, o, gate, up, down;
} ae_decoder_layer;

/* What a layer needs beside its weights. */
typedef struct {
    const ae_decoder_layer *weights;
    int64_t layer;
    const ae_batch *batch;
    const ae_rope_table *rope;
    ae_attention_shape attention;
    ae_activation activation;
    float norm_eps;
} ae_decoder_layer_call;

/* An ae_block_fn: params is an ae_decoder_layer_call. x, result [T, D]. */
ae_tensor *ae_decoder_layer_forward(ae_ctx *cx, const void *params, const ae_tensor *x);

#endif
