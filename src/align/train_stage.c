/* train_stage.c -- stages that train: planned, resumed or done. */
#include "align/stage.h"

#include <math.h>
#include <stdio.h>

static json_t *facts_of(const aerie_train_summary *s)
{
    return json_pack("{s:I, s:o, s:o, s:o, s:o, s:I, s:b, s:I, s:o}", "steps",
                     (json_int_t)s->n_done, "first_loss", ae_align_number(s->first_loss),
                     "last_loss", ae_align_number(s->last_loss), "eval_loss",
                     ae_align_number(s->eval_loss), "eval_reward", ae_align_number(s->eval_reward),
                     "best_step", (json_int_t)s->best_step, "ended_early", (int)s->ended_early,
                     "tokens", (json_int_t)s->tokens, "seconds", ae_align_number(s->seconds));
}

static void describe(const aerie_train_summary *s, char *out, size_t size)
{
    int n = snprintf(out, size, "%lld steps, loss %.4f -> %.4f", (long long)s->n_done,
                     s->first_loss, s->last_loss);

    if (!isnan(s->eval_loss))
        n += snprintf(out + n, size - (size_t)n, ", evaluation loss %.4f", s->eval_loss);
    if (!isnan(s->eval_reward))
        snprintf(out + n, size - (size_t)n, ", evaluation reward %.4f", s->eval_reward);
}

static aerie_status plan(ae_doing *d, const aerie_recipe_facts *facts, aerie_train_summary *s)
{
    aerie_train_options o = d->a->train;
    aerie_error why = { 0 };
    aerie_status status;

    if (d->a->looks) return AERIE_OK;
    o.settings = d->settings;
    o.n_settings = d->n_settings;
    o.dry_run = true;
    o.resume = false;
    status = aerie_train(d->stage->recipe, &o, s, &why);
    if (status == AERIE_NOT_FOUND && d->number > 0) {
        ae_bytes text = { 0 };
        ae_bytes_printf(&text, "cannot be planned before what it needs is there: %s\n",
                        why.message);
        ae_align_tell_stage(d, AERIE_ALIGN_PLANNED, facts->output, text.data);
        ae_bytes_free(&text);
        return AERIE_OK;
    }
    if (status) return aerie_fail(d->err, status, "%s", why.message);
    ae_align_tell_stage(d, AERIE_ALIGN_PLANNED, facts->output, s->plan);
    json_array_append_new(json_object_get(d->a->report, "stages"),
                          json_pack("{s:s, s:s, s:s, s:s, s:I, s:I}", "name", d->stage->name,
                                    "kind", "train", "state", "planned", "output", facts->output,
                                    "steps", (json_int_t)s->n_steps, "memory_bytes",
                                    (json_int_t)s->memory_bytes));
    return AERIE_OK;
}

static aerie_status run_training(ae_doing *d, const aerie_recipe_facts *facts,
                                 aerie_train_summary *s)
{
    ae_aligner *a = d->a;
    aerie_train_options o = a->train;
    ae_bytes checkpoint = { 0 };
    char text[256];
    aerie_status status;

    ae_bytes_printf(&checkpoint, "%s.checkpoint", facts->output);
    o.settings = d->settings;
    o.n_settings = d->n_settings;
    o.dry_run = false;
    o.resume = ae_align_state_begun(&a->state, d->stage->name, a->keys[d->number]) &&
               checkpoint.data && ae_file_exists(checkpoint.data);
    ae_bytes_free(&checkpoint);
    ae_align_tell_stage(d, o.resume ? AERIE_ALIGN_RESUMES : AERIE_ALIGN_BEGINS, facts->output, "");
    status = ae_align_begin(d, facts->output);
    if (!status) status = aerie_train(d->stage->recipe, &o, s, d->err);
    if (!status) status = ae_align_note(d, "done", facts->output, facts_of(s));
    if (status) return status;
    describe(s, text, sizeof text);
    ae_align_tell_stage(d, AERIE_ALIGN_DONE, facts->output, text);
    return AERIE_OK;
}

/* The settings and files of a recipe into the key; in a dry run data may still be missing. */
static aerie_status look(ae_doing *d, aerie_recipe_facts *facts)
{
    bool dry = d->a->dry;
    aerie_status status = aerie_recipe_look(d->stage->recipe, d->settings, d->n_settings, facts,
                                            dry ? NULL : ae_align_add_file, d, d->err);

    if (d->status) return d->status;
    if (status || dry) return status;
    ae_align_add_key(d, "recipe", facts->hash);
    ae_align_add_key(d, "output", facts->output);
    return ae_align_add_model(d, facts->model);
}

aerie_status ae_align_train_stage(ae_doing *d)
{
    aerie_train_summary summary = { 0 };
    aerie_recipe_facts facts;
    aerie_status status;

    ae_align_make_settings(d);
    if (d->status) return d->status;
    status = look(d, &facts);
    if (status) return status;
    ae_align_end_key(d);
    if (d->a->dry)
        status = plan(d, &facts, &summary);
    else if (!ae_align_is_kept(d, facts.output))
        status = run_training(d, &facts, &summary);
    if (status) return status;
    const json_t *beneath = d->a->dry ? d->from.adapters : d->adapters;
    ae_align_leave(d, facts.adapter ? facts.model : facts.output,
                   d->a->dry || !d->from.base ? facts.model : d->from.base,
                   facts.adapter ? beneath : NULL, facts.adapter ? facts.output : NULL,
                   facts.output);
    return d->status;
}
