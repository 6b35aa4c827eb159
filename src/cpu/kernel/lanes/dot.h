/* dot.h -- body of the kernels: sums over one row, by index modulo 16 and then up a fixed tree. */
#ifndef AE_LANES_DOT_H
#define AE_LANES_DOT_H

static float sum_in(const float *x, int64_t n)
{
    lanes sum = set(0);
    int64_t i = 0;

    for
        WHOLE_LANES(i, n)
    sum = add(sum, load(x + i));
    if (i < n) sum = add(sum, load_n(x + i, n - i));
    return sum_of(sum);
}

static float dot(const float *a, const float *b, int64_t n)
{
    lanes sum = set(0);
    int64_t i = 0;

    for
        WHOLE_LANES(i, n)
    sum = fma_of(load(a + i), load(b + i), sum);
    if (i < n) sum = fma_of(load_n(a + i, n - i), load_n(b + i, n - i), sum);
    return sum_of(sum);
}

#endif
