/* lanes.h -- sixteen floats in NEON: four registers. See lanes/lanes.h for what each must do. */
#ifndef AE_NEON_LANES_H
#define AE_NEON_LANES_H

#include "cpu/kernel/lanes/bytes.h"

#include <arm_neon.h>

typedef struct {
    float32x4_t a, b, c, d;
} lanes;

#define TILE_ROWS  6
#define TILE_LANES 1

static inline lanes load(const float *p)
{
    return (lanes){ vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12) };
}
static inline void store(float *p, lanes v)
{
    vst1q_f32(p, v.a);
    vst1q_f32(p + 4, v.b);
    vst1q_f32(p + 8, v.c);
    vst1q_f32(p + 12, v.d);
}
/* There are no masked loads: the rest of a row goes by way of memory. */
static inline lanes load_n(const float *p, int64_t n)
{
    float whole[16] = { 0 };

    memcpy(whole, p, (size_t)n * sizeof *p);
    return load(whole);
}
static inline void store_n(float *p, lanes v, int64_t n)
{
    float whole[16];

    store(whole, v);
    memcpy(p, whole, (size_t)n * sizeof *p);
}
static inline lanes set(float x)
{
    float32x4_t v = vdupq_n_f32(x);
    return (lanes){ v, v, v, v };
}

#define EACH(op, v, w)                                                                             \
    ((lanes){ op((v).a, (w).a), op((v).b, (w).b), op((v).c, (w).c), op((v).d, (w).d) })
static inline lanes add(lanes v, lanes w)
{
    return EACH(vaddq_f32, v, w);
}
static inline lanes sub(lanes v, lanes w)
{
    return EACH(vsubq_f32, v, w);
}
static inline lanes mul(lanes v, lanes w)
{
    return EACH(vmulq_f32, v, w);
}
static inline lanes divide(lanes v, lanes w)
{
    return EACH(vdivq_f32, v, w);
}
static inline lanes max_of(lanes v, lanes w)
{
    return EACH(vmaxq_f32, v, w);
}
static inline lanes min_of(lanes v, lanes w)
{
    return EACH(vminq_f32, v, w);
}
#undef EACH
static inline lanes root(lanes v)
{
    return (lanes){ vsqrtq_f32(v.a), vsqrtq_f32(v.b), vsqrtq_f32(v.c), vsqrtq_f32(v.d) };
}
static inline lanes fma_of(lanes v, lanes w, lanes x)
{
    return (lanes){ vfmaq_f32(x.a, v.a, w.a), vfmaq_f32(x.b, v.b, w.b), vfmaq_f32(x.c, v.c, w.c),
                    vfmaq_f32(x.d, v.d, w.d) };
}
static inline float32x4_t zero_where_less4(float32x4_t v, float32x4_t a, float32x4_t limit)
{
    return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(v), vcltq_f32(a, limit)));
}
static inline lanes zero_where_less(lanes v, lanes w, lanes limit)
{
    return (lanes){ zero_where_less4(v.a, w.a, limit.a), zero_where_less4(v.b, w.b, limit.b),
                    zero_where_less4(v.c, w.c, limit.c), zero_where_less4(v.d, w.d, limit.d) };
}
static inline float32x4_t power_of_two4(float32x4_t shifted)
{
    int32x4_t exponent = vshlq_n_s32(vreinterpretq_s32_f32(shifted), 23);
    return vreinterpretq_f32_s32(vaddq_s32(exponent, vdupq_n_s32(0x3f800000)));
}
static inline lanes power_of_two(lanes v)
{
    return (lanes){ power_of_two4(v.a), power_of_two4(v.b), power_of_two4(v.c),
                    power_of_two4(v.d) };
}

static inline float32x4_t widen_s16(int16x4_t v)
{
    return vcvtq_f32_s32(vmovl_s16(v));
}
static inline lanes from_s16(int16x8_t low, int16x8_t high)
{
    return (lanes){ widen_s16(vget_low_s16(low)), widen_s16(vget_high_s16(low)),
                    widen_s16(vget_low_s16(high)), widen_s16(vget_high_s16(high)) };
}
static inline bytes16 look_up(bytes16 table, bytes16 index)
{
    return (bytes16)vqtbl1q_u8((uint8x16_t)table, (uint8x16_t)index);
}
static inline lanes from_u8(bytes16 v)
{
    uint8x16_t w = (uint8x16_t)v;
    return from_s16(vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(w))),
                    vreinterpretq_s16_u16(vmovl_u8(vget_high_u8(w))));
}
static inline lanes from_i8(bytes16 v)
{
    int8x16_t w = (int8x16_t)v;
    return from_s16(vmovl_s8(vget_low_s8(w)), vmovl_s8(vget_high_s8(w)));
}
static inline float32x4_t widen_f16(const uint8_t *p)
{
    uint16x4_t bits;

    memcpy(&bits, p, sizeof bits);
    return vcvt_f32_f16(vreinterpret_f16_u16(bits));
}
static inline lanes from_f16(const void *p)
{
    const uint8_t *at = p;
    return (lanes){ widen_f16(at), widen_f16(at + 8), widen_f16(at + 16), widen_f16(at + 24) };
}
static inline float32x4_t widen_bf16(const uint8_t *p)
{
    uint16x4_t bits;

    memcpy(&bits, p, sizeof bits);
    return vreinterpretq_f32_u32(vshll_n_u16(bits, 16));
}
static inline lanes from_bf16(const void *p)
{
    const uint8_t *at = p;
    return (lanes){ widen_bf16(at), widen_bf16(at + 8), widen_bf16(at + 16), widen_bf16(at + 24) };
}

static inline uint16x4_t narrow_f16(float32x4_t v)
{
    return vreinterpret_u16_f16(vcvt_f16_f32(v));
}
static inline void to_f16(void *p, lanes v)
{
    uint16x8_t low = vcombine_u16(narrow_f16(v.a), narrow_f16(v.b));
    uint16x8_t high = vcombine_u16(narrow_f16(v.c), narrow_f16(v.d));

    memcpy(p, &low, sizeof low);
    memcpy((uint8_t *)p + sizeof low, &high, sizeof high);
}
static inline int16x8_t narrow_s16(float32x4_t v, float32x4_t w)
{
    return vcombine_s16(vqmovn_s32(vcvtnq_s32_f32(v)), vqmovn_s32(vcvtnq_s32_f32(w)));
}
static inline void to_i8(void *p, lanes v)
{
    vst1q_s8(p, vcombine_s8(vqmovn_s16(narrow_s16(v.a, v.b)), vqmovn_s16(narrow_s16(v.c, v.d))));
}

static inline float sum_of(lanes v)
{
    float32x4_t b = vaddq_f32(vaddq_f32(v.a, v.c), vaddq_f32(v.b, v.d));
    float32x2_t c = vadd_f32(vget_low_f32(b), vget_high_f32(b));
    return vget_lane_f32(c, 0) + vget_lane_f32(c, 1);
}

static inline void transpose4(float *out, int64_t ldo, const float *a, int64_t lda)
{
    float32x4x2_t p = vtrnq_f32(vld1q_f32(a), vld1q_f32(a + lda));
    float32x4x2_t q = vtrnq_f32(vld1q_f32(a + 2 * lda), vld1q_f32(a + 3 * lda));

    vst1q_f32(out, vcombine_f32(vget_low_f32(p.val[0]), vget_low_f32(q.val[0])));
    vst1q_f32(out + ldo, vcombine_f32(vget_low_f32(p.val[1]), vget_low_f32(q.val[1])));
    vst1q_f32(out + 2 * ldo, vcombine_f32(vget_high_f32(p.val[0]), vget_high_f32(q.val[0])));
    vst1q_f32(out + 3 * ldo, vcombine_f32(vget_high_f32(p.val[1]), vget_high_f32(q.val[1])));
}

static inline void transpose16(float *out, int64_t ldo, const float *a, int64_t lda)
{
    for (int row = 0; row < 16; row += 4)
        for (int col = 0; col < 16; col += 4)
            transpose4(out + col * ldo + row, ldo, a + row * lda + col, lda);
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
    return vgetq_lane_f32(vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(bits))), 0);
}

#endif
