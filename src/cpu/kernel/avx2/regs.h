/* regs.h -- packed products in AVX2: half of a panel in a register, since eight vectors of quants
 * have to stay in sixteen registers. See lanes/packed.h for what each must do. */
#ifndef AE_AVX2_REGS_H
#define AE_AVX2_REGS_H

#include "cpu/kernel/avx2/sum.h"
#include "cpu/kernel/lanes/bytes.h"
#include "cpu/kernel/packed.h"

#include <immintrin.h>

#define REG_ROWS 8
#define REGS     1
#define PANELS   1
#define LOOKS_UP 0

typedef uint8_t reg_bytes __attribute__((vector_size(32)));
typedef int32_t reg_ints __attribute__((vector_size(32)));
typedef float reg_floats __attribute__((vector_size(32)));

static ALWAYS_INLINE reg_floats reg_fma(reg_floats a, reg_floats b, reg_floats c)
{
    return (reg_floats)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
static ALWAYS_INLINE reg_floats reg_halves(const void *p)
{
    return (reg_floats)_mm256_cvtph_ps(_mm_loadu_si128(p));
}
static ALWAYS_INLINE reg_ints reg_i8(const void *p)
{
    return (reg_ints)_mm256_cvtepi8_epi32(_mm_loadl_epi64(p));
}

static ALWAYS_INLINE reg_bytes reg_iq4(reg_bytes v)
{
    const __m256i values =
        _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)ae_iq4_values));
    return (reg_bytes)_mm256_shuffle_epi8(values, (__m256i)v);
}

static ALWAYS_INLINE reg_ints reg_pairs(reg_ints sum, reg_ints m, const int16_t *x)
{
    int32_t two;

    memcpy(&two, x, sizeof two);
    return sum + (reg_ints)_mm256_madd_epi16((__m256i)m, _mm256_set1_epi32(two));
}

/* Four bytes of x in every lane. */
static ALWAYS_INLINE __m256i reg_four(const int8_t *x)
{
    int32_t four;

    memcpy(&four, x, sizeof four);
    return _mm256_set1_epi32(four);
}

#endif
