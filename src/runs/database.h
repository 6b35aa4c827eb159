/* database.h -- private: SQLite as the two sides of runs/ use it. */
#ifndef AE_RUNS_DATABASE_H
#define AE_RUNS_DATABASE_H

#include "runs/runs.h"

#include <sqlite3.h>

/* For writing: makes folder, file and tables where there are none. */
aerie_status ae_database_create(sqlite3 **out, const char *path, aerie_error *err);
/* For reading what is there. */
aerie_status ae_database_open(sqlite3 **out, const char *path, aerie_error *err);
void ae_database_close(sqlite3 *db);

/* The failure of the last call, as a sentence that names the file. */
aerie_status ae_database_fail(sqlite3 *db, aerie_error *err);
/* Statements without results. */
aerie_status ae_database_run(sqlite3 *db, const char *sql, aerie_error *err);
aerie_status ae_database_prepare(sqlite3 *db, sqlite3_stmt **out, const char *sql,
                                 aerie_error *err);
/* Steps a statement whose results nobody wants, and makes it ready for the next. */
aerie_status ae_database_step(sqlite3 *db, sqlite3_stmt *s, aerie_error *err);
void ae_database_text(sqlite3_stmt *s, int at, const char *text); /* NULL: "" */

/* ---- process.c ---- */

/* This process, so that another can tell whether it still is: host, number, when it began. */
void ae_process_name(char out[160]);
/* Whether the process of that name is certainly gone. Of another machine's nothing is certain. */
bool ae_process_is_gone(const char *name);

#endif
