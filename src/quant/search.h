/* search.h -- what the search for a block's numbers gives to who packs them. Private to quant. */
#ifndef AE_QUANT_SEARCH_H
#define AE_QUANT_SEARCH_H

#include "quant/group.h"
#include "tensor/tensor.h"

/* A type of blocks of 32: a half for the scale, and one for the minimum if there is one. */
typedef struct {
    int lo, hi;
    bool has_minimum;
} ae_plain_format;

/* x[i] = s * q[i] - m; s and m are values that a half has. */
typedef struct {
    float s, m;
    int q[32];
} ae_plain_block;

enum { AE_SUPERBLOCK = 256, AE_MAX_GROUPS = 16 };

/* A K type: its groups' q, and the whole numbers that stand for scale and minimum in units of the
 * block's two halves. min_hi 0: no minima. */
typedef struct {
    int n_groups, group_size;
    int lo, hi;
    int scale_lo, scale_hi, min_hi;
} ae_k_format;

/* x[i] = d * scale[g] * q[i] - dmin * min[g]; d and dmin are values that a half has. */
typedef struct {
    float d, dmin;
    int scale[AE_MAX_GROUPS], min[AE_MAX_GROUPS];
    int q[AE_SUPERBLOCK];
} ae_k_block;

/* x, w [32] or [256]: finite, |x| below 1e12, w above 0 and about 1. */
typedef struct {
    void (*plain)(ae_plain_block *out, const ae_plain_format *format, const float *x,
                  const float *w);
    void (*k)(ae_k_block *out, const ae_k_format *format, const float *x, const float *w);
} ae_search;

#define ae_search_here AE_QUANT_NAME(ae_search_here)

/* For any processor, and for one with AVX2: the same numbers. */
extern const ae_search ae_search_here;
#if defined(__x86_64__)
extern const ae_search ae_search_here_avx2;
#endif

/* ae_quantize_row() by a given search. */
bool ae_quantize_row_by(const ae_search *search, ae_dtype dtype, const float *in, int64_t n,
                        const float *importance, void *out);

#endif
