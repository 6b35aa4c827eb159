/* benchmark_keep.c -- answers in an SQLite file, by a hash of all that they depend on: a run that
 * was stopped goes on where it was, and another task's same question is not asked again. */
#include "database/database.h"
#include "eval/benchmark_private.h"

#include <math.h>

enum { MOST_WAITING = 4096 };

/* Answers wait here and are written together: several runs share the file, and each holds it for no
 * longer than that takes. */
struct ae_kept {
    ae_database db;
    sqlite3_stmt *find, *put;
    ae_bench_answer waiting[MOST_WAITING];
    size_t n_waiting;
    double since; /* when the first of them came */
};

static const ae_database_kind kind = {
    .what = "the file of kept answers",
    .maker = "`aerie eval` begins it",
    .version = 1,
    .wait_ms = 20000,
    .schema =
        "CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, logprob REAL, greedy INTEGER,"
        " tokens INTEGER, merged INTEGER, reply TEXT, squares REAL) WITHOUT ROWID;"
        "CREATE TABLE IF NOT EXISTS results (id INTEGER PRIMARY KEY, task TEXT NOT NULL,"
        " model TEXT NOT NULL, ended TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,"
        " result TEXT NOT NULL);",
};

aerie_status ae_kept_open(ae_kept **out, const char *path, aerie_error *err)
{
    ae_kept *k = ae_alloc(1, sizeof *k);
    aerie_status status;

    *out = NULL;
    if (!k) return aerie_fail(err, AERIE_NO_MEMORY, "no memory to keep answers");
    status = ae_database_create(&k->db, &kind, path, err);
    if (!status)
        status = ae_database_prepare(&k->db, &k->find,
                                     "SELECT logprob, greedy, tokens, merged, reply, squares"
                                     " FROM answers WHERE key = ?",
                                     err);
    if (!status)
        status = ae_database_prepare(
            &k->db, &k->put, "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)", err);
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
    ae_database_close(&k->db);
    ae_free(k);
}

aerie_status ae_kept_find(ae_kept *k, ae_bench_answer *a, ae_arena *arena, aerie_error *err)
{
    aerie_status status;

    sqlite3_bind_blob(k->find, 1, a->key, sizeof a->key, SQLITE_STATIC);
    status = ae_database_row(&k->db, k->find, &a->known, err);
    if (a->known) {
        const char *reply = (const char *)sqlite3_column_text(k->find, 4);
        bool is_number = sqlite3_column_type(k->find, 0) != SQLITE_NULL; /* NaN is kept as NULL */
        a->answer = (ae_response){ .ll = is_number ? sqlite3_column_double(k->find, 0) : NAN,
                                   .is_greedy = sqlite3_column_int(k->find, 1),
                                   .n_tokens = sqlite3_column_int(k->find, 2),
                                   .squares = sqlite3_column_double(k->find, 5) };
        a->merged = sqlite3_column_int(k->find, 3);
        size_t len = (size_t)sqlite3_column_bytes(k->find, 4);
        a->reply = (ae_span){ reply ? ae_arena_strndup(arena, reply, len) : NULL, len };
        if (reply && !a->reply.data)
            status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for what is kept");
    }
    sqlite3_reset(k->find);
    return status;
}

static aerie_status write_answer(ae_kept *k, const ae_bench_answer *a, aerie_error *err)
{
    sqlite3_stmt *s = k->put;

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
    return ae_database_step(&k->db, s, err);
}

aerie_status ae_kept_flush(ae_kept *k, aerie_error *err)
{
    aerie_status status;

    if (!k->n_waiting) return AERIE_OK;
    status = ae_database_run(&k->db, "BEGIN IMMEDIATE", err);
    for (size_t i = 0; i < k->n_waiting && !status; i++)
        status = write_answer(k, &k->waiting[i], err);
    if (!status) status = ae_database_run(&k->db, "COMMIT", err);
    if (status) ae_database_rollback(&k->db);
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

    if (!status)
        status = ae_database_prepare(
            &k->db, &s, "INSERT INTO results (task, model, result) VALUES (?, ?, ?)", err);
    if (status) return status;
    ae_database_bind(s, 1, task);
    ae_database_bind(s, 2, identity);
    ae_database_bind(s, 3, json);
    status = ae_database_step(&k->db, s, err);
    sqlite3_finalize(s);
    return status;
}
