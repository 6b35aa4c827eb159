/* packed.h -- body of the kernels: the packed product, written once over a register of rows.
 *
 * Eight vectors of quants, the columns of a block, are unpacked into registers and meet every row
 * of x in turn there; the outputs of a panel lie in the first-level cache meanwhile (in registers
 * for one row of x). Thus one text serves decoding, where memory is the limit, and a prompt, where
 * the dot products are: shared by 128 rows of x, unpacking is a hundredth of the work, so a panel
 * needs no expanded copy. What bounds it then is the arithmetic in float32 after every group, on
 * the units of the dot products. Of types whose scale times quant fits in a byte the scales are
 * therefore multiplied into what is unpacked, for many rows of x, and minima that are whole numbers
 * are taken off once a chunk. Of the dot products' peak 68 (Q6_K) to 82 % (Q8_0) is reached on
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
 *   reg_pairs(sum, m, x)   sum + the products of two int16 of each lane of m with those of x; exact
 *   SIGNED_BYTES           1: reg_dots() wants quants of 8 bits with 128 taken off
 *   FOLDS                  1: reg_dots() takes any unsigned byte, and the fewer floats the better
 *   LOOKS_UP               1: there is reg_ldexp(a, e), a * 2^floor(e) rounded once, on other units
 *                          than multiplications */
#ifndef AE_LANES_PACKED_H
#define AE_LANES_PACKED_H

/* Bytes of a panel that are asked for ahead of their use: of 1, 2, 3, 4, 6 and 8 KB what read
 * fastest, 36 GB/s by one thread instead of 29. */
#define PREFETCH_BYTES 4096

/* Rows of x from which on a table of multiplied scales saves more than it costs. */
#define WORTH_A_TABLE 24

#define PARTS (AE_PANEL_ROWS / REG_ROWS)

/* What fold() adds: nothing, or 124, so that -124 .. 128 become 0 .. 252. */
#define FOLD_BIAS(f) ((f).offset ? 124u : 0u)

typedef uint16_t reg_words __attribute__((vector_size(4 * REG_ROWS)));
typedef uint32_t reg_longs __attribute__((vector_size(4 * REG_ROWS)));

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
    reg_floats scale[2]; /* of each group; of types that fold, without d */
    reg_floats d, min;   /* of types that fold; minima that are halves */
} reg_scale;

/* Where a chunk of whole scales has those of group g, and all groups. */
static ALWAYS_INLINE const uint8_t *whole_at(const ae_packed_format f, const reg_place *p,
                                             const int64_t g)
{
    return p->chunk + (f.minima ? 64 : 32) + p->row + 16 * g;
}

static ALWAYS_INLINE reg_ints whole_scale(const ae_packed_format f, const reg_place *p, const int h)
{
    reg_ints scale = reg_i8(whole_at(f, p, p->i * (AE_BLOCK / f.group) + h));

    return f.scales == AE_SCALES_NIBBLE ? scale & 15 : scale;
}

static ALWAYS_INLINE reg_ints whole_minimum(const ae_packed_format f, const reg_place *p,
                                            const int g)
{
    if (f.scales == AE_SCALES_NIBBLE) return reg_i8(whole_at(f, p, g)) >> 4 & 15;
    return reg_i8(whole_at(f, p, g + AE_CHUNK / f.group));
}

static ALWAYS_INLINE reg_floats float_scale(const ae_packed_format f, const reg_place *p,
                                            const int h, const reg_floats d)
{
    reg_floats scale = __builtin_convertvector(whole_scale(f, p, h), reg_floats);

    return ae_packed_folds(&f) ? scale : scale * d;
}

/* The scales of a block. */
static ALWAYS_INLINE reg_scale scale_of(const ae_packed_format f, const reg_place *p)
{
    const uint8_t *d = p->chunk + 2 * p->row;
    reg_scale s = { .d = { 0 } };

    if (f.scales == AE_SCALES_HALF) {
        s.scale[0] = reg_halves(d + 32 * p->i);
        if (f.minima) s.min = reg_halves(d + 32 * (p->n + p->i));
        return s;
    }
    s.d = reg_halves(d);
    s.scale[0] = float_scale(f, p, 0, s.d);
    if (f.group == 16) s.scale[1] = float_scale(f, p, 1, s.d);
    return s;
}

/* Scales times 16 / 16 .. 31 / 16: see ae_packed_x.dx. */
typedef struct {
    reg_floats at[16][2][REGS];
} reg_table;

/* Those of group h. */
static ALWAYS_INLINE void multiply_group(const ae_packed_format f, const int regs, const int h,
                                         reg_table *out, const reg_scale *s)
{
    UNROLL for (int m = 0; m < 16; m++)
    {
        const float by = 1 + 0.0625f * (float)m;
        UNROLL for (int g = 0; g < regs; g++) out->at[m][h][g] =
            (ae_packed_folds(&f) ? s[g].d : s[g].scale[h]) * by;
    }
}

static ALWAYS_INLINE void multiply_scales(const ae_packed_format f, const int regs, reg_table *out,
                                          const reg_scale *s)
{
    multiply_group(f, regs, 0, out, s);
    if (f.group == 16 && !ae_packed_folds(&f)) multiply_group(f, regs, 1, out, s);
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

static ALWAYS_INLINE reg_floats floats_of(reg_ints v)
{
    return __builtin_convertvector(v, reg_floats);
}

/* The whole sums of group h of a block, for one row of x. */
static ALWAYS_INLINE void sum_group(const ae_packed_format f, const int regs, const int h,
                                    reg_ints *sum, reg_bytes (*w)[8], const ae_packed_x *x)
{
    const int steps = f.group / 4;
    const int start = f.minima || (SIGNED_BYTES && f.offset == 128) ? 0 : x->start[h];

    UNROLL for (int g = 0; g < regs; g++) sum[g] = (reg_ints){ 0 } + start;
    reg_dots(f.iq4 ? 8 : f.bits, steps, regs, h * steps, sum, w, x->q + 4 * h * steps);
}

/* Adds group h of a block, for one row of x. */
static ALWAYS_INLINE void group_of(const ae_packed_format f, const int regs, const int h,
                                   reg_floats *acc, reg_bytes (*w)[8], const reg_scale *s,
                                   const reg_table *table, const ae_packed_x *x)
{
    reg_ints sum[REGS];

    sum_group(f, regs, h, sum, w, x);
    UNROLL for (int g = 0; g < regs; g++)
    {
        reg_floats by = scaled(s[g].scale[h], table, h, g, x);
        acc[g] = reg_fma(floats_of(sum[g]), by, acc[g]);
        if (f.minima && f.scales == AE_SCALES_HALF)
            acc[g] = reg_fma(-s[g].min, x->sum - (reg_floats){ 0 }, acc[g]);
    }
}

/* Adds a block of a type that folds, not folded: both sums times their scales are below 2^24. */
static ALWAYS_INLINE void both_groups_of(const ae_packed_format f, const int regs, reg_floats *acc,
                                         reg_bytes (*w)[8], const reg_scale *s,
                                         const ae_packed_x *x)
{
    reg_ints low[REGS], high[REGS];

    sum_group(f, regs, 0, low, w, x);
    sum_group(f, regs, 1, high, w, x);
    UNROLL for (int g = 0; g < regs; g++)
    {
        reg_floats sum =
            reg_fma(floats_of(high[g]), s[g].scale[1], floats_of(low[g]) * s[g].scale[0]);
        acc[g] = reg_fma(sum, s[g].d * x->dx, acc[g]);
    }
}

/* Four quants times their scale, made unsigned: no byte carries into the next. */
static ALWAYS_INLINE reg_bytes fold(const ae_packed_format f, reg_bytes w, reg_ints scale)
{
    const reg_longs by = (reg_longs)scale;

    return (reg_bytes)((reg_longs)w * by + (FOLD_BIAS(f) - (uint32_t)f.offset * by) * 0x01010101u);
}

/* Adds a block whose scales are in its quants. */
static ALWAYS_INLINE void folded_of(const ae_packed_format f, const int regs, reg_floats *acc,
                                    reg_bytes (*w)[8], const reg_scale *s, const reg_table *table,
                                    const ae_packed_x *x)
{
    reg_ints start = { 0 }, sum[REGS];

    if (f.offset) {
        /* -4 * sum of q; times 31: off the units that multiply. */
        start = ((reg_ints){ 0 } + x->start[0]) + ((reg_ints){ 0 } + x->start[1]);
        start = (start << 5) - start;
    }
    UNROLL for (int g = 0; g < regs; g++) sum[g] = start;
    reg_dots(8, 8, regs, 0, sum, w, x->q);
    UNROLL for (int g = 0; g < regs; g++) acc[g] =
        reg_fma(floats_of(sum[g]), scaled(s[g].d, table, 0, g, x), acc[g]);
}

/* One block for all rows of x. */
static ALWAYS_INLINE void rows_of(const ae_packed_format f, const bool folded, const int regs,
                                  reg_bytes (*w)[8], const reg_scale *s, const reg_table *table,
                                  const ae_packed_x *x, const int64_t T, float *c,
                                  const int64_t ldc)
{
    for (int64_t t = 0; t < T; t++, x++, c += ldc) {
        reg_floats acc[REGS];
        UNROLL for (int g = 0; g < regs; g++) memcpy(&acc[g], c + g * REG_ROWS, sizeof acc[g]);
        if (folded) {
            folded_of(f, regs, acc, w, s, table, x);
        } else if (ae_packed_folds(&f)) {
            both_groups_of(f, regs, acc, w, s, x);
        } else {
            group_of(f, regs, 0, acc, w, s, table, x);
            if (f.group == 16) group_of(f, regs, 1, acc, w, s, table, x);
        }
        UNROLL for (int g = 0; g < regs; g++) memcpy(c + g * REG_ROWS, &acc[g], sizeof acc[g]);
    }
}

/* One block of `regs` registers of rows for all T rows of x; c[T] rows of ldc floats, the first of
 * them where these rows' outputs lie. The table is filled here; of types that fold it is good for
 * all of a chunk. */
static ALWAYS_INLINE void block_of(const ae_packed_format f, const int regs, const reg_place *p,
                                   reg_table *table, const ae_packed_x *x, const int64_t T,
                                   float *c, const int64_t ldc)
{
    reg_bytes w[REGS][8];
    reg_scale s[REGS];

    UNROLL for (int g = 0; g < regs; g++)
    {
        UNROLL for (int j = 0; j < 8; j++) w[g][j] = step_of(f, p[g].quants, j);
        s[g] = scale_of(f, &p[g]);
    }
    if (T < WORTH_A_TABLE || (!LOOKS_UP && !FOLDS)) {
        rows_of(f, false, regs, w, s, NULL, x, T, c, ldc);
        return;
    }
    if (LOOKS_UP && (!ae_packed_folds(&f) || p->i == 0)) multiply_scales(f, regs, table, s);
    if (FOLDS && ae_packed_folds(&f)) {
        UNROLL for (int g = 0; g < regs; g++) UNROLL for (int j = 0; j < 8; j++) w[g][j] =
            fold(f, w[g][j], whole_scale(f, &p[g], j / 4));
        rows_of(f, true, regs, w, s, LOOKS_UP ? table : NULL, x, T, c, ldc);
    } else {
        rows_of(f, false, regs, w, s, LOOKS_UP ? table : NULL, x, T, c, ldc);
    }
}

/* Takes off a chunk's minima, where they are whole numbers. */
static ALWAYS_INLINE void minima_of(const ae_packed_format f, const int regs, const reg_place *p,
                                    const ae_packed_x *x, const int64_t T, float *c,
                                    const int64_t ldc)
{
    enum { MOST_PAIRS = AE_CHUNK / 16 / 2 };
    const int pairs = AE_CHUNK / f.group / 2;
    reg_ints m[REGS][MOST_PAIRS];
    reg_floats d[REGS];

    UNROLL for (int g = 0; g < regs; g++)
    {
        d[g] = -reg_halves(p[g].chunk + 32 + 2 * p[g].row);
        UNROLL for (int i = 0; i < pairs; i++) m[g][i] =
            whole_minimum(f, &p[g], 2 * i) | whole_minimum(f, &p[g], 2 * i + 1) << 16;
    }
    for (int64_t t = 0; t < T; t++, x++, c += ldc) {
        reg_ints sum[REGS];
        UNROLL for (int g = 0; g < regs; g++) sum[g] = (reg_ints){ 0 };
        UNROLL for (int i = 0; i < pairs; i++) UNROLL for (int g = 0; g < regs; g++) sum[g] =
            reg_pairs(sum[g], m[g][i], x->sums.sum + 2 * i);
        UNROLL for (int g = 0; g < regs; g++)
        {
            reg_floats y;
            memcpy(&y, c + g * REG_ROWS, sizeof y);
#if LOOKS_UP
            y = reg_fma(floats_of(sum[g]), reg_ldexp(d[g], x->sums.exponent), y);
#else
            y = reg_fma(floats_of(sum[g]), d[g] * x->sums.unit, y);
#endif
            memcpy(c + g * REG_ROWS, &y, sizeof y);
        }
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

/* `regs` places of block i of n of a chunk, from register `first` of the panels on. */
static ALWAYS_INLINE void find_places(const ae_packed_format f, const int regs, const int first,
                                      reg_place *p, const uint8_t *chunk, const int64_t bytes,
                                      const int64_t n, const int64_t i)
{
    const uint8_t *quants = chunk + ae_packed_scale_bytes(&f, n) + i * ae_packed_quant_bytes(&f);

    UNROLL for (int g = 0; g < regs; g++)
    {
        const int panel = (first + g) / PARTS, row = (first + g) % PARTS * REG_ROWS;
        p[g] = (reg_place){ chunk + panel * bytes, quants + panel * bytes + 4 * row, n, i, row };
    }
}

/* All columns of `panels` panels, `bytes` apart; c[T][16 * PANELS]. */
static ALWAYS_INLINE void panels_of(const ae_packed_format f, const int panels, float *c,
                                    const uint8_t *in, int64_t bytes, int64_t cols,
                                    const ae_packed_x *x, const int64_t T)
{
    const int all = panels * PARTS, regs = all < REGS ? all : REGS;
    const int64_t block = ae_packed_quant_bytes(&f), ldc = PANELS * AE_PANEL_ROWS;
    const uint8_t *panel_start = in;
    reg_table table;
    reg_place p[REGS];

    _Static_assert(!LOOKS_UP || PARTS * PANELS == REGS, "one table, one run of registers");
    memset(c, 0, (size_t)(T * ldc) * sizeof *c);
    for (int64_t col = 0; col < cols; col += AE_CHUNK) {
        const int64_t n = (cols - col < AE_CHUNK ? cols - col : AE_CHUNK) / AE_BLOCK;
        const int64_t share = ae_packed_scale_bytes(&f, 8) / 8 + block;
        for (int64_t i = 0; i < n; i++, x += T) {
            UNROLL for (int first = 0; first < all; first += regs)
            {
                find_places(f, regs, first, p, in, bytes, n, i);
                block_of(f, regs, p, &table, x, T, c + first * REG_ROWS, ldc);
            }
            UNROLL for (int panel = 0; panel < panels; panel++)
                ask_for(panel_start + panel * bytes, in - panel_start + i * share, share, bytes);
        }
        if (ae_packed_whole_minima(&f)) {
            UNROLL for (int first = 0; first < all; first += regs)
            {
                find_places(f, regs, first, p, in, bytes, n, 0);
                minima_of(f, regs, p, x, T, c + first * REG_ROWS, ldc);
            }
            x += T;
        }
        in += ae_packed_scale_bytes(&f, n) + n * block;
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

static void fill_packed(ae_kernels *k)
{
    k->packed_quantize = packed_quantize;
#define ENTRY(dtype, name, ...) k->packed[dtype] = packed_##name;
    AE_PACKED_TYPES(ENTRY)
}

#endif
