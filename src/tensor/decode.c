/* decode.c -- a row of any element type as F32: the plain reference, with ggml's order of
 * operations so that the bits agree. */
#include "tensor/tensor.h"

#include <string.h>

/* Block fields lie unaligned in files. */
static float half_at(const uint8_t *p)
{
    return ae_f16_to_f32((uint16_t)(p[0] | p[1] << 8));
}

static void decode_f16(const uint8_t *in, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++) out[i] = half_at(in + 2 * i);
}

static void decode_bf16(const uint8_t *in, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = ae_bf16_to_f32((uint16_t)(in[2 * i] | in[2 * i + 1] << 8));
}

/* Block: half d, int8 q[32]. */
static void decode_q8_0(const uint8_t *in, int64_t n, float *out)
{
    for (int64_t b = 0; b < n / 32; b++, in += 34, out += 32) {
        float d = half_at(in);
        for (int i = 0; i < 32; i++) out[i] = (float)(int8_t)in[2 + i] * d;
    }
}

/* Block: half d, 16 bytes; byte i holds element i low, element i + 16 high, biased by 8. */
static void decode_q4_0(const uint8_t *in, int64_t n, float *out)
{
    for (int64_t b = 0; b < n / 32; b++, in += 18, out += 32) {
        float d = half_at(in);
        for (int i = 0; i < 16; i++) {
            out[i] = (float)((in[2 + i] & 15) - 8) * d;
            out[i + 16] = (float)((in[2 + i] >> 4) - 8) * d;
        }
    }
}

/* Block: half d, half m, 16 bytes as in Q4_0 but unbiased. */
static void decode_q4_1(const uint8_t *in, int64_t n, float *out)
{
    for (int64_t b = 0; b < n / 32; b++, in += 20, out += 32) {
        float d = half_at(in), m = half_at(in + 2);
        for (int i = 0; i < 16; i++) {
            out[i] = (float)(in[4 + i] & 15) * d + m;
            out[i + 16] = (float)(in[4 + i] >> 4) * d + m;
        }
    }
}

/* The 6-bit scale and minimum of group j of 8, packed in 12 bytes: the first four lie in the low
 * six bits, the others are put together from nibbles and the first ones' upper two bits. */
static void scale_min_k4(const uint8_t *s, int j, int *scale, int *min)
{
    if (j < 4) {
        *scale = s[j] & 63;
        *min = s[j + 4] & 63;
    } else {
        *scale = (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
        *min = (s[j + 4] >> 4) | (s[j] >> 6) << 4;
    }
}

/* Block: half d, half dmin, scales[12], 128 bytes; 32 bytes hold two groups of 32, low and high. */
static void decode_q4_k(const uint8_t *in, int64_t n, float *out)
{
    for (int64_t b = 0; b < n / 256; b++, in += 144, out += 256) {
        float d = half_at(in), dmin = half_at(in + 2);
        for (int group = 0; group < 8; group++) {
            const uint8_t *q = in + 16 + group / 2 * 32;
            int scale, min;
            scale_min_k4(in + 4, group, &scale, &min);
            float d1 = d * (float)scale, m1 = dmin * (float)min;
            for (int i = 0; i < 32; i++)
                out[group * 32 + i] = d1 * (float)(q[i] >> group % 2 * 4 & 15) - m1;
        }
    }
}

/* Block: low nibbles[128], upper two bits[64], int8 scales[16], half d. Each half of 128 elements
 * is four runs of 32: nibbles low, low, high, high; upper bits at 0, 2, 4, 6. */
static void decode_q6_k(const uint8_t *in, int64_t n, float *out)
{
    for (int64_t b = 0; b < n / 256; b++, in += 210, out += 256) {
        float d = half_at(in + 208);
        for (int i = 0; i < 256; i++) {
            int part = i / 128, run = i % 128 / 32, at = i % 32;
            int low = in[part * 64 + run % 2 * 32 + at] >> run / 2 * 4 & 15;
            int high = in[128 + part * 32 + at] >> run * 2 & 3;
            int8_t scale = (int8_t)in[192 + i / 16];
            out[i] = d * (float)scale * (float)((low | high << 4) - 32);
        }
    }
}

bool ae_dtype_decode_row(ae_dtype dtype, const void *in, int64_t n, float *out)
{
    const ae_dtype_info *info = ae_dtype_info_of(dtype);

    if (!info || n < 0 || n % info->block_elements) return false;
    switch (dtype) {
    case AE_F32:
        memcpy(out, in, (size_t)n * sizeof *out);
        return true;
    case AE_F16:
        decode_f16(in, n, out);
        return true;
    case AE_BF16:
        decode_bf16(in, n, out);
        return true;
    case AE_Q8_0:
        decode_q8_0(in, n, out);
        return true;
    case AE_Q4_0:
        decode_q4_0(in, n, out);
        return true;
    case AE_Q4_1:
        decode_q4_1(in, n, out);
        return true;
    case AE_Q4_K:
        decode_q4_k(in, n, out);
        return true;
    case AE_Q6_K:
        decode_q6_k(in, n, out);
        return true;
    case AE_DTYPE_NONE:
        break;
    }
    return false;
}
