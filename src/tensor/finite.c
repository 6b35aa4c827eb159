/* finite.c -- whether the numbers that scale a type's blocks are numbers. A quantized weight holds
 * nothing else that could be infinite or not a number. */
#include "tensor/tensor.h"

#include <string.h>

/* Where a block has its half-precision scales (and minima); -1: no second one. */
static const struct {
    ae_dtype dtype;
    int first, second;
} scales[] = {
    { AE_Q4_0, 0, -1 }, { AE_Q4_1, 0, 2 },    { AE_Q5_0, 0, -1 },   { AE_Q5_1, 0, 2 },
    { AE_Q8_0, 0, -1 }, { AE_Q2_K, 80, 82 },  { AE_Q3_K, 108, -1 }, { AE_Q4_K, 0, 2 },
    { AE_Q5_K, 0, 2 },  { AE_Q6_K, 208, -1 }, { AE_IQ4_NL, 0, -1 }, { AE_IQ4_XS, 0, -1 },
    { AE_F16, 0, -1 },
};

/* All exponent bits set: infinite or not a number. The loops have no early end, so that a compiler
 * can take several blocks at once. */
static bool halves_finite(const uint8_t *at, size_t n, size_t stride)
{
    unsigned bad = 0;

    for (size_t i = 0; i < n; i++) {
        uint16_t bits;
        memcpy(&bits, at + i * stride, sizeof bits);
        bad |= (bits & 0x7c00u) == 0x7c00u;
    }
    return !bad;
}

/* F32, or BF16, whose exponent is the same in the upper half. */
static bool floats_finite(const uint8_t *at, size_t n, size_t stride)
{
    unsigned bad = 0;

    for (size_t i = 0; i < n; i++) {
        uint16_t bits;
        memcpy(&bits, at + (i + 1) * stride - sizeof bits, sizeof bits);
        bad |= (bits & 0x7f80u) == 0x7f80u;
    }
    return !bad;
}

static bool nf4_finite(const uint8_t *at, size_t n, size_t stride)
{
    bool good = true;

    for (size_t i = 0; i < n; i++) good &= floats_finite(at + i * stride, 1, sizeof(float));
    return good;
}

bool ae_dtype_scales_finite(ae_dtype dtype, const void *data, int64_t n)
{
    const ae_dtype_info *info = ae_dtype_info_of(dtype);
    const uint8_t *at = data;

    if (!info || n < 0 || n % info->block_elements) return false;
    size_t blocks = (size_t)(n / info->block_elements), stride = (size_t)info->block_bytes;
    if (dtype == AE_F32 || dtype == AE_BF16) return floats_finite(at, blocks, stride);
    if (dtype == AE_NF4) return nf4_finite(at, blocks, stride);
    for (size_t i = 0; i < AE_COUNT(scales); i++)
        if (scales[i].dtype == dtype)
            return halves_finite(at + scales[i].first, blocks, stride) &&
                   (scales[i].second < 0 || halves_finite(at + scales[i].second, blocks, stride));
    return false;
}
