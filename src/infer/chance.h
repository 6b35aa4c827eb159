/* chance.h -- how likely a model finds given tokens, beside which others. */
#ifndef AE_CHANCE_H
#define AE_CHANCE_H

#include "model/model.h"

/* A token and its natural log-probability under softmax(logits). */
typedef struct {
    int32_t id;
    float logprob;
} ae_chance;

/* The k largest of logits [n], sorted, of equals the lower id first; logprob is the logit as it is.
 * Returns how many there are: k, or n if that is less. */
int ae_chances_top(ae_chance *top, int k, const float *logits, int64_t n);

enum { AE_CHANCE_ROWS = 32 }; /* whose logits are held at once */

/* Of `n` rows of hidden states, from `first` on, each with the token that follows it: out [n,
 * tops], that token, then the tops - 1 most likely. The token's bits are those of
 * ae_net_log_prob(); what is beside it may differ from that by a float's last digit, but for the
 * token itself. */
aerie_status ae_chances_of(ae_chance *out, int tops, ae_ctx *cx, const ae_net *net,
                           const ae_tensor *hidden, int64_t first, const int32_t *tokens, int64_t n,
                           aerie_error *err);

#endif
