/* golden_file.h -- what published code computed: of ../shared, else the copies kept here. */
#ifndef AE_TEST_GOLDEN_FILE_H
#define AE_TEST_GOLDEN_FILE_H

#include "base/base.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static inline json_t *golden_file(const char *name)
{
    char path[256];
    json_t *root;

    snprintf(path, sizeof path, "../shared/golden/evaluation/%s", name);
    root = json_load_file(path, 0, NULL);
    snprintf(path, sizeof path, "test/stats/golden/%s", name);
    if (!root) root = json_load_file(path, 0, NULL);
    if (!root) fail_msg("%s can't be read", path);
    return root;
}

static inline double real_of(const json_t *from, const char *key)
{
    const json_t *value = json_object_get(from, key);

    if (!json_is_number(value)) fail_msg("no number '%s'", key);
    return json_number_value(value);
}

static inline int64_t whole_of(const json_t *from, const char *key)
{
    return (int64_t)real_of(from, key);
}

/* The numbers of a list, to be freed. */
static inline double *reals_of(const json_t *list, size_t *n)
{
    double *x = ae_alloc(json_array_size(list), sizeof *x);

    *n = json_array_size(list);
    for (size_t i = 0; i < *n; i++) x[i] = json_number_value(json_array_get(list, i));
    return x;
}

static inline void is_close(double is, double wanted, double relative, const char *what)
{
    if (!(fabs(is - wanted) <= relative * fmax(1, fabs(wanted))))
        fail_msg("%s is %.17g, not %.17g", what, is, wanted);
}

#endif
