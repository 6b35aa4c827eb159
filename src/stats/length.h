/* length.h -- win rates with the pull of longer replies taken out. */
#ifndef AE_STATS_LENGTH_H
#define AE_STATS_LENGTH_H

#include "base/base.h"

typedef struct {
    double win_rate; /* of b: mean of y */
    double win_rate_stderr;
    double controlled;    /* sigmoid(constant): what it would be at equal length */
    double controlled_z;  /* constant / its standard error: how far from an even chance */
    double length_weight; /* negative: the longer reply tends to win */
    double constant;
    double deviation; /* of length_a - length_b */
} ae_length_result;

/* The two-parameter form of AlpacaEval's length control: y[i] is 1 where b wins over a, 0.5 for a
 * tie, and P(b wins) = sigmoid(w tanh((length_a - length_b) / sd) + constant), sd with n - 1 below
 * the line, fitted with C = 100. n >= 2; where all lengths differ by the same the length term is
 * 0. */
aerie_status ae_length_control(ae_length_result *out, const double *y, const double *length_a,
                               const double *length_b, size_t n, aerie_error *err);

#endif
