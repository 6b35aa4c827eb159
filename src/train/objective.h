/* objective.h -- private: what a training method must say about itself.
 *
 * The loop knows items (samples or pairs, by index), rows of tokens and log-probabilities; a method
 * says how an item is laid into a row and what the log-probabilities are worth. A new method is one
 * file with one ae_objective and one line in the table of method.c. */
#ifndef AE_TRAIN_OBJECTIVE_H
#define AE_TRAIN_OBJECTIVE_H

#include "train/row.h"
#include "train/train.h"

/* What methods that sample tell of a step. */
typedef struct {
    /* Over the tokens of all its updates; apart: (logp - old)^2 / 2. */
    double n_tokens, n_clipped, policy_loss, value_loss, apart;
    /* The most that a token's logp is from what it was when drawn, while the weights are those that
     * drew it: in the first update of a step. */
    double difference;
    /* Of the replies as they were drawn: their scores; sums over tokens of logp - reference, and
     * the coefficient that weighed them; -logp of a token. */
    double reward, reward_std, kl, kl_coef, entropy, reply_tokens, eos_rate;
} ae_online_sums;

/* Sums over the items of a step, in their order, in double: the same for any micro-batch split. */
typedef struct {
    double loss;  /* divided by `share` at the end */
    double share; /* what the loss is divided by: weights of tokens, or pairs */
    /* A second mean that is added, over the chosen answers' learned tokens: their negative
     * log-likelihood times `nll_weight`. */
    double nll, nll_share, nll_weight;
    double n_pairs, n_correct;
    /* Of the n_chosen and n_rejected answers; of single replies, the wanted and the unwanted; of
     * rankings, the better and the worse of every pair. */
    double n_chosen, n_rejected, reward_chosen, reward_rejected, logp_chosen, logp_rejected;
    double level;            /* ae_dpo_term's */
    double n_scores, scores; /* of a head that scores */
    ae_online_sums online;
} ae_loss_sums;

/* What some methods remember from step to step. A checkpoint has it. */
typedef struct {
    double sum, count;
} ae_running;

/* A row whose log-probabilities have been computed. Its items' predictions follow one another:
 * those of items[k] are first[k] .. first[k + 1] - 1. */
typedef struct {
    const ae_recipe *recipe;
    const ae_samples *set;
    const int64_t *items;
    int64_t n_items;
    const ae_row *row;
    const int64_t *first;
    const float *logp;    /* [N]; of_scores: the scores */
    const float *mean;    /* [N], or NULL when the method doesn't smooth */
    float *dlogp, *dmean; /* [N], to be filled; NULL in evaluation */
    const float *values;  /* [N]: the score head's beside them, or NULL */
    float *dvalues;
    const float *entropy; /* [N]: of the distributions that the predictions are of, or NULL */
    float *dentropy;
    const double *reference;  /* [n_reference] for every item of the set, or NULL */
    const ae_dpo_term *terms; /* of items[0] and on, when items are coupled, else NULL */
    double share;             /* of the whole step */
    double nll_share;         /* the same of the second mean; see ae_objective */
} ae_loss_call;

/* All items of a step (or of an evaluation), when the loss of one depends on the others. */
typedef struct {
    const ae_recipe *recipe;
    const ae_samples *set;
    const int64_t *items;
    int64_t n_items;
    const double *values;    /* what the policy makes of the reference's numbers, as below */
    const double *reference; /* see ae_loss_call */
    ae_running *running;
    bool training; /* else an evaluation, which changes nothing that is remembered */
} ae_couple_call;

typedef struct {
    bool of_pairs;          /* an item is a pair, else a sequence */
    bool of_scores;         /* an item is a ranking; its rows predict nothing, a head scores them */
    int n_reference;        /* numbers an item needs from the reference */
    const char *level_name; /* what metrics call ae_loss_sums.level; NULL: there is none */
    int64_t (*count)(const ae_samples *set);
    /* Tokens that an item takes in a row, and segments and predictions at most. */
    int64_t (*tokens)(const ae_recipe *recipe, const ae_samples *set, int64_t item);
    int64_t (*predictions)(const ae_samples *set, int64_t item);
    int64_t (*segments)(const ae_samples *set, int64_t item); /* NULL: AE_SEGMENTS_PER_ITEM */
    /* What the item adds to the step's denominator. */
    double (*share)(const ae_samples *set, int64_t item);
    /* The same for a second mean (ae_loss_sums.nll); NULL: there is none. */
    double (*nll_share)(const ae_samples *set, int64_t item);
    void (*lay)(ae_row *row, const ae_recipe *recipe, const ae_samples *set, int64_t item);
    void (*loss)(const ae_loss_call *call, ae_loss_sums *sums);
    /* The reference's numbers of every item of the row; NULL when there are none. */
    void (*reference)(const ae_loss_call *call, double *out);
    /* Whether items are coupled; then a step's log-probabilities are computed before its gradients,
     * and couple() makes a term of each item. NULL: never. */
    bool (*is_coupled)(const ae_recipe *recipe);
    aerie_status (*couple)(const ae_couple_call *call, ae_dpo_term *out, aerie_error *err);
} ae_objective;

enum { AE_SEGMENTS_PER_ITEM = 4 };

extern const ae_objective ae_objective_tokens, ae_objective_dpo, ae_objective_orpo,
    ae_objective_simpo, ae_objective_cpo, ae_objective_kto, ae_objective_bco, ae_objective_reward,
    ae_objective_prompts, ae_objective_replies;
const ae_objective *ae_objective_of(const ae_recipe *recipe);
bool ae_objective_smooths(const ae_recipe *recipe); /* wants the mean over the vocabulary */

/* The key of an item's part for dropout. */
static inline uint64_t ae_item_key(int64_t item, int part)
{
    return ae_mix64((uint64_t)item * 8 + (uint64_t)part);
}

#endif
