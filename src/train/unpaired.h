/* unpaired.h -- private: what objectives over single replies, wanted or not, share. They lie in a
 * row as pairs do: the prompt, the reply, and where there is one a reply to another prompt. */
#ifndef AE_TRAIN_UNPAIRED_H
#define AE_TRAIN_UNPAIRED_H

#include "train/pairs.h"

/* One reply of a step. */
typedef struct {
    double log_ratio; /* log p(reply) - log p_ref(reply) */
    bool undesirable;
} ae_unpaired_reply;

/* KTO's estimate of the KL divergence, of the log-ratios of n mismatched replies: max(0, mean). */
double ae_kto_level(const double *log_ratios, int64_t n);
/* The term of one reply, `level` being that estimate. Only loss, d_chosen and the reward that it
 * counts as are set. */
void ae_kto_term_of(ae_dpo_term *out, const ae_recipe *recipe, const ae_unpaired_reply *reply,
                    double level);
/* The same for BCO, `level` being the mean reward so far. */
void ae_bco_term_of(ae_dpo_term *out, const ae_recipe *recipe, const ae_unpaired_reply *reply,
                    double level);

/* ae_objective's loss() and reference(). */
void ae_unpaired_loss(const ae_loss_call *call, ae_loss_sums *sums);
void ae_unpaired_reference(const ae_loss_call *call, double *out);
bool ae_unpaired_is_coupled(const ae_recipe *recipe);
ae_unpaired_reply ae_unpaired_of(const ae_couple_call *call, int64_t k);

#define AE_OF_UNPAIRED                                                                             \
    .of_pairs = true, .n_reference = 2, .count = ae_pairs_count, .tokens = ae_pairs_tokens,        \
    .predictions = ae_pairs_predictions, .share = ae_pairs_share, .lay = ae_pairs_lay,             \
    .loss = ae_unpaired_loss, .reference = ae_unpaired_reference,                                  \
    .is_coupled = ae_unpaired_is_coupled

#endif
