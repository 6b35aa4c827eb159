/* kv_page.c -- how much memory cached keys and values take. */
#include "device/device.h"

static aerie_status check(const ae_kv_shape *s, aerie_error *err)
{
    if (s->dtype != AE_F32 && s->dtype != AE_F16 && s->dtype != AE_Q8_0)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "a cache of keys and values is of f32, f16 or q8_0");
    if (s->n_kv_heads < 1 || s->head_dim < 1 || s->head_dim > 1 << 20 || s->n_kv_heads > 1 << 20)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "a cache of %lld key/value heads of width %lld cannot be",
                          (long long)s->n_kv_heads, (long long)s->head_dim);
    if (s->dtype == AE_Q8_0 && s->head_dim % 32 != 0)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "a q8_0 cache stores 32 elements together, which heads of width %lld "
                          "don't fill; choose f16",
                          (long long)s->head_dim);
    return AERIE_OK;
}

/* Keys are as wide as the head, values as wide as whole sixteens of it. */
aerie_status ae_kv_page_bytes(size_t *out, const ae_kv_shape *s, aerie_error *err)
{
    aerie_status status = check(s, err);
    if (status) return status;
    size_t heads = (size_t)s->n_kv_heads, width = (size_t)s->head_dim;
    size_t wide = (width + 15) / 16 * 16, element = s->dtype == AE_F32 ? 4 : 2;
    size_t position = s->dtype == AE_Q8_0 ? 2 * (width + width / 32 * 2) : element * (width + wide);
    *out = AE_KV_PAGE * heads * position;
    return AERIE_OK;
}
