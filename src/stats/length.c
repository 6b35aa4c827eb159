/* length.c -- AlpacaEval's length control (Dubois et al. 2404.04475) without its instructions'
 * difficulties, which are known of its own instructions only. */
#include "stats/length.h"

#include "stats/logistic.h"
#include "stats/mean.h"

#include <math.h>

enum { PENALTY = 100 }; /* sklearn's C */

/* The constant over its standard error, from the inverse of the curvature at w. */
static double constant_z(const double *x, const double *w, size_t n)
{
    double h[3] = { 1, 0, 1 }; /* [0][0], [0][1], [1][1] */

    for (size_t i = 0; i < n; i++) {
        double p = ae_logistic_sigmoid(x[2 * i] * w[0] + w[1]), curve = PENALTY * p * (1 - p);
        h[0] += curve * x[2 * i] * x[2 * i];
        h[1] += curve * x[2 * i];
        h[2] += curve;
    }
    double determinant = h[0] * h[2] - h[1] * h[1];
    return w[1] / sqrt(PENALTY * h[0] / determinant);
}

aerie_status ae_length_control(ae_length_result *out, const double *y, const double *length_a,
                               const double *length_b, size_t n, aerie_error *err)
{
    double w[2], *x, *difference;
    aerie_status status;

    *out = (ae_length_result){ 0 };
    if (n < 2) return aerie_fail(err, AERIE_BAD_ARGUMENT, "length control needs two verdicts");
    x = ae_alloc(n, 3 * sizeof *x);
    if (!x) return aerie_fail(err, AERIE_NO_MEMORY, "no room for %zu verdicts", n);
    difference = x + 2 * n;
    for (size_t i = 0; i < n; i++) difference[i] = length_a[i] - length_b[i];
    out->deviation = ae_mean_deviation(difference, n);
    for (size_t i = 0; i < n; i++) {
        x[2 * i] = out->deviation > 0 ? tanh(difference[i] / out->deviation) : 0;
        x[2 * i + 1] = 1;
    }
    status = ae_logistic_fit(w, x, y, NULL, n, 2, PENALTY, err);
    if (!status) {
        out->win_rate = ae_mean(y, n);
        out->win_rate_stderr = ae_mean_stderr(y, n);
        out->length_weight = w[0];
        out->constant = w[1];
        out->controlled = ae_logistic_sigmoid(w[1]);
        out->controlled_z = constant_z(x, w, n);
    }
    ae_free(x);
    return status;
}
