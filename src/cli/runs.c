/* runs.c -- `aerie runs`: the record of trainings; its list. */
#include "cli/runs.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

const char *cli_runs_path(void)
{
    static char path[1100];

    snprintf(path, sizeof path, "%s/runs.sqlite", cli_places()->store);
    return path;
}

/* ---- a run as JSON ---- */

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static bool take_run(void *user, const aerie_run *r)
{
    json_t *o = user;

    json_object_set_new(o, "id", json_integer(r->id));
    json_object_set_new(o, "name", json_string(r->name));
    json_object_set_new(o, "method", json_string(r->method));
    json_object_set_new(o, "state", json_string(aerie_run_state_name(r->state)));
    json_object_set_new(o, "message", json_string(r->message));
    json_object_set_new(o, "step", json_integer(r->step));
    json_object_set_new(o, "steps", json_integer(r->n_steps));
    json_object_set_new(o, "started", json_real(r->started));
    json_object_set_new(o, "ended", r->ended > 0 ? json_real(r->ended) : json_null());
    json_object_set_new(o, "model", json_string(r->model));
    json_object_set_new(o, "model_hash", json_string(r->model_hash));
    json_object_set_new(o, "output", json_string(r->output));
    json_object_set_new(o, "recipe_path", json_string(r->recipe_path));
    json_object_set_new(o, "recipe_hash", json_string(r->recipe_hash));
    json_object_set_new(o, "recipe", json_string(r->recipe));
    return true;
}

static bool take_text(void *user, const char *name, const char *value)
{
    json_object_set_new(user, name, json_string(value));
    return true;
}

static bool take_metric(void *user, const aerie_run_metric *m)
{
    json_object_set_new(user, m->name,
                        json_pack("{s:o, s:o, s:o, s:o, s:I, s:I}", "first", number(m->first),
                                  "last", number(m->last), "min", number(m->min), "max",
                                  number(m->max), "last_step", (json_int_t)m->last_step, "n",
                                  (json_int_t)m->n));
    return true;
}

json_t *cli_runs_load(aerie_runs *runs, const char *word, aerie_error *err)
{
    json_t *o = json_object(), *settings = json_object(), *data = json_object(),
           *metrics = json_object();
    int64_t id = 0;
    aerie_status status = aerie_runs_find(runs, word, &id, err);

    if (!status) status = aerie_runs_get(runs, id, take_run, o, err);
    if (!status) status = aerie_runs_settings(runs, id, take_text, settings, err);
    if (!status) status = aerie_runs_data(runs, id, take_text, data, err);
    if (!status) status = aerie_runs_metrics(runs, id, take_metric, metrics, err);
    json_object_set_new(o, "settings", settings);
    json_object_set_new(o, "data", data);
    json_object_set_new(o, "metrics", metrics);
    if (!status) return o;
    json_decref(o);
    return NULL;
}

static bool take_point(void *user, int64_t step, double value)
{
    plot_add(user, (double)step, value);
    return true;
}

aerie_status cli_runs_series(aerie_runs *runs, int64_t id, const char *metric, plot_series *out,
                             aerie_error *err)
{
    aerie_status status = aerie_runs_series(runs, id, metric, take_point, out, err);

    if (!status && out->failed)
        status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for a curve of %zu points", out->n);
    return status;
}

/* ---- list ---- */

/* Of methods that sample the reward, else the loss. */
typedef struct {
    double loss, reward;
} last_values;

static bool take_last(void *user, const aerie_run_metric *m)
{
    last_values *last = user;

    if (!strcmp(m->name, "loss")) last->loss = m->last;
    if (!strcmp(m->name, "kl_coef") && isnan(last->reward)) last->reward = 0;
    if (!strcmp(m->name, "reward") && !isnan(last->reward)) last->reward = m->last;
    return true;
}

typedef struct {
    aerie_runs *runs;
    json_t *list; /* NULL: to be printed as a table */
    int64_t n;
} listing;

static bool list_json(listing *l, const aerie_run *r)
{
    json_t *o = json_object();
    last_values last = { NAN, NAN };

    take_run(o, r);
    json_object_del(o, "recipe");
    aerie_runs_metrics(l->runs, r->id, take_last, &last, NULL);
    json_object_set_new(o, "loss", number(last.loss));
    json_object_set_new(o, "reward", number(last.reward));
    json_array_append_new(l->list, o);
    return true;
}

static bool list_row(void *user, const aerie_run *r)
{
    listing *l = user;
    last_values last = { NAN, NAN };
    time_t started = (time_t)r->started;
    char when[32], took[32] = "", value[48] = "", steps[48];
    struct tm local;

    l->n++;
    if (l->list) return list_json(l, r);
    if (l->n == 1)
        printf("%4s  %-24s %-8s %-11s %13s  %-15s %-16s  %s\n", "RUN", "NAME", "METHOD", "STATE",
               "STEPS", "LAST", "STARTED", "TOOK");
    aerie_runs_metrics(l->runs, r->id, take_last, &last, NULL);
    if (!isnan(last.reward))
        snprintf(value, sizeof value, "reward %.4g", last.reward);
    else if (!isnan(last.loss))
        snprintf(value, sizeof value, "loss %.4g", last.loss);
    localtime_r(&started, &local);
    strftime(when, sizeof when, "%Y-%m-%d %H:%M", &local);
    if (r->ended > 0) cli_seconds(took, r->ended - r->started);
    snprintf(steps, sizeof steps, "%lld/%lld", (long long)r->step, (long long)r->n_steps);
    printf("%4lld  %-24.24s %-8s %-11s %13s  %-15s %-16s  %s\n", (long long)r->id, r->name,
           r->method, aerie_run_state_name(r->state), steps, value, when, took);
    return true;
}

static aerie_status list(aerie_runs *runs, const cli_runs_options *o, const cli_common *common,
                         aerie_error *err)
{
    listing l = { .runs = runs, .list = common->json ? json_array() : NULL };
    aerie_status status = aerie_runs_list(runs, o->limit, list_row, &l, err);

    if (!status && l.list) {
        json_t *all = json_pack("{s:O}", "runs", l.list);
        json_dumpf(all, stdout, JSON_REAL_PRECISION(15));
        putchar('\n');
        json_decref(all);
    } else if (!status && l.n == 0 && !common->quiet) {
        fprintf(stderr, "no run has been recorded yet\n");
    }
    json_decref(l.list);
    return status;
}

/* ---- the command ---- */

static aerie_status do_word(aerie_runs *runs, const cli_call *call, const cli_runs_options *o,
                            const cli_common *common, aerie_error *err)
{
    const char *word = call->words[0];

    if (!strcmp(word, "show")) return cli_runs_show(runs, call->words[1], common, err);
    if (!strcmp(word, "diff"))
        return cli_runs_diff(runs, call->words[1], call->words[2], common, err);
    if (!strcmp(word, "plot"))
        return cli_runs_plot(runs, call->words + 1, call->n_words - 1, o, common, err);
    return list(runs, o, common, err);
}

static int check_words(const cli_call *call)
{
    static const char *const words[] = { "list", "show", "diff", "plot" };
    static const int least[] = { 1, 2, 3, 2 }, most[] = { 1, 2, 3, 8 };
    const char *near;

    for (size_t i = 0; i < AE_COUNT(words); i++) {
        if (strcmp(call->words[0], words[i]) != 0) continue;
        if (call->n_words >= least[i] && call->n_words <= most[i]) return CLI_DONE;
        return cli_misused("%s; usage: aerie runs list | show RUN | diff RUN RUN | plot RUN...",
                           call->n_words < least[i] ? "a RUN is missing" : "too many words");
    }
    near = ae_nearest(call->words[0], words, AE_COUNT(words));
    return cli_misused("there is no 'runs %s'%s%s%s; usage: %s", call->words[0],
                       near ? ", did you mean '" : "", near ? near : "", near ? "'" : "",
                       call->usage);
}

/* Nobody has trained yet: an empty list is no failure. */
static int empty_list(const cli_common *common)
{
    if (common->json)
        puts("{\"runs\": []}");
    else if (!common->quiet)
        fprintf(stderr, "no run has been recorded yet\n");
    return CLI_DONE;
}

int cli_runs(int argc, char **argv)
{
    cli_common common = { 0 };
    cli_runs_options o = { 0 };
    const cli_option options[] = {
        { "--metric", 'm', CLI_LIST, &o.metrics, "NAME",
          "plot: what is drawn, loss by default; may be repeated; eval_loss is an evaluation's" },
        { "--output", 'o', CLI_TEXT, &o.file, "FILE.svg", "plot: write a drawing instead" },
        { "--smooth", 0, CLI_COUNT, &o.smooth, "N", "plot: the mean of the last N values" },
        { "--width", 0, CLI_COUNT, &o.columns, "N", "plot: columns; default: the terminal's" },
        { "--height", 0, CLI_COUNT, &o.rows, "N", "plot: rows; default: 16" },
        { "--limit", 'n', CLI_COUNT, &o.limit, "N", "list: the newest N runs; default: all" },
        { 0 },
    };
    cli_call call = { .usage = "aerie runs list | show RUN | diff RUN RUN | plot RUN... [options]",
                      .takes = CLI_TAKES_NONE,
                      .about = "What was trained, with which settings, and how it went: the record "
                               "of every `aerie train`,\nin $AERIE_HOME/runs.sqlite. A RUN is its "
                               "number, its name (the newest of that name), or 'last'.",
                      .options = options,
                      .min_words = 1,
                      .max_words = 8 };
    aerie_runs *runs = NULL;
    aerie_error err = { 0 };
    int code;

    if (!cli_read(&call, &common, argc, argv, &code)) return code;
    code = check_words(&call);
    if (code) return code;
    if (o.limit < 0 || o.smooth < 0 || o.columns < 0 || o.rows < 0 || o.columns > 1000 ||
        o.rows > 1000)
        return cli_misused("--limit, --smooth, --width and --height want numbers from 0 on");
    if (!strcmp(call.words[0], "list") && !ae_file_exists(cli_runs_path()))
        return empty_list(&common);
    aerie_status status = aerie_runs_open(&runs, cli_runs_path(), &err);
    if (!status) status = do_word(runs, &call, &o, &common, &err);
    aerie_runs_close(runs);
    return status ? cli_fail(&err) : CLI_DONE;
}
