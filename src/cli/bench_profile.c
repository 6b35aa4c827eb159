/* bench_profile.c -- a profile as a table and as JSON. */
#include "cli/bench_profile.h"

#include <jansson.h>
#include <stdio.h>

static double per_second(double amount, double seconds)
{
    return seconds > 0 ? amount / seconds * 1e-9 : 0;
}

static double percent(double part, double of)
{
    return of > 0 ? 100 * part / of : 0;
}

/* What no op accounts for: choosing tokens, packing the batch. */
static double rest_of(const aerie_bench_profile *p)
{
    double rest = p->seconds;
    for (int i = 0; i < p->n_ops; i++) rest -= p->ops[i].seconds;
    return rest;
}

void cli_profile_print(const char *what, const aerie_bench_profile *p)
{
    if (!p->tokens) return;
    double ms = 1e3 / (double)p->tokens, limits = 0;
    printf("\none token of a %s: %.3f ms\n", what, p->seconds * ms);
    printf("  %-28s %7s %9s %8s %8s %8s %10s\n", "", "share", "ms", "calls", "GB/s", "GOP/s",
           "% of limit");
    for (int i = 0; i < p->n_ops; i++) {
        const aerie_bench_op *op = &p->ops[i];
        printf("  %-28s %5.1f %% %9.4f %8.1f %8.2f %8.1f %10.0f\n", op->name,
               percent(op->seconds, p->seconds), op->seconds * ms,
               (double)op->calls / (double)p->tokens, per_second(op->bytes, op->seconds),
               per_second(op->operations, op->seconds), percent(op->limit_seconds, op->seconds));
        limits += op->limit_seconds;
    }
    printf("  %-28s %5.1f %% %9.4f\n", "the rest", percent(rest_of(p), p->seconds),
           rest_of(p) * ms);
    printf("  %-28s         %9.4f %37.0f\n", "all ops at their limits", limits * ms,
           percent(limits, p->seconds));
}

json_t *cli_profile_json(const aerie_bench_profile *p)
{
    json_t *list = json_array();
    for (int i = 0; i < p->n_ops; i++) {
        const aerie_bench_op *op = &p->ops[i];
        json_array_append_new(list, json_pack("{s:s, s:I, s:f, s:f, s:f, s:f}", "name", op->name,
                                              "calls", (json_int_t)op->calls, "seconds",
                                              op->seconds, "bytes", op->bytes, "operations",
                                              op->operations, "limit_seconds", op->limit_seconds));
    }
    return json_pack("{s:I, s:f, s:f, s:o}", "tokens", (json_int_t)p->tokens, "seconds", p->seconds,
                     "rest_seconds", rest_of(p), "ops", list);
}
