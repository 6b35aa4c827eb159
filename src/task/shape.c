/* shape.c -- one row in the form its task is written for: other shapes' columns renamed, columns
 * made, texts mended. */
#include "task/task_private.h"

#include <string.h>

static aerie_status no_memory(aerie_error *err)
{
    return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a task's rows");
}

/* "question.stem": a column of a column. */
static bool has_path(json_t *row, const char *path)
{
    while (row && *path) {
        size_t n = strcspn(path, ".");
        char key[64];
        if (n >= sizeof key) return false;
        memcpy(key, path, n);
        key[n] = '\0';
        row = json_object_get(row, key);
        path += n + (path[n] == '.');
    }
    return row != NULL;
}

static aerie_status make_column(json_t *row, const task_column *c, json_t *from, aerie_error *err)
{
    json_t *value, *cleaned = NULL;
    aerie_status status = ae_field_value(&value, &c->field, from, err);

    if (!status && c->clean) {
        status = task_clean(&cleaned, c->clean, value, err);
        json_decref(value);
        value = cleaned;
    }
    if (status)
        json_decref(value);
    else if (json_object_set_new(row, c->name, value))
        status = no_memory(err);
    if (status) aerie_error_prefix(err, "column '%s'", c->name);
    return status;
}

static aerie_status rename_columns(json_t *row, const ae_task *t, json_t *from, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    for (size_t i = 0; i < t->n_shapes; i++) {
        const task_shape *shape = &t->shapes[i];
        if (!has_path(from, shape->has) || (shape->lacks && has_path(from, shape->lacks))) continue;
        for (size_t k = 0; k < shape->n && !status; k++)
            status = make_column(row, &shape->columns[k], from, err);
        break;
    }
    return status;
}

aerie_status task_shape_row(json_t **out, const ae_task *t, json_t *from, aerie_error *err)
{
    json_t *row = json_copy(from);
    aerie_status status = row ? rename_columns(row, t, from, err) : no_memory(err);

    if (!status && t->vars && json_object_update_missing(row, t->vars)) status = no_memory(err);
    for (size_t i = 0; i < t->n_made && !status; i++)
        if (!json_object_get(row, t->made[i].name)) /* OLMES' requests bring some along */
            status = make_column(row, &t->made[i], row, err);
    if (status) {
        json_decref(row);
        row = NULL;
    }
    *out = row;
    return status;
}
