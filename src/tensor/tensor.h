/* tensor.h -- the door of tensor: element types and a two-dimensional view of numbers.
 *
 * Dimension letters mean the same everywhere: B sequences, T tokens, S cached positions, D model
 * width, H query heads, K key/value heads, d head width, F MLP width, V vocabulary, L layers,
 * R LoRA rank. */
#ifndef AE_TENSOR_H
#define AE_TENSOR_H

#include "base/base.h"

/* The numbers are GGUF's tensor type numbers. */
typedef enum {
    AE_F32 = 0,
    AE_F16 = 1,
    AE_Q4_0 = 2,
    AE_Q4_1 = 3,
    AE_Q5_0 = 6,
    AE_Q5_1 = 7,
    AE_Q8_0 = 8,
    AE_Q2_K = 10,
    AE_Q3_K = 11,
    AE_Q4_K = 12,
    AE_Q5_K = 13,
    AE_Q6_K = 14,
    AE_IQ4_NL = 20,
    AE_IQ4_XS = 23,
    AE_BF16 = 30,
    /* QLoRA's (Dettmers et al., 2305.14314): in memory alone. GGUF has no such type, and its 31 was
     * withdrawn for good. */
    AE_NF4 = 31,
    AE_DTYPE_NONE = -1
} ae_dtype;

typedef struct {
    ae_dtype dtype;
    const char *name;       /* "Q4_K" */
    int32_t block_elements; /* elements that share one block: 1, 32, 256 */
    int32_t block_bytes;
} ae_dtype_info;

/* NULL when the number is not a type this build reads. */
const ae_dtype_info *ae_dtype_of_gguf(uint32_t gguf_type);
const ae_dtype_info *ae_dtype_info_of(ae_dtype dtype);
/* By name, any case ("f16", "q8_0"); AE_DTYPE_NONE when unknown. */
ae_dtype ae_dtype_by_name(const char *name);

/* Bytes of `rows` rows of `cols` elements; false when cols is no multiple of the block, a size is
 * negative, or the product wraps. */
bool ae_dtype_bytes(size_t *out, ae_dtype dtype, int64_t rows, int64_t cols);

/* A row-major matrix. Activations and everything that is trained are F32; a frozen weight has any
 * type. A vector is [1, n]. */
typedef struct {
    ae_dtype dtype;
    int64_t rows, cols;
    void *data;  /* borrowed; for a frozen weight it lies in a mapped file and is never written */
    float *grad; /* [rows, cols], summed into by backward passes; NULL: no gradient is wanted */
    const void *packed; /* the same numbers as ae_device.pack() laid them out, for inference; borrowed;
                         * NULL: there is no such form */
} ae_tensor;

static inline float *ae_f32(const ae_tensor *t)
{
    return t->data;
}

/* Half precision and bfloat16, by the bits; to-half and to-bfloat16 round to nearest even. */
float ae_f16_to_f32(uint16_t bits);
uint16_t ae_f32_to_f16(float value);
static inline float ae_bf16_to_f32(uint16_t bits)
{
    union {
        uint32_t u;
        float f;
    } x = { .u = (uint32_t)bits << 16 };
    return x.f;
}
uint16_t ae_f32_to_bf16(float value);

/* A row of n elements as F32, for every type that this build reads: the plain definition of the
 * formats, with ggml's bits. False when n is no multiple of the block. `in` may be unaligned. */
bool ae_dtype_decode_row(ae_dtype dtype, const void *in, int64_t n, float *out);
/* Whether all scales (of a type without blocks: all numbers) of n elements are finite. Bytes in the
 * machine's order, little-endian, as the formats have them. False when n is no multiple of the
 * block. */
bool ae_dtype_scales_finite(ae_dtype dtype, const void *data, int64_t n);
/* What the nibbles of IQ4_NL and IQ4_XS stand for. */
extern const int8_t ae_iq4_values[16];
/* A row of F32 as F32, F16, BF16, Q8_0 (ggml's bits) or NF4 (bitsandbytes'); false for a type that
 * this build does not write, or when n is no multiple of the block. `out` may be unaligned. */
bool ae_dtype_encode_row(ae_dtype dtype, const float *in, int64_t n, void *out);

/* NF4: blocks of 64 numbers, a float32 scale (the largest magnitude) and 32 bytes; a nibble, the
 * upper one first, names a value that is multiplied with the scale. */
enum { AE_NF4_BLOCK = 64, AE_NF4_BYTES = 36, AE_NF4_GROUP = 256 };
extern const float ae_nf4_values[16];
/* bitsandbytes' double quantization: the scales of a matrix's blocks, in order, become what their 8
 * bits keep of them: their mean, and in groups of 256 the largest distance from it times a value of
 * ae_dynamic_values(). codes [n], ranges [n / 256, rounded up] and `mean` may be NULL. */
void ae_nf4_double_quantize(float *scales, int64_t n, uint8_t *codes, float *ranges, float *mean);
/* The 256 values of the signed dynamic 8-bit type (Dettmers et al., 2110.02861), rising. */
void ae_dynamic_values(float out[256]);

#endif
