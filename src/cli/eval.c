/* eval.c -- `aerie eval`: benchmarks, as published tables ask them. */
#include "aerie/benchmark.h"
#include "cli/cli.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TASKS = 256 };

typedef struct {
    cli_common common;
    const char *tasks, *protocol, *data, *system, *out, *rescore, *template, *url, *remote_model;
    int64_t shots, limit, parallel, in_flight;
    bool multiturn, fresh, per_item, list, fast;
    cli_progress bar;
    const char *task; /* that the bar shows */
    double started;
    int64_t begun_with;
} eval_call;

static bool on_progress(void *user, const char *task, int64_t done, int64_t total)
{
    eval_call *c = user;
    double now = ae_clock_seconds(), rate;
    char left[32];

    if (c->task != task) {
        c->task = task;
        c->started = now;
        c->begun_with = done - 1; /* what is kept from before took no time */
    }
    /* Right after the first answers there is no telling. */
    if (now - c->started < 0.2) {
        cli_progress_draw(&c->bar, (double)done / (double)(total > 0 ? total : 1),
                          "%s  %lld of %lld", task, (long long)done, (long long)total);
        return !cli_interrupted();
    }
    rate = (double)(done - c->begun_with) / (now - c->started);
    cli_progress_draw(&c->bar, (double)done / (double)(total > 0 ? total : 1),
                      "%s  %lld of %lld  %.0f/s  %s left", task, (long long)done, (long long)total,
                      rate, cli_seconds(left, rate > 0 ? (double)(total - done) / rate : 0));
    return !cli_interrupted();
}

static bool on_item(void *user, const char *line)
{
    eval_call *c = user;

    cli_progress_end(&c->bar);
    if (c->per_item) puts(line);
    return !cli_interrupted();
}

static bool on_stop(void *user)
{
    (void)user;
    return cli_interrupted();
}

/* ---- the table ---- */

/* Columns as wide as their names, so that a line of most tasks fits a terminal. */
typedef struct {
    int task, metric;
} widths;

static void print_metric(widths w, const char *task, const char *name, const json_t *metric,
                         bool starred)
{
    const json_t *value = json_object_get(metric, "value"),
                 *error = json_object_get(metric, "stderr");

    printf("%-*s  %-*s ", w.task, task, w.metric, name);
    if (json_is_number(value))
        printf("%10.4f", json_number_value(value));
    else
        printf("%10s", "-");
    if (json_is_number(error))
        printf("  +- %.4f", json_number_value(error));
    else if (starred)
        printf("%11s", "");
    puts(starred ? "  *" : "");
}

/* "exact_match" is "exact_match,strict-match" too. */
static bool is_main(const char *main_name, const char *name)
{
    size_t n = main_name ? strlen(main_name) : 0;

    return n > 0 && !strncmp(main_name, name, n) && (name[n] == '\0' || name[n] == ',');
}

static void print_metrics(widths w, const char *task, const json_t *result)
{
    json_t *metrics = json_object_get(result, "metrics");
    const char *main_name = json_string_value(json_object_get(result, "main")), *name;
    json_t *metric;
    const char *shown = task;

    json_object_foreach(metrics, name, metric)
    {
        print_metric(w, shown, name, metric, is_main(main_name, name));
        shown = "";
    }
}

static void print_about(const char *task, const json_t *result)
{
    json_int_t merged = json_integer_value(json_object_get(result, "merged"));
    json_int_t kept = json_integer_value(json_object_get(result, "kept"));
    long long left_out = json_integer_value(json_object_get(result, "left_out"));
    double seconds = json_number_value(json_object_get(result, "seconds"));

    printf("  %s: %lld items, %lld shots, %lld requests", task,
           (long long)json_integer_value(json_object_get(result, "items")),
           (long long)json_integer_value(json_object_get(result, "shots")),
           (long long)json_integer_value(json_object_get(result, "requests")));
    if (kept > 0) printf(" (%lld kept from before)", (long long)kept);
    if (merged > 0) printf(", %lld with a token across the join", (long long)merged);
    if (left_out > 0)
        printf(", %lld more left out: %s", left_out,
               json_string_value(json_object_get(result, "left_out_why")));
    printf(", %.1f s\n    prompts %s\n", seconds,
           json_string_value(json_object_get(result, "prompts_sha256")));
}

static void widen(widths *w, const char *task, const json_t *result)
{
    json_t *metrics = json_object_get(result, "metrics"), *metric;
    const char *name;

    w->task = (int)ae_max64(w->task, (int64_t)strlen(task));
    json_object_foreach(metrics, name, metric)
    {
        w->metric = (int)ae_max64(w->metric, (int64_t)strlen(name));
    }
}

static void print_table(const json_t *root)
{
    json_t *results = json_object_get(root, "results"), *groups = json_object_get(root, "groups");
    json_t *result;
    const char *name;

    printf("protocol %s, BOS %s\n\n", json_string_value(json_object_get(root, "protocol")),
           json_string_value(json_object_get(root, "bos")));
    widths w = { 0 };
    json_object_foreach(results, name, result) widen(&w, name, result);
    json_object_foreach(groups, name, result) widen(&w, name, result);
    json_object_foreach(results, name, result) print_metrics(w, name, result);
    json_object_foreach(groups, name, result) print_metrics(w, name, result);
    puts("");
    json_object_foreach(results, name, result) print_about(name, result);
}

/* ---- the call ---- */

static int split_tasks(char *words, const char **tasks)
{
    int n = 0;

    for (char *word = strtok(words, ","); word && n < MOST_TASKS; word = strtok(NULL, ",")) {
        size_t len;
        word += strspn(word, " ");
        for (len = strlen(word); len > 0 && word[len - 1] == ' ';) word[--len] = '\0';
        if (len > 0) tasks[n++] = word;
    }
    return n;
}

static int list_for_programs(void)
{
    json_t *tasks = json_array(), *protocols = json_array(), *all;
    const char *name, *about;

    for (size_t i = 0; (name = aerie_benchmark_task(i)); i++)
        json_array_append_new(tasks, json_string(name));
    for (size_t i = 0; (name = aerie_benchmark_protocol(i, &about)); i++)
        json_array_append_new(protocols, json_pack("{s:s, s:s}", "name", name, "about", about));
    all = json_pack("{s:o, s:o}", "tasks", tasks, "protocols", protocols);
    json_dumpf(all, stdout, 0);
    putchar('\n');
    json_decref(all);
    return CLI_DONE;
}

static int list_known(void)
{
    const char *name, *about;

    puts("tasks:");
    for (size_t i = 0; (name = aerie_benchmark_task(i)); i++) printf("  %s\n", name);
    puts("protocols:");
    for (size_t i = 0; (name = aerie_benchmark_protocol(i, &about)); i++)
        printf("  %-16s %s\n", name, about);
    return CLI_DONE;
}

/* What tells this model's answers from another's: its files as they lie, and how they are used. */
static aerie_status identify(ae_bytes *out, const char *model, const eval_call *c, aerie_error *err)
{
    const aerie_stored *stored = NULL;
    cli_list adapters = { .n = 0 };
    aerie_status status = cli_resolve(&stored, model, err);

    if (!status) status = cli_all_adapters(&adapters, stored, &c->common, err);
    if (!status) {
        ae_bytes_printf(out, "%s ", stored->path);
        ae_file_stamp(out, stored->path);
        ae_bytes_printf(out, " exact %d kv %s cpu %s template %s", c->common.exact,
                        c->common.kv ? c->common.kv : "", c->common.cpu ? c->common.cpu : "",
                        c->template ? c->template : "");
    }
    for (int i = 0; i < adapters.n; i++) {
        ae_bytes_printf(out, " adapter %s ", adapters.items[i]);
        ae_file_stamp(out, adapters.items[i]);
    }
    aerie_stored_free(stored);
    return status ? status : ae_bytes_status(out, err);
}

/* Answers are kept beside what is written, else in the store's folder. */
static char *keep_path(const eval_call *c)
{
    const char *runs = cli_runs_path(), *slash;

    if (c->out) return ae_path_join(c->out, "answers.sqlite");
    slash = strrchr(runs, '/');
    char *folder = slash ? ae_strndup(runs, (size_t)(slash - runs)) : ae_strdup(".");
    char *path = NULL;
    if (folder && ae_file_make_folder(folder, NULL) == AERIE_OK)
        path = ae_path_join(folder, "answers.sqlite");
    ae_free(folder);
    return path;
}

static aerie_status print_result(const eval_call *c, const char *json, aerie_error *err)
{
    json_t *root = json_loads(json, 0, NULL);

    if (!root) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for results");
    if (c->common.json)
        puts(json);
    else
        print_table(root);
    json_decref(root);
    return AERIE_OK;
}

static aerie_status evaluate(eval_call *c, const char *model, aerie_error *err)
{
    const char *tasks[MOST_TASKS];
    char *words = ae_strdup(c->tasks), *keep = c->rescore ? NULL : keep_path(c), *json = NULL;
    ae_bytes identity = { 0 }, template = { 0 };
    aerie_benchmark_options o = { .tasks = tasks,
                                  .protocol = c->protocol,
                                  .data = c->data,
                                  .sets_shots = c->shots >= 0,
                                  .shots = (int)c->shots,
                                  .limit = c->limit,
                                  .system = c->system,
                                  .multiturn = c->multiturn,
                                  .out = c->out,
                                  .keep = keep,
                                  .fresh = c->fresh,
                                  .rescore = c->rescore,
                                  .parallel = c->parallel,
                                  .url = c->url,
                                  .remote_model = c->remote_model ? c->remote_model : model,
                                  .key = cli_judge_key(),
                                  .in_flight = (int)c->in_flight,
                                  .progress = on_progress,
                                  .item = c->per_item ? on_item : NULL,
                                  .stop = on_stop,
                                  .user = c };
    aerie_status status =
        words ? AERIE_OK : aerie_fail(err, AERIE_NO_MEMORY, "no memory for names");

    if (!status) o.n_tasks = (size_t)split_tasks(words, tasks);
    if (!status && c->template) {
        status = cli_read_template(&template, c->template, err);
        o.chat_template = template.data;
    }
    if (!status && !c->rescore && !c->url) {
        status = cli_open(&o.model, model, &c->common, err);
        if (!status) status = identify(&identity, model, c, err);
        o.identity = identity.data;
    }
    if (!status && c->out) status = ae_file_make_folder(c->out, err);
    if (!status) status = aerie_benchmark(&o, &json, err);
    cli_progress_end(&c->bar);
    if (!status) status = print_result(c, json, err);
    aerie_model_close(o.model);
    aerie_free(json);
    ae_free(keep);
    ae_free(words);
    ae_bytes_free(&identity);
    ae_bytes_free(&template);
    return status;
}

int cli_eval(int argc, char **argv)
{
    eval_call c = { .shots = -1 };
    const cli_option options[] = {
        { "--tasks", 0, CLI_TEXT, &c.tasks, "A,B", "tasks, groups, YAML files; --list names them" },
        { "--protocol", 0, CLI_TEXT, &c.protocol, "NAME", "how they are asked (default lm-eval)" },
        { "--num-fewshot", 0, CLI_COUNT, &c.shots, "N", "shots; default: as the task says" },
        { "--limit", 0, CLI_COUNT, &c.limit, "N", "the first N documents of each task; 0: all" },
        { "--data", 0, CLI_TEXT, &c.data, "DIR", "where the tasks' files are; or one file" },
        { "--per-item", 0, CLI_FLAG, &c.per_item, NULL, "print a line of JSON for every item" },
        { "--out", 0, CLI_TEXT, &c.out, "DIR",
          "write results.json, samples_TASK.jsonl and the answers there" },
        { "--fresh", 0, CLI_FLAG, &c.fresh, NULL, "ask again what was answered before" },
        { "--rescore", 0, CLI_TEXT, &c.rescore, "FILE",
          "score saved answers: --log_samples lines, or {\"prompt\",\"response\"}; no MODEL" },
        { "--url", 0, CLI_TEXT, &c.url, "URL",
          "an OpenAI-compatible server answers; MODEL is its name there" },
        { "--in-flight", 0, CLI_COUNT, &c.in_flight, "N", "with --url: requests at once (8)" },
        { "--parallel", 0, CLI_COUNT, &c.parallel, "N", "replies at once (32)" },
        { "--template", 0, CLI_TEXT, &c.template, "T", "chat template: a name, or a Jinja file" },
        { "--system", 0, CLI_TEXT, &c.system, "TEXT", "chat protocols: the system message" },
        { "--multiturn", 0, CLI_FLAG, &c.multiturn, NULL, "chat protocols: shots as turns" },
        { "--list", 0, CLI_FLAG, &c.list, NULL, "the tasks and protocols there are" },
        { "--fast", 0, CLI_FLAG, &c.fast, NULL,
          "round activations to 8 bits, as `aerie run` does with quantized weights" },
        { "--exact", 0, CLI_FLAG, &c.common.exact, NULL, "float32 throughout (the default)" },
        CLI_SCORE_KV(&c.common),
        { 0 },
    };
    cli_call call = {
        .usage = "aerie eval MODEL --tasks A,B [options]",
        .about = "Benchmarks, asked as the harnesses ask that published tables come from. What is\n"
                 "answered is kept: a run that was stopped goes on where it was.",
        .options = options,
        .min_words = 0,
        .max_words = 1
    };
    aerie_error err = { 0 };
    int code;

    if (!cli_read(&call, &c.common, argc, argv, &code)) return code;
    if (c.list) return c.common.json ? list_for_programs() : list_known();
    if (!c.tasks || !c.tasks[strspn(c.tasks, ", ")])
        return cli_misused("give --tasks A,B; `aerie eval --list` names them");
    if (call.n_words == 0 && !c.rescore)
        return cli_misused("give a MODEL, or --rescore FILE; usage: %s", call.usage);
    if (c.fast && c.common.exact) return cli_misused("--fast and --exact exclude each other");
    c.common.exact = !c.fast;
    c.bar.off = c.common.quiet;
    cli_catch_interrupt();
    if (evaluate(&c, call.n_words > 0 ? call.words[0] : NULL, &err)) {
        if (err.status == AERIE_INTERRUPTED && cli_interrupted()) {
            fputs("aerie: interrupted; what was answered is kept, the same call goes on\n", stderr);
            return CLI_INTERRUPTED;
        }
        return cli_fail(&err);
    }
    return CLI_DONE;
}
