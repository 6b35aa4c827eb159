/* dots.h -- dot products of bytes in NEON as every 64-bit ARM has it. Products of two bytes add up
 * in pairs in 16 bits, which is exact: x is never -128, so that a pair stays below 2 * 128 * 127.
 */
#ifndef AE_NEON_DOTS_H
#define AE_NEON_DOTS_H

static ALWAYS_INLINE void reg_dots(const int bits, const int n, const int regs, const int from,
                                   reg_ints *sum, reg_bytes (*w)[8], const int8_t *x)
{
    (void)bits;
    UNROLL for (int j = 0; j < n; j++)
    {
        int32_t bytes;
        memcpy(&bytes, x + 4 * j, sizeof bytes);
        int8x16_t four = vreinterpretq_s8_s32(vdupq_n_s32(bytes));
        UNROLL for (int g = 0; g < regs; g++)
        {
            int8x16_t v = (int8x16_t)w[g][from + j];
            int16x8_t low = vmull_s8(vget_low_s8(v), vget_low_s8(four));
            int16x8_t high = vmull_high_s8(v, four);
            sum[g] = (reg_ints)vpadalq_s16((int32x4_t)sum[g], vpaddq_s16(low, high));
        }
    }
}

#endif
