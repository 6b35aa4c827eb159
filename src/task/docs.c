/* docs.c -- from the files people have to the rows a task is written for. */
#include "task/csv.h"
#include "task/task_private.h"

#include "data/data.h"

#include <string.h>

static aerie_status no_memory(aerie_error *err)
{
    return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a task's rows");
}

/* ---- files ---- */

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), k = strlen(end);

    return n >= k && strcmp(text + n - k, end) == 0;
}

/* What a table's fields are separated by; 0: it is no table. */
static char separator_of(const char *path)
{
    if (ends_with(path, ".csv") || ends_with(path, ".csv.gz")) return ',';
    if (ends_with(path, ".tsv") || ends_with(path, ".tsv.gz")) return '\t';
    return 0;
}

/* A text as it is: one row with the column "text". */
static bool is_text(const char *path)
{
    static const char *const endings[] = { ".txt", ".txt.gz", ".raw", ".raw.gz", ".md", ".tokens" };

    for (size_t i = 0; i < AE_COUNT(endings); i++)
        if (ends_with(path, endings[i])) return true;
    return false;
}

static aerie_status read_whole_text(json_t *rows, const char *path, aerie_error *err)
{
    ae_bytes text = { 0 };
    aerie_status status = ae_file_read(&text, path, 0, err);
    json_t *row = status ? NULL : json_object();

    if (!status && !row) status = no_memory(err);
    if (!status &&
        json_object_set_new(row, "text", json_stringn(text.data ? text.data : "", text.len)))
        status = aerie_fail(err, AERIE_BAD_FILE, "%s: the text is not UTF-8", path);
    if (!status && json_array_append(rows, row)) status = no_memory(err);
    json_decref(row);
    ae_bytes_free(&text);
    return status;
}

static aerie_status read_table(json_t *rows, const char *path, json_t *header, size_t most,
                               aerie_error *err)
{
    ae_bytes text = { 0 };
    aerie_status status = ae_file_read(&text, path, 0, err);

    if (!status)
        status =
            task_csv_read(rows, path, ae_span_of(&text), separator_of(path), header, most, err);
    ae_bytes_free(&text);
    return status;
}

/* A row of the harnesses' own files stands for its document: OLMES' requests, one for each choice
 * (those from 1000000 on ask without the question), and lm-eval's logged samples. */
static json_t *document_of(json_t *row, json_int_t *last)
{
    json_t *doc = json_object_get(row, "doc"), *id = json_object_get(row, "doc_id");

    if (!json_is_object(doc) || !json_is_integer(id)) return row;
    if (json_integer_value(id) == *last || json_integer_value(id) >= 1000000) return NULL;
    *last = json_integer_value(id);
    return doc;
}

static aerie_status add_row(json_t *rows, json_t *row, json_int_t *last, const char *path,
                            aerie_error *err)
{
    json_t *examples = json_object_get(row, "examples"); /* BIG-Bench-Hard's own files */
    json_t *doc = document_of(row, last);

    if (!json_is_object(row))
        return aerie_fail(err, AERIE_BAD_FILE, "%s: a row is no object of columns", path);
    if (json_is_array(examples))
        return json_array_extend(rows, examples) ? no_memory(err) : AERIE_OK;
    return doc && json_array_append(rows, doc) ? no_memory(err) : AERIE_OK;
}

static aerie_status read_rows(json_t *rows, const char *path, json_t *header, size_t most,
                              aerie_error *err)
{
    size_t before = json_array_size(rows);
    json_int_t last = -1;
    ae_rows *reader;
    ae_file_row row = { 0 };
    aerie_status status;

    if (separator_of(path)) return read_table(rows, path, header, most, err);
    if (is_text(path)) return read_whole_text(rows, path, err);
    status = ae_rows_open(&reader, path, err);
    while (!status && (!most || json_array_size(rows) - before < most)) {
        status = ae_rows_next(reader, &row, err);
        if (status || !row.json) break;
        status = add_row(rows, row.json, &last, path, err);
        json_decref(row.json);
    }
    ae_rows_close(reader);
    return status;
}

aerie_status ae_task_read_rows(json_t *rows, const char *path, size_t most, aerie_error *err)
{
    return read_rows(rows, path, NULL, most, err);
}

/* ---- which file ---- */

/* The folder in which names are looked for: `data`, or the one in which the file `data` lies. */
static aerie_status folder_of(ae_bytes *out, const char *data, aerie_error *err)
{
    const char *slash = strrchr(data, '/');

    if (ae_file_is_folder(data))
        ae_bytes_add_text(out, data);
    else if (slash)
        ae_bytes_add(out, data, (size_t)(slash - data) + (slash == data));
    else
        ae_bytes_add_char(out, '.');
    return ae_bytes_status(out, err);
}

typedef struct {
    const ae_task *task;
    json_t *rows;
    const char *folder;
    ae_arena arena;
    bool found;
} search;

/* Reads what `path` names: a file, that file gzipped, or the files of a pattern. */
static aerie_status try_path(search *s, const char *path, json_t *header, aerie_error *err)
{
    const char **files = NULL;
    aerie_error ignored = { 0 };
    aerie_status status = AERIE_OK;
    size_t n = 0;

    if (strpbrk(path, "*?[") && ae_files_of(&files, &n, path, &s->arena, &ignored)) n = 0;
    if (!strpbrk(path, "*?[") && ae_file_exists(path) && !ae_file_is_folder(path)) {
        files = &path;
        n = 1;
    }
    for (size_t i = 0; i < n && !status; i++) {
        s->found = true;
        status = read_rows(s->rows, files[i], header, 0, err);
    }
    return status;
}

static aerie_status try_name(search *s, ae_span name, json_t *header, aerie_error *err)
{
    ae_bytes path = { 0 };
    aerie_status status;

    ae_bytes_printf(&path, "%s/%.*s", s->folder, (int)name.len, name.data);
    status = ae_bytes_status(&path, err);
    if (!status) status = try_path(s, path.data, header, err);
    if (!status && !s->found) {
        ae_bytes_add_text(&path, ".gz");
        status = ae_bytes_status(&path, err);
        if (!status) status = try_path(s, path.data, header, err);
    }
    ae_bytes_free(&path);
    return status;
}

/* Of the task's list: a name, or {name: ..., header: [...]}, in which {{subject}} is the family's
 * member. */
static aerie_status try_listed(search *s, json_t *entry, aerie_error *err)
{
    json_t *spec = json_is_object(entry) ? json_object_get(entry, "name") : entry;
    json_t *header = json_object_get(entry, "header"), *none = json_object();
    ae_bytes name = { 0 };
    ae_field field;
    aerie_status status = ae_field_open(&field, spec, err);

    if (!status && !none) status = no_memory(err);
    if (!status && ae_field_is_template(&field)) /* a plain name is itself, and no column */
        status = ae_field_text(&name, &field, s->task->vars ? s->task->vars : none, err);
    else if (!status)
        ae_bytes_add_text(&name, field.text ? field.text : "");
    if (!status) status = ae_bytes_status(&name, err);
    if (!status && name.len) status = try_name(s, ae_span_of(&name), header, err);
    ae_field_close(&field);
    ae_bytes_free(&name);
    json_decref(none);
    return status;
}

static const char *const endings[] = { "jsonl", "json", "csv", "tsv", "parquet" };

/* Names for tasks that list none: "test.jsonl", "my_task_test.csv", "test-*.parquet". */
static void usual_name(ae_bytes *out, const ae_task *t, const char *split, size_t i)
{
    const char *end = endings[i % AE_COUNT(endings)];

    if (i / AE_COUNT(endings) == 0)
        ae_bytes_printf(out, "%s.%s", split, end);
    else if (i / AE_COUNT(endings) == 1)
        ae_bytes_printf(out, "%s_%s.%s", t->name, split, end);
    else
        ae_bytes_printf(out, "%s-*.%s", split, end);
}

static aerie_status try_usual(search *s, const char *split, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    for (size_t i = 0; i < 3 * AE_COUNT(endings) && !s->found && !status; i++) {
        ae_bytes name = { 0 };
        usual_name(&name, s->task, split, i);
        status = ae_bytes_status(&name, err);
        if (!status) status = try_name(s, ae_span_of(&name), NULL, err);
        ae_bytes_free(&name);
    }
    return status;
}

/* The names that would have done, for the sentence. */
static void list_wanted(ae_bytes *out, const ae_task *t, const char *split)
{
    enum { ROOM = 190 };
    json_t *list = json_object_get(t->files, split), *entry;
    size_t i;

    json_array_foreach(list, i, entry)
    {
        json_t *name = json_is_object(entry) ? json_object_get(entry, "name") : entry;
        const char *text = json_string_value(name);
        if (text && i > 0 && out->len + strlen(text) > ROOM) {
            ae_bytes_add_text(out, ", ...");
            break;
        }
        ae_bytes_printf(out, "%s%.100s", i ? ", " : "", text ? text : "");
    }
    if (!out->len)
        ae_bytes_printf(out, "%s.jsonl, %s_%s.jsonl or %s-*.jsonl, or .json, .csv, .tsv, .parquet",
                        split, t->name, split, split);
}

static aerie_status not_found(const ae_task *t, const char *split, const char *folder,
                              aerie_error *err)
{
    ae_bytes names = { 0 };
    aerie_status status;

    list_wanted(&names, t, split);
    status =
        aerie_fail(err, AERIE_NOT_FOUND,
                   "%s: no file with the split '%s' in %.100s; wanted is one of %.200s (or the "
                   "same with .gz)%s%s",
                   t->name, split, folder, names.data ? names.data : split,
                   t->source ? ", which can be had from " : "", t->source ? t->source : "");
    ae_bytes_free(&names);
    return status;
}

static aerie_status search_folder(search *s, const char *split, aerie_error *err)
{
    json_t *list = json_object_get(s->task->files, split);
    aerie_status status = AERIE_OK;

    for (size_t i = 0; i < json_array_size(list) && !s->found && !status; i++)
        status = try_listed(s, json_array_get(list, i), err);
    if (!status && !s->found && !list) status = try_usual(s, split, err);
    if (!status && !s->found) status = not_found(s->task, split, s->folder, err);
    return status;
}

/* ---- which rows ---- */

/* 'select' with its templates done: column -> value. */
static aerie_status wanted_values(json_t **out, const ae_task *t, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    *out = json_object();
    if (!*out) return no_memory(err);
    for (void *p = json_object_iter(t->select); p && !status;
         p = json_object_iter_next(t->select, p)) {
        json_t *value = json_incref(json_object_iter_value(p));
        ae_field field;
        status = ae_field_open(&field, value, err);
        if (!status && ae_field_is_template(&field)) {
            json_decref(value);
            status = ae_field_value(&value, &field, t->vars ? t->vars : *out, err);
        }
        ae_field_close(&field);
        if (!status && json_object_set(*out, json_object_iter_key(p), value))
            status = no_memory(err);
        json_decref(value);
    }
    return status;
}

/* A row without a column that is wanted may be of the task alone. */
static bool is_selected(json_t *row, json_t *wanted)
{
    for (void *p = json_object_iter(wanted); p; p = json_object_iter_next(wanted, p)) {
        json_t *have = json_object_get(row, json_object_iter_key(p));
        if (have && !json_equal(have, json_object_iter_value(p))) return false;
    }
    return true;
}

aerie_status task_select_rows(json_t *rows, json_t *all, const ae_task *t, aerie_error *err)
{
    json_t *wanted;
    aerie_status status = wanted_values(&wanted, t, err);

    for (size_t i = 0; i < json_array_size(all) && !status; i++) {
        json_t *row = json_array_get(all, i);
        if (is_selected(row, wanted) && json_array_append(rows, row)) status = no_memory(err);
    }
    json_decref(wanted);
    return status;
}

static aerie_status no_rows(const ae_task *t, const char *split, const char *data, json_t *all,
                            aerie_error *err)
{
    if (json_array_size(all))
        return aerie_fail(err, AERIE_BAD_FILE,
                          "%s: of the %zu rows of the split '%s' none is of this task ('select')",
                          t->name, json_array_size(all), split);
    return aerie_fail(err, AERIE_BAD_FILE, "%s: the split '%s' in %.200s has no row%s", t->name,
                      split, data,
                      separator_of(data) ? "; a table's first line names its columns" : "");
}

aerie_status task_load_split(json_t *rows, const ae_task *t, const char *split, const char *data,
                             bool is_test, aerie_error *err)
{
    ae_bytes folder = { 0 };
    search s = { .task = t, .rows = json_array() };
    aerie_status status = s.rows ? AERIE_OK : no_memory(err);

    if (!status && !ae_file_exists(data))
        status = aerie_fail(err, AERIE_NOT_FOUND,
                            "%s: there is no such file or folder; --data names the folder of the "
                            "tasks' files, or one file",
                            data);
    if (!status && is_test && ae_file_exists(data) && !ae_file_is_folder(data)) {
        status = read_rows(s.rows, data, NULL, 0, err);
    } else if (!status) {
        status = folder_of(&folder, data, err);
        s.folder = folder.data;
        if (!status) status = search_folder(&s, split, err);
    }
    if (!status) status = task_select_rows(rows, s.rows, t, err);
    if (!status && !json_array_size(rows)) status = no_rows(t, split, data, s.rows, err);
    ae_bytes_free(&folder);
    json_decref(s.rows);
    ae_arena_free(&s.arena);
    return status;
}
