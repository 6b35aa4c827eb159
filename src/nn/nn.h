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

/* The keys and values of one sequence, all layers. Memory grows by pages of AE_KV_PAGE positions;
 * in a layer with a sliding window, pages are given back that lie more than a page behind what the
 * next position sees. One thread at a time may use a cache, but caches that share pages are
 * independent of each other. */
typedef struct ae_kv ae_kv;

typedef struct {
    ae_kv_shape shape; /* dtype F32: bit for bit what is computed without a cache; F16; Q8_0 */
    int64_t n_layers;
    const int64_t *windows; /* [n_layers] positions seen by one, itself included; 0: all.
                             * NULL: no layer has one. Copied */
    int64_t capacity;       /* positions it may hold */
    bool rehearsal;         /* it counts positions, but has one page for all of them and nothing
                             * goes: for a device that rehearses */
} ae_kv_options;

/* `prefix` (or NULL) shares its first prefix_len positions, at most the capacity. It may then be
 * changed or freed like any other. */
aerie_status ae_kv_new(ae_kv **out, const ae_kv_options *options, const ae_kv *prefix,
                       int64_t prefix_len, aerie_error *err);
void ae_kv_free(ae_kv *kv);         /* NULL is fine */
int64_t ae_kv_len(const ae_kv *kv); /* positions held */
int64_t ae_kv_capacity(const ae_kv *kv);
/* How many of the first `len` positions it could go on from, or share: min(len, positions held), or
 * 0 when some that the next one would see fell out of a window. */
int64_t ae_kv_keepable(const ae_kv *kv, int64_t len);
/* Forgets all but the first ae_kv_keepable(len) positions, and returns how many those are: whoever
 * gets 0 for more computes all of it again. */
int64_t ae_kv_truncate(ae_kv *kv, int64_t len);
/* How many of the first positions lie in pages that both hold, and take no memory twice. */
int64_t ae_kv_shared(const ae_kv *a, const ae_kv *b);
/* Memory held; a page that several caches share counts for each. */
size_t ae_kv_bytes(const ae_kv *kv);
/* The most that ae_kv_bytes() will be of a cache that grows to so many positions, at most `batch`
 * in one pass. options->capacity does not matter. */
aerie_status ae_kv_predict(size_t *out, const ae_kv_options *options, int64_t positions,
                           int64_t batch, aerie_error *err);

/* A layer's weights; see below. */
typedef struct ae_decoder_layer ae_decoder_layer;

/* Rows of a batch that go through layers of their own: the same weights under other adapters. */
typedef struct {
    int64_t first, n;
    const ae_decoder_layer *layers; /* [L] */
} ae_row_group;

/* A packed row of tokens. */
typedef struct {
    int64_t n_tokens;
    const int32_t *ids;         /* [T] */
    const int32_t *pos;         /* [T], 0-based within the sequence */
    const ae_segment *segments; /* in order, covering all rows */
    int64_t n_segments;
    ae_kv *const
        *caches; /* segment.cache indexes it; NULL in training. They may be of several types */
} ae_batch;

/* Before a forward pass with caches: checks that every segment goes on where its cache ends, and
 * makes room for its new positions. After a pass that succeeded: counts them in. Until then the
 * caches hold what they held, whatever fails. Both do nothing for a batch without caches. */
aerie_status ae_batch_reserve(const ae_batch *batch, aerie_error *err);
void ae_batch_commit(const ae_batch *batch);

typedef enum { AE_SILU, AE_GELU_TANH } ae_activation;

/* One layer: x + attention(norm(x)), then + mlp(norm(.)). What a family does not have is NULL. */
struct ae_decoder_layer {
    const ae_tensor *attention_norm, *mlp_norm;           /* [1, D] */
    const ae_tensor *attention_post_norm, *mlp_post_norm; /* [1, D], before the sums; or NULL */
    const ae_tensor *q_norm, *k_norm;                     /* [1, d], of every head; or NULL */
    ae_projection q, k, v, o, gate, up, down;
};

/* What a layer needs beside its weights. */
typedef struct {
    const ae_decoder_layer *weights;
    int64_t layer;
    const ae_batch *batch;
    const ae_rope_table *rope;
    ae_attention_shape attention;
    ae_activation activation;
    float norm_eps;
    /* In order, covering all rows; none: every row goes through `weights`. Without a tape. A row's
     * bits are those it would have alone. */
    const ae_row_group *groups;
    int64_t n_groups;
} ae_decoder_layer_call;

/* One of the layer's projections of x, `which` being its offset in ae_decoder_layer: every row by
 * the layer of its group. */
ae_tensor *ae_project_rows(ae_ctx *cx, const ae_decoder_layer_call *call, size_t which,
                           const ae_tensor *x);

/* An ae_block_fn: params is an ae_decoder_layer_call. x, result [T, D]. */
ae_tensor *ae_decoder_layer_forward(ae_ctx *cx, const void *params, const ae_tensor *x);

#endif
