/* judged.h -- what benchmarks that a judge decides have in common: who answers, who judges, and
 * where what they say is kept. mt_bench.h, alpaca_eval.h and arena_hard.h carry them out. */
#ifndef AERIE_JUDGED_H
#define AERIE_JUDGED_H

#include "aerie/compare.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What is being done, for a progress line; false stops with AERIE_INTERRUPTED. */
typedef bool aerie_judged_progress_fn(void *user, const char *what, int64_t n_done, int64_t n);

/* Zero means the default everywhere but of models and folder. */
typedef struct {
    const aerie_contender *models;
    size_t n_models;
    const aerie_contender *judge; /* one that is `path` is held to a grammar: its verdict always
                                   * parses. NULL: answers alone */
    const char *folder;           /* what is there is not asked again */
    int64_t limit;                /* questions; 0: all */
    int64_t max_tokens;           /* of an answer; 0: as the benchmark has it */
    int64_t judge_tokens;         /* of a judgment; 0: likewise */
    int64_t parallel;             /* at once; 0: 8 of a model here, 4 of a server */
    double timeout_seconds;       /* without a byte from a server; 0: 300 */
    int max_retries;              /* of a request that failed or was put off; 0: 8; -1: none */
    aerie_judged_progress_fn *progress;
    void *user;
} aerie_judged;

#ifdef __cplusplus
}
#endif
#endif
