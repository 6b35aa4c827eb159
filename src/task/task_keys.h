/* task_keys.h -- private: values of a task's keys. `map` is the task's spec or a mapping within it;
 * a key that is missing or null has the fallback. Failures name the file, and the key's line. */
#ifndef AE_TASK_KEYS_H
#define AE_TASK_KEYS_H

#include "task/task_private.h"

/* Fails where a key is none of a task's. */
aerie_status task_keys_check(const ae_task *t, aerie_error *err);

/* Puts the file, and the key's line where it is known, before the sentence; returns `status`. */
aerie_status task_key_at(const ae_task *t, const char *key, aerie_error *err, aerie_status status);
/* Fails with "'key' must be WHAT". */
aerie_status task_key_wanted(const ae_task *t, const char *key, const char *what, aerie_error *err);
aerie_status task_no_memory(const ae_task *t, aerie_error *err);

/* Borrowed; NULL when it is missing or null. */
json_t *task_key(json_t *map, const char *key);
/* Borrowed of the spec. */
aerie_status task_key_text(const ae_task *t, const char **out, json_t *map, const char *key,
                           const char *fallback, aerie_error *err);
/* A whole number, 0 to 2^30. */
aerie_status task_key_count(const ae_task *t, int64_t *out, json_t *map, const char *key,
                            int64_t fallback, aerie_error *err);
/* 0 or more; 0 without. */
aerie_status task_key_real(const ae_task *t, double *out, json_t *map, const char *key,
                           aerie_error *err);
/* A list of texts, or one alone; the list is the task's arena's. */
aerie_status task_key_texts(ae_task *t, const char *const **out, size_t *n, json_t *map,
                            const char *key, aerie_error *err);
/* A template; to be closed with ae_field_close(), also when there is none. */
aerie_status task_key_field(const ae_task *t, ae_field *out, json_t *map, const char *key,
                            aerie_error *err);

/* task_metrics.c: t->metrics and t->main_metric, of the list or as the harness has them. */
aerie_status task_metrics_read(ae_task *t, aerie_error *err);

#endif
