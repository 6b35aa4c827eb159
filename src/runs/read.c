/* read.c -- the calls of aerie/runs.h. */
#include "runs/private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct aerie_runs {
    ae_database db;
};

static const char *const state_names[] = { "running", "done", "interrupted", "failed" };

const char *aerie_run_state_name(aerie_run_state state)
{
    return (size_t)state < AE_COUNT(state_names) ? state_names[state] : "unknown";
}

aerie_status aerie_runs_open(aerie_runs **out, const char *path, aerie_error *err)
{
    aerie_runs *runs = ae_alloc(1, sizeof *runs);
    aerie_status status;

    *out = NULL;
    if (!runs) return aerie_fail(err, AERIE_NO_MEMORY, "no memory to read the record of runs");
    status = ae_database_open(&runs->db, &ae_runs_kind, path, err);
    if (!status)
        *out = runs;
    else
        ae_free(runs);
    return status;
}

void aerie_runs_close(aerie_runs *runs)
{
    if (!runs) return;
    ae_database_close(&runs->db);
    ae_free(runs);
}

static double number_at(sqlite3_stmt *s, int column)
{
    return sqlite3_column_type(s, column) == SQLITE_NULL ? NAN : sqlite3_column_double(s, column);
}

/* A text that none of them is would be a damaged file's: as good as failed. */
static aerie_run_state state_at(sqlite3_stmt *s, int column)
{
    const char *text = ae_database_text(s, column);

    for (size_t i = 0; i < AE_COUNT(state_names); i++)
        if (strcmp(text, state_names[i]) == 0) return (aerie_run_state)i;
    return AERIE_RUN_FAILED;
}

#define RUN_COLUMNS                                                                                \
    "id, name, method, model, output, recipe_path, recipe, model_hash, recipe_hash, state,"        \
    " message, step, n_steps, started, ended, process"

static aerie_run run_at(sqlite3_stmt *s)
{
    aerie_run run = { .id = sqlite3_column_int64(s, 0),
                      .name = ae_database_text(s, 1),
                      .method = ae_database_text(s, 2),
                      .model = ae_database_text(s, 3),
                      .output = ae_database_text(s, 4),
                      .recipe_path = ae_database_text(s, 5),
                      .recipe = ae_database_text(s, 6),
                      .model_hash = ae_database_text(s, 7),
                      .recipe_hash = ae_database_text(s, 8),
                      .state = state_at(s, 9),
                      .message = ae_database_text(s, 10),
                      .step = sqlite3_column_int64(s, 11),
                      .n_steps = sqlite3_column_int64(s, 12),
                      .started = sqlite3_column_double(s, 13),
                      .ended = sqlite3_column_double(s, 14) };

    if (run.state == AERIE_RUN_RUNNING && ae_process_is_gone(ae_database_text(s, 15))) {
        run.state = AERIE_RUN_INTERRUPTED;
        run.message = "its process was killed";
    }
    return run;
}

/* Gives each row of a statement to `take` until it says false; ends the statement. */
static aerie_status each_row(aerie_runs *runs, sqlite3_stmt *s,
                             bool (*take)(sqlite3_stmt *s, void *user), void *user,
                             aerie_error *err)
{
    aerie_status status;
    bool is_row;

    do status = ae_database_row(&runs->db, s, &is_row, err);
    while (!status && is_row && take(s, user));
    sqlite3_finalize(s);
    return status;
}

typedef struct {
    aerie_run_fn *run;
    aerie_run_text_fn *text;
    aerie_run_metric_fn *metric;
    aerie_run_point_fn *point;
    void *user;
    int64_t n;
} taker;

static bool take_run(sqlite3_stmt *s, void *user)
{
    taker *t = user;
    aerie_run run = run_at(s);

    t->n++;
    return t->run(t->user, &run);
}

aerie_status aerie_runs_list(aerie_runs *runs, int64_t limit, aerie_run_fn *each, void *user,
                             aerie_error *err)
{
    taker t = { .run = each, .user = user };
    sqlite3_stmt *s = NULL;
    aerie_status status = ae_database_prepare(
        &runs->db, &s, "SELECT " RUN_COLUMNS " FROM runs ORDER BY id DESC LIMIT ?", err);

    if (status) return status;
    sqlite3_bind_int64(s, 1, limit > 0 ? limit : -1);
    return each_row(runs, s, take_run, &t, err);
}

/* ---- one run ---- */

typedef struct {
    char *names[256];
    size_t n;
} name_list;

static bool add_name(void *user, const aerie_run *run)
{
    name_list *list = user;

    list->names[list->n] = ae_strdup(run->name);
    if (list->names[list->n]) list->n++;
    return list->n < AE_COUNT(list->names);
}

static aerie_status unknown(aerie_runs *runs, const char *word, aerie_error *err)
{
    name_list list = { 0 };
    const char *near;
    aerie_status status;

    aerie_runs_list(runs, 0, add_name, &list, NULL);
    near = ae_nearest(word, (const char *const *)list.names, list.n);
    status = near ? aerie_fail(err, AERIE_NOT_FOUND, "there is no run '%.60s'; did you mean '%s'?",
                               word, near)
                  : aerie_fail(err, AERIE_NOT_FOUND,
                               "there is no run '%.60s'; `aerie runs list` shows them all", word);
    for (size_t i = 0; i < list.n; i++) ae_free(list.names[i]);
    return status;
}

/* A name that is all digits is found by its name where no run has that number. */
aerie_status aerie_runs_find(aerie_runs *runs, const char *word, int64_t *id, aerie_error *err)
{
    bool number = *word && strspn(word, "0123456789") == strlen(word) && strlen(word) < 18;
    sqlite3_stmt *s = NULL;
    aerie_status status =
        ae_database_prepare(&runs->db, &s,
                            "SELECT id FROM runs WHERE id = ?1 OR name = ?2 OR ?2 = 'last'"
                            " ORDER BY id <> ?1, name <> ?2 AND ?2 <> 'last', id DESC LIMIT 1",
                            err);
    bool is_row;

    if (status) return status;
    sqlite3_bind_int64(s, 1, number ? strtoll(word, NULL, 10) : -1);
    ae_database_bind(s, 2, word);
    status = ae_database_row(&runs->db, s, &is_row, err);
    if (!status && is_row) *id = sqlite3_column_int64(s, 0);
    if (!status && !is_row) status = unknown(runs, word, err);
    sqlite3_finalize(s);
    return status;
}

/* A statement whose first parameter is the run. */
static aerie_status of_run(aerie_runs *runs, sqlite3_stmt **s, const char *sql, int64_t id,
                           aerie_error *err)
{
    aerie_status status = ae_database_prepare(&runs->db, s, sql, err);

    if (!status) sqlite3_bind_int64(*s, 1, id);
    return status;
}

aerie_status aerie_runs_get(aerie_runs *runs, int64_t id, aerie_run_fn *each, void *user,
                            aerie_error *err)
{
    taker t = { .run = each, .user = user };
    sqlite3_stmt *s = NULL;
    aerie_status status =
        of_run(runs, &s, "SELECT " RUN_COLUMNS " FROM runs WHERE id = ?", id, err);

    if (!status) status = each_row(runs, s, take_run, &t, err);
    if (!status && t.n == 0)
        status = aerie_fail(err, AERIE_NOT_FOUND, "there is no run %lld", (long long)id);
    return status;
}

static bool take_text(sqlite3_stmt *s, void *user)
{
    taker *t = user;

    return t->text(t->user, ae_database_text(s, 0), ae_database_text(s, 1));
}

aerie_status aerie_runs_settings(aerie_runs *runs, int64_t id, aerie_run_text_fn *each, void *user,
                                 aerie_error *err)
{
    taker t = { .text = each, .user = user };
    sqlite3_stmt *s = NULL;
    aerie_status status =
        of_run(runs, &s, "SELECT key, value FROM settings WHERE run = ? ORDER BY key", id, err);

    return status ? status : each_row(runs, s, take_text, &t, err);
}

aerie_status aerie_runs_data(aerie_runs *runs, int64_t id, aerie_run_text_fn *each, void *user,
                             aerie_error *err)
{
    taker t = { .text = each, .user = user };
    sqlite3_stmt *s = NULL;
    aerie_status status =
        of_run(runs, &s, "SELECT path, hash FROM data WHERE run = ? ORDER BY path", id, err);

    return status ? status : each_row(runs, s, take_text, &t, err);
}

static bool take_metric(sqlite3_stmt *s, void *user)
{
    taker *t = user;
    aerie_run_metric metric = { .name = ae_database_text(s, 0),
                                .n = sqlite3_column_int64(s, 1),
                                .last_step = sqlite3_column_int64(s, 2),
                                .min = number_at(s, 3),
                                .max = number_at(s, 4),
                                .first = number_at(s, 5),
                                .last = number_at(s, 6) };

    return t->metric(t->user, &metric);
}

aerie_status aerie_runs_metrics(aerie_runs *runs, int64_t id, aerie_run_metric_fn *each, void *user,
                                aerie_error *err)
{
    taker t = { .metric = each, .user = user };
    sqlite3_stmt *s = NULL;
    aerie_status status = of_run(
        runs, &s,
        "SELECT name, n, last, least, most,"
        " (SELECT value FROM metrics m WHERE m.run = g.run AND m.name = g.name AND m.step = first),"
        " (SELECT value FROM metrics m WHERE m.run = g.run AND m.name = g.name AND m.step = last)"
        " FROM (SELECT run, name, count(value) AS n, min(value) AS least, max(value) AS most,"
        "  min(step) FILTER (WHERE value IS NOT NULL) AS first,"
        "  max(step) FILTER (WHERE value IS NOT NULL) AS last"
        "  FROM metrics WHERE run = ? GROUP BY name) g WHERE n > 0 ORDER BY name",
        id, err);

    return status ? status : each_row(runs, s, take_metric, &t, err);
}

static bool take_point(sqlite3_stmt *s, void *user)
{
    taker *t = user;

    return t->point(t->user, sqlite3_column_int64(s, 0), sqlite3_column_double(s, 1));
}

aerie_status aerie_runs_series(aerie_runs *runs, int64_t id, const char *metric,
                               aerie_run_point_fn *each, void *user, aerie_error *err)
{
    taker t = { .point = each, .user = user };
    sqlite3_stmt *s = NULL;
    aerie_status status =
        of_run(runs, &s,
               "SELECT step, value FROM metrics WHERE run = ? AND name = ? AND value IS NOT NULL"
               " ORDER BY step",
               id, err);

    if (status) return status;
    ae_database_bind(s, 2, metric);
    return each_row(runs, s, take_point, &t, err);
}
