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

/* What both predicted of a token that came. */
typedef struct {
    double kl;
    double logprob, reference; /* log p(the token), the model's and the reference's */
    bool same_top;             /* the same token is the likeliest */
} ae_diverged_token;

/* One more token: the logits [V] with which the reference and the other model predicted it. Past
 * the capacity it is told and not counted. With P, Q the softmax of the two, the divergence is
 *   KL(P || Q) = sum over the vocabulary of P * (log P - log Q), in double. */
ae_diverged_token ae_divergence_add(ae_divergence *d, const float *reference, const float *logits,
                                    int64_t vocab_size, int32_t token);

/* Told of the i-th of the windows that were asked about: its tokens, borrowed. False: enough. */
typedef bool ae_diverged_fn(void *user, int64_t i, const ae_diverged_token *tokens, int64_t n);

/* The value below which this share of the tokens' divergences lies, between two by a straight line.
 * Puts them in order. */
double ae_divergence_quantile(ae_divergence *d, double share);

/* log(sum(exp(logits))), in double. */
double ae_log_sum_exp(const float *logits, int64_t n);

#endif
