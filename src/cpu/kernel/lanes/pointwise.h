/* pointwise.h -- body of the kernels: single elements, and the optimizer. */
#ifndef AE_LANES_POINTWISE_H
#define AE_LANES_POINTWISE_H

static inline lanes swiglu_of(lanes gate, lanes up)
{
    return mul(mul(gate, sigmoid_of(gate)), up);
}

static void swiglu(float *y, const float *gate, const float *up, int64_t n)
{
    int64_t i = 0;

    for
        WHOLE_LANES(i, n)
    store(y + i, swiglu_of(load(gate + i), load(up + i)));
    if (i < n) store_n(y + i, swiglu_of(load_n(gate + i, n - i), load_n(up + i, n - i)), n - i);
}

/* dy up s (1 + gate (1 - s)). */
static inline lanes dgate_of(lanes old, lanes dy, lanes gate, lanes up, lanes s)
{
    lanes slope = mul(s, fma_of(gate, sub(set(1.0f), s), set(1.0f)));
    return fma_of(mul(dy, up), slope, old);
}

static void swiglu_bwd(float *dgate, float *dup, const float *dy, const float *gate,
                       const float *up, int64_t n)
{
    int64_t i = 0;

    for
        WHOLE_LANES(i, n)
        {
            lanes g = load(gate + i), d = load(dy + i), s = sigmoid_of(g);
            if (dgate) store(dgate + i, dgate_of(load(dgate + i), d, g, load(up + i), s));
            if (dup) store(dup + i, fma_of(d, mul(g, s), load(dup + i)));
        }
    if (i == n) return;
    n -= i;
    lanes g = load_n(gate + i, n), d = load_n(dy + i, n), s = sigmoid_of(g);
    if (dgate) store_n(dgate + i, dgate_of(load_n(dgate + i, n), d, g, load_n(up + i, n), s), n);
    if (dup) store_n(dup + i, fma_of(d, mul(g, s), load_n(dup + i, n)), n);
}

static void add_arrays(float *y, const float *a, const float *b, int64_t n)
{
    int64_t i = 0;

    for
        WHOLE_LANES(i, n)
    store(y + i, add(load(a + i), load(b + i)));
    if (i < n) store_n(y + i, add(load_n(a + i, n - i), load_n(b + i, n - i)), n - i);
}

static void add_to(float *y, const float *a, float alpha, int64_t n)
{
    const lanes factor = set(alpha);
    int64_t i = 0;

    for
        WHOLE_LANES(i, n)
    store(y + i, fma_of(factor, load(a + i), load(y + i)));
    if (i < n) store_n(y + i, fma_of(factor, load_n(a + i, n - i), load_n(y + i, n - i)), n - i);
}

static void scale(float *y, const float *a, float alpha, int64_t n)
{
    const lanes factor = set(alpha);
    int64_t i = 0;

    for
        WHOLE_LANES(i, n)
    store(y + i, mul(factor, load(a + i)));
    if (i < n) store_n(y + i, mul(factor, load_n(a + i, n - i)), n - i);
}

/* Plain loops: the compiler puts the eight chains into registers by itself. */
static double sum_squares(const float *x, int64_t n)
{
    double chain[8] = { 0 }, sum = 0;
    int64_t i = 0;

    for (; i + 8 <= n; i += 8)
        for (int j = 0; j < 8; j++) chain[j] += (double)x[i + j] * x[i + j];
    for (int j = 0; i + j < n; j++) chain[j] += (double)x[i + j] * x[i + j];
    for (int j = 0; j < 8; j++) sum += chain[j];
    return sum;
}

typedef struct {
    lanes grad_scale, beta1, rest1, beta2, rest2, inverse2, epsilon, keep, step;
} adamw_lanes;

typedef struct {
    lanes w, m, v;
} adamw_state;

/* Order as in ref; the corrections are folded into constants. */
static inline adamw_state adamw_of(const adamw_lanes *c, adamw_state s, lanes grad)
{
    lanes g = mul(grad, c->grad_scale);

    s.m = fma_of(c->beta1, s.m, mul(c->rest1, g));
    s.v = fma_of(c->beta2, s.v, mul(mul(c->rest2, g), g));
    lanes down = add(root(mul(s.v, c->inverse2)), c->epsilon);
    s.w = sub(mul(s.w, c->keep), divide(mul(c->step, s.m), down));
    return s;
}

static void adamw(float *w, float *m, float *v, const float *grad, int64_t n,
                  const ae_adamw_step *step)
{
    const adamw_lanes c = {
        .grad_scale = set((float)step->grad_scale),
        .beta1 = set((float)step->beta1),
        .rest1 = set((float)(1 - step->beta1)),
        .beta2 = set((float)step->beta2),
        .rest2 = set((float)(1 - step->beta2)),
        .inverse2 = set((float)(1 / step->correction2)),
        .epsilon = set((float)step->epsilon),
        .keep = set((float)(1 - step->learning_rate * step->weight_decay)),
        .step = set((float)(step->learning_rate / step->correction1)),
    };
    int64_t i = 0;

    for
        WHOLE_LANES(i, n)
        {
            adamw_state s = { load(w + i), load(m + i), load(v + i) };
            s = adamw_of(&c, s, load(grad + i));
            store(w + i, s.w);
            store(m + i, s.m);
            store(v + i, s.v);
        }
    if (i == n) return;
    n -= i;
    adamw_state s = { load_n(w + i, n), load_n(m + i, n), load_n(v + i, n) };
    s = adamw_of(&c, s, load_n(grad + i, n));
    store_n(w + i, s.w, n);
    store_n(m + i, s.m, n);
    store_n(v + i, s.v, n);
}

#endif
