/* timed.c -- a device that passes inference on to another and keeps account of it.
 *
 * One entry for each function and weight. A pass calls the same ones in the same order, so that the
 * entry wanted is almost always the one behind the last. What a call must move and compute at least
 * is counted by its arguments: each weight, cached key and value once, each activation once. */
#include "device/device.h"

enum { MOST_ENTRIES = 4096 };

typedef struct {
    ae_device device; /* first: an ae_device * of ours is a timed * */
    ae_device *inner;
    ae_timed_entry *entries;
    int64_t n, last;
} timed;

static timed *timed_of(ae_device *dev)
{
    return (timed *)dev;
}

static ae_timed_entry *entry_of(timed *t, const char *what, const ae_tensor *w)
{
    const void *weight = w ? w->data : NULL;
    for (int64_t i = 1; i <= t->n; i++) {
        ae_timed_entry *e = &t->entries[(t->last + i) % t->n];
        if (e->what != what || e->weight != weight) continue;
        t->last = e - t->entries;
        return e;
    }
    if (t->n == MOST_ENTRIES) return NULL;
    t->last = t->n++;
    t->entries[t->last] =
        (ae_timed_entry){ .what = what, .weight = weight, .dtype = w ? w->dtype : AE_DTYPE_NONE };
    return &t->entries[t->last];
}

/* What one call moves and computes at least. */
typedef struct {
    double bytes, byte_operations, float_operations;
} cost;

static void account(ae_device *dev, const char *what, const ae_tensor *w, double start, cost c)
{
    double seconds = ae_clock_seconds() - start;
    ae_timed_entry *e = entry_of(timed_of(dev), what, w);
    if (!e) return;
    e->calls++;
    e->seconds += seconds;
    e->bytes += c.bytes;
    e->byte_operations += c.byte_operations;
    e->float_operations += c.float_operations;
}

/* `streams` arrays of n floats are read or written, `each` operations an element. */
static cost cost_of_floats(int64_t n, int streams, int each)
{
    return (cost){ .bytes = (double)n * streams * sizeof(float),
                   .float_operations = (double)n * each };
}

static cost cost_of_linear(const timed *t, const ae_tensor *w, int64_t T)
{
    double operations = 2.0 * (double)T * (double)w->rows * (double)w->cols;
    cost c = cost_of_floats(T * (w->rows + w->cols), 1, 0);
    size_t bytes = 0;
    if (w->packed) {
        bytes = t->inner->packed_bytes(t->inner, w->dtype, w->rows, w->cols);
        c.byte_operations = operations;
    } else {
        ae_dtype_bytes(&bytes, w->dtype, w->rows, w->cols);
        c.float_operations = operations;
    }
    c.bytes += (double)bytes;
    return c;
}

/* Causal attention of the last n of `total` positions; each position that is held is read once. */
static void add_attention(cost *c, int64_t n, int64_t total, double position_bytes,
                          const ae_attention_shape *shape)
{
    int64_t window = shape->window > 0 ? shape->window : total;
    int64_t held = total < window + n - 1 ? total : window + n - 1;
    c->bytes += (double)held * position_bytes;
    for (int64_t i = 0; i < n; i++) {
        int64_t seen = total - n + i + 1;
        if (seen > window) seen = window;
        c->float_operations += 4.0 * (double)(seen * shape->n_heads * shape->head_dim);
    }
}

static aerie_status timed_linear(ae_device *dev, ae_arena *scratch, float *y, const float *x,
                                 const ae_tensor *w, const float *bias, int64_t T)
{
    timed *t = timed_of(dev);
    double start = ae_clock_seconds();
    aerie_status status = t->inner->linear(t->inner, scratch, y, x, w, bias, T);
    account(dev, "linear", w, start, cost_of_linear(t, w, T));
    return status;
}

static void timed_rmsnorm(ae_device *dev, float *y, float *rstd, const float *x, const float *w,
                          int64_t T, int64_t D, float eps)
{
    ae_device *inner = timed_of(dev)->inner;
    double start = ae_clock_seconds();
    inner->rmsnorm(inner, y, rstd, x, w, T, D, eps);
    account(dev, "rmsnorm", NULL, start, cost_of_floats(T * D, 2, 4));
}

static void timed_rope(ae_device *dev, float *y, const float *x, const float *cos, const float *sin,
                       int64_t T, int64_t heads, int64_t d, bool interleaved, bool inverse,
                       bool accumulate)
{
    ae_device *inner = timed_of(dev)->inner;
    double start = ae_clock_seconds();
    inner->rope(inner, y, x, cos, sin, T, heads, d, interleaved, inverse, accumulate);
    account(dev, "rope", NULL, start, cost_of_floats(T * heads * d, 2, 3));
}

static void timed_swiglu(ae_device *dev, float *y, const float *gate, const float *up, int64_t n)
{
    ae_device *inner = timed_of(dev)->inner;
    double start = ae_clock_seconds();
    inner->swiglu(inner, y, gate, up, n);
    account(dev, "swiglu", NULL, start, cost_of_floats(n, 3, 16));
}

static void timed_geglu(ae_device *dev, float *y, const float *gate, const float *up, int64_t n)
{
    ae_device *inner = timed_of(dev)->inner;
    double start = ae_clock_seconds();
    inner->geglu(inner, y, gate, up, n);
    account(dev, "geglu", NULL, start, cost_of_floats(n, 3, 20));
}

static void timed_soft_cap(ae_device *dev, float *x, float cap, int64_t n)
{
    ae_device *inner = timed_of(dev)->inner;
    double start = ae_clock_seconds();
    inner->soft_cap(inner, x, cap, n);
    account(dev, "soft cap", NULL, start, cost_of_floats(n, 2, 16));
}

static void timed_add(ae_device *dev, float *y, const float *a, const float *b, int64_t n)
{
    ae_device *inner = timed_of(dev)->inner;
    double start = ae_clock_seconds();
    inner->add(inner, y, a, b, n);
    account(dev, "add", NULL, start, cost_of_floats(n, 3, 1));
}

static void timed_add_to(ae_device *dev, float *y, const float *a, float alpha, int64_t n)
{
    ae_device *inner = timed_of(dev)->inner;
    double start = ae_clock_seconds();
    inner->add_to(inner, y, a, alpha, n);
    account(dev, "add", NULL, start, cost_of_floats(n, 3, 2));
}

static void timed_embedding(ae_device *dev, float *y, const ae_tensor *w, const int32_t *ids,
                            int64_t T)
{
    ae_device *inner = timed_of(dev)->inner;
    double start = ae_clock_seconds();
    inner->embedding(inner, y, w, ids, T);
    account(dev, "embedding", NULL, start, cost_of_floats(T * w->cols, 2, 0));
}

static void timed_scale_cols(ae_device *dev, float *y, const float *x, const float *by,
                             const float *bias, int64_t T, int64_t N, bool accumulate)
{
    ae_device *inner = timed_of(dev)->inner;
    double start = ae_clock_seconds();
    inner->scale_cols(inner, y, x, by, bias, T, N, accumulate);
    account(dev, "scale", NULL, start, cost_of_floats(T * N, 2, 2));
}

static aerie_status timed_attention(ae_device *dev, ae_arena *scratch, float *out, float *lse,
                                    const float *q, const ae_attention_sequence *sequences,
                                    int64_t n_sequences, const ae_attention_shape *shape)
{
    ae_device *inner = timed_of(dev)->inner;
    double bytes = 2.0 * (double)(shape->n_kv_heads * shape->head_dim) * sizeof(float);
    cost c = { 0 };
    double start = ae_clock_seconds();
    aerie_status status =
        inner->attention(inner, scratch, out, lse, q, sequences, n_sequences, shape);
    for (int64_t i = 0; i < n_sequences; i++)
        add_attention(&c, sequences[i].n, sequences[i].total, bytes, shape);
    account(dev, "attention", NULL, start, c);
    return status;
}

static double position_bytes(const ae_kv_shape *kv)
{
    size_t page = 0;
    return ae_kv_page_bytes(&page, kv, NULL) ? 0 : (double)page / AE_KV_PAGE;
}

static void timed_kv_write(ae_device *dev, const float *k, const float *v,
                           const ae_cached_sequence *sequences, int64_t n_sequences,
                           const ae_kv_shape *kv)
{
    ae_device *inner = timed_of(dev)->inner;
    double start = ae_clock_seconds(), bytes = 0;
    inner->kv_write(inner, k, v, sequences, n_sequences, kv);
    double each =
        position_bytes(kv) + 2.0 * (double)(kv->n_kv_heads * kv->head_dim) * sizeof(float);
    for (int64_t i = 0; i < n_sequences; i++) bytes += (double)sequences[i].n * each;
    account(dev, "keys and values", NULL, start, (cost){ .bytes = bytes });
}

static aerie_status timed_attention_cached(ae_device *dev, ae_arena *scratch, float *out,
                                           const float *q, const ae_cached_sequence *sequences,
                                           int64_t n_sequences, const ae_kv_shape *kv,
                                           const ae_attention_shape *shape)
{
    ae_device *inner = timed_of(dev)->inner;
    cost c = { 0 };
    double start = ae_clock_seconds();
    aerie_status status =
        inner->attention_cached(inner, scratch, out, q, sequences, n_sequences, kv, shape);
    for (int64_t i = 0; i < n_sequences; i++)
        add_attention(&c, sequences[i].n, sequences[i].total, position_bytes(kv), shape);
    account(dev, "attention", NULL, start, c);
    return status;
}

static size_t timed_packed_bytes(const ae_device *dev, ae_dtype dtype, int64_t rows, int64_t cols)
{
    const ae_device *inner = ((const timed *)dev)->inner;
    return inner->packed_bytes(inner, dtype, rows, cols);
}

static void timed_close(ae_device *dev)
{
    timed *t = timed_of(dev);
    if (!t) return;
    ae_free(t->entries);
    ae_free(t);
}

aerie_status ae_timed_open(ae_device **out, ae_device *inner, aerie_error *err)
{
    timed *t = ae_alloc(1, sizeof *t);
    *out = NULL;
    if (t) t->entries = ae_alloc(MOST_ENTRIES, sizeof *t->entries);
    if (!t || !t->entries) {
        ae_free(t);
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory to keep account of time");
    }
    t->inner = inner;
    t->device = (ae_device){ .name = inner->name,
                             .n_threads = inner->n_threads,
                             .close = timed_close,
                             .packed_bytes = timed_packed_bytes,
                             .linear = timed_linear,
                             .rmsnorm = timed_rmsnorm,
                             .rope = timed_rope,
                             .swiglu = timed_swiglu,
                             .geglu = timed_geglu,
                             .soft_cap = timed_soft_cap,
                             .add = timed_add,
                             .add_to = timed_add_to,
                             .embedding = timed_embedding,
                             .scale_cols = timed_scale_cols,
                             .attention = timed_attention,
                             .kv_write = timed_kv_write,
                             .attention_cached = timed_attention_cached };
    *out = &t->device;
    return AERIE_OK;
}

const ae_timed_entry *ae_timed_entries(const ae_device *dev, int64_t *n)
{
    const timed *t = (const timed *)dev;
    *n = t->n;
    return t->entries;
}

void ae_timed_clear(ae_device *dev)
{
    timed *t = timed_of(dev);
    t->n = t->last = 0;
}
