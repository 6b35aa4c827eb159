/* softmax.h -- body of the kernels: the pieces of a softmax over one row, and of its way back. */
#ifndef AE_LANES_SOFTMAX_H
#define AE_LANES_SOFTMAX_H

static float max_in(const float *x, int64_t n)
{
    lanes most = set(x[0]);
    float each[16], max;
    int64_t i = 0;

    for
        WHOLE_LANES(i, n)
    most = max_of(most, load(x + i));
    store(each, most);
    max = each[0];
    for (int j = 1; j < 16; j++) max = each[j] > max ? each[j] : max;
    for (; i < n; i++) max = x[i] > max ? x[i] : max;
    return max;
}

static float exp_sum(float *y, const float *x, float shift, int64_t n)
{
    const lanes by = set(shift);
    lanes sum = set(0);
    int64_t i = 0;

    for
        WHOLE_LANES(i, n)
        {
            lanes e = exp_of(sub(load(x + i), by));
            store(y + i, e);
            sum = add(sum, e);
        }
    if (i < n) {
        store_n(y + i, exp_of(sub(load_n(x + i, n - i), by)), n - i);
        sum = add(sum, load_n(y + i, n - i));
    }
    return sum_of(sum);
}

static void soft_cap(float *x, float cap, int64_t n)
{
    const lanes most = set(cap);
    int64_t i = 0;

    for
        WHOLE_LANES(i, n)
    store(x + i, mul(most, tanh_of(divide(load(x + i), most))));
    if (i < n) store_n(x + i, mul(most, tanh_of(divide(load_n(x + i, n - i), most))), n - i);
}

static inline lanes softmax_bwd_of(lanes dp, lanes p, lanes delta)
{
    return mul(p, sub(dp, delta));
}

/* Times 1 - (score / cap)^2. */
static inline lanes uncap_of(lanes ds, lanes score, lanes cap)
{
    lanes share = divide(score, cap);
    return mul(ds, sub(set(1.0f), mul(share, share)));
}

static void soft_cap_bwd(float *dx, const float *dy, const float *y, float cap, int64_t n)
{
    const lanes most = set(cap);
    int64_t i = 0;

    for
        WHOLE_LANES(i, n)
    store(dx + i, add(load(dx + i), uncap_of(load(dy + i), load(y + i), most)));
    if (i == n) return;
    n -= i;
    lanes back = uncap_of(load_n(dy + i, n), load_n(y + i, n), most);
    store_n(dx + i, add(load_n(dx + i, n), back), n);
}

static void softmax_bwd(float *dp, const float *p, const float *score, float delta, float cap,
                        int64_t n)
{
    const lanes by = set(delta), most = set(cap);
    int64_t i = 0;

    for
        WHOLE_LANES(i, n)
        {
            lanes ds = softmax_bwd_of(load(dp + i), load(p + i), by);
            store(dp + i, cap > 0 ? uncap_of(ds, load(score + i), most) : ds);
        }
    if (i == n) return;
    n -= i;
    lanes ds = softmax_bwd_of(load_n(dp + i, n), load_n(p + i, n), by);
    store_n(dp + i, cap > 0 ? uncap_of(ds, load_n(score + i, n), most) : ds, n);
}

#endif
