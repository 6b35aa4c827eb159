/* lint.h -- private: findings of a recipe's data, and the looks at one record. */
#ifndef AE_TRAIN_LINT_H
#define AE_TRAIN_LINT_H

#include "train/method.h"
#include "train/recipe.h"

/* In the order in which they are told. */
typedef enum {
    AE_LINT_UNREADABLE,
    AE_LINT_CONTEXT,
    AE_LINT_MEMORY,
    AE_LINT_DOUBLE_BOS,
    AE_LINT_EOS,
    AE_LINT_SOME_EOS,
    AE_LINT_LONG_PROMPT,
    AE_LINT_EMPTIED,
    AE_LINT_EMPTY,
    AE_LINT_IDENTICAL,
    AE_LINT_TIED,
    AE_LINT_REVERSED,
    AE_LINT_IN_BOTH,
    AE_LINT_DRIFT,
    AE_LINT_LEFT_OUT,
    AE_N_LINT
} ae_lint_check;

enum { AE_LINT_PLACES = 5 };

typedef struct {
    int64_t count;
    char *places[AE_LINT_PLACES];
    char what[512]; /* instead of the check's own sentence */
} ae_lint_finding;

typedef struct {
    const ae_recipe *recipe;
    ae_model *model;
    const ae_recipe_encoder *encoder;
    ae_template *own; /* the model's, to compare with; NULL: nothing to compare */
    ae_arena names;   /* places */
    ae_arena tokens;  /* reset by every record */
    ae_lint_finding found[AE_N_LINT];
    uint64_t *prompts; /* sorted hashes of eval_data's */
    size_t n_prompts, cap_prompts;
    int64_t n_records, n_compared;
    int64_t n_ended,
        n_unended; /* records that learn a token that ends replies, and those that don't */
} ae_lint_run;

/* Counts it, at a record (NULL: nowhere). */
void ae_lint_note(ae_lint_run *l, ae_lint_check check, const ae_example *e);
/* Looks at a record of the training data. A record that cannot become tokens is a finding too. */
aerie_status ae_lint_record(ae_lint_run *l, const ae_example *e, aerie_error *err);
/* Of what a record asks. */
uint64_t ae_lint_prompt(const ae_example *e);

#endif
