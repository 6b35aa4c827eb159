/* embedding.c -- rows of a table by their ids. */
#include "cpu/machine.h"

#include <string.h>

typedef struct {
    const ae_cpu *cpu;
    float *y;
    const float *dy;
    const ae_tensor *w;
    const int32_t *ids;
    int64_t T, D;
} embedding_job;

static void embedding_tasks(void *context, int64_t begin, int64_t end, int worker)
{
    const embedding_job *job = context;
    int64_t ld;

    (void)worker;
    for (int64_t t = begin; t < end; t++) {
        float *y = job->y + t * job->D;
        ae_part row = { job->ids[t], 1, 0, job->D };
        const float *w = ae_weight_part(job->cpu, y, &ld, job->w, row);
        if (w != y) memcpy(y, w, (size_t)job->D * sizeof *y);
    }
}

void ae_cpu_embedding(ae_device *dev, float *y, const ae_tensor *w, const int32_t *ids, int64_t T)
{
    const ae_cpu *cpu = ae_cpu_of(dev);
    embedding_job job = { .cpu = cpu, .y = y, .w = w, .ids = ids, .T = T, .D = w->cols };

    ae_pool_run(cpu->pool, T, ae_rows_per_task(w->cols), embedding_tasks, &job);
}

#define BWD_COLS 64

/* Tasks are columns: tokens that share an id then add in their own order. */
static void embedding_bwd_tasks(void *context, int64_t begin, int64_t end, int worker)
{
    const embedding_job *job = context;
    int64_t col = begin * BWD_COLS, cols = ae_min64(end * BWD_COLS, job->D) - col;

    (void)worker;
    for (int64_t t = 0; t < job->T; t++)
        job->cpu->k.add_to(job->y + job->ids[t] * job->D + col, job->dy + t * job->D + col, 1,
                           cols);
}

void ae_cpu_embedding_bwd(ae_device *dev, float *dw, const float *dy, const int32_t *ids, int64_t T,
                          int64_t V, int64_t D)
{
    const ae_cpu *cpu = ae_cpu_of(dev);
    embedding_job job = { .cpu = cpu, .y = dw, .dy = dy, .ids = ids, .T = T, .D = D };

    (void)V;
    ae_pool_run(cpu->pool, ae_ceil_div(D, BWD_COLS), 1, embedding_bwd_tasks, &job);
}
