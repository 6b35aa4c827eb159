/* peak.h -- what all threads together do at best, by a loop that does nothing else. */
#ifndef AE_BENCH_PEAK_H
#define AE_BENCH_PEAK_H

#include "base/base.h"

/* Runs the loop for the device of this name n times; how many operations that was. */
typedef double peak_loop_fn(const char *name, long n);

typedef struct {
    peak_loop_fn *loop;
    const char *name;
    long n;
    double operations;
} peak_job;

static inline void peak_tasks(void *context, int64_t begin, int64_t end, int worker)
{
    peak_job *job = context;

    (void)worker;
    for (int64_t i = begin; i < end; i++) job->operations = job->loop(job->name, job->n);
}

/* Operations of four tasks a thread, to be divided by the time that this took. */
static inline double peak_run(ae_pool *pool, peak_loop_fn *loop, const char *name, long n)
{
    peak_job job = { loop, name, n, 0 };
    int64_t tasks = 4 * ae_pool_size(pool);

    ae_pool_run(pool, tasks, 1, peak_tasks, &job);
    return job.operations * (double)tasks;
}

#endif
