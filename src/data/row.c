/* row.c -- the columns of a row, under the names that the recipe gives them. */
#include "data/record.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *ae_row_column(const ae_row_source *src, const char *ours)
{
    const ae_dataset_options *o = src->options;
    for (size_t i = 0; o && i < o->n_columns; i++)
        if (strcmp(o->columns[i].ours, ours) == 0) return o->columns[i].theirs;
    return ours;
}

json_t *ae_row_get(const ae_row_source *src, const char *ours)
{
    json_t *value = json_object_get(src->row, ae_row_column(src, ours));
    return json_is_null(value) ? NULL : value;
}

bool ae_row_has(const ae_row_source *src, const char *ours)
{
    return ae_row_get(src, ours) != NULL;
}

aerie_status ae_row_fail(const ae_row_source *src, aerie_error *err, const char *format, ...)
{
    char what[400];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return aerie_fail(err, AERIE_BAD_FILE, "%s%s%zu: %s", src->file, src->is_row ? ": row " : ":",
                      src->line, what);
}

void ae_row_columns(const ae_row_source *src, char *out, size_t size)
{
    size_t n = 0;
    out[0] = '\0';
    for (void *at = json_object_iter(src->row); at; at = json_object_iter_next(src->row, at)) {
        int added = snprintf(out + n, size - n, "%s%s", n ? ", " : "", json_object_iter_key(at));
        if (added < 0 || (size_t)added >= size - n) break;
        n += (size_t)added;
    }
}

static const char *nearest_column(const ae_row_source *src, const char *wanted)
{
    const char *names[64];
    size_t n = 0;
    for (void *at = json_object_iter(src->row); at && n < AE_COUNT(names);
         at = json_object_iter_next(src->row, at))
        names[n++] = json_object_iter_key(at);
    return ae_nearest(wanted, names, n);
}

aerie_status ae_row_text(const ae_row_source *src, const char *ours, ae_span *out, aerie_error *err)
{
    const char *theirs = ae_row_column(src, ours);
    json_t *value = json_object_get(src->row, theirs);
    if (json_is_string(value)) {
        *out = (ae_span){ json_string_value(value), json_string_length(value) };
        return AERIE_OK;
    }
    if (value)
        return ae_row_fail(src, err, "the column '%s' must hold a text; remove or mend this row",
                           theirs);
    char columns[200];
    const char *near = nearest_column(src, theirs);
    ae_row_columns(src, columns, sizeof columns);
    return ae_row_fail(src, err, "no column '%s'; it has %s%s%s%s", theirs, columns,
                       near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}
