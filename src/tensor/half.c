/* half.c -- binary16 and bfloat16 from and to binary32, by the bits. */
#include "tensor/tensor.h"

typedef union {
    uint32_t u;
    float f;
} float_bits;

float ae_f16_to_f32(uint16_t bits)
{
    uint32_t sign = (uint32_t)(bits & 0x8000) << 16;
    uint32_t exponent = bits >> 10 & 31, fraction = bits & 0x3ff;
    float_bits x;

    if (exponent == 0) { /* zero or subnormal: fraction * 2^-24, exact in binary32 */
        x.f = (float)fraction * 0x1p-24f;
        x.u |= sign;
    } else if (exponent == 31) {
        x.u = sign | 0x7f800000u | fraction << 13 | (fraction ? 0x400000u : 0);
    } else {
        x.u = sign | (exponent + 112) << 23 | fraction << 13;
    }
    return x.f;
}

/* value >> shift, rounded to nearest, ties to even. */
static uint32_t shift_rounded(uint32_t value, uint32_t shift)
{
    uint32_t kept = value >> shift, rest = value & ((1u << shift) - 1), half = 1u << (shift - 1);

    return kept + (rest > half || (rest == half && (kept & 1)));
}

uint16_t ae_f32_to_f16(float value)
{
    float_bits x = { .f = value };
    uint32_t sign = x.u >> 16 & 0x8000, size = x.u & 0x7fffffff, half;

    if (size > 0x7f800000u)
        half = 0x7e00 | (size >> 13 & 0x3ff);
    else if (size >= 0x47800000u) /* 2^16 and more, infinity included */
        half = 0x7c00;
    else if (size >= 0x38800000u) /* 2^-14: normal; a carry walks into the exponent, as it should */
        half = shift_rounded(size - 0x38000000u, 13);
    else if (size >= 0x33000000u) /* 2^-25: subnormal, the hidden bit made visible */
        half = shift_rounded((size & 0x7fffff) | 0x800000, 126 - (size >> 23));
    else
        half = 0;
    return (uint16_t)(sign | half);
}

uint16_t ae_f32_to_bf16(float value)
{
    float_bits x = { .f = value };

    if ((x.u & 0x7fffffff) > 0x7f800000u) return (uint16_t)(x.u >> 16 | 0x40);
    return (uint16_t)((x.u + 0x7fff + (x.u >> 16 & 1)) >> 16);
}
