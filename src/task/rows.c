/* rows.c -- rows of a split, put in form when they are first asked for. */
#include "task/task_private.h"

aerie_status task_rows_open(task_rows *r, const ae_task *t, json_t *raw, aerie_error *err)
{
    *r = (task_rows){ .task = t, .raw = raw, .n = json_array_size(raw) };
    r->shaped = ae_alloc(r->n, sizeof *r->shaped);
    return r->shaped ? AERIE_OK : aerie_fail(err, AERIE_NO_MEMORY, "no memory for %zu rows", r->n);
}

void task_rows_close(task_rows *r)
{
    for (size_t i = 0; r->shaped && i < r->n; i++) json_decref(r->shaped[i]);
    ae_free(r->shaped);
    json_decref(r->raw);
    *r = (task_rows){ 0 };
}

aerie_status task_rows_at(json_t **out, task_rows *r, size_t i, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    *out = r->shaped[i];
    if (*out) return AERIE_OK;
    if (json_is_object(json_array_get(r->raw, i)))
        status = task_shape_row(&r->shaped[i], r->task, json_array_get(r->raw, i), err);
    else
        status = aerie_fail(err, AERIE_BAD_FILE, "a row must be an object of columns");
    if (status) aerie_error_prefix(err, "%s: row %zu", r->task->name, i + 1);
    *out = r->shaped[i];
    return status;
}
