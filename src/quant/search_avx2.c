/* search_avx2.c -- the search once more, for processors with AVX2: the same text, the same bits
 * (nothing is fused and no sum depends on a vector's width), three to eight times the speed. */
#define AE_QUANT_AVX2

#include "quant/block.c"
#include "quant/group.c"
