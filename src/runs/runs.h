/* runs.h -- the door of runs: a training's entry in the record that aerie/runs.h reads.
 *
 * Recording never stops a training: where the file is locked, read-only, damaged or no database,
 * one warning says so and what is left is written elsewhere or not at all. */
#ifndef AE_RUNS_H
#define AE_RUNS_H

#include "aerie/runs.h"
#include "base/base.h"

typedef struct {
    const char *name;
    double value; /* what is no number is kept as none */
} ae_run_value;

typedef struct {
    const char *path, *hash;
} ae_run_source;

/* What is known when a run begins. Any text may be NULL. */
typedef struct {
    const char *method, *model, *model_hash, *output, *recipe_path, *recipe, *recipe_hash;
    const char *settings; /* "key: value" lines */
    const char *identity; /* what a checkpoint must agree with: a resumed run's entry goes on */
    const ae_run_source *data;
    size_t n_data;
    int64_t step, n_steps; /* step > 0: resumed after that many */
} ae_run_about;

typedef struct ae_run_log ae_run_log;

/* NULL where nothing will be recorded: `path` is NULL, or a warning told why. With step > 0 the
 * entry of the same output and identity goes on, without what it had after that step. */
ae_run_log *ae_run_begin(const char *path, const ae_run_about *about);
int64_t ae_run_id(const ae_run_log *log); /* 0 of NULL */
/* Keeps them under prefix + name, and the step as the run's. What finds the file locked waits in
 * memory for the next call. `log` may be NULL, here and below. */
void ae_run_record(ae_run_log *log, const char *prefix, int64_t step, const ae_run_value *values,
                   size_t n);
/* Says how it ended and frees the log. `message` may be NULL. */
void ae_run_end(ae_run_log *log, aerie_run_state state, const char *message);

#endif
