/* columns.c -- what DoRA needs: the lengths of a weight's rows with a low-rank addition, and
 * products by column. */
#include "cpu/machine.h"

#include <math.h>
#include <string.h>

typedef struct {
    const ae_cpu *cpu;
    ae_rooms rooms;
    float *norm;
    const ae_tensor *w, *a, *b;
    float scale;
} norms_job;

/* One row of w + scale * b * a at a time. */
static void norms_tasks(void *context, int64_t begin, int64_t end, int worker)
{
    const norms_job *job = context;
    const ae_kernels *k = &job->cpu->k;
    int64_t cols = job->w->cols, rank = job->a->rows, ld;
    float *row = ae_room_of(&job->rooms, worker);

    for (int64_t i = begin; i < end; i++) {
        const float *w = ae_weight_part(job->cpu, row, &ld, job->w, (ae_part){ i, 1, 0, cols });
        if (w != row) memcpy(row, w, (size_t)cols * sizeof *row);
        for (int64_t r = 0; r < rank; r++)
            k->add_to(row, ae_f32(job->a) + r * cols, job->scale * ae_f32(job->b)[i * rank + r],
                      cols);
        job->norm[i] = (float)sqrt(k->sum_squares(row, cols));
    }
}

aerie_status ae_cpu_row_norms(ae_device *dev, ae_arena *scratch, float *norm, const ae_tensor *w,
                              const ae_tensor *a, const ae_tensor *b, float scale)
{
    const ae_cpu *cpu = ae_cpu_of(dev);
    norms_job job = { .cpu = cpu, .norm = norm, .w = w, .a = a, .b = b, .scale = scale };
    ae_arena_mark mark = ae_arena_here(scratch);

    if (!ae_rooms_take(&job.rooms, cpu, scratch, w->cols)) return AERIE_NO_MEMORY;
    ae_pool_run(cpu->pool, w->rows, 16, norms_tasks, &job);
    ae_arena_reset(scratch, mark);
    return AERIE_OK;
}

typedef struct {
    float *y;
    const float *a, *b, *by;
    int64_t T, N;
    bool accumulate;
} columns_job;

static void scale_tasks(void *context, int64_t begin, int64_t end, int worker)
{
    const columns_job *job = context;

    (void)worker;
    for (int64_t t = begin; t < end; t++)
        for (int64_t n = 0; n < job->N; n++) {
            float y = job->a[t * job->N + n] * job->by[n];
            if (job->b) y += job->b[n];
            job->y[t * job->N + n] = job->accumulate ? job->y[t * job->N + n] + y : y;
        }
}

void ae_cpu_scale_cols(ae_device *dev, float *y, const float *x, const float *by, const float *bias,
                       int64_t T, int64_t N, bool accumulate)
{
    columns_job job = { y, x, bias, by, T, N, accumulate };

    ae_pool_run(ae_cpu_of(dev)->pool, T, 8, scale_tasks, &job);
}

/* A task has its columns for itself; rows are added one after another. */
static void dot_tasks(void *context, int64_t begin, int64_t end, int worker)
{
    const columns_job *job = context;

    (void)worker;
    for (int64_t t = 0; t < job->T; t++)
        for (int64_t n = begin; n < end; n++)
            job->y[n] += job->a[t * job->N + n] * job->b[t * job->N + n] * job->by[n];
}

void ae_cpu_dot_cols(ae_device *dev, float *sum, const float *a, const float *b, const float *by,
                     int64_t T, int64_t N)
{
    columns_job job = { sum, a, b, by, T, N, true };

    ae_pool_run(ae_cpu_of(dev)->pool, N, 64, dot_tasks, &job);
}
