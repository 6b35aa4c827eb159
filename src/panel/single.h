/* single.h -- benchmarks of one turn, in which every model meets a baseline: AlpacaEval,
 * Arena-Hard. Private.
 *
 * Each model first answers what it has not answered, then the judge is asked what it has not been
 * asked; both are rounds, with a journal each. A `kind` says what is a benchmark's own. */
#ifndef AE_PANEL_SINGLE_H
#define AE_PANEL_SINGLE_H

#include "panel/panel.h"

typedef struct {
    char *key;      /* what names it in files: the instruction, or an id */
    char *prompt;   /* what the models are asked */
    char *baseline; /* what the baseline answered; NULL: not there */
    json_t *row;    /* of the file of questions */
} ae_single_item;

typedef struct ae_single ae_single;

typedef struct {
    const char *name;                      /* "AlpacaEval" */
    const char *answer, *judgment;         /* what a line is, for sentences */
    int64_t answer_tokens, judge_tokens;   /* by default */
    size_t games;                          /* of a judgment */
    const char *(*key)(const json_t *row); /* of a row of either file; NULL: it has none */

    /* The model's files. `array` gets the file that holds the rows in the benchmark's order, for
     * programs that read no journals; left empty: there is none. */
    void (*paths)(const ae_single *s, bool is_judgment, ae_bytes *journal, ae_bytes *array);

    const char *(*answer_of)(const json_t *row); /* NULL: it is no answer */
    json_t *(*answer_row)(const ae_single *s, size_t item);
    /* Sampling alone; the prompt is there. */
    void (*answer_sampling)(const ae_single *s, ae_question *out);

    /* Whether it is a judgment of the answers that there are now. */
    bool (*is_current)(const ae_single *s, size_t item, const json_t *row);
    /* A judgment that needs no judge; NULL: there is none. May be NULL itself. */
    json_t *(*settled)(const ae_single *s, size_t item);
    aerie_status (*judge)(const ae_single *s, size_t item, size_t game, ae_question *out,
                          aerie_error *err);
    aerie_status (*judgment_row)(const ae_single *s, size_t item, const ae_panel_reply *replies,
                                 json_t **row, aerie_error *err);
} ae_single_kind;

struct ae_single {
    const ae_single_kind *kind;
    const aerie_judged *by;
    const void *own; /* the kind's */
    ae_single_item *items;
    size_t n, cap;
    const char *baseline, *judge; /* names */
    aerie_grammar *grammar;       /* of a judge here; owned */

    /* Of the model whose turn it is. */
    const aerie_contender *model;
    const char *label;
    char **answers; /* [n] */
    bool is_judging;
    char state[17]; /* of whoever is asked in this phase: ae_panel_state() */
    bool *known;    /* [n] */
    json_t *rows;   /* [n], null where there is none */
};

/* Adds a question; texts are copied. */
aerie_status ae_single_add(ae_single *s, const char *key, const char *prompt, const char *baseline,
                           const json_t *row, aerie_error *err);
/* All models, one after another: answers, then judgments. */
aerie_status ae_single_run(ae_single *s, aerie_error *err);
/* Lets go of what it owns. */
void ae_single_free(ae_single *s);

/* The files' paths of one model; to be freed whatever is returned. */
aerie_status ae_single_paths(ae_single *s, size_t model, bool is_judgment, ae_bytes *journal,
                             ae_bytes *array, aerie_error *err);
/* A list of messages as one conversation's text, whose reference is taken; free(). */
aerie_status ae_single_messages(char **out, json_t *list, aerie_error *err);

#endif
