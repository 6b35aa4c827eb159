/* rows.c -- kernels over rows, plainly: sums in double. */
#include "cpu/kernel/ref/ref.h"

#include <math.h>

void ae_rmsnorm_ref(float *y, float *rstd, const float *x, const float *w, int64_t rows, int64_t D,
                    float eps)
{
    for (int64_t r = 0; r < rows; r++, x += D, y += D) {
        double squares = 0;
        for (int64_t i = 0; i < D; i++) squares += (double)x[i] * x[i];
        rstd[r] = (float)(1 / sqrt(squares / (double)D + eps));
        for (int64_t i = 0; i < D; i++) y[i] = x[i] * rstd[r] * w[i];
    }
}

/* y_i = x_i s w_i with s = rstd, ds / dx_j = -s^3 x_j / D, hence
 * dx_j += s (dy_j w_j - x_j s^2 mean(dy w x)). */
void ae_rmsnorm_dx_ref(float *dx, const float *dy, const float *x, const float *w,
                       const float *rstd, int64_t rows, int64_t D)
{
    for (int64_t r = 0; r < rows; r++, x += D, dx += D, dy += D) {
        double s = rstd[r], mean = 0;
        for (int64_t i = 0; i < D; i++) mean += (double)dy[i] * w[i] * x[i];
        mean /= (double)D;
        for (int64_t i = 0; i < D; i++)
            dx[i] = (float)(dx[i] + s * ((double)dy[i] * w[i] - x[i] * s * s * mean));
    }
}

void ae_rmsnorm_dw_ref(float *dw, const float *dy, const float *x, const float *rstd, int64_t rows,
                       int64_t cols, int64_t ld)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < cols; i++)
            dw[i] = (float)(dw[i] + (double)dy[r * ld + i] * (x[r * ld + i] * rstd[r]));
}

void ae_rope_ref(float *y, const float *x, const float *cos, const float *sin,
                 const ae_rope_shape *shape)
{
    int64_t half = shape->d / 2, step = shape->interleaved ? 2 : 1;
    int64_t apart = shape->interleaved ? 1 : half;

    for (int64_t h = 0; h < shape->heads; h++, x += shape->d, y += shape->d)
        for (int64_t i = 0; i < half; i++) {
            int64_t at = i * step;
            double c = cos[i], s = sin[i] * shape->sin_sign, a = x[at], b = x[at + apart];
            y[at] = (float)((shape->accumulate ? y[at] : 0) + (a * c - b * s));
            y[at + apart] = (float)((shape->accumulate ? y[at + apart] : 0) + (a * s + b * c));
        }
}

float ae_max_ref(const float *x, int64_t n)
{
    float max = x[0];

    for (int64_t i = 1; i < n; i++) max = x[i] > max ? x[i] : max;
    return max;
}

float ae_exp_sum_ref(float *y, const float *x, float shift, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++) sum += y[i] = (float)exp((double)x[i] - shift);
    return (float)sum;
}

float ae_sum_ref(const float *x, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++) sum += x[i];
    return (float)sum;
}

float ae_dot_ref(const float *a, const float *b, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++) sum += (double)a[i] * b[i];
    return (float)sum;
}

void ae_soft_cap_ref(float *x, float cap, int64_t n)
{
    for (int64_t i = 0; i < n; i++) x[i] = (float)(cap * tanh((double)x[i] / cap));
}

void ae_soft_cap_bwd_ref(float *dx, const float *dy, const float *y, float cap, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double share = y[i] / (double)cap;
        dx[i] = (float)(dx[i] + dy[i] * (1 - share * share));
    }
}

void ae_softmax_bwd_ref(float *dp, const float *p, const float *score, float delta, float cap,
                        int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double ds = p[i] * ((double)dp[i] - delta), share = cap > 0 ? score[i] / (double)cap : 0;
        dp[i] = (float)(ds * (1 - share * share));
    }
}
