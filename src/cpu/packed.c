/* packed.c -- y = x * transpose(w) with a packed weight, cut into tasks for the pool.
 *
 * The rows of x are rounded once, into tiles of up to AE_MOST_TOKENS rows that stay in the second-
 * or third-level cache while all panels of the weight go by. A panel uses each of their bytes for
 * long enough that either will do; fewer rows would unpack more often. */
#include "cpu/machine.h"

/* Bytes of a tile of x. */
#define TILE_BYTES (4 << 20)
/* Elements of x from which on rounding them is shared out. */
#define ALONE 32768
/* Rows of a task that rounds: whole cache lines of each block. */
#define ROUND_ROWS 8

typedef struct {
    const ae_cpu *cpu;
    ae_packed_format format;
    const ae_tensor *w;
    float *y;
    const float *x, *bias;
    ae_packed_x *rounded;
    int64_t T, tile; /* rows of x; of a tile */
    int64_t each;    /* elements of `rounded` a row of x */
} packed_job;

const uint8_t *ae_cpu_packed_at(const ae_tensor *w, int64_t row)
{
    const ae_packed_format f = ae_packed_format_of(w->dtype);

    return (const uint8_t *)w->packed + row / AE_PANEL_ROWS * ae_packed_panel_bytes(&f, w->cols);
}

static int64_t tile_rows(const packed_job *job, int64_t first)
{
    return ae_min64(job->tile, job->T - first);
}

/* Tile by tile: see ae_packed_fn. */
static ae_packed_x *tile_at(const packed_job *job, int64_t first)
{
    return job->rounded + first * job->each;
}

/* Rows begin .. end - 1, of one tile, chunk by chunk: neighbours share cache lines of `rounded`. */
static void round_rows(const packed_job *job, int64_t begin, int64_t end)
{
    const int64_t first = begin / job->tile * job->tile, rows = tile_rows(job, first);
    ae_packed_x *out = tile_at(job, first) - first;

    for (int64_t col = 0; col < job->w->cols; col += AE_CHUNK) {
        int64_t n = ae_min64(AE_CHUNK, job->w->cols - col);
        for (int64_t t = begin; t < end; t++)
            job->cpu->k.packed_quantize(out + t, rows, job->x + t * job->w->cols + col,
                                        n / AE_BLOCK, &job->format);
        out += ae_packed_x_count(&job->format, n) * rows;
    }
}

static void round_tasks(void *context, int64_t begin, int64_t end, int worker)
{
    const packed_job *job = context;

    (void)worker;
    for (int64_t t = begin; t < end;) {
        int64_t tile_end = t / job->tile * job->tile + job->tile;
        round_rows(job, t, ae_min64(end, tile_end));
        t = tile_end;
    }
}

static void add_bias(const packed_job *job, int64_t t, int64_t row, int64_t rows)
{
    float *y = job->y + t * job->w->rows + row;

    if (job->bias) job->cpu->k.add(y, y, job->bias + row, rows);
}

/* Tasks are pairs of panels. */
static void product_tasks(void *context, int64_t begin, int64_t end, int worker)
{
    const packed_job *job = context;
    int64_t N = job->w->rows, row = begin * 2 * AE_PANEL_ROWS;
    int64_t rows = ae_min64(end * 2 * AE_PANEL_ROWS, N) - row;
    const uint8_t *panels = ae_cpu_packed_at(job->w, row);

    (void)worker;
    for (int64_t t = 0; t < job->T; t += job->tile)
        job->cpu->k.packed[job->w->dtype](job->y + t * N + row, N, panels, rows, job->w->cols,
                                          tile_at(job, t), tile_rows(job, t));
    for (int64_t t = 0; t < job->T; t++) add_bias(job, t, row, rows);
}

/* Tiles of the same size, as far as that goes: a last one of a few rows would cost as much. */
static int64_t choose_tile(int64_t T, int64_t each)
{
    int64_t most = TILE_BYTES / (each * (int64_t)sizeof(ae_packed_x));

    most = ae_max64(16, ae_min64(most, AE_MOST_TOKENS));
    return ae_ceil_div(T, ae_max64(1, ae_ceil_div(T, most)));
}

aerie_status ae_cpu_linear_packed(ae_device *dev, ae_arena *scratch, float *y, const float *x,
                                  const ae_tensor *w, const float *bias, int64_t T)
{
    packed_job job = { .cpu = ae_cpu_of(dev), .w = w, .y = y, .x = x, .bias = bias, .T = T };
    ae_arena_mark mark = ae_arena_here(scratch);
    int64_t pairs = ae_ceil_div(w->rows, 2 * AE_PANEL_ROWS);
    int64_t grain = ae_max64(1, pairs / (4 * dev->n_threads));

    if (T < 1) return AERIE_OK;
    job.format = ae_packed_format_of(w->dtype);
    job.each = ae_packed_x_count(&job.format, w->cols);
    job.tile = choose_tile(T, job.each);
    job.rounded = ae_arena_take_raw(scratch, (size_t)(T * job.each), sizeof *job.rounded);
    if (!job.rounded) return AERIE_NO_MEMORY;
    if (T * w->cols < ALONE)
        round_tasks(&job, 0, T, 0);
    else
        ae_pool_run(job.cpu->pool, T, ROUND_ROWS, round_tasks, &job);
    ae_pool_run(job.cpu->pool, pairs, grain, product_tasks, &job);
    ae_arena_reset(scratch, mark);
    return AERIE_OK;
}
