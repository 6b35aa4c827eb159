/* device.h -- the door of device: what a machine must be able to compute, at the grain of ops.
 *
 * A device is a table of functions over raw row-major buffers. The op layer has checked shapes and
 * types; a device function does not allocate except from the scratch arena it is given, does not
 * log, and fails only for lack of that scratch.
 *
 * Numbers do not depend on the machine's shape: for every function, a row's result has the same
 * bits for any number of threads, any number of other rows in the call, and any split of the rows
 * over calls. Hence the rules that every implementation keeps:
 *   - an output is summed by one chain whose order depends on its own indices alone;
 *   - functions that add into gradients of weights add one row (token) after another, starting from
 *     what is there, so that splitting the rows over calls changes nothing.
 *
 * T rows (tokens). Sizes are int64_t: tokens x vocabulary passes 2^31 in normal use. */
#ifndef AE_DEVICE_H
#define AE_DEVICE_H

#include "tensor/tensor.h"

typedef struct ae_device ae_device;

/* A run of cached or packed positions of one sequence: rows of K * d floats, `stride` floats apart.
 */
typedef struct {
    const float *k, *v;
    float *dk, *dv; /* gradients, same layout; NULL outside a backward pass */
    int64_t n;      /* positions */
    int64_t stride;
} ae_attention_span;

/* The new tokens of one sequence. They are the last `n` of the positions that the spans hold,
 * so that query i sees the first total - n + i + 1 positions, and of those at most the last
 * `window`. The spans of a branch begin with those of its prefix. */
typedef struct {
    int64_t first, n; /* rows of q and out */
    const ae_attention_span *spans;
    int64_t n_spans;
    int64_t total; /* positions in all spans */
    int64_t group; /* sequences that share a span have the same group; groups ascend */
} ae_attention_sequence;

/* A key/value cache is made of pages: AE_KV_PAGE positions of one layer of one sequence, all heads,
 * arranged as the device likes. Element types are F32 (exact), F16 and Q8_0 (blocks of 32 of a
 * head, a half each as scale). */
enum { AE_KV_PAGE = 64 };

typedef struct {
    ae_dtype dtype;
    int64_t n_kv_heads, head_dim; /* K, d */
} ae_kv_shape;

/* Bytes of a page, on any device. AERIE_BAD_ARGUMENT for another type, or for a head that blocks of
 * 32 don't fill. */
aerie_status ae_kv_page_bytes(size_t *out, const ae_kv_shape *shape, aerie_error *err);

/* The new tokens of one sequence over its cache. They are the last `n` of `total` positions. */
typedef struct {
    int64_t first, n;   /* rows of q, k, v and out */
    void *const *pages; /* pages[i]: positions 64 i ..; NULL where no new token sees any. 64-byte
                         * aligned, zeroed when new */
    int64_t total;
} ae_cached_sequence;

typedef struct {
    int64_t n_heads, n_kv_heads,
        head_dim;   /* H, K, d; query head h reads key/value head h * K / H */
    int64_t window; /* 0: no window; else positions seen, the token itself included */
    float scale;    /* multiplies q.k, normally 1 / sqrt(d) */
    float soft_cap; /* 0: none; else scores become cap * tanh(score / cap) */
} ae_attention_shape;

/* The terms of a log-probability: row `rows[i]` of x predicts `targets[i]`. */
typedef struct {
    const int32_t *rows, *targets; /* [N] */
    int64_t n;
    float soft_cap; /* 0: none; else logits are cap * tanh(x . w / cap) */
} ae_predictions;

typedef struct {
    double learning_rate, beta1, beta2, epsilon, weight_decay; /* 1 - beta needs all its bits */
    double grad_scale;               /* multiplies every gradient first: clipping */
    double correction1, correction2; /* 1 - beta^t */
} ae_adamw_step;

typedef struct {
    double learning_rate, alpha, epsilon, weight_decay;
    double grad_scale; /* as above */
} ae_rmsprop_step;

/* What the machine can do at best, a second: all threads together, with the instructions that the
 * device uses. 0: not known. A multiply-add is two operations. */
typedef struct {
    double read_bytes;       /* from memory */
    double byte_operations;  /* integer products of 8-bit numbers */
    double float_operations; /* float32 */
} ae_device_limits;

struct ae_device {
    const char *name; /* "cpu avx512" */
    int n_threads;
    void (*close)(ae_device *dev);
    /* While a device rehearses, its functions take the scratch that they need and compute nothing:
     * how much memory a pass takes is known before there are weights to read. */
    void (*rehearse)(ae_device *dev, bool on);
    /* Keeps each of its threads, the calling one included, to a processor of its own. false: it
     * could not. */
    bool (*pin)(ae_device *dev);
    /* Measures; takes a quarter of a second and of a gigabyte. */
    aerie_status (*limits)(ae_device *dev, ae_arena *scratch, ae_device_limits *out);

    /* Inference over quantized weights. A device may keep a weight in an arrangement of its own,
     * from which a product runs at the speed of memory. packed_bytes() tells how large that is; 0:
     * there is none for this type and shape. pack() writes it to `out`, 64-byte aligned, by all
     * threads; false: a scale of w is infinite or not a number. Whoever packs puts it into
     * w->packed; w->data is not read by linear() and log_prob() from then on, but stays what it was
     * for everybody else.
     *
     * The numbers of a packed product, on every device and for any T (docs/numerics.md):
     *   x is rounded to 8 bits in blocks of 32 of a row: dx = max|x| / 127.4375, rounded up to
     *   five significant bits, q = x * (1 / dx) to the nearest whole number, ties to even; an
     * output starts from 0 and adds its blocks of weights (16 or 32 of a row) in order, each the
     * exact integer sum of products times (weight scale * dx), fused; a type with minima then adds
     *   -(minimum) * (dx * sum of q), fused; the bias comes last. */
    size_t (*packed_bytes)(const ae_device *dev, ae_dtype dtype, int64_t rows, int64_t cols);
    bool (*pack)(ae_device *dev, void *out, const ae_tensor *w);

    /* y[T, N] = x[T, K] * transpose(w[N, K]); w of any type this build reads: a block of its rows
     * is expanded into scratch, used for all T tokens, and gone; or the packed product where w has
     * its packed form. bias [N] or NULL. */
    aerie_status (*linear)(ae_device *dev, ae_arena *scratch, float *y, const float *x,
                           const ae_tensor *w, const float *bias, int64_t T);
    /* dx[T, K] += dy[T, N] * w[N, K]. */
    aerie_status (*linear_dx)(ae_device *dev, ae_arena *scratch, float *dx, const float *dy,
                              const ae_tensor *w, int64_t T);
    /* dw[N, K] += transpose(dy[T, N]) * x[T, K]. */
    void (*linear_dw)(ae_device *dev, float *dw, const float *dy, const float *x, int64_t T,
                      int64_t N, int64_t K);
    /* sum[N] += the rows of a[T, N], one after another. */
    void (*add_rows)(ae_device *dev, float *sum, const float *a, int64_t T, int64_t N);

    /* y[r] = x[r] * rstd[r] * w, rstd[r] = 1 / sqrt(mean(x[r]^2) + eps). w [D], F32; rstd [T] is
     * kept. */
    void (*rmsnorm)(ae_device *dev, float *y, float *rstd, const float *x, const float *w,
                    int64_t T, int64_t D, float eps);
    /* Adds to dx [T, D] and dw [D]; either may be NULL. */
    void (*rmsnorm_bwd)(ae_device *dev, float *dx, float *dw, const float *dy, const float *x,
                        const float *w, const float *rstd, int64_t T, int64_t D);

    /* Turns every head of x [T, heads, d] by the angles of its row. cos, sin [T, d / 2]. Pairs are
     * (i, i + d/2), or (2i, 2i + 1) when interleaved. y may be x. inverse turns back: the gradient;
     * accumulate adds to y instead (y is not x then). */
    void (*rope)(ae_device *dev, float *y, const float *x, const float *cos, const float *sin,
                 int64_t T, int64_t heads, int64_t d, bool interleaved, bool inverse,
                 bool accumulate);

    /* y = gate / (1 + exp(-gate)) * up, n elements. */
    void (*swiglu)(ae_device *dev, float *y, const float *gate, const float *up, int64_t n);
    void (*swiglu_bwd)(ae_device *dev, float *dgate, float *dup, const float *dy, const float *gate,
                       const float *up, int64_t n); /* adds; either may be NULL */
    /* y = gelu(gate) * up, gelu(x) = x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))). */
    void (*geglu)(ae_device *dev, float *y, const float *gate, const float *up, int64_t n);
    void (*geglu_bwd)(ae_device *dev, float *dgate, float *dup, const float *dy, const float *gate,
                      const float *up, int64_t n); /* adds; either may be NULL */

    /* x = cap * tanh(x / cap), n elements, cap > 0. On the way back dx += dy * (1 - (y / cap)^2), y
     * what it became. */
    void (*soft_cap)(ae_device *dev, float *x, float cap, int64_t n);
    void (*soft_cap_bwd)(ae_device *dev, float *dx, const float *dy, const float *y, float cap,
                         int64_t n);

    /* y = a + b. add_to: y += alpha * a. */
    void (*add)(ae_device *dev, float *y, const float *a, const float *b, int64_t n);
    void (*add_to)(ae_device *dev, float *y, const float *a, float alpha, int64_t n);

    /* y[i] = row ids[i] of w [V, D], any type. The backward pass adds dy's rows into dw in order.
     */
    void (*embedding)(ae_device *dev, float *y, const ae_tensor *w, const int32_t *ids, int64_t T);
    void (*embedding_bwd)(ae_device *dev, float *dw, const float *dy, const int32_t *ids, int64_t T,
                          int64_t V, int64_t D);

    /* Causal attention. out, q [T, H, d]; lse [T, H] is the log-sum-exp of each row's scores, kept
     * for the way back (NULL: not wanted). Never holds T x S scores. */
    aerie_status (*attention)(ae_device *dev, ae_arena *scratch, float *out, float *lse,
                              const float *q, const ae_attention_sequence *sequences,
                              int64_t n_sequences, const ae_attention_shape *shape);
    /* Adds to dq [T, H, d] and to the spans' dk and dv. */
    aerie_status (*attention_bwd)(ae_device *dev, ae_arena *scratch, float *dq, const float *dout,
                                  const float *out, const float *lse, const float *q,
                                  const ae_attention_sequence *sequences, int64_t n_sequences,
                                  const ae_attention_shape *shape);

    /* Puts the sequences' new keys and values, k, v [T, K, d], into their pages, rounded to the
     * cache's type. */
    void (*kv_write)(ae_device *dev, const float *k, const float *v,
                     const ae_cached_sequence *sequences, int64_t n_sequences,
                     const ae_kv_shape *kv);
    /* attention() over what the pages hold, the new positions included. The bits depend on what a
     * query sees alone; over F32 pages they are those of attention(). */
    aerie_status (*attention_cached)(ae_device *dev, ae_arena *scratch, float *out, const float *q,
                                     const ae_cached_sequence *sequences, int64_t n_sequences,
                                     const ae_kv_shape *kv, const ae_attention_shape *shape);

    /* Natural log-probabilities of given targets under softmax(x * transpose(w)), computed over
     * chunks of the vocabulary: the [N, V] logits never exist at full length.
     *   logp [N]; lse [N] kept for the way back, in double: of a log-sum-exp of 1000 a float loses
     *   3e-5, and every probability would be wrong by as much; mean [N] or NULL: the mean over the
     *   vocabulary of every token's log-probability (label smoothing); entropy [N] or NULL: of the
     *   distribution, in nats; top [N] or NULL: the likeliest token's, equal to logp where the
     *   target is that. x [T, D], w [V, D]. */
    aerie_status (*log_prob)(ae_device *dev, ae_arena *scratch, float *logp, double *lse,
                             float *mean, float *entropy, float *top, const float *x,
                             const ae_tensor *w, const ae_predictions *p);
    /* Adds to dx [T, D] and dw [V, D] (either may be NULL), given d/dlogp [N] and, or NULL,
     * d/dmean, and d/dentropy with the entropy that came out. */
    aerie_status (*log_prob_bwd)(ae_device *dev, ae_arena *scratch, float *dx, float *dw,
                                 const float *dlogp, const float *dmean, const float *dentropy,
                                 const float *entropy, const double *lse, const float *x,
                                 const ae_tensor *w, const ae_predictions *p);

    /* y = x where a hash of (key, row_key[row], column) falls below 1 - p, scaled by 1 / (1 - p),
     * else 0: the same mask on the way back and for any packing. y may be x. */
    void (*dropout)(ae_device *dev, float *y, const float *x, const uint64_t *row_key, uint64_t key,
                    float p, int64_t T, int64_t cols, bool accumulate);

    /* norm[N]: the lengths of the rows of w + scale * b * a.  w [N, K] of any type, a [R, K], b [N,
     * R], F32. */
    aerie_status (*row_norms)(ae_device *dev, ae_arena *scratch, float *norm, const ae_tensor *w,
                              const ae_tensor *a, const ae_tensor *b, float scale);
    /* y = x * by + bias (NULL: none) by column, or added to y.  x, y [T, N], by, bias [N]. */
    void (*scale_cols)(ae_device *dev, float *y, const float *x, const float *by, const float *bias,
                       int64_t T, int64_t N, bool accumulate);
    /* sum[N] += a * b * by by column, the rows one after another.  a, b [T, N]. */
    void (*dot_cols)(ae_device *dev, float *sum, const float *a, const float *b, const float *by,
                     int64_t T, int64_t N);

    /* The sum of squares, in double, over fixed chunks added in order. */
    double (*sum_squares)(ae_device *dev, const float *x, int64_t n);
    /* One AdamW update in one pass (Loshchilov and Hutter; PyTorch's order: decay first). */
    void (*adamw)(ae_device *dev, float *w, float *m, float *v, const float *grad, int64_t n,
                  const ae_adamw_step *step);
    /* One RMSprop update as PyTorch's (not centred, no momentum): decay is part of the gradient. */
    void (*rmsprop)(ae_device *dev, float *w, float *v, const float *grad, int64_t n,
                    const ae_rmsprop_step *step);
};

/* Which kernels the CPU device may use: the best of what the machine has and the mask allows. */
typedef enum {
    AE_CPU_AUTO,
    AE_CPU_REF,
    AE_CPU_AVX2,
    AE_CPU_AVX_VNNI, /* AVX2 with AVX-VNNI's dot products of bytes */
    AE_CPU_AVX512,   /* with VNNI where the machine has it */
    AE_CPU_NEON      /* with dot products where the machine has them */
} ae_cpu_choice;

/* Opens the CPU device. threads 0: one per processor. AERIE_UNSUPPORTED when the machine lacks what
 * `cpu` names. On AERIE_OK *out is the caller's, to be closed with (*out)->close(*out). */
aerie_status ae_device_open(ae_device **out, ae_cpu_choice cpu, int threads, aerie_error *err);
/* "auto", "ref", "avx2", "avxvnni", "avx512", "neon". */
aerie_status ae_cpu_choice_parse(ae_cpu_choice *out, const char *word, aerie_error *err);

/* A device that passes what inference calls on to `inner` and keeps account of it; its other
 * functions are NULL. *out is the caller's; `inner` must outlive it and is not closed with it. */
aerie_status ae_timed_open(ae_device **out, ae_device *inner, aerie_error *err);

/* All calls of one function over one weight. Bytes and operations are the least that they take. */
typedef struct {
    const char *what;   /* "linear", "attention" */
    const void *weight; /* the weight's `data`, of linear alone; else NULL */
    ae_dtype dtype;     /* of the weight */
    int64_t calls;
    double seconds, bytes, byte_operations, float_operations;
} ae_timed_entry;
/* Of a device from ae_timed_open(); borrowed until the next call of one of its functions. */
const ae_timed_entry *ae_timed_entries(const ae_device *dev, int64_t *n);
void ae_timed_clear(ae_device *dev); /* forgets all entries */

#endif
