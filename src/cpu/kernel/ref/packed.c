/* packed.c -- the packed product, plainly: the definition of its layout and of its numbers. */
#include "cpu/kernel/ref/ref.h"

#include <math.h>
#include <string.h>

static uint32_t bits_of(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* x, above zero, to the next float of five significant bits. */
static float round_up(float x)
{
    uint32_t bits = (bits_of(x) + 0x7ffff) & ~(uint32_t)0x7ffff;

    memcpy(&x, &bits, sizeof x);
    return x;
}

/* q is set; dx comes back. */
static float round_block(int8_t *q, const float *x)
{
    float most = 0, dx, scale;
    bool finite = true;

    for (int i = 0; i < AE_BLOCK; i++) {
        finite = finite && (bits_of(x[i]) & 0x7fffffff) < 0x7f800000;
        most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
    }
    memset(q, 0, AE_BLOCK);
    if (!finite) return NAN;
    if (most < 0x1p-90f) return 0;
    dx = round_up(most / AE_MOST_QUANT);
    scale = 1 / dx;
    for (int i = 0; i < AE_BLOCK; i++) q[i] = (int8_t)rintf(x[i] * scale);
    return dx;
}

static int sum_of(const int8_t *q, int n)
{
    int sum = 0;

    for (int i = 0; i < n; i++) sum += q[i];
    return sum;
}

/* values: what a chunk's groups of x sum up to. */
static void round_sums(ae_packed_sums *out, const float *values, int n)
{
    float most = 0;
    bool finite = true;

    *out = (ae_packed_sums){ .unit = 0 };
    for (int g = 0; g < n; g++) {
        finite = finite && isfinite(values[g]);
        most = fmaxf(most, fabsf(values[g]));
    }
    if (!finite) out->unit = NAN;
    if (finite && most > 0) {
        out->unit = ldexpf(1, ilogbf(most) - 14);
        for (int g = 0; g < n; g++)
            out->sum[g] = (int16_t)fminf(INT16_MAX, rintf(values[g] / out->unit));
    }
    out->exponent = ae_packed_exponent(out->unit);
}

/* What stands beside q. values: dx * the sum of q, of each group. */
static void sum_block(ae_packed_x *x, float *values, const ae_packed_format *f)
{
    for (int g = 0; g < AE_BLOCK / f->group; g++) {
        int sum = sum_of(x->q + g * f->group, f->group);
        values[g] = x->dx * (float)sum;
        if (!f->minima) x->start[g] = -f->offset * sum;
    }
    if (f->minima) x->sum = values[0];
}

void ae_packed_quantize_ref(ae_packed_x *out, int64_t stride, const float *x, int64_t blocks,
                            const ae_packed_format *f)
{
    const int groups = AE_CHUNK / f->group, each = AE_BLOCK / f->group;
    float values[AE_CHUNK / 16];

    for (int64_t b = 0; b < blocks; b++, out += stride) {
        out->dx = round_block(out->q, x + b * AE_BLOCK);
        out->exponent = ae_packed_exponent(out->dx);
        sum_block(out, values + b * each % groups, f);
        if (!ae_packed_whole_minima(f) || b % (AE_CHUNK / AE_BLOCK) != AE_CHUNK / AE_BLOCK - 1)
            continue;
        out += stride;
        round_sums(&out->sums, values, groups);
    }
}

static float half_at(const uint8_t *p)
{
    return ae_f16_to_f32((uint16_t)(p[0] | p[1] << 8));
}

/* Block i of a chunk of n, and in it one row of the panel. */
typedef struct {
    const ae_packed_format *f;
    const uint8_t *chunk;
    int64_t n, i;
    int64_t row;
} place;

/* Of element k of the block, the offset taken off. */
static int weight_at(const place *p, int k)
{
    const ae_packed_format *f = p->f;
    const uint8_t *q = p->chunk + ae_packed_scale_bytes(f, p->n) + p->i * ae_packed_quant_bytes(f);
    int step = k / 4, bits = 0, u = 0;

    q += p->row * 4 + k % 4;
    if (f->bits == 8) return q[64 * step] - f->offset;
    if (f->bits >= 4) {
        u = q[step % 4 * 64] >> step / 4 * 4 & 15;
        bits = 4, q += 256;
        if (f->iq4) u = ae_iq4_values[u] + 128;
    }
    if (f->bits == 2 || f->bits == 3 || f->bits == 6) {
        u |= (q[step / 4 * 64] >> step % 4 * 2 & 3) << bits;
        bits += 2, q += 128;
    }
    if (bits < f->bits) u |= (q[0] >> step & 1) << bits;
    return u - f->offset;
}

/* Of group g of the chunk. */
static int whole_scale_at(const place *p, int g)
{
    int s = p->chunk[(p->f->minima ? 64 : 32) + 16 * g + p->row];

    return p->f->scales == AE_SCALES_NIBBLE ? s & 15 : (int8_t)s;
}

static int whole_minimum_at(const place *p, int g)
{
    const uint8_t *s = p->chunk + 64 + 16 * g + p->row;

    return p->f->scales == AE_SCALES_NIBBLE ? *s >> 4 : (int8_t)s[16 * (AE_CHUNK / p->f->group)];
}

static float scale_at(const place *p, int g, float *minimum)
{
    const uint8_t *d = p->chunk + 2 * p->row;

    *minimum = 0;
    if (p->f->scales != AE_SCALES_HALF) return half_at(d) * (float)whole_scale_at(p, g);
    if (p->f->minima) *minimum = half_at(d + 32 * (p->n + g));
    return half_at(d + 32 * g);
}

/* Types of groups of 16 whose scale times quant fits in a byte take a block's two as one whole
 * number, and so need one product with floats. */
static float add_block(float y, const place *p, const ae_packed_x *x)
{
    const ae_packed_format *f = p->f;
    int g = (int)(p->i * AE_BLOCK) / f->group, dot[2] = { 0 };
    float minimum;

    for (int k = 0; k < AE_BLOCK; k++) dot[k / f->group] += weight_at(p, k) * x->q[k];
    if (ae_packed_folds(f)) {
        dot[0] = dot[0] * whole_scale_at(p, g) + dot[1] * whole_scale_at(p, g + 1);
        return fmaf((float)dot[0], half_at(p->chunk + 2 * p->row) * x->dx, y);
    }
    for (int h = 0; h < AE_BLOCK / f->group; h++) {
        y = fmaf((float)dot[h], scale_at(p, g + h, &minimum) * x->dx, y);
        if (f->minima && f->scales == AE_SCALES_HALF) y = fmaf(-minimum, x->sum, y);
    }
    return y;
}

/* Once a chunk. */
static float add_minima(float y, const place *p, const ae_packed_sums *x)
{
    int sum = 0;

    for (int g = 0; g < AE_CHUNK / p->f->group; g++) sum += whole_minimum_at(p, g) * x->sum[g];
    return fmaf((float)sum, -half_at(p->chunk + 32 + 2 * p->row) * x->unit, y);
}

static float row_of(const ae_packed_format *f, const uint8_t *panel, int64_t row, int64_t cols,
                    const ae_packed_x *x, int64_t T)
{
    place p = { .f = f, .chunk = panel, .row = row };
    float y = 0;

    for (int64_t col = 0; col < cols; col += AE_CHUNK) {
        p.n = (cols - col < AE_CHUNK ? cols - col : AE_CHUNK) / AE_BLOCK;
        for (p.i = 0; p.i < p.n; p.i++, x += T) y = add_block(y, &p, x);
        if (ae_packed_whole_minima(f)) y = add_minima(y, &p, &x->sums), x += T;
        p.chunk += ae_packed_scale_bytes(f, p.n) + p.n * ae_packed_quant_bytes(f);
    }
    return y;
}

static void product(ae_dtype dtype, float *y, int64_t ldy, const uint8_t *panels, int64_t rows,
                    int64_t cols, const ae_packed_x *x, int64_t T)
{
    const ae_packed_format f = ae_packed_format_of(dtype);
    int64_t panel_bytes = ae_packed_panel_bytes(&f, cols);

    for (int64_t t = 0; t < T; t++)
        for (int64_t r = 0; r < rows; r++)
            y[t * ldy + r] = row_of(&f, panels + r / AE_PANEL_ROWS * panel_bytes, r % AE_PANEL_ROWS,
                                    cols, x + t, T);
}

#define PRODUCT(dtype, name, ...)                                                                  \
    static void product_##name(float *y, int64_t ldy, const uint8_t *panels, int64_t rows,         \
                               int64_t cols, const ae_packed_x *x, int64_t T)                      \
    {                                                                                              \
        product(dtype, y, ldy, panels, rows, cols, x, T);                                          \
    }
AE_PACKED_TYPES(PRODUCT)

void ae_packed_table_ref(ae_kernels *k)
{
    k->packed_quantize = ae_packed_quantize_ref;
#define ENTRY(dtype, name, ...) k->packed[dtype] = product_##name;
    AE_PACKED_TYPES(ENTRY)
}
