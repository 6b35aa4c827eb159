/* panel.h -- MT-Bench, carried out: models answer its questions, and a judge marks the answers.
 *
 * Zheng et al. 2306.05685, in the manner of FastChat's llm_judge and in its files, so that either
 * program goes on from what the other did. The questions, the judge's prompts and the reference
 * answers are FastChat's published files, which the user brings. */
#ifndef AERIE_PANEL_H
#define AERIE_PANEL_H

#include "aerie/compare.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What is being done, for a progress line; false stops with AERIE_INTERRUPTED. */
typedef bool aerie_panel_progress_fn(void *user, const char *what, int64_t n_done, int64_t n);

/* Zero means the default everywhere but where said. */
typedef struct {
    const aerie_contender *models; /* their sampling is the benchmark's, by category */
    size_t n_models;
    const aerie_contender *judge; /* one that is `path` is held to a grammar: its verdict always
                                   * parses. NULL: answers alone */
    const char *questions;        /* {"question_id", "category", "turns"} */
    const char *references;       /* answers, for math, reasoning and coding; NULL: none */
    const char *prompts;          /* {"name", "system_prompt", "prompt_template"} */
    /* Of pairs, in both orders, with this one of the models (its label); NULL: a mark an answer. */
    const char *baseline;
    const char *folder;     /* model_answer/LABEL.jsonl, model_judgment/JUDGE_single.jsonl or
                             * JUDGE_pair.jsonl; what is there is not asked again */
    int64_t limit;          /* questions; 0: all */
    int64_t max_tokens;     /* of an answer; 0: 1024 */
    int64_t judge_tokens;   /* of a judgment; 0: 2048 */
    int64_t parallel;       /* at once; 0: 8 of a model here, 4 of a server */
    double timeout_seconds; /* without a byte from a server; 0: 300 */
    aerie_panel_progress_fn *progress;
    void *user;
} aerie_panel_options;

/* Asks for all that is missing. *json is the board of aerie_scoreboard() over the judgments (NULL
 * without a judge), the caller's (aerie_free). What was answered is kept at once: a run that was
 * stopped or killed goes on where it was. */
AERIE_API aerie_status aerie_panel(const aerie_panel_options *options, char **json,
                                   aerie_error *err);

#ifdef __cplusplus
}
#endif
#endif
