/* evaluate.c -- what the held-out data says while a run trains, and the best state that it has
 * seen.
 *
 * Everything that an evaluation decides is in the checkpoint: a run that is killed and resumed
 * evaluates at the same steps, finds the same numbers, keeps the same state and stops at the same
 * step as one that was not. */
#include "train/method.h"
#include "train/recipe.h"
#include "train/trainer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- the best state ---- */

static const char *const metric_names[] = { "loss", "accuracy", "margin", "reward" };

const char *ae_best_metric_name(int metric)
{
    return metric >= 0 && (size_t)metric < AE_COUNT(metric_names) ? metric_names[metric] : NULL;
}

bool ae_best_is_wanted(const ae_recipe *r)
{
    return r->keep_best || r->patience > 0;
}

/* The larger the better. */
static double merit_of(const ae_recipe *r, const aerie_train_progress *p)
{
    switch ((ae_best_metric)r->best_metric) {
    case AE_BEST_ACCURACY:
        return p->accuracy;
    case AE_BEST_MARGIN:
        return p->margin;
    case AE_BEST_REWARD:
        return p->reward;
    case AE_BEST_LOSS:
        break;
    }
    return -p->loss;
}

/* With patience, an evaluation counts as better only by more than min_delta; the state that is kept
 * is the best by any difference. */
static aerie_status look(ae_trainer *t, const aerie_train_progress *p, aerie_error *err)
{
    const ae_recipe *r = t->recipe;
    double merit = merit_of(r, p);
    bool first = t->at.best_step == 0;

    if (!ae_best_is_wanted(r)) return AERIE_OK;
    t->at.n_stale++;
    if (isfinite(merit) && merit > t->at.notable + r->min_delta) {
        t->at.notable = merit;
        t->at.n_stale = 0;
    }
    if (!isfinite(merit) || (!first && merit <= t->at.best)) return AERIE_OK;
    t->at.best = merit;
    t->at.best_step = t->at.step;
    if (!r->keep_best) return AERIE_OK;
    return ae_checkpoint_write(t->best_path, &t->at, t->identity.data, &t->optimizer, err);
}

bool ae_best_has_ended(const ae_trainer *t)
{
    return t->recipe->patience > 0 && t->at.n_stale >= t->recipe->patience;
}

aerie_status ae_best_begin(const ae_trainer *t, aerie_error *err)
{
    if (!t->recipe->keep_best) return AERIE_OK;
    if (!t->run->resume)
        remove(t->best_path); /* another run's */
    else if (t->at.best_step > 0 && t->at.best_step != t->at.step && !ae_file_exists(t->best_path))
        return aerie_fail(err, AERIE_NOT_FOUND,
                          "%s: it has the state of step %lld, the best so far, and is not there; "
                          "start again without resuming",
                          t->best_path, (long long)t->at.best_step);
    return AERIE_OK;
}

aerie_status ae_best_take(ae_trainer *t, aerie_error *err)
{
    ae_checkpoint best;
    aerie_status status;

    t->summary->best_step = t->at.best_step;
    if (t->at.best_step == 0) return AERIE_OK;
    t->summary->best = t->recipe->best_metric == AE_BEST_LOSS ? -t->at.best : t->at.best;
    if (!t->recipe->keep_best || t->at.best_step == t->at.step) return AERIE_OK;
    status = ae_checkpoint_read(t->best_path, &best, t->identity.data, &t->optimizer, err);
    if (!status && best.step != t->at.best_step)
        status = aerie_fail(err, AERIE_BAD_FILE,
                            "%s: it has the state of step %lld, the best was that of step %lld; "
                            "start again without resuming",
                            t->best_path, (long long)best.step, (long long)t->at.best_step);
    return status ? status : ae_trainer_follow(t, err);
}

/* ---- evaluations ---- */

static aerie_status evaluate(ae_trainer *t, aerie_train_progress *p, ae_loss_sums *sums,
                             aerie_error *err)
{
    int64_t n = t->objective->count(t->eval);
    ae_pass pass = ae_trainer_pass(t, t->eval);
    int64_t *items = ae_plan_all(n, err);
    aerie_status status;

    if (!items) return AERIE_NO_MEMORY;
    pass.run = t->run;
    status = ae_trainer_follow(t, err);
    if (!status) status = ae_pass_items(&pass, AE_PASS_EVALUATE, items, n, 1, sums, err);
    ae_free(items);
    if (!status) ae_metrics_of_sums(p, sums);
    return status;
}

/* Nothing is remembered of an evaluation that was not finished. */
static aerie_status stopped(const ae_trainer *t, aerie_error *err)
{
    if (err) *err = (aerie_error){ 0 };
    return aerie_fail(
        err, AERIE_INTERRUPTED,
        "stopped in the evaluation after step %lld of %lld, which will be done again; "
        "--resume goes on from %s",
        (long long)t->at.step, (long long)t->plan.n_steps, t->checkpoint_path);
}

aerie_status ae_trainer_evaluate(ae_trainer *t, aerie_error *err)
{
    aerie_train_progress p = { .phase = AERIE_TRAIN_EVAL,
                               .step = t->at.step,
                               .n_steps = t->plan.n_steps,
                               .tokens = t->at.tokens };
    ae_loss_sums sums = { 0 };
    aerie_status status;

    if (!t->eval || t->objective->count(t->eval) == 0 || t->at.evaluated == t->at.step)
        return AERIE_OK;
    status = ae_method_of(t->recipe)->online ? ae_online_evaluate(t, &p, &sums, err)
                                             : evaluate(t, &p, &sums, err);
    if (status == AERIE_INTERRUPTED) return stopped(t, err);
    if (!status) status = ae_metrics_write(&t->metrics, "eval", &p, &sums, err);
    if (status) return status;
    t->at.evaluated = t->at.step;
    status = look(t, &p, err);
    if (status) return status;
    t->summary->eval_loss = p.loss;
    t->summary->eval_reward = p.has_replies ? p.reward : NAN;
    ae_trainer_tell(t, &p);
    return AERIE_OK;
}
