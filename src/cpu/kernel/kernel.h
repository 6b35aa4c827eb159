/* kernel.h -- the inner loops of the CPU device: one function type a kernel, one table of them.
 *
 * A kernel is plain: it does not allocate, log, start threads or fail; whoever calls it has
 * checked. ref/ fills every slot and is the definition of correct; the folders of instruction sets
 * overwrite the slots that they improve. Matrices are row-major, `ld` is the distance between rows
 * in floats.
 *
 * Every result has one order of summation, told below, that does not depend on how a caller cuts
 * its work into calls. */
#ifndef AE_KERNEL_H
#define AE_KERNEL_H

#include "cpu/kernel/cache.h"
#include "cpu/kernel/packed.h"

/* c[i][j] += sum over r of a(i, r) * b[r][j], where a(i, r) = a[i * a_row + r * a_col].
 * One chain per output: starts from c and adds r = 0, 1, ... with one fused multiply-add each.
 * The only matrix product there is: x * transpose(w) comes here with a panel of w transposed. */
typedef struct {
    int64_t rows, cols, depth; /* i, j, r */
} ae_gemm_size;
typedef void ae_gemm_fn(float *c, int64_t ldc, const float *a, int64_t a_row, int64_t a_col,
                        const float *b, int64_t ldb, ae_gemm_size size);

/* y[r] += sum over k of x[k] * w[r][k]: the same chains, for one row of x, without packing w. */
typedef void ae_dots_fn(float *y, const float *w, int64_t ldw, const float *x, int64_t rows,
                        int64_t depth);

/* out[c][r] = a[r][c]. */
typedef void ae_transpose_fn(float *out, int64_t ldo, const float *a, int64_t lda, int64_t rows,
                             int64_t cols);

/* n elements of a stored type, n a multiple of its block, as float32: bit for bit what ggml's
 * dequantize_row_* gives. */
typedef void ae_expand_fn(float *out, const void *blocks, int64_t n);

/* Rows of D: see ae_device. dx is one row after another; dw adds row 0, 1, ... column by column. */
typedef void ae_rmsnorm_fn(float *y, float *rstd, const float *x, const float *w, int64_t rows,
                           int64_t D, float eps);
typedef void ae_rmsnorm_dx_fn(float *dx, const float *dy, const float *x, const float *w,
                              const float *rstd, int64_t rows, int64_t D);
/* Columns 0 .. cols-1 of matrices whose rows are ld apart. */
typedef void ae_rmsnorm_dw_fn(float *dw, const float *dy, const float *x, const float *rstd,
                              int64_t rows, int64_t cols, int64_t ld);

/* Turns `heads` heads of one row; cos, sin [d / 2]; sin_sign -1 turns back. */
typedef struct {
    int64_t heads, d;
    float sin_sign;
    bool interleaved, accumulate;
} ae_rope_shape;
typedef void ae_rope_fn(float *y, const float *x, const float *cos, const float *sin,
                        const ae_rope_shape *shape);

typedef void ae_swiglu_fn(float *y, const float *gate, const float *up, int64_t n);
typedef void ae_swiglu_bwd_fn(float *dgate, float *dup, const float *dy, const float *gate,
                              const float *up, int64_t n);
typedef void ae_geglu_fn(float *y, const float *gate, const float *up, int64_t n);
typedef void ae_geglu_bwd_fn(float *dgate, float *dup, const float *dy, const float *gate,
                             const float *up, int64_t n);
typedef void ae_add_fn(float *y, const float *a, const float *b, int64_t n);
typedef void ae_add_to_fn(float *y, const float *a, float alpha, int64_t n); /* fused */
typedef void ae_scale_fn(float *y, const float *a, float alpha, int64_t n);  /* y = alpha * a */

/* The pieces of a softmax over one row. Sums go by index modulo 16, then up one fixed tree. */
typedef float ae_max_fn(const float *x, int64_t n); /* n > 0 */
typedef float ae_exp_sum_fn(float *y, const float *x, float shift,
                            int64_t n); /* y = exp(x - shift) */
typedef float ae_sum_fn(const float *x, int64_t n);
typedef float ae_dot_fn(const float *a, const float *b, int64_t n);
typedef void ae_soft_cap_fn(float *x, float cap, int64_t n); /* x = cap * tanh(x / cap) */
typedef void ae_soft_cap_bwd_fn(float *dx, const float *dy, const float *y, float cap, int64_t n);

/* On the way back of an attention row: ds = p * (dp - delta), and with a cap, times
 * 1 - (score / cap)^2, where score is the capped one. */
typedef void ae_softmax_bwd_fn(float *dp, const float *p, const float *score, float delta,
                               float cap, int64_t n);

/* The sum of squares of n floats in double: by index modulo 8, then in order. */
typedef double ae_sum_squares_fn(const float *x, int64_t n);
typedef void ae_adamw_fn(float *w, float *m, float *v, const float *grad, int64_t n,
                         const ae_adamw_step *step);

typedef struct {
    const char *name;
    int64_t panel; /* columns of b that a register tile of gemm covers: pack b this wide */
    ae_gemm_fn *gemm;
    ae_dots_fn *dots;
    ae_transpose_fn *transpose;
    ae_expand_fn *expand[AE_NF4 + 1]; /* by dtype; NULL for F32 and for unknown types */
    ae_packed_quantize_fn *packed_quantize;
    ae_packed_fn *packed[AE_NF4 + 1]; /* by dtype; NULL: no packed form */
    ae_rmsnorm_fn *rmsnorm;
    ae_rmsnorm_dx_fn *rmsnorm_dx;
    ae_rmsnorm_dw_fn *rmsnorm_dw;
    ae_rope_fn *rope;
    ae_swiglu_fn *swiglu;
    ae_swiglu_bwd_fn *swiglu_bwd;
    ae_geglu_fn *geglu;
    ae_geglu_bwd_fn *geglu_bwd;
    ae_add_fn *add;
    ae_add_to_fn *add_to;
    ae_scale_fn *scale;
    ae_max_fn *max;
    ae_exp_sum_fn *exp_sum;
    ae_sum_fn *sum;
    ae_dot_fn *dot;
    ae_soft_cap_fn *soft_cap;
    ae_soft_cap_bwd_fn *soft_cap_bwd;
    ae_softmax_bwd_fn *softmax_bwd;
    ae_kv_store_fn *kv_store;
    ae_kv_scores_fn *kv_scores;
    ae_kv_values_fn *kv_values;
    ae_kv_key_panels_fn *kv_key_panels;
    ae_kv_value_panels_fn *kv_value_panels;
    ae_sum_squares_fn *sum_squares;
    ae_adamw_fn *adamw;
} ae_kernels;

void ae_kernels_ref(ae_kernels *k);
void ae_kernels_avx2(ae_kernels *k);
void ae_kernels_avx512(ae_kernels *k);
void ae_kernels_neon(ae_kernels *k);
/* The packed products alone: */
void ae_kernels_avxvnni(ae_kernels *k);
void ae_kernels_avx512vnni(ae_kernels *k);
void ae_kernels_neondot(ae_kernels *k);

/* Fills the table with the best of what `choice` allows and this processor and its system can run;
 * false when they cannot run what `choice` names. */
bool ae_kernels_detect(ae_kernels *k, ae_cpu_choice choice);

#endif
