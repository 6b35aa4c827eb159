/* linear.c -- y = x * transpose(w) and its two ways back, cut into tasks for the pool. */
#include "cpu/machine.h"

/* Columns of b that a task works on at a time: with AE_DEPTH they stay in the second-level cache.
 */
#define TASK_COLS 256

/* A grid of tasks over the rows and columns of c. */
typedef struct {
    int64_t rows, cols, row_step, col_step, n_cols;
    int64_t count;
} grid;

typedef struct {
    int64_t row, rows, col, cols;
} cell;

/* Whole columns first: a task packs its columns of b once for all its rows. Rows are cut only as
 * far as there are too few tasks to share out evenly. */
static grid cut(const ae_cpu *cpu, int64_t rows, int64_t cols, int64_t col_step)
{
    grid g = { rows, cols, rows, col_step, ae_ceil_div(cols, col_step), 0 };
    int64_t wanted = cpu->device.n_threads > 1 ? 6 * cpu->device.n_threads : 1;

    if (g.n_cols < wanted && g.n_cols > 0) {
        int64_t parts = ae_ceil_div(wanted, g.n_cols);
        g.row_step = ae_max64(ae_round_up(ae_ceil_div(rows, parts), AE_ROWS_PER_PASS), 96);
    }
    g.count = g.n_cols * ae_ceil_div(rows, ae_max64(g.row_step, 1));
    return g;
}

static cell cell_at(const grid *g, int64_t i)
{
    cell c = { i / g->n_cols * g->row_step, 0, i % g->n_cols * g->col_step, 0 };

    c.rows = ae_min64(g->row_step, g->rows - c.row);
    c.cols = ae_min64(g->col_step, g->cols - c.col);
    return c;
}

typedef struct {
    const ae_cpu *cpu;
    grid grid;
    ae_rooms rooms;
    float *c;
    const float *a, *b, *bias;
    const ae_tensor *w;
    int64_t T, N, K;
} linear_job;

static void forward_tasks(void *context, int64_t begin, int64_t end, int worker)
{
    const linear_job *job = context;

    for (int64_t i = begin; i < end; i++) {
        cell at = cell_at(&job->grid, i);
        ae_linear_piece piece = { .y = job->c + at.row * job->N + at.col,
                                  .ldy = job->N,
                                  .x = job->a + at.row * job->K,
                                  .ldx = job->K,
                                  .w = job->w,
                                  .row = at.col,
                                  .rows = at.cols,
                                  .bias = job->bias,
                                  .T = at.rows };
        ae_linear_run(job->cpu, ae_room_of(&job->rooms, worker), &piece);
    }
}

aerie_status ae_cpu_linear(ae_device *dev, ae_arena *scratch, float *y, const float *x,
                           const ae_tensor *w, const float *bias, int64_t T)
{
    const ae_cpu *cpu = ae_cpu_of(dev);
    int64_t panel = cpu->k.panel;
    /* Narrow weights: smaller tasks, or there are too few of them. */
    int64_t share = ae_ceil_div(w->rows, ae_max64(4, 2 * dev->n_threads));
    int64_t cols = ae_min64(TASK_COLS, ae_round_up(share, panel));
    linear_job job = { .cpu = cpu, .c = y, .a = x, .w = w, .bias = bias };
    ae_arena_mark mark = ae_arena_here(scratch);

    if (w->packed) return ae_cpu_linear_packed(dev, scratch, y, x, w, bias, T);
    job.T = T, job.N = w->rows, job.K = w->cols;
    job.grid = cut(cpu, T, w->rows, ae_max64(cols, panel));
    if (!ae_rooms_take(&job.rooms, cpu, scratch, ae_linear_room(cpu, TASK_COLS)))
        return AERIE_NO_MEMORY;
    ae_pool_run(cpu->pool, job.grid.count, 1, forward_tasks, &job);
    ae_arena_reset(scratch, mark);
    return AERIE_OK;
}

static void dx_tasks(void *context, int64_t begin, int64_t end, int worker)
{
    const linear_job *job = context;
    float *packed = ae_room_of(&job->rooms, worker);
    float *expanded = packed + ae_product_room(job->cpu, TASK_COLS);
    int64_t ld;

    for (int64_t i = begin; i < end; i++) {
        cell at = cell_at(&job->grid, i);
        for (int64_t n = 0; n < job->N; n += AE_DEPTH) {
            ae_part part = { n, ae_min64(AE_DEPTH, job->N - n), at.col, at.cols };
            const float *w = ae_weight_part(job->cpu, expanded, &ld, job->w, part);
            ae_product(job->cpu, packed, job->c + at.row * job->K + at.col, job->K,
                       job->a + at.row * job->N + n, job->N, 1, w, ld,
                       (ae_gemm_size){ at.rows, at.cols, part.rows });
        }
    }
}

aerie_status ae_cpu_linear_dx(ae_device *dev, ae_arena *scratch, float *dx, const float *dy,
                              const ae_tensor *w, int64_t T)
{
    const ae_cpu *cpu = ae_cpu_of(dev);
    linear_job job = { .cpu = cpu, .c = dx, .a = dy, .w = w };
    ae_arena_mark mark = ae_arena_here(scratch);
    int64_t room =
        ae_product_room(cpu, TASK_COLS) + (w->dtype == AE_F32 ? 0 : AE_DEPTH * TASK_COLS);

    job.T = T, job.N = w->rows, job.K = w->cols;
    job.grid = cut(cpu, T, w->cols, TASK_COLS);
    if (!ae_rooms_take(&job.rooms, cpu, scratch, room)) return AERIE_NO_MEMORY;
    ae_pool_run(cpu->pool, job.grid.count, 1, dx_tasks, &job);
    ae_arena_reset(scratch, mark);
    return AERIE_OK;
}

/* No scratch is handed to this one: a task's panel lies on its stack. */
static void dw_tasks(void *context, int64_t begin, int64_t end, int worker)
{
    const linear_job *job = context;
    float room[AE_DEPTH * 32];

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        cell at = cell_at(&job->grid, i);
        ae_product(job->cpu, room, job->c + at.row * job->K + at.col, job->K, job->a + at.row, 1,
                   job->N, job->b + at.col, job->K, (ae_gemm_size){ at.rows, at.cols, job->T });
    }
}

void ae_cpu_linear_dw(ae_device *dev, float *dw, const float *dy, const float *x, int64_t T,
                      int64_t N, int64_t K)
{
    const ae_cpu *cpu = ae_cpu_of(dev);
    linear_job job = { .cpu = cpu, .c = dw, .a = dy, .b = x, .T = T, .N = N, .K = K };

    job.grid = cut(cpu, N, K, cpu->k.panel);
    ae_pool_run(cpu->pool, job.grid.count, 1, dw_tasks, &job);
}
