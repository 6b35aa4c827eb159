/* logistic.c -- Newton's method with halved steps. */
#include "stats/logistic.h"

#include <math.h>

enum { STEPS = 200, HALVINGS = 40 };

typedef struct {
    const double *x, *y, *weight;
    size_t n, d;
    double c;
} fit;

/* log(1 + exp(t)) */
static double softplus(double t)
{
    return t > 0 ? t + log1p(exp(-t)) : log1p(exp(t));
}

static double row_times(const fit *f, size_t i, const double *w)
{
    double sum = 0;

    for (size_t j = 0; j < f->d; j++) sum += f->x[i * f->d + j] * w[j];
    return sum;
}

static double objective(const fit *f, const double *w)
{
    double sum = 0, square = 0;

    for (size_t i = 0; i < f->n; i++) {
        double t = row_times(f, i, w);
        sum += (f->weight ? f->weight[i] : 1) * (softplus(t) - f->y[i] * t);
    }
    for (size_t j = 0; j < f->d; j++) square += w[j] * w[j];
    return f->c * sum + square / 2;
}

/* gradient [d], hessian [d, d]; of the latter the lower triangle. */
static void derive(const fit *f, const double *w, double *gradient, double *hessian)
{
    size_t d = f->d;

    for (size_t j = 0; j < d; j++) {
        gradient[j] = w[j];
        for (size_t k = 0; k <= j; k++) hessian[j * d + k] = j == k;
    }
    for (size_t i = 0; i < f->n; i++) {
        const double *x = f->x + i * d;
        double p = ae_logistic_sigmoid(row_times(f, i, w));
        double scale = f->c * (f->weight ? f->weight[i] : 1), curve = scale * p * (1 - p);
        for (size_t j = 0; j < d; j++) {
            if (x[j] == 0) continue; /* most of a battle's players */
            gradient[j] += scale * (p - f->y[i]) * x[j];
            for (size_t k = 0; k <= j; k++) hessian[j * d + k] += curve * x[j] * x[k];
        }
    }
}

/* Solves h step = g by Cholesky's factors, written over h and g. */
static void solve(double *h, double *g, size_t d)
{
    for (size_t j = 0; j < d; j++) {
        for (size_t k = 0; k < j; k++) {
            double sum = h[j * d + k];
            for (size_t i = 0; i < k; i++) sum -= h[j * d + i] * h[k * d + i];
            h[j * d + k] = sum / h[k * d + k];
        }
        double sum = h[j * d + j];
        for (size_t i = 0; i < j; i++) sum -= h[j * d + i] * h[j * d + i];
        /* At least the penalty's 1, but for rounding. */
        h[j * d + j] = sqrt(sum > 1 ? sum : 1);
    }
    for (size_t j = 0; j < d; j++) {
        for (size_t k = 0; k < j; k++) g[j] -= h[j * d + k] * g[k];
        g[j] /= h[j * d + j];
    }
    for (size_t j = d; j-- > 0;) {
        for (size_t k = j + 1; k < d; k++) g[j] -= h[k * d + j] * g[k];
        g[j] /= h[j * d + j];
    }
}

/* w - step, or with half the step until it is no worse; false: nothing is better than w. */
static bool move(const fit *f, double *w, const double *step, double *next, double *at)
{
    double scale = 1;

    for (int i = 0; i < HALVINGS; i++, scale /= 2) {
        for (size_t j = 0; j < f->d; j++) next[j] = w[j] - scale * step[j];
        double there = objective(f, next);
        if (!(there <= *at)) continue;
        bool moved = false;
        for (size_t j = 0; j < f->d; j++) {
            moved |= fabs(next[j] - w[j]) > 1e-13 * (1 + fabs(w[j]));
            w[j] = next[j];
        }
        *at = there;
        return moved;
    }
    return false;
}

aerie_status ae_logistic_fit(double *w, const double *x, const double *y, const double *weight,
                             size_t n, size_t d, double c, aerie_error *err)
{
    fit f = { .x = x, .y = y, .weight = weight, .n = n, .d = d, .c = c };
    double *room = d < 100000 ? ae_alloc(d * d + 2 * d, sizeof *room) : NULL;
    double *gradient = room, *next = room + d, *hessian = room + 2 * d, at;

    if (!room)
        return aerie_fail(err, AERIE_NO_MEMORY, "no room for a regression of %zu features", d);
    for (size_t j = 0; j < d; j++) w[j] = 0;
    at = objective(&f, w);
    for (int step = 0; step < STEPS; step++) {
        derive(&f, w, gradient, hessian);
        solve(hessian, gradient, d);
        if (!move(&f, w, gradient, next, &at)) break;
    }
    ae_free(room);
    return AERIE_OK;
}
