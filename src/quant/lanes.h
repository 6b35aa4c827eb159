/* lanes.h -- eight floats side by side, as the compiler's vectors: one result for any instruction
 * set. Private to quant.
 *
 * Macros, as a function that takes or gives such vectors would have another calling convention on
 * every instruction set. */
#ifndef AE_QUANT_LANES_H
#define AE_QUANT_LANES_H

#include <stdint.h>
#include <string.h>

enum { LANES = 8 };
typedef float lanes __attribute__((vector_size(32)));
typedef int32_t lane_mask __attribute__((vector_size(32)));

#define LANES_LOAD(to, from) memcpy(&(to), (from), sizeof(lanes))
#define LANES_ALL(value)     ((value) - (lanes){ 0 })
/* Where the mask is set a, else b. */
#define LANES_PICK(mask, a, b) ((lanes)(((mask) & (lane_mask)(a)) | (~(mask) & (lane_mask)(b))))
#define LANES_MIN(a, b)        LANES_PICK((a) < (b), a, b)
#define LANES_MAX(a, b)        LANES_PICK((a) > (b), a, b)

/* 1.5 * 2^23: a float below 2^22 that is added to it and freed of it again is whole, ties going to
 * even. */
static const float whole_shift = 12582912;
#define LANES_WHOLE(v) ((v) + whole_shift - whole_shift)

#endif
