/* blocks.h -- random weights of every stored type, with values of an ordinary size. */
#ifndef AE_TEST_BLOCKS_H
#define AE_TEST_BLOCKS_H

#include "tensor/tensor.h"

#include <string.h>

/* Every type; F32 first. */
static const ae_dtype stored_types[] = { AE_F32,  AE_F16,  AE_BF16, AE_Q4_0,   AE_Q4_1,
                                         AE_Q5_0, AE_Q5_1, AE_Q8_0, AE_Q2_K,   AE_Q3_K,
                                         AE_Q4_K, AE_Q5_K, AE_Q6_K, AE_IQ4_NL, AE_IQ4_XS };

/* Any bits are a block, but for the half-precision numbers in it, which should be finite: where a
 * block keeps its scale and its minimum (-1: none), and what makes its values about 1. */
typedef struct {
    ae_dtype dtype;
    int scale_at, min_at;
    float scale, min;
} block_kind;

static const block_kind block_kinds[] = {
    { AE_Q4_0, 0, -1, 0.22f, 0 },      { AE_Q4_1, 0, 2, 0.22f, -1.65f },
    { AE_Q5_0, 0, -1, 0.108f, 0 },     { AE_Q5_1, 0, 2, 0.108f, -1.68f },
    { AE_Q8_0, 0, -1, 0.0135f, 0 },    { AE_Q2_K, 80, 82, 0.07f, 0.105f },
    { AE_Q3_K, 108, -1, 0.023f, 0 },   { AE_Q4_K, 0, 2, 0.007f, 0.05f },
    { AE_Q5_K, 0, 2, 0.0035f, 0.05f }, { AE_Q6_K, 208, -1, 0.0008f, 0 },
    { AE_IQ4_NL, 0, -1, 0.0147f, 0 },  { AE_IQ4_XS, 0, -1, 0.0008f, 0 },
};

static inline void put_half(uint8_t *at, float value)
{
    uint16_t bits = ae_f32_to_f16(value);

    memcpy(at, &bits, sizeof bits);
}

static inline void block_fill(uint8_t *block, const block_kind *kind, size_t bytes, float size,
                              ae_rng *rng)
{
    for (size_t i = 0; i < bytes; i++) block[i] = (uint8_t)ae_rng_next(rng);
    put_half(block + kind->scale_at, size * kind->scale);
    if (kind->min_at >= 0) put_half(block + kind->min_at, size * kind->min);
}

/* n elements, a multiple of the type's block, of about `size`. */
static inline void blocks_fill(void *out, ae_dtype dtype, int64_t n, float size, ae_rng *rng)
{
    const ae_dtype_info *info = ae_dtype_info_of(dtype);
    size_t bytes = (size_t)info->block_bytes;
    uint8_t *at = out;

    for (size_t k = 0; k < AE_COUNT(block_kinds); k++)
        for (int64_t i = 0; block_kinds[k].dtype == dtype && i < n; i += info->block_elements)
            block_fill(at + (size_t)(i / info->block_elements) * bytes, &block_kinds[k], bytes,
                       size, rng);
    for (int64_t i = 0; info->block_elements == 1 && i < n; i++) {
        float value = size * ae_rng_normal(rng);
        ae_dtype_encode_row(dtype, &value, 1, at + (size_t)i * bytes);
    }
}

#endif
