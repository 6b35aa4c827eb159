/* lint_read.c -- reads a recipe's data for `aerie lint`: records are encoded once and looked at
 * side by side, and what is found is told in their order. */
#include "train/lint.h"

#include <stdlib.h>
#include <string.h>

enum {
    AT_ONCE = 64,       /* records that are looked at side by side */
    MOST_COMPARED = 200 /* records that are rendered by the model's own template too */
};

typedef struct {
    ae_lint_run *run;
    const ae_dataset *dataset;
    size_t first; /* the record of seen[0] */
    ae_lint_seen seen[AT_ONCE];
    bool compare[AT_ONCE];
    ae_samples *part; /* where samples go */
    bool leave;       /* so much is wrong with the file that the rest of it is not looked at */
} reading;

static aerie_status no_memory(aerie_error *err)
{
    return aerie_fail(err, AERIE_NO_MEMORY, "no memory to look at the data");
}

/* ---- what is trained on ---- */

static void look_at_some(void *user, int64_t begin, int64_t end, int worker)
{
    reading *r = user;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        ae_example e = ae_dataset_at(r->dataset, r->first + (size_t)i);
        ae_lint_look(&r->seen[i], r->run, &e, r->compare[i]);
    }
}

static aerie_status take_in(reading *r, size_t i, aerie_error *err)
{
    ae_lint_run *l = r->run;
    const ae_lint_seen *seen = &r->seen[i];
    ae_example e = ae_dataset_at(r->dataset, r->first + i);

    if (seen->problem.status == AERIE_NO_MEMORY) return no_memory(err);
    l->n_records++;
    for (int c = 0; c < AE_N_LINT; c++)
        if (seen->found[c]) ae_lint_note(l, (ae_lint_check)c, &e);
    l->n_ended += seen->ended;
    l->n_unended += seen->unended;
    if (seen->problem.status) {
        r->leave = !ae_lint_note_unreadable(l, &seen->problem);
        return AERIE_OK;
    }
    if (!seen->sample.dropped) return ae_samples_add(r->part, &seen->sample, err);
    r->part->n_dropped++;
    return AERIE_OK;
}

/* Which ones are compared depends on the order alone. */
static void choose_compared(reading *r, size_t n)
{
    ae_lint_run *l = r->run;

    for (size_t i = 0; i < n; i++) {
        ae_example e = ae_dataset_at(r->dataset, r->first + i);
        r->compare[i] = l->n_compared < MOST_COMPARED && ae_lint_compares(l, &e);
        l->n_compared += r->compare[i];
    }
}

static aerie_status look_at_held(reading *r, aerie_error *err)
{
    size_t held = ae_dataset_len(r->dataset);
    aerie_status status = AERIE_OK;

    for (r->first = 0; r->first < held && !status && !r->leave; r->first += AT_ONCE) {
        size_t n = held - r->first < AT_ONCE ? held - r->first : AT_ONCE;
        choose_compared(r, n);
        ae_pool_run(r->run->pool, (int64_t)n, 1, look_at_some, r);
        for (size_t i = 0; i < n && !status && !r->leave; i++) status = take_in(r, i, err);
    }
    return status;
}

/* ---- what is held out ---- */

static aerie_status keep_prompts(reading *r, aerie_error *err)
{
    ae_lint_run *l = r->run;
    size_t held = ae_dataset_len(r->dataset), need = l->n_prompts + held;

    if (need > l->cap_prompts) {
        size_t cap = need > 2 * l->cap_prompts ? need + 1024 : 2 * l->cap_prompts;
        uint64_t *grown = ae_realloc(l->prompts, l->cap_prompts, cap, sizeof *grown);
        if (!grown) return no_memory(err);
        l->prompts = grown;
        l->cap_prompts = cap;
    }
    for (size_t i = 0; i < held; i++) {
        ae_example e = ae_dataset_at(r->dataset, i);
        l->prompts[l->n_prompts++] = ae_lint_prompt(&e);
    }
    l->n_records += (int64_t)held;
    return AERIE_OK;
}

/* ---- sources ---- */

/* Through a source to its end. What is before a bad row is looked at before the row is told of. */
static aerie_status walk(reading *r, ae_dataset *d, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    r->dataset = d;
    while (!status && !r->leave && !ae_dataset_ended(d)) {
        aerie_error problem = { 0 };
        aerie_status read = ae_dataset_more(d, AT_ONCE, &problem);
        status = r->part ? look_at_held(r, err) : keep_prompts(r, err);
        if (status || r->leave || !read) continue;
        if (read == AERIE_NO_MEMORY) return no_memory(err);
        r->leave = !ae_lint_note_unreadable(r->run, &problem);
    }
    return status;
}

/* Unless something was told of already, a source of which nothing is left is a finding. */
static void note_none_left(ae_lint_run *l, const ae_samples *part, const ae_dataset *d)
{
    aerie_error problem = { 0 };

    if (part->n > 0 || l->found[AE_LINT_UNREADABLE].count > 0) return;
    ae_dataset_none_left(d, part->n_dropped, &problem);
    ae_lint_note_unreadable(l, &problem);
}

/* part NULL: of eval_data. */
static aerie_status read_source(reading *r, const ae_source *source, ae_samples *part,
                                aerie_error *err)
{
    ae_lint_run *l = r->run;
    ae_dataset_options options = ae_recipe_dataset_options(l->recipe, source);
    ae_dataset *d = NULL;
    aerie_error problem = { 0 };
    aerie_status status = ae_dataset_start(&d, &source->path, 1, &options, &problem);

    r->part = part;
    r->leave = false;
    if (status == AERIE_NO_MEMORY) return no_memory(err);
    if (status) {
        ae_lint_note_unreadable(l, &problem);
        return AERIE_OK;
    }
    status = walk(r, d, err);
    l->found[AE_LINT_LEFT_OUT].count += (int64_t)ae_dataset_left_out(d);
    if (!status && part) {
        ae_recipe_took(part, source, d);
        note_none_left(l, part, d);
    }
    ae_dataset_close(d);
    return status;
}

static aerie_status join(ae_lint_run *l, aerie_error *err)
{
    aerie_error problem = { 0 };
    aerie_status status = ae_recipe_join(&l->data, l->recipe, l->model, &problem);

    if (status == AERIE_NO_MEMORY) return no_memory(err);
    if (status) ae_lint_note_unreadable(l, &problem);
    return AERIE_OK;
}

static aerie_status read_all(reading *r, aerie_error *err)
{
    ae_lint_run *l = r->run;
    const ae_sources *data = &l->recipe->data, *eval = &l->recipe->eval_data;
    aerie_status status = AERIE_OK;

    for (int64_t i = 0; i < eval->n && !status; i++)
        status = read_source(r, &eval->items[i], NULL, err);
    if (l->n_prompts) qsort(l->prompts, l->n_prompts, sizeof *l->prompts, ae_lint_by_hash);
    for (int64_t i = 0; i < data->n && !status; i++) {
        l->data.n_parts = i + 1;
        status = read_source(r, &data->items[i], &l->data.parts[i], err);
    }
    return status || l->found[AE_LINT_UNREADABLE].count > 0 ? status : join(l, err);
}

aerie_status ae_lint_read(ae_lint_run *l, aerie_error *err)
{
    reading *r = ae_alloc(1, sizeof *r);
    aerie_status status;

    l->data.parts = ae_alloc((size_t)l->recipe->data.n, sizeof *l->data.parts);
    if (r) r->run = l;
    status = r && l->data.parts ? read_all(r, err) : no_memory(err);
    for (size_t i = 0; r && i < AT_ONCE; i++) ae_arena_free(&r->seen[i].arena);
    ae_free(r);
    return status;
}
