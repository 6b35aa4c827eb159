/* dots.h -- dot products of bytes in AVX2, whose only ones add pairs in 16 bits and saturate. Sums
 * stay exact because quants are small: 2 * 127 * 15 * 8, 2 * 127 * 31 * 4 and 2 * 127 * 63 * 2 are
 * below 2^15, so that 8 steps of 4 bits, 4 of 5 and 2 of 6 add up before they are widened. Eight
 * bits, signed, go as their size times x with their sign: a pair is at most 2 * 127 * 128, x never
 * being -128. */
#ifndef AE_AVX2_DOTS_H
#define AE_AVX2_DOTS_H

#define SIGNED_BYTES 1
#define FOLDS        0

/* Sums of pairs over n steps, in 16 bits. */
static ALWAYS_INLINE __m256i pairs_of(const int n, const reg_bytes *w, const int8_t *x)
{
    __m256i sum = _mm256_maddubs_epi16((__m256i)w[0], reg_four(x));

    UNROLL for (int j = 1; j < n; j++) sum =
        _mm256_add_epi16(sum, _mm256_maddubs_epi16((__m256i)w[j], reg_four(x + 4 * j)));
    return sum;
}

static ALWAYS_INLINE reg_ints dot_bytes(const int n, reg_ints sum, const reg_bytes *w,
                                        const int8_t *x)
{
    UNROLL for (int j = 0; j < n; j++)
    {
        __m256i size = _mm256_abs_epi8((__m256i)w[j]);
        __m256i pairs =
            _mm256_maddubs_epi16(size, _mm256_sign_epi8(reg_four(x + 4 * j), (__m256i)w[j]));
        sum += (reg_ints)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
    }
    return sum;
}

static ALWAYS_INLINE void reg_dots(const int bits, const int n, const int regs, const int from,
                                   reg_ints *sum, reg_bytes (*w)[8], const int8_t *x)
{
    const int run = bits <= 4 ? n : bits == 5 ? 4 : 2;

    (void)regs;
    if (bits == 8) {
        sum[0] = dot_bytes(n, sum[0], w[0] + from, x);
        return;
    }
    UNROLL for (int j = 0; j < n; j += run) sum[0] += (reg_ints)_mm256_madd_epi16(
        pairs_of(run, w[0] + from + j, x + 4 * j), _mm256_set1_epi16(1));
}

#endif
