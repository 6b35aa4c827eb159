/* benchmark_group.c -- a group's numbers from its tasks'. */
#include "eval/benchmark_private.h"
#include "stats/stats.h"

typedef struct {
    double *values, *errors;
    int64_t *sizes;
    size_t n;
} members;

/* A metric of the group's tasks; false when one lacks it. */
static bool gather(members *m, const json_t *results, const char *const *names, size_t n,
                   const char *metric)
{
    m->n = 0;
    for (size_t i = 0; i < n; i++) {
        const json_t *result = json_object_get(results, names[i]);
        const json_t *one = json_object_get(json_object_get(result, "metrics"), metric);
        const json_t *error = json_object_get(one, "stderr");
        if (!one) return false;
        m->values[m->n] = json_number_value(json_object_get(one, "value"));
        m->errors[m->n] = json_is_number(error) ? json_number_value(error) : NAN;
        m->sizes[m->n++] = json_integer_value(json_object_get(result, "items"));
    }
    return true;
}

static json_t *group_metric(const members *m, bool macro)
{
    double value = macro ? ae_mean(m->values, m->n) : ae_mean_by_size(m->values, m->sizes, m->n);
    double error = ae_mean_pooled_stderr(m->errors, m->sizes, m->n);

    return json_pack("{s:o, s:o}", "value", ae_bench_number(value), "stderr",
                     macro ? json_null() : ae_bench_number(error));
}

json_t *ae_bench_group(const json_t *results, const char *const *names, size_t n, bool macro)
{
    members m = { ae_alloc(n, sizeof(double)), ae_alloc(n, sizeof(double)),
                  ae_alloc(n, sizeof(int64_t)), 0 };
    json_t *metrics = json_object(), *tasks = json_array();
    const json_t *first = json_object_get(json_object_get(results, names[0]), "metrics");
    void *at;

    for (size_t i = 0; i < n; i++) json_array_append_new(tasks, json_string(names[i]));
    json_t *of_first = (json_t *)(uintptr_t)first;
    for (at = json_object_iter(of_first); at && m.values && m.errors && m.sizes;
         at = json_object_iter_next(of_first, at))
        if (gather(&m, results, names, n, json_object_iter_key(at)))
            json_object_set_new(metrics, json_object_iter_key(at), group_metric(&m, macro));
    ae_free(m.values);
    ae_free(m.errors);
    ae_free(m.sizes);
    return json_pack("{s:o, s:o, s:s}", "tasks", tasks, "metrics", metrics, "mean",
                     macro ? "of tasks" : "by size");
}
