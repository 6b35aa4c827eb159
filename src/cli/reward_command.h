/* reward_command.h -- a program that scores replies: started once, asked line by line. */
#ifndef CLI_REWARD_COMMAND_H
#define CLI_REWARD_COMMAND_H

#include "aerie/train.h"
#include "cli/child.h"

/* An aerie_reward_fn; `user` is a cli_child, which is started by the first call. */
aerie_status cli_reward_ask(void *user, const char *command, const aerie_reward_item *items,
                            size_t n, double *scores, aerie_error *err);

#endif
