/* task_metrics.c -- what a task is measured by: metrics that are known, and its metric_list. */
#include "task/task_keys.h"

#include <string.h>

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
    aerie_status status = task_key_text(t, &name, spec, "aggregation", NULL, err);

    if (status || !name) return status;
    for (size_t i = 0; i < AE_COUNT(aggregates); i++) {
        if (strcmp(aggregates[i].name, name) != 0) continue;
        m->aggregate = aggregates[i].aggregate;
        return AERIE_OK;
    }
    return task_key_wanted(t, "metric_list",
                           "given an 'aggregation' of mean, perplexity, weighted_perplexity, "
                           "token_perplexity, bits_per_byte or f1",
                           err);
}

static aerie_status read_metric(ae_task *t, ae_metric *m, json_t *spec, aerie_error *err)
{
    const char *name, *rule;
    const ae_metric *known;
    aerie_status status;

    if (!json_is_object(spec))
        return task_key_wanted(t, "metric_list", "a list of {metric: NAME}", err);
    status = task_key_text(t, &name, spec, "metric", NULL, err);
    if (!status) status = task_key_text(t, &rule, spec, "rule", name, err);
    if (status) return status;
    if (!name) return task_key_wanted(t, "metric_list", "a list of {metric: NAME}", err);
    known = ae_metric_known(rule);
    if (known) *m = *known;
    if (!known) m->rule = rule; /* of a checker, or of replies: whoever marks them knows it */
    m->name = name;
    m->ignore_case = json_is_true(task_key(spec, "ignore_case"));
    m->ignore_punctuation = json_is_true(task_key(spec, "ignore_punctuation"));
    if (json_is_boolean(task_key(spec, "higher_is_better")))
        m->lower_is_better = json_is_false(task_key(spec, "higher_is_better"));
    status = read_aggregate(t, m, spec, err);
    if (!status)
        status = task_key_texts(t, &m->ignore_regexes, &m->n_ignore_regexes, spec,
                                "regexes_to_ignore", err);
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
    if (!t->metrics) return task_no_memory(t, err);
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

aerie_status task_metrics_read(ae_task *t, aerie_error *err)
{
    json_t *list = task_key(t->spec, "metric_list");
    const char *protocols = t->protocol->metric;
    aerie_status status = AERIE_OK;

    if (list && (!json_is_array(list) || !json_array_size(list)))
        return task_key_wanted(t, "metric_list", "a list of {metric: NAME}", err);
    if (!list) {
        status = fill_metrics(t, err);
    } else {
        t->metrics = ae_arena_take(&t->arena, json_array_size(list), sizeof *t->metrics);
        if (!t->metrics) return task_no_memory(t, err);
        for (size_t i = 0; i < json_array_size(list) && !status; i++)
            status = read_metric(t, &t->metrics[t->n_metrics++], json_array_get(list, i), err);
    }
    if (status) return status;
    if (!protocols || !has_metric(t, protocols)) protocols = t->metrics[0].name;
    status = task_key_text(t, &t->main_metric, t->spec, "main_metric", protocols, err);
    if (!status && !has_metric(t, t->main_metric))
        return task_key_wanted(t, "main_metric", "one of the metric_list", err);
    return status;
}
