/* gguf_bytes.h -- GGUF files put together by hand, so that tests can also make wrong ones. */
#ifndef AE_TEST_GGUF_BYTES_H
#define AE_TEST_GGUF_BYTES_H

#include "format/format.h"

#include <string.h>

static inline void put_u32(ae_bytes *b, uint32_t value)
{
    ae_bytes_add(b, &value, sizeof value);
}

static inline void put_u64(ae_bytes *b, uint64_t value)
{
    ae_bytes_add(b, &value, sizeof value);
}

static inline void put_text(ae_bytes *b, const char *text)
{
    put_u64(b, strlen(text));
    ae_bytes_add_text(b, text);
}

static inline void put_header(ae_bytes *b, uint64_t n_tensors, uint64_t n_values)
{
    ae_bytes_add_text(b, "GGUF");
    put_u32(b, 3);
    put_u64(b, n_tensors);
    put_u64(b, n_values);
}

static inline void put_key(ae_bytes *b, const char *key, ae_gguf_type type)
{
    put_text(b, key);
    put_u32(b, (uint32_t)type);
}

static inline void put_u32_value(ae_bytes *b, const char *key, uint32_t value)
{
    put_key(b, key, AE_GGUF_U32);
    put_u32(b, value);
}

static inline void put_array(ae_bytes *b, const char *key, uint32_t element_type, uint64_t count)
{
    put_key(b, key, AE_GGUF_ARRAY);
    put_u32(b, element_type);
    put_u64(b, count);
}

/* Two dimensions, innermost first. */
static inline void put_tensor(ae_bytes *b, const char *name, uint64_t cols, uint64_t rows,
                              uint32_t type, uint64_t offset)
{
    put_text(b, name);
    put_u32(b, 2);
    put_u64(b, cols);
    put_u64(b, rows);
    put_u32(b, type);
    put_u64(b, offset);
}

static inline void put_zeros(ae_bytes *b, size_t n)
{
    for (size_t i = 0; i < n; i++) ae_bytes_add_char(b, 0);
}

static inline void put_padding(ae_bytes *b, size_t alignment)
{
    while (b->len % alignment) ae_bytes_add_char(b, 0);
}

#endif
