/* bytes.h -- sixteen bytes at a time, in what both compilers give all processors. */
#ifndef AE_LANES_BYTES_H
#define AE_LANES_BYTES_H

#include <stdint.h>
#include <string.h>

typedef uint8_t bytes16 __attribute__((vector_size(16)));

static inline bytes16 load_bytes(const void *p)
{
    bytes16 v;

    memcpy(&v, p, sizeof v);
    return v;
}

/* Loops over registers: the compiler must not leave them as loops over memory. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

#define ALWAYS_INLINE inline __attribute__((always_inline))

#endif
