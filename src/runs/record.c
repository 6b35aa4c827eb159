/* record.c -- a training's entry: begun, added to at every step, ended. */
#include "runs/private.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A step waits this long for another program's lock, then its values wait for the next step. */
enum { STEP_WAIT_MS = 50, END_WAIT_MS = 5000, MOST_WAITING = 1 << 18 };

typedef struct {
    char name[40];
    int64_t step;
    double value;
} waiting;

struct ae_run_log {
    ae_database db;
    sqlite3_stmt *insert, *advance;
    int64_t id, step;
    waiting *queue;
    size_t n, cap;
    bool warned;
};

static double unix_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void warn(const aerie_error *why)
{
    ae_log(AERIE_LOG_WARNING, "%s; training goes on, its metrics are beside its output alone",
           why->message);
}

/* ---- begin ---- */

/* The output as another call from another folder would find it. Its folder is there by now. */
static char *absolute(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    char *folder = ae_strndup(slash ? path : ".", slash ? (size_t)(slash - path) + 1 : 1);
    char resolved[PATH_MAX], *out = NULL;

    if (folder && realpath(folder, resolved)) out = ae_path_join(resolved, name);
    ae_free(folder);
    return out ? out : ae_strdup(path);
}

/* "out/sft.gguf" is called sft. */
static char *name_of(const char *output)
{
    const char *slash = strrchr(output, '/'), *name = slash && slash[1] ? slash + 1 : output;
    const char *dot = strrchr(name, '.');

    return ae_strndup(name, dot && dot != name ? (size_t)(dot - name) : strlen(name));
}

static aerie_status find_entry(ae_run_log *log, const ae_run_about *about, const char *output,
                               aerie_error *err)
{
    sqlite3_stmt *s = NULL;
    aerie_status status = ae_database_prepare(
        &log->db, &s,
        "SELECT id FROM runs WHERE output = ? AND identity = ? AND state <> 'done'"
        " ORDER BY id DESC LIMIT 1",
        err);
    bool is_row;

    if (status) return status;
    ae_database_bind(s, 1, output);
    ae_database_bind(s, 2, about->identity);
    status = ae_database_row(&log->db, s, &is_row, err);
    if (!status && is_row) log->id = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return status;
}

static aerie_status continue_entry(ae_run_log *log, const ae_run_about *about, const char *process,
                                   aerie_error *err)
{
    sqlite3_stmt *s = NULL;
    aerie_status status =
        ae_database_prepare(&log->db, &s,
                            "UPDATE runs SET state = 'running', message = '', ended = NULL,"
                            " process = ?, step = ?, n_steps = ? WHERE id = ?",
                            err);

    if (status) return status;
    ae_database_bind(s, 1, process);
    sqlite3_bind_int64(s, 2, about->step);
    sqlite3_bind_int64(s, 3, about->n_steps);
    sqlite3_bind_int64(s, 4, log->id);
    status = ae_database_step(&log->db, s, err);
    sqlite3_finalize(s);
    if (!status)
        status = ae_database_prepare(&log->db, &s, "DELETE FROM metrics WHERE run = ? AND step > ?",
                                     err);
    if (status) return status;
    sqlite3_bind_int64(s, 1, log->id);
    sqlite3_bind_int64(s, 2, about->step);
    status = ae_database_step(&log->db, s, err);
    sqlite3_finalize(s);
    return status;
}

static aerie_status new_entry(ae_run_log *log, const ae_run_about *about, const char *output,
                              const char *process, aerie_error *err)
{
    const char *texts[] = {
        about->method, about->model,       about->model_hash, output, about->recipe_path,
        about->recipe, about->recipe_hash, about->identity,   process
    };
    char *name = name_of(output);
    sqlite3_stmt *s = NULL;
    aerie_status status = ae_database_prepare(
        &log->db, &s,
        "INSERT INTO runs (method, model, model_hash, output, recipe_path, recipe, recipe_hash,"
        " identity, process, name, state, message, step, n_steps, started)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'running', '', ?, ?, ?)",
        err);

    if (!status) {
        for (int i = 0; i < (int)AE_COUNT(texts); i++) ae_database_bind(s, i + 1, texts[i]);
        ae_database_bind(s, 10, name);
        sqlite3_bind_int64(s, 11, about->step);
        sqlite3_bind_int64(s, 12, about->n_steps);
        sqlite3_bind_double(s, 13, unix_now());
        status = ae_database_step(&log->db, s, err);
        log->id = sqlite3_last_insert_rowid(log->db.db);
    }
    sqlite3_finalize(s);
    ae_free(name);
    return status;
}

/* A pair of texts under the run, into `settings` or `data`. */
static aerie_status put_pair(const ae_run_log *log, sqlite3_stmt *s, const char *name,
                             size_t name_len, const char *value, size_t value_len, aerie_error *err)
{
    sqlite3_bind_int64(s, 1, log->id);
    sqlite3_bind_text(s, 2, name, (int)name_len, SQLITE_TRANSIENT);
    sqlite3_bind_text(s, 3, value, (int)value_len, SQLITE_TRANSIENT);
    return ae_database_step(&log->db, s, err);
}

static aerie_status put_settings(const ae_run_log *log, const char *lines, aerie_error *err)
{
    sqlite3_stmt *s = NULL;
    aerie_status status = ae_database_prepare(
        &log->db, &s, "INSERT OR REPLACE INTO settings (run, key, value) VALUES (?, ?, ?)", err);

    while (lines && *lines && !status) {
        size_t len = strcspn(lines, "\n");
        const char *colon = memchr(lines, ':', len);
        if (colon) {
            size_t key = (size_t)(colon - lines), skip = key + 1 < len && colon[1] == ' ' ? 2 : 1;
            status = put_pair(log, s, lines, key, colon + skip, len - key - skip, err);
        }
        lines += len + (lines[len] == '\n');
    }
    sqlite3_finalize(s);
    return status;
}

static aerie_status put_data(const ae_run_log *log, const ae_run_about *about, aerie_error *err)
{
    sqlite3_stmt *s = NULL;
    aerie_status status = ae_database_prepare(
        &log->db, &s, "INSERT OR REPLACE INTO data (run, path, hash) VALUES (?, ?, ?)", err);

    for (size_t i = 0; i < about->n_data && !status; i++) {
        const ae_run_source *d = &about->data[i];
        status = put_pair(log, s, d->path, strlen(d->path), d->hash, strlen(d->hash), err);
    }
    sqlite3_finalize(s);
    return status;
}

static aerie_status put_entry(ae_run_log *log, const ae_run_about *about, const char *output,
                              aerie_error *err)
{
    char process[160];
    aerie_status status = AERIE_OK;

    ae_process_name(process);
    if (about->step > 0) status = find_entry(log, about, output, err);
    if (!status)
        status = log->id ? continue_entry(log, about, process, err)
                         : new_entry(log, about, output, process, err);
    if (!status) status = put_settings(log, about->settings, err);
    return status ? status : put_data(log, about, err);
}

static aerie_status begin(ae_run_log *log, const char *path, const ae_run_about *about,
                          aerie_error *err)
{
    char *output = absolute(about->output ? about->output : "");
    aerie_status status = ae_database_create(&log->db, &ae_runs_kind, path, err);

    if (!status && !output) status = aerie_fail(err, AERIE_NO_MEMORY, "no memory to record a run");
    if (!status) status = ae_database_run(&log->db, "BEGIN IMMEDIATE", err);
    if (!status) status = put_entry(log, about, output, err);
    if (!status) status = ae_database_run(&log->db, "COMMIT", err);
    if (!status)
        status = ae_database_prepare(&log->db, &log->insert,
                                     "INSERT OR REPLACE INTO metrics (run, name, step, value)"
                                     " VALUES (?, ?, ?, ?)",
                                     err);
    if (!status)
        status = ae_database_prepare(&log->db, &log->advance,
                                     "UPDATE runs SET step = ? WHERE id = ?", err);
    ae_free(output);
    return status;
}

static void close_log(ae_run_log *log)
{
    sqlite3_finalize(log->insert);
    sqlite3_finalize(log->advance);
    ae_database_close(&log->db); /* what was not committed is not there */
    ae_free(log->queue);
    ae_free(log);
}

ae_run_log *ae_run_begin(const char *path, const ae_run_about *about)
{
    ae_run_log *log = path ? ae_alloc(1, sizeof *log) : NULL;
    aerie_error why = { 0 };

    if (!path) return NULL;
    if (!log) {
        ae_log(AERIE_LOG_WARNING, "no memory to record the run; training goes on");
        return NULL;
    }
    log->step = about->step;
    if (begin(log, path, about, &why) == AERIE_OK) {
        ae_database_wait(&log->db, STEP_WAIT_MS);
        return log;
    }
    warn(&why);
    close_log(log);
    return NULL;
}

int64_t ae_run_id(const ae_run_log *log)
{
    return log ? log->id : 0;
}

/* ---- steps ---- */

static aerie_status put_value(const ae_run_log *log, const waiting *w, aerie_error *err)
{
    sqlite3_bind_int64(log->insert, 1, log->id);
    ae_database_bind(log->insert, 2, w->name);
    sqlite3_bind_int64(log->insert, 3, w->step);
    if (isfinite(w->value))
        sqlite3_bind_double(log->insert, 4, w->value);
    else
        sqlite3_bind_null(log->insert, 4);
    return ae_database_step(&log->db, log->insert, err);
}

static aerie_status put_queue(const ae_run_log *log, aerie_error *err)
{
    aerie_status status = ae_database_run(&log->db, "BEGIN IMMEDIATE", err);

    if (status) return status;
    for (size_t i = 0; i < log->n && !status; i++) status = put_value(log, &log->queue[i], err);
    if (!status) {
        sqlite3_bind_int64(log->advance, 1, log->step);
        sqlite3_bind_int64(log->advance, 2, log->id);
        status = ae_database_step(&log->db, log->advance, err);
    }
    if (!status) status = ae_database_run(&log->db, "COMMIT", err);
    return status;
}

/* What could not be written stays in the queue, and is told once. */
static void flush(ae_run_log *log)
{
    aerie_error why = { 0 };

    if (put_queue(log, &why) == AERIE_OK) {
        log->n = 0;
        return;
    }
    ae_database_rollback(&log->db);
    if (!log->warned) warn(&why);
    log->warned = true;
}

static bool make_room(ae_run_log *log, size_t n)
{
    size_t cap = log->cap ? log->cap : 64;
    waiting *more;

    while (cap < log->n + n) cap *= 2;
    if (cap > MOST_WAITING) return false;
    if (cap == log->cap) return true;
    more = ae_realloc(log->queue, log->cap, cap, sizeof *more);
    if (!more) return false;
    log->queue = more;
    log->cap = cap;
    return true;
}

static void add_all(ae_run_log *log, const char *prefix, int64_t step, const ae_run_value *values,
                    size_t n)
{
    for (size_t i = 0; i < n; i++) {
        waiting *w = &log->queue[log->n++];
        snprintf(w->name, sizeof w->name, "%s%s", prefix, values[i].name);
        w->step = step;
        w->value = values[i].value;
    }
}

void ae_run_record(ae_run_log *log, const char *prefix, int64_t step, const ae_run_value *values,
                   size_t n)
{
    if (!log) return;
    log->step = step;
    if (make_room(log, n)) {
        add_all(log, prefix, step, values, n);
    } else if (!log->warned) {
        ae_log(AERIE_LOG_WARNING, "no memory to record step %lld; training goes on",
               (long long)step);
        log->warned = true;
    }
    flush(log);
}

/* ---- end ---- */

void ae_run_end(ae_run_log *log, aerie_run_state state, const char *message)
{
    sqlite3_stmt *s = NULL;
    aerie_error why = { 0 };
    aerie_status status;

    if (!log) return;
    ae_database_wait(&log->db, log->warned ? STEP_WAIT_MS : END_WAIT_MS);
    if (log->n > 0) flush(log);
    status = ae_database_prepare(
        &log->db, &s, "UPDATE runs SET state = ?, message = ?, ended = ? WHERE id = ?", &why);
    if (!status) {
        ae_database_bind(s, 1, aerie_run_state_name(state));
        ae_database_bind(s, 2, message);
        sqlite3_bind_double(s, 3, unix_now());
        sqlite3_bind_int64(s, 4, log->id);
        status = ae_database_step(&log->db, s, &why);
    }
    if (status && !log->warned) warn(&why);
    sqlite3_finalize(s);
    close_log(log);
}
