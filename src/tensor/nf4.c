/* nf4.c -- QLoRA's four-bit type as bitsandbytes has it, and the double quantization of its scales.
 */
#include "tensor/nf4.h"

#include <math.h>
#include <string.h>

/* Quantiles of a normal distribution, with an exact zero (bitsandbytes' table). */
const float ae_nf4_values[16] = {
    -1.0f,
    -0.6961928009986877f,
    -0.5250730514526367f,
    -0.39491748809814453f,
    -0.28444138169288635f,
    -0.18477343022823334f,
    -0.09105003625154495f,
    0.0f,
    0.07958029955625534f,
    0.16093020141124725f,
    0.24611230194568634f,
    0.33791524171829224f,
    0.44070982933044434f,
    0.5626170039176941f,
    0.7229568362236023f,
    1.0f,
};

/* The nearest of n rising values; of two equally near the lower. */
static int nearest(const float *values, int n, float x)
{
    int low = 0, high = n - 1;

    while (low < high) {
        int mid = (low + high) / 2;
        if (x > (values[mid] + values[mid + 1]) / 2)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void encode_block(const float *in, uint8_t *out)
{
    float most = 0;

    for (int i = 0; i < AE_NF4_BLOCK; i++) most = fmaxf(most, fabsf(in[i]));
    float inverse = most > 0 ? 1 / most : 0;
    memcpy(out, &most, sizeof most);
    /* A subnormal block's inverse is infinite; its numbers become zeros. */
    if (!isfinite(inverse)) inverse = 0;
    for (int i = 0; i < AE_NF4_BLOCK; i += 2)
        out[4 + i / 2] = (uint8_t)(nearest(ae_nf4_values, 16, in[i] * inverse) << 4 |
                                   nearest(ae_nf4_values, 16, in[i + 1] * inverse));
}

void ae_nf4_encode(const float *in, int64_t n, uint8_t *out)
{
    for (int64_t i = 0; i < n; i += AE_NF4_BLOCK, out += AE_NF4_BYTES) encode_block(in + i, out);
}

static void put_sorted(float *values, int n, float x)
{
    for (; n > 0 && values[n - 1] > x; n--) values[n] = values[n - 1];
    values[n] = x;
}

/* Seven decades, 1e-6 to 1: the i-th has 2^i values, the middles of as many parts of 0.1 .. 1, and
 * their negatives; then 0 and 1. */
void ae_dynamic_values(float out[256])
{
    int n = 0;

    put_sorted(out, n++, 0);
    put_sorted(out, n++, 1);
    for (int i = 0; i < 7; i++) {
        int parts = 1 << i;
        for (int k = 0; k < parts; k++) {
            double middle = 0.1 + 0.9 * (k + 0.5) / parts, value = middle * pow(10, i - 6);
            put_sorted(out, n++, (float)value);
            put_sorted(out, n++, (float)-value);
        }
    }
}

static float largest(const float *x, int64_t n, float mean)
{
    float most = 0;

    for (int64_t i = 0; i < n; i++) most = fmaxf(most, fabsf(x[i] - mean));
    return most;
}

void ae_nf4_double_quantize(float *scales, int64_t n, uint8_t *codes, float *ranges, float *mean)
{
    float values[256], middle;
    double sum = 0;

    ae_dynamic_values(values);
    for (int64_t i = 0; i < n; i++) sum += (double)scales[i];
    middle = n > 0 ? (float)(sum / (double)n) : 0;
    if (mean) *mean = middle;
    for (int64_t i = 0; i < n; i += AE_NF4_GROUP) {
        int64_t here = n - i < AE_NF4_GROUP ? n - i : AE_NF4_GROUP;
        float range = largest(scales + i, here, middle);
        if (ranges) ranges[i / AE_NF4_GROUP] = range;
        for (int64_t k = i; k < i + here; k++) {
            int code = nearest(values, 256, range > 0 ? (scales[k] - middle) / range : 0);
            if (codes) codes[k] = (uint8_t)code;
            scales[k] = values[code] * range + middle;
        }
    }
}
