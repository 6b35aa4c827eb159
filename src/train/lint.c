/* lint.c -- `aerie lint`: everything that a recipe would train on, looked at before it is. */
#include "train/lint.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    bool wrong;
    const char *what;
} checks[AE_N_LINT] = {
    [AE_LINT_UNREADABLE] = { "unreadable", true, NULL },
    [AE_LINT_CONTEXT] = { "past_context", true, NULL },
    [AE_LINT_MEMORY] = { "memory", true, NULL },
    [AE_LINT_DOUBLE_BOS] = { "double_bos", true,
                             "two beginning-of-sequence tokens in a row: the template writes one "
                             "and "
                             "the text brings another; take it out of one of them" },
    [AE_LINT_EOS] = { "eos_not_trained", true,
                      "no reply learns a token that ends it, so the model will not stop: set "
                      "'append_eos: true', or a template that writes the token" },
    [AE_LINT_SOME_EOS] = { "reply_without_end", false,
                           "these learn no token that ends a reply: set 'append_eos: true' if they "
                           "should" },
    [AE_LINT_REFUSED] = { "refused", true, NULL },
    [AE_LINT_LONG_PROMPT] = { "prompt_too_long", true,
                              "the prompt alone fills max_length and loses a part; raise it, or "
                              "remove these rows" },
    [AE_LINT_EMPTIED] = { "empty_after_truncation", true,
                          "nothing of an answer is left once it is cut to max_length, and the row "
                          "is "
                          "dropped; raise max_length, or remove these rows" },
    [AE_LINT_EMPTY] = { "empty_answer", true, "an answer is empty; remove or mend these rows" },
    [AE_LINT_EMPTY_PROMPT] = { "empty_prompt", true,
                               "the prompt asks nothing; remove or mend these rows" },
    [AE_LINT_NO_ANSWER] = { "no_reference_answer", true,
                            "'reward: {source: number}' compares a reply with the number in the "
                            "record's 'answer', and these have none: add it, remove these rows, or "
                            "name another source of rewards" },
    [AE_LINT_IDENTICAL] = { "identical_answers", true,
                            "two answers are the same: there is nothing to prefer; remove these "
                            "rows" },
    [AE_LINT_TIED] = { "tied_answers", true,
                       "two answers have the same score or rank; remove these rows, or set "
                       "'min_margin'" },
    [AE_LINT_REVERSED] = { "reversed_scores", true,
                           "the chosen answer has the lower score; are the columns swapped?" },
    [AE_LINT_IN_BOTH] = { "prompt_in_eval_data", true,
                          "the prompt is in eval_data too, whose loss then says nothing; remove it "
                          "from one of them" },
    [AE_LINT_DRIFT] = { "template_drift", false, NULL },
    [AE_LINT_LEFT_OUT] = { "no_pair", false,
                           "rows in which no answer is enough better than another; they are left "
                           "out" },
    [AE_LINT_PROMPT_LEFT_OUT] = { "prompt_left_out", false,
                                  "the prompt is longer than 'max_prompt_length'; these rows are "
                                  "left out" },
};

void ae_lint_note(ae_lint_run *l, ae_lint_check check, const ae_example *e)
{
    ae_lint_finding *f = &l->found[check];
    char place[300];

    if (e && f->count < AE_LINT_PLACES) {
        int n =
            snprintf(place, sizeof place, "%s%s%zu", e->file, e->is_row ? ": row " : ":", e->line);
        if (n > 0) f->places[f->count] = ae_arena_strndup(&l->names, place, strlen(place));
    }
    f->count++;
}

enum { MOST_UNREADABLE = 100 };

bool ae_lint_note_unreadable(ae_lint_run *l, const aerie_error *problem)
{
    ae_lint_finding *f = &l->found[AE_LINT_UNREADABLE];
    size_t last = (size_t)(f->count < AE_LINT_PLACES ? f->count : AE_LINT_PLACES);
    bool again = f->count > 0 && last > 0 && f->places[last - 1] &&
                 strcmp(f->places[last - 1], problem->message) == 0;

    if (problem->status == AERIE_NO_MEMORY || again) return false;
    if (f->count == 0) snprintf(f->what, sizeof f->what, "%s", problem->message);
    if (f->count < AE_LINT_PLACES)
        f->places[f->count] =
            ae_arena_strndup(&l->names, problem->message, strlen(problem->message));
    return ++f->count < MOST_UNREADABLE;
}

/* ---- the run ---- */

static void check_context(ae_lint_run *l)
{
    int64_t context = ae_model_config(l->model)->max_position;
    ae_lint_finding *f = &l->found[AE_LINT_CONTEXT];

    if (context <= 0 || l->recipe->max_length <= context) return;
    f->count = 1;
    snprintf(
        f->what, sizeof f->what,
        "max_length is %lld, the model's context %lld: what is past it the model has never seen; "
        "lower max_length",
        (long long)l->recipe->max_length, (long long)context);
}

/* Plans the run as --dry-run does, over the samples that were read. */
static void check_plan(ae_lint_run *l, ae_device *device)
{
    uint64_t left = ae_memory_left().resident;
    ae_lint_finding *memory = &l->found[AE_LINT_MEMORY], *refused = &l->found[AE_LINT_REFUSED];
    aerie_train_summary summary;
    aerie_error problem = { 0 };
    ae_train_run run = { .dry_run = true };
    aerie_status status = ae_model_check_scales(l->model, &problem);

    if (!status)
        status =
            ae_train(l->recipe, device, l->model, &l->data.all, NULL, &run, &summary, &problem);
    if (status == AERIE_NO_MEMORY || (!status && summary.memory_bytes > left)) {
        memory->count = 1;
        snprintf(memory->what, sizeof memory->what,
                 "training takes about %.1f GB and %.1f GB can be had: lower micro_batch_tokens or "
                 "max_length, set 'recompute: true', or train an adapter, 'lora: {r: 16}'",
                 status ? 0 : (double)summary.memory_bytes / 1e9, (double)left / 1e9);
    } else if (status) {
        refused->count = 1;
        snprintf(refused->what, sizeof refused->what, "%s", problem.message);
    }
}

/* Not where training would refuse what was told of already. */
static bool can_be_planned(const ae_lint_run *l)
{
    bool no_room = ae_method_of(l->recipe)->online && l->found[AE_LINT_LONG_PROMPT].count > 0;

    return l->found[AE_LINT_UNREADABLE].count == 0 && l->found[AE_LINT_NO_ANSWER].count == 0 &&
           !no_room;
}

static void word_room(ae_lint_run *l)
{
    int64_t context = ae_model_config(l->model)->max_position;
    int64_t most = l->recipe->online.max_new_tokens;
    ae_lint_finding *f = &l->found[AE_LINT_LONG_PROMPT];

    if (!ae_method_of(l->recipe)->online) return;
    if (most >= context) {
        snprintf(f->what, sizeof f->what,
                 "'rollout.max_new_tokens' (%lld) fills the model's context of %lld: lower it",
                 (long long)most, (long long)context);
        return;
    }
    snprintf(f->what, sizeof f->what,
             "the prompt and 'rollout.max_new_tokens' (%lld) are more than the model's context of "
             "%lld; lower that, or set 'max_prompt_length: %lld' to leave these rows out",
             (long long)most, (long long)context, (long long)(context - most));
}

static void open_own(ae_lint_run *l)
{
    const char *own = ae_model_template(l->model);
    ae_lint_finding *f = &l->found[AE_LINT_DRIFT];

    if (own && l->recipe->template_name) ae_template_parse(&l->own, ae_span_text(own), NULL);
    snprintf(
        f->what, sizeof f->what,
        "the recipe's template '%s' writes these otherwise than the model's own%s",
        l->recipe->template_name ? l->recipe->template_name : "",
        l->recipe->lora_r > 0
            ? ", which is what a chat with the adapter will use: leave 'template' out, or give "
              "the model the other one"
            : "; the trained model will carry the recipe's");
}

static void settle_ends(ae_lint_run *l)
{
    if (l->n_ended == 0 && l->n_unended > 0) {
        l->found[AE_LINT_EOS] = l->found[AE_LINT_SOME_EOS];
        l->found[AE_LINT_SOME_EOS].count = 0;
    }
}

static bool is_wrong(const ae_lint_run *l, int check)
{
    return checks[check].wrong || (check == AE_LINT_DRIFT && l->recipe->lora_r > 0);
}

static void tell(const ae_lint_run *l, aerie_lint_fn *show, void *user, aerie_lint_summary *summary)
{
    *summary = (aerie_lint_summary){ .n_records = l->n_records };
    for (int i = 0; i < AE_N_LINT; i++) {
        const ae_lint_finding *f = &l->found[i];
        aerie_lint_finding told = { .check = checks[i].name,
                                    .wrong = is_wrong(l, i),
                                    .count = f->count,
                                    .what = f->what[0] ? f->what : checks[i].what };
        if (f->count == 0) continue;
        for (int k = 0; k < AE_LINT_PLACES && f->places[k]; k++)
            told.places[told.n_places++] = f->places[k];
        summary->n_wrong += told.wrong;
        show(user, &told);
    }
}

aerie_status ae_lint(const ae_recipe *recipe, ae_device *device, ae_model *model,
                     const char *template_source, aerie_lint_fn *show, void *user,
                     aerie_lint_summary *summary, aerie_error *err)
{
    ae_recipe_encoder encoder;
    ae_lint_run l = { .recipe = recipe, .model = model, .encoder = &encoder };
    aerie_status status = ae_recipe_encoder_open(&encoder, recipe, model, template_source, err);

    if (status) return status;
    open_own(&l);
    check_context(&l);
    word_room(&l);
    status = ae_pool_open(&l.pool, (int)device->n_threads, err);
    if (!status) status = ae_lint_read(&l, err);
    settle_ends(&l);
    if (!status && can_be_planned(&l)) check_plan(&l, device);
    if (!status) tell(&l, show, user, summary);
    ae_recipe_samples_free(&l.data);
    ae_pool_close(l.pool);
    ae_template_free(l.own);
    ae_free(l.prompts);
    ae_arena_free(&l.names);
    ae_recipe_encoder_close(&encoder);
    return status;
}
