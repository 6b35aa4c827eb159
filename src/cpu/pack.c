/* pack.c -- quantized weights laid out for inference (kernel/packed.h), a panel of 16 rows a task.
 *
 * A chunk of each row is taken apart, the 16 rows are turned so that four columns of all of them
 * lie together, and the eight steps of a block are put into planes of bits. Loops over bytes are
 * written for the compiler to make vectors of: a model of 4 GB is to be packed in about a second.
 */
#include "cpu/pack.h"
#include "cpu/machine.h"

#include <string.h>

typedef struct {
    const ae_cpu *cpu;
    ae_packed_format format;
    ae_packed_read_fn *read;
    const ae_tensor *w;
    uint8_t *out;
    int64_t panel_bytes, row_bytes;
} pack_job;

size_t ae_cpu_packed_bytes(const ae_device *dev, ae_dtype dtype, int64_t rows, int64_t cols)
{
    const ae_packed_format f = ae_packed_format_of(dtype);
    size_t file_bytes;

    (void)dev;
    if (!f.bits || rows < 1 || cols < 1 || !ae_dtype_bytes(&file_bytes, dtype, rows, cols))
        return 0;
    /* A packed panel is a little larger than its rows in the file, whose bytes are known to fit. */
    if (file_bytes > SIZE_MAX / 4 || rows > INT64_MAX / 4 / cols) return 0;
    return (size_t)ae_ceil_div(rows, AE_PANEL_ROWS) * (size_t)ae_packed_panel_bytes(&f, cols);
}

static void put_half(uint8_t *out, uint16_t half)
{
    out[0] = half & 255;
    out[1] = half >> 8;
}

/* The scales of row `r` of the panel, for a chunk of n blocks. */
static void put_scales(const ae_packed_format *f, uint8_t *chunk, const ae_packed_row *row, int r,
                       int n)
{
    int halves = f->scales == AE_SCALES_HALF ? n : 1, groups = AE_CHUNK / f->group;
    uint8_t *d = chunk + 2 * r, *s = chunk + (f->minima ? 64 : 32) + r;

    for (int i = 0; i < halves; i++) {
        put_half(d + 32 * i, row->d[i]);
        if (f->minima) put_half(d + 32 * (halves + i), row->m[i]);
    }
    if (f->scales == AE_SCALES_HALF) return;
    for (int g = 0; g < groups; g++) s[16 * g] = (uint8_t)row->scale[g];
    if (f->scales == AE_SCALES_NIBBLE || !f->minima) return;
    for (int g = 0; g < groups; g++) s[16 * (groups + g)] = (uint8_t)row->min[g];
}

/* `bits` bits from `shift` on of each byte of steps j, j + 1, ... (64 bytes each), eight bytes at a
 * time, put side by side. */
static inline uint64_t side_by_side(const uint64_t *steps, int n, int bits, int shift)
{
    const uint64_t mask = 0x0101010101010101u * ((1u << bits) - 1);
    uint64_t all = 0;

    for (int j = 0; j < n; j++) all |= (steps[8 * j] >> shift & mask) << j * bits;
    return all;
}

/* Steps j and j + 4 share a vector. */
static void put_nibbles(uint64_t *out, const uint64_t *steps)
{
    const uint64_t mask = 0x0f0f0f0f0f0f0f0fu;

    for (int i = 0; i < 32; i++) out[i] = (steps[i] & mask) | (steps[32 + i] & mask) << 4;
}

static void put_two_bits(uint64_t *out, const uint64_t *steps, int shift)
{
    for (int v = 0; v < 2; v++)
        for (int i = 0; i < 8; i++) out[8 * v + i] = side_by_side(steps + 32 * v + i, 4, 2, shift);
}

static void put_one_bit(uint64_t *out, const uint64_t *steps, int shift)
{
    for (int i = 0; i < 8; i++) out[i] = side_by_side(steps + i, 8, 1, shift);
}

/* One block of 32 columns. */
static void put_quants(const ae_packed_format *f, uint8_t *out, const uint8_t *in)
{
    uint64_t steps[64], planes[64], *next = planes;
    int put = 0;

    memcpy(steps, in, sizeof steps);
    if (f->bits == 8) memcpy(planes, steps, sizeof planes);
    if (f->bits >= 4 && f->bits < 8) {
        put_nibbles(next, steps);
        put = 4, next += 32;
    }
    if (f->bits - put >= 2 && f->bits < 8) {
        put_two_bits(next, steps, put);
        put += 2, next += 16;
    }
    if (f->bits % 2) put_one_bit(next, steps, put);
    memcpy(out, planes, (size_t)ae_packed_quant_bytes(f));
}

/* A chunk of n blocks of the rows that are there; what is missing of 16 is zero. */
static void pack_chunk(const pack_job *job, uint8_t *out, const uint8_t *in, int rows, int n)
{
    /* As floats for the sake of transposition alone, which moves them as they are. */
    float whole[AE_PANEL_ROWS * AE_CHUNK / 4], turned[AE_PANEL_ROWS * AE_CHUNK / 4];
    const ae_packed_format *f = &job->format;
    ae_packed_row row;

    memset(out, 0, (size_t)ae_packed_scale_bytes(f, n));
    if (rows < AE_PANEL_ROWS) memset(whole, 0, sizeof whole);
    for (int r = 0; r < rows; r++) {
        job->read(&row, in + r * job->row_bytes, n);
        memcpy(whole + 64 * r, row.q, 32 * (size_t)n);
        put_scales(f, out, &row, r, n);
    }
    job->cpu->k.transpose(turned, AE_PANEL_ROWS, whole, 64, AE_PANEL_ROWS, 8 * n);
    out += ae_packed_scale_bytes(f, n);
    for (int b = 0; b < n; b++)
        put_quants(f, out + b * ae_packed_quant_bytes(f), (uint8_t *)turned + 512 * b);
}

static void pack_panel(const pack_job *job, int64_t panel)
{
    const ae_packed_format *f = &job->format;
    const ae_dtype_info *info = ae_dtype_info_of(job->w->dtype);
    const uint8_t *in = (const uint8_t *)job->w->data + panel * AE_PANEL_ROWS * job->row_bytes;
    uint8_t *out = job->out + panel * job->panel_bytes, *end = out + job->panel_bytes;
    int rows = (int)ae_min64(AE_PANEL_ROWS, job->w->rows - panel * AE_PANEL_ROWS);

    for (int64_t col = 0; col < job->w->cols; col += AE_CHUNK) {
        int n = (int)ae_min64(AE_CHUNK, job->w->cols - col) / AE_BLOCK;
        pack_chunk(job, out, in, rows, n);
        in += AE_BLOCK * n / info->block_elements * info->block_bytes;
        out += ae_packed_scale_bytes(f, n) + n * ae_packed_quant_bytes(f);
    }
    memset(out, 0, (size_t)(end - out));
}

static void pack_tasks(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    for (int64_t panel = begin; panel < end; panel++) pack_panel(context, panel);
}

void ae_cpu_pack(ae_device *dev, void *out, const ae_tensor *w)
{
    pack_job job = { .cpu = ae_cpu_of(dev),
                     .format = ae_packed_format_of(w->dtype),
                     .read = ae_packed_reader(w->dtype),
                     .w = w,
                     .out = out };
    size_t row_bytes = 0;

    ae_dtype_bytes(&row_bytes, w->dtype, 1, w->cols);
    job.row_bytes = (int64_t)row_bytes;
    job.panel_bytes = ae_packed_panel_bytes(&job.format, w->cols);
    ae_pool_run(job.cpu->pool, ae_ceil_div(w->rows, AE_PANEL_ROWS), 4, pack_tasks, &job);
}
