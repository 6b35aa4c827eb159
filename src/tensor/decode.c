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

/* The fifth bits of a block's 32 elements lie in one little-endian word. */
static uint32_t word_at(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static int five_bits(const uint8_t *q, uint32_t high, int i)
{
    int low = i < 16 ? q[i] & 15 : q[i - 16] >> 4;
    return low | (int)(high >> i & 1) << 4;
}

/* Block: half d, fifth bits (4 bytes), 16 bytes as in Q4_0, biased by 16. */
static void decode_q5_0(const uint8_t *in, int64_t n, float *out)
{
    for (int64_t b = 0; b < n / 32; b++, in += 22, out += 32) {
        float d = half_at(in);
        for (int i = 0; i < 32; i++)
            out[i] = (float)(five_bits(in + 6, word_at(in + 2), i) - 16) * d;
    }
}

/* Block: half d, half m, fifth bits, 16 bytes, unbiased. */
static void decode_q5_1(const uint8_t *in, int64_t n, float *out)
{
    for (int64_t b = 0; b < n / 32; b++, in += 24, out += 32) {
        float d = half_at(in), m = half_at(in + 2);
        for (int i = 0; i < 32; i++) out[i] = (float)five_bits(in + 8, word_at(in + 4), i) * d + m;
    }
}

/* Element i of a block of 256 two-bit numbers in 64 bytes: halves of four runs of 32, a run's bits
 * at 0, 2, 4, 6 of the same 32 bytes. */
static int two_bits(const uint8_t *q, int i)
{
    return q[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3;
}

/* Block: scales[16] (low four bits the scale, high four the minimum), 64 bytes, half d, half dmin.
 */
static void decode_q2_k(const uint8_t *in, int64_t n, float *out)
{
    for (int64_t b = 0; b < n / 256; b++, in += 84, out += 256) {
        float d = half_at(in + 80), dmin = half_at(in + 82);
        for (int i = 0; i < 256; i++) {
            float d1 = d * (float)(in[i / 16] & 15), m1 = dmin * (float)(in[i / 16] >> 4);
            out[i] = d1 * (float)two_bits(in + 16, i) - m1;
        }
    }
}

/* The signed 6-bit scale of group j of 16, packed in 12 bytes: low nibbles in the first eight, the
 * upper two bits in the last four. */
static int scale_k3(const uint8_t *s, int j)
{
    int low = j < 8 ? s[j] & 15 : s[j - 8] >> 4;
    int high = s[8 + j % 4] >> j / 4 * 2 & 3;
    return (low | high << 4) - 32;
}

/* Block: third bits[32] (one of a byte's bits a run of 32), low two bits[64], scales[12], half d.
 * A third bit that is 0 takes 4 away. */
static void decode_q3_k(const uint8_t *in, int64_t n, float *out)
{
    for (int64_t b = 0; b < n / 256; b++, in += 110, out += 256) {
        float d = half_at(in + 108);
        for (int i = 0; i < 256; i++) {
            int third = in[i % 32] >> i / 32 & 1;
            float d1 = d * (float)scale_k3(in + 96, i / 16);
            out[i] = d1 * (float)(two_bits(in + 32, i) - (third ? 0 : 4));
        }
    }
}

/* Block: half d, half dmin, scales[12] as in Q4_K, fifth bits[32] (bit g for group g), 128 bytes.
 */
static void decode_q5_k(const uint8_t *in, int64_t n, float *out)
{
    for (int64_t b = 0; b < n / 256; b++, in += 176, out += 256) {
        float d = half_at(in), dmin = half_at(in + 2);
        for (int group = 0; group < 8; group++) {
            const uint8_t *q = in + 48 + group / 2 * 32;
            int scale, min;
            scale_min_k4(in + 4, group, &scale, &min);
            float d1 = d * (float)scale, m1 = dmin * (float)min;
            for (int i = 0; i < 32; i++) {
                int fifth = in[16 + i] >> group & 1;
                out[group * 32 + i] = d1 * (float)((q[i] >> group % 2 * 4 & 15) | fifth << 4) - m1;
            }
        }
    }
}

const int8_t ae_iq4_values[16] = { -127, -104, -83, -65, -49, -35, -22, -10,
                                   1,    13,   25,  38,  53,  69,  89,  113 };

/* Block: half d, 16 bytes as in Q4_0, nibbles naming values of the table. */
static void decode_iq4_nl(const uint8_t *in, int64_t n, float *out)
{
    for (int64_t b = 0; b < n / 32; b++, in += 18, out += 32) {
        float d = half_at(in);
        for (int i = 0; i < 16; i++) {
            out[i] = d * (float)ae_iq4_values[in[2 + i] & 15];
            out[i + 16] = d * (float)ae_iq4_values[in[2 + i] >> 4];
        }
    }
}

/* Block: half d, the upper two bits of eight 6-bit scales (2 bytes), their nibbles (4 bytes), eight
 * groups of 16 bytes as in IQ4_NL. */
static void decode_iq4_xs(const uint8_t *in, int64_t n, float *out)
{
    for (int64_t b = 0; b < n / 256; b++, in += 136) {
        float d = half_at(in);
        for (int group = 0; group < 8; group++, out += 32) {
            const uint8_t *q = in + 8 + 16 * group;
            int low = in[4 + group / 2] >> group % 2 * 4 & 15;
            int high = (in[2] | in[3] << 8) >> 2 * group & 3;
            float d1 = d * (float)((low | high << 4) - 32);
            for (int i = 0; i < 16; i++) {
                out[i] = d1 * (float)ae_iq4_values[q[i] & 15];
                out[i + 16] = d1 * (float)ae_iq4_values[q[i] >> 4];
            }
        }
    }
}

static void decode_f32(const uint8_t *in, int64_t n, float *out)
{
    memcpy(out, in, (size_t)n * sizeof *out);
}

static void decode_nf4(const uint8_t *in, int64_t n, float *out)
{
    for (int64_t b = 0; b < n / AE_NF4_BLOCK; b++, in += AE_NF4_BYTES, out += AE_NF4_BLOCK) {
        float scale;
        memcpy(&scale, in, sizeof scale);
        for (int i = 0; i < AE_NF4_BLOCK; i += 2) {
            out[i] = ae_nf4_values[in[4 + i / 2] >> 4] * scale;
            out[i + 1] = ae_nf4_values[in[4 + i / 2] & 15] * scale;
        }
    }
}

typedef void decode_fn(const uint8_t *in, int64_t n, float *out);

bool ae_dtype_decode_row(ae_dtype dtype, const void *in, int64_t n, float *out)
{
    static decode_fn *const decode[] = {
        [AE_F32] = decode_f32,   [AE_F16] = decode_f16,       [AE_BF16] = decode_bf16,
        [AE_Q4_0] = decode_q4_0, [AE_Q4_1] = decode_q4_1,     [AE_Q5_0] = decode_q5_0,
        [AE_Q5_1] = decode_q5_1, [AE_Q8_0] = decode_q8_0,     [AE_Q2_K] = decode_q2_k,
        [AE_Q3_K] = decode_q3_k, [AE_Q4_K] = decode_q4_k,     [AE_Q5_K] = decode_q5_k,
        [AE_Q6_K] = decode_q6_k, [AE_IQ4_NL] = decode_iq4_nl, [AE_IQ4_XS] = decode_iq4_xs,
        [AE_NF4] = decode_nf4,
    };
    const ae_dtype_info *info = ae_dtype_info_of(dtype);

    if (!info || n < 0 || n % info->block_elements) return false;
    decode[dtype](in, n, out);
    return true;
}
