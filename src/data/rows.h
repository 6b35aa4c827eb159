/* rows.h -- the rows of a file, one after the other, whatever its format.
 *
 * Lines of JSON, an array of JSON values, or Parquet; plain or gzipped. What is held is a part of
 * the file, or a page of each of its columns, and the row that was asked for. */
#ifndef AE_DATA_ROWS_H
#define AE_DATA_ROWS_H

#include "base/base.h"

#include <jansson.h>

typedef struct ae_rows ae_rows;

aerie_status ae_rows_open(ae_rows **out, const char *path, aerie_error *err);
/* Of a text in memory, which must outlive the handle; `name` is for messages. */
aerie_status ae_rows_open_text(ae_rows **out, const char *name, ae_span text, aerie_error *err);
void ae_rows_close(ae_rows *r); /* NULL is fine */

typedef struct {
    json_t *json; /* a new reference; NULL: there are no more */
    size_t line;  /* from 1; `is_row`: it counts rows */
    bool is_row;
} ae_file_row;
/* An empty line is no row. */
aerie_status ae_rows_next(ae_rows *r, ae_file_row *out, aerie_error *err);

#endif
