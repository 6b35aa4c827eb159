/* bootstrap.c -- resampling as lm-evaluation-harness does it. */
#include "stats/bootstrap.h"

#include "base/mersenne.h"
#include "stats/mean.h"

enum { CHUNK = 1000 };

aerie_status ae_bootstrap_stderr(double *out, ae_bootstrap_fn *statistic, void *user, size_t n,
                                 int64_t rounds, aerie_error *err)
{
    int64_t chunk = ae_min64(CHUNK, rounds), n_chunks = chunk > 0 ? rounds / chunk : 0;
    double *values = NULL;
    int64_t *at = NULL;
    size_t n_values = 0;
    ae_mersenne m;

    if (!n || rounds < 2)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "a bootstrap needs items and two resamples");
    values = ae_alloc((size_t)(n_chunks * chunk), sizeof *values);
    at = ae_alloc(n, sizeof *at);
    for (int64_t i = 0; values && at && i < n_chunks; i++) {
        ae_python_seed(&m, (uint64_t)i);
        for (int64_t j = 0; j < chunk; j++) {
            ae_python_choices(&m, at, n, n);
            values[n_values++] = statistic(user, at, n);
        }
    }
    if (n_values) *out = ae_mean_deviation(values, n_values);
    ae_free(values);
    ae_free(at);
    return n_values ? AERIE_OK : aerie_fail(err, AERIE_NO_MEMORY, "no room for a bootstrap");
}
