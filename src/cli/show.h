/* show.h -- a model in words. */
#ifndef AE_CLI_SHOW_H
#define AE_CLI_SHOW_H

#include <jansson.h>
#include <stdbool.h>

/* What aerie_store_show() says; `verbose`: metadata and tensors too. */
void cli_print_shown(const json_t *o, bool verbose);

#endif
