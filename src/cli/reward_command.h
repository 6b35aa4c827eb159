/* reward_command.h -- a program that scores replies: started once, asked line by line. */
#ifndef CLI_REWARD_COMMAND_H
#define CLI_REWARD_COMMAND_H

#include "aerie/train.h"

#include <stdio.h>
#include <sys/types.h>

/* A zeroed one has not been started. */
typedef struct {
    FILE *to, *from;
    pid_t pid;
} cli_reward_command;

/* An aerie_reward_fn; `user` is a cli_reward_command, which is started by the first call, through
 * the shell. */
aerie_status cli_reward_ask(void *user, const char *command, const aerie_reward_item *items,
                            size_t n, double *scores, aerie_error *err);
/* Closes its input and waits for its end. */
void cli_reward_close(cli_reward_command *c);

#endif
