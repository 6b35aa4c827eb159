/* reward.h -- scores of a prompt's replies by a net's head, without a tape. */
#ifndef AE_INFER_REWARD_H
#define AE_INFER_REWARD_H

#include "model/model.h"

/* A prompt and replies that branch from it, one after the other in `ids`, as ae_sample has them.
 * Borrowed. */
typedef struct {
    const int32_t *ids;
    int64_t n_prompt;       /* at least 1 */
    const int32_t *reply_n; /* [n_replies], tokens of each; may be 0 */
    int64_t n_replies;
} ae_replies;

/* Tokens in all. */
int64_t ae_replies_tokens(const ae_replies *r);
/* Where reply k is scored: its last token, or the prompt's when it has none. */
int64_t ae_replies_last(const ae_replies *r, int64_t k);

/* The head's score at every token: out [tokens]. The prompt is computed once for as many replies as
 * a row of `max_tokens` takes (0: 8192), again for the next ones; the numbers don't depend on it.
 * The arena is reset. Fails when the net has no head that scores. */
aerie_status ae_reward_scores(float *out, const ae_replies *r, int64_t max_tokens,
                              ae_device *device, const ae_net *net, ae_arena *arena,
                              aerie_error *err);

/* What scoring n tokens at once takes: it is run on a device that computes nothing. Also without a
 * head, which an adapter may still bring. */
aerie_status ae_reward_rehearse(ae_device *device, const ae_net *net, int64_t n, size_t *bytes,
                                aerie_error *err);

#endif
