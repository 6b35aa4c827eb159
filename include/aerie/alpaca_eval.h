/* alpaca_eval.h -- AlpacaEval 2, carried out: models answer its instructions, and a judge of one
 * token says how probable it is that an answer is better than the baseline's.
 *
 * Li et al., Dubois et al. 2404.04475, in the manner of tatsu-lab/alpaca_eval
 * (weighted_alpaca_eval_gpt4_turbo) and in its files, so that either program goes on from what the
 * other did. The instructions and the baseline's outputs are its published files, which the user
 * brings. */
#ifndef AERIE_ALPACA_EVAL_H
#define AERIE_ALPACA_EVAL_H

#include "aerie/judged.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Zero means the default everywhere but where said. */
typedef struct {
    aerie_judged by; /* the models' sampling is their own; 2048 tokens of an answer (or the model's
                      * own number), 1 of a judgment */
    /* Rows {"instruction", "output", "generator", "dataset"?}, of which the output is the
     * baseline's; or {"instruction"} with outputs under their models' names. */
    const char *questions;
    const char *baseline;   /* whose outputs; NULL: the rows' generator, or gpt4_1106_preview */
    const char *prompt;     /* the judge's, in the published one's form; NULL: that one */
    const char *difficulty; /* as aerie_verdict_files has it; NULL: none */
} aerie_alpaca_eval_options;

/* Asks for all that is missing, into FOLDER/LABEL/model_outputs.json and
 * FOLDER/LABEL/JUDGE/annotations.json, each with a journal of its name and an l. The verdict is
 * read from the log-probabilities of m and M, or, of a server that tells none, from the letter
 * itself. *json is the board of aerie_scoreboard() over the annotations (NULL without a judge), the
 * caller's (aerie_free). What was answered is kept at once: a run that was stopped or killed goes
 * on where it was. */
AERIE_API aerie_status aerie_alpaca_eval(const aerie_alpaca_eval_options *options, char **json,
                                         aerie_error *err);

#ifdef __cplusplus
}
#endif
#endif
