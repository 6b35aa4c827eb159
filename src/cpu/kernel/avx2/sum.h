/* sum.h -- the sum of sixteen signed bytes, for all kernels of x86. */
#ifndef AE_AVX2_SUM_H
#define AE_AVX2_SUM_H

#include "cpu/kernel/lanes/bytes.h"

#include <immintrin.h>

/* The one instruction that adds bytes adds unsigned ones: 128 is added to each. */
static ALWAYS_INLINE int reg_sum_16(const int8_t *q)
{
    __m128i v = _mm_xor_si128(_mm_loadu_si128((const void *)q), _mm_set1_epi8(-128));
    __m128i halves = _mm_sad_epu8(v, _mm_setzero_si128());
    __m128i sum = _mm_add_epi64(halves, _mm_unpackhi_epi64(halves, halves));

    return _mm_cvtsi128_si32(sum) - 16 * 128;
}

#endif
