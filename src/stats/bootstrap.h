/* bootstrap.h -- the standard error of any statistic, as lm-evaluation-harness resamples it. */
#ifndef AE_STATS_BOOTSTRAP_H
#define AE_STATS_BOOTSTRAP_H

#include "base/base.h"

/* The statistic of the items at[0 .. n-1] (indices, drawn with replacement). */
typedef double ae_bootstrap_fn(void *user, const int64_t *at, size_t n);

/* Standard deviation (n - 1) of `statistic` over `rounds` resamples of n items (bootstrap_stderr of
 * lm_eval/api/metrics.py): chunk i of min(1000, rounds) resamples draws with CPython's
 * random.Random(i).choices(). A last chunk that is not whole is left out, as there. */
aerie_status ae_bootstrap_stderr(double *out, ae_bootstrap_fn *statistic, void *user, size_t n,
                                 int64_t rounds, aerie_error *err);

#endif
