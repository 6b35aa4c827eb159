/* csv.h -- tables in text. Private to task. */
#ifndef AE_TASK_CSV_H
#define AE_TASK_CSV_H

#include "base/base.h"

#include <jansson.h>

/* Appends an object for each line. header: the columns' names; NULL: the first line says them.
 * most 0: all. `name` is for messages. */
aerie_status task_csv_read(json_t *rows, const char *name, ae_span text, char separator,
                           json_t *header, size_t most, aerie_error *err);

#endif
