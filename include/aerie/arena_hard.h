/* arena_hard.h -- Arena-Hard, carried out: models answer its questions, and a judge compares each
 * answer with the baseline's, in both orders.
 *
 * Li et al. 2406.11939, in the manner of lmarena/arena-hard-auto (release 0.1) and in its files, so
 * that either program goes on from what the other did. The questions and the baseline's answers are
 * its published files, which the user brings. */
#ifndef AERIE_ARENA_HARD_H
#define AERIE_ARENA_HARD_H

#include "aerie/judged.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Zero means the default everywhere but where said. */
typedef struct {
    aerie_judged by;       /* temperature 0; 4096 tokens of an answer and of a judgment */
    const char *questions; /* {"uid", "category", "prompt"} */
    const char *baseline;  /* file of its answers; needed by a judge */
    const char *prompt;    /* the judge's system message; NULL: the published one */
} aerie_arena_hard_options;

/* Asks for all that is missing, into FOLDER/model_answer/LABEL.jsonl and
 * FOLDER/model_judgment/JUDGE/LABEL.jsonl; with a judge the baseline's answers are copied to the
 * models'. *json is the board of aerie_scoreboard() over the judgments, with style control (NULL
 * without a judge), the caller's (aerie_free). What was answered is kept at once: a run that was
 * stopped or killed goes on where it was. */
AERIE_API aerie_status aerie_arena_hard(const aerie_arena_hard_options *options, char **json,
                                        aerie_error *err);

#ifdef __cplusplus
}
#endif
#endif
