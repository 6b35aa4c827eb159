/* pointwise.c -- kernels over single elements, and the optimizer's, plainly. */
#include "cpu/kernel/ref/ref.h"

#include <math.h>

void ae_swiglu_ref(float *y, const float *gate, const float *up, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = (float)(gate[i] / (1 + exp(-(double)gate[i])) * up[i]);
}

/* With s = sigmoid(gate): d(gate s) / dgate = s (1 + gate (1 - s)). */
void ae_swiglu_bwd_ref(float *dgate, float *dup, const float *dy, const float *gate,
                       const float *up, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double g = gate[i], s = 1 / (1 + exp(-g));
        if (dgate) dgate[i] = (float)(dgate[i] + (double)dy[i] * up[i] * s * (1 + g * (1 - s)));
        if (dup) dup[i] = (float)(dup[i] + dy[i] * g * s);
    }
}

static double gelu_tanh(double x)
{
    return tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)); /* sqrt(2 / pi) */
}

void ae_geglu_ref(float *y, const float *gate, const float *up, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)(0.5 * gate[i] * (1 + gelu_tanh(gate[i])) * up[i]);
}

/* With t = tanh(u(x)): d(x (1 + t) / 2) / dx = (1 + t) / 2 + x (1 - t^2) / 2 du / dx. */
void ae_geglu_bwd_ref(float *dgate, float *dup, const float *dy, const float *gate, const float *up,
                      int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double x = gate[i], t = gelu_tanh(x);
        double inner = 0.79788456080286535588 * (1 + 3 * 0.044715 * x * x);
        double slope = 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * inner;
        if (dgate) dgate[i] = (float)(dgate[i] + (double)dy[i] * up[i] * slope);
        if (dup) dup[i] = (float)(dup[i] + dy[i] * 0.5 * x * (1 + t));
    }
}

void ae_add_ref(float *y, const float *a, const float *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = a[i] + b[i];
}

void ae_add_to_ref(float *y, const float *a, float alpha, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = (float)(y[i] + (double)alpha * a[i]);
}

void ae_scale_ref(float *y, const float *a, float alpha, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = alpha * a[i];
}

double ae_sum_squares_ref(const float *x, int64_t n)
{
    double lane[8] = { 0 }, sum = 0;

    for (int64_t i = 0; i < n; i++) lane[i % 8] += (double)x[i] * x[i];
    for (int i = 0; i < 8; i++) sum += lane[i];
    return sum;
}

/* w *= 1 - lr * decay;  m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;
 * w -= lr (m / c1) / (sqrt(v / c2) + eps). */
void ae_adamw_ref(float *w, float *m, float *v, const float *grad, int64_t n,
                  const ae_adamw_step *step)
{
    double lr = step->learning_rate, b1 = step->beta1, b2 = step->beta2;

    for (int64_t i = 0; i < n; i++) {
        double g = (double)grad[i] * step->grad_scale;
        m[i] = (float)(b1 * m[i] + (1 - b1) * g);
        v[i] = (float)(b2 * v[i] + (1 - b2) * g * g);
        double update = m[i] / step->correction1 / (sqrt(v[i] / step->correction2) + step->epsilon);
        w[i] = (float)(w[i] * (1 - lr * step->weight_decay) - lr * update);
    }
}
