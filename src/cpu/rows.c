/* rows.c -- what works on whole rows: norms, rotations, sums of rows. */
#include "cpu/machine.h"

typedef struct {
    const ae_cpu *cpu;
    float *y, *rstd;
    const float *x, *w, *dy, *cos, *sin, *rstd_in;
    int64_t T, D;
    float eps;
    ae_rope_shape rope;
} rows_job;

/* Columns of one task of a sum over rows: a cache line's worth times four. */
#define SUM_COLS 64

static void add_rows_tasks(void *context, int64_t begin, int64_t end, int worker)
{
    const rows_job *job = context;

    (void)worker;
    for (int64_t col = begin * SUM_COLS; col < ae_min64(end * SUM_COLS, job->D); col += SUM_COLS)
        for (int64_t t = 0; t < job->T; t++)
            job->cpu->k.add_to(job->y + col, job->x + t * job->D + col, 1,
                               ae_min64(SUM_COLS, job->D - col));
}

void ae_cpu_add_rows(ae_device *dev, float *sum, const float *a, int64_t T, int64_t N)
{
    const ae_cpu *cpu = ae_cpu_of(dev);
    rows_job job = { .cpu = cpu, .y = sum, .x = a, .T = T, .D = N };

    ae_pool_run(cpu->pool, ae_ceil_div(N, SUM_COLS), 1, add_rows_tasks, &job);
}

static void rmsnorm_tasks(void *context, int64_t begin, int64_t end, int worker)
{
    const rows_job *job = context;
    int64_t at = begin * job->D;

    (void)worker;
    job->cpu->k.rmsnorm(job->y + at, job->rstd + begin, job->x + at, job->w, end - begin, job->D,
                        job->eps);
}

void ae_cpu_rmsnorm(ae_device *dev, float *y, float *rstd, const float *x, const float *w,
                    int64_t T, int64_t D, float eps)
{
    const ae_cpu *cpu = ae_cpu_of(dev);
    rows_job job = { .cpu = cpu, .y = y, .rstd = rstd, .x = x, .w = w, .T = T, .D = D, .eps = eps };

    ae_pool_run(cpu->pool, T, ae_rows_per_task(D), rmsnorm_tasks, &job);
}

static void rmsnorm_dx_tasks(void *context, int64_t begin, int64_t end, int worker)
{
    const rows_job *job = context;
    int64_t at = begin * job->D;

    (void)worker;
    job->cpu->k.rmsnorm_dx(job->y + at, job->dy + at, job->x + at, job->w, job->rstd_in + begin,
                           end - begin, job->D);
}

static void rmsnorm_dw_tasks(void *context, int64_t begin, int64_t end, int worker)
{
    const rows_job *job = context;
    int64_t col = begin * SUM_COLS, cols = ae_min64(end * SUM_COLS, job->D) - col;

    (void)worker;
    job->cpu->k.rmsnorm_dw(job->y + col, job->dy + col, job->x + col, job->rstd_in, job->T, cols,
                           job->D);
}

void ae_cpu_rmsnorm_bwd(ae_device *dev, float *dx, float *dw, const float *dy, const float *x,
                        const float *w, const float *rstd, int64_t T, int64_t D)
{
    const ae_cpu *cpu = ae_cpu_of(dev);
    rows_job job = { .cpu = cpu, .x = x, .w = w, .dy = dy, .rstd_in = rstd, .T = T, .D = D };

    if (dx) {
        job.y = dx;
        ae_pool_run(cpu->pool, T, ae_rows_per_task(D), rmsnorm_dx_tasks, &job);
    }
    if (dw) {
        job.y = dw;
        ae_pool_run(cpu->pool, ae_ceil_div(D, SUM_COLS), 1, rmsnorm_dw_tasks, &job);
    }
}

static void rope_tasks(void *context, int64_t begin, int64_t end, int worker)
{
    const rows_job *job = context;
    int64_t half = job->rope.d / 2;

    (void)worker;
    for (int64_t t = begin; t < end; t++)
        job->cpu->k.rope(job->y + t * job->D, job->x + t * job->D, job->cos + t * half,
                         job->sin + t * half, &job->rope);
}

void ae_cpu_rope(ae_device *dev, float *y, const float *x, const float *cos, const float *sin,
                 int64_t T, int64_t heads, int64_t d, bool interleaved, bool inverse,
                 bool accumulate)
{
    const ae_cpu *cpu = ae_cpu_of(dev);
    rows_job job = { .cpu = cpu, .y = y, .x = x, .cos = cos, .sin = sin, .T = T, .D = heads * d };

    job.rope = (ae_rope_shape){ heads, d, inverse ? -1.0f : 1.0f, interleaved, accumulate };
    ae_pool_run(cpu->pool, T, ae_rows_per_task(job.D), rope_tasks, &job);
}
