/* divergence.h -- how far one model's predictions lie from another's, over the tokens of a text. */
#ifndef AE_DIVERGENCE_H
#define AE_DIVERGENCE_H

#include "base/base.h"

/* Sums over the tokens seen so far. A zeroed one is empty and closed. */
typedef struct {
    double *kl; /* [capacity]: of each token */
    int64_t n, capacity;
    double nll, reference_nll; /* sums of -log p(the token that came) */
    double cosine;
    double logit_max,
        logit_sum; /* of |difference|: the largest, and the sum of the tokens' means */
    int64_t same_top;
} ae_divergence;

/* Makes room for `capacity` tokens; false when there is none. */
bool ae_divergence_open(ae_divergence *d, int64_t capacity);
void ae_divergence_close(ae_divergence *d);

/* One more token: the logits [V] with which the reference and the other model predicted it. Returns
 * log p(token) of the other model. With P, Q the softmax of the two, the divergence is
 *   KL(P || Q) = sum over the vocabulary of P * (log P - log Q), in double. */
double ae_divergence_add(ae_divergence *d, const float *reference, const float *logits,
                         int64_t vocab_size, int32_t token);

/* The value below which this share of the tokens' divergences lies, between two by a straight line.
 * Puts them in order. */
double ae_divergence_quantile(ae_divergence *d, double share);

/* log(sum(exp(logits))), in double. */
double ae_log_sum_exp(const float *logits, int64_t n);

#endif
