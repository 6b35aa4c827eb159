/* logistic.h -- logistic regression with few features. */
#ifndef AE_STATS_LOGISTIC_H
#define AE_STATS_LOGISTIC_H

#include "base/base.h"

/* w[d] that minimises  c * sum_i weight_i loss(y_i, sigmoid(w . x_i)) + |w|^2 / 2, which is
 * sklearn's LogisticRegression(penalty="l2", C=c, fit_intercept=False).
 *   x [n, d] row-major; y [n] in 0 .. 1, soft labels; weight [n], NULL: 1 each; c > 0
 * Newton's method from 0; the minimum exists and is one, because of the penalty. */
aerie_status ae_logistic_fit(double *w, const double *x, const double *y, const double *weight,
                             size_t n, size_t d, double c, aerie_error *err);

static inline double ae_logistic_sigmoid(double t)
{
    /* Either way exp() gets what is not positive. */
    double e = __builtin_exp(t < 0 ? t : -t);

    return t < 0 ? e / (1 + e) : 1 / (1 + e);
}

#endif
