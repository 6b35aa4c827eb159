/* trainer.c -- the loop: steps in the plan's order, metrics, evaluations, checkpoints, output. */
#include "train/trainer.h"

#include "train/method.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The clock of this run. */
typedef struct {
    ae_trainer *t;
    double started;
    int64_t first_step, first_tokens;
} running;

int ae_trainer_tell(const ae_trainer *t, const aerie_train_progress *p)
{
    return t->run->progress ? t->run->progress(t->run->user, p) : 0;
}

static int tell_reference(void *user, int64_t done, int64_t n)
{
    const ae_trainer *t = user;

    return ae_trainer_tell(
        t, &(aerie_train_progress){ .phase = AERIE_TRAIN_REFERENCE, .step = done, .n_steps = n });
}

ae_pass ae_trainer_pass(ae_trainer *t, const ae_samples *set)
{
    return (ae_pass){ .recipe = t->recipe,
                      .objective = t->objective,
                      .set = set,
                      .reference = set == t->data ? t->reference.values : t->eval_reference.values,
                      .device = t->device,
                      .net = &t->net,
                      .arena = &t->rows,
                      .running = &t->at.running };
}

static aerie_status fill_reference(ae_trainer *t, ae_reference *r, const ae_samples *set,
                                   const int64_t *items, int64_t n, aerie_error *err)
{
    ae_pass pass = ae_trainer_pass(t, set);

    pass.net = &t->start;
    return ae_reference_fill(r, &pass, items, n, t->reference_path, t->start_identity.data,
                             tell_reference, t, err);
}

/* Before the first step: full training changes the weights that the reference is made of. */
static aerie_status make_references(ae_trainer *t, aerie_error *err)
{
    int64_t n_eval = t->eval ? t->objective->count(t->eval) : 0;
    int64_t *items;
    aerie_status status;

    if (t->objective->n_reference == 0 || t->recipe->reference_free) return AERIE_OK;
    status = fill_reference(t, &t->reference, t->data, t->plan.items, t->plan.n_items, err);
    if (status || n_eval == 0) return status;
    items = ae_plan_all(n_eval, err);
    if (!items) return AERIE_NO_MEMORY;
    status = fill_reference(t, &t->eval_reference, t->eval, items, n_eval, err);
    ae_free(items);
    return status;
}

aerie_status ae_trainer_follow(ae_trainer *t, aerie_error *err)
{
    if (!t->recipe->lora_dora || t->recipe->lora_r == 0) return AERIE_OK;
    return ae_adapter_norms(t->adapters[t->n_adapters - 1], t->model, t->device, false, err);
}

aerie_status ae_trainer_update(ae_trainer *t, const ae_pass *pass, const int64_t *items, int64_t n,
                               int64_t number, aerie_train_progress *p, ae_loss_sums *sums,
                               aerie_error *err)
{
    aerie_status status;

    ae_optimizer_zero_grads(&t->optimizer);
    status = ae_trainer_follow(t, err);
    if (status) return status;
    status = ae_pass_items(pass, AE_PASS_TRAIN, items, n, ae_pass_share(pass, items, n), sums, err);
    if (status) return status;
    ae_model_gather_grads(t->copy ? t->copy : t->model);
    ae_metrics_of_sums(p, sums);
    if (!isfinite(p->loss)) return ae_trainer_blame(t, pass, items, n, err);
    status = ae_optimizer_norm(&t->optimizer, t->device, &p->grad_norm, err);
    if (status) return status;
    p->learning_rate = ae_schedule_rate(&t->schedule, t->at.step);
    ae_optimizer_step(&t->optimizer, t->device, t->recipe, p->learning_rate,
                      ae_clip_scale(p->grad_norm, t->recipe->max_grad_norm), number);
    return AERIE_OK;
}

/* One step of a method whose samples are known: one update. */
static aerie_status train_step(ae_trainer *t, aerie_train_progress *p, ae_loss_sums *sums,
                               aerie_error *err)
{
    int64_t step = t->at.step, first = t->plan.first[step], n = t->plan.first[step + 1] - first;
    const int64_t *items = t->plan.items + first;
    ae_pass pass = ae_trainer_pass(t, t->data);
    aerie_status status;

    pass.run = t->run;
    pass.dropout_key = ae_mix64((uint64_t)t->recipe->seed ^ ae_mix64((uint64_t)step)) | 1;
    *sums = (ae_loss_sums){ 0 };
    status = ae_trainer_update(t, &pass, items, n, step + 1, p, sums, err);
    if (status) return status;
    t->at.step++;
    t->at.tokens += ae_plan_tokens(t->recipe, t->objective, t->data, items, n);
    return AERIE_OK;
}

static void take_time(const running *r, aerie_train_progress *p)
{
    double seconds = ae_clock_seconds() - r->started;
    int64_t steps = r->t->at.step - r->first_step;

    p->phase = AERIE_TRAIN_STEP;
    p->step = r->t->at.step;
    p->n_steps = r->t->plan.n_steps;
    p->tokens = r->t->at.tokens;
    if (seconds > 0) p->tokens_per_second = (double)(p->tokens - r->first_tokens) / seconds;
    p->seconds_left = seconds / (double)steps * (double)(p->n_steps - p->step);
}

static aerie_status save_checkpoint(ae_trainer *t, aerie_error *err)
{
    aerie_status status =
        ae_checkpoint_write(t->checkpoint_path, &t->at, t->identity.data, &t->optimizer, err);

    if (!status) t->saved = t->at.step;
    return status;
}

static bool evaluation_is_due(const ae_trainer *t)
{
    return t->recipe->eval_steps > 0 && t->at.step % t->recipe->eval_steps == 0;
}

/* What is due after a step. */
static aerie_status after_step(ae_trainer *t, const aerie_train_progress *p,
                               const ae_loss_sums *sums, aerie_error *err)
{
    const ae_recipe *r = t->recipe;
    bool last = p->step == p->n_steps;
    aerie_status status = AERIE_OK;

    ae_expect_step(&t->expectation, r, p);
    if (p->step % r->logging_steps == 0 || last)
        status = ae_metrics_write(&t->metrics, "train", p, sums, err);
    if (!status && !last && evaluation_is_due(t)) status = ae_trainer_evaluate(t, err);
    if (!status && !last && r->save_steps > 0 && p->step % r->save_steps == 0)
        status = save_checkpoint(t, err);
    if (status) return status;
    /* At the end there is nothing left to stop. */
    if (ae_trainer_tell(t, p) && !last)
        return aerie_fail(err, AERIE_INTERRUPTED,
                          "stopped after step %lld of %lld; --resume goes on from "
                          "%s",
                          (long long)p->step, (long long)p->n_steps, t->checkpoint_path);
    return AERIE_OK;
}

/* An evaluation that is not after a step of this process: its failure keeps the state, too. */
static aerie_status evaluate_apart(ae_trainer *t, aerie_error *err)
{
    aerie_status status = ae_trainer_evaluate(t, err);

    if (status && t->saved != t->at.step) save_checkpoint(t, NULL);
    return status;
}

/* The step under way has changed nothing, and is done again. */
static aerie_status stop_within(ae_trainer *t, const ae_checkpoint *before, aerie_error *err)
{
    aerie_status status;

    if (err) *err = (aerie_error){ 0 };
    t->at = *before;
    status = save_checkpoint(t, err);
    if (status) return status;
    return aerie_fail(err, AERIE_INTERRUPTED,
                      "stopped within step %lld of %lld, which will be done again; --resume goes "
                      "on from %s",
                      (long long)t->at.step + 1, (long long)t->plan.n_steps, t->checkpoint_path);
}

/* A run that ends before its first checkpoint leaves the state before the step that failed, where
 * that is still there and sound: of a method that samples an update may have been made since. */
static void keep_good(ae_trainer *t, const ae_checkpoint *before)
{
    if (t->saved >= 0 || before->step == 0 || t->at.updates != before->updates ||
        ae_trainer_unsound(t))
        return;
    t->at = *before;
    if (save_checkpoint(t, NULL) == AERIE_OK)
        ae_log(AERIE_LOG_WARNING, "the state after step %lld, the last good one, is kept in %s",
               (long long)before->step, t->checkpoint_path);
}

/* A step that fails has not changed the weights unless it was done: its number says which. A failed
 * step leaves the checkpoint of an earlier one; trouble after a step first keeps that step. */
static aerie_status one_step(const running *r, aerie_error *err)
{
    ae_trainer *t = r->t;
    aerie_train_progress p = { 0 };
    ae_loss_sums sums;
    aerie_error trouble = { 0 };
    const ae_checkpoint before = t->at;
    aerie_status status = ae_method_of(t->recipe)->online ? ae_online_step(t, &p, &sums, err)
                                                          : train_step(t, &p, &sums, err);

    if (status == AERIE_INTERRUPTED) return stop_within(t, &before, err);
    if (status) {
        aerie_error_prefix(err, "step %lld", (long long)t->at.step + 1);
        if (status == AERIE_BAD_NUMBER) keep_good(t, &before);
        return status;
    }
    take_time(r, &p);
    if (t->at.step == r->first_step + 1) t->summary->first_loss = p.loss;
    t->summary->last_loss = p.loss;
    status = after_step(t, &p, &sums, err);
    if (!status) return AERIE_OK;
    if (save_checkpoint(t, &trouble) && status == AERIE_INTERRUPTED) {
        status = trouble.status; /* the promise to go on from there could not be kept */
        if (err) *err = trouble;
    }
    return status;
}

static aerie_status run_steps(ae_trainer *t, aerie_error *err)
{
    running r = { .t = t,
                  .started = ae_clock_seconds(),
                  .first_step = t->at.step,
                  .first_tokens = t->at.tokens };
    aerie_status status = AERIE_OK;

    t->summary->first_step = t->at.step;
    /* A run may have been stopped in an evaluation. */
    if (t->at.step > 0 && t->at.step < t->plan.n_steps && evaluation_is_due(t))
        status = evaluate_apart(t, err);
    while (t->at.step < t->plan.n_steps && !ae_best_has_ended(t) && !status)
        status = one_step(&r, err);
    t->summary->tokens = t->at.tokens - r.first_tokens;
    t->summary->seconds = ae_clock_seconds() - r.started;
    return status;
}

static aerie_status write_output(const ae_trainer *t, aerie_error *err)
{
    const ae_recipe *r = t->recipe;

    if (ae_online_has_values(r) && r->lora_r > 0)
        ae_adapter_drop_score(t->adapters[t->n_adapters - 1]);
    if (ae_online_has_values(r) && t->copy) ae_model_drop_score(t->copy);
    if (r->lora_r > 0) {
        const ae_adapter *a = t->adapters[t->n_adapters - 1];
        return r->lora_format == AE_LORA_PEFT ? ae_adapter_save_peft(a, r->output, t->model, err)
                                              : ae_adapter_save(a, r->output, t->model, err);
    }
    return ae_model_save_gguf(t->copy ? t->copy : t->model, r->output, ae_recipe_output_type(r),
                              err);
}

/* The last state goes into a checkpoint before the best one takes its place. */
static aerie_status write_best(ae_trainer *t, aerie_error *err)
{
    bool other = t->recipe->keep_best && t->at.best_step > 0 && t->at.best_step != t->at.step;
    aerie_status status = other && t->saved != t->at.step ? save_checkpoint(t, err) : AERIE_OK;

    if (!status) status = ae_best_take(t, err);
    return status ? status : write_output(t, err);
}

/* The checkpoint goes when the output is there; when that fails it is written instead. */
static aerie_status finish(ae_trainer *t, aerie_error *err)
{
    aerie_status status;

    ae_trainer_tell(t, &(aerie_train_progress){ .phase = AERIE_TRAIN_SAVING,
                                                .step = t->at.step,
                                                .n_steps = t->plan.n_steps });
    status = write_best(t, err);
    if (!status) {
        remove(t->checkpoint_path);
        if (t->recipe->keep_best) remove(t->best_path);
        return AERIE_OK;
    }
    if (t->saved == t->at.step || save_checkpoint(t, NULL) == AERIE_OK)
        ae_log(AERIE_LOG_WARNING,
               "the trained state is kept in %s; --resume writes the output from it",
               t->checkpoint_path);
    return status;
}

/* The output's folder is made, and a name that cannot be a file's is refused before hours of work.
 */
static aerie_status make_parent(const char *path, bool is_folder, aerie_error *err)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash && slash != path ? ae_strndup(path, (size_t)(slash - path)) : NULL;
    aerie_status status = folder ? ae_file_make_folder(folder, err) : AERIE_OK;

    ae_free(folder);
    if (!status && !is_folder && ae_file_is_folder(path))
        status = aerie_fail(err, AERIE_BAD_ARGUMENT,
                            "%s: 'output' is a folder, the name of a file is wanted", path);
    return status;
}

static aerie_status train(ae_trainer *t, aerie_error *err)
{
    aerie_status status = make_parent(
        t->recipe->output, t->recipe->lora_r > 0 && t->recipe->lora_format == AE_LORA_PEFT, err);

    if (!status && t->run->resume)
        status =
            ae_checkpoint_read(t->checkpoint_path, &t->at, t->identity.data, &t->optimizer, err);
    if (!status && t->run->resume) t->saved = t->at.step;
    if (!status) status = ae_best_begin(t, err);
    if (!status) ae_trainer_record(t);
    if (!status) status = make_references(t, err);
    if (!status) status = ae_metrics_open(&t->metrics, t->metrics_path, t->at.step, err);
    t->metrics.level_name = t->objective->level_name;
    t->metrics.log = t->log;
    if (!status) status = run_steps(t, err);
    t->summary->n_done = t->at.step;
    t->summary->ended_early = !status && t->at.step < t->plan.n_steps;
    if (!status) status = evaluate_apart(t, err);
    return status ? status : finish(t, err);
}

static void end_record(ae_trainer *t, aerie_status status, const aerie_error *err)
{
    aerie_run_state state = status == AERIE_OK            ? AERIE_RUN_DONE
                            : status == AERIE_INTERRUPTED ? AERIE_RUN_INTERRUPTED
                                                          : AERIE_RUN_FAILED;
    const char *why = err && err->message[0] ? err->message : aerie_status_name(status);

    if (!status) why = t->summary->ended_early ? "ended early: evaluations got no better" : NULL;
    ae_run_end(t->log, state, why);
    t->log = NULL;
}

static void describe(const ae_trainer *t, aerie_train_summary *summary)
{
    ae_bytes text = { 0 };

    ae_trainer_describe(t, &text);
    summary->memory_bytes = ae_trainer_memory(t);
    snprintf(summary->plan, sizeof summary->plan, "%s", text.data ? text.data : "");
    ae_bytes_free(&text);
}

aerie_status ae_train(const ae_recipe *recipe, ae_device *device, ae_model *model,
                      const ae_samples *data, const ae_samples *eval, const ae_train_run *run,
                      aerie_train_summary *summary, aerie_error *err)
{
    ae_trainer t = { .recipe = recipe,
                     .device = device,
                     .model = model,
                     .data = data,
                     .eval = eval,
                     .run = run,
                     .summary = summary,
                     .saved = -1,
                     .at = { .notable = -INFINITY } };
    aerie_status status;

    *summary = (aerie_train_summary){ .eval_loss = NAN, .eval_reward = NAN };
    snprintf(summary->output, sizeof summary->output, "%s", recipe->output);
    status = ae_trainer_open(&t, err);
    if (!status) {
        summary->n_steps = t.plan.n_steps;
        describe(&t, summary);
    }
    if (!status && !run->dry_run) status = train(&t, err);
    end_record(&t, status, err);
    ae_trainer_close(&t);
    summary->peak_bytes = ae_peak_rss_bytes();
    return status;
}
