/* packed_x.h -- rows of x rounded for packed products, in AVX-512 with VNNI: lanes/packed_x.h says
 * what; a chunk of 256 columns goes through each step together. Half the time of the
 * loops there, and the rest is waiting for memory. */
#ifndef AE_AVX512VNNI_PACKED_X_H
#define AE_AVX512VNNI_PACKED_X_H

#include "cpu/kernel/lanes/bytes.h"
#include "cpu/kernel/packed.h"

#include <immintrin.h>

enum { CHUNK_BLOCKS = AE_CHUNK / AE_BLOCK };

static const uint32_t no_number = 0x7fc00000, most_finite = 0x7f7fffff;

/* Four vectors into one: lane i of each 128 bits is `op` over those four lanes of vector i. */
#define MERGE(op, bits, a, b)                                                                      \
    _mm512_##op(_mm512_unpacklo_epi##bits(a, b), _mm512_unpackhi_epi##bits(a, b))
#define MERGE_FOUR(op, v)                                                                          \
    MERGE(op, 64, MERGE(op, 32, (v)[0], (v)[1]), MERGE(op, 32, (v)[2], (v)[3]))

/* Without signs, as bits: what is not finite is above all others. */
static ALWAYS_INLINE __m512i size_of(const float *x)
{
    return _mm512_and_epi32(_mm512_loadu_si512(x), _mm512_set1_epi32(0x7fffffff));
}

/* The largest size of each of the eight blocks. */
static ALWAYS_INLINE __m256i largest_of(const float *x)
{
    __m512i v[CHUNK_BLOCKS], low, high, all;

    UNROLL for (int b = 0; b < CHUNK_BLOCKS; b++) v[b] =
        _mm512_max_epu32(size_of(x + AE_BLOCK * b), size_of(x + AE_BLOCK * b + 16));
    low = MERGE_FOUR(max_epu32, v);
    high = MERGE_FOUR(max_epu32, v + 4);
    all = _mm512_max_epu32(_mm512_shuffle_i32x4(low, high, 0x88),
                           _mm512_shuffle_i32x4(low, high, 0xdd));
    all = _mm512_max_epu32(all, _mm512_shuffle_i32x4(all, all, 0xb1));
    return _mm512_castsi512_si256(_mm512_shuffle_i32x4(all, all, 0x88));
}

/* Of each block; by is 1 / dx or 0. */
typedef struct {
    __m256 dx, exponent, by;
} block_scales;

static ALWAYS_INLINE block_scales scales_of(__m256i most)
{
    const __mmask8 finite = _mm256_cmple_epu32_mask(most, _mm256_set1_epi32((int)most_finite));
    const __mmask8 counts = _mm256_mask_cmp_ps_mask(finite, _mm256_castsi256_ps(most),
                                                    _mm256_set1_ps(0x1p-90f), _CMP_GE_OQ);
    const __m256 none = _mm256_castsi256_ps(_mm256_set1_epi32((int)no_number));
    __m256i dx = _mm256_castps_si256(
        _mm256_div_ps(_mm256_castsi256_ps(most), _mm256_set1_ps(AE_MOST_QUANT)));
    block_scales s;

    /* To the next of five significant bits. */
    dx = _mm256_andnot_si256(_mm256_set1_epi32(0x7ffff),
                             _mm256_add_epi32(dx, _mm256_set1_epi32(0x7ffff)));
    s.dx = _mm256_mask_blend_ps(finite, none, _mm256_maskz_mov_ps(counts, (__m256)dx));
    s.by = _mm256_maskz_div_ps(counts, _mm256_set1_ps(1), (__m256)dx);
    s.exponent = _mm256_mask_blend_ps(finite, none, _mm256_maskz_getexp_ps(counts, (__m256)dx));
    return s;
}

/* Two blocks, to the nearest whole numbers, ties to even. */
static ALWAYS_INLINE __m512i round_blocks(const float *x, const float *by)
{
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512i v[4];

    UNROLL for (int i = 0; i < 4; i++) v[i] =
        _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + 16 * i), _mm512_set1_ps(by[i / 2])));
    return _mm512_permutexvar_epi32(
        order, _mm512_packs_epi16(_mm512_packs_epi32(v[0], v[1]), _mm512_packs_epi32(v[2], v[3])));
}

/* Of each 16 of the 256 bytes of q. */
static ALWAYS_INLINE __m512i sums_of_16(const __m512i *q)
{
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512i v[4];

    UNROLL for (int i = 0; i < 4; i++) v[i] =
        _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(1), q[i]);
    return _mm512_permutexvar_epi32(order, MERGE_FOUR(add_epi32, v));
}

/* Each of eight floats twice. */
static ALWAYS_INLINE __m512 twice(__m256 v)
{
    return _mm512_permutexvar_ps(_mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7),
                                 _mm512_castps256_ps512(v));
}

/* values: dx * the sum of q, of each group; the rest zero. */
static ALWAYS_INLINE void put_sums(ae_packed_sums *out, __m512 values)
{
    const uint32_t most =
        _mm512_reduce_max_epu32(_mm512_and_epi32((__m512i)values, _mm512_set1_epi32(0x7fffffff)));
    const uint32_t power = most & 0x7f800000;
    const uint32_t unit = most > most_finite ? no_number : most ? power - (14u << 23) : 0;
    const __m512 by = (__m512)_mm512_set1_epi32((int32_t)((268u << 23) - power)); /* 1 / unit */
    const __m512i sums = _mm512_min_epi32(_mm512_cvtps_epi32(_mm512_mul_ps(values, by)),
                                          _mm512_set1_epi32(INT16_MAX));

    _mm256_storeu_si256((void *)out->sum, _mm512_cvtepi32_epi16(sums));
    memcpy(&out->unit, &unit, sizeof unit);
    out->exponent = ae_packed_exponent(out->unit);
}

/* A chunk of n blocks; x has eight. */
static ALWAYS_INLINE void round_chunk(ae_packed_x *out, int64_t stride, const float *x, const int n,
                                      const ae_packed_format *f)
{
    const block_scales s = scales_of(largest_of(x));
    const __m512i by_turns =
        _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const __m512i heads = (__m512i)_mm512_permutex2var_ps(_mm512_castps256_ps512(s.dx), by_turns,
                                                          _mm512_castps256_ps512(s.exponent));
    __m512i q[4], sums, tails;
    __m512 values;
    _Alignas(64) int8_t bytes[CHUNK_BLOCKS][AE_BLOCK];
    _Alignas(64) int32_t rest[2][4][4]; /* what follows q, of even blocks and of odd ones */
    float by[CHUNK_BLOCKS];

    _mm256_storeu_ps(by, s.by);
    UNROLL for (int i = 0; i < 4; i++)
    {
        q[i] = round_blocks(x + 64 * i, by + 2 * i);
        _mm512_store_si512(bytes[2 * i], q[i]);
    }
    sums = sums_of_16(q);
    if (f->group == AE_BLOCK)
        sums = _mm512_add_epi32(sums, _mm512_shuffle_epi32(sums, _MM_PERM_CDAB));
    values = _mm512_mul_ps(twice(s.dx), _mm512_cvtepi32_ps(sums));
    tails = f->minima ? (__m512i)values : _mm512_mullo_epi32(sums, _mm512_set1_epi32(-f->offset));
    _mm512_store_si512(rest[0], _mm512_unpacklo_epi64(heads, tails));
    _mm512_store_si512(rest[1], _mm512_unpackhi_epi64(heads, tails));
    for (int b = 0; b < n; b++) {
        memcpy(out[b * stride].q, bytes[b], AE_BLOCK);
        memcpy(&out[b * stride].dx, rest[b % 2][b / 2], sizeof rest[0][0]);
    }
    if (!ae_packed_whole_minima(f)) return;
    if (f->group == AE_BLOCK)
        values = _mm512_maskz_permutexvar_ps(
            0xff, _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 0, 0, 0, 0, 0, 0, 0, 0), values);
    put_sums(&out[n * stride].sums, values);
}

static void round_last(ae_packed_x *out, int64_t stride, const float *x, int n,
                       const ae_packed_format *f)
{
    float chunk[AE_CHUNK] = { 0 };

    memcpy(chunk, x, (size_t)n * AE_BLOCK * sizeof *x);
    round_chunk(out, stride, chunk, n, f);
}

static void packed_quantize(ae_packed_x *out, int64_t stride, const float *x, int64_t blocks,
                            const ae_packed_format *f)
{
    const int64_t each = CHUNK_BLOCKS + ae_packed_whole_minima(f);

    for (; blocks >= CHUNK_BLOCKS; blocks -= CHUNK_BLOCKS, x += AE_CHUNK, out += each * stride)
        round_chunk(out, stride, x, CHUNK_BLOCKS, f);
    if (blocks > 0) round_last(out, stride, x, (int)blocks, f);
}

#endif
