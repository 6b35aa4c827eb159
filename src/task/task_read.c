/* task_read.c -- the keys of a task's file. */
#include "task/task_private.h"

#include <string.h>

static const char *const known_keys[] = {
    "task", "about", "source", "output_type", "training_split", "validation_split", "test_split",
    "fewshot_split", "description", "doc_to_text", "doc_to_target", "doc_to_choice",
    "doc_to_labels", "target_delimiter", "fewshot_delimiter", "num_fewshot", "fewshot_config",
    "metric_list", "generation_kwargs", "filter_list", "process_docs", "files", "select", "columns",
    "unconditional", "count", "subsample", "subset", "checker", "main_metric", "split", "window",
    /* lm-evaluation-harness', which say nothing of what is asked */
    "tag", "group", "group_alias", "task_alias", "dataset_path", "dataset_name", "dataset_kwargs",
    "should_decontaminate", "doc_to_decontamination_query", "metadata", "repeats"
};

/* Puts the file, and the line of the key where it is known, before the sentence. */
static aerie_status at(const ae_task *t, const char *key, aerie_error *err, aerie_status status)
{
    json_t *line = json_object_get(t->lines, key);

    if (!status) return status;
    if (line)
        aerie_error_prefix(err, "%s:%d", t->file, (int)json_integer_value(line));
    else
        aerie_error_prefix(err, "%s", t->file);
    return status;
}

static aerie_status wanted(const ae_task *t, const char *key, const char *what, aerie_error *err)
{
    return at(t, key, err, aerie_fail(err, AERIE_BAD_TEXT, "'%s' must be %s", key, what));
}

static aerie_status no_memory(const ae_task *t, aerie_error *err)
{
    return aerie_fail(err, AERIE_NO_MEMORY, "%s: no memory for the task", t->file);
}

/* The value of a key; NULL when it is missing or null. */
static json_t *get(json_t *map, const char *key)
{
    json_t *value = json_object_get(map, key);

    return json_is_null(value) ? NULL : value;
}

static aerie_status read_text(const ae_task *t, const char **out, json_t *map, const char *key,
                              const char *fallback, aerie_error *err)
{
    json_t *value = get(map, key);

    *out = fallback;
    if (!value) return AERIE_OK;
    if (!json_is_string(value)) return wanted(t, key, "a text", err);
    *out = json_string_value(value);
    return AERIE_OK;
}

/* A number, also where it is written as a text: PyYAML reads 1e3 so. */
static aerie_status read_count(const ae_task *t, int64_t *out, json_t *map, const char *key,
                               int64_t fallback, aerie_error *err)
{
    json_t *value = get(map, key);

    *out = fallback;
    if (!value) return AERIE_OK;
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > 1 << 30)
        return wanted(t, key, "a whole number, 0 or more", err);
    *out = json_integer_value(value);
    return AERIE_OK;
}

static aerie_status read_real(const ae_task *t, double *out, json_t *map, const char *key,
                              aerie_error *err)
{
    json_t *value = get(map, key);

    *out = 0;
    if (!value) return AERIE_OK;
    if (!json_is_number(value) || json_number_value(value) < 0)
        return wanted(t, key, "a number, 0 or more", err);
    *out = json_number_value(value);
    return AERIE_OK;
}

static aerie_status read_texts(ae_task *t, const char *const **out, size_t *n, json_t *map,
                               const char *key, aerie_error *err)
{
    json_t *list = get(map, key);
    const char **texts;

    *out = NULL;
    *n = json_is_string(list) ? 1 : json_array_size(list);
    if (!list) return AERIE_OK;
    texts = ae_arena_take(&t->arena, *n, sizeof *texts);
    if (!texts) return no_memory(t, err);
    for (size_t i = 0; i < *n; i++) {
        texts[i] = json_string_value(json_is_string(list) ? list : json_array_get(list, i));
        if (!texts[i]) return wanted(t, key, "a list of texts", err);
    }
    if (!json_is_array(list) && !json_is_string(list))
        return wanted(t, key, "a list of texts", err);
    *out = texts;
    return AERIE_OK;
}

static aerie_status read_field(const ae_task *t, ae_field *out, json_t *map, const char *key,
                               aerie_error *err)
{
    aerie_status status = ae_field_open(out, get(map, key), err);

    if (status) aerie_error_prefix(err, "'%s'", key);
    return at(t, key, err, status);
}

/* ---- how rows are written ---- */

static aerie_status read_form(const ae_task *t, task_form *f, json_t *map, const task_form *base,
                              aerie_error *err)
{
    aerie_status status = read_field(t, &f->text, map, "doc_to_text", err);

    if (!status) status = read_field(t, &f->target, map, "doc_to_target", err);
    if (!status) status = read_field(t, &f->choices, map, "doc_to_choice", err);
    if (!status)
        status = read_text(t, &f->target_delimiter, map, "target_delimiter",
                           base ? base->target_delimiter : " ", err);
    if (!status)
        status = read_text(t, &f->delimiter, map, "fewshot_delimiter",
                           base ? base->delimiter : "\n\n", err);
    return status;
}

static aerie_status read_sampler(ae_task *t, json_t *config, aerie_error *err)
{
    const char *name;
    aerie_status status = read_text(t, &name, config, "sampler", "default", err);

    if (status) return status;
    if (strcmp(name, "first_n") == 0)
        t->shots = SHOTS_FIRST;
    else if (strcmp(name, "default") != 0)
        return wanted(t, "fewshot_config", "given a 'sampler' that is default or first_n", err);
    return AERIE_OK;
}

/* Rows that a file itself holds, as examples. */
static aerie_status read_samples(ae_task *t, json_t *config, aerie_error *err)
{
    size_t i;
    json_t *row;

    t->samples = get(config, "samples");
    if (!t->samples) return AERIE_OK;
    if (!json_is_array(t->samples))
        return wanted(t, "fewshot_config", "given 'samples' that are a list of rows", err);
    json_array_foreach(t->samples, i, row) if (!json_is_object(row)) return wanted(
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
    aerie_status status = read_text(t, &train, t->spec, "training_split", NULL, err);

    if (!status) status = read_text(t, &validation, t->spec, "validation_split", NULL, err);
    if (!status) status = read_text(t, &test, t->spec, "test_split", NULL, err);
    if (!status) status = read_text(t, &shots, t->spec, "fewshot_split", NULL, err);
    if (!status) status = read_text(t, &shots, config, "split", shots, err);
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
    json_t *config = get(t->spec, "fewshot_config");
    int64_t n;
    aerie_status status;

    if (config && !json_is_object(config)) return wanted(t, "fewshot_config", "a mapping", err);
    status = read_count(t, &n, t->spec, "num_fewshot", 0, err);
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
    json_t *value = json_is_object(spec) ? get(spec, "value") : spec;
    aerie_status status;

    out->name = name;
    status = at(t, key, err, ae_field_open(&out->field, value, err));
    if (status || !json_is_object(spec)) return status;
    status = read_text(t, &out->clean, spec, "clean", NULL, err);
    if (!status && out->clean && !task_clean_known(out->clean))
        return wanted(
            t, key, "given a 'clean' that aerie knows: hellaswag, hellaswag_olmes, wikitext", err);
    return status;
}

static aerie_status read_columns(ae_task *t, task_column **out, size_t *n, const char *key,
                                 json_t *map, aerie_error *err)
{
    aerie_status status = AERIE_OK;
    size_t i = 0;

    if (!json_is_object(map)) return wanted(t, key, "a mapping of columns to templates", err);
    *out = ae_arena_take(&t->arena, json_object_size(map), sizeof **out);
    if (!*out) return no_memory(t, err);
    *n = json_object_size(map);
    for (void *p = json_object_iter(map); p && !status; p = json_object_iter_next(map, p))
        status = read_column(t, &(*out)[i++], key, json_object_iter_key(p),
                             json_object_iter_value(p), err);
    return status;
}

static aerie_status read_shapes(ae_task *t, aerie_error *err)
{
    json_t *list = get(t->spec, "columns");
    aerie_status status = AERIE_OK;

    if (!list) return AERIE_OK;
    if (!json_is_array(list)) return wanted(t, "columns", "a list of shapes", err);
    t->shapes = ae_arena_take(&t->arena, json_array_size(list), sizeof *t->shapes);
    if (!t->shapes) return no_memory(t, err);
    for (size_t i = 0; i < json_array_size(list) && !status; i++) {
        task_shape *shape = &t->shapes[t->n_shapes++];
        json_t *one = json_array_get(list, i);
        status = read_text(t, &shape->has, one, "has", NULL, err);
        if (!status) status = read_text(t, &shape->lacks, one, "lacks", NULL, err);
        if (!status && !shape->has)
            return wanted(t, "columns", "a list of {has: COLUMN, set: {...}}", err);
        if (!status)
            status = read_columns(t, &shape->columns, &shape->n, "columns", get(one, "set"), err);
    }
    return status;
}

/* Where the data can be had; {{subject}} is the family's member. */
static aerie_status read_source(ae_task *t, aerie_error *err)
{
    json_t *spec = get(t->spec, "source");
    ae_bytes text = { 0 };
    ae_field field;
    aerie_status status;

    if (!spec || !t->vars || !json_is_string(spec)) {
        status = read_text(t, &t->source, t->spec, "dataset_path", "its authors", err);
        return status ? status : read_text(t, &t->source, t->spec, "source", t->source, err);
    }
    status = at(t, "source", err, ae_field_open(&field, spec, err));
    if (!status) status = ae_field_text(&text, &field, t->vars, err);
    if (!status) t->source = ae_arena_strndup(&t->arena, text.data, text.len);
    if (!status && !t->source) status = no_memory(t, err);
    ae_field_close(&field);
    ae_bytes_free(&text);
    return status;
}

static aerie_status read_data(ae_task *t, aerie_error *err)
{
    json_t *made = get(t->spec, "process_docs");
    aerie_status status;

    t->files = get(t->spec, "files");
    if (t->files && !json_is_object(t->files))
        return wanted(t, "files", "a mapping of splits to names of files", err);
    t->select = get(t->spec, "select");
    if (t->select && !json_is_object(t->select))
        return wanted(t, "select", "a mapping of columns to values", err);
    status = read_source(t, err);
    if (!status) status = read_shapes(t, err);
    if (!status && made) status = read_columns(t, &t->made, &t->n_made, "process_docs", made, err);
    return status;
}

/* ---- metrics ---- */

static const struct {
    const char *name;
    ae_aggregate aggregate;
} aggregates[] = {
    { "mean", AE_AGGREGATE_MEAN },
    { "perplexity", AE_AGGREGATE_PERPLEXITY },
    { "weighted_perplexity", AE_AGGREGATE_WEIGHTED_PPL },
    { "token_perplexity", AE_AGGREGATE_TOKEN_PPL },
    { "bits_per_byte", AE_AGGREGATE_BITS_PER_BYTE },
    { "f1", AE_AGGREGATE_F1 },
};

/* What a metric is when its task says no more. */
static const ae_metric known_metrics[] = {
    { .name = "acc", .rule = "acc" },
    { .name = "acc_norm", .rule = "acc_norm" },
    { .name = "acc_bytes", .rule = "acc_bytes" },
    { .name = "acc_tokens", .rule = "acc_tokens" },
    { .name = "acc_uncond", .rule = "acc_uncond" },
    { .name = "acc_mutual_info", .rule = "acc_uncond" },
    { .name = "mc1", .rule = "acc" },
    { .name = "mc2", .rule = "mc2" },
    { .name = "likelihood", .rule = "likelihood" },
    { .name = "f1", .rule = "f1", .aggregate = AE_AGGREGATE_F1 },
    { .name = "exact_match", .rule = "exact_match" },
    { .name = "perplexity",
      .rule = "perplexity",
      .aggregate = AE_AGGREGATE_PERPLEXITY,
      .lower_is_better = true },
    { .name = "word_perplexity",
      .rule = "word_perplexity",
      .aggregate = AE_AGGREGATE_WEIGHTED_PPL,
      .lower_is_better = true },
    { .name = "byte_perplexity",
      .rule = "byte_perplexity",
      .aggregate = AE_AGGREGATE_WEIGHTED_PPL,
      .lower_is_better = true },
    { .name = "token_perplexity",
      .rule = "token_perplexity",
      .aggregate = AE_AGGREGATE_TOKEN_PPL,
      .lower_is_better = true },
    { .name = "kl", .rule = "kl", .lower_is_better = true },
    { .name = "bits_per_byte",
      .rule = "bits_per_byte",
      .aggregate = AE_AGGREGATE_BITS_PER_BYTE,
      .lower_is_better = true },
};

const ae_metric *ae_metric_known(const char *name)
{
    for (size_t i = 0; i < AE_COUNT(known_metrics); i++)
        if (strcmp(known_metrics[i].name, name) == 0) return &known_metrics[i];
    return NULL;
}

static aerie_status read_aggregate(const ae_task *t, ae_metric *m, json_t *spec, aerie_error *err)
{
    const char *name;
    aerie_status status = read_text(t, &name, spec, "aggregation", NULL, err);

    if (status || !name) return status;
    for (size_t i = 0; i < AE_COUNT(aggregates); i++) {
        if (strcmp(aggregates[i].name, name) != 0) continue;
        m->aggregate = aggregates[i].aggregate;
        return AERIE_OK;
    }
    return wanted(t, "metric_list",
                  "given an 'aggregation' of mean, perplexity, weighted_perplexity, "
                  "token_perplexity, bits_per_byte or f1",
                  err);
}

static aerie_status read_metric(ae_task *t, ae_metric *m, json_t *spec, aerie_error *err)
{
    const char *name, *rule;
    const ae_metric *known;
    aerie_status status;

    if (!json_is_object(spec)) return wanted(t, "metric_list", "a list of {metric: NAME}", err);
    status = read_text(t, &name, spec, "metric", NULL, err);
    if (!status) status = read_text(t, &rule, spec, "rule", name, err);
    if (status) return status;
    if (!name) return wanted(t, "metric_list", "a list of {metric: NAME}", err);
    known = ae_metric_known(rule);
    if (known) *m = *known;
    if (!known) m->rule = rule; /* of a checker, or of replies: whoever marks them knows it */
    m->name = name;
    m->ignore_case = json_is_true(get(spec, "ignore_case"));
    m->ignore_punctuation = json_is_true(get(spec, "ignore_punctuation"));
    if (json_is_boolean(get(spec, "higher_is_better")))
        m->lower_is_better = json_is_false(get(spec, "higher_is_better"));
    status = read_aggregate(t, m, spec, err);
    if (!status)
        status =
            read_texts(t, &m->ignore_regexes, &m->n_ignore_regexes, spec, "regexes_to_ignore", err);
    return status;
}

/* The harness' own choice for a form. */
static const char *const *default_metrics(ae_form form)
{
    static const char *const choice[] = { "acc", "acc_norm", NULL };
    static const char *const generate[] = { "exact_match", NULL };
    static const char *const likelihood[] = { "perplexity", "acc", NULL };
    static const char *const rolling[] = { "word_perplexity", "byte_perplexity", "bits_per_byte",
                                           NULL };
    static const char *const divergence[] = { "kl", NULL };

    return form == AE_FORM_CHOICE       ? choice
           : form == AE_FORM_GENERATE   ? generate
           : form == AE_FORM_ROLLING    ? rolling
           : form == AE_FORM_DIVERGENCE ? divergence
                                        : likelihood;
}

static aerie_status fill_metrics(ae_task *t, aerie_error *err)
{
    const char *const *names = default_metrics(t->form);

    t->metrics = ae_arena_take(&t->arena, 3, sizeof *t->metrics);
    if (!t->metrics) return no_memory(t, err);
    while (names[t->n_metrics]) {
        t->metrics[t->n_metrics] = *ae_metric_known(names[t->n_metrics]);
        t->n_metrics++;
    }
    return AERIE_OK;
}

static bool has_metric(const ae_task *t, const char *name)
{
    for (size_t i = 0; i < t->n_metrics; i++)
        if (strcmp(t->metrics[i].name, name) == 0) return true;
    return false;
}

static aerie_status read_metrics(ae_task *t, aerie_error *err)
{
    json_t *list = get(t->spec, "metric_list");
    const char *protocols = t->protocol->metric;
    aerie_status status = AERIE_OK;

    if (list && (!json_is_array(list) || !json_array_size(list)))
        return wanted(t, "metric_list", "a list of {metric: NAME}", err);
    if (!list) {
        status = fill_metrics(t, err);
    } else {
        t->metrics = ae_arena_take(&t->arena, json_array_size(list), sizeof *t->metrics);
        if (!t->metrics) return no_memory(t, err);
        for (size_t i = 0; i < json_array_size(list) && !status; i++)
            status = read_metric(t, &t->metrics[t->n_metrics++], json_array_get(list, i), err);
    }
    if (status) return status;
    if (!protocols || !has_metric(t, protocols)) protocols = t->metrics[0].name;
    status = read_text(t, &t->main_metric, t->spec, "main_metric", protocols, err);
    if (!status && !has_metric(t, t->main_metric))
        return wanted(t, "main_metric", "one of the metric_list", err);
    return status;
}

/* ---- replies ---- */

static aerie_status read_filter(ae_task *t, ae_filter *f, json_t *spec, aerie_error *err)
{
    json_t *steps = get(spec, "filter");
    ae_filter_step *step;
    aerie_status status = read_text(t, &f->name, spec, "name", NULL, err);

    if (status) return status;
    if (!f->name || !json_is_array(steps))
        return wanted(t, "filter_list", "a list of {name: ..., filter: [{function: ...}]}", err);
    step = ae_arena_take(&t->arena, json_array_size(steps), sizeof *step);
    if (!step) return no_memory(t, err);
    f->steps = step;
    for (; f->n_steps < json_array_size(steps); f->n_steps++) {
        json_t *one = json_array_get(steps, f->n_steps);
        step[f->n_steps].function = json_string_value(get(one, "function"));
        step[f->n_steps].options = one;
        if (!step[f->n_steps].function)
            return wanted(t, "filter_list", "a list of {name: ..., filter: [{function: ...}]}",
                          err);
    }
    return AERIE_OK;
}

static aerie_status read_filters(ae_task *t, aerie_error *err)
{
    json_t *list = get(t->spec, "filter_list");
    aerie_status status = AERIE_OK;

    if (!list) return AERIE_OK;
    if (!json_is_array(list)) return wanted(t, "filter_list", "a list", err);
    t->filters = ae_arena_take(&t->arena, json_array_size(list), sizeof *t->filters);
    if (!t->filters) return no_memory(t, err);
    for (size_t i = 0; i < json_array_size(list) && !status; i++)
        status = read_filter(t, &t->filters[t->n_filters++], json_array_get(list, i), err);
    return status;
}

/* The harness takes the model's own way without 'do_sample' to be greedy, whatever the temperature.
 */
static aerie_status read_generation(ae_task *t, aerie_error *err)
{
    json_t *spec = get(t->spec, "generation_kwargs");
    ae_generation *g = &t->generation;
    aerie_status status;

    if (spec && !json_is_object(spec)) return wanted(t, "generation_kwargs", "a mapping", err);
    status = read_texts(t, &g->until, &g->n_until, spec, "until", err);
    if (!status) status = read_count(t, &g->max_tokens, spec, "max_gen_toks", 0, err);
    if (!status) status = read_real(t, &g->temperature, spec, "temperature", err);
    if (!status) status = read_real(t, &g->top_p, spec, "top_p", err);
    if (json_is_false(get(spec, "do_sample"))) g->temperature = 0;
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
    aerie_status status = read_text(t, &name, t->spec, "output_type", "generate_until", err);

    if (status) return status;
    for (size_t i = 0; i < AE_COUNT(names); i++)
        if (strcmp(names[i], name) == 0) t->form = forms[i];
    if (!t->form)
        return wanted(t, "output_type",
                      "multiple_choice, generate_until, loglikelihood, loglikelihood_rolling or "
                      "divergence",
                      err);
    return AERIE_OK;
}

static aerie_status check_keys(const ae_task *t, aerie_error *err)
{
    for (void *p = json_object_iter(t->spec); p; p = json_object_iter_next(t->spec, p)) {
        const char *key = json_object_iter_key(p), *near;
        bool known = false;
        for (size_t i = 0; i < AE_COUNT(known_keys) && !known; i++)
            known = strcmp(key, known_keys[i]) == 0;
        if (known) continue;
        near = ae_nearest(key, known_keys, AE_COUNT(known_keys));
        return at(t, key, err,
                  aerie_fail(err, AERIE_BAD_TEXT, "'%s' is no key of a task%s%s%s", key,
                             near ? "; did you mean '" : "", near ? near : "", near ? "'?" : ""));
    }
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
    aerie_status status = read_count(t, &n, t->spec, "subsample", 0, err);

    if (!status) status = read_count(t, &t->window, t->spec, "window", 0, err);
    if (!status) status = read_text(t, &rule, t->spec, "subset", "", err);
    if (status) return status;
    if (t->window == 1 || (t->window && t->form != AE_FORM_ROLLING))
        return wanted(t, "window", "2 or more, and of a task of the form loglikelihood_rolling",
                      err);
    t->subsample = (size_t)n;
    t->split = t->protocol->split;
    if (strcmp(rule, "hellaswag") == 0)
        t->subset = ORDER_HELLASWAG;
    else if (strcmp(rule, "scaled") == 0)
        t->subset = ORDER_SCALED;
    else if (*rule)
        return wanted(t, "subset", "hellaswag or scaled", err);
    status = read_text(t, &rule, t->spec, "split", "", err);
    if (!status && strcmp(rule, "winogrande") == 0)
        t->split = AE_SPLIT_WINOGRANDE;
    else if (!status && *rule)
        return wanted(t, "split", "winogrande", err);
    return status;
}

aerie_status task_read(ae_task *t, aerie_error *err)
{
    aerie_status status = check_keys(t, err);

    if (!status) status = read_output_type(t, err);
    if (!status) status = read_text(t, &t->about, t->spec, "about", "", err);
    if (!status) status = read_text(t, &t->checker, t->spec, "checker", NULL, err);
    if (!status) status = read_form(t, &t->ask, t->spec, NULL, err);
    if (!status) status = read_field(t, &t->description, t->spec, "description", err);
    if (!status) status = read_field(t, &t->unconditional, t->spec, "unconditional", err);
    if (!status) status = read_field(t, &t->count, t->spec, "count", err);
    if (!status) status = read_field(t, &t->labels, t->spec, "doc_to_labels", err);
    if (!status) status = check_form(t, err);
    if (!status) status = read_shots(t, err);
    if (!status) status = read_data(t, err);
    if (!status) status = read_metrics(t, err);
    if (!status) status = read_filters(t, err);
    if (!status) status = read_generation(t, err);
    if (!status) status = read_subset(t, err);
    return status;
}
