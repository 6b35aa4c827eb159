/* journal.h -- the door of journal: a file of JSON lines that grows, one object a line, and that
 * nothing which ends a program leaves in pieces: what a killed run leaves, and what the next one
 * goes on from.
 *
 *   killed      A line is there when ae_journal_add() has returned AERIE_OK, whole. One that was
 *               being written is the file's last and has no end; opening takes it away.
 *   power cut   Lines reach the disk a second after they came, while more of them come, and with
 *               ae_journal_sync() and _close(): what came later may be missing or torn.
 *   full disk   ae_journal_add() fails with a sentence, and the file is as it was before.
 *   two runs    The second one's open fails; also in one process. File systems that know no locks
 *               (some of networks) go without.
 *   not ours    A line that is no JSON object, or that the caller refuses, is an error that names
 *               it; the file is then as it was, to the byte. */
#ifndef AE_JOURNAL_H
#define AE_JOURNAL_H

#include "base/base.h"

#include <jansson.h>

/* A zeroed journal is closed; closing it does nothing. */
typedef struct {
    char *path; /* owned; NULL: closed */
    int fd;
    size_t n_lines; /* that were there, and have been added; empty ones count */
    double synced;  /* when what was written last went to the disk; ae_clock_seconds() */
} ae_journal;

/* Sees a line of those that were there, in their order. Its error is put behind "path:number: ". */
typedef aerie_status ae_journal_line_fn(void *user, const json_t *line, aerie_error *err);

/* Opens the file, or begins it, and calls `fn` with each whole line; empty ones are passed over.
 * `what`: what a line is, for sentences: "reply of `aerie compare`". A device or a pipe is written
 * to, and not read. On failure *out is closed. AERIE_BAD_FILE: a line is wrong; AERIE_IO: another
 * run is writing to it, or it can't be read or written; whatever `fn` returns. */
aerie_status ae_journal_open(ae_journal *out, const char *path, const char *what,
                             ae_journal_line_fn *fn, void *user, aerie_error *err);
/* For `fn`: fails with "no WHAT; move the file away to begin anew". */
aerie_status ae_journal_refuse(const char *what, aerie_error *err);

typedef enum {
    AE_JOURNAL_UTF8,
    AE_JOURNAL_ASCII /* other characters as \u escapes, as Python's json.dumps() writes them */
} ae_journal_text;

/* Appends a line. The reference to `line` is taken; NULL, as of a json_pack() that failed, is
 * AERIE_NO_MEMORY. Numbers are written to 17 digits, so that they are read again to the bit. */
aerie_status ae_journal_add(ae_journal *j, json_t *line, ae_journal_text text, aerie_error *err);
/* All lines so far go to the disk. */
aerie_status ae_journal_sync(ae_journal *j, aerie_error *err);
void ae_journal_close(ae_journal *j);

#endif
