/* regs.h -- packed products in NEON: a quarter of a panel in a register. The dot products know
 * signed bytes alone: what is stored with 128 added meets them without. See lanes/packed.h for what
 * each must do. */
#ifndef AE_NEON_REGS_H
#define AE_NEON_REGS_H

#include "cpu/kernel/lanes/bytes.h"
#include "cpu/kernel/packed.h"

#include <arm_neon.h>

#define REG_ROWS     4
#define REGS         2
#define PANELS       1
#define SIGNED_BYTES 1
#define LOOKS_UP     0
#define FOLDS        0

typedef uint8_t reg_bytes __attribute__((vector_size(16)));
typedef int32_t reg_ints __attribute__((vector_size(16)));
typedef float reg_floats __attribute__((vector_size(16)));

static ALWAYS_INLINE reg_floats reg_fma(reg_floats a, reg_floats b, reg_floats c)
{
    return (reg_floats)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
static ALWAYS_INLINE reg_floats reg_halves(const void *p)
{
    uint16x4_t bits;

    memcpy(&bits, p, sizeof bits);
    return (reg_floats)vcvt_f32_f16(vreinterpret_f16_u16(bits));
}
static ALWAYS_INLINE reg_ints reg_i8(const void *p)
{
    int32_t four;

    memcpy(&four, p, sizeof four);
    int16x8_t wide = vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(four)));
    return (reg_ints)vmovl_s16(vget_low_s16(wide));
}

static ALWAYS_INLINE reg_bytes reg_iq4(reg_bytes v)
{
    return (reg_bytes)vqtbl1q_s8(vld1q_s8(ae_iq4_values), (uint8x16_t)v);
}

static ALWAYS_INLINE reg_ints reg_pairs(reg_ints sum, reg_ints m, const int16_t *x)
{
    int32_t bits;

    memcpy(&bits, x, sizeof bits);
    int16x8_t two = vreinterpretq_s16_s32(vdupq_n_s32(bits)), v = (int16x8_t)m;
    int32x4_t low = vmull_s16(vget_low_s16(v), vget_low_s16(two));
    return sum + (reg_ints)vpaddq_s32(low, vmull_high_s16(v, two));
}

static ALWAYS_INLINE int reg_sum_16(const int8_t *q)
{
    return vaddlvq_s8(vld1q_s8(q));
}

#endif
