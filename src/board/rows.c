/* rows.c -- rows of verdicts, whatever file they are in. */
#include "board/rows.h"

#include "data/data.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

aerie_status ae_board_no_memory(aerie_error *err)
{
    return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the verdicts");
}

static aerie_status each_of(const char *path, ae_board_row_fn *fn, void *user, aerie_error *err)
{
    ae_rows *rows = NULL;
    aerie_status status = ae_rows_open(&rows, path, err);
    ae_file_row row = { 0 };
    size_t n = 0;

    while (!status) {
        status = ae_rows_next(rows, &row, err);
        if (status || !row.json) break;
        n++;
        if (json_is_object(row.json))
            status = fn(user, row.json, err);
        else
            status = aerie_fail(err, AERIE_BAD_FILE, "a verdict is a JSON object");
        if (status) aerie_error_prefix(err, "%s:%zu", path, row.line);
        json_decref(row.json);
    }
    ae_rows_close(rows);
    return status || n ? status
                       : aerie_fail(err, AERIE_BAD_FILE, "%s: there is nothing in it", path);
}

aerie_status ae_board_each(const char *const *paths, size_t n_paths, ae_board_row_fn *fn,
                           void *user, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    for (size_t i = 0; i < n_paths && !status; i++) status = each_of(paths[i], fn, user, err);
    return status;
}

void ae_board_names_free(ae_board_names *names)
{
    json_decref(names->numbers);
    *names = (ae_board_names){ 0 };
}

size_t ae_board_names_at(ae_board_names *names, const char *name)
{
    if (!names->numbers) names->numbers = json_object();
    json_t *known = json_object_get(names->numbers, name);
    if (known) return (size_t)json_integer_value(known);
    if (json_object_set_new(names->numbers, name, json_integer((json_int_t)names->n)))
        return SIZE_MAX;
    return names->n++;
}

bool ae_board_grow(void **items, size_t *n, size_t at, size_t size)
{
    if (at < *n) return true;
    size_t more = at + 1 > 2 * *n ? at + 1 : 2 * *n;
    char *grown = ae_realloc(*items, *n, more, size);
    if (!grown) return false;
    memset(grown + *n * size, 0, (more - *n) * size);
    *items = grown;
    *n = more;
    return true;
}

bool ae_board_list_add(ae_board_list *list, double x)
{
    void *items = list->x;

    if (!ae_board_grow(&items, &list->cap, list->n, sizeof x)) return false;
    list->x = items;
    list->x[list->n++] = x;
    return true;
}

const char *ae_board_text(const json_t *row, const char *key, char room[24])
{
    const json_t *value = json_object_get(row, key);

    if (!json_is_integer(value)) return json_string_value(value);
    snprintf(room, 24, "%lld", (long long)json_integer_value(value));
    return room;
}

json_t *ae_board_real(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

json_t *ae_board_sorted(json_t *array, const char *key)
{
    json_t *out = json_array();

    while (out && json_array_size(array) > 0) {
        size_t best = 0;
        for (size_t i = 1; i < json_array_size(array); i++) {
            double a = json_number_value(json_object_get(json_array_get(array, best), key));
            double b = json_number_value(json_object_get(json_array_get(array, i), key));
            if (b > a) best = i;
        }
        json_array_append(out, json_array_get(array, best));
        json_array_remove(array, best);
    }
    json_decref(array);
    return out;
}
