/* train_judge.h -- private: scores of rollouts by the judge that a recipe names. */
#ifndef AE_API_TRAIN_JUDGE_H
#define AE_API_TRAIN_JUDGE_H

#include "train/train.h"

/* A zeroed one has no judge yet: it is opened by the first call. */
typedef struct {
    const ae_recipe *recipe;
    const char *key; /* the program's; the recipe's reward.key_file goes first; NULL: none */
    aerie_train_progress_fn *progress; /* asked within a step whether to stop; may be NULL */
    void *user;
    struct ae_judge *judge;
    ae_bytes words, key_text;
} ae_train_judge;

/* An ae_train_judge_fn; `user` is an ae_train_judge. */
aerie_status ae_train_judge_score(void *user, double *scores, const aerie_reward_item *items,
                                  int64_t n, aerie_error *err);
void ae_train_judge_close(ae_train_judge *j);

#endif
