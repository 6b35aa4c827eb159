/* pack.h -- between the files that pack weights: a chunk of one row as whole numbers. */
#ifndef AE_PACK_H
#define AE_PACK_H

#include "cpu/kernel/packed.h"

typedef struct {
    uint8_t q[AE_CHUNK];       /* unsigned, the offset not taken off */
    uint16_t d[8], m[8];       /* halves: of each block of 32, or the first alone */
    int8_t scale[16], min[16]; /* of each group; scale and minimum in one byte for Q2_K */
} ae_packed_row;

/* Takes n blocks of 32 elements apart; n is 8 for types whose blocks have 256. `in` may be
 * unaligned. */
typedef void ae_packed_read_fn(ae_packed_row *out, const uint8_t *in, int n);

/* NULL: the type has no packed form. */
ae_packed_read_fn *ae_packed_reader(ae_dtype dtype);

#endif
