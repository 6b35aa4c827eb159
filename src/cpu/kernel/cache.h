/* cache.h -- kernels over cached keys and values, and how a page lays them out.
 *
 * A page is its heads one behind the other. A head's AE_KV_PAGE positions:
 *   keys          groups of 16 positions, each [d][16]: element 0 of the sixteen, element 1, ...
 *   key scales    Q8_0 only: for each group [d / 32][16] halves
 *   values        [AE_KV_PAGE][w], w = d rounded up to 16, zeros at the end
 *   value scales  Q8_0 only: [AE_KV_PAGE][d / 32] halves
 * so that sixteen lanes are sixteen positions for a score, sixteen elements for a value. An element
 * of Q8_0 is its byte times its scale, rounded to a float. */
#ifndef AE_KERNEL_CACHE_H
#define AE_KERNEL_CACHE_H

#include "device/device.h"

enum { AE_KV_GROUP = 16, AE_KV_GROUPS = AE_KV_PAGE / AE_KV_GROUP };

typedef struct {
    ae_dtype dtype;
    int64_t d, wide; /* wide: w above */
    uint8_t *keys, *key_scales, *values, *value_scales;
    /* What will be read after this head's keys (by scores) or values (by values): their place in
     * memory is asked for meanwhile, since runs of a few KB end before a processor foresees them.
     * NULL: nothing. */
    const uint8_t *ahead;
} ae_kv_head;

static inline ae_kv_head ae_kv_head_at(void *page, int64_t head, const ae_kv_shape *s)
{
    int64_t d = s->head_dim, wide = (d + 15) / 16 * 16;
    int64_t element = s->dtype == AE_F32 ? 4 : s->dtype == AE_F16 ? 2 : 1;
    int64_t scales = s->dtype == AE_Q8_0 ? d / 32 * 2 : 0;
    uint8_t *at = (uint8_t *)page + head * AE_KV_PAGE * (element * (d + wide) + 2 * scales);
    ae_kv_head h = { .dtype = s->dtype, .d = d, .wide = wide, .keys = at };

    h.key_scales = h.keys + AE_KV_PAGE * element * d;
    h.values = h.key_scales + AE_KV_PAGE * scales;
    h.value_scales = h.values + AE_KV_PAGE * element * wide;
    return h;
}

/* Rounds one position's key and value, [d] each, into the head. Q8_0: scale = max|x| / 127 as a
 * half, q = x / scale to nearest even. */
typedef void ae_kv_store_fn(const ae_kv_head *h, int64_t pos, const float *k, const float *v);

/* s[r][16 g + i] = q[r] . (key i of group g), for `groups` groups from `group` on; s at the first.
 * The chains are those of the product kernel, from 0. */
typedef void ae_kv_scores_fn(float *s, int64_t lds, const float *q, int64_t ldq, int64_t rows,
                             const ae_kv_head *h, int64_t group, int64_t groups);

/* o[r][0 .. wide - 1] += sum over the n positions from `pos` on of p[r][i] * value i: the product
 * kernel's chains. */
typedef void ae_kv_values_fn(float *o, int64_t ldo, const float *p, int64_t ldp, int64_t rows,
                             const ae_kv_head *h, int64_t pos, int64_t n);

/* Keys of `groups` groups and values of n positions as floats in panels for the product kernel:
 * [16 groups / panel][d][panel] and [d / panel][n][panel], the last panel perhaps not whole. */
typedef void ae_kv_key_panels_fn(float *out, int64_t panel, const ae_kv_head *h, int64_t group,
                                 int64_t groups);
typedef void ae_kv_value_panels_fn(float *out, int64_t panel, const ae_kv_head *h, int64_t pos,
                                   int64_t n);

#endif
