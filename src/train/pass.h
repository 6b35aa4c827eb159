/* pass.h -- private: one packed row through the network, there and back. */
#ifndef AE_TRAIN_PASS_H
#define AE_TRAIN_PASS_H

#include "train/plan.h"

/* What stays the same from row to row. Borrows everything. */
typedef struct {
    const ae_recipe *recipe;
    const ae_objective *objective;
    const ae_samples *set;
    const double *reference; /* see ae_loss_call */
    ae_device *device;
    const ae_net *net;
    ae_arena *arena;          /* reset by every row */
    uint64_t dropout_key;     /* 0: off */
    const ae_dpo_term *terms; /* see ae_loss_call; ae_pass_items() sets these two */
    double nll_share;
    ae_running *running;     /* see ae_couple_call */
    bool values;             /* the score head's numbers too */
    bool entropy;            /* the distributions' entropies too */
    float temperature;       /* of the distribution that log-probabilities are of; 0: 1 */
    const ae_train_run *run; /* asked before every row whether to stop; NULL: it cannot */
} ae_pass;

/* Asks the caller of a run (which may be NULL): AERIE_INTERRUPTED, or AERIE_OK to go on. */
aerie_status ae_run_ask(const ae_train_run *run, aerie_error *err);

typedef enum {
    AE_PASS_TRAIN,    /* adds to the gradients of what has one, and to the sums */
    AE_PASS_EVALUATE, /* adds to the sums */
    AE_PASS_REFERENCE /* fills `out` of ae_pass_reference() */
} ae_pass_kind;

/* The items in rows of at most micro_batch_tokens. `share`: of all items of the step. */
aerie_status ae_pass_items(const ae_pass *p, ae_pass_kind kind, const int64_t *items, int64_t n,
                           double share, ae_loss_sums *sums, aerie_error *err);
/* The sum of the items' shares. */
double ae_pass_share(const ae_pass *p, const int64_t *items, int64_t n);
/* Fills out[n_reference * item] ... of one row of items. */
aerie_status ae_pass_reference(const ae_pass *p, const int64_t *items, int64_t n, double *out,
                               aerie_error *err);
/* Looks for the first number on an item's way through the network that is not finite, and names it:
 * AERIE_BAD_NUMBER. AERIE_OK: all are. */
aerie_status ae_pass_blame(const ae_pass *p, int64_t item, aerie_error *err);

#endif
