/* rows.h -- body of the kernels: norms and rotations of rows. */
#ifndef AE_LANES_ROWS_H
#define AE_LANES_ROWS_H

static void rmsnorm(float *y, float *rstd, const float *x, const float *w, int64_t rows, int64_t D,
                    float eps)
{
    for (int64_t r = 0; r < rows; r++, x += D, y += D) {
        float scale = 1 / sqrtf(dot(x, x, D) / (float)D + eps);
        const lanes by = set(scale);
        int64_t i = 0;

        rstd[r] = scale;
        for
            WHOLE_LANES(i, D)
        store(y + i, mul(mul(load(x + i), by), load(w + i)));
        if (i < D) store_n(y + i, mul(mul(load_n(x + i, D - i), by), load_n(w + i, D - i)), D - i);
    }
}

/* Sum of dy w x. */
static float triple_dot(const float *dy, const float *w, const float *x, int64_t n)
{
    lanes sum = set(0);
    int64_t i = 0;

    for
        WHOLE_LANES(i, n)
    sum = fma_of(mul(load(dy + i), load(w + i)), load(x + i), sum);
    if (i < n)
        sum = fma_of(mul(load_n(dy + i, n - i), load_n(w + i, n - i)), load_n(x + i, n - i), sum);
    return sum_of(sum);
}

/* dx + s (dy w - x pull), pull = s^2 mean(dy w x). */
static inline lanes rmsnorm_dx_of(lanes dx, lanes dy, lanes w, lanes x, lanes s, lanes pull)
{
    return fma_of(s, sub(mul(dy, w), mul(x, pull)), dx);
}

static void rmsnorm_dx(float *dx, const float *dy, const float *x, const float *w,
                       const float *rstd, int64_t rows, int64_t D)
{
    for (int64_t r = 0; r < rows; r++, x += D, dx += D, dy += D) {
        float mean = triple_dot(dy, w, x, D) / (float)D;
        const lanes s = set(rstd[r]), pull = set(rstd[r] * rstd[r] * mean);
        int64_t i = 0;

        for
            WHOLE_LANES(i, D)
        store(dx + i, rmsnorm_dx_of(load(dx + i), load(dy + i), load(w + i), load(x + i), s, pull));
        if (i == D) continue;
        int64_t n = D - i;
        store_n(dx + i,
                rmsnorm_dx_of(load_n(dx + i, n), load_n(dy + i, n), load_n(w + i, n),
                              load_n(x + i, n), s, pull),
                n);
    }
}

static void rmsnorm_dw(float *dw, const float *dy, const float *x, const float *rstd, int64_t rows,
                       int64_t cols, int64_t ld)
{
    int64_t i = 0;

    for
        WHOLE_LANES(i, cols)
        {
            lanes sum = load(dw + i);
            for (int64_t r = 0; r < rows; r++)
                sum = fma_of(load(dy + r * ld + i), mul(load(x + r * ld + i), set(rstd[r])), sum);
            store(dw + i, sum);
        }
    if (i == cols) return;
    int64_t n = cols - i;
    lanes sum = load_n(dw + i, n);
    for (int64_t r = 0; r < rows; r++)
        sum = fma_of(load_n(dy + r * ld + i, n), mul(load_n(x + r * ld + i, n), set(rstd[r])), sum);
    store_n(dw + i, sum, n);
}

static void rope_pairs(float *y, const float *x, const float *cos, const float *sin,
                       const ae_rope_shape *shape)
{
    for (int64_t i = 0; i < shape->d / 2; i++) {
        float a = x[2 * i], b = x[2 * i + 1], c = cos[i], s = sin[i] * shape->sin_sign;
        float first = a * c - b * s, second = a * s + b * c;
        y[2 * i] = shape->accumulate ? y[2 * i] + first : first;
        y[2 * i + 1] = shape->accumulate ? y[2 * i + 1] + second : second;
    }
}

typedef struct {
    lanes first, second;
} turned_pair;

static inline turned_pair turn(lanes a, lanes b, lanes c, lanes s)
{
    return (turned_pair){ sub(mul(a, c), mul(b, s)), add(mul(a, s), mul(b, c)) };
}

static void rope_halves(float *y, const float *x, const float *cos, const float *sin,
                        const ae_rope_shape *shape)
{
    int64_t half = shape->d / 2, i = 0;
    const lanes sign = set(shape->sin_sign);

    for
        WHOLE_LANES(i, half)
        {
            turned_pair t =
                turn(load(x + i), load(x + half + i), load(cos + i), mul(load(sin + i), sign));
            store(y + i, shape->accumulate ? add(load(y + i), t.first) : t.first);
            store(y + half + i, shape->accumulate ? add(load(y + half + i), t.second) : t.second);
        }
    if (i == half) return;
    int64_t n = half - i;
    turned_pair t = turn(load_n(x + i, n), load_n(x + half + i, n), load_n(cos + i, n),
                         mul(load_n(sin + i, n), sign));
    store_n(y + i, shape->accumulate ? add(load_n(y + i, n), t.first) : t.first, n);
    store_n(y + half + i, shape->accumulate ? add(load_n(y + half + i, n), t.second) : t.second, n);
}

static void rope(float *y, const float *x, const float *cos, const float *sin,
                 const ae_rope_shape *shape)
{
    for (int64_t h = 0; h < shape->heads; h++, x += shape->d, y += shape->d)
        if (shape->interleaved)
            rope_pairs(y, x, cos, sin, shape);
        else
            rope_halves(y, x, cos, sin, shape);
}

#endif
