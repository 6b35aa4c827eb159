/* inspect.h -- the parts of `aerie inspect`. */
#ifndef AE_CLI_INSPECT_H
#define AE_CLI_INSPECT_H

#include "cli/cli.h"

/* What the weights of one file have lost against another's, tensor by tensor. */
aerie_status cli_compare_weights(const char *path, const char *against, const cli_common *common,
                                 aerie_error *err);

/* What a reward model makes of replies, token by token: of a file's, or of the ones given. */
typedef struct {
    const char *data, *prompt;
    const cli_list *replies;
    int64_t limit; /* rows */
} cli_reward;
aerie_status cli_inspect_reward(const char *model, const cli_reward *r, const cli_common *common,
                                aerie_error *err);

#endif
