/* expect.h -- private: a run beside what its recipe expects of it. */
#ifndef AE_TRAIN_EXPECT_H
#define AE_TRAIN_EXPECT_H

#include "train/train.h"

/* Sums of the steps up to the one that is looked at. A zeroed one begins. */
typedef struct {
    double loss, margin;
    int64_t n;
} ae_expectation;

/* To be called after every step, in order. Warns in the log; nothing depends on it. */
void ae_expect_step(ae_expectation *e, const ae_recipe *recipe, const aerie_train_progress *p);

#endif
