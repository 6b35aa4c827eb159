/* mt_bench.h -- MT-Bench, carried out: models answer its questions, and a judge marks the answers.
 *
 * Zheng et al. 2306.05685, in the manner of FastChat's llm_judge and in its files, so that either
 * program goes on from what the other did. The questions, the judge's prompts and the reference
 * answers are FastChat's published files, which the user brings. */
#ifndef AERIE_MT_BENCH_H
#define AERIE_MT_BENCH_H

#include "aerie/judged.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Zero means the default everywhere but where said. */
typedef struct {
    aerie_judged by; /* the models' sampling is the benchmark's, by category; 1024 tokens of an
                      * answer, 2048 of a judgment */
    const char *questions;  /* {"question_id", "category", "turns"} */
    const char *references; /* answers, for math, reasoning and coding; NULL: none */
    const char *prompts;    /* {"name", "system_prompt", "prompt_template"} */
    /* Of pairs, in both orders, with this one of the models (its label); NULL: a mark an answer. */
    const char *baseline;
} aerie_mt_bench_options;

/* Asks for all that is missing, into FOLDER/model_answer/LABEL.jsonl, and
 * model_judgment/JUDGE_single.jsonl or JUDGE_pair.jsonl. *json is the board of aerie_scoreboard()
 * over the judgments (NULL without a judge), the caller's (aerie_free). What was answered is kept
 * at once: a run that was stopped or killed goes on where it was. */
AERIE_API aerie_status aerie_mt_bench(const aerie_mt_bench_options *options, char **json,
                                      aerie_error *err);

#ifdef __cplusplus
}
#endif
#endif
