/* packed.h -- how quantized weights lie in memory for inference, and the rows of x beside them.
 *
 * A weight is cut into panels of 16 rows; the last is filled up with zeros. A panel is one stream
 * through its columns, in chunks of 256 (types with blocks of 32 may end with a shorter chunk). A
 * chunk of n blocks of 32 columns is its scales, then its quants. All halves are float16.
 *
 * Scales:
 *
 * - AE_SCALES_HALF: half d[n][16], and with minima half m[n][16].
 * - AE_SCALES_BYTE: half d[16], with minima half dmin[16]; int8 scale[256 / group][16], with minima
 *   int8 min[256 / group][16]; d * scale, dmin * min.
 * - AE_SCALES_NIBBLE: half d[16], half dmin[16], byte[256 / group][16]: the scale low, the minimum
 *   high.
 *
 * Quants: n times 32 columns, in 64-byte vectors of 16 rows x 4 columns. Step j, 0 .. 7, is columns
 * 4 j .. 4 j + 3. In this order, what the type has of
 *
 * - 8 bits: 8 vectors, one a step.
 * - 4 bits: 4 vectors: step j % 4, low nibble the steps before 4, high those from it on.
 * - 2 bits: 2 vectors: step j in vector j / 4 at bit 2 (j % 4); of 6-bit types the upper.
 * - 1 bit: 1 vector: step j at bit j; the uppermost bit of 3- and 5-bit types.
 *
 * A quant is stored unsigned: a weight is scale * (quant - offset) - minimum. So a vector
 * multiplies four bytes of a row of x, the same for 16 rows, with neither a shuffle nor a sum
 * across lanes. */
#ifndef AE_PACKED_H
#define AE_PACKED_H

#include "device/device.h"

#include <string.h>

#define AE_PANEL_ROWS 16
/* Columns of a chunk; of a block of x, which has one scale. */
#define AE_CHUNK 256
#define AE_BLOCK 32
/* Most rows of x of one call of a kernel: their outputs for 32 rows of a weight are 16 KB. */
#define AE_MOST_TOKENS 128

typedef enum { AE_SCALES_HALF, AE_SCALES_BYTE, AE_SCALES_NIBBLE } ae_scale_kind;

typedef struct {
    int bits;  /* 0: the type has no packed form */
    int group; /* elements of a scale: 16 or 32 */
    int offset;
    ae_scale_kind scales;
    bool minima;
    bool iq4; /* the four bits name values of ae_iq4_values, 128 added */
} ae_packed_format;

/* Every packed type: X(dtype, name, bits, group, offset, scales, minima, iq4). */
#define AE_PACKED_TYPES(X)                                                                         \
    X(AE_Q4_0, q4_0, 4, 32, 8, AE_SCALES_HALF, false, false)                                       \
    X(AE_Q4_1, q4_1, 4, 32, 0, AE_SCALES_HALF, true, false)                                        \
    X(AE_Q5_0, q5_0, 5, 32, 16, AE_SCALES_HALF, false, false)                                      \
    X(AE_Q5_1, q5_1, 5, 32, 0, AE_SCALES_HALF, true, false)                                        \
    X(AE_Q8_0, q8_0, 8, 32, 128, AE_SCALES_HALF, false, false)                                     \
    X(AE_Q2_K, q2_k, 2, 16, 0, AE_SCALES_NIBBLE, true, false)                                      \
    X(AE_Q3_K, q3_k, 3, 16, 4, AE_SCALES_BYTE, false, false)                                       \
    X(AE_Q4_K, q4_k, 4, 32, 0, AE_SCALES_BYTE, true, false)                                        \
    X(AE_Q5_K, q5_k, 5, 32, 0, AE_SCALES_BYTE, true, false)                                        \
    X(AE_Q6_K, q6_k, 6, 16, 32, AE_SCALES_BYTE, false, false)                                      \
    X(AE_IQ4_NL, iq4_nl, 4, 32, 128, AE_SCALES_HALF, false, true)                                  \
    X(AE_IQ4_XS, iq4_xs, 4, 32, 128, AE_SCALES_BYTE, false, true)

/* The format of a type; bits is 0 when it has none. */
static inline ae_packed_format ae_packed_format_of(ae_dtype dtype)
{
    switch (dtype) {
#define FORMAT(dtype, name, bits, group, offset, scales, minima, iq4)                              \
    case dtype:                                                                                    \
        return (ae_packed_format){ bits, group, offset, scales, minima, iq4 };
        AE_PACKED_TYPES(FORMAT)
#undef FORMAT
    default:
        return (ae_packed_format){ 0 };
    }
}

/* Bytes of the scales of a chunk of `n` blocks. */
static inline int64_t ae_packed_scale_bytes(const ae_packed_format *f, int64_t n)
{
    int64_t halves = 2 * AE_PANEL_ROWS, bytes = AE_CHUNK / f->group * AE_PANEL_ROWS;

    if (f->scales == AE_SCALES_HALF) return n * halves * (f->minima ? 2 : 1);
    if (f->scales == AE_SCALES_NIBBLE) return 2 * halves + bytes;
    return (halves + bytes) * (f->minima ? 2 : 1);
}

/* Bytes of the quants of one block of 32 columns. */
static inline int64_t ae_packed_quant_bytes(const ae_packed_format *f)
{
    return AE_PANEL_ROWS * AE_BLOCK * f->bits / 8;
}

/* Bytes of a panel: a multiple of 64, so that every panel begins with a cache line. */
static inline int64_t ae_packed_panel_bytes(const ae_packed_format *f, int64_t cols)
{
    int64_t left = cols % AE_CHUNK / AE_BLOCK, per_block = ae_packed_quant_bytes(f);
    int64_t bytes = cols / AE_CHUNK * (ae_packed_scale_bytes(f, 8) + 8 * per_block);

    if (left) bytes += ae_packed_scale_bytes(f, left) + left * per_block;
    return (bytes + 63) / 64 * 64;
}

/* The most that x / dx may be: it still rounds to 127. */
#define AE_MOST_QUANT 127.4375f

/* 32 columns of one row of x, rounded to 8 bits: dx is max|x| / 127.4375, rounded up to five
 * significant bits; q = x * (1 / dx) to the nearest whole number, ties to even; all zeros where
 * max|x| is below 2^-90. Where something is not finite, dx is no number, so that every output of
 * the row becomes none.
 *
 * Five bits, so that for many rows of x a kernel looks scale * dx up, where dx = 2^exponent *
 * (1 + sixteenths / 16): it has sixteen multiples of every scale and moves one's exponent, off the
 * units that multiply. The squares of what rounding x changes grow by 4 % for it. */
typedef struct {
    /* x over each group of a chunk of 256, in units; of groups of 32 there are eight. */
    int16_t sum[AE_CHUNK / 16];
    /* The power of two that leaves 15 bits of the largest; 0 where all are; no number where x is
     * none. */
    float unit;
    float exponent; /* of unit, as below */
} ae_packed_sums;

typedef union {
    struct {
        int8_t q[AE_BLOCK];
        float dx;
        float exponent; /* anything finite where dx is 0; no number where it is none */
        /* For the two groups of 16, or the first for all 32 (see ae_packed_format.group): */
        union {
            int32_t start[2]; /* without minima: -offset * sum of q */
            float sum;        /* with minima that are halves: dx * sum of q */
        };
    };
    ae_packed_sums sums;
} ae_packed_x;

/* Whether minima are a half times whole numbers. A product then takes a chunk's minima as whole
 * numbers too, minimum * sum[], and multiplies by dmin * unit once. */
static inline bool ae_packed_whole_minima(const ae_packed_format *f)
{
    return f->minima && f->scales != AE_SCALES_HALF;
}

/* Whether a group's whole scale times (quant - offset) takes no more than a byte has room for:
 * -124 .. 128 in Q3_K, 0 .. 45 in Q2_K. A block's two groups are then one sum of whole numbers. */
static inline bool ae_packed_folds(const ae_packed_format *f)
{
    return f->group == 16 && f->bits <= 3;
}

/* Of each row of x: its blocks, and after those of a chunk its sums if the type has use for them.
 */
static inline int64_t ae_packed_x_count(const ae_packed_format *f, int64_t cols)
{
    return cols / AE_BLOCK + (ae_packed_whole_minima(f) ? cols / AE_CHUNK : 0);
}

static inline uint32_t ae_packed_bits(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float ae_packed_exponent(float dx)
{
    return dx > 0 ? (float)((int)(ae_packed_bits(dx) >> 23) - 127) : dx;
}

static inline uint32_t ae_packed_sixteenths(const ae_packed_x *x)
{
    return ae_packed_bits(x->dx) >> 19 & 15;
}

/* One row of blocks * 32 floats to out[0], out[stride], ..., ae_packed_x_count() of them. */
typedef void ae_packed_quantize_fn(ae_packed_x *out, int64_t stride, const float *x, int64_t blocks,
                                   const ae_packed_format *f);

/* y[t * ldy + r] for the rows r = 0 .. rows - 1 that the panels begin with, and T <= AE_MOST_TOKENS
 * rows of x, x[ae_packed_x_count()][T]. The chains are those of ae_device.linear(), without bias.
 */
typedef void ae_packed_fn(float *y, int64_t ldy, const uint8_t *panels, int64_t rows, int64_t cols,
                          const ae_packed_x *x, int64_t T);

#endif
