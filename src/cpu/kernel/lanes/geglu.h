/* geglu.h -- body of the kernels: Gemma's gate.
 *
 * (1 + tanh(u)) / 2 = 1 / (1 + exp(-2 u)) = s, so that gelu(x) = x s(2 u(x)) with
 * 2 u = x (a + b x^2), and its slope is s (1 + x (1 - s) (a + 3 b x^2)). */
#ifndef AE_LANES_GEGLU_H
#define AE_LANES_GEGLU_H

#define GELU_A  1.5957691216f  /* 2 sqrt(2 / pi) */
#define GELU_B  0.07135481627f /* 0.044715 a */
#define GELU_3B 0.21406444882f

static inline lanes gelu_gate(lanes x)
{
    return sigmoid_of(mul(x, fma_of(mul(x, x), set(GELU_B), set(GELU_A))));
}

static inline lanes geglu_of(lanes gate, lanes up)
{
    return mul(mul(gate, gelu_gate(gate)), up);
}

static void geglu(float *y, const float *gate, const float *up, int64_t n)
{
    int64_t i = 0;

    for
        WHOLE_LANES(i, n)
    store(y + i, geglu_of(load(gate + i), load(up + i)));
    if (i < n) store_n(y + i, geglu_of(load_n(gate + i, n - i), load_n(up + i, n - i)), n - i);
}

static inline lanes gelu_slope(lanes x, lanes s)
{
    lanes inner = fma_of(mul(x, x), set(GELU_3B), set(GELU_A));
    return mul(s, fma_of(mul(x, sub(set(1.0f), s)), inner, set(1.0f)));
}

static void geglu_bwd(float *dgate, float *dup, const float *dy, const float *gate, const float *up,
                      int64_t n)
{
    int64_t i = 0;

    for
        WHOLE_LANES(i, n)
        {
            lanes g = load(gate + i), d = load(dy + i), s = gelu_gate(g);
            if (dgate)
                store(dgate + i, fma_of(mul(d, load(up + i)), gelu_slope(g, s), load(dgate + i)));
            if (dup) store(dup + i, fma_of(d, mul(g, s), load(dup + i)));
        }
    if (i == n) return;
    n -= i;
    lanes g = load_n(gate + i, n), d = load_n(dy + i, n), s = gelu_gate(g);
    if (dgate)
        store_n(dgate + i,
                fma_of(mul(d, load_n(up + i, n)), gelu_slope(g, s), load_n(dgate + i, n)), n);
    if (dup) store_n(dup + i, fma_of(d, mul(g, s), load_n(dup + i, n)), n);
}

#endif
