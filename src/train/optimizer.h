/* optimizer.h -- private: AdamW or RMSprop over a list of named parameters. */
#ifndef AE_TRAIN_OPTIMIZER_H
#define AE_TRAIN_OPTIMIZER_H

#include "train/train.h"

typedef struct {
    ae_optim kind;
    int n_moments;                /* numbers kept for each that is trained: 2, or 1 for RMSprop */
    const ae_named_param *params; /* borrowed */
    int64_t n;
    float **m, **v;   /* [n]: first and second moments of each parameter; RMSprop: m[i] is NULL */
    float *memory;    /* of all of them */
    int64_t n_values; /* numbers that are trained */
    float *kept;      /* see ae_optimizer_keep(); else NULL */
} ae_optimizer;

aerie_status ae_optimizer_new(ae_optimizer *o, ae_optim kind, const ae_named_param *params,
                              int64_t n, aerie_error *err);
void ae_optimizer_free(ae_optimizer *o);

/* Keeps a copy of values and moments as they stand, in place of an earlier one. */
aerie_status ae_optimizer_keep(ae_optimizer *o, aerie_error *err);
/* Makes them what they were when they were kept. */
void ae_optimizer_put_back(ae_optimizer *o);

void ae_optimizer_zero_grads(const ae_optimizer *o);
/* The global norm of all gradients. AERIE_BAD_NUMBER with the tensor's name when one is not finite.
 */
aerie_status ae_optimizer_norm(const ae_optimizer *o, ae_device *device, double *norm,
                               aerie_error *err);
/* What gradients are multiplied by so that their norm is at most `max` (0: as it is). */
double ae_clip_scale(double norm, double max);
/* Update number `t`, counted from 1. */
void ae_optimizer_step(ae_optimizer *o, ae_device *device, const ae_recipe *recipe, double rate,
                       double grad_scale, int64_t t);

#endif
