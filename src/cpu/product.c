/* product.c -- matrix products by one worker, out of packed panels.
 *
 * Everything is the one product kernel, c += a * b, whose outputs are single chains over the depth:
 *   forward   c = y,  a = x,              b = w transposed, panel by panel, while it is packed
 *   dx        c = dx, a = dy,             b = w
 *   dw        c = dw, a = dy transposed,  b = x
 * A chain is kept in c between two panels of its depth, so neither the depth of a panel nor any cut
 * into tasks changes a bit. A panel is packed as wide as a register tile, which makes its rows
 * consecutive in memory; below a few rows of a, packing costs more than it saves. */
#include "cpu/machine.h"

#include <string.h>

/* Packing a panel pays from this many rows on. */
#define PACK_ROWS 8
/* Up to this many rows of x, weights are turned in registers instead of packed. */
#define FEW_ROWS 2

bool ae_rooms_take(ae_rooms *rooms, const ae_cpu *cpu, ae_arena *arena, int64_t floats)
{
    rooms->each = ae_round_up(floats, 16);
    rooms->start = ae_arena_take_raw(arena, (size_t)rooms->each * (size_t)cpu->device.n_threads,
                                     sizeof(float));
    return rooms->start != NULL;
}

static void expand_row(const ae_cpu *cpu, float *out, const ae_tensor *w, int64_t row, int64_t col,
                       int64_t cols)
{
    const ae_dtype_info *info = ae_dtype_info_of(w->dtype);
    int64_t block = (row * w->cols + col) / info->block_elements;
    const uint8_t *in = (const uint8_t *)w->data + block * info->block_bytes;
    ae_expand_fn *expand = cpu->k.expand[w->dtype];

    if (expand)
        expand(out, in, cols);
    else
        ae_dtype_decode_row(w->dtype, in, cols, out);
}

const float *ae_weight_part(const ae_cpu *cpu, float *room, int64_t *ld, const ae_tensor *w,
                            ae_part part)
{
    if (w->dtype == AE_F32) {
        *ld = w->cols;
        return ae_f32(w) + part.row * w->cols + part.col;
    }
    *ld = part.cols;
    for (int64_t r = 0; r < part.rows; r++)
        expand_row(cpu, room + r * part.cols, w, part.row + r, part.col, part.cols);
    return room;
}

void ae_multiply_panels(const ae_cpu *cpu, float *c, int64_t ldc, const float *a, int64_t a_row,
                        int64_t a_col, const float *panels, ae_gemm_size size)
{
    int64_t panel = cpu->k.panel;

    for (int64_t i = 0; i < size.rows; i += AE_ROWS_PER_PASS)
        for (int64_t j = 0; j < size.cols; j += panel)
            cpu->k.gemm(c + i * ldc + j, ldc, a + i * a_row, a_row, a_col, panels + j * size.depth,
                        panel,
                        (ae_gemm_size){ ae_min64(AE_ROWS_PER_PASS, size.rows - i),
                                        ae_min64(panel, size.cols - j), size.depth });
}

static void pack_panels(const ae_cpu *cpu, float *panels, const float *b, int64_t ldb, int64_t cols,
                        int64_t depth)
{
    int64_t panel = cpu->k.panel;

    for (int64_t j = 0; j < cols; j += panel) {
        size_t bytes = (size_t)ae_min64(panel, cols - j) * sizeof *b;
        for (int64_t r = 0; r < depth; r++)
            memcpy(panels + j * depth + r * panel, b + r * ldb + j, bytes);
    }
}

int64_t ae_product_room(const ae_cpu *cpu, int64_t cols)
{
    return AE_DEPTH * ae_round_up(cols, cpu->k.panel);
}

void ae_product(const ae_cpu *cpu, float *room, float *c, int64_t ldc, const float *a,
                int64_t a_row, int64_t a_col, const float *b, int64_t ldb, ae_gemm_size size)
{
    if (size.rows < PACK_ROWS) {
        cpu->k.gemm(c, ldc, a, a_row, a_col, b, ldb, size);
        return;
    }
    for (int64_t r = 0; r < size.depth; r += AE_DEPTH) {
        int64_t depth = ae_min64(AE_DEPTH, size.depth - r);
        pack_panels(cpu, room, b + r * ldb, ldb, size.cols, depth);
        ae_multiply_panels(cpu, c, ldc, a + r * a_col, a_row, a_col, room,
                           (ae_gemm_size){ size.rows, size.cols, depth });
    }
}

int64_t ae_linear_room(const ae_cpu *cpu, int64_t rows)
{
    return AE_DEPTH * (ae_round_up(rows, cpu->k.panel) + cpu->k.panel);
}

static void start_outputs(const ae_linear_piece *p)
{
    for (int64_t t = 0; t < p->T; t++) {
        size_t bytes = (size_t)p->rows * sizeof *p->y;
        if (p->bias)
            memcpy(p->y + t * p->ldy, p->bias + p->row, bytes);
        else
            memset(p->y + t * p->ldy, 0, bytes);
    }
}

/* A few rows of x: each weight is used too few times to pay for a packed panel. */
static void linear_few(const ae_cpu *cpu, float *expanded, const ae_linear_piece *p)
{
    int64_t panel = cpu->k.panel, ld;

    for (int64_t j = 0; j < p->rows; j += panel)
        for (int64_t k = 0; k < p->w->cols; k += AE_DEPTH) {
            ae_part part = { p->row + j, ae_min64(panel, p->rows - j), k,
                             ae_min64(AE_DEPTH, p->w->cols - k) };
            const float *w = ae_weight_part(cpu, expanded, &ld, p->w, part);
            for (int64_t t = 0; t < p->T; t++)
                cpu->k.dots(p->y + t * p->ldy + j, w, ld, p->x + t * p->ldx + k, part.rows,
                            part.cols);
        }
}

static void linear_many(const ae_cpu *cpu, float *panels, float *expanded, const ae_linear_piece *p)
{
    int64_t panel = cpu->k.panel, ld;

    for (int64_t k = 0; k < p->w->cols; k += AE_DEPTH) {
        int64_t depth = ae_min64(AE_DEPTH, p->w->cols - k);
        for (int64_t j = 0; j < p->rows; j += panel) {
            ae_part part = { p->row + j, ae_min64(panel, p->rows - j), k, depth };
            const float *w = ae_weight_part(cpu, expanded, &ld, p->w, part);
            cpu->k.transpose(panels + j * depth, panel, w, ld, part.rows, depth);
        }
        ae_multiply_panels(cpu, p->y, p->ldy, p->x + k, p->ldx, 1, panels,
                           (ae_gemm_size){ p->T, p->rows, depth });
    }
}

void ae_linear_run(const ae_cpu *cpu, float *room, const ae_linear_piece *p)
{
    float *expanded = room + AE_DEPTH * ae_round_up(p->rows, cpu->k.panel);

    start_outputs(p);
    if (p->T <= FEW_ROWS)
        linear_few(cpu, expanded, p);
    else
        linear_many(cpu, room, expanded, p);
}
