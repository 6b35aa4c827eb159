/* runs.h -- the record of trainings in one SQLite file: what was run, with which settings, how it
 * ended, and its metrics by step.
 *
 * aerie_train() writes it where its options name a file; these calls read it, also while a training
 * writes. Strings are good until the callback returns. */
#ifndef AERIE_RUNS_H
#define AERIE_RUNS_H

#include "aerie/error.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A run whose process is gone without a word was killed: it reads as interrupted. */
typedef enum {
    AERIE_RUN_RUNNING,
    AERIE_RUN_DONE,
    AERIE_RUN_INTERRUPTED,
    AERIE_RUN_FAILED
} aerie_run_state;
AERIE_API const char *aerie_run_state_name(aerie_run_state state); /* "running", ... */

/* Texts are never NULL; "" where nothing is known. */
typedef struct {
    int64_t id;       /* from 1, in the order they were begun */
    const char *name; /* the output's, without folder and ending */
    const char *method, *model, *output, *recipe_path;
    const char *recipe;      /* the recipe file's text */
    const char *model_hash;  /* of the weights that it started from */
    const char *recipe_hash; /* of the settings that change numbers */
    aerie_run_state state;
    const char *message;   /* why it failed or was interrupted */
    int64_t step, n_steps; /* done, and planned */
    double started, ended; /* seconds since 1970; ended 0: it has not, or nobody knows when */
} aerie_run;

/* One metric of a run. Those of evaluations are called eval_loss and so on. */
typedef struct {
    const char *name;
    int64_t n, last_step;
    double first, last, min, max; /* of the values that are numbers; NaN without any */
} aerie_run_metric;

typedef struct aerie_runs aerie_runs;

/* Opens a record for reading. AERIE_NOT_FOUND when there is no such file. *out is the caller's. */
AERIE_API aerie_status aerie_runs_open(aerie_runs **out, const char *path, aerie_error *err);
AERIE_API void aerie_runs_close(aerie_runs *runs); /* NULL is fine */

/* False stops, without an error. */
typedef bool aerie_run_fn(void *user, const aerie_run *run);
typedef bool aerie_run_text_fn(void *user, const char *name, const char *value);
typedef bool aerie_run_metric_fn(void *user, const aerie_run_metric *metric);
typedef bool aerie_run_point_fn(void *user, int64_t step, double value);

/* The newest first; limit 0: all. */
AERIE_API aerie_status aerie_runs_list(aerie_runs *runs, int64_t limit, aerie_run_fn *each,
                                       void *user, aerie_error *err);
/* The run that a word means: a number, "last", or a name, of which the newest. */
AERIE_API aerie_status aerie_runs_find(aerie_runs *runs, const char *word, int64_t *id,
                                       aerie_error *err);
AERIE_API aerie_status aerie_runs_get(aerie_runs *runs, int64_t id, aerie_run_fn *each, void *user,
                                      aerie_error *err);
/* Its recipe's keys with their values, by name; its data files with their SHA-256. */
AERIE_API aerie_status aerie_runs_settings(aerie_runs *runs, int64_t id, aerie_run_text_fn *each,
                                           void *user, aerie_error *err);
AERIE_API aerie_status aerie_runs_data(aerie_runs *runs, int64_t id, aerie_run_text_fn *each,
                                       void *user, aerie_error *err);
AERIE_API aerie_status aerie_runs_metrics(aerie_runs *runs, int64_t id, aerie_run_metric_fn *each,
                                          void *user, aerie_error *err);
/* The values of one metric that are numbers, by step. */
AERIE_API aerie_status aerie_runs_series(aerie_runs *runs, int64_t id, const char *metric,
                                         aerie_run_point_fn *each, void *user, aerie_error *err);

#ifdef __cplusplus
}
#endif
#endif
