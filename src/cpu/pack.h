/* pack.h -- between the files that pack weights: a chunk of one row as its file has it, sorted. */
#ifndef AE_PACK_H
#define AE_PACK_H

#include "cpu/kernel/packed.h"

/* A chunk of a row, sorted to where the caller says. */
typedef struct {
    uint8_t *quants;     /* as they lie in the file: all low bits, then all high bits; [AE_CHUNK] */
    uint8_t *scales;     /* of AE_SCALES_BYTE and AE_SCALES_NIBBLE, in their order; at most 16 */
    uint16_t d[8], m[8]; /* halves: of each block of 32, or the first alone */
} ae_packed_row;

/* Sorts n blocks of 32 elements; n is 8 for types whose blocks have 256. `in` may be unaligned. */
typedef void ae_packed_read_fn(ae_packed_row *out, const uint8_t *in, int n);

/* The quants of n blocks of 32 columns, 16 rows of them, arranged as kernel/packed.h tells.
 * in[16 i + r]: bytes 4 i .. 4 i + 3 of row r's `quants`. `out` is 32-byte aligned. */
typedef void ae_packed_arrange_fn(uint32_t *restrict out, const uint32_t *restrict in, int n);

typedef struct {
    ae_packed_read_fn *read;
    ae_packed_arrange_fn *arrange;
} ae_packed_source;

/* read is NULL: the type has no packed form. */
ae_packed_source ae_packed_source_of(ae_dtype dtype);

#endif
