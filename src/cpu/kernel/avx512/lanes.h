/* lanes.h -- sixteen floats in AVX-512: one register. See lanes/lanes.h for what each must do. */
#ifndef AE_AVX512_LANES_H
#define AE_AVX512_LANES_H

#include "cpu/kernel/lanes/bytes.h"

#include <immintrin.h>

typedef __m512 lanes;

#define TILE_ROWS  12
#define TILE_LANES 2

static inline __mmask16 first_n(int64_t n)
{
    return (__mmask16)((1u << n) - 1);
}

static inline lanes load(const float *p)
{
    return _mm512_loadu_ps(p);
}
static inline void store(float *p, lanes v)
{
    _mm512_storeu_ps(p, v);
}
static inline lanes load_n(const float *p, int64_t n)
{
    return _mm512_maskz_loadu_ps(first_n(n), p);
}
static inline void store_n(float *p, lanes v, int64_t n)
{
    _mm512_mask_storeu_ps(p, first_n(n), v);
}
static inline lanes set(float x)
{
    return _mm512_set1_ps(x);
}
static inline lanes add(lanes a, lanes b)
{
    return _mm512_add_ps(a, b);
}
static inline lanes sub(lanes a, lanes b)
{
    return _mm512_sub_ps(a, b);
}
static inline lanes mul(lanes a, lanes b)
{
    return _mm512_mul_ps(a, b);
}
static inline lanes divide(lanes a, lanes b)
{
    return _mm512_div_ps(a, b);
}
static inline lanes root(lanes a)
{
    return _mm512_sqrt_ps(a);
}
static inline lanes fma_of(lanes a, lanes b, lanes c)
{
    return _mm512_fmadd_ps(a, b, c);
}
static inline lanes max_of(lanes a, lanes b)
{
    return _mm512_max_ps(a, b);
}
static inline lanes min_of(lanes a, lanes b)
{
    return _mm512_min_ps(a, b);
}
static inline lanes zero_where_less(lanes v, lanes a, lanes limit)
{
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a, limit, _CMP_NLT_UQ), v);
}
static inline lanes power_of_two(lanes shifted)
{
    __m512i exponent = _mm512_slli_epi32(_mm512_castps_si512(shifted), 23);
    return _mm512_castsi512_ps(_mm512_add_epi32(exponent, _mm512_set1_epi32(0x3f800000)));
}

static inline bytes16 look_up(bytes16 table, bytes16 index)
{
    return (bytes16)_mm_shuffle_epi8((__m128i)table, (__m128i)index);
}
static inline lanes from_u8(bytes16 v)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32((__m128i)v));
}
static inline lanes from_i8(bytes16 v)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32((__m128i)v));
}
static inline lanes from_f16(const void *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}
static inline lanes from_bf16(const void *p)
{
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}

static inline void to_f16(void *p, lanes v)
{
    _mm256_storeu_si256(p, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
static inline void to_i8(void *p, lanes v)
{
    _mm_storeu_si128(p, _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(v)));
}

static inline float sum_of(lanes v)
{
    __m256 a = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}

/* r[c][l] = a[l][c]: in two steps of shuffles inside 128-bit quarters and two of whole quarters. */
static inline void turn16(lanes r[16], const float *a, int64_t lda)
{
    __m512 t[16];

    UNROLL for (int i = 0; i < 16; i += 2)
    {
        __m512 even = load(a + i * lda), odd = load(a + (i + 1) * lda);
        t[i] = _mm512_unpacklo_ps(even, odd);
        t[i + 1] = _mm512_unpackhi_ps(even, odd);
    }
    /* r[4 g + k]: quarters q hold column 4 q + k of rows 4 g .. 4 g + 3. */
    UNROLL for (int i = 0; i < 16; i += 4)
    {
        __m512d lo0 = _mm512_castps_pd(t[i]), lo1 = _mm512_castps_pd(t[i + 2]);
        __m512d hi0 = _mm512_castps_pd(t[i + 1]), hi1 = _mm512_castps_pd(t[i + 3]);
        r[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(lo0, lo1));
        r[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(lo0, lo1));
        r[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(hi0, hi1));
        r[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(hi0, hi1));
    }
    UNROLL for (int k = 0; k < 4; k++)
    {
        __m512 even01 = _mm512_shuffle_f32x4(r[k], r[k + 4], 0x88);
        __m512 odd01 = _mm512_shuffle_f32x4(r[k], r[k + 4], 0xdd);
        __m512 even23 = _mm512_shuffle_f32x4(r[k + 8], r[k + 12], 0x88);
        __m512 odd23 = _mm512_shuffle_f32x4(r[k + 8], r[k + 12], 0xdd);
        r[k] = _mm512_shuffle_f32x4(even01, even23, 0x88);
        r[k + 8] = _mm512_shuffle_f32x4(even01, even23, 0xdd);
        r[k + 4] = _mm512_shuffle_f32x4(odd01, odd23, 0x88);
        r[k + 12] = _mm512_shuffle_f32x4(odd01, odd23, 0xdd);
    }
}

static inline void transpose16(float *out, int64_t ldo, const float *a, int64_t lda)
{
    lanes r[16];

    turn16(r, a, lda);
    UNROLL for (int i = 0; i < 16; i++) store(out + i * ldo, r[i]);
}

static inline float half_at(const void *p)
{
    uint16_t bits;

    memcpy(&bits, p, sizeof bits);
    return _cvtsh_ss(bits);
}

#endif
