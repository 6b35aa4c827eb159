/* private.h -- what the two sides of runs/ share. */
#ifndef AE_RUNS_PRIVATE_H
#define AE_RUNS_PRIVATE_H

#include "database/database.h"
#include "runs/runs.h"

/* ---- tables.c ---- */

extern const ae_database_kind ae_runs_kind;

/* ---- process.c ---- */

/* This process, so that another can tell whether it still is: host, number, when it began. */
void ae_process_name(char out[160]);
/* Whether the process of that name is certainly gone. Of another machine's nothing is certain. */
bool ae_process_is_gone(const char *name);

#endif
