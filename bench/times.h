/* times.h -- durations noted one by one, and their quantiles. */
#ifndef AE_BENCH_TIMES_H
#define AE_BENCH_TIMES_H

#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>

/* Seconds. Zeroed it is empty; ae_free(at). */
typedef struct {
    double *at;
    size_t n, room;
} times;

static inline void times_note(times *t, double seconds)
{
    if (t->n == t->room) {
        size_t room = t->room ? 2 * t->room : 1024;
        double *at = ae_realloc(t->at, t->room, room, sizeof *at);
        if (!at) {
            perror("memory");
            exit(1);
        }
        t->at = at;
        t->room = room;
    }
    t->at[t->n++] = seconds;
}

static inline int times_by_size(const void *pa, const void *pb)
{
    double a = *(const double *)pa, b = *(const double *)pb;
    return (a > b) - (a < b);
}

/* q: 0 the smallest, 1 the largest; sorts them. 0 without any. */
static inline double times_quantile(times *t, double q)
{
    if (t->n == 0) return 0;
    qsort(t->at, t->n, sizeof *t->at, times_by_size);
    return t->at[(size_t)(q * (double)(t->n - 1))];
}

#endif
