/* label.h -- ranked or paired data, made by asking a judge about every row's replies.
 *
 * Pairs: every two replies of a row are asked about in both orders. The same reply named twice
 * wins; "neither" twice is a tie; anything else (another reply when the order turns, or one
 * "neither") is a tie as well, and counted by itself: MT-Bench's rule. A pair of which a question
 * got no verdict is left out. A reply's score is its wins and half its ties. Replies that are alike
 * are not asked about: they tie. Scores: every reply is asked about by itself, and its mark is its
 * score.
 *
 * Every verdict is appended to a journal as it comes, one write a line; a run that was killed at
 * any byte goes on from there. The output is written at the end, at once, from the data and the
 * journal, in the data's order. */
#ifndef AE_EVAL_LABEL_H
#define AE_EVAL_LABEL_H

#include "aerie/judge.h"
#include "eval/judge.h"

typedef struct {
    const char *const *paths;
    size_t n_paths;
    const char *out_path;
    const char *journal_path; /* NULL: out_path with ".verdicts.jsonl" */
    int64_t limit;            /* rows; 0: all */
    bool ranked;              /* write rows with all their replies and scores; else decided pairs */
    ae_judge_task task;
    /* Called after every verdict; false: AERIE_INTERRUPTED. May be NULL. */
    bool (*progress)(void *user, int64_t n_done, int64_t n_questions);
    aerie_label_pair_fn *on_pair; /* may be NULL */
    void *user;
} ae_label_options;

typedef struct {
    int64_t n_rows;      /* with something to compare */
    int64_t n_left_out;  /* rows with fewer replies than it takes */
    int64_t n_questions; /* in all */
    int64_t n_kept;      /* of them, answered by an earlier run */
    int64_t n_none;      /* that got no verdict */
    int64_t n_written;   /* lines of the output */
    /* Pairs: n_pairs is the sum of the next five. */
    int64_t n_pairs, n_decided, n_tied, n_half_tied, n_turned, n_without;
    int64_t n_alike;           /* of n_tied: replies that are the same text */
    int64_t n_first, n_second; /* verdicts for the answer that was shown first, second */
    /* Pairs (decided), or scores that differ, of which the data says too which one is better. */
    int64_t n_known, n_known_agree;
    double mean_score; /* of scores; NaN without any */
    ae_judge_counts counts;
} ae_label_summary;

aerie_status ae_label(ae_judge *judge, const ae_label_options *options, ae_label_summary *out,
                      aerie_error *err);

/* The outcome of a pair from its two verdicts: of (first, second), then of (second, first). */
aerie_pair_outcome ae_pair_outcome_of(char in_order, char turned);

#endif
