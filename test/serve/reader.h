/* reader.h -- a client that reads a stream as it comes, on a thread of its own. */
#ifndef READER_H
#define READER_H

#include "base/base.h"

#include <stdatomic.h>

/* Zeroed but for what is to be set before it starts. */
typedef struct {
    const char *until;  /* it leaves when it has read this; NULL: it stays */
    const char *wanted; /* `seen` says whether it has read this; NULL: nothing */
    atomic_bool seen;
    char url[512], body[1024];
    ae_bytes text;       /* all that it read; after reader_wait() */
    aerie_status status; /* AERIE_INTERRUPTED: it left */
    ae_thread *thread;
} reader;

/* POST of a body, in which ' stands for ", to a server's path. */
void reader_start(reader *c, const char *server_url, const char *path, const char *body);
void reader_wait(reader *c);
void reader_end(reader *c); /* waits, too */

/* Every line is an object of its own, and the last is success alone. */
void expect_success(const char *lines);

/* Until it is so. */
#define WAIT_FOR(what)                                                                             \
    while (!(what)) server_sleep_ms(2)

#endif
