/* metrics.h -- private: what is told about a step, to people and to a file of JSON lines. */
#ifndef AE_TRAIN_METRICS_H
#define AE_TRAIN_METRICS_H

#include "runs/runs.h"
#include "train/objective.h"

#include <stdio.h>

typedef struct {
    char *path;
    FILE *stream;
    /* Set after opening. */
    const char *level_name; /* the objective's */
    ae_run_log *log;        /* where they go too; NULL: nowhere */
} ae_metrics;

/* Starts the file anew, or, when resuming, keeps its lines up to `step`. */
aerie_status ae_metrics_open(ae_metrics *m, const char *path, int64_t step, aerie_error *err);
void ae_metrics_close(ae_metrics *m);
/* One line. `event` is "train" or "eval". */
aerie_status ae_metrics_write(ae_metrics *m, const char *event, const aerie_train_progress *p,
                              const ae_loss_sums *sums, aerie_error *err);

/* Loss and rewards of a step out of its sums: NaN where there is nothing to take a mean of. */
void ae_metrics_of_sums(aerie_train_progress *p, const ae_loss_sums *sums);

#endif
