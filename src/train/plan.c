/* plan.c -- which items make which optimizer step: known whole before the first one, from the
 * recipe, the data's sizes and the seed alone. The cursor of a checkpoint is a step's number. */
#include "train/plan.h"

#include <math.h>
#include <string.h>

typedef struct {
    const ae_recipe *recipe;
    const ae_objective *objective;
    const ae_samples *set;
    int64_t *order; /* [count] */
    int64_t count;
} planner;

static aerie_status no_memory(aerie_error *err)
{
    return aerie_fail(err, AERIE_NO_MEMORY, "no memory to plan the training steps");
}

static bool grow(int64_t **array, int64_t *cap, int64_t need)
{
    int64_t want = *cap * 2 > need ? *cap * 2 : need + 64;
    int64_t *grown;

    if (need <= *cap) return true;
    grown = ae_realloc(*array, (size_t)*cap, (size_t)want, sizeof **array);
    if (!grown) return false;
    *array = grown;
    *cap = want;
    return true;
}

/* Closes a step over the next n items of the order. */
static bool add_step(ae_plan *plan, const int64_t *items, int64_t n)
{
    if (!grow(&plan->items, &plan->cap_items, plan->n_items + n) ||
        !grow(&plan->first, &plan->cap_steps, plan->n_steps + 2))
        return false;
    memcpy(plan->items + plan->n_items, items, (size_t)n * sizeof *items);
    plan->n_items += n;
    plan->first[++plan->n_steps] = plan->n_items;
    return true;
}

static int64_t step_size(const planner *p, const int64_t *items, int64_t n)
{
    const ae_recipe *r = p->recipe;

    if (r->batch_tokens > 0)
        return ae_plan_micro(r, p->objective, p->set, items, n, r->batch_tokens);
    return n < r->batch_size ? n : r->batch_size;
}

static void order_epoch(const planner *p, int64_t epoch)
{
    if (p->recipe->shuffle)
        ae_epoch_order(p->order, p->count, (uint64_t)p->recipe->seed, epoch);
    else
        for (int64_t i = 0; i < p->count; i++) p->order[i] = i;
}

/* Adds steps until the epoch or `max_steps` (0: no limit) is reached. */
static bool add_epoch(ae_plan *plan, const planner *p, int64_t epoch, int64_t max_steps)
{
    int64_t at = 0;

    order_epoch(p, epoch);
    while (at < p->count && (max_steps == 0 || plan->n_steps < max_steps)) {
        int64_t n = step_size(p, p->order + at, p->count - at);
        if (!add_step(plan, p->order + at, n)) return false;
        at += n;
    }
    return true;
}

static bool add_steps(ae_plan *plan, const planner *p)
{
    const ae_recipe *r = p->recipe;
    double whole = floor(r->epochs), rest = r->epochs - whole;
    int64_t epoch = 0, before;

    if (r->max_steps > 0) {
        while (plan->n_steps < r->max_steps)
            if (!add_epoch(plan, p, epoch++, r->max_steps)) return false;
        return true;
    }
    for (; epoch < (int64_t)whole; epoch++)
        if (!add_epoch(plan, p, epoch, 0)) return false;
    if (rest <= 0) return true;
    /* A part of an epoch: that share of its steps. */
    before = plan->n_steps;
    if (!add_epoch(plan, p, epoch, 0)) return false;
    plan->n_steps = before + (int64_t)ceil(rest * (double)(plan->n_steps - before));
    plan->n_items = plan->first[plan->n_steps];
    return true;
}

static int64_t count_first_epoch(const ae_plan *plan, int64_t count)
{
    int64_t s = 0;

    while (s < plan->n_steps && plan->first[s] < count) s++;
    return s;
}

aerie_status ae_plan_new(ae_plan *plan, const ae_recipe *recipe, const ae_objective *objective,
                         const ae_samples *set, aerie_error *err)
{
    planner p = { .recipe = recipe, .objective = objective, .set = set };
    bool ok;

    *plan = (ae_plan){ 0 };
    p.count = objective->count(set);
    if (p.count == 0)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "the data has no sample to train on (%zu were dropped); see 'max_length'",
                          set->n_dropped);
    p.order = ae_alloc((size_t)p.count, sizeof *p.order);
    ok = p.order && grow(&plan->first, &plan->cap_steps, 2) && add_steps(plan, &p);
    ae_free(p.order);
    if (ok) {
        plan->steps_per_epoch = count_first_epoch(plan, p.count);
        return AERIE_OK;
    }
    ae_plan_free(plan);
    return no_memory(err);
}

void ae_plan_free(ae_plan *plan)
{
    ae_free(plan->items);
    ae_free(plan->first);
    *plan = (ae_plan){ 0 };
}

int64_t ae_plan_micro(const ae_recipe *recipe, const ae_objective *objective, const ae_samples *set,
                      const int64_t *items, int64_t n, int64_t max_tokens)
{
    int64_t tokens = 0, k = 0;

    while (k < n) {
        tokens += objective->tokens(recipe, set, items[k]);
        if (k > 0 && tokens > max_tokens) break;
        k++;
    }
    return k;
}

int64_t ae_plan_tokens(const ae_recipe *recipe, const ae_objective *objective,
                       const ae_samples *set, const int64_t *items, int64_t n)
{
    int64_t tokens = 0;

    for (int64_t k = 0; k < n; k++) tokens += objective->tokens(recipe, set, items[k]);
    return tokens;
}

int64_t *ae_plan_all(int64_t n, aerie_error *err)
{
    int64_t *items = ae_alloc((size_t)n, sizeof *items);

    if (!items) aerie_fail(err, AERIE_NO_MEMORY, "no memory for %lld samples", (long long)n);
    for (int64_t i = 0; items && i < n; i++) items[i] = i;
    return items;
}
