/* reward_source.h -- private: scores of replies, whoever gives them. */
#ifndef AE_TRAIN_REWARD_SOURCE_H
#define AE_TRAIN_REWARD_SOURCE_H

#include "train/reward_model.h"

typedef enum {
    AE_REWARD_CALLER,  /* ae_train_run.reward */
    AE_REWARD_COMMAND, /* the same, with reward.command for it to start */
    AE_REWARD_NUMBER,  /* 1 when the reply's last number is the record's */
    AE_REWARD_LENGTH,  /* 1 - |tokens - wanted| / wanted, at least 0 */
    AE_REWARD_FORMAT,  /* a half for how it begins, a half for how it ends */
    AE_REWARD_MODEL,   /* reward_model.h */
    AE_REWARD_JUDGE,   /* ae_train_run.judge */
    AE_N_REWARDS
} ae_reward_source;
const char *ae_reward_source_name(int source); /* "caller"...; NULL out of range */

/* Fills scores[n]; `model` is asked by AE_REWARD_MODEL alone. A score that is not finite is
 * refused. */
aerie_status ae_reward_source_score(double *scores, const ae_recipe *recipe,
                                    const ae_train_run *run, ae_reward_model *model,
                                    const aerie_reward_item *items, int64_t n, aerie_error *err);

/* Refuses a prompt's record (JSON, or NULL) that lacks what the source compares replies with. */
aerie_status ae_reward_source_check(const ae_recipe *recipe, const char *row, aerie_error *err);

/* The last number in a text, as GSM8K's answers are compared: commas between digits and a dot at
 * the end are no part of it; NaN: there is none. After "####", when the text has it, the first. */
double ae_reward_source_number(const char *text, size_t len);

#endif
