/* lanes.h -- sixteen floats in AVX2: two registers. See lanes/lanes.h for what each must do. */
#ifndef AE_AVX2_LANES_H
#define AE_AVX2_LANES_H

#include "cpu/kernel/lanes/bytes.h"

#include <immintrin.h>

typedef struct {
    __m256 a, b;
} lanes;

#define TILE_ROWS  6
#define TILE_LANES 1

/* The mask of the first n of 8 (n <= 0: none; n >= 8: all). */
static inline __m256i first_n(int64_t n)
{
    const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), index);
}

static inline lanes load(const float *p)
{
    return (lanes){ _mm256_loadu_ps(p), _mm256_loadu_ps(p + 8) };
}
static inline void store(float *p, lanes v)
{
    _mm256_storeu_ps(p, v.a);
    _mm256_storeu_ps(p + 8, v.b);
}
static inline lanes load_n(const float *p, int64_t n)
{
    return (lanes){ _mm256_maskload_ps(p, first_n(n)), _mm256_maskload_ps(p + 8, first_n(n - 8)) };
}
static inline void store_n(float *p, lanes v, int64_t n)
{
    _mm256_maskstore_ps(p, first_n(n), v.a);
    _mm256_maskstore_ps(p + 8, first_n(n - 8), v.b);
}
static inline lanes set(float x)
{
    return (lanes){ _mm256_set1_ps(x), _mm256_set1_ps(x) };
}

#define BOTH(op, v, w) ((lanes){ op((v).a, (w).a), op((v).b, (w).b) })
static inline lanes add(lanes v, lanes w)
{
    return BOTH(_mm256_add_ps, v, w);
}
static inline lanes sub(lanes v, lanes w)
{
    return BOTH(_mm256_sub_ps, v, w);
}
static inline lanes mul(lanes v, lanes w)
{
    return BOTH(_mm256_mul_ps, v, w);
}
static inline lanes divide(lanes v, lanes w)
{
    return BOTH(_mm256_div_ps, v, w);
}
static inline lanes max_of(lanes v, lanes w)
{
    return BOTH(_mm256_max_ps, v, w);
}
static inline lanes min_of(lanes v, lanes w)
{
    return BOTH(_mm256_min_ps, v, w);
}
#undef BOTH
static inline lanes root(lanes v)
{
    return (lanes){ _mm256_sqrt_ps(v.a), _mm256_sqrt_ps(v.b) };
}
static inline lanes fma_of(lanes v, lanes w, lanes c)
{
    return (lanes){ _mm256_fmadd_ps(v.a, w.a, c.a), _mm256_fmadd_ps(v.b, w.b, c.b) };
}
static inline lanes zero_where_less(lanes v, lanes a, lanes limit)
{
    return (lanes){ _mm256_and_ps(_mm256_cmp_ps(a.a, limit.a, _CMP_NLT_UQ), v.a),
                    _mm256_and_ps(_mm256_cmp_ps(a.b, limit.b, _CMP_NLT_UQ), v.b) };
}
static inline __m256 power_of_two8(__m256 shifted)
{
    __m256i exponent = _mm256_slli_epi32(_mm256_castps_si256(shifted), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(exponent, _mm256_set1_epi32(0x3f800000)));
}
static inline lanes power_of_two(lanes v)
{
    return (lanes){ power_of_two8(v.a), power_of_two8(v.b) };
}

static inline bytes16 look_up(bytes16 table, bytes16 index)
{
    return (bytes16)_mm_shuffle_epi8((__m128i)table, (__m128i)index);
}
static inline lanes from_u8(bytes16 v)
{
    __m128i w = (__m128i)v;
    return (lanes){ _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(w)),
                    _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(w, 8))) };
}
static inline lanes from_i8(bytes16 v)
{
    __m128i w = (__m128i)v;
    return (lanes){ _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(w)),
                    _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(w, 8))) };
}
static inline lanes from_f16(const void *p)
{
    const __m128i *half = p;
    return (lanes){ _mm256_cvtph_ps(_mm_loadu_si128(half)),
                    _mm256_cvtph_ps(_mm_loadu_si128(half + 1)) };
}
static inline __m256 widen_bf16(__m128i v)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(v), 16));
}
static inline lanes from_bf16(const void *p)
{
    const __m128i *half = p;
    return (lanes){ widen_bf16(_mm_loadu_si128(half)), widen_bf16(_mm_loadu_si128(half + 1)) };
}

static inline void to_f16(void *p, lanes v)
{
    __m128i *half = p;
    _mm_storeu_si128(half, _mm256_cvtps_ph(v.a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    _mm_storeu_si128(half + 1, _mm256_cvtps_ph(v.b, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
static inline void to_i8(void *p, lanes v)
{
    __m256i words = _mm256_packs_epi32(_mm256_cvtps_epi32(v.a), _mm256_cvtps_epi32(v.b));
    words = _mm256_permute4x64_epi64(words, 0xd8); /* packs go by halves */
    _mm_storeu_si128(
        p, _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
}

static inline float sum_of(lanes v)
{
    __m256 a = _mm256_add_ps(v.a, v.b);
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}

static inline void transpose8(float *out, int64_t ldo, const float *a, int64_t lda)
{
    __m256 r[8], t[8];

    UNROLL for (int i = 0; i < 8; i++) r[i] = _mm256_loadu_ps(a + i * lda);
    UNROLL for (int i = 0; i < 8; i += 2)
    {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    UNROLL for (int i = 0; i < 8; i += 4)
    {
        r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    UNROLL for (int k = 0; k < 4; k++)
    {
        _mm256_storeu_ps(out + k * ldo, _mm256_permute2f128_ps(r[k], r[k + 4], 0x20));
        _mm256_storeu_ps(out + (k + 4) * ldo, _mm256_permute2f128_ps(r[k], r[k + 4], 0x31));
    }
}

static inline void transpose16(float *out, int64_t ldo, const float *a, int64_t lda)
{
    for (int row = 0; row < 16; row += 8)
        for (int col = 0; col < 16; col += 8)
            transpose8(out + col * ldo + row, ldo, a + row * lda + col, lda);
}

/* There are too few registers to turn sixteen in. */
static inline void turn16(lanes r[16], const float *a, int64_t lda)
{
    float turned[256];

    transpose16(turned, 16, a, lda);
    for (int i = 0; i < 16; i++) r[i] = load(turned + 16 * i);
}

static inline float half_at(const void *p)
{
    uint16_t bits;

    memcpy(&bits, p, sizeof bits);
    return _cvtsh_ss(bits);
}

#endif
