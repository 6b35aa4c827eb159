/* golden.c -- comparing what this build computes with what it should. */
#include "train/golden.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const double tolerance = 1e-5;

void ae_golden_run(ae_golden *g, const char *name, ae_golden_case *run, const json_t *c)
{
    aerie_case_result result;

    ae_arena_reset_all(&g->arena);
    g->problem[0] = '\0';
    g->unknown = false;
    run(g, c);
    result = g->unknown ? AERIE_CASE_UNKNOWN : *g->problem ? AERIE_CASE_FAILED : AERIE_CASE_PASSED;
    if (result == AERIE_CASE_PASSED) g->summary->passed++;
    if (result == AERIE_CASE_FAILED) g->summary->failed++;
    if (result == AERIE_CASE_UNKNOWN) g->summary->unknown++;
    if (g->show) g->show(g->user, name, result, g->unknown ? "" : g->problem);
}

void ae_golden_problem(ae_golden *g, const char *format, ...)
{
    va_list args;

    if (*g->problem) return;
    va_start(args, format);
    vsnprintf(g->problem, sizeof g->problem, format, args);
    va_end(args);
}

bool ae_golden_ok(ae_golden *g, aerie_status status, const aerie_error *err)
{
    if (status) ae_golden_problem(g, "%s", err->message);
    return status == AERIE_OK;
}

static bool is_near(double got, double wanted)
{
    return fabs(got - wanted) <= tolerance * fmax(1, fabs(wanted));
}

void ae_golden_near(ae_golden *g, const char *what, double got, double wanted)
{
    if (!is_near(got, wanted)) ae_golden_problem(g, "%s is %.9g, wanted %.9g", what, got, wanted);
}

void ae_golden_number(ae_golden *g, const char *what, double got, const json_t *wanted)
{
    if (!json_is_number(wanted))
        ae_golden_problem(g, "the case says nothing about %s", what);
    else
        ae_golden_near(g, what, got, json_number_value(wanted));
}

const double *ae_golden_wanted(ae_golden *g, const char *what, const json_t *list, int64_t *n)
{
    int64_t n_wanted;
    const double *wanted = ae_golden_list(g, list, &n_wanted);

    if (*n != n_wanted)
        ae_golden_problem(g, "%s: %lld numbers, wanted %lld", what, (long long)*n,
                          (long long)n_wanted);
    *n = ae_min64(*n, n_wanted);
    return wanted;
}

void ae_golden_numbers(ae_golden *g, const char *what, const double *got, int64_t n,
                       const json_t *wanted)
{
    const double *list = ae_golden_wanted(g, what, wanted, &n);

    for (int64_t i = 0; i < n; i++)
        if (!is_near(got[i], list[i]))
            ae_golden_problem(g, "%s[%lld] is %.9g, wanted %.9g", what, (long long)i, got[i],
                              list[i]);
}

void ae_golden_floats(ae_golden *g, const char *what, const float *got, int64_t n,
                      const json_t *wanted)
{
    double *wide = ae_golden_take(g, n, sizeof *wide);

    for (int64_t i = 0; wide && i < n; i++) wide[i] = (double)got[i];
    if (wide) ae_golden_numbers(g, what, wide, n, wanted);
}

void ae_golden_text(ae_golden *g, const char *what, const char *got, const char *wanted)
{
    if (!wanted)
        ae_golden_problem(g, "the case says nothing about %s", what);
    else if (strcmp(got, wanted) != 0)
        ae_golden_problem(g, "%s is '%.100s', wanted '%.100s'", what, got, wanted);
}

void *ae_golden_take(ae_golden *g, int64_t count, size_t size)
{
    void *memory = ae_arena_take(&g->arena, (size_t)count, size);

    if (!memory) ae_golden_problem(g, "no memory for the case");
    return memory;
}

enum { MAX_NESTING = 8 };

static int64_t count_numbers(const json_t *list, int depth)
{
    int64_t n = 0;
    size_t i;
    const json_t *item;

    if (!json_is_array(list)) return json_is_number(list) ? 1 : 0;
    if (depth < MAX_NESTING) json_array_foreach(list, i, item) n += count_numbers(item, depth + 1);
    return n;
}

static double *flatten(double *out, const json_t *list, int depth)
{
    size_t i;
    const json_t *item;

    if (json_is_number(list)) *out++ = json_number_value(list);
    if (json_is_array(list) && depth < MAX_NESTING)
        json_array_foreach(list, i, item) out = flatten(out, item, depth + 1);
    return out;
}

const double *ae_golden_list(ae_golden *g, const json_t *list, int64_t *n)
{
    static const double none;
    double *out;

    *n = count_numbers(list, 0);
    out = ae_golden_take(g, *n, sizeof *out);
    if (!out) {
        *n = 0;
        return &none;
    }
    flatten(out, list, 0);
    return out;
}

float *ae_golden_float_list(ae_golden *g, const json_t *list, int64_t *n)
{
    const double *wide = ae_golden_list(g, list, n);
    float *out = ae_golden_take(g, *n, sizeof *out);

    for (int64_t i = 0; out && i < *n; i++) out[i] = (float)wide[i];
    return out;
}

ae_tensor *ae_golden_tensor(ae_golden *g, const json_t *list, int64_t cols, bool grad)
{
    ae_tensor *t = ae_golden_take(g, 1, sizeof *t);
    int64_t n;
    float *data = ae_golden_float_list(g, list, &n);

    if (!t || !data || cols < 1) return NULL;
    *t = (ae_tensor){ .dtype = AE_F32, .rows = n / cols, .cols = cols, .data = data };
    if (grad) t->grad = ae_golden_take(g, n, sizeof *t->grad);
    return grad && !t->grad ? NULL : t;
}

const json_t *ae_golden_at(const json_t *c, const char *block, const char *name)
{
    return json_object_get(json_object_get(c, block), name);
}

double ae_golden_param(const json_t *c, const char *name, double otherwise)
{
    const json_t *value = ae_golden_at(c, "params", name);

    return json_is_number(value) ? json_number_value(value) : otherwise;
}
