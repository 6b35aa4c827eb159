/* jsonl.h -- JSON in and out of the commands. */
#ifndef AE_JSONL_H
#define AE_JSONL_H

#include "aerie/error.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* Prints one line and lets go of the value. */
void cli_print_json(json_t *value);
json_t *cli_ids_json(const int32_t *ids, size_t n);

/* Calls fn with each line's JSON object, stopping at the first failure. */
typedef aerie_status cli_line_fn(void *user, json_t *row, aerie_error *err);
aerie_status cli_each_line(const char *path, cli_line_fn *fn, void *user, aerie_error *err);

#endif
