/* reward_model.h -- private: a reward model as a source of scores. */
#ifndef AE_TRAIN_REWARD_MODEL_H
#define AE_TRAIN_REWARD_MODEL_H

#include "train/train.h"

typedef struct ae_reward_model ae_reward_model;

/* The recipe's reward.model, or where it names none the policy's own starting weights `base`
 * (borrowed), with reward.adapter over it. Fails when that has no head that scores. */
aerie_status ae_reward_model_open(ae_reward_model **out, const ae_recipe *recipe,
                                  const ae_model *base, ae_device *device, aerie_error *err);
void ae_reward_model_close(ae_reward_model *m); /* NULL is fine */
/* Adds what a checkpoint belongs to: a line each for its weights and its adapter, wherever their
 * files lie. */
aerie_status ae_reward_model_identify(const ae_reward_model *m, ae_bytes *out, aerie_error *err);

/* The score of each reply at its last token, as the reward model's own template writes the
 * conversation. Replies that follow one another with the same record share its computation. `run`
 * (or NULL) is asked whether to stop. */
aerie_status ae_reward_model_score(double *scores, ae_reward_model *m, const ae_train_run *run,
                                   const aerie_reward_item *items, int64_t n, aerie_error *err);

#endif
