/* regs.h -- packed products in AVX-512 with VNNI: a panel's 16 rows in a register. See
 * lanes/packed.h for what each must do. */
#ifndef AE_AVX512VNNI_REGS_H
#define AE_AVX512VNNI_REGS_H

#include "cpu/kernel/lanes/bytes.h"
#include "cpu/kernel/packed.h"

#include <immintrin.h>

#define REG_ROWS     16
#define REGS         2
#define PANELS       2
#define SIGNED_BYTES 0
#define LOOKS_UP     1
#define FOLDS        1

typedef uint8_t reg_bytes __attribute__((vector_size(64)));
typedef int32_t reg_ints __attribute__((vector_size(64)));
typedef float reg_floats __attribute__((vector_size(64)));

static ALWAYS_INLINE reg_floats reg_fma(reg_floats a, reg_floats b, reg_floats c)
{
    return (reg_floats)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
static ALWAYS_INLINE reg_floats reg_ldexp(reg_floats a, float by)
{
    return (reg_floats)_mm512_scalef_ps((__m512)a, _mm512_set1_ps(by));
}
static ALWAYS_INLINE reg_floats reg_halves(const void *p)
{
    return (reg_floats)_mm512_cvtph_ps(_mm256_loadu_si256(p));
}
static ALWAYS_INLINE reg_ints reg_i8(const void *p)
{
    return (reg_ints)_mm512_cvtepi8_epi32(_mm_loadu_si128(p));
}

static ALWAYS_INLINE reg_bytes reg_iq4(reg_bytes v)
{
    const __m512i values = _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)ae_iq4_values));
    return (reg_bytes)_mm512_shuffle_epi8(values, (__m512i)v);
}

static ALWAYS_INLINE reg_ints reg_dot(reg_ints sum, reg_bytes w, const int8_t *x)
{
    int32_t four;

    memcpy(&four, x, sizeof four);
    return (reg_ints)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)w, _mm512_set1_epi32(four));
}

static ALWAYS_INLINE reg_ints reg_pairs(reg_ints sum, reg_ints m, const int16_t *x)
{
    int32_t two;

    memcpy(&two, x, sizeof two);
    return (reg_ints)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)m, _mm512_set1_epi32(two));
}

/* Two sums side by side: one alone waits for itself. */
static ALWAYS_INLINE void reg_dots(const int bits, const int n, const int regs, const int from,
                                   reg_ints *sum, reg_bytes (*w)[8], const int8_t *x)
{
    reg_ints other[REGS];

    (void)bits;
    UNROLL for (int g = 0; g < regs; g++) other[g] = (reg_ints){ 0 };
    UNROLL for (int j = 0; j < n; j++) UNROLL for (int g = 0; g < regs; g++) if (j % 2 && n > 4)
        other[g] = reg_dot(other[g], w[g][from + j], x + 4 * j);
    else sum[g] = reg_dot(sum[g], w[g][from + j], x + 4 * j);
    if (n > 4) UNROLL for (int g = 0; g < regs; g++) sum[g] += other[g];
}

#endif
