/* lasso.h -- logistic regression that prefers few features: the penalty is |w|, and how much it
 * weighs may be chosen by cross-validation. */
#ifndef AE_STATS_LASSO_H
#define AE_STATS_LASSO_H

#include "base/base.h"

/* n rows of d features, by feature: those of feature j that are not 0 are entries begin[j] ..
 * begin[j + 1] - 1. Borrowed. */
typedef struct {
    size_t n, d;
    const size_t *begin;  /* [d + 1] */
    const uint32_t *row;  /* [begin[d]] */
    const double *x;      /* [begin[d]] */
    const double *y;      /* [n] in 0 .. 1, soft labels */
    const double *weight; /* [n]; NULL: 1 each */
} ae_lasso_rows;

/* w[d] that minimises  |w|_1 + c * sum_i weight_i loss(y_i, sigmoid(w . x_i)): sklearn's
 * LogisticRegression(penalty="l1", solver="liblinear", C=c, fit_intercept=False) on every row
 * twice, labelled 1 with weight y and 0 with 1 - y, but to the end: liblinear stops at its
 * tolerance. */
aerie_status ae_lasso_fit(double *w, const ae_lasso_rows *rows, double c, aerie_error *err);

/* The same with the c of 10^-4 .. 10^4, ten of them, that has the least log-loss on rows held out,
 * n_folds times; sklearn's LogisticRegressionCV. Rows go to folds in turn, the last one first, as
 * GroupKFold deals groups of one size. *c may be NULL. Of many features the fits on folds may stop
 * early: where no margin moves by `tolerance` any more (0: to the end, as the last fit does). */
aerie_status ae_lasso_fit_cv(double *w, double *c, const ae_lasso_rows *rows, size_t n_folds,
                             double tolerance, aerie_error *err);

#endif
