/* label_private.h -- private: rows as questions, and the journal of verdicts. */
#ifndef AE_EVAL_LABEL_PRIVATE_H
#define AE_EVAL_LABEL_PRIVATE_H

#include "data/data.h"
#include "eval/label.h"
#include "journal/journal.h"

/* ---- label_row.c: a row's questions and what comes of their verdicts ---- */

enum { AE_LABEL_MAX_REPLIES = 64 };

/* Question q of a row of n replies. Pairs: the pairs (i, k), i < k, in order, each as (i, k) and as
 * (k, i). Scores: reply q, and b is -1. */
typedef struct {
    int a, b;
} ae_label_question;
int64_t ae_label_n_questions(const ae_judge_task *task, int64_t n_replies);
ae_label_question ae_label_question_at(const ae_judge_task *task, int64_t n_replies, int64_t q);

/* A row of the data with its replies; borrowed from the dataset. */
typedef struct {
    int64_t index;
    int n;
    ae_example example;
} ae_label_row;
/* False: there is nothing to compare. */
bool ae_label_row_of(ae_label_row *out, const ae_judge_task *task, const ae_example *e,
                     int64_t index);
json_t *ae_label_reply(const ae_label_row *row, int i);
bool ae_label_are_alike(const ae_label_row *row, ae_label_question q);
/* The question as a judge's case, with references of its own. */
ae_judge_case ae_label_case(const ae_label_row *row, ae_label_question q);

/* A verdict on a question; `is_one` false: not asked yet. */
typedef struct {
    int64_t row;
    int32_t q;
    char choice;
    double score;
    uint64_t of; /* hash of the question's text */
} ae_label_verdict;

typedef struct {
    double score[AE_LABEL_MAX_REPLIES];
    bool has_score[AE_LABEL_MAX_REPLIES];
    aerie_pair_outcome *outcomes; /* [n (n - 1) / 2]; pairs */
} ae_label_result;

/* Of a row's verdicts, in the order of its questions; sums go to *sums. The memory is the arena's.
 */
aerie_status ae_label_row_result(ae_label_result *out, const ae_label_row *row,
                                 const ae_judge_task *task, const ae_label_verdict *verdicts,
                                 ae_label_summary *sums, ae_arena *arena, aerie_error *err);

/* ---- label_journal.c ---- */

typedef struct {
    ae_journal lines;
    ae_label_verdict *items; /* of earlier runs and this one */
    size_t n, cap, n_sorted; /* the first n_sorted are in order of (row, q) */
    json_t *head;            /* to be written before the first verdict; NULL: it is there */
} ae_label_journal;

/* Opens or begins one; a last line that was cut off goes. Fails when another process has it open,
 * or when it is of another judge, another state of it, or another task. A zeroed journal is closed.
 */
aerie_status ae_label_journal_open(ae_label_journal *j, const char *path, const ae_judge *judge,
                                   const ae_judge_task *task, aerie_error *err);
void ae_label_journal_close(ae_label_journal *j);
aerie_status ae_label_journal_add(ae_label_journal *j, const ae_judge_task *task,
                                  const ae_label_verdict *v, ae_span reply, aerie_error *err);
void ae_label_journal_sort(ae_label_journal *j);
/* NULL: there is none. After ae_label_journal_sort(). */
const ae_label_verdict *ae_label_journal_find(const ae_label_journal *j, int64_t row, int64_t q);

/* ---- label_write.c ---- */

/* Appends the lines of a row. */
aerie_status ae_label_write_row(ae_file_writer *w, const ae_label_row *row,
                                const ae_label_options *options, const char *judge,
                                const ae_label_result *result, int64_t *n_lines, aerie_error *err);

#endif
