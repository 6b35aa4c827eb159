/* packed_x.h -- body of the kernels: rows of x rounded for packed products, as kernel/packed.h
 * tells.
 *
 * A chunk of eight blocks goes through each step together: one block alone would wait for its
 * maximum, then for two divisions. In loops for the compiler to make vectors of. A table.c says
 * before what reg_sum_16(q) is, the sum of sixteen signed bytes. */
#ifndef AE_LANES_PACKED_X_H
#define AE_LANES_PACKED_X_H

#include <math.h>

enum { CHUNK_BLOCKS = AE_CHUNK / AE_BLOCK, CHUNK_SUMS = AE_CHUNK / 16 };

typedef uint32_t block_words __attribute__((vector_size(4 * CHUNK_BLOCKS)));
typedef int32_t block_ints __attribute__((vector_size(4 * CHUNK_BLOCKS)));
typedef float block_floats __attribute__((vector_size(4 * CHUNK_BLOCKS)));

/* Of each block of a chunk. */
typedef struct {
    block_floats dx, exponent, by; /* by: 1 / dx, or 0 */
} block_scales;

/* Added to a number below 2^22, it leaves the nearest whole one, ties to even, in the low bits. */
#define ROUNDER 12582912.0f

static const uint32_t no_number = 0x7fc00000;

static ALWAYS_INLINE float float_of(uint32_t bits)
{
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The bits of the largest of n sizes: those of what is not finite lie above all others'. */
static ALWAYS_INLINE uint32_t largest_of(const float *x, const int n)
{
    uint32_t most = 0;

    for (int i = 0; i < n; i++) {
        uint32_t size = ae_packed_bits(x[i]) & 0x7fffffff;
        most = size > most ? size : most;
    }
    return most;
}

/* From the largest of each block. */
static ALWAYS_INLINE block_scales scales_of(block_words most)
{
    const block_words finite = (block_words)((block_ints)most < 0x7f800000);
    const block_words counts =
        finite & (block_words)((block_ints)most >= (int32_t)ae_packed_bits(0x1p-90f));
    block_words dx = (block_words)((block_floats)most / AE_MOST_QUANT);
    block_scales s;

    dx = (dx + 0x7ffff) & ~(uint32_t)0x7ffff; /* to the next of five significant bits */
    s.by = (block_floats)((block_words)(1 / (block_floats)dx) & counts);
    s.dx = (block_floats)((dx & counts) | (no_number & ~finite));
    s.exponent = __builtin_convertvector((block_ints)(dx >> 23) - 127, block_floats);
    s.exponent = (block_floats)(((block_words)s.exponent & counts) | (no_number & ~finite));
    return s;
}

/* To the nearest whole numbers. */
static ALWAYS_INLINE void round_block(int8_t *restrict q, const float *restrict x, const float by)
{
    for (int i = 0; i < AE_BLOCK; i++) q[i] = (int8_t)(uint8_t)ae_packed_bits(x[i] * by + ROUNDER);
}

/* values: dx * the sum of q, of each group; the rest zero. */
static ALWAYS_INLINE void sums_of(ae_packed_sums *out, const float *values)
{
    const uint32_t most = largest_of(values, CHUNK_SUMS), power = most & 0x7f800000;
    const float by = float_of((268u << 23) - power); /* 1 / unit */

    for (int i = 0; i < CHUNK_SUMS; i++) {
        int32_t n = (int32_t)(ae_packed_bits(values[i] * by + ROUNDER) - ae_packed_bits(ROUNDER));
        out->sum[i] = (int16_t)(n > INT16_MAX ? INT16_MAX : n);
    }
    out->unit = float_of(most >= 0x7f800000 ? no_number : most ? power - (14u << 23) : 0);
    out->exponent = ae_packed_exponent(out->unit);
}

/* What stands beside q: see ae_packed_x. */
static ALWAYS_INLINE void put_sums(ae_packed_x *out, int64_t stride, const int n,
                                   const ae_packed_format *f)
{
    const int each = AE_BLOCK / f->group; /* groups of a block */
    float values[CHUNK_SUMS] = { 0 };

    for (int b = 0; b < n; b++) {
        ae_packed_x *x = out + b * stride;
        int sum[2] = { reg_sum_16(x->q), reg_sum_16(x->q + 16) };
        if (each == 1) sum[0] += sum[1];
        for (int g = 0; g < each; g++)
            if (f->minima)
                values[each * b + g] = x->dx * (float)sum[g];
            else
                x->start[g] = -f->offset * sum[g];
        if (f->minima) x->sum = values[each * b];
    }
    if (ae_packed_whole_minima(f)) sums_of(&out[n * stride].sums, values);
}

static void packed_quantize(ae_packed_x *out, int64_t stride, const float *x, int64_t blocks,
                            const ae_packed_format *f)
{
    for (int64_t left = blocks; left > 0; left -= CHUNK_BLOCKS, x += AE_CHUNK) {
        const int n = left < CHUNK_BLOCKS ? (int)left : CHUNK_BLOCKS;
        block_words most = { 0 };

        for (int b = 0; b < n; b++) most[b] = largest_of(x + b * AE_BLOCK, AE_BLOCK);
        const block_scales s = scales_of(most);
        for (int b = 0; b < n; b++) {
            round_block(out[b * stride].q, x + b * AE_BLOCK, s.by[b]);
            out[b * stride].dx = s.dx[b];
            out[b * stride].exponent = s.exponent[b];
        }
        put_sums(out, stride, n, f);
        out += stride * (n + ae_packed_whole_minima(f));
    }
}

#endif
