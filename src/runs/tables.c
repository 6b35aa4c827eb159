/* tables.c -- the record of runs as SQLite holds it. */
#include "runs/private.h"

/* A metric's values lie beside each other, by step. AUTOINCREMENT: a number is never another run's.
 */
const ae_database_kind ae_runs_kind = {
    .what = "the record of runs",
    .maker = "`aerie train` begins it",
    .version = 1,
    .wait_ms = 2000,
    .schema =
        "CREATE TABLE runs (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL,"
        " method TEXT NOT NULL, model TEXT NOT NULL, model_hash TEXT NOT NULL,"
        " output TEXT NOT NULL, recipe_path TEXT NOT NULL, recipe TEXT NOT NULL,"
        " recipe_hash TEXT NOT NULL, identity TEXT NOT NULL, process TEXT NOT NULL,"
        " state TEXT NOT NULL, message TEXT NOT NULL,"
        " step INTEGER NOT NULL, n_steps INTEGER NOT NULL, started REAL NOT NULL, ended REAL);"
        "CREATE TABLE settings (run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,"
        " key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (run, key)) WITHOUT ROWID;"
        "CREATE TABLE data (run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,"
        " path TEXT NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (run, path)) WITHOUT ROWID;"
        "CREATE TABLE metrics (run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,"
        " name TEXT NOT NULL, step INTEGER NOT NULL, value REAL,"
        " PRIMARY KEY (run, name, step)) WITHOUT ROWID;",
};
