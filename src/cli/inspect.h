/* inspect.h -- the parts of `aerie inspect`. */
#ifndef AE_CLI_INSPECT_H
#define AE_CLI_INSPECT_H

#include "cli/cli.h"

/* What the weights of one file have lost against another's, tensor by tensor. */
aerie_status cli_compare_weights(const char *path, const char *against, const cli_common *common,
                                 aerie_error *err);

#endif
