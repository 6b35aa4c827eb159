/* pack.c -- quantized weights laid out for inference (kernel/packed.h), a panel of 16 rows a task.
 *
 * A chunk of each row is sorted, the 16 rows are turned so that four bytes of all of them lie
 * together, and bits are moved to where a product wants them (pack_read.c). A model of 4 GB is
 * packed in about a second; what takes longer are the first touches of so much memory.
 */
#include "cpu/pack.h"
#include "cpu/machine.h"

#include <stdatomic.h>
#include <string.h>

typedef struct {
    const ae_cpu *cpu;
    ae_packed_format format;
    ae_packed_source source;
    const ae_tensor *w;
    uint8_t *out;
    int64_t panel_bytes;
    int64_t row_bytes, chunk_bytes; /* of the source */
    atomic_bool bad;                /* a scale is not finite */
} pack_job;

/* 16 rows of a chunk, or a chunk of 16 rows turned: as floats for the sake of transposition alone,
 * which moves them as they are. */
typedef union {
    float floats[AE_PANEL_ROWS * AE_CHUNK / 4];
    uint32_t words[AE_PANEL_ROWS * AE_CHUNK / 4];
    uint8_t bytes[AE_PANEL_ROWS * AE_CHUNK];
} chunk_rows;

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

/* Halves of the chunk, all of d and then all of m, each of them for 16 rows. */
static int halves_of(const ae_packed_format *f, int n)
{
    return (f->scales == AE_SCALES_HALF ? n : 1) * (f->minima ? 2 : 1);
}

static void put_halves(const ae_packed_format *f, uint8_t *out, const ae_packed_row *row, int n)
{
    int each = f->scales == AE_SCALES_HALF ? n : 1;

    for (int i = 0; i < each; i++) {
        put_half(out + 32 * i, row->d[i]);
        if (f->minima) put_half(out + 32 * (each + i), row->m[i]);
    }
}

/* All exponent bits set: infinite or not a number. */
static bool halves_finite(const uint8_t *halves, int n)
{
    unsigned bad = 0;

    for (int i = 0; i < AE_PANEL_ROWS * n; i++) bad |= (halves[2 * i + 1] & 0x7c) == 0x7c;
    return !bad;
}

/* The scales of one byte: n of a row, turned with the quants. */
static void put_bytes(uint8_t *out, const uint32_t *turned, int n)
{
    for (int i = 0; i < n; i++)
        for (int r = 0; r < AE_PANEL_ROWS; r++)
            out[AE_PANEL_ROWS * i + r] =
                (uint8_t)(turned[AE_PANEL_ROWS * (i / 4) + r] >> i % 4 * 8);
}

/* Sixteen rows are read side by side, more than a processor foresees: a model of 4 GB loads in 1.60
 * s instead of 1.67. Past the end of the weight nothing happens. */
static inline void fetch_ahead(const pack_job *job, const uint8_t *in)
{
    uintptr_t at = (uintptr_t)in + 3 * (uintptr_t)job->chunk_bytes;

    for (int64_t i = 0; i < job->chunk_bytes; i += 64)
        __builtin_prefetch((const void *)(at + (uintptr_t)i));
}

/* A chunk of n blocks of the rows that are there; what is missing of 16 is zero. False: a scale is
 * not finite. */
static bool pack_chunk(const pack_job *job, uint8_t *out, const uint8_t *in, int rows, int n)
{
    const ae_packed_format *f = &job->format;
    const int quants = n * f->bits; /* words of a row */
    const int halves = 32 * halves_of(f, n), scales = (int)ae_packed_scale_bytes(f, n);
    const int bytes = (scales - halves) / AE_PANEL_ROWS; /* of a row */
    chunk_rows whole, turned;

    if (rows < AE_PANEL_ROWS) {
        memset(out, 0, (size_t)halves);
        memset(&whole, 0, sizeof whole);
    }
    for (int r = 0; r < rows; r++) {
        ae_packed_row row = { .quants = whole.bytes + AE_CHUNK * r };
        row.scales = row.quants + 4 * quants;
        fetch_ahead(job, in + r * job->row_bytes);
        job->source.read(&row, in + r * job->row_bytes, n);
        put_halves(f, out + 2 * r, &row, n);
    }
    job->cpu->k.transpose(turned.floats, AE_PANEL_ROWS, whole.floats, AE_CHUNK / 4, AE_PANEL_ROWS,
                          quants + bytes / 4);
    put_bytes(out + halves, turned.words + AE_PANEL_ROWS * quants, bytes);
    job->source.arrange((uint32_t *)(void *)(out + scales), turned.words, n);
    return halves_finite(out, halves / 32);
}

static void pack_panel(pack_job *job, int64_t panel)
{
    const ae_packed_format *f = &job->format;
    const uint8_t *in = (const uint8_t *)job->w->data + panel * AE_PANEL_ROWS * job->row_bytes;
    uint8_t *out = job->out + panel * job->panel_bytes, *end = out + job->panel_bytes;
    int rows = (int)ae_min64(AE_PANEL_ROWS, job->w->rows - panel * AE_PANEL_ROWS);

    for (int64_t col = 0; col < job->w->cols; col += AE_CHUNK) {
        int n = (int)ae_min64(AE_CHUNK, job->w->cols - col) / AE_BLOCK;
        if (!pack_chunk(job, out, in, rows, n)) atomic_store(&job->bad, true);
        in += job->chunk_bytes;
        out += ae_packed_scale_bytes(f, n) + n * ae_packed_quant_bytes(f);
    }
    memset(out, 0, (size_t)(end - out));
}

static void pack_tasks(void *context, int64_t begin, int64_t end, int worker)
{
    const pack_job *job = context;

    (void)worker;
    ae_pages_touch(job->out + begin * job->panel_bytes, (size_t)((end - begin) * job->panel_bytes));
    for (int64_t panel = begin; panel < end; panel++) pack_panel(context, panel);
}

bool ae_cpu_pack(ae_device *dev, void *out, const ae_tensor *w)
{
    pack_job job = { .cpu = ae_cpu_of(dev),
                     .format = ae_packed_format_of(w->dtype),
                     .source = ae_packed_source_of(w->dtype),
                     .w = w,
                     .out = out };
    size_t row_bytes = 0, chunk_bytes = 0;

    ae_dtype_bytes(&row_bytes, w->dtype, 1, w->cols);
    ae_dtype_bytes(&chunk_bytes, w->dtype, 1, AE_CHUNK);
    job.row_bytes = (int64_t)row_bytes;
    job.chunk_bytes = (int64_t)chunk_bytes;
    job.panel_bytes = ae_packed_panel_bytes(&job.format, w->cols);
    ae_pool_run(job.cpu->pool, ae_ceil_div(w->rows, AE_PANEL_ROWS), 4, pack_tasks, &job);
    return !job.bad;
}
