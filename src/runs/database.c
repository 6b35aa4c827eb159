/* database.c -- opening the file of runs, its tables, and SQLite's failures as sentences. */
#include "runs/database.h"

#include <stdio.h>
#include <string.h>

enum { VERSION = 1, WAIT_MS = 2000 };

/* A metric's values lie beside each other, by step. AUTOINCREMENT: a number is never another run's.
 */
static const char schema[] =
    "CREATE TABLE runs (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL,"
    " method TEXT NOT NULL, model TEXT NOT NULL, model_hash TEXT NOT NULL, output TEXT NOT NULL,"
    " recipe_path TEXT NOT NULL, recipe TEXT NOT NULL, recipe_hash TEXT NOT NULL,"
    " identity TEXT NOT NULL, process TEXT NOT NULL, state TEXT NOT NULL, message TEXT NOT NULL,"
    " step INTEGER NOT NULL, n_steps INTEGER NOT NULL, started REAL NOT NULL, ended REAL);"
    "CREATE TABLE settings (run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,"
    " key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (run, key)) WITHOUT ROWID;"
    "CREATE TABLE data (run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,"
    " path TEXT NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (run, path)) WITHOUT ROWID;"
    "CREATE TABLE metrics (run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,"
    " name TEXT NOT NULL, step INTEGER NOT NULL, value REAL,"
    " PRIMARY KEY (run, name, step)) WITHOUT ROWID;"
    "PRAGMA user_version = 1;";

aerie_status ae_database_fail(sqlite3 *db, aerie_error *err)
{
    const char *path = db ? sqlite3_db_filename(db, "main") : "";
    int code = db ? sqlite3_errcode(db) & 255 : SQLITE_NOMEM;

    switch (code) {
    case SQLITE_NOMEM:
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the record of runs");
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
    case SQLITE_FORMAT:
        return aerie_fail(err, AERIE_BAD_FILE,
                          "%s: the record of runs is damaged, or no database (%s); move it away "
                          "and a new one is begun",
                          path, sqlite3_errmsg(db));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return aerie_fail(err, AERIE_IO,
                          "%s: the record of runs is locked by another program; try again when "
                          "that has ended",
                          path);
    default:
        return aerie_fail(err, AERIE_IO, "%s: the record of runs cannot be used: %s", path,
                          sqlite3_errmsg(db));
    }
}

aerie_status ae_database_run(sqlite3 *db, const char *sql, aerie_error *err)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? AERIE_OK
                                                                : ae_database_fail(db, err);
}

aerie_status ae_database_prepare(sqlite3 *db, sqlite3_stmt **out, const char *sql, aerie_error *err)
{
    return sqlite3_prepare_v2(db, sql, -1, out, NULL) == SQLITE_OK ? AERIE_OK
                                                                   : ae_database_fail(db, err);
}

aerie_status ae_database_step(sqlite3 *db, sqlite3_stmt *s, aerie_error *err)
{
    int code = sqlite3_step(s);
    aerie_status status =
        code == SQLITE_DONE || code == SQLITE_ROW ? AERIE_OK : ae_database_fail(db, err);

    sqlite3_reset(s);
    return status;
}

void ae_database_text(sqlite3_stmt *s, int at, const char *text)
{
    sqlite3_bind_text(s, at, text ? text : "", -1, SQLITE_TRANSIENT);
}

static aerie_status version_of(sqlite3 *db, int *version, aerie_error *err)
{
    sqlite3_stmt *s = NULL;
    aerie_status status = ae_database_prepare(db, &s, "PRAGMA user_version", err);

    if (!status && sqlite3_step(s) != SQLITE_ROW) status = ae_database_fail(db, err);
    if (!status) *version = sqlite3_column_int(s, 0);
    sqlite3_finalize(s);
    if (!status && *version > VERSION)
        status = aerie_fail(err, AERIE_UNSUPPORTED,
                            "%s: the record of runs is of a newer version of this program",
                            sqlite3_db_filename(db, "main"));
    return status;
}

/* Two programs may come here at once: the second finds the tables of the first. */
static aerie_status make_tables(sqlite3 *db, aerie_error *err)
{
    int version = 0;
    aerie_status status = version_of(db, &version, err);

    if (status || version == VERSION) return status;
    status = ae_database_run(db, "BEGIN IMMEDIATE", err);
    if (status) return status;
    status = version_of(db, &version, err);
    if (!status && version == 0) status = ae_database_run(db, schema, err);
    if (!status) return ae_database_run(db, "COMMIT", err);
    sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

static aerie_status make_folder(const char *path, aerie_error *err)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash && slash != path ? ae_strndup(path, (size_t)(slash - path)) : NULL;
    aerie_status status = folder ? ae_file_make_folder(folder, err) : AERIE_OK;

    ae_free(folder);
    return status;
}

static aerie_status open_file(sqlite3 **out, const char *path, int flags, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    if (sqlite3_open_v2(path, out, flags, NULL) != SQLITE_OK) {
        status = *out ? aerie_fail(err, AERIE_IO, "%s: the record of runs cannot be opened: %s",
                                   path, sqlite3_errmsg(*out))
                      : ae_database_fail(NULL, err);
        ae_database_close(*out);
        *out = NULL;
        return status;
    }
    sqlite3_busy_timeout(*out, WAIT_MS);
    return AERIE_OK;
}

/* A write-ahead log: readers and a training don't wait for each other, and a step costs no wait for
 * the disk. Where the file system cannot have one, SQLite keeps to its older journal. */
aerie_status ae_database_create(sqlite3 **out, const char *path, aerie_error *err)
{
    aerie_status status;

    *out = NULL;
    status = make_folder(path, err);
    if (!status) status = open_file(out, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, err);
    if (status) return status;
    status = ae_database_run(*out,
                             "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
                             "PRAGMA foreign_keys = ON",
                             err);
    if (!status) status = make_tables(*out, err);
    if (!status) return AERIE_OK;
    ae_database_close(*out);
    *out = NULL;
    return status;
}

/* "file:PATH?immutable=1": for a folder in which the log's own files cannot be made. */
static aerie_status open_immutable(sqlite3 **out, const char *path, aerie_error *err)
{
    ae_bytes uri = { 0 };
    aerie_status status;

    ae_bytes_add_text(&uri, "file:");
    for (const char *c = path; *c; c++) {
        if (strchr("?#%", *c))
            ae_bytes_printf(&uri, "%%%02X", (unsigned)*c);
        else
            ae_bytes_add_char(&uri, *c);
    }
    ae_bytes_add_text(&uri, "?immutable=1");
    status = ae_bytes_status(&uri, err);
    if (!status) status = open_file(out, uri.data, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, err);
    ae_bytes_free(&uri);
    return status;
}

aerie_status ae_database_open(sqlite3 **out, const char *path, aerie_error *err)
{
    aerie_error first = { 0 };
    aerie_status status;
    int version = 0;

    *out = NULL;
    if (!ae_file_exists(path))
        return aerie_fail(err, AERIE_NOT_FOUND,
                          "%s: there is no record of runs yet; `aerie train` begins it", path);
    status = open_file(out, path, SQLITE_OPEN_READONLY, &first);
    if (!status) status = version_of(*out, &version, &first);
    if (status == AERIE_IO) {
        ae_database_close(*out);
        *out = NULL;
        first = (aerie_error){ 0 };
        status = open_immutable(out, path, &first);
        if (!status) status = version_of(*out, &version, &first);
    }
    if (!status && version == 0)
        status = aerie_fail(&first, AERIE_BAD_FILE, "%s: it is not a record of runs", path);
    if (!status) return AERIE_OK;
    if (err && !err->status) *err = first;
    ae_database_close(*out);
    *out = NULL;
    return status;
}

void ae_database_close(sqlite3 *db)
{
    sqlite3_close_v2(db);
}
