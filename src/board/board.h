/* board.h -- the door of board: what published benchmarks make of judges' verdicts.
 *
 * From files of verdicts as their own programs write them, and without asking anybody: MT-Bench
 * (FastChat, llm_judge), AlpacaEval, Arena-Hard, RewardBench. Each gives one JSON object. */
#ifndef AE_BOARD_H
#define AE_BOARD_H

#include "base/base.h"

#include <jansson.h>

typedef struct {
    const char *const *paths; /* of verdicts: lines of JSON or an array, plain or gzipped */
    size_t n_paths;
    const char *const *texts; /* MT-Bench: questions; AlpacaEval: outputs; Arena-Hard: answers; of
                               * which verdicts tell no category, no length, no style */
    size_t n_texts;
    const char *difficulty; /* AlpacaEval's file of its instructions' difficulties; NULL: none */
} ae_board_files;

/* ---- mtbench.c ---- */

/* The first [[number]] of a judgment, else the first [number] (common.py, one_score_pattern);
 * -1: there is none. A number that Python's literal_eval() refuses, such as 08, is none. */
double ae_board_rating(ae_span judgment);
/* 'A', 'B', 'C' for a tie, 0 for none: [[A]] anywhere, else [[B]], else [[C]]. */
char ae_board_winner(ae_span judgment);
/* The same of two marks, [[7,8.5]]: a tie when no more than 0.1 apart. */
char ae_board_winner_by_marks(ae_span judgment);

/* Rows {"question_id", "model", "turn", "score" or "judgment", "category"?}, and of pairs
 * {"model_1", "model_2", "g1_winner", "g2_winner"} or {"g1_judgment", "g2_judgment"}. */
aerie_status ae_board_mtbench(json_t **out, const ae_board_files *files, aerie_error *err);

/* ---- alpaca.c ---- */

/* Rows {"generator_2", "preference", "annotator"?, "output_1"?, "output_2"?, "instruction"?}; or
 * {"model", "baseline", "id"} in place of the texts, whose lengths then come from files->texts. A
 * preference of null is none. An instruction's place in the benchmark, for files->difficulty, is
 * "index", or "id", or that among the model's rows. */
aerie_status ae_board_alpaca(json_t **out, const ae_board_files *files, aerie_error *err);
/* AlpacaEval 2's judge of one token: p(m) and p(M) of its top_logprobs [[token, logprob], ...] to
 * a preference in 1 .. 2; NaN: neither is among them. */
double ae_board_alpaca_preference(const json_t *top_logprobs);
/* Whether the two replies are shown in the other order, so that a judge's taste for a place
 * cancels: drawn from the instruction. */
aerie_status ae_board_alpaca_switch(bool *out, const char *instruction, aerie_error *err);

/* ---- arena_hard.c ---- */

/* Rows {"model", "games": [{"score" or "judgment"}, ...]}: the baseline is A in the first game and
 * B in the second. */
aerie_status ae_board_arena_hard(json_t **out, const ae_board_files *files, aerie_error *err);

/* The last of a judgment's [[A>>B]] ... [[B>>A]], else of those in single brackets; false: there is
 * none, or it is none of the ten that count. */
bool ae_board_arena_hard_verdict(const char *judgment, char out[16]);

/* ---- rewardbench.c ---- */

typedef struct ae_rewardbench ae_rewardbench;
aerie_status ae_rewardbench_open(ae_rewardbench **out, aerie_error *err);
void ae_rewardbench_close(ae_rewardbench *b); /* NULL is fine */
/* A pair of a subset: won when the chosen reply scores strictly more. */
aerie_status ae_rewardbench_add(ae_rewardbench *b, const char *subset, double chosen,
                                double rejected, aerie_error *err);
/* Accuracies of subsets, of sections (subsets weighed by what the benchmark counts for them) and
 * their mean. */
aerie_status ae_rewardbench_end(json_t **out, const ae_rewardbench *b, aerie_error *err);

#endif
