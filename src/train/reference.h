/* reference.h -- private: log-probabilities under the starting weights, computed once. */
#ifndef AE_TRAIN_REFERENCE_H
#define AE_TRAIN_REFERENCE_H

#include "train/pass.h"

typedef struct {
    double *values; /* [n_reference] for every item of the set */
} ae_reference;

/* Called after every row of items; anything but 0 stops with AERIE_INTERRUPTED. */
typedef int ae_reference_progress(void *user, int64_t done, int64_t n);

/* Fills in `items` (repetitions allowed): from the cache file at `path` where the content is the
 * same, else by p->net, after which the cache is written again. `identity` names all that the
 * numbers depend on beside the tokens. A cache that cannot be used is not an error; one that cannot
 * be written is a remark in the log. */
aerie_status ae_reference_fill(ae_reference *r, const ae_pass *p, const int64_t *items, int64_t n,
                               const char *path, const char *identity,
                               ae_reference_progress *progress, void *user, aerie_error *err);
void ae_reference_free(ae_reference *r);

#endif
