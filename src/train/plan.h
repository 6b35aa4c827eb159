/* plan.h -- private: which items make which optimizer step. */
#ifndef AE_TRAIN_PLAN_H
#define AE_TRAIN_PLAN_H

#include "train/objective.h"

/* Step s computes items[first[s]] .. items[first[s + 1] - 1], in this order. */
typedef struct {
    int64_t *items, *first;
    int64_t n_steps, n_items; /* n_items counts repetitions */
    int64_t steps_per_epoch;  /* of the first epoch */
    int64_t cap_steps, cap_items;
} ae_plan;

/* The same for the same recipe and set. The last step of an epoch may be smaller. */
aerie_status ae_plan_new(ae_plan *plan, const ae_recipe *recipe, const ae_objective *objective,
                         const ae_samples *set, aerie_error *err);
void ae_plan_free(ae_plan *plan);

/* How many of items[0 .. n-1] fit into a row of `max_tokens`: at least one. */
int64_t ae_plan_micro(const ae_recipe *recipe, const ae_objective *objective, const ae_samples *set,
                      const int64_t *items, int64_t n, int64_t max_tokens);
int64_t ae_plan_tokens(const ae_recipe *recipe, const ae_objective *objective,
                       const ae_samples *set, const int64_t *items, int64_t n);
/* 0, 1, ... n - 1; the caller's (ae_free). NULL: there is no memory. */
int64_t *ae_plan_all(int64_t n, aerie_error *err);

#endif
