/* dots.h -- dot products of bytes in NEON with the dot product instructions: one for four rows,
 * with four bytes of x that need not be spread over a register first. */
#ifndef AE_NEONDOT_DOTS_H
#define AE_NEONDOT_DOTS_H

/* Steps 0 .. 3 of w with 16 columns of x. */
static ALWAYS_INLINE reg_ints dot_four_steps(reg_ints sum, const reg_bytes *w, int8x16_t x)
{
    int32x4_t s = (int32x4_t)sum;

    s = vdotq_laneq_s32(s, (int8x16_t)w[0], x, 0);
    s = vdotq_laneq_s32(s, (int8x16_t)w[1], x, 1);
    s = vdotq_laneq_s32(s, (int8x16_t)w[2], x, 2);
    s = vdotq_laneq_s32(s, (int8x16_t)w[3], x, 3);
    return (reg_ints)s;
}

static ALWAYS_INLINE void reg_dots(const int bits, const int n, const int regs, const int from,
                                   reg_ints *sum, reg_bytes (*w)[8], const int8_t *x)
{
    (void)bits;
    UNROLL for (int j = 0; j < n; j += 4)
    {
        int8x16_t columns = vld1q_s8(x + 4 * j);
        UNROLL for (int g = 0; g < regs; g++) sum[g] =
            dot_four_steps(sum[g], w[g] + from + j, columns);
    }
}

#endif
