/* database.c -- opening an SQLite file, its tables, and SQLite's failures as sentences. */
#include "database/database.h"

#include <string.h>

enum { STEP_MS = 20 };

/* ---- failures ---- */

static const char *path_of(const ae_database *d)
{
    return sqlite3_db_filename(d->db, "main");
}

aerie_status ae_database_fail(const ae_database *d, aerie_error *err)
{
    const char *what = d->kind->what;

    switch (d->db ? sqlite3_errcode(d->db) & 0xff : SQLITE_NOMEM) {
    case SQLITE_NOMEM:
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for %s", what);
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
    case SQLITE_FORMAT:
        return aerie_fail(
            err, AERIE_BAD_FILE,
            "%s: %s is damaged, or no database (%s); move the file away and a new one "
            "is begun",
            path_of(d), what, sqlite3_errmsg(d->db));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return aerie_fail(err, AERIE_IO,
                          "%s: %s is locked by another program; try again when that has ended",
                          path_of(d), what);
    case SQLITE_FULL:
        return aerie_fail(err, AERIE_IO, "%s: no room is left for %s; make room, and try again",
                          path_of(d), what);
    default:
        return aerie_fail(err, AERIE_IO, "%s: %s cannot be used: %s", path_of(d), what,
                          sqlite3_errmsg(d->db));
    }
}

/* ---- statements ---- */

aerie_status ae_database_run(const ae_database *d, const char *sql, aerie_error *err)
{
    return sqlite3_exec(d->db, sql, NULL, NULL, NULL) == SQLITE_OK ? AERIE_OK
                                                                   : ae_database_fail(d, err);
}

void ae_database_rollback(const ae_database *d)
{
    if (!sqlite3_get_autocommit(d->db)) sqlite3_exec(d->db, "ROLLBACK", NULL, NULL, NULL);
}

aerie_status ae_database_prepare(const ae_database *d, sqlite3_stmt **out, const char *sql,
                                 aerie_error *err)
{
    return sqlite3_prepare_v2(d->db, sql, -1, out, NULL) == SQLITE_OK ? AERIE_OK
                                                                      : ae_database_fail(d, err);
}

aerie_status ae_database_row(const ae_database *d, sqlite3_stmt *s, bool *is_row, aerie_error *err)
{
    int code = sqlite3_step(s);

    *is_row = code == SQLITE_ROW;
    return *is_row || code == SQLITE_DONE ? AERIE_OK : ae_database_fail(d, err);
}

aerie_status ae_database_step(const ae_database *d, sqlite3_stmt *s, aerie_error *err)
{
    bool is_row;
    aerie_status status = ae_database_row(d, s, &is_row, err);

    sqlite3_reset(s);
    return status;
}

void ae_database_bind(sqlite3_stmt *s, int at, const char *text)
{
    sqlite3_bind_text(s, at, text ? text : "", -1, SQLITE_TRANSIENT);
}

const char *ae_database_text(sqlite3_stmt *s, int column)
{
    const unsigned char *text = sqlite3_column_text(s, column);

    return text ? (const char *)text : "";
}

void ae_database_wait(ae_database *d, int ms)
{
    sqlite3_busy_timeout(d->db, ms);
}

/* ---- tables ---- */

static aerie_status version_of(const ae_database *d, int *version, aerie_error *err)
{
    sqlite3_stmt *s = NULL;
    bool is_row = false;
    aerie_status status = ae_database_prepare(d, &s, "PRAGMA user_version", err);

    if (!status) status = ae_database_row(d, s, &is_row, err);
    if (!status) *version = is_row ? sqlite3_column_int(s, 0) : 0;
    sqlite3_finalize(s);
    if (!status && *version > d->kind->version)
        status = aerie_fail(err, AERIE_UNSUPPORTED, "%s: %s is of a newer version of this program",
                            path_of(d), d->kind->what);
    return status;
}

static aerie_status put_tables(const ae_database *d, aerie_error *err)
{
    char set[48];
    aerie_status status = ae_database_run(d, d->kind->schema, err);

    sqlite3_snprintf(sizeof set, set, "PRAGMA user_version = %d", d->kind->version);
    return status ? status : ae_database_run(d, set, err);
}

/* Two programs may come here at once: the second finds the tables of the first. */
static aerie_status make_tables(const ae_database *d, aerie_error *err)
{
    int version = 0;
    aerie_status status = version_of(d, &version, err);

    if (status || version == d->kind->version) return status;
    status = ae_database_run(d, "BEGIN IMMEDIATE", err);
    if (status) return status;
    status = version_of(d, &version, err);
    if (!status && version == 0) status = put_tables(d, err);
    if (!status) status = ae_database_run(d, "COMMIT", err);
    if (status) ae_database_rollback(d);
    return status;
}

/* Two programs that turn a new file's journal into a write-ahead log at once have both read it and
 * would both write: SQLite refuses the second at once, whatever it was told to wait. */
static aerie_status begin_log(const ae_database *d, aerie_error *err)
{
    int code = SQLITE_BUSY;

    sqlite3_busy_timeout(d->db, STEP_MS);
    for (int ms = 0; ms < d->kind->wait_ms && (code & 0xff) == SQLITE_BUSY; ms += STEP_MS) {
        if (ms) sqlite3_sleep(STEP_MS);
        code = sqlite3_exec(d->db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
    }
    sqlite3_busy_timeout(d->db, d->kind->wait_ms);
    if (code != SQLITE_OK && (code & 0xff) != SQLITE_READONLY) return ae_database_fail(d, err);
    return ae_database_run(d, "PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON", err);
}

/* ---- files ---- */

static aerie_status make_folder(const char *path, aerie_error *err)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash && slash != path ? ae_strndup(path, (size_t)(slash - path)) : NULL;
    aerie_status status = folder ? ae_file_make_folder(folder, err) : AERIE_OK;

    ae_free(folder);
    return status;
}

static aerie_status open_file(ae_database *d, const char *path, int flags, aerie_error *err)
{
    aerie_status status;

    if (sqlite3_open_v2(path, &d->db, flags, NULL) == SQLITE_OK) {
        sqlite3_busy_timeout(d->db, d->kind->wait_ms);
        return AERIE_OK;
    }
    status = d->db ? aerie_fail(err, AERIE_IO, "%s: %s cannot be opened: %s", path, d->kind->what,
                                sqlite3_errmsg(d->db))
                   : ae_database_fail(d, err);
    ae_database_close(d);
    return status;
}

aerie_status ae_database_create(ae_database *d, const ae_database_kind *kind, const char *path,
                                aerie_error *err)
{
    aerie_status status = make_folder(path, err);

    d->kind = kind;
    if (!status) status = open_file(d, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, err);
    if (!status) status = begin_log(d, err);
    if (!status) status = make_tables(d, err);
    if (status) ae_database_close(d);
    return status;
}

/* "file:PATH?immutable=1": for a folder in which the log's own files cannot be made. */
static aerie_status open_immutable(ae_database *d, const char *path, aerie_error *err)
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
    if (!status) status = open_file(d, uri.data, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, err);
    ae_bytes_free(&uri);
    return status;
}

aerie_status ae_database_open(ae_database *d, const ae_database_kind *kind, const char *path,
                              aerie_error *err)
{
    aerie_error first = { 0 };
    aerie_status status;
    int version = 0;

    d->kind = kind;
    if (!ae_file_exists(path))
        return aerie_fail(err, AERIE_NOT_FOUND, "%s: there is no such file yet; %s", path,
                          kind->maker);
    status = open_file(d, path, SQLITE_OPEN_READONLY, &first);
    if (!status) status = version_of(d, &version, &first);
    if (status == AERIE_IO) {
        ae_database_close(d);
        first = (aerie_error){ 0 };
        status = open_immutable(d, path, &first);
        if (!status) status = version_of(d, &version, &first);
    }
    if (!status && version == 0)
        status = aerie_fail(&first, AERIE_BAD_FILE, "%s: it does not hold %s", path, kind->what);
    if (!status) return AERIE_OK;
    if (err && !err->status) *err = first;
    ae_database_close(d);
    return status;
}

void ae_database_close(ae_database *d)
{
    sqlite3_close_v2(d->db);
    d->db = NULL;
}
