/* pointwise.c -- what works on single elements. */
#include "cpu/machine.h"

typedef struct {
    const ae_cpu *cpu;
    float *y, *y2;
    const float *a, *b, *c;
    float alpha;
    int64_t n;
} pointwise_job;

typedef void span_fn(const pointwise_job *job, int64_t at, int64_t n);

typedef struct {
    pointwise_job job;
    span_fn *fn;
} pointwise_run;

static void pointwise_tasks(void *context, int64_t begin, int64_t end, int worker)
{
    const pointwise_run *run = context;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        int64_t at = i * AE_TASK_ELEMENTS;
        run->fn(&run->job, at, ae_min64(AE_TASK_ELEMENTS, run->job.n - at));
    }
}

static void run_pointwise(span_fn *fn, const pointwise_job *job)
{
    pointwise_run run = { *job, fn };

    ae_pool_run(job->cpu->pool, ae_ceil_div(job->n, AE_TASK_ELEMENTS), 1, pointwise_tasks, &run);
}

static void swiglu_span(const pointwise_job *job, int64_t at, int64_t n)
{
    job->cpu->k.swiglu(job->y + at, job->a + at, job->b + at, n);
}

void ae_cpu_swiglu(ae_device *dev, float *y, const float *gate, const float *up, int64_t n)
{
    pointwise_job job = { .cpu = ae_cpu_of(dev), .y = y, .a = gate, .b = up, .n = n };

    run_pointwise(swiglu_span, &job);
}

static void swiglu_bwd_span(const pointwise_job *job, int64_t at, int64_t n)
{
    job->cpu->k.swiglu_bwd(job->y ? job->y + at : NULL, job->y2 ? job->y2 + at : NULL, job->c + at,
                           job->a + at, job->b + at, n);
}

void ae_cpu_swiglu_bwd(ae_device *dev, float *dgate, float *dup, const float *dy, const float *gate,
                       const float *up, int64_t n)
{
    pointwise_job job = {
        .cpu = ae_cpu_of(dev), .y = dgate, .y2 = dup, .a = gate, .b = up, .c = dy, .n = n
    };

    run_pointwise(swiglu_bwd_span, &job);
}

static void geglu_span(const pointwise_job *job, int64_t at, int64_t n)
{
    job->cpu->k.geglu(job->y + at, job->a + at, job->b + at, n);
}

void ae_cpu_geglu(ae_device *dev, float *y, const float *gate, const float *up, int64_t n)
{
    pointwise_job job = { .cpu = ae_cpu_of(dev), .y = y, .a = gate, .b = up, .n = n };

    run_pointwise(geglu_span, &job);
}

static void geglu_bwd_span(const pointwise_job *job, int64_t at, int64_t n)
{
    job->cpu->k.geglu_bwd(job->y ? job->y + at : NULL, job->y2 ? job->y2 + at : NULL, job->c + at,
                          job->a + at, job->b + at, n);
}

void ae_cpu_geglu_bwd(ae_device *dev, float *dgate, float *dup, const float *dy, const float *gate,
                      const float *up, int64_t n)
{
    pointwise_job job = {
        .cpu = ae_cpu_of(dev), .y = dgate, .y2 = dup, .a = gate, .b = up, .c = dy, .n = n
    };

    run_pointwise(geglu_bwd_span, &job);
}

static void soft_cap_span(const pointwise_job *job, int64_t at, int64_t n)
{
    job->cpu->k.soft_cap(job->y + at, job->alpha, n);
}

void ae_cpu_soft_cap(ae_device *dev, float *x, float cap, int64_t n)
{
    pointwise_job job = { .cpu = ae_cpu_of(dev), .y = x, .alpha = cap, .n = n };

    run_pointwise(soft_cap_span, &job);
}

static void soft_cap_bwd_span(const pointwise_job *job, int64_t at, int64_t n)
{
    job->cpu->k.soft_cap_bwd(job->y + at, job->a + at, job->b + at, job->alpha, n);
}

void ae_cpu_soft_cap_bwd(ae_device *dev, float *dx, const float *dy, const float *y, float cap,
                         int64_t n)
{
    pointwise_job job = { .cpu = ae_cpu_of(dev), .y = dx, .a = dy, .b = y, .alpha = cap, .n = n };

    run_pointwise(soft_cap_bwd_span, &job);
}

static void add_span(const pointwise_job *job, int64_t at, int64_t n)
{
    job->cpu->k.add(job->y + at, job->a + at, job->b + at, n);
}

void ae_cpu_add(ae_device *dev, float *y, const float *a, const float *b, int64_t n)
{
    pointwise_job job = { .cpu = ae_cpu_of(dev), .y = y, .a = a, .b = b, .n = n };

    run_pointwise(add_span, &job);
}

static void add_to_span(const pointwise_job *job, int64_t at, int64_t n)
{
    job->cpu->k.add_to(job->y + at, job->a + at, job->alpha, n);
}

void ae_cpu_add_to(ae_device *dev, float *y, const float *a, float alpha, int64_t n)
{
    pointwise_job job = { .cpu = ae_cpu_of(dev), .y = y, .a = a, .alpha = alpha, .n = n };

    run_pointwise(add_to_span, &job);
}

typedef struct {
    float *y;
    const float *x;
    const uint64_t *row_key;
    uint64_t key;
    int64_t cols;
    float keep_scale;
    uint32_t drop_below; /* of 2^32 */
    bool accumulate;
} dropout_job;

/* One hash serves two columns, 32 bits each. */
static void dropout_row(const dropout_job *job, int64_t t)
{
    uint64_t row = ae_mix64(job->key ^ ae_mix64(job->row_key[t]));
    float *y = job->y + t * job->cols;
    const float *x = job->x + t * job->cols;

    for (int64_t col = 0; col < job->cols; col += 2) {
        uint64_t bits = ae_mix64(row + (uint64_t)col);
        for (int64_t i = col; i < ae_min64(col + 2, job->cols); i++, bits >>= 32) {
            float kept = (uint32_t)bits < job->drop_below ? 0 : x[i] * job->keep_scale;
            y[i] = job->accumulate ? y[i] + kept : kept;
        }
    }
}

static void dropout_tasks(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    for (int64_t t = begin; t < end; t++) dropout_row(context, t);
}

void ae_cpu_dropout(ae_device *dev, float *y, const float *x, const uint64_t *row_key, uint64_t key,
                    float p, int64_t T, int64_t cols, bool accumulate)
{
    double threshold = (double)p * 4294967296.0;
    dropout_job job = { y, x, row_key, key, cols, p < 1 ? 1 / (1 - p) : 0, 0, accumulate };

    job.drop_below = threshold >= 4294967295.0 ? UINT32_MAX : (uint32_t)threshold;
    ae_pool_run(ae_cpu_of(dev)->pool, T, ae_rows_per_task(cols), dropout_tasks, &job);
}
