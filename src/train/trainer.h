/* trainer.h -- private: what a training run is made of. */
#ifndef AE_TRAIN_TRAINER_H
#define AE_TRAIN_TRAINER_H

#include "train/checkpoint.h"
#include "train/expect.h"
#include "train/metrics.h"
#include "train/reference.h"
#include "train/reward_model.h"

typedef struct {
    /* Given. */
    const ae_recipe *recipe;
    ae_device *device;
    ae_model *model;
    const ae_samples *data, *eval; /* eval: NULL for none */
    const ae_train_run *run;
    aerie_train_summary *summary;
    /* What is trained: a trainable copy of the model (or the model itself when it is new), or an
     * adapter over it and the frozen ones below. */
    ae_model *copy; /* owned; NULL when not needed */
    ae_adapter *adapters[AE_MAX_LORA];
    int n_adapters; /* frozen ones first; with LoRA the last is the one that is trained */
    ae_reward_model *reward_model; /* owned; of methods that ask one, else NULL */
    ae_net net, start;             /* with and without what is trained */
    ae_named_param *params;
    ae_optimizer optimizer;
    /* What is done, and where it is written. */
    const ae_objective *objective;
    ae_plan plan;
    ae_schedule schedule;
    ae_reference reference, eval_reference;
    ae_checkpoint at;
    ae_metrics metrics;
    ae_run_log *log; /* owned; NULL: nothing is recorded */
    ae_expectation expectation;
    char *checkpoint_path, *best_path, *reference_path, *metrics_path;
    int64_t saved;           /* step of the last checkpoint; -1: none */
    ae_bytes identity;       /* of a checkpoint */
    ae_bytes start_identity; /* of reference log-probabilities */
    ae_arena nets, rows;     /* nets: as long as the trainer; rows: reset by every row */
} ae_trainer;

/* Everything up to the first step; nothing is written. Undone by ae_trainer_close() even on
 * failure. */
aerie_status ae_trainer_open(ae_trainer *t, aerie_error *err);
void ae_trainer_close(ae_trainer *t);

/* ---- trainer.c, and what its steps are made of ---- */

/* Over a set, with the trainer's net and arena. */
ae_pass ae_trainer_pass(ae_trainer *t, const ae_samples *set);
/* What the net needs to know of numbers that have changed: of DoRA, the norms of its rows. */
aerie_status ae_trainer_follow(ae_trainer *t, aerie_error *err);
/* One update of the weights, the number-th of the run: gradients of all rows of the items, added in
 * the items' order; then the optimizer, at the rate of the step under way. Adds to the sums. */
aerie_status ae_trainer_update(ae_trainer *t, const ae_pass *pass, const int64_t *items, int64_t n,
                               int64_t number, aerie_train_progress *p, ae_loss_sums *sums,
                               aerie_error *err);

/* AERIE_BAD_NUMBER, with the tensor's name: the first that is not finite when the items' loss is
 * not. */
aerie_status ae_trainer_blame(ae_trainer *t, const ae_pass *pass, const int64_t *items, int64_t n,
                              aerie_error *err);
/* The first of what is trained that has a value that is not finite; NULL: none has. */
const char *ae_trainer_unsound(const ae_trainer *t);
/* Gives it to the caller of the run; what that answers. */
int ae_trainer_tell(const ae_trainer *t, const aerie_train_progress *p);

/* ---- evaluate.c ---- */

/* Over the held-out data, once a step: told, written, and looked at. */
aerie_status ae_trainer_evaluate(ae_trainer *t, aerie_error *err);
/* Whether evaluations have stopped getting better for as long as the recipe waits. */
bool ae_best_has_ended(const ae_trainer *t);
/* Before the first step: the best state's file is of this run, or gone. */
aerie_status ae_best_begin(const ae_trainer *t, aerie_error *err);
/* Puts the best state in place of the last, where the recipe keeps it. */
aerie_status ae_best_take(ae_trainer *t, aerie_error *err);

/* ---- online_step.c ---- */

/* Replies to the held-out prompts, scored; nothing is learned or remembered. The same random
 * numbers in every evaluation. */
aerie_status ae_online_evaluate(ae_trainer *t, aerie_train_progress *p, ae_loss_sums *sums,
                                aerie_error *err);

/* Replies, scores, advantages, updates; then the step is done. */
aerie_status ae_online_step(ae_trainer *t, aerie_train_progress *p, ae_loss_sums *sums,
                            aerie_error *err);
/* Whether a step keeps what is trained as it was before: several updates cannot be stopped between
 * unless the first ones can be undone. Of an adapter they can; a copy of a whole model's numbers
 * would take as much memory again. */
bool ae_online_keeps(const ae_recipe *recipe);
/* Whether the method trains a value function beside the policy. */
bool ae_online_has_values(const ae_recipe *recipe);

/* ---- recording.c ---- */

/* The run's entry in the record that ae_train_run names, if any; its metrics go there. */
void ae_trainer_record(ae_trainer *t);

/* A text for people about what will be done. */
void ae_trainer_describe(const ae_trainer *t, ae_bytes *out);
/* Bytes of the model, of what is trained, and of the longest row, about. */
size_t ae_trainer_memory(const ae_trainer *t);
/* Bytes of the longest row on the tape, about. */
size_t ae_row_bytes(const ae_trainer *t, bool recompute);

#endif
