/* database.h -- the program's SQLite files: how one is made, opened and asked, and its failures as
 * sentences. A write-ahead log: readers and writers don't wait for each other, and a write costs no
 * wait for the disk. Where the file system cannot have one, SQLite keeps to its older journal. */
#ifndef AE_DATABASE_DATABASE_H
#define AE_DATABASE_DATABASE_H

#include "base/base.h"

#include <sqlite3.h>

/* What one kind of file holds. */
typedef struct {
    const char *what;   /* in sentences: "the record of runs" */
    const char *maker;  /* who makes one, where one is only read: "`aerie train` begins it" */
    const char *schema; /* statements that make its tables in an empty file */
    int version;        /* of the schema, 1 or more: kept in the file */
    int wait_ms;        /* that a call waits for another program's writing */
} ae_database_kind;

/* To be set to zero before it is opened. */
typedef struct {
    sqlite3 *db;
    const ae_database_kind *kind;
} ae_database;

/* For writing: makes folder, file and tables where there are none; several programs may do so at
 * once. A file that may only be read is opened too, and refuses to be written. */
aerie_status ae_database_create(ae_database *d, const ae_database_kind *kind, const char *path,
                                aerie_error *err);
/* For reading what is there; AERIE_NOT_FOUND where nothing is. */
aerie_status ae_database_open(ae_database *d, const ae_database_kind *kind, const char *path,
                              aerie_error *err);
void ae_database_close(ae_database *d); /* after its statements; one that was never open is fine */

/* How long calls wait from now on. */
void ae_database_wait(ae_database *d, int ms);

/* The failure of the last call, as a sentence that names the file. */
aerie_status ae_database_fail(const ae_database *d, aerie_error *err);
/* Statements without results. */
aerie_status ae_database_run(const ae_database *d, const char *sql, aerie_error *err);
/* Ends a transaction that failed. */
void ae_database_rollback(const ae_database *d);
aerie_status ae_database_prepare(const ae_database *d, sqlite3_stmt **out, const char *sql,
                                 aerie_error *err);
/* Steps a statement whose results nobody wants, and makes it ready for the next. */
aerie_status ae_database_step(const ae_database *d, sqlite3_stmt *s, aerie_error *err);
/* Steps a statement once: whether there is a row. */
aerie_status ae_database_row(const ae_database *d, sqlite3_stmt *s, bool *is_row, aerie_error *err);

void ae_database_bind(sqlite3_stmt *s, int at, const char *text); /* copied; NULL: "" */
const char *ae_database_text(sqlite3_stmt *s, int column);        /* of a row; "" for NULL */

#endif
