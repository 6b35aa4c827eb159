/* child.h -- another program, started once and asked line by line. */
#ifndef CLI_CHILD_H
#define CLI_CHILD_H

#include "aerie/error.h"

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

/* A zeroed one has not been started. */
typedef struct {
    FILE *to, *from;
    pid_t pid;
} cli_child;

/* Starts `command` through the shell, unless it runs already. */
aerie_status cli_child_start(cli_child *c, const char *command, aerie_error *err);
/* Its answer to a line, in *answer (free()) without the end of the line; false: it has ended. */
bool cli_child_ask(cli_child *c, const char *line, char **answer);
/* Closes its input and waits for its end. */
void cli_child_close(cli_child *c);

#endif
