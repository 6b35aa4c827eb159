/* dots.h -- dot products of bytes in AVX-VNNI. */
#ifndef AE_AVXVNNI_DOTS_H
#define AE_AVXVNNI_DOTS_H

#define SIGNED_BYTES 0
#define FOLDS        1

static ALWAYS_INLINE void reg_dots(const int bits, const int n, const int regs, const int from,
                                   reg_ints *sum, reg_bytes (*w)[8], const int8_t *x)
{
    (void)bits;
    (void)regs;
    UNROLL for (int j = 0; j < n; j++) sum[0] = (reg_ints)_mm256_dpbusd_avx_epi32(
        (__m256i)sum[0], (__m256i)w[0][from + j], reg_four(x + 4 * j));
}

#endif
