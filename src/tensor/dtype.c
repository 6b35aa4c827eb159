/* dtype.c -- the table of element types. */
#include "tensor/tensor.h"

#include <strings.h>

static const ae_dtype_info types[] = {
    { AE_F32, "F32", 1, 4 },           { AE_F16, "F16", 1, 2 },
    { AE_BF16, "BF16", 1, 2 },         { AE_Q4_0, "Q4_0", 32, 18 },
    { AE_Q4_1, "Q4_1", 32, 20 },       { AE_Q5_0, "Q5_0", 32, 22 },
    { AE_Q5_1, "Q5_1", 32, 24 },       { AE_Q8_0, "Q8_0", 32, 34 },
    { AE_Q2_K, "Q2_K", 256, 84 },      { AE_Q3_K, "Q3_K", 256, 110 },
    { AE_Q4_K, "Q4_K", 256, 144 },     { AE_Q5_K, "Q5_K", 256, 176 },
    { AE_Q6_K, "Q6_K", 256, 210 },     { AE_IQ4_NL, "IQ4_NL", 32, 18 },
    { AE_IQ4_XS, "IQ4_XS", 256, 136 }, { AE_NF4, "NF4", AE_NF4_BLOCK, AE_NF4_BYTES },
};

const ae_dtype_info *ae_dtype_info_of(ae_dtype dtype)
{
    for (size_t i = 0; i < AE_COUNT(types); i++)
        if (types[i].dtype == dtype) return &types[i];
    return NULL;
}

const ae_dtype_info *ae_dtype_of_gguf(uint32_t gguf_type)
{
    return gguf_type < AE_NF4 ? ae_dtype_info_of((ae_dtype)gguf_type) : NULL;
}

ae_dtype ae_dtype_by_name(const char *name)
{
    for (size_t i = 0; i < AE_COUNT(types); i++)
        if (strcasecmp(types[i].name, name) == 0) return types[i].dtype;
    return AE_DTYPE_NONE;
}

bool ae_dtype_bytes(size_t *out, ae_dtype dtype, int64_t rows, int64_t cols)
{
    const ae_dtype_info *info = ae_dtype_info_of(dtype);
    size_t row_bytes;

    if (!info || rows < 0 || cols < 0 || cols % info->block_elements) return false;
    return ae_mul_size(&row_bytes, (size_t)(cols / info->block_elements),
                       (size_t)info->block_bytes) &&
           ae_mul_size(out, row_bytes, (size_t)rows);
}
