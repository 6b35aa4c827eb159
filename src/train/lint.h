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
    AE_LINT_REFUSED,
    AE_LINT_LONG_PROMPT,
    AE_LINT_EMPTIED,
    AE_LINT_EMPTY,
    AE_LINT_EMPTY_PROMPT,
    AE_LINT_NO_ANSWER,
    AE_LINT_IDENTICAL,
    AE_LINT_TIED,
    AE_LINT_REVERSED,
    AE_LINT_IN_BOTH,
    AE_LINT_DRIFT,
    AE_LINT_LEFT_OUT,
    AE_LINT_PROMPT_LEFT_OUT,
    AE_N_LINT
} ae_lint_check;

enum { AE_LINT_PLACES = 5 };

typedef struct {
    int64_t count;
    char *places[AE_LINT_PLACES];
    char what[512]; /* where it is not empty: instead of the check's own sentence */
} ae_lint_finding;

typedef struct {
    const ae_recipe *recipe;
    ae_model *model;
    const ae_recipe_encoder *encoder;
    ae_template *own; /* the model's, to compare with; NULL: nothing to compare */
    ae_pool *pool;
    ae_arena names;         /* places */
    ae_recipe_samples data; /* what was read, as it is trained on */
    ae_lint_finding found[AE_N_LINT];
    uint64_t *prompts; /* sorted hashes of eval_data's */
    size_t n_prompts, cap_prompts;
    int64_t n_records, n_compared;
    int64_t n_ended,
        n_unended; /* records that learn a token that ends replies, and those that don't */
} ae_lint_run;

/* Counts it, at a record (NULL: nowhere). */
void ae_lint_note(ae_lint_run *l, ae_lint_check check, const ae_example *e);
/* Counts a row or a file that cannot be used, and keeps its sentence. False: the same sentence came
 * again, or there were too many; leave the file. */
bool ae_lint_note_unreadable(ae_lint_run *l, const aerie_error *problem);

/* ---- lint_read.c ---- */

/* Reads eval_data's prompts and then all of `data`, whose samples stay in l->data. A bad row is a
 * finding and takes no good ones with it. */
aerie_status ae_lint_read(ae_lint_run *l, aerie_error *err);

/* ---- lint_record.c ---- */

/* What is seen of one record. A zeroed one is empty; its arena is used again. */
typedef struct {
    bool found[AE_N_LINT];
    bool ended, unended; /* whether it learns a token that ends a reply; neither: it has none */
    ae_sample sample;    /* as it is trained on; the arena's */
    ae_arena arena;
    aerie_error problem; /* with a status: it cannot become tokens */
} ae_lint_seen;

/* Looks at a record of the training data; the run stays as it is, so that several are looked at
 * side by side. `compare`: by the model's own template too. */
void ae_lint_look(ae_lint_seen *out, const ae_lint_run *l, const ae_example *e, bool compare);
/* Whether there is another template to compare with. */
bool ae_lint_compares(const ae_lint_run *l, const ae_example *e);
/* Of what a record asks. */
uint64_t ae_lint_prompt(const ae_example *e);
int ae_lint_by_hash(const void *a, const void *b);

#endif
