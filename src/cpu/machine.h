/* machine.h -- what the files of cpu share: the device with its pool and kernels, and the ops.
 *
 * One file an op group. Each cuts its work into tasks for the pool; a task owns what it writes, so
 * that the number of threads is never seen in the result. */
#ifndef AE_MACHINE_H
#define AE_MACHINE_H

#include "cpu/kernel/kernel.h"

typedef struct {
    ae_device device; /* first: an ae_device * of ours is an ae_cpu * */
    ae_pool *pool;
    ae_kernels k;
} ae_cpu;

static inline const ae_cpu *ae_cpu_of(const ae_device *dev)
{
    return (const ae_cpu *)dev;
}

/* Elements of one task of a loop that is bound by memory: large enough to pay for handing it out.
 */
#define AE_TASK_ELEMENTS 16384

/* Rows of D elements that make one task. */
static inline int64_t ae_rows_per_task(int64_t D)
{
    int64_t rows = AE_TASK_ELEMENTS / (D > 0 ? D : 1);
    return rows > 0 ? rows : 1;
}

static inline int64_t ae_round_up(int64_t a, int64_t to)
{
    return (a + to - 1) / to * to;
}
static inline int64_t ae_ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* product.c. Any cut of the rows or columns into calls gives the same bits. */

/* Part of a weight: rows row .. row + rows - 1, columns col .. col + cols - 1; col is a multiple of
 * AE_DEPTH, so that a part begins with a block of any type. */
typedef struct {
    int64_t row, rows, col, cols;
} ae_part;

/* Depth of the panels that products are cut into: 256 floats x 32 columns fill a first-level cache.
 */
#define AE_DEPTH 256

/* The part as floats: in place when the weight is F32, else expanded into `room` [rows, cols].
 * *ld is the distance between its rows. */
const float *ae_weight_part(const ae_cpu *cpu, float *room, int64_t *ld, const ae_tensor *w,
                            ae_part part);

/* y[T, rows] = x[T, w->cols] * transpose(rows row .. row + rows - 1 of w) + bias of those rows, by
 * one worker. room: ae_linear_room() floats. */
typedef struct {
    float *y;
    int64_t ldy;
    const float *x;
    int64_t ldx;
    const ae_tensor *w;
    int64_t row, rows;
    const float *bias; /* [w->rows] or NULL */
    int64_t T;
} ae_linear_piece;
void ae_linear_run(const ae_cpu *cpu, float *room, const ae_linear_piece *piece);
int64_t ae_linear_room(const ae_cpu *cpu, int64_t rows);

/* Rows of c that share a panel before the next panel's turn: their part of a stays in cache. */
#define AE_ROWS_PER_PASS 48

/* c += a * b, b already packed: panels of k.panel columns, each [depth, panel], one behind the
 * other. */
void ae_multiply_panels(const ae_cpu *cpu, float *c, int64_t ldc, const float *a, int64_t a_row,
                        int64_t a_col, const float *panels, ae_gemm_size size);

/* c += a * b, as the gemm kernel, with b packed into panels when that pays; by one worker.
 * room: ae_product_room() floats. */
void ae_product(const ae_cpu *cpu, float *room, float *c, int64_t ldc, const float *a,
                int64_t a_row, int64_t a_col, const float *b, int64_t ldb, ae_gemm_size size);
int64_t ae_product_room(const ae_cpu *cpu, int64_t cols);

/* A block of floats for each worker, in the arena; NULL when there is no room. */
typedef struct {
    float *start;
    int64_t each;
} ae_rooms;
bool ae_rooms_take(ae_rooms *rooms, const ae_cpu *cpu, ae_arena *arena, int64_t floats);
static inline float *ae_room_of(const ae_rooms *rooms, int worker)
{
    return rooms->start + rooms->each * worker;
}

/* pack.c, packed.c */
size_t ae_cpu_packed_bytes(const ae_device *dev, ae_dtype dtype, int64_t rows, int64_t cols);
bool ae_cpu_pack(ae_device *dev, void *out, const ae_tensor *w);
/* The panel that begins with `row`, a multiple of AE_PANEL_ROWS. */
const uint8_t *ae_cpu_packed_at(const ae_tensor *w, int64_t row);
aerie_status ae_cpu_linear_packed(ae_device *dev, ae_arena *scratch, float *y, const float *x,
                                  const ae_tensor *w, const float *bias, int64_t T);

/* limits.c */
aerie_status ae_cpu_limits(ae_device *dev, ae_arena *scratch, ae_device_limits *out);

/* linear.c */
aerie_status ae_cpu_linear(ae_device *dev, ae_arena *scratch, float *y, const float *x,
                           const ae_tensor *w, const float *bias, int64_t T);
aerie_status ae_cpu_linear_dx(ae_device *dev, ae_arena *scratch, float *dx, const float *dy,
                              const ae_tensor *w, int64_t T);
void ae_cpu_linear_dw(ae_device *dev, float *dw, const float *dy, const float *x, int64_t T,
                      int64_t N, int64_t K);

/* rows.c */
void ae_cpu_add_rows(ae_device *dev, float *sum, const float *a, int64_t T, int64_t N);
void ae_cpu_rmsnorm(ae_device *dev, float *y, float *rstd, const float *x, const float *w,
                    int64_t T, int64_t D, float eps);
void ae_cpu_rmsnorm_bwd(ae_device *dev, float *dx, float *dw, const float *dy, const float *x,
                        const float *w, const float *rstd, int64_t T, int64_t D);
void ae_cpu_rope(ae_device *dev, float *y, const float *x, const float *cos, const float *sin,
                 int64_t T, int64_t heads, int64_t d, bool interleaved, bool inverse,
                 bool accumulate);

/* pointwise.c */
void ae_cpu_swiglu(ae_device *dev, float *y, const float *gate, const float *up, int64_t n);
void ae_cpu_swiglu_bwd(ae_device *dev, float *dgate, float *dup, const float *dy, const float *gate,
                       const float *up, int64_t n);
void ae_cpu_geglu(ae_device *dev, float *y, const float *gate, const float *up, int64_t n);
void ae_cpu_geglu_bwd(ae_device *dev, float *dgate, float *dup, const float *dy, const float *gate,
                      const float *up, int64_t n);
void ae_cpu_soft_cap(ae_device *dev, float *x, float cap, int64_t n);
void ae_cpu_soft_cap_bwd(ae_device *dev, float *dx, const float *dy, const float *y, float cap,
                         int64_t n);
void ae_cpu_add(ae_device *dev, float *y, const float *a, const float *b, int64_t n);
void ae_cpu_add_to(ae_device *dev, float *y, const float *a, float alpha, int64_t n);
void ae_cpu_dropout(ae_device *dev, float *y, const float *x, const uint64_t *row_key, uint64_t key,
                    float p, int64_t T, int64_t cols, bool accumulate);

/* optimizer.c */
double ae_cpu_sum_squares(ae_device *dev, const float *x, int64_t n);
void ae_cpu_adamw(ae_device *dev, float *w, float *m, float *v, const float *grad, int64_t n,
                  const ae_adamw_step *step);
aerie_status ae_cpu_row_norms(ae_device *dev, ae_arena *scratch, float *norm, const ae_tensor *w,
                              const ae_tensor *a, const ae_tensor *b, float scale);
void ae_cpu_scale_cols(ae_device *dev, float *y, const float *x, const float *by, const float *bias,
                       int64_t T, int64_t N, bool accumulate);
void ae_cpu_dot_cols(ae_device *dev, float *sum, const float *a, const float *b, const float *by,
                     int64_t T, int64_t N);
void ae_cpu_rmsprop(ae_device *dev, float *w, float *v, const float *grad, int64_t n,
                    const ae_rmsprop_step *step);

/* embedding.c */
void ae_cpu_embedding(ae_device *dev, float *y, const ae_tensor *w, const int32_t *ids, int64_t T);
void ae_cpu_embedding_bwd(ae_device *dev, float *dw, const float *dy, const int32_t *ids, int64_t T,
                          int64_t V, int64_t D);

/* attention.c, attention_bwd.c, attention_cached.c */
aerie_status ae_cpu_attention(ae_device *dev, ae_arena *scratch, float *out, float *lse,
                              const float *q, const ae_attention_sequence *sequences,
                              int64_t n_sequences, const ae_attention_shape *shape);
aerie_status ae_cpu_attention_bwd(ae_device *dev, ae_arena *scratch, float *dq, const float *dout,
                                  const float *out, const float *lse, const float *q,
                                  const ae_attention_sequence *sequences, int64_t n_sequences,
                                  const ae_attention_shape *shape);

void ae_cpu_kv_write(ae_device *dev, const float *k, const float *v,
                     const ae_cached_sequence *sequences, int64_t n_sequences,
                     const ae_kv_shape *kv);
aerie_status ae_cpu_attention_cached(ae_device *dev, ae_arena *scratch, float *out, const float *q,
                                     const ae_cached_sequence *sequences, int64_t n_sequences,
                                     const ae_kv_shape *kv, const ae_attention_shape *shape);

/* log_prob.c */
aerie_status ae_cpu_log_prob(ae_device *dev, ae_arena *scratch, float *logp, double *lse,
                             float *mean, float *entropy, float *top, const float *x,
                             const ae_tensor *w, const ae_predictions *p);
aerie_status ae_cpu_log_prob_bwd(ae_device *dev, ae_arena *scratch, float *dx, float *dw,
                                 const float *dlogp, const float *dmean, const float *dentropy,
                                 const float *entropy, const double *lse, const float *x,
                                 const ae_tensor *w, const ae_predictions *p);

#endif
