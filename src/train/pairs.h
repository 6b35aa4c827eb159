/* pairs.h -- private: what objectives over pairs of answers share: how a pair lies in a row, and
 * losses of it that are mixed. */
#ifndef AE_TRAIN_PAIRS_H
#define AE_TRAIN_PAIRS_H

#include "train/objective.h"

/* The loss of one pair; ae_dpo_term_of() is one. */
typedef void ae_pair_term_fn(ae_dpo_term *out, const ae_dpo_options *options,
                             const ae_dpo_pair *pair);
ae_pair_term_fn ae_orpo_term_of, ae_simpo_term_of;

/* sum_k weight_k loss_k, each a mean over pairs, + nll_weight times the mean negative
 * log-likelihood of the chosen answers' tokens, over all of them in the step. */
typedef struct {
    ae_pair_term_fn *term; /* of the first loss; the others are of the DPO family */
    ae_dpo_options losses[AE_MAX_LIST];
    double weights[AE_MAX_LIST];
    int n;
    double nll_weight;
} ae_pair_mix;

/* The n pairs of a step; their losses (without the nll's) add up to the step's, undivided. */
aerie_status ae_pair_mix_terms(ae_dpo_term *out, const ae_pair_mix *mix, const ae_dpo_pair *pairs,
                               int64_t n, aerie_error *err);
/* Whether some loss of it wants all pairs of a step at once. */
bool ae_pair_mix_is_of_step(const ae_pair_mix *mix);

int64_t ae_pairs_count(const ae_samples *set);
int64_t ae_pairs_tokens(const ae_recipe *recipe, const ae_samples *set, int64_t item);
int64_t ae_pairs_predictions(const ae_samples *set, int64_t item);
double ae_pairs_share(const ae_samples *set, int64_t item);
double ae_pairs_nll_share(const ae_samples *set, int64_t item);
void ae_pairs_lay(ae_row *row, const ae_recipe *recipe, const ae_samples *set, int64_t item);
/* ae_objective's loss(), by call->terms where they are given, else by `mix`. */
void ae_pairs_loss(const ae_loss_call *call, const ae_pair_mix *mix, ae_loss_sums *sums);
/* Sums of the answers' weighted log-probabilities: chosen, rejected. */
void ae_pairs_sums(const ae_loss_call *call, int64_t k, double out[2]);
/* The pair of a sample out of those sums; reference NULL: zeros. */
ae_dpo_pair ae_pair_of(const ae_sample *s, const double policy[2], const double *reference);

/* An ae_objective's fields that are the same for all of pairs. */
#define AE_OF_PAIRS                                                                                \
    .of_pairs = true, .count = ae_pairs_count, .tokens = ae_pairs_tokens,                          \
    .predictions = ae_pairs_predictions, .share = ae_pairs_share, .nll_share = ae_pairs_nll_share, \
    .lay = ae_pairs_lay

#endif
