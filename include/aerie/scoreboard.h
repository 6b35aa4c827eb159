/* scoreboard.h -- the numbers that published benchmarks make of verdicts.
 *
 * From the files that their own programs write, without asking anybody; and RewardBench's, of a
 * reward model here. docs/judging.md tells of the files and of what each number is. */
#ifndef AERIE_SCOREBOARD_H
#define AERIE_SCOREBOARD_H

#include "aerie/score.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Whose files. */
typedef enum {
    AERIE_MT_BENCH,    /* judgments, single and pairwise */
    AERIE_ALPACA_EVAL, /* annotations of version 1 (a rank) and 2 (a share) */
    AERIE_ARENA_HARD   /* judgments, two games a question */
} aerie_scoreboard_kind;

typedef struct {
    const char *const *paths; /* of verdicts: lines of JSON or an array, plain or gzipped */
    size_t n_paths;
    const char *const *texts; /* MT-Bench: files of questions, for categories that judgments do not
                               * name; AlpacaEval: files of outputs, for lengths; Arena-Hard: files
                               * of answers, for its style control; may be none */
    size_t n_texts;
    /* AlpacaEval: how difficult its instructions are, instruction_difficulty.csv or df_gamed.csv as
     * alpaca_eval publishes them; NULL: from five models or more it is told from their verdicts. */
    const char *difficulty;
} aerie_verdict_files;

/* One JSON object; *json is the caller's (aerie_free). A row that is no verdict is a failure that
 * names its file and line. */
AERIE_API aerie_status aerie_scoreboard(aerie_scoreboard_kind kind,
                                        const aerie_verdict_files *files, char **json,
                                        aerie_error *err);

/* Called after every pair; false stops with AERIE_INTERRUPTED. */
typedef bool aerie_scoreboard_progress_fn(void *user, int64_t n_done);

/* How often a reward model prefers the better reply: rows {"prompt", "chosen", "rejected",
 * "subset"}, or LLMBar's {"input", "output_1", "output_2", "label", "subset"}. Accuracies of
 * subsets, of RewardBench's sections, and their mean. `options`, `progress` may be NULL. */
AERIE_API aerie_status aerie_reward_bench(aerie_model *reward_model, const char *const *paths,
                                          size_t n_paths, const aerie_score_options *options,
                                          aerie_scoreboard_progress_fn *progress, void *user,
                                          char **json, aerie_error *err);

#ifdef __cplusplus
}
#endif
#endif
