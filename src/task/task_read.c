/* task_read.c -- a task from its keys. */
#include "task/task_keys.h"

#include <string.h>

/* ---- how rows are written ---- */

static aerie_status read_form(const ae_task *t, task_form *f, json_t *map, const task_form *base,
                              aerie_error *err)
{
    aerie_status status = task_key_field(t, &f->text, map, "doc_to_text", err);

    if (!status) status = task_key_field(t, &f->target, map, "doc_to_target", err);
    if (!status) status = task_key_field(t, &f->choices, map, "doc_to_choice", err);
    if (!status)
        status = task_key_text(t, &f->target_delimiter, map, "target_delimiter",
                               base ? base->target_delimiter : " ", err);
    if (!status)
        status = task_key_text(t, &f->delimiter, map, "fewshot_delimiter",
                               base ? base->delimiter : "\n\n", err);
    return status;
}

static aerie_status read_sampler(ae_task *t, json_t *config, aerie_error *err)
{
    const char *name;
    aerie_status status = task_key_text(t, &name, config, "sampler", "default", err);

    if (status) return status;
    if (strcmp(name, "first_n") == 0)
        t->shots = SHOTS_FIRST;
    else if (strcmp(name, "default") != 0)
        return task_key_wanted(t, "fewshot_config", "given a 'sampler' that is default or first_n",
                               err);
    return AERIE_OK;
}

/* Rows that a file itself holds, as examples. */
static aerie_status read_samples(ae_task *t, json_t *config, aerie_error *err)
{
    size_t i;
    json_t *row;

    t->samples = task_key(config, "samples");
    if (!t->samples) return AERIE_OK;
    if (!json_is_array(t->samples))
        return task_key_wanted(t, "fewshot_config", "given 'samples' that are a list of rows", err);
    json_array_foreach(t->samples, i, row) if (!json_is_object(row)) return task_key_wanted(
        t, "fewshot_config", "given 'samples' that are a list of rows", err);
    return AERIE_OK;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* Where documents and shots come from (the harness' rule: shots of the split that is asked for, or
 * training, or validation; a document is kept from its own shots where the splits' names equal). */
static aerie_status read_splits(ae_task *t, json_t *config, aerie_error *err)
{
    const char *train, *validation, *test, *shots;
    aerie_status status = task_key_text(t, &train, t->spec, "training_split", NULL, err);

    if (!status) status = task_key_text(t, &validation, t->spec, "validation_split", NULL, err);
    if (!status) status = task_key_text(t, &test, t->spec, "test_split", NULL, err);
    if (!status) status = task_key_text(t, &shots, t->spec, "fewshot_split", NULL, err);
    if (!status) status = task_key_text(t, &shots, config, "split", shots, err);
    if (status) return status;
    if (!test && !validation)
        return aerie_fail(err, AERIE_BAD_TEXT,
                          "%s: neither 'test_split' nor 'validation_split' says what is asked",
                          t->file);
    t->test_split = test ? test : validation;
    t->same_split = same_text(shots, test);
    t->has_train = train != NULL;
    if (shots) t->samples = NULL;
    t->shot_split = shots ? shots : t->samples ? NULL : train ? train : t->test_split;
    return AERIE_OK;
}

static aerie_status read_shots(ae_task *t, aerie_error *err)
{
    json_t *config = task_key(t->spec, "fewshot_config");
    int64_t n;
    aerie_status status;

    if (config && !json_is_object(config))
        return task_key_wanted(t, "fewshot_config", "a mapping", err);
    status = task_key_count(t, &n, t->spec, "num_fewshot", 0, err);
    t->n_shots = (int)n;
    if (!status) status = read_sampler(t, config, err);
    if (!status) status = read_samples(t, config, err);
    if (!status) status = read_splits(t, config, err);
    if (!status) status = read_form(t, &t->shot, config, &t->ask, err);
    return status;
}

/* ---- columns ---- */

static aerie_status read_column(ae_task *t, task_column *out, const char *key, const char *name,
                                json_t *spec, aerie_error *err)
{
    json_t *value = json_is_object(spec) ? task_key(spec, "value") : spec;
    aerie_status status;

    out->name = name;
    status = task_key_at(t, key, err, ae_field_open(&out->field, value, err));
    if (status || !json_is_object(spec)) return status;
    status = task_key_text(t, &out->clean, spec, "clean", NULL, err);
    if (!status && out->clean && !task_clean_known(out->clean))
        return task_key_wanted(
            t, key, "given a 'clean' that aerie knows: hellaswag, hellaswag_olmes, wikitext", err);
    return status;
}

static aerie_status read_columns(ae_task *t, task_column **out, size_t *n, const char *key,
                                 json_t *map, aerie_error *err)
{
    aerie_status status = AERIE_OK;
    size_t i = 0;

    if (!json_is_object(map))
        return task_key_wanted(t, key, "a mapping of columns to templates", err);
    *out = ae_arena_take(&t->arena, json_object_size(map), sizeof **out);
    if (!*out) return task_no_memory(t, err);
    *n = json_object_size(map);
    for (void *p = json_object_iter(map); p && !status; p = json_object_iter_next(map, p))
        status = read_column(t, &(*out)[i++], key, json_object_iter_key(p),
                             json_object_iter_value(p), err);
    return status;
}

static aerie_status read_shapes(ae_task *t, aerie_error *err)
{
    json_t *list = task_key(t->spec, "columns");
    aerie_status status = AERIE_OK;

    if (!list) return AERIE_OK;
    if (!json_is_array(list)) return task_key_wanted(t, "columns", "a list of shapes", err);
    t->shapes = ae_arena_take(&t->arena, json_array_size(list), sizeof *t->shapes);
    if (!t->shapes) return task_no_memory(t, err);
    for (size_t i = 0; i < json_array_size(list) && !status; i++) {
        task_shape *shape = &t->shapes[t->n_shapes++];
        json_t *one = json_array_get(list, i);
        status = task_key_text(t, &shape->has, one, "has", NULL, err);
        if (!status) status = task_key_text(t, &shape->lacks, one, "lacks", NULL, err);
        if (!status && !shape->has)
            return task_key_wanted(t, "columns", "a list of {has: COLUMN, set: {...}}", err);
        if (!status)
            status =
                read_columns(t, &shape->columns, &shape->n, "columns", task_key(one, "set"), err);
    }
    return status;
}

/* Where the data can be had; {{subject}} is the family's member. */
static aerie_status read_source(ae_task *t, aerie_error *err)
{
    json_t *spec = task_key(t->spec, "source");
    ae_bytes text = { 0 };
    ae_field field;
    aerie_status status;

    if (!spec || !t->vars || !json_is_string(spec)) {
        status = task_key_text(t, &t->source, t->spec, "dataset_path", NULL, err);
        return status ? status : task_key_text(t, &t->source, t->spec, "source", t->source, err);
    }
    status = task_key_at(t, "source", err, ae_field_open(&field, spec, err));
    if (!status) status = ae_field_text(&text, &field, t->vars, err);
    if (!status) t->source = ae_arena_strndup(&t->arena, text.data, text.len);
    if (!status && !t->source) status = task_no_memory(t, err);
    ae_field_close(&field);
    ae_bytes_free(&text);
    return status;
}

static aerie_status read_data(ae_task *t, aerie_error *err)
{
    json_t *made = task_key(t->spec, "process_docs");
    aerie_status status;

    t->files = task_key(t->spec, "files");
    if (t->files && !json_is_object(t->files))
        return task_key_wanted(t, "files", "a mapping of splits to names of files", err);
    t->select = task_key(t->spec, "select");
    if (t->select && !json_is_object(t->select))
        return task_key_wanted(t, "select", "a mapping of columns to values", err);
    status = read_source(t, err);
    if (!status) status = read_shapes(t, err);
    if (!status && made) status = read_columns(t, &t->made, &t->n_made, "process_docs", made, err);
    return status;
}

/* ---- replies ---- */

static aerie_status read_filter(ae_task *t, ae_filter *f, json_t *spec, aerie_error *err)
{
    json_t *steps = task_key(spec, "filter");
    ae_filter_step *step;
    aerie_status status = task_key_text(t, &f->name, spec, "name", NULL, err);

    if (status) return status;
    if (!f->name || !json_is_array(steps))
        return task_key_wanted(t, "filter_list", "a list of {name: ..., filter: [{function: ...}]}",
                               err);
    step = ae_arena_take(&t->arena, json_array_size(steps), sizeof *step);
    if (!step) return task_no_memory(t, err);
    f->steps = step;
    for (; f->n_steps < json_array_size(steps); f->n_steps++) {
        json_t *one = json_array_get(steps, f->n_steps);
        step[f->n_steps].function = json_string_value(task_key(one, "function"));
        step[f->n_steps].options = one;
        if (!step[f->n_steps].function)
            return task_key_wanted(t, "filter_list",
                                   "a list of {name: ..., filter: [{function: ...}]}", err);
    }
    return AERIE_OK;
}

static aerie_status read_filters(ae_task *t, aerie_error *err)
{
    json_t *list = task_key(t->spec, "filter_list");
    aerie_status status = AERIE_OK;

    if (!list) return AERIE_OK;
    if (!json_is_array(list)) return task_key_wanted(t, "filter_list", "a list", err);
    t->filters = ae_arena_take(&t->arena, json_array_size(list), sizeof *t->filters);
    if (!t->filters) return task_no_memory(t, err);
    for (size_t i = 0; i < json_array_size(list) && !status; i++)
        status = read_filter(t, &t->filters[t->n_filters++], json_array_get(list, i), err);
    return status;
}

/* The harness takes the model's own way without 'do_sample' to be greedy, whatever the temperature.
 */
static aerie_status read_generation(ae_task *t, aerie_error *err)
{
    json_t *spec = task_key(t->spec, "generation_kwargs");
    ae_generation *g = &t->generation;
    aerie_status status;

    if (spec && !json_is_object(spec))
        return task_key_wanted(t, "generation_kwargs", "a mapping", err);
    status = task_key_texts(t, &g->until, &g->n_until, spec, "until", err);
    if (!status) status = task_key_count(t, &g->max_tokens, spec, "max_gen_toks", 0, err);
    if (!status) status = task_key_real(t, &g->temperature, spec, "temperature", err);
    if (!status) status = task_key_real(t, &g->top_p, spec, "top_p", err);
    if (json_is_false(task_key(spec, "do_sample"))) g->temperature = 0;
    return status;
}

/* ---- all of it ---- */

static aerie_status read_output_type(ae_task *t, aerie_error *err)
{
    static const char *const names[] = { "multiple_choice", "generate_until", "loglikelihood",
                                         "loglikelihood_rolling", "divergence" };
    static const ae_form forms[] = { AE_FORM_CHOICE, AE_FORM_GENERATE, AE_FORM_LIKELIHOOD,
                                     AE_FORM_ROLLING, AE_FORM_DIVERGENCE };
    const char *name;
    aerie_status status = task_key_text(t, &name, t->spec, "output_type", "generate_until", err);

    if (status) return status;
    for (size_t i = 0; i < AE_COUNT(names); i++)
        if (strcmp(names[i], name) == 0) t->form = forms[i];
    if (!t->form)
        return task_key_wanted(
            t, "output_type",
            "multiple_choice, generate_until, loglikelihood, loglikelihood_rolling or "
            "divergence",
            err);
    return AERIE_OK;
}

/* There is no question before it. */
static bool is_whole_text(const ae_task *t)
{
    return t->form == AE_FORM_ROLLING || t->form == AE_FORM_DIVERGENCE;
}

static aerie_status check_form(const ae_task *t, aerie_error *err)
{
    bool choices = t->form == AE_FORM_CHOICE;

    if (choices && !ae_field_given(&t->ask.choices))
        return aerie_fail(err, AERIE_BAD_TEXT,
                          "%s: a task of multiple choice needs 'doc_to_choice'", t->file);
    if (!is_whole_text(t) && !ae_field_given(&t->ask.text))
        return aerie_fail(err, AERIE_BAD_TEXT, "%s: 'doc_to_text' is missing", t->file);
    if (!ae_field_given(&t->ask.target))
        return aerie_fail(err, AERIE_BAD_TEXT, "%s: 'doc_to_target' is missing", t->file);
    return AERIE_OK;
}

static aerie_status read_subset(ae_task *t, aerie_error *err)
{
    int64_t n;
    const char *rule;
    aerie_status status = task_key_count(t, &n, t->spec, "subsample", 0, err);

    if (!status) status = task_key_count(t, &t->window, t->spec, "window", 0, err);
    if (!status) status = task_key_text(t, &rule, t->spec, "subset", "", err);
    if (status) return status;
    if (t->window == 1 || (t->window && t->form != AE_FORM_ROLLING))
        return task_key_wanted(t, "window",
                               "2 or more, and of a task of the form loglikelihood_rolling", err);
    t->subsample = (size_t)n;
    t->split = t->protocol->split;
    if (strcmp(rule, "hellaswag") == 0)
        t->subset = ORDER_HELLASWAG;
    else if (strcmp(rule, "scaled") == 0)
        t->subset = ORDER_SCALED;
    else if (*rule)
        return task_key_wanted(t, "subset", "hellaswag or scaled", err);
    status = task_key_text(t, &rule, t->spec, "split", "", err);
    if (!status && strcmp(rule, "winogrande") == 0)
        t->split = AE_SPLIT_WINOGRANDE;
    else if (!status && *rule)
        return task_key_wanted(t, "split", "winogrande", err);
    return status;
}

aerie_status task_read(ae_task *t, aerie_error *err)
{
    aerie_status status = task_keys_check(t, err);

    if (!status) status = read_output_type(t, err);
    if (!status) status = task_key_text(t, &t->about, t->spec, "about", "", err);
    if (!status) status = task_key_text(t, &t->checker, t->spec, "checker", NULL, err);
    if (!status) status = read_form(t, &t->ask, t->spec, NULL, err);
    if (!status) status = task_key_field(t, &t->description, t->spec, "description", err);
    if (!status) status = task_key_field(t, &t->unconditional, t->spec, "unconditional", err);
    if (!status) status = task_key_field(t, &t->count, t->spec, "count", err);
    if (!status) status = task_key_field(t, &t->labels, t->spec, "doc_to_labels", err);
    if (!status) status = check_form(t, err);
    if (!status) status = read_shots(t, err);
    if (!status) status = read_data(t, err);
    if (!status) status = task_metrics_read(t, err);
    if (!status) status = read_filters(t, err);
    if (!status) status = read_generation(t, err);
    if (!status) status = read_subset(t, err);
    return status;
}
