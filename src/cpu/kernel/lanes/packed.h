/* packed.h -- body of the kernels: the packed product, written once over a register of rows.
 *
 * Eight vectors of quants, the columns of a block, are unpacked into registers and meet every row
 * of x in turn there; the outputs of a panel lie in the first-level cache meanwhile (in registers
 * for one row of x). Thus one text serves decoding, where memory is the limit, and a prompt, where
 * the dot products are: shared by 128 rows of x, unpacking is a hundredth of the work, so a panel
 * needs no expanded copy. What bounds it then is the arithmetic in float32 after every group, on
 * the units of the dot products; of their peak 60 (groups of 16 with minima) to 79 % is reached on
 * Zen 5.
 *
 * A table.c says before what a register is:
 *   REG_ROWS               rows of a panel in one register: 16, 8 or 4
 *   REGS                   registers of quants that go through x together
 *   PANELS                 panels that are read together
 *   reg_bytes, reg_ints, reg_floats    its types, vectors of both compilers
 *   reg_fma(a, b, c)       a * b + c, rounded once
 *   reg_halves, reg_i8(p)  REG_ROWS float16 or int8 at p, unaligned; the latter as reg_ints
 *   reg_iq4(v)             of each byte 0 .. 15 of v, ae_iq4_values
 *   reg_dots(bits, n, regs, from, sum, w, x)
 *                          sum[g] += the dot products of w[g][from] ... with x, 4 n columns, for
 *                          quants of `bits` bits; exact
 *   reg_sum_16(q)          the sum of sixteen signed bytes
 *   SIGNED_BYTES           1: reg_dots() wants quants of 8 bits with 128 taken off
 *   LOOKS_UP               1: there is reg_ldexp(a, e), a * 2^floor(e) rounded once, on other units
 *                          than multiplications */
#ifndef AE_LANES_PACKED_H
#define AE_LANES_PACKED_H

#include <math.h>

/* Bytes of a panel that are asked for ahead of their use: of 1, 2, 3, 4, 6 and 8 KB what read
 * fastest, 36 GB/s by one thread instead of 29. */
#define PREFETCH_BYTES 4096

/* Rows of x from which on a table of multiplied scales saves more than it costs. */
#define WORTH_A_TABLE 24

#define PARTS (AE_PANEL_ROWS / REG_ROWS)

typedef uint16_t reg_words __attribute__((vector_size(4 * REG_ROWS)));

static ALWAYS_INLINE reg_bytes reg_load(const uint8_t *p)
{
    reg_bytes v;

    memcpy(&v, p, sizeof v);
    return v;
}

/* The bits of `mask`, after a shift to the right (to the left: by < 0); bits of a neighbour that
 * come in are not in the mask. */
static ALWAYS_INLINE reg_bytes field(reg_bytes v, const int by, const uint8_t mask)
{
    reg_words u = (reg_words)v;

    return (reg_bytes)(by >= 0 ? u >> (by >= 0 ? by : 0) : u << (by < 0 ? -by : 0)) & mask;
}

/* Step j of a block, for the part of a panel that q points to. */
static ALWAYS_INLINE reg_bytes step_of(const ae_packed_format f, const uint8_t *q, const int j)
{
    const int base = f.bits >= 4 ? 4 : 0;
    reg_bytes v = { 0 };

    if (f.bits == 8) {
        v = reg_load(q + 64 * j);
        return SIGNED_BYTES ? v ^ 0x80 : v;
    }
    if (f.bits >= 4) {
        v = field(reg_load(q + j % 4 * 64), j / 4 * 4, 15);
        q += 256;
    }
    if (f.iq4) v = SIGNED_BYTES ? reg_iq4(v) : reg_iq4(v) ^ 0x80;
    if (f.bits - base >= 2) {
        v |= field(reg_load(q + j / 4 * 64), j % 4 * 2 - base, (uint8_t)(3 << base));
        q += 128;
    }
    if (f.bits % 2) v |= field(reg_load(q), j - (f.bits - 1), (uint8_t)(1 << (f.bits - 1)));
    return v;
}

/* A run of registers of quants of one block: where they and their scales lie. */
typedef struct {
    const uint8_t *chunk; /* of the first panel, at the part's first row in halves: see scale_of */
    const uint8_t *quants;
    int64_t n, i; /* block i of n of the chunk */
    int row;      /* the part's first row of its panel */
} reg_place;

typedef struct {
    reg_floats scale, min;
} reg_scale;

/* Scales and minima of group h of the block. */
static ALWAYS_INLINE reg_scale scale_of(const ae_packed_format f, const reg_place *p, const int h)
{
    const int groups = AE_CHUNK / f.group;
    const uint8_t *d = p->chunk + 2 * p->row;
    const uint8_t *s = p->chunk + (f.minima ? 64 : 32) + p->row + 16 * (p->i * (32 / f.group) + h);
    reg_scale r = { 0 };

    if (f.scales == AE_SCALES_HALF) {
        r.scale = reg_halves(d + 32 * p->i);
        if (f.minima) r.min = reg_halves(d + 32 * (p->n + p->i));
        return r;
    }
    reg_ints scale = reg_i8(s);
    r.scale = reg_halves(d);
    if (f.scales == AE_SCALES_NIBBLE) {
        r.min = reg_halves(d + 32) * __builtin_convertvector(scale >> 4 & 15, reg_floats);
        scale &= 15;
    } else if (f.minima) {
        r.min = reg_halves(d + 32) * __builtin_convertvector(reg_i8(s + 16 * groups), reg_floats);
    }
    r.scale *= __builtin_convertvector(scale, reg_floats);
    return r;
}

/* A block's scales times 16 / 16 .. 31 / 16: see ae_packed_x.dx. */
typedef struct {
    reg_floats at[16][2][REGS];
} reg_table;

/* Of group h of the block. */
static ALWAYS_INLINE void multiply_scales(const int regs, const int h, reg_table *out,
                                          reg_scale (*s)[2])
{
    UNROLL for (int m = 0; m < 16; m++)
    {
        const float by = 1 + 0.0625f * (float)m;
        UNROLL for (int g = 0; g < regs; g++) out->at[m][h][g] = s[g][h].scale * by;
    }
}

/* scale * dx, of group h and register g; table may be NULL. */
static ALWAYS_INLINE reg_floats scaled(reg_floats scale, const reg_table *table, const int h,
                                       const int g, const ae_packed_x *x)
{
#if LOOKS_UP
    if (table) return reg_ldexp(table->at[ae_packed_sixteenths(x)][h][g], x->exponent);
#endif
    (void)table, (void)h, (void)g;
    return scale * x->dx;
}

/* Adds group h of a block, for one row of x. */
static ALWAYS_INLINE void group_of(const ae_packed_format f, const int regs, const int h,
                                   reg_floats *acc, reg_bytes (*w)[8], reg_scale (*s)[2],
                                   const reg_table *table, const ae_packed_x *x)
{
    const int steps = f.group / 4;
    const int start = f.minima || (SIGNED_BYTES && f.offset == 128) ? 0 : x->start[h];
    reg_ints sum[REGS];
    UNROLL for (int g = 0; g < regs; g++) sum[g] = (reg_ints){ 0 } + start;
    reg_dots(f.iq4 ? 8 : f.bits, steps, regs, h * steps, sum, w, x->q + 4 * h * steps);
    UNROLL for (int g = 0; g < regs; g++)
    {
        reg_floats by = scaled(s[g][h].scale, table, h, g, x);
        acc[g] = reg_fma(__builtin_convertvector(sum[g], reg_floats), by, acc[g]);
        if (f.minima) acc[g] = reg_fma(-s[g][h].min, x->sum[h] - (reg_floats){ 0 }, acc[g]);
    }
}

/* One block for all rows of x. */
static ALWAYS_INLINE void rows_of(const ae_packed_format f, const int regs, reg_bytes (*w)[8],
                                  reg_scale (*s)[2], const reg_table *table, const ae_packed_x *x,
                                  const int64_t T, float *c, const int64_t ldc)
{
    for (int64_t t = 0; t < T; t++, x++, c += ldc) {
        reg_floats acc[REGS];
        UNROLL for (int g = 0; g < regs; g++) memcpy(&acc[g], c + g * REG_ROWS, sizeof acc[g]);
        group_of(f, regs, 0, acc, w, s, table, x);
        if (f.group == 16) group_of(f, regs, 1, acc, w, s, table, x);
        UNROLL for (int g = 0; g < regs; g++) memcpy(c + g * REG_ROWS, &acc[g], sizeof acc[g]);
    }
}

/* One block of `regs` registers of rows for all T rows of x; c[T] rows of ldc floats, the first of
 * them where these rows' outputs lie. */
static ALWAYS_INLINE void block_of(const ae_packed_format f, const int regs, const reg_place *p,
                                   const ae_packed_x *x, const int64_t T, float *c,
                                   const int64_t ldc)
{
    reg_bytes w[REGS][8];
    reg_scale s[REGS][2];
    reg_table multiples;

    UNROLL for (int g = 0; g < regs; g++)
    {
        UNROLL for (int j = 0; j < 8; j++) w[g][j] = step_of(f, p[g].quants, j);
        s[g][0] = scale_of(f, &p[g], 0);
        if (f.group == 16) s[g][1] = scale_of(f, &p[g], 1);
    }
    if (LOOKS_UP && T >= WORTH_A_TABLE) {
        multiply_scales(regs, 0, &multiples, s);
        if (f.group == 16) multiply_scales(regs, 1, &multiples, s);
        rows_of(f, regs, w, s, &multiples, x, T, c, ldc);
    } else {
        rows_of(f, regs, w, s, NULL, x, T, c, ldc);
    }
}

/* Asks for what will be read PREFETCH_BYTES after place `at` of a panel: its own, or that of the
 * panel that takes its turn after it. */
static ALWAYS_INLINE void ask_for(const uint8_t *panel, int64_t at, const int64_t n, int64_t bytes)
{
    at += PREFETCH_BYTES;
    if (at >= bytes) at += (PANELS - 1) * bytes;
    for (int64_t i = 0; i < n; i += 64) __builtin_prefetch(panel + at + i);
}

/* All columns of `panels` panels, `bytes` apart; c[T][16 * PANELS]. */
static ALWAYS_INLINE void panels_of(const ae_packed_format f, const int panels, float *c,
                                    const uint8_t *in, int64_t bytes, int64_t cols,
                                    const ae_packed_x *x, const int64_t T)
{
    const int all = panels * PARTS, regs = all < REGS ? all : REGS;
    const int64_t block = ae_packed_quant_bytes(&f);
    const uint8_t *panel_start = in;
    reg_place p[REGS];

    memset(c, 0, (size_t)T * PANELS * AE_PANEL_ROWS * sizeof *c);
    for (int64_t col = 0; col < cols; col += AE_CHUNK) {
        const int64_t n = (cols - col < AE_CHUNK ? cols - col : AE_CHUNK) / AE_BLOCK;
        const uint8_t *quants = in + ae_packed_scale_bytes(&f, n);
        const int64_t share = ae_packed_scale_bytes(&f, 8) / 8 + block;
        for (int64_t i = 0; i < n; i++, x += T) {
            UNROLL for (int first = 0; first < all; first += regs)
            {
                UNROLL for (int g = 0; g < regs; g++)
                {
                    const int panel = (first + g) / PARTS, row = (first + g) % PARTS * REG_ROWS;
                    p[g] = (reg_place){ in + panel * bytes,
                                        quants + panel * bytes + i * block + 4 * row, n, i, row };
                }
                block_of(f, regs, p, x, T, c + first * REG_ROWS, PANELS * AE_PANEL_ROWS);
            }
            UNROLL for (int panel = 0; panel < panels; panel++)
                ask_for(panel_start + panel * bytes, in - panel_start + i * share, share, bytes);
        }
        in = quants + n * block;
    }
}

static ALWAYS_INLINE void packed_product(const ae_packed_format f, float *y, int64_t ldy,
                                         const uint8_t *in, int64_t rows, int64_t cols,
                                         const ae_packed_x *x, int64_t T)
{
    const int64_t bytes = ae_packed_panel_bytes(&f, cols), most = PANELS * AE_PANEL_ROWS;
    _Alignas(64) float c[AE_MOST_TOKENS * PANELS * AE_PANEL_ROWS];

    for (; rows > 0; rows -= most, y += most, in += PANELS * bytes) {
        const int64_t now = rows < most ? rows : most;
        if (now > most - AE_PANEL_ROWS) {
            if (T == 1)
                panels_of(f, PANELS, c, in, bytes, cols, x, 1);
            else
                panels_of(f, PANELS, c, in, bytes, cols, x, T);
        } else {
            panels_of(f, 1, c, in, bytes, cols, x, T);
        }
        for (int64_t t = 0; t < T; t++) memcpy(y + t * ldy, c + t * most, (size_t)now * sizeof *y);
    }
}

#define PRODUCT(dtype, name, bits, group, offset, scales, minima, iq4)                             \
    static void packed_##name(float *y, int64_t ldy, const uint8_t *in, int64_t rows,              \
                              int64_t cols, const ae_packed_x *x, int64_t T)                       \
    {                                                                                              \
        const ae_packed_format f = { bits, group, offset, scales, minima, iq4 };                   \
        packed_product(f, y, ldy, in, rows, cols, x, T);                                           \
    }
AE_PACKED_TYPES(PRODUCT)

/* x, above zero, to the next float of five significant bits. */
static ALWAYS_INLINE float round_up(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof bits);
    bits = (bits + 0x7ffff) & ~(uint32_t)0x7ffff;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The nearest whole numbers, ties to even, out of the low bits of x * scale + ROUNDER. Loops for
 * the compiler to make vectors of. */
static ALWAYS_INLINE void round_block(ae_packed_x *restrict out, const float *restrict x)
{
    uint32_t most = 0;
    float max, scale;

    for (int i = 0; i < AE_BLOCK; i++) {
        uint32_t size;
        memcpy(&size, x + i, sizeof size);
        size &= 0x7fffffff;
        most = size > most ? size : most;
    }
    memcpy(&max, &most, sizeof max);
    if (most >= 0x7f800000 || max < 0x1p-90f) {
        memset(out->q, 0, sizeof out->q);
        out->dx = most >= 0x7f800000 ? NAN : 0;
        return;
    }
    out->dx = round_up(max / AE_MOST_QUANT);
    scale = 1 / out->dx;
    for (int i = 0; i < AE_BLOCK; i++) {
        union {
            float f;
            uint32_t u;
        } shifted = { .f = x[i] * scale + 12582912.0f };
        out->q[i] = (int8_t)(uint8_t)shifted.u;
    }
}

static void packed_quantize(ae_packed_x *out, int64_t stride, const float *x, int64_t blocks,
                            const ae_packed_format *f)
{
    for (int64_t b = 0; b < blocks; b++, out += stride, x += AE_BLOCK) {
        int sum[2];

        round_block(out, x);
        out->exponent = ae_packed_exponent(out->dx);
        sum[0] = reg_sum_16(out->q);
        sum[1] = reg_sum_16(out->q + 16);
        if (f->group == AE_BLOCK) sum[0] += sum[1];
        for (int g = 0; g < 2; g++)
            if (f->minima)
                out->sum[g] = out->dx * (float)sum[g];
            else
                out->start[g] = -f->offset * sum[g];
    }
}

static void fill_packed(ae_kernels *k)
{
    k->packed_quantize = packed_quantize;
#define ENTRY(dtype, name, ...) k->packed[dtype] = packed_##name;
    AE_PACKED_TYPES(ENTRY)
}

#endif
