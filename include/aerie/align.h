/* align.h -- a pipeline: stages of training in order, each starting from the last, what is needed
 * between them, and the evaluation that is named at the end. docs/align.md tells of its file. */
#ifndef AERIE_ALIGN_H
#define AERIE_ALIGN_H

#include "aerie/train.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    AERIE_ALIGN_BEGINS,
    AERIE_ALIGN_RESUMES,  /* from the checkpoint of a call that was stopped or killed */
    AERIE_ALIGN_KEPT,     /* done before, by the same recipe, data and parents: not done again */
    AERIE_ALIGN_DONE,     /* text: what is known of it */
    AERIE_ALIGN_PLANNED,  /* of a dry run; text: what it would do */
    AERIE_ALIGN_EVALUATED /* text: the numbers */
} aerie_align_event;

/* Borrowed until the callback returns. */
typedef struct {
    aerie_align_event event;
    int number, n;    /* from 1; of all stages, or of all evaluations */
    const char *name; /* the stage's */
    const char *kind; /* "train", "merge", "quantize", "command", "score", "perplexity" */
    const char *output;
    const char *text; /* "" where there is nothing to say */
} aerie_align_stage;
typedef void aerie_align_stage_fn(void *user, const aerie_align_stage *stage);

/* Runs a program, which the library does not. `output` NULL: what it prints is for people; else it
 * is the caller's, to be freed with aerie_free(). A program that fails is a failure. */
typedef aerie_status aerie_align_command_fn(void *user, const char *command, char **output,
                                            aerie_error *err);

typedef struct {
    /* "key=value" for every training stage, "stage:key=value" for one stage. */
    const char *const *settings;
    size_t n_settings;
    bool dry_run; /* plan all stages, do nothing */
    bool again;   /* do every stage, also one that is done */
    /* How stages are trained: places, runs, progress, threads, ...; its settings, resume and
     * dry_run are not looked at. NULL: every default. */
    const aerie_train_options *train;
    aerie_align_stage_fn *stage;     /* may be NULL */
    aerie_align_command_fn *command; /* NULL: a pipeline with commands is refused */
    void *user;
} aerie_align_options;

/* Runs the pipeline at `path`. What is done is remembered in NAME.align.json in the working folder,
 * so that a call that was stopped or killed goes on where it was. *report is a JSON text of stages
 * and evaluations, the caller's (aerie_free). `options` and `report` may be NULL. */
AERIE_API aerie_status aerie_align(const char *path, const aerie_align_options *options,
                                   char **report, aerie_error *err);

#ifdef __cplusplus
}
#endif
#endif
