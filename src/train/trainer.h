/* trainer.h -- private: what a training run is made of. */
#ifndef AE_TRAIN_TRAINER_H
#define AE_TRAIN_TRAINER_H

#include "train/checkpoint.h"
#include "train/metrics.h"
#include "train/reference.h"

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
    int n_adapters;    /* frozen ones first; with LoRA the last is the one that is trained */
    ae_net net, start; /* with and without what is trained */
    ae_named_param *params;
    ae_optimizer optimizer;
    /* What is done, and where it is written. */
    const ae_objective *objective;
    ae_plan plan;
    ae_schedule schedule;
    ae_reference reference, eval_reference;
    ae_checkpoint at;
    ae_metrics metrics;
    char *checkpoint_path, *reference_path, *metrics_path;
    ae_bytes identity;       /* of a checkpoint */
    ae_bytes start_identity; /* of reference log-probabilities */
    ae_arena nets, rows;     /* nets: as long as the trainer; rows: reset by every row */
} ae_trainer;

/* Everything up to the first step; nothing is written. Undone by ae_trainer_close() even on
 * failure. */
aerie_status ae_trainer_open(ae_trainer *t, aerie_error *err);
void ae_trainer_close(ae_trainer *t);

/* A text for people about what will be done. */
void ae_trainer_describe(const ae_trainer *t, ae_bytes *out);
/* Bytes of the longest row on the tape, about. */
size_t ae_row_bytes(const ae_trainer *t, bool recompute);

#endif
