/* task.c -- a task opened, asked and closed; families and groups of them by name. */
#include "task/task_private.h"

#include <string.h>

/* A path, and no built-in's name. */
static bool is_path(const char *name)
{
    size_t n = strlen(name);

    return strchr(name, '/') || (n > 5 && strcmp(name + n - 5, ".yaml") == 0) ||
           (n > 4 && strcmp(name + n - 4, ".yml") == 0);
}

static aerie_status open_yaml(ae_task **out, const char *name, ae_span text, const char *member,
                              const ae_protocol *protocol, aerie_error *err)
{
    ae_yaml yaml = { 0 };
    ae_task *t = ae_alloc(1, sizeof *t);
    aerie_status status;

    *out = NULL;
    if (!t) return aerie_fail(err, AERIE_NO_MEMORY, "%s: no memory for the task", name);
    t->protocol = protocol;
    t->file = ae_arena_strndup(&t->arena, name, strlen(name));
    status = t->file ? ae_yaml_read(&yaml, name, text, err)
                     : aerie_fail(err, AERIE_NO_MEMORY, "%s: no memory for the task", name);
    if (!status) status = task_spec(t, &yaml, member, err);
    if (!status) status = task_read(t, err);
    ae_yaml_free(&yaml);
    if (status)
        ae_task_close(t);
    else
        *out = t;
    return status;
}

aerie_status ae_task_open_text(ae_task **out, const char *name, ae_span yaml,
                               const ae_protocol *protocol, aerie_error *err)
{
    return open_yaml(out, name, yaml, NULL, protocol, err);
}

static aerie_status open_file(ae_task **out, const char *path, const ae_protocol *protocol,
                              aerie_error *err)
{
    ae_bytes text = { 0 };
    aerie_status status = ae_file_read(&text, path, 4 << 20, err);

    *out = NULL;
    if (!status) status = open_yaml(out, path, ae_span_of(&text), NULL, protocol, err);
    ae_bytes_free(&text);
    return status;
}

static aerie_status unknown(const char *name, aerie_error *err)
{
    const char *names[64], *near;
    size_t n = 0;

    while (n < AE_COUNT(names) && ae_task_known(n)) {
        names[n] = ae_task_known(n);
        n++;
    }
    near = ae_nearest(name, names, n);
    if (near)
        return aerie_fail(err, AERIE_NOT_FOUND, "no task '%.60s'; did you mean '%s'?", name, near);
    return aerie_fail(err, AERIE_NOT_FOUND,
                      "no task '%.60s'; give a built-in task's name, or the path of a YAML file",
                      name);
}

aerie_status ae_task_open(ae_task **out, const char *name, const ae_protocol *protocol,
                          aerie_error *err)
{
    const char *text = task_known_text(name), *member = NULL;

    *out = NULL;
    if (!text && is_path(name)) return open_file(out, name, protocol, err);
    if (!text) text = task_known_family(name, &member);
    if (!text) return unknown(name, err);
    return open_yaml(out, name, ae_span_text(text), member, protocol, err);
}

static void close_form(task_form *f)
{
    ae_field_close(&f->text);
    ae_field_close(&f->target);
    ae_field_close(&f->choices);
}

static void close_columns(task_column *columns, size_t n)
{
    for (size_t i = 0; columns && i < n; i++) ae_field_close(&columns[i].field);
}

void ae_task_close(ae_task *t)
{
    if (!t) return;
    close_form(&t->ask);
    close_form(&t->shot);
    ae_field_close(&t->description);
    ae_field_close(&t->unconditional);
    ae_field_close(&t->count);
    ae_field_close(&t->labels);
    for (size_t i = 0; i < t->n_shapes; i++) close_columns(t->shapes[i].columns, t->shapes[i].n);
    close_columns(t->made, t->n_made);
    json_decref(t->spec);
    json_decref(t->lines);
    json_decref(t->vars);
    ae_arena_free(&t->arena);
    ae_free(t);
}

/* ---- names ---- */

typedef struct {
    const char **items;
    size_t n, cap;
    ae_arena *arena;
    aerie_error *err;
} name_list;

static aerie_status add_name(name_list *l, const char *family, const char *name)
{
    ae_bytes full = { 0 };

    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 16;
        const char **grown = ae_arena_take(l->arena, cap, sizeof *grown);
        if (!grown) return aerie_fail(l->err, AERIE_NO_MEMORY, "no memory for the names of tasks");
        if (l->n) memcpy(grown, l->items, l->n * sizeof *grown);
        l->items = grown;
        l->cap = cap;
    }
    ae_bytes_printf(&full, "%s%s%s", family ? family : "", family ? "_" : "", name);
    l->items[l->n] = full.failed ? NULL : ae_arena_strndup(l->arena, full.data, full.len);
    ae_bytes_free(&full);
    if (!l->items[l->n++])
        return aerie_fail(l->err, AERIE_NO_MEMORY, "no memory for the names of tasks");
    return AERIE_OK;
}

/* The members of a family, the tasks of a group, or the name itself. */
static aerie_status list_names(name_list *l, const char *name, int depth)
{
    const char *text = task_known_text(name);
    json_t *members, *list;
    ae_yaml yaml = { 0 };
    aerie_status status = text ? ae_yaml_read(&yaml, name, ae_span_text(text), l->err) : AERIE_OK;

    members = json_object_get(yaml.root, "members");
    list = json_object_get(yaml.root, "tasks");
    if (json_is_object(members)) list = json_object_iter_value(json_object_iter(members));
    for (size_t i = 0; i < json_array_size(list) && !status; i++) {
        const char *one = json_string_value(json_array_get(list, i));
        if (members)
            status = add_name(l, name, one ? one : "");
        else if (depth < 4)
            status = list_names(l, one ? one : "", depth + 1);
    }
    if (!status && !list) status = add_name(l, NULL, name);
    ae_yaml_free(&yaml);
    return status;
}

aerie_status ae_task_names(const char ***out, size_t *n, const char *name, ae_arena *arena,
                           aerie_error *err)
{
    name_list l = { .arena = arena, .err = err };
    aerie_status status = list_names(&l, name, 0);

    *out = l.items;
    *n = l.n;
    return status;
}

/* ---- what it says ---- */

const char *ae_task_name(const ae_task *t)
{
    return t->name;
}
const char *ae_task_about(const ae_task *t)
{
    return t->about;
}
ae_form ae_task_form(const ae_task *t)
{
    return t->form;
}
const ae_protocol *ae_task_protocol(const ae_task *t)
{
    return t->protocol;
}
ae_split ae_task_split(const ae_task *t)
{
    return t->split;
}
int ae_task_shots(const ae_task *t)
{
    return t->n_shots;
}
int64_t ae_task_window(const ae_task *t)
{
    return t->window;
}
size_t ae_task_metric_count(const ae_task *t)
{
    return t->n_metrics;
}
const ae_metric *ae_task_metric(const ae_task *t, size_t i)
{
    return &t->metrics[i];
}
const char *ae_task_main_metric(const ae_task *t)
{
    return t->main_metric;
}
size_t ae_task_filter_count(const ae_task *t)
{
    return t->n_filters;
}
const ae_filter *ae_task_filter(const ae_task *t, size_t i)
{
    return &t->filters[i];
}
const ae_generation *ae_task_generation(const ae_task *t)
{
    return &t->generation;
}
const char *ae_task_checker(const ae_task *t)
{
    return t->checker;
}
const char *ae_task_source(const ae_task *t)
{
    return t->source;
}
