/* benchmark_keep.c -- answers in an SQLite file, by a hash of all that they depend on: a run that
 * was stopped goes on where it was, and another task's same question is not asked again. */
#include "eval/benchmark_private.h"

#include <math.h>
#include <sqlite3.h>
#include <string.h>

enum { WAIT_MS = 20000, STEP_MS = 20, MOST_WAITING = 4096 };

/* Answers wait here and are written together: several runs share the file, and each holds it for no
 * longer than that takes. */
struct ae_kept {
    sqlite3 *db;
    sqlite3_stmt *find, *put;
    ae_bench_answer waiting[MOST_WAITING];
    size_t n_waiting;
    double since; /* when the first of them came */
};

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, logprob REAL, greedy INTEGER,"
    " tokens INTEGER, merged INTEGER, reply TEXT, squares REAL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS results (id INTEGER PRIMARY KEY, task TEXT NOT NULL,"
    " model TEXT NOT NULL, ended TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, result TEXT NOT NULL);";

/* What can be done about it. */
static const char *advice(int code)
{
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return "; another program holds it: try again when that is done";
    case SQLITE_FULL:
        return "; make room, and the same call goes on";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return "; move the file away to ask all again";
    default:
        return "";
    }
}

static aerie_status failed(ae_kept *k, aerie_error *err)
{
    return aerie_fail(err, AERIE_IO, "%s: answers cannot be kept there: %s%s",
                      sqlite3_db_filename(k->db, "main"), sqlite3_errmsg(k->db),
                      advice(sqlite3_errcode(k->db)));
}

static aerie_status run(ae_kept *k, const char *sql, aerie_error *err)
{
    return sqlite3_exec(k->db, sql, NULL, NULL, NULL) == SQLITE_OK ? AERIE_OK : failed(k, err);
}

/* Two that make the file at once may meet where SQLite does not wait by itself: one that has read
 * and would write, as both do here, fails at once. */
static aerie_status run_patiently(ae_kept *k, const char *sql, aerie_error *err)
{
    int code = SQLITE_BUSY;

    for (int ms = 0; ms < WAIT_MS && (code & 0xff) == SQLITE_BUSY; ms += STEP_MS) {
        if (ms) sqlite3_sleep(STEP_MS);
        code = sqlite3_exec(k->db, sql, NULL, NULL, NULL);
    }
    return code == SQLITE_OK ? AERIE_OK : failed(k, err);
}

static aerie_status prepare(ae_kept *k, aerie_error *err)
{
    aerie_status status;

    sqlite3_busy_timeout(k->db, STEP_MS);
    status = run_patiently(k, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL", err);
    if (!status) status = run_patiently(k, schema, err);
    sqlite3_busy_timeout(k->db, WAIT_MS);
    /* A file of before; of one that has it this fails, and says no more than that. */
    if (!status)
        sqlite3_exec(k->db, "ALTER TABLE answers ADD COLUMN squares REAL", NULL, NULL, NULL);
    if (status) return status;
    if (sqlite3_prepare_v2(k->db,
                           "SELECT logprob, greedy, tokens, merged, reply, squares FROM answers"
                           " WHERE key = ?",
                           -1, &k->find, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(k->db, "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)", -1,
                           &k->put, NULL) != SQLITE_OK)
        return failed(k, err);
    return AERIE_OK;
}

aerie_status ae_kept_open(ae_kept **out, const char *path, aerie_error *err)
{
    ae_kept *k = ae_alloc(1, sizeof *k);
    aerie_status status = AERIE_OK;

    *out = NULL;
    if (!k) return aerie_fail(err, AERIE_NO_MEMORY, "no memory to keep answers");
    if (sqlite3_open_v2(path, &k->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) !=
        SQLITE_OK)
        status = aerie_fail(err, AERIE_IO, "%s: answers cannot be kept there: %s", path,
                            k->db ? sqlite3_errmsg(k->db) : "no memory");
    if (!status) status = prepare(k, err);
    if (status)
        ae_kept_close(k);
    else
        *out = k;
    return status;
}

void ae_kept_close(ae_kept *k)
{
    if (!k) return;
    sqlite3_finalize(k->find);
    sqlite3_finalize(k->put);
    sqlite3_close_v2(k->db);
    ae_free(k);
}

aerie_status ae_kept_find(ae_kept *k, ae_bench_answer *a, ae_arena *arena, aerie_error *err)
{
    aerie_status status = AERIE_OK;
    int code;

    sqlite3_bind_blob(k->find, 1, a->key, sizeof a->key, SQLITE_STATIC);
    code = sqlite3_step(k->find);
    if (code == SQLITE_ROW) {
        const char *reply = (const char *)sqlite3_column_text(k->find, 4);
        a->known = true;
        bool is_number = sqlite3_column_type(k->find, 0) != SQLITE_NULL; /* NaN is kept as NULL */
        a->answer = (ae_answer){ .ll = is_number ? sqlite3_column_double(k->find, 0) : NAN,
                                 .is_greedy = sqlite3_column_int(k->find, 1),
                                 .n_tokens = sqlite3_column_int(k->find, 2),
                                 .squares = sqlite3_column_double(k->find, 5) };
        a->merged = sqlite3_column_int(k->find, 3);
        size_t len = (size_t)sqlite3_column_bytes(k->find, 4);
        a->reply = (ae_span){ reply ? ae_arena_strndup(arena, reply, len) : NULL, len };
        if (reply && !a->reply.data)
            status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for what is kept");
    } else if (code != SQLITE_DONE) {
        status = failed(k, err);
    }
    sqlite3_reset(k->find);
    return status;
}

static aerie_status write_answer(ae_kept *k, const ae_bench_answer *a, aerie_error *err)
{
    sqlite3_stmt *s = k->put;
    aerie_status status = AERIE_OK;

    sqlite3_bind_blob(s, 1, a->key, sizeof a->key, SQLITE_STATIC);
    sqlite3_bind_double(s, 2, a->answer.ll);
    sqlite3_bind_int(s, 3, a->answer.is_greedy);
    sqlite3_bind_int(s, 4, a->answer.n_tokens);
    sqlite3_bind_int(s, 5, a->merged);
    if (a->reply.data)
        sqlite3_bind_text(s, 6, a->reply.data, (int)a->reply.len, SQLITE_STATIC);
    else
        sqlite3_bind_null(s, 6);
    sqlite3_bind_double(s, 7, a->answer.squares);
    if (sqlite3_step(s) != SQLITE_DONE) status = failed(k, err);
    sqlite3_reset(s);
    return status;
}

aerie_status ae_kept_flush(ae_kept *k, aerie_error *err)
{
    aerie_status status;

    if (!k->n_waiting) return AERIE_OK;
    status = run(k, "BEGIN IMMEDIATE", err);
    for (size_t i = 0; i < k->n_waiting && !status; i++)
        status = write_answer(k, &k->waiting[i], err);
    if (!status) status = run(k, "COMMIT", err);
    if (status) sqlite3_exec(k->db, "ROLLBACK", NULL, NULL, NULL);
    k->n_waiting = 0;
    return status;
}

aerie_status ae_kept_put(ae_kept *k, const ae_bench_answer *a, aerie_error *err)
{
    if (!k->n_waiting) k->since = ae_clock_seconds();
    k->waiting[k->n_waiting++] = *a;
    if (k->n_waiting < MOST_WAITING && ae_clock_seconds() - k->since < 1) return AERIE_OK;
    return ae_kept_flush(k, err);
}

aerie_status ae_kept_result(ae_kept *k, const char *task, const char *identity, const char *json,
                            aerie_error *err)
{
    sqlite3_stmt *s = NULL;
    aerie_status status = ae_kept_flush(k, err);

    if (status) return status;
    if (sqlite3_prepare_v2(k->db, "INSERT INTO results (task, model, result) VALUES (?, ?, ?)", -1,
                           &s, NULL) != SQLITE_OK)
        return failed(k, err);
    sqlite3_bind_text(s, 1, task, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 2, identity, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 3, json, -1, SQLITE_STATIC);
    if (sqlite3_step(s) != SQLITE_DONE) status = failed(k, err);
    sqlite3_finalize(s);
    return status;
}
