/* lint.c -- `aerie lint`: everything that a recipe would train on, looked at before it is. */
#include "train/lint.h"

#include <stdio.h>
#include <stdlib.h>
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
    [AE_LINT_LONG_PROMPT] = { "prompt_too_long", true,
                              "the prompt alone fills max_length and loses a part; raise it, or "
                              "remove these rows" },
    [AE_LINT_EMPTIED] = { "empty_after_truncation", true,
                          "nothing of an answer is left once it is cut to max_length, and the row "
                          "is "
                          "dropped; raise max_length, or remove these rows" },
    [AE_LINT_EMPTY] = { "empty_answer", true, "an answer is empty; remove or mend these rows" },
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

/* ---- the data ---- */

enum { MOST_UNREADABLE = 100 };

/* A row that cannot be used is counted, and its sentence kept; where the file itself is damaged the
 * same sentence comes again, and the file is left. False: leave it. */
static bool note_unreadable(ae_lint_run *l, aerie_error *problem)
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

static aerie_status add_prompt(ae_lint_run *l, const ae_example *e, aerie_error *err)
{
    if (l->n_prompts == l->cap_prompts) {
        size_t cap = l->cap_prompts ? 2 * l->cap_prompts : 1024;
        uint64_t *grown = ae_realloc(l->prompts, l->cap_prompts, cap, sizeof *grown);
        if (!grown)
            return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the prompts of eval_data");
        l->prompts = grown;
        l->cap_prompts = cap;
    }
    l->prompts[l->n_prompts++] = ae_lint_prompt(e);
    return AERIE_OK;
}

static aerie_status look_at(ae_lint_run *l, const ae_dataset *d, bool is_eval, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    for (size_t i = 0; i < ae_dataset_len(d) && !status; i++) {
        ae_example e = ae_dataset_at(d, i);
        l->n_records++;
        status = is_eval ? add_prompt(l, &e, err) : ae_lint_record(l, &e, err);
    }
    return status;
}

/* One record at a time: a bad one takes no good ones with it. */
static aerie_status walk(ae_lint_run *l, const ae_source *source, bool is_eval, aerie_error *err)
{
    ae_dataset_options options = ae_recipe_dataset_options(l->recipe, source);
    ae_dataset *d = NULL;
    aerie_error problem = { 0 };
    aerie_status status = ae_dataset_start(&d, &source->path, 1, &options, &problem);

    if (status && !note_unreadable(l, &problem)) goto done;
    while (d && !ae_dataset_ended(d)) {
        problem = (aerie_error){ 0 };
        status = ae_dataset_more(d, 1, &problem);
        if (!status) status = look_at(l, d, is_eval, &problem);
        if (status && !note_unreadable(l, &problem)) break;
    }
done:
    if (d) l->found[AE_LINT_LEFT_OUT].count += (int64_t)ae_dataset_left_out(d);
    ae_dataset_close(d);
    return problem.status == AERIE_NO_MEMORY
               ? aerie_fail(err, AERIE_NO_MEMORY, "%s", problem.message)
               : AERIE_OK;
}

static int by_hash(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static aerie_status walk_all(ae_lint_run *l, aerie_error *err)
{
    const ae_recipe *r = l->recipe;
    aerie_status status = AERIE_OK;

    for (int64_t i = 0; i < r->eval_data.n && !status; i++)
        status = walk(l, &r->eval_data.items[i], true, err);
    if (l->n_prompts) qsort(l->prompts, l->n_prompts, sizeof *l->prompts, by_hash);
    for (int64_t i = 0; i < r->data.n && !status; i++)
        status = walk(l, &r->data.items[i], false, err);
    return status;
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

/* Plans the run as --dry-run does. Data that is no good was told of already. */
static void check_memory(ae_lint_run *l, ae_device *device, const char *template_source)
{
    uint64_t left = ae_memory_left().resident;
    ae_lint_finding *f = &l->found[AE_LINT_MEMORY];
    ae_recipe_samples data = { 0 };
    aerie_train_summary summary;
    aerie_error problem = { 0 };
    ae_train_run run = { .dry_run = true };
    aerie_status status =
        ae_recipe_read(&data, l->recipe, &l->recipe->data, l->model, template_source, &problem);

    if (status) {
        note_unreadable(l, &problem);
        return;
    }
    status = ae_train(l->recipe, device, l->model, &data.all, NULL, &run, &summary, &problem);
    ae_recipe_samples_free(&data);
    if (status == AERIE_NO_MEMORY || (!status && summary.memory_bytes > left)) {
        f->count = 1;
        snprintf(f->what, sizeof f->what,
                 "training takes about %.1f GB and %.1f GB can be had: lower micro_batch_tokens or "
                 "max_length, set 'recompute: true', or train an adapter, 'lora: {r: 16}'",
                 status ? 0 : (double)summary.memory_bytes / 1e9, (double)left / 1e9);
    } else if (status) {
        note_unreadable(l, &problem);
    }
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
                                    .what = checks[i].what ? checks[i].what : f->what };
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
    /* A method that samples its replies has prompts alone, which the plan below reads. */
    if (!ae_method_of(recipe)->online) status = walk_all(&l, err);
    settle_ends(&l);
    if (!status && l.found[AE_LINT_UNREADABLE].count == 0)
        check_memory(&l, device, template_source);
    if (!status) tell(&l, show, user, summary);
    ae_template_free(l.own);
    ae_free(l.prompts);
    ae_arena_free(&l.names);
    ae_arena_free(&l.tokens);
    ae_recipe_encoder_close(&encoder);
    return status;
}
