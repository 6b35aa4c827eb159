/* log_prob.c -- log-probabilities of targets, over chunks of the vocabulary.
 *
 * For a block of predictions and a chunk of the vocabulary the logits are a product like any other;
 * what remains of a chunk is, for each prediction, its maximum, the sum of exp(logit - maximum) and
 * the sum of the logits. These are put together in the order of the chunks. On the way back the
 * chunk's logits are computed again and turned into their gradient in place:
 *   g = dlogp * (one_hot(target) - p) + dmean * (1 / V - p) - dentropy * p * (log p + entropy),
 *   p = exp(logit - lse), entropy = -sum of p log p,
 * where a soft cap also multiplies by its slope, 1 - (logit / cap)^2;
 * then dx += g * w and dw += transpose(g) * x, in the order of the predictions. */
#include "cpu/machine.h"

#include <math.h>
#include <string.h>

/* Vocabulary rows of a chunk: part of the order of summation, hence fixed. */
#define CHUNK 1024
/* Predictions that are worked on together: not part of any order. */
#define BLOCK 512
/* Predictions of one task. */
#define ROWS_PER_TASK 8
#define COLS_PER_TASK 64

typedef struct {
    const ae_cpu *cpu;
    const ae_tensor *w;
    const float *x;
    float *dx;
    ae_predictions block; /* at most BLOCK predictions */
    int64_t first, rows;  /* the chunk of the vocabulary */
    int64_t D;
    float *gathered, *d_gathered; /* [BLOCK, D] */
    float *logits;                /* [BLOCK, CHUNK], dense: rows of `rows` */
    /* [BLOCK]: running over the chunks. sum: of e = exp(logit - maximum); weighted: of e log e */
    double *max, *sum, *total, *weighted;
    float *logp, *mean, *entropy, *top; /* of this block; all but the first may be NULL */
    double *lse;
    const float *dlogp, *dmean, *dentropy, *entropy_in;
    const double *lse_in;
} log_prob_job;

/* CHUNK is a multiple of AE_PANEL_ROWS, so that a chunk begins with a panel. */
static ae_tensor chunk_of(const log_prob_job *job)
{
    ae_tensor view = *job->w;
    size_t skip = 0;

    ae_dtype_bytes(&skip, view.dtype, job->first, view.cols);
    view.data = (uint8_t *)view.data + skip;
    if (view.packed) view.packed = ae_cpu_packed_at(job->w, job->first);
    view.rows = job->rows;
    return view;
}

static void gather_tasks(void *context, int64_t begin, int64_t end, int worker)
{
    const log_prob_job *job = context;

    (void)worker;
    for (int64_t i = begin; i < end; i++)
        memcpy(job->gathered + i * job->D, job->x + job->block.rows[i] * job->D,
               (size_t)job->D * sizeof(float));
}

/* Takes the block of predictions that begins at `at` and gathers its rows of x. */
static void start_block(log_prob_job *job, const ae_predictions *p, int64_t at)
{
    job->block =
        (ae_predictions){ p->rows + at, p->targets + at, ae_min64(BLOCK, p->n - at), p->soft_cap };
    ae_pool_run(job->cpu->pool, job->block.n, ROWS_PER_TASK, gather_tasks, job);
}

/* The logits of the chunk that begins at `first`. */
static aerie_status compute_logits(log_prob_job *job, ae_device *dev, ae_arena *scratch,
                                   int64_t first)
{
    ae_tensor view;

    job->first = first;
    job->rows = ae_min64(CHUNK, job->w->rows - first);
    view = chunk_of(job);
    return ae_cpu_linear(dev, scratch, job->logits, job->gathered, &view, NULL, job->block.n);
}

/* The sum of exp(row - most) and, for an entropy, the sum of that times its logarithm. */
static double exp_sums(const log_prob_job *job, float *row, float most, double *weighted)
{
    float logit[CHUNK];
    double sum;

    if (job->entropy) memcpy(logit, row, (size_t)job->rows * sizeof *row);
    sum = job->cpu->k.exp_sum(row, row, most, job->rows);
    *weighted = 0;
    if (!job->entropy) return sum;
    for (int64_t v = 0; v < job->rows; v++) row[v] *= logit[v] - most;
    *weighted = job->cpu->k.sum(row, job->rows);
    return sum;
}

/* Adds one chunk to prediction i's running maximum and sums. */
static void add_chunk(const log_prob_job *job, int64_t i)
{
    float *row = job->logits + i * job->rows;
    int64_t target = job->block.targets[i] - job->first;
    if (job->block.soft_cap > 0) job->cpu->k.soft_cap(row, job->block.soft_cap, job->rows);
    float most = job->cpu->k.max(row, job->rows);
    double max = fmax(most, job->max[i]);

    if (target >= 0 && target < job->rows) job->logp[i] = row[target];
    if (job->mean) job->total[i] += job->cpu->k.sum(row, job->rows);
    double weighted, sum = exp_sums(job, row, most, &weighted);
    double before = exp(job->max[i] - max), now = exp(most - max);
    if (job->entropy) {
        /* Of another maximum the logarithms are shorter by the difference. */
        double old = job->max[i] > -INFINITY ? job->sum[i] * (job->max[i] - max) : 0;
        job->weighted[i] =
            (job->weighted[i] + old) * before + (weighted + sum * (most - max)) * now;
    }
    job->sum[i] = job->sum[i] * before + sum * now;
    job->max[i] = max;
}

static void forward_tasks(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    for (int64_t i = begin; i < end; i++) add_chunk(context, i);
}

static void finish_block(const log_prob_job *job)
{
    for (int64_t i = 0; i < job->block.n; i++) {
        double lse = job->max[i] + log(job->sum[i]);
        job->logp[i] = (float)(job->logp[i] - lse);
        job->lse[i] = lse;
        if (job->top) job->top[i] = (float)(job->max[i] - lse);
        if (job->entropy)
            job->entropy[i] = (float)(log(job->sum[i]) - job->weighted[i] / job->sum[i]);
        if (job->mean) job->mean[i] = (float)(job->total[i] / (double)job->w->rows - lse);
    }
}

static aerie_status take_buffers(log_prob_job *job, ae_arena *scratch, int64_t n)
{
    size_t rows = (size_t)ae_min64(n, BLOCK), D = (size_t)job->D;
    size_t chunk = (size_t)ae_min64(CHUNK, job->w->rows);

    job->gathered = ae_arena_take_raw(scratch, rows * D, sizeof(float));
    job->logits = ae_arena_take_raw(scratch, rows * chunk, sizeof(float));
    return job->gathered && job->logits ? AERIE_OK : AERIE_NO_MEMORY;
}

static aerie_status forward_block(log_prob_job *job, ae_device *dev, ae_arena *scratch)
{
    for (int64_t i = 0; i < job->block.n; i++)
        job->max[i] = -INFINITY, job->sum[i] = job->total[i] = job->weighted[i] = 0;
    for (int64_t v = 0; v < job->w->rows; v += CHUNK) {
        aerie_status status = compute_logits(job, dev, scratch, v);
        if (status) return status;
        ae_pool_run(job->cpu->pool, job->block.n, ROWS_PER_TASK, forward_tasks, job);
    }
    finish_block(job);
    return AERIE_OK;
}

aerie_status ae_cpu_log_prob(ae_device *dev, ae_arena *scratch, float *logp, double *lse,
                             float *mean, float *entropy, float *top, const float *x,
                             const ae_tensor *w, const ae_predictions *p)
{
    double running[4][BLOCK];
    log_prob_job job = { .cpu = ae_cpu_of(dev), .w = w, .x = x, .D = w->cols };
    ae_arena_mark mark = ae_arena_here(scratch);
    aerie_status status = take_buffers(&job, scratch, p->n);

    job.max = running[0], job.sum = running[1], job.total = running[2];
    job.weighted = running[3];
    for (int64_t at = 0; at < p->n && !status; at += BLOCK) {
        start_block(&job, p, at);
        job.logp = logp + at;
        job.lse = lse + at;
        job.mean = mean ? mean + at : NULL;
        job.entropy = entropy ? entropy + at : NULL;
        job.top = top ? top + at : NULL;
        status = forward_block(&job, dev, scratch);
    }
    ae_arena_reset(scratch, mark);
    return status;
}

/* row: exp(logit - lse), lse as a float. Takes into it what multiplies every token, and the
 * entropy's own part; *all is 1 then. */
static void add_entropy_slope(const log_prob_job *job, int64_t i, float *row, const float *logit,
                              float *all)
{
    double exact = job->lse_in[i];
    float lost = (float)exp((double)(float)exact - exact), slope = job->dentropy[i] * lost;
    float entropy = job->entropy_in[i], lse = (float)exact, rest = (float)((double)lse - exact);

    for (int64_t v = 0; v < job->rows; v++)
        row[v] *= *all - slope * (logit[v] - lse + rest + entropy);
    *all = 1;
}

/* d/dlogit of one prediction's chunk, in place of its logits. */
static void gradient_row(const log_prob_job *job, int64_t i, float *row)
{
    float dmean = job->dmean ? job->dmean[i] : 0, lse = (float)job->lse_in[i];
    float inverse = 1 / (float)job->w->rows;
    /* The kernel subtracts a float; what that loses of the lse is a factor of every p. */
    float all = -(job->dlogp[i] + dmean) * (float)exp((double)lse - job->lse_in[i]);
    int64_t target = job->block.targets[i] - job->first;
    float logit[CHUNK];

    if (job->dentropy) memcpy(logit, row, (size_t)job->rows * sizeof *row);
    job->cpu->k.exp_sum(row, row, lse, job->rows);
    if (job->dentropy) add_entropy_slope(job, i, row, logit, &all);
    for (int64_t v = 0; v < job->rows; v++) row[v] = all * row[v] + dmean * inverse;
    if (target >= 0 && target < job->rows) row[target] += job->dlogp[i];
}

/* The same with a cap: the slope of the capped logits, times the slope of the cap. */
static void gradient_row_capped(const log_prob_job *job, int64_t i, float *row)
{
    float capped[CHUNK], slope[CHUNK];
    float cap = job->block.soft_cap;
    size_t bytes = (size_t)job->rows * sizeof *row;

    job->cpu->k.soft_cap(row, cap, job->rows);
    memcpy(capped, row, bytes);
    gradient_row(job, i, row);
    memcpy(slope, row, bytes);
    memset(row, 0, bytes);
    job->cpu->k.soft_cap_bwd(row, slope, capped, cap, job->rows);
}

static void gradient_tasks(void *context, int64_t begin, int64_t end, int worker)
{
    const log_prob_job *job = context;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        float *row = job->logits + i * job->rows;
        if (job->block.soft_cap > 0)
            gradient_row_capped(job, i, row);
        else
            gradient_row(job, i, row);
    }
}

/* Tasks are columns: predictions from the same row then add in their own order. */
static void scatter_tasks(void *context, int64_t begin, int64_t end, int worker)
{
    const log_prob_job *job = context;
    int64_t col = begin * COLS_PER_TASK, cols = ae_min64(end * COLS_PER_TASK, job->D) - col;

    (void)worker;
    for (int64_t i = 0; i < job->block.n; i++)
        job->cpu->k.add_to(job->dx + job->block.rows[i] * job->D + col,
                           job->d_gathered + i * job->D + col, 1, cols);
}

static aerie_status backward_block(log_prob_job *job, ae_device *dev, ae_arena *scratch, float *dw)
{
    int64_t n = job->block.n, D = job->D;

    if (job->dx) memset(job->d_gathered, 0, (size_t)(n * D) * sizeof(float));
    for (int64_t v = 0; v < job->w->rows; v += CHUNK) {
        aerie_status status = compute_logits(job, dev, scratch, v);
        ae_tensor view = chunk_of(job);
        if (status) return status;
        ae_pool_run(job->cpu->pool, n, ROWS_PER_TASK, gradient_tasks, job);
        if (job->dx)
            status = ae_cpu_linear_dx(dev, scratch, job->d_gathered, job->logits, &view, n);
        if (status) return status;
        if (dw) ae_cpu_linear_dw(dev, dw + v * D, job->logits, job->gathered, n, job->rows, D);
    }
    if (job->dx) ae_pool_run(job->cpu->pool, ae_ceil_div(D, COLS_PER_TASK), 1, scatter_tasks, job);
    return AERIE_OK;
}

aerie_status ae_cpu_log_prob_bwd(ae_device *dev, ae_arena *scratch, float *dx, float *dw,
                                 const float *dlogp, const float *dmean, const float *dentropy,
                                 const float *entropy, const double *lse, const float *x,
                                 const ae_tensor *w, const ae_predictions *p)
{
    log_prob_job job = { .cpu = ae_cpu_of(dev), .w = w, .x = x, .dx = dx, .D = w->cols };
    ae_arena_mark mark = ae_arena_here(scratch);
    aerie_status status = take_buffers(&job, scratch, p->n);

    if (!status && dx) {
        size_t rows = (size_t)ae_min64(p->n, BLOCK);
        job.d_gathered = ae_arena_take_raw(scratch, rows * (size_t)job.D, sizeof(float));
        if (!job.d_gathered) status = AERIE_NO_MEMORY;
    }
    for (int64_t at = 0; at < p->n && !status; at += BLOCK) {
        start_block(&job, p, at);
        job.dlogp = dlogp + at;
        job.dmean = dmean ? dmean + at : NULL;
        job.dentropy = dentropy ? dentropy + at : NULL;
        job.entropy_in = entropy ? entropy + at : NULL;
        job.lse_in = lse + at;
        status = backward_block(&job, dev, scratch, dw);
    }
    ae_arena_reset(scratch, mark);
    return status;
}
