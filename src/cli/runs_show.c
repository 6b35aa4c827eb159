/* runs_show.c -- `aerie runs show`, `diff` and `plot`. */
#include "cli/runs.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static const char *text(const json_t *o, const char *key)
{
    const char *value = json_string_value(json_object_get(o, key));

    return value ? value : "";
}

static double value_of(const json_t *metric, const char *key)
{
    const json_t *v = json_object_get(metric, key);

    return json_is_number(v) ? json_number_value(v) : NAN;
}

static int64_t id_of(const json_t *run)
{
    return (int64_t)json_integer_value(json_object_get(run, "id"));
}

static void print_json(json_t *o)
{
    json_dumpf(o, stdout, JSON_REAL_PRECISION(15));
    putchar('\n');
}

static const char *time_text(char out[32], const json_t *seconds)
{
    time_t t = (time_t)json_number_value(seconds);
    struct tm local;

    if (!json_is_number(seconds)) return "";
    localtime_r(&t, &local);
    strftime(out, 32, "%Y-%m-%d %H:%M:%S", &local);
    return out;
}

/* ---- show ---- */

static void show_head(const json_t *run)
{
    const json_t *started = json_object_get(run, "started"), *ended = json_object_get(run, "ended");
    char when[32], then[32], took[32] = "";
    const char *key, *hash;
    json_t *value;

    printf("run %lld: %s, %s, %s", (long long)id_of(run), text(run, "name"), text(run, "method"),
           text(run, "state"));
    printf(", %lld of %lld steps\n", (long long)json_integer_value(json_object_get(run, "step")),
           (long long)json_integer_value(json_object_get(run, "steps")));
    if (*text(run, "message")) printf("  why       %s\n", text(run, "message"));
    printf("  started   %s\n", time_text(when, started));
    if (json_is_number(ended))
        printf("  ended     %s (%s)\n", time_text(then, ended),
               cli_seconds(took, json_number_value(ended) - json_number_value(started)));
    printf("  recipe    %s  %.12s\n", text(run, "recipe_path"), text(run, "recipe_hash"));
    printf("  model     %s  %.12s\n", text(run, "model"), text(run, "model_hash"));
    json_object_foreach(json_object_get(run, "data"), key, value)
    {
        hash = json_string_value(value);
        printf("  data      %s  %.12s\n", key, hash ? hash : "");
    }
    printf("  output    %s\n", text(run, "output"));
}

static aerie_status show_metrics(aerie_runs *runs, const json_t *run, aerie_error *err)
{
    aerie_status status = AERIE_OK;
    const char *name;
    json_t *m;

    printf("\n  %-20s %12s %12s %12s %12s\n", "METRIC", "FIRST", "LAST", "MIN", "MAX");
    json_object_foreach(json_object_get(run, "metrics"), name, m)
    {
        plot_series s = { 0 };
        ae_bytes line = { 0 };
        if (!status) status = cli_runs_series(runs, id_of(run), name, &s, err);
        plot_sparkline(&s, 24, &line);
        printf("  %-20s %12.6g %12.6g %12.6g %12.6g  %s\n", name, value_of(m, "first"),
               value_of(m, "last"), value_of(m, "min"), value_of(m, "max"),
               line.data ? line.data : "");
        ae_bytes_free(&line);
        ae_free(s.x);
        ae_free(s.y);
    }
    return status;
}

aerie_status cli_runs_show(aerie_runs *runs, const char *word, const cli_common *common,
                           aerie_error *err)
{
    json_t *run = cli_runs_load(runs, word, err), *value;
    aerie_status status = AERIE_OK;
    const char *key;

    if (!run) return err->status;
    if (common->json) {
        print_json(run);
    } else {
        show_head(run);
        status = show_metrics(runs, run, err);
        printf("\n  SETTINGS\n");
        json_object_foreach(json_object_get(run, "settings"), key, value)
            printf("  %-28s %s\n", key, json_string_value(value));
    }
    json_decref(run);
    return status;
}

/* ---- diff ---- */

/* Names of either, each once, by their alphabet as both lists are. */
static json_t *names_of(const json_t *a, const json_t *b)
{
    json_t *names = json_object(), *value;
    const char *key;

    json_object_foreach((json_t *)(uintptr_t)a, key, value)
        json_object_set_new(names, key, json_null());
    json_object_foreach((json_t *)(uintptr_t)b, key, value)
        json_object_set_new(names, key, json_null());
    return names;
}

static json_t *or_null(const json_t *o, const char *key)
{
    json_t *v = json_object_get(o, key);

    return v ? json_incref(v) : json_null();
}

/* {"key": [value of a, value of b]} of what differs. */
static json_t *differences(const json_t *a, const json_t *b)
{
    json_t *names = names_of(a, b), *out = json_object(), *value;
    const char *key;

    json_object_foreach(names, key, value)
    {
        if (json_equal(json_object_get(a, key), json_object_get(b, key))) continue;
        json_object_set_new(out, key, json_pack("[o, o]", or_null(a, key), or_null(b, key)));
    }
    json_decref(names);
    return out;
}

static json_t *ends(const json_t *a, const json_t *b)
{
    json_t *names = names_of(a, b), *out = json_object(), *value;
    const char *key;

    json_object_foreach(names, key, value)
        json_object_set_new(out, key,
                            json_pack("[o, o]", or_null(json_object_get(a, key), "last"),
                                      or_null(json_object_get(b, key), "last")));
    json_decref(names);
    return out;
}

static const char *shown(const json_t *v)
{
    return json_is_string(v) ? json_string_value(v) : "-";
}

/* Two texts side by side where they are short, else below each other. */
static void print_texts(const char *key, const char *a, const char *b)
{
    if (strlen(a) <= 24 && strlen(b) <= 24)
        printf("  %-26s %-24s  %s\n", key, a, b);
    else
        printf("  %-26s %s\n  %-26s %s\n", key, a, "", b);
}

static void print_number(double v)
{
    if (isnan(v))
        printf(" %14s", "-");
    else
        printf(" %14.6g", v);
}

static void print_diff(const json_t *a, const json_t *b, json_t *settings, json_t *data,
                       json_t *metrics)
{
    char left[64], right[64], x_hash[16], y_hash[16];
    const char *key;
    json_t *pair;

    snprintf(left, sizeof left, "%lld %.16s", (long long)id_of(a), text(a, "name"));
    snprintf(right, sizeof right, "%lld %.16s", (long long)id_of(b), text(b, "name"));
    print_texts("RUN", left, right);
    print_texts("state", text(a, "state"), text(b, "state"));
    if (strcmp(text(a, "model_hash"), text(b, "model_hash")) != 0) {
        snprintf(x_hash, sizeof x_hash, "%.12s", text(a, "model_hash"));
        snprintf(y_hash, sizeof y_hash, "%.12s", text(b, "model_hash"));
        print_texts("model's hash", x_hash, y_hash);
    }
    json_object_foreach(data, key, pair)
    {
        snprintf(x_hash, sizeof x_hash, "%.12s", shown(json_array_get(pair, 0)));
        snprintf(y_hash, sizeof y_hash, "%.12s", shown(json_array_get(pair, 1)));
        print_texts(key, x_hash, y_hash);
    }
    printf("\n  SETTINGS%s\n", json_object_size(settings) ? "" : ": the same");
    json_object_foreach(settings, key, pair)
        print_texts(key, shown(json_array_get(pair, 0)), shown(json_array_get(pair, 1)));
    printf("\n  %-26s %14s %14s %14s\n", "LAST VALUES", left, right, "DIFFERENCE");
    json_object_foreach(metrics, key, pair)
    {
        const json_t *x = json_array_get(pair, 0), *y = json_array_get(pair, 1);
        double first = json_is_number(x) ? json_number_value(x) : NAN;
        double second = json_is_number(y) ? json_number_value(y) : NAN;
        printf("  %-26s", key);
        print_number(first);
        print_number(second);
        print_number(second - first);
        putchar('\n');
    }
}

aerie_status cli_runs_diff(aerie_runs *runs, const char *first, const char *second,
                           const cli_common *common, aerie_error *err)
{
    json_t *a = cli_runs_load(runs, first, err), *b = a ? cli_runs_load(runs, second, err) : NULL;
    json_t *settings, *data, *metrics;

    if (!a || !b) {
        json_decref(a);
        return err->status;
    }
    settings = differences(json_object_get(a, "settings"), json_object_get(b, "settings"));
    data = differences(json_object_get(a, "data"), json_object_get(b, "data"));
    metrics = ends(json_object_get(a, "metrics"), json_object_get(b, "metrics"));
    if (common->json) {
        json_t *o = json_pack("{s:O, s:O, s:b, s:O, s:O, s:O}", "a", json_object_get(a, "id"), "b",
                              json_object_get(b, "id"), "same_model",
                              strcmp(text(a, "model_hash"), text(b, "model_hash")) == 0, "settings",
                              settings, "data", data, "metrics", metrics);
        print_json(o);
        json_decref(o);
    } else {
        print_diff(a, b, settings, data, metrics);
    }
    json_decref(settings);
    json_decref(data);
    json_decref(metrics);
    json_decref(a);
    json_decref(b);
    return AERIE_OK;
}

/* ---- plot ---- */

/* "loss margin reward": what could be drawn. */
static aerie_status nothing_to_draw(aerie_runs *runs, const char *word, const char *metric,
                                    aerie_error *err)
{
    json_t *run = cli_runs_load(runs, word, err), *value;
    ae_bytes names = { 0 };
    const char *key;
    aerie_status status;

    if (!run) return err->status;
    json_object_foreach(json_object_get(run, "metrics"), key, value)
        ae_bytes_printf(&names, "%s%s", names.len ? ", " : "", key);
    status =
        names.len
            ? aerie_fail(err, AERIE_NOT_FOUND, "run %s has no values of '%s'; it has %.300s", word,
                         metric, names.data)
            : aerie_fail(err, AERIE_NOT_FOUND, "run %s has no metrics: it came to no step", word);
    ae_bytes_free(&names);
    json_decref(run);
    return status;
}

static bool take_name(void *user, const aerie_run *run)
{
    snprintf(user, 64, "%lld %.40s", (long long)run->id, run->name);
    return true;
}

static aerie_status add_curve(aerie_runs *runs, plot *p, const char *word, const char *metric,
                              bool named, int64_t smooth, aerie_error *err)
{
    plot_series *s = &p->series[p->n];
    char name[64] = "";
    int64_t id = 0;
    aerie_status status = aerie_runs_find(runs, word, &id, err);

    if (!status) status = aerie_runs_get(runs, id, take_name, name, err);
    if (status) return status;
    p->n++;
    snprintf(s->label, sizeof s->label, "%s%s%.14s", name, named ? " " : "", named ? metric : "");
    status = cli_runs_series(runs, id, metric, s, err);
    if (!status && s->n == 0) status = nothing_to_draw(runs, word, metric, err);
    if (!status && !plot_smooth(s, smooth))
        status = aerie_fail(err, AERIE_NO_MEMORY, "no memory to smooth a curve");
    return status;
}

static void print_points(const plot *p)
{
    json_t *all = json_array();

    for (int i = 0; i < p->n; i++) {
        json_t *points = json_array();
        for (size_t k = 0; k < p->series[i].n; k++)
            json_array_append_new(
                points, json_pack("[I, f]", (json_int_t)p->series[i].x[k], p->series[i].y[k]));
        json_array_append_new(
            all, json_pack("{s:s, s:o}", "label", p->series[i].label, "points", points));
    }
    json_t *o = json_pack("{s:o}", "series", all);
    print_json(o);
    json_decref(o);
}

static aerie_status draw(const plot *p, const cli_runs_options *o, const cli_common *common,
                         aerie_error *err)
{
    bool terminal = isatty(STDOUT_FILENO);
    struct winsize size = { 0 };
    int columns = (int)o->columns;
    ae_bytes out = { 0 };
    aerie_status status;

    if (!columns && terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) columns = size.ws_col;
    if (o->file)
        plot_svg(p, &out);
    else
        plot_terminal(p, columns ? columns : 80, o->rows ? (int)o->rows : 16, terminal, &out);
    status = ae_bytes_status(&out, err);
    if (!status && o->file) {
        status = ae_file_write(o->file, out.data, out.len, err);
        if (!status && !common->quiet) fprintf(stderr, "wrote %s\n", o->file);
    } else if (!status) {
        fputs(out.data, stdout);
    }
    ae_bytes_free(&out);
    return status;
}

aerie_status cli_runs_plot(aerie_runs *runs, const char *const *words, int n,
                           const cli_runs_options *o, const cli_common *common, aerie_error *err)
{
    static const char *const only_loss[] = { "loss" };
    const char *const *metrics = o->metrics.n ? o->metrics.items : only_loss;
    int n_metrics = o->metrics.n ? o->metrics.n : 1;
    aerie_status status = AERIE_OK;
    plot p = { .x_label = "step" };
    char title[200] = "";

    if (n * n_metrics > PLOT_MOST)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "%d curves are too many to be told apart; draw at most %d at once",
                          n * n_metrics, PLOT_MOST);
    for (int m = 0; m < n_metrics; m++) {
        size_t len = strlen(title);
        snprintf(title + len, sizeof title - len, "%s%.40s", m ? ", " : "", metrics[m]);
        for (int i = 0; i < n && !status; i++)
            status = add_curve(runs, &p, words[i], metrics[m], n_metrics > 1, o->smooth, err);
    }
    if (n == 1 && !status) {
        size_t len = strlen(title);
        snprintf(title + len, sizeof title - len, " of run %.60s",
                 n_metrics == 1 ? p.series[0].label : words[0]);
    }
    p.title = title;
    if (!status && common->json && !o->file)
        print_points(&p);
    else if (!status)
        status = draw(&p, o, common, err);
    plot_free(&p);
    return status;
}
