/* compare_weights.c -- `aerie inspect A --against B`: what each tensor of A has lost. */
#include "cli/inspect.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_TYPES = 32 };

/* All tensors of one type, or all of the file. */
typedef struct {
    char name[24];
    double error, size, max; /* sums of squares */
    double elements, bytes;
    int64_t n;
} total;

typedef struct {
    bool json;
    json_t *tensors;
    total types[MOST_TYPES], all;
    int n_types;
} comparison;

static void add_to(total *t, const aerie_weight_difference *d)
{
    double n = (double)d->rows * (double)d->cols, error = d->rmse * d->rmse * n;

    t->n++;
    t->elements += n;
    t->bytes += (double)d->bytes;
    t->error += error;
    if (d->relative > 0) t->size += error / (d->relative * d->relative);
    t->max = fmax(t->max, d->max);
}

static total *total_of(comparison *c, const char *type)
{
    int i = 0;

    while (i < c->n_types && strcmp(c->types[i].name, type) != 0) i++;
    if (i == c->n_types && i < MOST_TYPES) {
        c->n_types++;
        snprintf(c->types[i].name, sizeof c->types[i].name, "%s", type);
    }
    return &c->types[i < MOST_TYPES ? i : MOST_TYPES - 1];
}

static json_t *numbers(double rmse, double max, double relative)
{
    return json_pack("{s:f, s:f, s:f}", "rmse", rmse, "max", max, "relative", relative);
}

static bool show(void *user, const aerie_weight_difference *d)
{
    comparison *c = user;

    add_to(&c->all, d);
    add_to(total_of(c, d->type), d);
    if (c->json) {
        json_t *o = numbers(d->rmse, d->max, d->relative);
        json_object_set_new(o, "name", json_string(d->name));
        json_object_set_new(o, "type", json_string(d->type));
        json_object_set_new(o, "against_type", json_string(d->against_type));
        json_object_set_new(o, "rows", json_integer(d->rows));
        json_object_set_new(o, "cols", json_integer(d->cols));
        json_array_append_new(c->tensors, o);
    } else
        printf("%-40s %-6s %-6s %11.4e %11.4e %9.6f\n", d->name, d->type, d->against_type, d->rmse,
               d->max, d->relative);
    return !cli_interrupted();
}

static double rmse_of(const total *t)
{
    return t->elements > 0 ? sqrt(t->error / t->elements) : 0;
}

/* Of types that lost nothing the size is not known, and is not needed. */
static double relative_of(const total *t)
{
    return t->size > 0 ? sqrt(t->error / t->size) : 0;
}

static json_t *total_json(const total *t)
{
    json_t *o = numbers(rmse_of(t), t->max, relative_of(t));

    json_object_set_new(o, "tensors", json_integer(t->n));
    json_object_set_new(o, "bits_per_weight", json_real(8 * t->bytes / t->elements));
    return o;
}

static void print_total(const total *t, const char *name)
{
    printf("%-40s %13.3f %11.4e %11.4e %9.6f\n", name, 8 * t->bytes / t->elements, rmse_of(t),
           t->max, relative_of(t));
}

static void finish_json(comparison *c, const char *path, const char *against)
{
    json_t *types = json_object(), *o;

    for (int i = 0; i < c->n_types; i++)
        json_object_set_new(types, c->types[i].name, total_json(&c->types[i]));
    o = json_pack("{s:s, s:s, s:O, s:o, s:o}", "path", path, "against", against, "tensors",
                  c->tensors, "types", types, "all", total_json(&c->all));
    json_dumpf(o, stdout, JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(o);
}

aerie_status cli_compare_weights(const char *path, const char *against, const cli_common *common,
                                 aerie_error *err)
{
    comparison c = { .json = common->json, .tensors = json_array() };
    aerie_status status;

    cli_catch_interrupt();
    if (!c.json)
        printf("%-40s %-6s %-6s %11s %11s %9s\n", "tensor", "type", "was", "rmse", "most",
               "relative");
    status = aerie_compare_weights(path, against, (int)common->threads, show, &c, err);
    if (!status && c.json) finish_json(&c, path, against);
    if (!status && !c.json) {
        printf("\n%-40s %13s %11s %11s %9s\n", "together", "bits/weight", "rmse", "most",
               "relative");
        for (int i = 0; i < c.n_types; i++) print_total(&c.types[i], c.types[i].name);
        print_total(&c.all, "all");
    }
    json_decref(c.tensors);
    return status;
}
