/* child.h -- another program, started once and asked line by line. */
#ifndef CLI_CHILD_H
#define CLI_CHILD_H

#include "base/base.h"

#include <sys/types.h>

/* A zeroed one has not been started. */
typedef struct {
    double seconds; /* for an answer; 0: 600 */
    int to, from;
    pid_t pid;
    ae_bytes said; /* beyond the last answer */
} cli_child;

/* Starts `command` through the shell, unless it runs already. */
aerie_status cli_child_start(cli_child *c, const char *command, aerie_error *err);
/* Its answer to a line, in *answer (ae_free()) without the end of the line. Fails with a sentence
 * when it has ended, takes too long, says more than a line or a line of more than 1 MiB;
 * AERIE_INTERRUPTED when the user wants to stop. */
aerie_status cli_child_ask(cli_child *c, const char *command, const char *line, char **answer,
                           aerie_error *err);
/* Closes its input and waits for its end; two seconds later it is killed, with what it started. */
void cli_child_close(cli_child *c);

#endif
