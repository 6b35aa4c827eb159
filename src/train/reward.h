/* reward.h -- private: the losses of reward models over one prompt's ranked replies. */
#ifndef AE_TRAIN_REWARD_H
#define AE_TRAIN_REWARD_H

#include "base/base.h"

/* Sources: Plackett-Luce, "MLE_K" of Zhu et al. (2301.11270), which Starling's reward model was
 * trained with; of two replies all are Bradley-Terry, -log sigmoid(better - worse).
 *   plackett_luce   sum over replies of log sum exp(itself and the worse ones) - itself
 *   all_pairs       mean over the pairs of a prompt (InstructGPT, 2203.02155)
 *   all_pairs_sum   their sum (MLE_2 of 2301.11270)
 *   bradley_terry   as all_pairs, of data made into pairs
 * Tied replies make no pair, and in plackett_luce do not compete: of a whole order without ties it
 * is the usual one. */
typedef enum {
    AE_REWARD_PLACKETT_LUCE,
    AE_REWARD_ALL_PAIRS,
    AE_REWARD_ALL_PAIRS_SUM,
    AE_REWARD_BRADLEY_TERRY
} ae_reward_loss;
/* "plackett_luce"...; NULL out of range. */
const char *ae_reward_loss_name(int loss);

/* Borrowed. */
typedef struct {
    const double *score; /* [n] */
    const float *rank;   /* [n], 1 the best; equal ones are tied */
    int64_t n;
    double margin; /* of two replies: what the better one must lead by */
} ae_ranked_scores;

typedef struct {
    double loss;
    double n_pairs, n_correct; /* pairs of which one is better; and scored strictly higher */
    double better, worse;      /* sums over the pairs */
} ae_reward_term;

/* slope [n] is written: d loss / d score. `center` times the square of the scores' sum is added: it
 * keeps them about zero (2312.09244; TRL's center_rewards_coefficient). */
void ae_reward_term_of(ae_reward_term *out, double *slope, ae_reward_loss loss, double center,
                       const ae_ranked_scores *s);

#endif
