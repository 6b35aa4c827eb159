/* task_keys.c -- values of a task's keys, and the sentences where they are wrong. */
#include "task/task_keys.h"

#include <string.h>

static const char *const known_keys[] = {
    "task", "about", "source", "output_type", "training_split", "validation_split", "test_split",
    "fewshot_split", "description", "doc_to_text", "doc_to_target", "doc_to_choice",
    "doc_to_labels", "target_delimiter", "fewshot_delimiter", "num_fewshot", "fewshot_config",
    "metric_list", "generation_kwargs", "filter_list", "process_docs", "files", "select", "columns",
    "unconditional", "count", "subsample", "subset", "checker", "main_metric", "split", "window",
    /* lm-evaluation-harness', which say nothing of what is asked */
    "tag", "group", "group_alias", "task_alias", "dataset_path", "dataset_name", "dataset_kwargs",
    "should_decontaminate", "doc_to_decontamination_query", "metadata", "repeats"
};

/* Puts the file, and the line of the key where it is known, before the sentence. */
aerie_status task_key_at(const ae_task *t, const char *key, aerie_error *err, aerie_status status)
{
    json_t *line = json_object_get(t->lines, key);

    if (!status) return status;
    if (line)
        aerie_error_prefix(err, "%s:%d", t->file, (int)json_integer_value(line));
    else
        aerie_error_prefix(err, "%s", t->file);
    return status;
}

aerie_status task_key_wanted(const ae_task *t, const char *key, const char *what, aerie_error *err)
{
    return task_key_at(t, key, err, aerie_fail(err, AERIE_BAD_TEXT, "'%s' must be %s", key, what));
}

aerie_status task_no_memory(const ae_task *t, aerie_error *err)
{
    return aerie_fail(err, AERIE_NO_MEMORY, "%s: no memory for the task", t->file);
}

/* The value of a key; NULL when it is missing or null. */
json_t *task_key(json_t *map, const char *key)
{
    json_t *value = json_object_get(map, key);

    return json_is_null(value) ? NULL : value;
}

aerie_status task_key_text(const ae_task *t, const char **out, json_t *map, const char *key,
                           const char *fallback, aerie_error *err)
{
    json_t *value = task_key(map, key);

    *out = fallback;
    if (!value) return AERIE_OK;
    if (!json_is_string(value)) return task_key_wanted(t, key, "a text", err);
    *out = json_string_value(value);
    return AERIE_OK;
}

/* A number, also where it is written as a text: PyYAML reads 1e3 so. */
aerie_status task_key_count(const ae_task *t, int64_t *out, json_t *map, const char *key,
                            int64_t fallback, aerie_error *err)
{
    json_t *value = task_key(map, key);

    *out = fallback;
    if (!value) return AERIE_OK;
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > 1 << 30)
        return task_key_wanted(t, key, "a whole number, 0 or more", err);
    *out = json_integer_value(value);
    return AERIE_OK;
}

aerie_status task_key_real(const ae_task *t, double *out, json_t *map, const char *key,
                           aerie_error *err)
{
    json_t *value = task_key(map, key);

    *out = 0;
    if (!value) return AERIE_OK;
    if (!json_is_number(value) || json_number_value(value) < 0)
        return task_key_wanted(t, key, "a number, 0 or more", err);
    *out = json_number_value(value);
    return AERIE_OK;
}

aerie_status task_key_texts(ae_task *t, const char *const **out, size_t *n, json_t *map,
                            const char *key, aerie_error *err)
{
    json_t *list = task_key(map, key);
    const char **texts;

    *out = NULL;
    *n = json_is_string(list) ? 1 : json_array_size(list);
    if (!list) return AERIE_OK;
    texts = ae_arena_take(&t->arena, *n, sizeof *texts);
    if (!texts) return task_no_memory(t, err);
    for (size_t i = 0; i < *n; i++) {
        texts[i] = json_string_value(json_is_string(list) ? list : json_array_get(list, i));
        if (!texts[i]) return task_key_wanted(t, key, "a list of texts", err);
    }
    if (!json_is_array(list) && !json_is_string(list))
        return task_key_wanted(t, key, "a list of texts", err);
    *out = texts;
    return AERIE_OK;
}

aerie_status task_key_field(const ae_task *t, ae_field *out, json_t *map, const char *key,
                            aerie_error *err)
{
    aerie_status status = ae_field_open(out, task_key(map, key), err);

    if (status) aerie_error_prefix(err, "'%s'", key);
    return task_key_at(t, key, err, status);
}

aerie_status task_keys_check(const ae_task *t, aerie_error *err)
{
    for (void *p = json_object_iter(t->spec); p; p = json_object_iter_next(t->spec, p)) {
        const char *key = json_object_iter_key(p), *near;
        bool known = false;
        for (size_t i = 0; i < AE_COUNT(known_keys) && !known; i++)
            known = strcmp(key, known_keys[i]) == 0;
        if (known) continue;
        near = ae_nearest(key, known_keys, AE_COUNT(known_keys));
        return task_key_at(t, key, err,
                           aerie_fail(err, AERIE_BAD_TEXT, "'%s' is no key of a task%s%s%s", key,
                                      near ? "; did you mean '" : "", near ? near : "",
                                      near ? "'?" : ""));
    }
    return AERIE_OK;
}
