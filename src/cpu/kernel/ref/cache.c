/* cache.c -- cached keys and values, element by element. */
#include "cpu/kernel/ref/ref.h"

#include <math.h>
#include <string.h>

/* Where an element lies, counted in elements, and its scale in scales. */
typedef struct {
    uint8_t *data, *scales;
    int64_t element, scale;
} place;

static place key_place(const ae_kv_head *h, int64_t pos, int64_t k)
{
    int64_t group = pos / AE_KV_GROUP, lane = pos % AE_KV_GROUP;

    return (place){ h->keys, h->key_scales, (group * h->d + k) * AE_KV_GROUP + lane,
                    (group * (h->d / 32) + k / 32) * AE_KV_GROUP + lane };
}

static place value_place(const ae_kv_head *h, int64_t pos, int64_t k)
{
    return (place){ h->values, h->value_scales, pos * h->wide + k, pos * (h->d / 32) + k / 32 };
}

static float half_in(const uint8_t *halves, int64_t i)
{
    uint16_t bits;

    memcpy(&bits, halves + 2 * i, sizeof bits);
    return ae_f16_to_f32(bits);
}

static void put_half(uint8_t *halves, int64_t i, float x)
{
    uint16_t bits = ae_f32_to_f16(x);

    memcpy(halves + 2 * i, &bits, sizeof bits);
}

static float get(ae_dtype dtype, place p)
{
    float x;

    if (dtype == AE_Q8_0) return (float)(int8_t)p.data[p.element] * half_in(p.scales, p.scale);
    if (dtype == AE_F16) return half_in(p.data, p.element);
    memcpy(&x, p.data + 4 * p.element, sizeof x);
    return x;
}

static float largest(const float *x, int64_t n)
{
    float most = 0;

    for (int64_t i = 0; i < n; i++) most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
    return most;
}

/* x[k] of a run of d elements. */
static void put(ae_dtype dtype, place p, const float *x, int64_t k)
{
    if (dtype == AE_F32) memcpy(p.data + 4 * p.element, &x[k], sizeof *x);
    if (dtype == AE_F16) put_half(p.data, p.element, x[k]);
    if (dtype != AE_Q8_0) return;
    if (k % 32 == 0) put_half(p.scales, p.scale, largest(x + k, 32) / 127);
    float scale = half_in(p.scales, p.scale);
    float q = scale > 0 ? rintf(x[k] / scale) : 0;
    p.data[p.element] = (uint8_t)(int8_t)fmaxf(-127, fminf(127, q));
}

void ae_kv_store_ref(const ae_kv_head *h, int64_t pos, const float *k, const float *v)
{
    for (int64_t i = 0; i < h->d; i++) {
        put(h->dtype, key_place(h, pos, i), k, i);
        put(h->dtype, value_place(h, pos, i), v, i);
    }
}

void ae_kv_scores_ref(float *s, int64_t lds, const float *q, int64_t ldq, int64_t rows,
                      const ae_kv_head *h, int64_t group, int64_t groups)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < groups * AE_KV_GROUP; i++) {
            float sum = 0;
            for (int64_t k = 0; k < h->d; k++) {
                double key = get(h->dtype, key_place(h, group * AE_KV_GROUP + i, k));
                sum = (float)(sum + q[r * ldq + k] * key);
            }
            s[r * lds + i] = sum;
        }
}

void ae_kv_values_ref(float *o, int64_t ldo, const float *p, int64_t ldp, int64_t rows,
                      const ae_kv_head *h, int64_t pos, int64_t n)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < n; i++)
            for (int64_t k = 0; k < h->wide; k++) {
                double value = k < h->d ? get(h->dtype, value_place(h, pos + i, k)) : 0;
                o[r * ldo + k] = (float)(o[r * ldo + k] + p[r * ldp + i] * value);
            }
}

void ae_kv_key_panels_ref(float *out, int64_t panel, const ae_kv_head *h, int64_t group,
                          int64_t groups)
{
    for (int64_t i = 0; i < groups * AE_KV_GROUP; i++)
        for (int64_t k = 0; k < h->d; k++)
            out[i / panel * panel * h->d + k * panel + i % panel] =
                get(h->dtype, key_place(h, group * AE_KV_GROUP + i, k));
}

void ae_kv_value_panels_ref(float *out, int64_t panel, const ae_kv_head *h, int64_t pos, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < h->d; k++)
            out[k / panel * panel * n + i * panel + k % panel] =
                get(h->dtype, value_place(h, pos + i, k));
}
