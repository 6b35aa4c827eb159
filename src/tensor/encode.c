/* encode.c -- a row of F32 as one of the element types that this build writes. */
#include "tensor/nf4.h"

#include <math.h>
#include <string.h>

static void put_half(uint8_t *p, uint16_t bits)
{
    p[0] = (uint8_t)bits;
    p[1] = (uint8_t)(bits >> 8);
}

/* Block: half d = max|x| / 127, int8 q[32] = round(x / d), ties away from zero (ggml's
 * quantize_row_q8_0_ref, bit for bit). d is tiny but not zero for subnormal rows, where 1 / d is
 * infinite; 0 * inf must not reach the conversion to int8. */
static void encode_q8_0(const float *in, int64_t n, uint8_t *out)
{
    for (int64_t b = 0; b < n / 32; b++, in += 32, out += 34) {
        float most = 0;
        for (int i = 0; i < 32; i++) most = fmaxf(most, fabsf(in[i]));
        float d = most / 127, inverse = d != 0 ? 1 / d : 0;
        put_half(out, ae_f32_to_f16(d));
        for (int i = 0; i < 32; i++) {
            float q = roundf(in[i] * inverse);
            out[2 + i] = q >= -127 && q <= 127 ? (uint8_t)(int8_t)q : 0;
        }
    }
}

bool ae_dtype_encode_row(ae_dtype dtype, const float *in, int64_t n, void *out)
{
    const ae_dtype_info *info = ae_dtype_info_of(dtype);

    if (!info || n < 0 || n % info->block_elements) return false;
    switch (dtype) {
    case AE_F32:
        memcpy(out, in, (size_t)n * sizeof *in);
        return true;
    case AE_F16:
        for (int64_t i = 0; i < n; i++) put_half((uint8_t *)out + 2 * i, ae_f32_to_f16(in[i]));
        return true;
    case AE_BF16:
        for (int64_t i = 0; i < n; i++) put_half((uint8_t *)out + 2 * i, ae_f32_to_bf16(in[i]));
        return true;
    case AE_Q8_0:
        encode_q8_0(in, n, out);
        return true;
    case AE_NF4:
        ae_nf4_encode(in, n, out);
        return true;
    default:
        return false;
    }
}
