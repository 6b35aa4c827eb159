/* optimizer.c -- the gradient's size and one update. */
#include "cpu/machine.h"

#include <math.h>

/* Elements of one partial sum; partial sums are added in order, whoever made them. */
#define CHUNK 4096
/* Partial sums that are in flight at a time. */
#define WAVE 1024

typedef struct {
    const ae_cpu *cpu;
    const float *x;
    int64_t n;
    double partial[WAVE];
} squares_job;

static void squares_tasks(void *context, int64_t begin, int64_t end, int worker)
{
    squares_job *job = context;

    (void)worker;
    for (int64_t i = begin; i < end; i++)
        job->partial[i] =
            job->cpu->k.sum_squares(job->x + i * CHUNK, ae_min64(CHUNK, job->n - i * CHUNK));
}

double ae_cpu_sum_squares(ae_device *dev, const float *x, int64_t n)
{
    const ae_cpu *cpu = ae_cpu_of(dev);
    squares_job job = { .cpu = cpu };
    double sum = 0;

    for (int64_t at = 0; at < n; at += WAVE * CHUNK) {
        job.x = x + at;
        job.n = ae_min64(n - at, WAVE * CHUNK);
        int64_t chunks = ae_ceil_div(job.n, CHUNK);
        ae_pool_run(cpu->pool, chunks, 8, squares_tasks, &job);
        for (int64_t i = 0; i < chunks; i++) sum += job.partial[i];
    }
    return sum;
}

typedef struct {
    const ae_cpu *cpu;
    float *w, *m, *v;
    const float *grad;
    int64_t n;
    const ae_adamw_step *step;
} adamw_job;

static void adamw_tasks(void *context, int64_t begin, int64_t end, int worker)
{
    const adamw_job *job = context;
    int64_t at = begin * AE_TASK_ELEMENTS, n = ae_min64(end * AE_TASK_ELEMENTS, job->n) - at;

    (void)worker;
    job->cpu->k.adamw(job->w + at, job->m + at, job->v + at, job->grad + at, n, job->step);
}

void ae_cpu_adamw(ae_device *dev, float *w, float *m, float *v, const float *grad, int64_t n,
                  const ae_adamw_step *step)
{
    const ae_cpu *cpu = ae_cpu_of(dev);
    adamw_job job = { cpu, w, m, v, grad, n, step };

    ae_pool_run(cpu->pool, ae_ceil_div(n, AE_TASK_ELEMENTS), 1, adamw_tasks, &job);
}

typedef struct {
    float *w, *v;
    const float *grad;
    int64_t n;
    const ae_rmsprop_step *step;
} rmsprop_job;

/* g += decay w;  v = alpha v + (1 - alpha) g^2;  w -= lr g / (sqrt(v) + eps).
 * In double and without a kernel: memory is what bounds it, and it is rarely used. */
static void rmsprop_tasks(void *context, int64_t begin, int64_t end, int worker)
{
    const rmsprop_job *job = context;
    const ae_rmsprop_step *s = job->step;
    int64_t last = ae_min64(end * AE_TASK_ELEMENTS, job->n);

    (void)worker;
    for (int64_t i = begin * AE_TASK_ELEMENTS; i < last; i++) {
        double w = (double)job->w[i];
        double g = (double)job->grad[i] * s->grad_scale + s->weight_decay * w;
        job->v[i] = (float)(s->alpha * (double)job->v[i] + (1 - s->alpha) * g * g);
        job->w[i] = (float)(w - s->learning_rate * g / (sqrt((double)job->v[i]) + s->epsilon));
    }
}

void ae_cpu_rmsprop(ae_device *dev, float *w, float *v, const float *grad, int64_t n,
                    const ae_rmsprop_step *step)
{
    rmsprop_job job = { w, v, grad, n, step };

    ae_pool_run(ae_cpu_of(dev)->pool, ae_ceil_div(n, AE_TASK_ELEMENTS), 1, rmsprop_tasks, &job);
}
