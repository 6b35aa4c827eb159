/* checkpoint.h -- private: everything that a later process needs to go on bit for bit. */
#ifndef AE_TRAIN_CHECKPOINT_H
#define AE_TRAIN_CHECKPOINT_H

#include "train/objective.h"
#include "train/online.h"
#include "train/optimizer.h"

/* All randomness comes from the seed and the step's number, so the cursor is a step. */
typedef struct {
    int64_t step;   /* optimizer steps done */
    int64_t tokens; /* computed so far */
    ae_running running;
    /* Of methods that sample, else zero. */
    int64_t updates;   /* of the weights: several a step */
    double kl_coef;    /* of the next step */
    ae_moments scores; /* of all steps */
    int64_t evaluated; /* step of the last evaluation */
    /* Of evaluations, where the recipe goes by them: the best and its step (0: there was none), and
     * how many have come since the last that was notably better, which was this (-inf: none was).
     */
    double best, notable;
    int64_t best_step, n_stale;
} ae_checkpoint;

/* Parameters and moments as they stand. `identity` names, a "key: value" line each, what must be
 * the same to go on. Atomic. */
aerie_status ae_checkpoint_write(const char *path, const ae_checkpoint *at, const char *identity,
                                 const ae_optimizer *o, aerie_error *err);

/* Changes nothing unless the whole file is sound and agrees with `identity` and the parameters. */
aerie_status ae_checkpoint_read(const char *path, ae_checkpoint *at, const char *identity,
                                ae_optimizer *o, aerie_error *err);

#endif
