/* length_glm.c -- the two regressions of AlpacaEval's length control. */
#include "stats/length_glm.h"

#include "stats/lasso.h"
#include "stats/logistic.h"
#include "stats/mean.h"

#include <math.h>

enum { FOLDS = 5, FEATURES = 3 };

/* regularize_to_baseline_lambda, shared by two gamed baselines. */
static const double gamed_weight = 0.2 / 2;
/* Of the joint fit's folds: C comes out the same, in a tenth of the time (58 models' annotations of
 * AlpacaEval 2 and 53 of version 1). */
static const double folds_tolerance = 1e-3;

static aerie_status no_memory(size_t n, aerie_error *err)
{
    return aerie_fail(err, AERIE_NO_MEMORY, "no room for %zu verdicts", n);
}

/* ---- one model ---- */

/* Arrays of the regression: [FEATURES][n] of x, [n] of the others. */
typedef struct {
    double *x, *y, *weight;
    uint32_t *row;
    size_t n, n_filled;
} table;

static size_t n_verdicts(const double *y, size_t n)
{
    size_t some = 0;

    for (size_t i = 0; i < n; i++) some += !isnan(y[i]);
    return some;
}

static void add_row(table *t, double length, double difficulty, double constant, double y,
                    double weight)
{
    const double x[FEATURES] = { tanh(length), difficulty, constant };
    size_t at = t->n_filled++;

    for (size_t j = 0; j < FEATURES; j++) {
        t->x[j * t->n + at] = x[j];
        t->row[j * t->n + at] = (uint32_t)at;
    }
    t->y[at] = y;
    t->weight[at] = weight;
}

/* deviation: of length_a - length_b over all items, with a verdict or without. */
static void fill(table *t, const ae_length_verdicts *v, double deviation)
{
    const ae_length_gamed *g = &v->gamed;

    for (size_t i = 0; i < g->n; i++)
        if (!isnan(g->y[i])) add_row(t, g->length[i], g->difficulty[i], 0, g->y[i], gamed_weight);
    for (size_t i = 0; i < v->n; i++) {
        double length = v->length_a[i] - v->length_b[i];
        if (isnan(v->y[i])) continue;
        add_row(t, deviation > 0 ? length / deviation : 0, v->difficulty[i], 1, v->y[i], 1);
    }
}

static aerie_status deviation_of(double *out, const ae_length_verdicts *v, aerie_error *err)
{
    double *difference = ae_alloc(v->n, sizeof *difference);

    if (!difference) return no_memory(v->n, err);
    for (size_t i = 0; i < v->n; i++) difference[i] = v->length_a[i] - v->length_b[i];
    *out = ae_mean_deviation(difference, v->n);
    ae_free(difference);
    return AERIE_OK;
}

static aerie_status predict(ae_length_glm *out, const ae_length_verdicts *v, aerie_error *err)
{
    double *p = ae_alloc(v->n, sizeof *p);

    if (!p) return no_memory(v->n, err);
    for (size_t i = 0; i < v->n; i++)
        p[i] = ae_logistic_sigmoid(out->weights[1] * v->difficulty[i] + out->weights[2]);
    out->controlled = ae_mean(p, v->n);
    out->controlled_stderr = ae_mean_stderr(p, v->n);
    ae_free(p);
    return AERIE_OK;
}

aerie_status ae_length_glm_fit(ae_length_glm *out, const ae_length_verdicts *v, aerie_error *err)
{
    size_t n = n_verdicts(v->y, v->n) + n_verdicts(v->gamed.y, v->gamed.n);
    table t = { .x = ae_alloc(n, FEATURES * sizeof *t.x),
                .y = ae_alloc(n, sizeof *t.y),
                .weight = ae_alloc(n, sizeof *t.weight),
                .row = ae_alloc(n, FEATURES * sizeof *t.row),
                .n = n };
    const size_t begin[FEATURES + 1] = { 0, n, 2 * n, 3 * n };
    const ae_lasso_rows rows = { n, FEATURES, begin, t.row, t.x, t.y, t.weight };
    double deviation = 0;
    aerie_status status = AERIE_OK;

    *out = (ae_length_glm){ 0 };
    if (!t.x || !t.y || !t.weight || !t.row || n > UINT32_MAX)
        status = no_memory(n, err);
    else if (n_verdicts(v->y, v->n) < 2)
        status = aerie_fail(err, AERIE_BAD_ARGUMENT, "length control needs two verdicts");
    if (!status) status = deviation_of(&deviation, v, err);
    if (!status) {
        fill(&t, v, deviation);
        status = ae_lasso_fit_cv(out->weights, &out->strength, &rows, FOLDS, 0, err);
    }
    if (!status) status = predict(out, v, err);
    ae_free(t.x);
    ae_free(t.y);
    ae_free(t.weight);
    ae_free(t.row);
    return status;
}

/* ---- several models, for the instructions' difficulties ---- */

/* Features: models' lengths, models' constants, instructions' constants but the first. */
typedef struct {
    size_t n_models, d, *begin;
    uint32_t *row;
    double *x, *y, *w;
} joint;

/* Entry k of a battle: its feature and value; false: it has no such entry. */
static bool entry_of(const joint *t, const ae_length_battle *b, int k, size_t *feature, double *x)
{
    *x = k == 0 ? tanh(b->length) : 1;
    *feature = k == 0   ? b->model
               : k == 1 ? t->n_models + b->model
                        : 2 * t->n_models + b->instruction - 1;
    return k < 2 || b->instruction > 0;
}

/* By feature: counted, then laid down. */
static void lay(joint *t, const ae_length_battle *battles, size_t n)
{
    size_t feature;
    double x;

    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < FEATURES; k++)
            if (entry_of(t, &battles[i], k, &feature, &x)) t->begin[feature + 1]++;
    for (size_t j = 0; j < t->d; j++) t->begin[j + 1] += t->begin[j];
    for (size_t i = 0; i < n; i++) {
        t->y[i] = battles[i].y;
        for (int k = 0; k < FEATURES; k++) {
            if (!entry_of(t, &battles[i], k, &feature, &x)) continue;
            size_t at = t->begin[feature]++;
            t->row[at] = (uint32_t)i;
            t->x[at] = x;
        }
    }
    /* Each begins now where the next one did. */
    for (size_t j = t->d; j > 0; j--) t->begin[j] = t->begin[j - 1];
    t->begin[0] = 0;
}

aerie_status ae_length_difficulty(double *out, const ae_length_battle *battles, size_t n,
                                  size_t n_models, size_t n_instructions, aerie_error *err)
{
    size_t d = 2 * n_models + n_instructions - 1;
    joint t = { .n_models = n_models,
                .d = d,
                .begin = ae_alloc(d + 1, sizeof *t.begin),
                .row = ae_alloc(n, FEATURES * sizeof *t.row),
                .x = ae_alloc(n, FEATURES * sizeof *t.x),
                .y = ae_alloc(n, sizeof *t.y),
                .w = ae_alloc(d, sizeof *t.w) };
    aerie_status status = AERIE_OK;

    if (!t.begin || !t.row || !t.x || !t.y || !t.w || n > UINT32_MAX) {
        status = no_memory(n, err);
    } else {
        lay(&t, battles, n);
        const ae_lasso_rows rows = { n, d, t.begin, t.row, t.x, t.y, NULL };
        status = ae_lasso_fit_cv(t.w, NULL, &rows, FOLDS, folds_tolerance, err);
    }
    if (!status) {
        out[0] = 0;
        for (size_t i = 1; i < n_instructions; i++) out[i] = t.w[2 * n_models + i - 1];
    }
    ae_free(t.begin);
    ae_free(t.row);
    ae_free(t.x);
    ae_free(t.y);
    ae_free(t.w);
    return status;
}
