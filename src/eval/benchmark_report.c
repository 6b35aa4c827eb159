/* benchmark_report.c -- from answers to numbers: each item under each metric, then the task's. */
#include "eval/benchmark_private.h"
#include "eval/instructions.h"
#include "eval/reply_filter.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_COLUMNS = 64, MOST_INSTRUCTIONS = 32 };

typedef struct {
    ae_bench *b;
    ae_bench_column columns[MOST_COLUMNS];
    int n_columns;
    ae_file_writer samples;
    bool writes;
    int64_t n_merged, n_left_out;
    ae_diverged_token *tokens; /* [n_tokens] of a divergence */
    int64_t n_tokens, tokens_room;
} report;

/* ---- which numbers ---- */

static void add_column(report *r, const char *name, const char *filter, const ae_metric *metric)
{
    for (int i = 0; i < r->n_columns; i++)
        if (!strcmp(r->columns[i].name, name) && !strcmp(r->columns[i].filter, filter)) return;
    if (r->n_columns < MOST_COLUMNS)
        r->columns[r->n_columns++] =
            (ae_bench_column){ .name = name,
                               .filter = filter,
                               .metric = metric,
                               .aggregate = metric ? metric->aggregate : AE_AGGREGATE_MEAN };
}

static bool has_metric(const ae_task *t, const char *rule)
{
    for (size_t i = 0; i < ae_task_metric_count(t); i++)
        if (!strcmp(ae_task_metric(t, i)->rule, rule)) return true;
    return false;
}

/* The task's own, and accuracy by every length beside them. */
static void choose_columns(report *r)
{
    static const char *const beside[] = { "acc", "acc_norm", "acc_bytes", "acc_tokens" };
    static const char *const ifeval[] = { "prompt_level_strict_acc", "inst_level_strict_acc",
                                          "prompt_level_loose_acc", "inst_level_loose_acc" };
    const ae_task *t = r->b->task;
    size_t n_filters = ae_task_filter_count(t);

    if (ae_task_form(t) == AE_FORM_DIVERGENCE) return; /* all of its numbers are of all tokens */
    if (ae_task_checker(t)) {
        for (size_t i = 0; i < AE_COUNT(ifeval); i++) add_column(r, ifeval[i], "none", NULL);
        return;
    }
    for (size_t i = 0; i < ae_task_metric_count(t); i++) {
        const ae_metric *m = ae_task_metric(t, i);
        for (size_t f = 0; f < n_filters && ae_task_form(t) == AE_FORM_GENERATE; f++)
            add_column(r, m->name, ae_task_filter(t, f)->name, m);
        if (n_filters == 0 || ae_task_form(t) != AE_FORM_GENERATE)
            add_column(r, m->name, "none", m);
    }
    if (ae_task_form(t) != AE_FORM_CHOICE) return;
    for (size_t i = 0; i < AE_COUNT(beside) && has_metric(t, "acc"); i++)
        if (ae_metric_known(beside[i]))
            add_column(r, beside[i], "none", ae_metric_known(beside[i]));
}

/* ---- one item ---- */

static aerie_status tell_line(report *r, json_t *line, aerie_error *err)
{
    const ae_benchmark_options *o = r->b->options;
    char *text;

    if (o->item && !o->item(o->user, line))
        return aerie_fail(err, AERIE_INTERRUPTED, "interrupted");
    if (!r->writes) return AERIE_OK;
    text = json_dumps(line, JSON_COMPACT);
    if (!text) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a sample");
    ae_file_writer_add(&r->samples, text, strlen(text));
    ae_file_writer_add(&r->samples, "\n", 1);
    free(text);
    return AERIE_OK;
}

static aerie_status put_item(report *r, int64_t item, const char *filter, ae_span filtered,
                             json_t *metrics, aerie_error *err)
{
    json_t *line = NULL;
    aerie_status status = ae_bench_sample(&line, r->b, item, filter, filtered, metrics, err);

    if (!status) status = tell_line(r, line, err);
    json_decref(line);
    return status;
}

static aerie_status value_of(ae_bench_column *c, json_t *metrics, ae_score score, aerie_error *err)
{
    json_object_set_new(metrics, c->name, ae_bench_number(score.value));
    c->squares += score.squares;
    return ae_bench_column_add(c, score.value, score.weight, err);
}

static aerie_status likelihood_item(report *r, int64_t item, aerie_error *err)
{
    ae_bench *b = r->b;
    const ae_item *it = ae_task_set_at(b->set, (size_t)item);
    ae_response *answers = ae_alloc(it->n_requests, sizeof *answers);
    json_t *metrics = json_object();
    aerie_status status = AERIE_OK;

    if (!answers || !metrics) status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for an item");
    for (size_t i = 0; i < it->n_requests && !status; i++) {
        const ae_bench_answer *a = &b->answers[b->first[item] + (int64_t)i];
        answers[i] = a->answer;
        r->n_merged += a->merged;
    }
    for (int k = 0; k < r->n_columns && !status; k++) {
        ae_score score = { 0 };
        status = ae_item_score(&score, it, r->columns[k].metric, answers, err);
        if (!status) status = value_of(&r->columns[k], metrics, score, err);
    }
    if (!status) status = put_item(r, item, "none", (ae_span){ NULL, 0 }, metrics, err);
    json_decref(metrics);
    ae_free(answers);
    return status;
}

static aerie_status reply_score(ae_score *out, const ae_metric *m, ae_span answer,
                                const ae_item *it, aerie_error *err)
{
    bool same = false;
    aerie_status status;

    if (strcmp(m->rule, "exact_match") != 0 && strcmp(m->rule, "acc") != 0)
        return aerie_fail(err, AERIE_UNSUPPORTED, "the metric '%s' is none of replies", m->rule);
    status = ae_exact_match(&same, m, answer, it->target, err);
    *out = (ae_score){ same ? 1 : 0, 1, 0 };
    return status;
}

static void at_document(const ae_bench *b, int64_t item, aerie_error *err)
{
    aerie_error_prefix(err, "%s: document %lld", b->name, (long long)item);
}

/* Under one filter. */
static aerie_status filtered_item(report *r, int64_t item, const ae_filter *filter,
                                  aerie_error *err)
{
    ae_bench *b = r->b;
    const char *name = filter ? filter->name : "none";
    ae_bytes answer = { 0 };
    json_t *metrics = json_object();
    aerie_status status = ae_filter_apply(&answer, filter, b->answers[b->first[item]].reply, err);

    if (status) at_document(b, item, err);
    for (int k = 0; k < r->n_columns && !status; k++) {
        ae_bench_column *c = &r->columns[k];
        ae_score score;
        if (strcmp(c->filter, name) != 0) continue;
        status = reply_score(&score, c->metric, ae_span_of(&answer),
                             ae_task_set_at(b->set, (size_t)item), err);
        if (!status) status = value_of(c, metrics, score, err);
    }
    if (!status) status = put_item(r, item, name, ae_span_of(&answer), metrics, err);
    json_decref(metrics);
    ae_bytes_free(&answer);
    return status;
}

static aerie_status reply_item(report *r, int64_t item, aerie_error *err)
{
    size_t n = ae_task_filter_count(r->b->task);
    aerie_status status = n == 0 ? filtered_item(r, item, NULL, err) : AERIE_OK;

    for (size_t f = 0; f < n && !status; f++)
        status = filtered_item(r, item, ae_task_filter(r->b->task, f), err);
    return status;
}

static json_t *verdicts_json(const bool *verdicts, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) json_array_append_new(list, json_boolean(verdicts[i]));
    return list;
}

/* Every instruction counts for itself, and all of a prompt's together once. */
static aerie_status add_verdicts(ae_bench_column *prompt, ae_bench_column *instructions,
                                 const bool *verdicts, size_t n, aerie_error *err)
{
    bool all = true;
    aerie_status status = AERIE_OK;

    for (size_t i = 0; i < n && !status; i++) {
        all = all && verdicts[i];
        status = ae_bench_column_add(instructions, verdicts[i], 1, err);
    }
    return status ? status : ae_bench_column_add(prompt, all, 1, err);
}

static aerie_status instructions_item(report *r, int64_t item, aerie_error *err)
{
    ae_bench *b = r->b;
    const json_t *doc = ae_task_set_at(b->set, (size_t)item)->doc;
    const json_t *ids = json_object_get(doc, "instruction_id_list");
    bool strict[MOST_INSTRUCTIONS], loose[MOST_INSTRUCTIONS];
    size_t n = json_array_size(ids);
    ae_span reply = b->answers[b->first[item]].reply;
    aerie_status status;

    if (n == 0 || n > MOST_INSTRUCTIONS)
        return aerie_fail(err, AERIE_BAD_FILE,
                          "%s: document %lld has no instruction_id_list, or one of more than %d",
                          b->name, (long long)item, MOST_INSTRUCTIONS);
    status = ae_instructions_check(strict, loose, ids, json_object_get(doc, "kwargs"), reply, err);
    if (status) at_document(b, item, err);
    if (!status) status = add_verdicts(&r->columns[0], &r->columns[1], strict, n, err);
    if (!status) status = add_verdicts(&r->columns[2], &r->columns[3], loose, n, err);
    if (status) return status;
    json_t *metrics =
        json_pack("{s:O?, s:o, s:o}", "prompt", json_object_get(doc, "prompt"), "strict",
                  verdicts_json(strict, n), "loose", verdicts_json(loose, n));
    if (!metrics) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for verdicts");
    status = put_item(r, item, "none", reply, metrics, err);
    json_decref(metrics);
    return status;
}

/* ---- divergence ---- */

static aerie_status add_tokens(report *r, const ae_diverged_token *tokens, int64_t n,
                               aerie_error *err)
{
    if (r->n_tokens + n > r->tokens_room) {
        int64_t room = 2 * r->tokens_room + n;
        ae_diverged_token *more =
            ae_realloc(r->tokens, (size_t)r->tokens_room, (size_t)room, sizeof *more);
        if (!more) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for tokens");
        r->tokens = more;
        r->tokens_room = room;
    }
    memcpy(r->tokens + r->n_tokens, tokens, (size_t)n * sizeof *tokens);
    r->n_tokens += n;
    return AERIE_OK;
}

/* A window's own values beside it, of all tokens those of the task. */
static aerie_status divergence_item(report *r, int64_t item, aerie_error *err)
{
    ae_diverged_token *tokens = NULL;
    int64_t n = 0;
    json_t *all = NULL, *metrics = json_object(), *one;
    const char *name;
    aerie_status status = ae_bench_diverged(&tokens, &n, &r->b->answers[r->b->first[item]], err);

    if (status) aerie_error_prefix(err, "%s: document %lld", r->b->name, (long long)item);
    if (!status) status = add_tokens(r, tokens, n, err);
    if (!status) all = ae_bench_divergence_json(tokens, n);
    if (!status && (!all || !metrics))
        status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for a window");
    json_object_foreach(all, name, one)
        json_object_set(metrics, name, json_object_get(one, "value"));
    if (!status) status = put_item(r, item, "none", (ae_span){ NULL, 0 }, metrics, err);
    json_decref(all);
    json_decref(metrics);
    ae_free(tokens);
    return status;
}

static bool was_refused(const ae_bench *b, int64_t item)
{
    for (int64_t i = b->first[item]; i < b->first[item + 1]; i++)
        if (b->answers[i].refused) return true;
    return false;
}

static aerie_status each_item(report *r, aerie_error *err)
{
    ae_bench *b = r->b;
    aerie_status status = AERIE_OK;

    for (int64_t i = 0; i < b->n_items && !status; i++) {
        if (was_refused(b, i))
            r->n_left_out++;
        else if (ae_task_form(b->task) == AE_FORM_DIVERGENCE)
            status = divergence_item(r, i, err);
        else if (ae_task_checker(b->task))
            status = instructions_item(r, i, err);
        else if (ae_task_form(b->task) == AE_FORM_GENERATE)
            status = reply_item(r, i, err);
        else
            status = likelihood_item(r, i, err);
    }
    return status;
}

/* ---- the task ---- */

static aerie_status metrics_json(json_t **out, report *r, aerie_error *err)
{
    json_t *all =
        r->n_tokens > 0 ? ae_bench_divergence_json(r->tokens, r->n_tokens) : json_object();
    aerie_status status =
        all ? AERIE_OK : aerie_fail(err, AERIE_NO_MEMORY, "no memory for results");

    for (int k = 0; k < r->n_columns && !status; k++) {
        ae_bench_column *c = &r->columns[k];
        double error = NAN;
        char name[128];
        bool plain = !strcmp(c->filter, "none");
        if (c->n == 0) continue;
        snprintf(name, sizeof name, "%s%s%s", c->name, plain ? "" : ",", plain ? "" : c->filter);
        status = ae_bench_column_error(&error, c, err);
        /* Of instructions there is no error: those of a prompt belong together. */
        if (!strncmp(c->name, "inst_level", 10)) error = NAN;
        json_object_set_new(all, name,
                            json_pack("{s:o, s:o}", "value",
                                      ae_bench_number(ae_bench_column_value(c)), "stderr",
                                      ae_bench_number(error)));
    }
    *out = all;
    return status;
}

static aerie_status open_samples(report *r, aerie_error *err)
{
    const ae_bench *b = r->b;
    ae_bytes name = { 0 };
    char *path;
    aerie_status status;

    if (!b->options->out) return AERIE_OK;
    ae_bytes_printf(&name, "samples_%s.jsonl", ae_task_name(b->task));
    for (size_t i = 0; i < name.len; i++)
        if (name.data[i] == '/') name.data[i] = '_';
    status = ae_bytes_status(&name, err);
    path = status ? NULL : ae_path_join(b->options->out, name.data);
    if (!status && !path) status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for a path");
    if (!status) status = ae_file_writer_open(&r->samples, path, err);
    r->writes = !status;
    ae_free(path);
    ae_bytes_free(&name);
    return status;
}

static aerie_status result_json(json_t **out, report *r, aerie_error *err)
{
    ae_bench *b = r->b;
    char hash[65] = "";
    json_t *metrics = NULL;
    aerie_status status = ae_task_set_sha256(b->set, hash, err);

    if (!status) status = metrics_json(&metrics, r, err);
    if (status) return status;
    *out = json_pack("{s:I, s:i, s:s?, s:o, s:I, s:I, s:s, s:I, s:I, s:I, s:f}", "items",
                     (json_int_t)(b->n_items - r->n_left_out), "shots",
                     b->options->shots >= 0 ? b->options->shots : ae_task_shots(b->task), "main",
                     ae_task_main_metric(b->task), "metrics", metrics, "requests",
                     (json_int_t)b->n_requests, "merged", (json_int_t)r->n_merged, "prompts_sha256",
                     hash, "kept", (json_int_t)b->n_kept, "tokens", (json_int_t)b->tokens,
                     "computed_tokens", (json_int_t)b->computed, "seconds", b->seconds);
    if (*out && r->n_left_out > 0) {
        json_object_set_new(*out, "left_out", json_integer(r->n_left_out));
        json_object_set_new(*out, "left_out_why", json_string(b->why));
    }
    return *out ? AERIE_OK : aerie_fail(err, AERIE_NO_MEMORY, "no memory for results");
}

aerie_status ae_bench_report(json_t **out, ae_bench *b, aerie_error *err)
{
    report *r = ae_alloc(1, sizeof *r);
    aerie_status status;

    *out = NULL;
    if (!r) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a report");
    r->b = b;
    choose_columns(r);
    status = open_samples(r, err);
    if (!status) status = each_item(r, err);
    if (!status && b->n_items > 0 && r->n_left_out == b->n_items)
        status = ae_bench_all_refused(b, err);
    if (!status && r->writes) status = ae_file_writer_commit(&r->samples, err);
    ae_file_writer_abandon(&r->samples);
    if (!status) status = result_json(out, r, err);
    for (int k = 0; k < r->n_columns; k++) ae_bench_column_free(&r->columns[k]);
    ae_free(r->tokens);
    ae_free(r);
    return status;
}
