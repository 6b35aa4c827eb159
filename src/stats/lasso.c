/* lasso.c -- coordinate descent: each weight in turn goes to where its own slope would be 0. */
#include "stats/lasso.h"

#include "stats/logistic.h"

#include <math.h>
#include <string.h>

enum { SWEEPS = 20000, STRENGTHS = 10 };

/* Where all weights move a margin by less, it has converged. */
static const double the_end = 1e-10;
/* A margin moves by at most this in one step: there the curvature grows by less than exp(0.5) < 2,
 * so that a Newton step always goes down, and nothing needs to be tried out. */
static const double longest = 0.5;

typedef struct {
    const ae_lasso_rows *rows;
    double c, *w;
    double *scale; /* [n]: c times a row's weight, 0 where it is held out */
    double *t, *p; /* [n]: margins and their sigmoids */
} descent;

/* The minimum of  g s + h s^2 / 2 + |w + s|  over s. */
static double soft_step(double g, double h, double w)
{
    double z = h * w - g;

    if (z > 1) return (z - 1) / h - w;
    if (z < -1) return (z + 1) / h - w;
    return -w;
}

static void move(descent *f, size_t j, double step)
{
    const ae_lasso_rows *r = f->rows;

    f->w[j] += step;
    for (size_t k = r->begin[j]; k < r->begin[j + 1]; k++) {
        size_t i = r->row[k];
        f->t[i] += step * r->x[k];
        f->p[i] = ae_logistic_sigmoid(f->t[i]);
    }
}

/* How far it moved a margin, at most. */
static double update(descent *f, size_t j)
{
    const ae_lasso_rows *r = f->rows;
    double g = 0, h = 0, most = 0, step;

    for (size_t k = r->begin[j]; k < r->begin[j + 1]; k++) {
        size_t i = r->row[k];
        double x = r->x[k], scale = f->scale[i];
        g += scale * (f->p[i] - r->y[i]) * x;
        h += scale * f->p[i] * (1 - f->p[i]) * x * x;
        if (fabs(x) > most) most = fabs(x);
    }
    if (most == 0) return 0;
    step = soft_step(g, h, f->w[j]);
    if (!(fabs(step) * most <= longest)) step = copysign(longest / most, step);
    if (step != 0) move(f, j, step);
    return fabs(step) * most;
}

/* From the weights that there are. */
static void descend(descent *f, double tolerance)
{
    const ae_lasso_rows *r = f->rows;

    for (int sweep = 0; sweep < SWEEPS; sweep++) {
        double most = 0;
        for (size_t j = 0; j < r->d; j++) {
            double moved = update(f, j);
            if (moved > most) most = moved;
        }
        if (most < fmax(tolerance, the_end)) break;
    }
}

/* All weights 0; rows of fold `held` of n_folds count for nothing (n_folds 0: all count). */
static void begin(descent *f, size_t held, size_t n_folds)
{
    const ae_lasso_rows *r = f->rows;

    memset(f->w, 0, r->d * sizeof *f->w);
    for (size_t i = 0; i < r->n; i++) {
        bool is_held = n_folds && (r->n - 1 - i) % n_folds == held;
        f->t[i] = 0;
        f->p[i] = 0.5;
        f->scale[i] = is_held ? 0 : r->weight ? r->weight[i] : 1;
    }
}

/* Scales are c times weights. */
static void strengthen(descent *f, double c)
{
    for (size_t i = 0; i < f->rows->n; i++) f->scale[i] *= c / f->c;
    f->c = c;
}

/* The mean over the rows of a fold of their weighted log-loss. */
static double loss_of_fold(const descent *f, size_t held, size_t n_folds)
{
    const ae_lasso_rows *r = f->rows;
    double sum = 0;
    size_t n = 0;

    for (size_t i = 0; i < r->n; i++) {
        if ((r->n - 1 - i) % n_folds != held) continue;
        double p = fmin(fmax(f->p[i], 1e-15), 1 - 1e-15);
        sum -= (r->weight ? r->weight[i] : 1) * (r->y[i] * log(p) + (1 - r->y[i]) * log1p(-p));
        n++;
    }
    return n ? sum / (double)n : 0;
}

static aerie_status open_descent(descent *f, double *w, const ae_lasso_rows *rows, aerie_error *err)
{
    *f = (descent){ .rows = rows, .c = 1, .w = w, .scale = ae_alloc(rows->n, 3 * sizeof(double)) };
    if (!f->scale)
        return aerie_fail(err, AERIE_NO_MEMORY, "no room for a regression over %zu rows", rows->n);
    f->t = f->scale + rows->n;
    f->p = f->t + rows->n;
    return AERIE_OK;
}

aerie_status ae_lasso_fit(double *w, const ae_lasso_rows *rows, double c, aerie_error *err)
{
    descent f;
    aerie_status status = open_descent(&f, w, rows, err);

    if (status) return status;
    begin(&f, 0, 0);
    strengthen(&f, c);
    descend(&f, 0);
    ae_free(f.scale);
    return AERIE_OK;
}

aerie_status ae_lasso_fit_cv(double *w, double *c, const ae_lasso_rows *rows, size_t n_folds,
                             double tolerance, aerie_error *err)
{
    double strengths[STRENGTHS], losses[STRENGTHS] = { 0 };
    size_t best = 0;
    descent f;
    aerie_status status = open_descent(&f, w, rows, err);

    if (status) return status;
    for (size_t s = 0; s < STRENGTHS; s++)
        strengths[s] = pow(10, -4 + 8 * (double)s / (STRENGTHS - 1));
    for (size_t held = 0; held < n_folds; held++) {
        f.c = 1;
        begin(&f, held, n_folds);
        for (size_t s = 0; s < STRENGTHS; s++) {
            strengthen(&f, strengths[s]);
            descend(&f, tolerance); /* from the weaker one's weights */
            losses[s] += loss_of_fold(&f, held, n_folds);
        }
    }
    for (size_t s = 1; s < STRENGTHS; s++)
        if (losses[s] < losses[best]) best = s;
    ae_free(f.scale);
    if (c) *c = strengths[best];
    return ae_lasso_fit(w, rows, strengths[best], err);
}
