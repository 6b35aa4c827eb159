/* rows.c -- rows of F32 as rows of a block format: the searches' results, packed as decode.c of
 * tensor reads them. */
#include "quant/quant.h"
#include "quant/search.h"
#include "tensor/tensor.h"

#include <math.h>
#include <string.h>

static uint8_t *put_half(uint8_t *p, float value)
{
    uint16_t bits = ae_f32_to_f16(value);

    p[0] = (uint8_t)bits;
    p[1] = (uint8_t)(bits >> 8);
    return p + 2;
}

/* ---- blocks of 32 ---- */

static void put_nibbles(uint8_t *p, const int *q)
{
    for (int i = 0; i < 16; i++) p[i] = (uint8_t)((q[i] & 15) | (q[i + 16] & 15) << 4);
}

/* Half s, half m if there is one, fifth bits if there are any (4 bytes), nibbles. */
static uint8_t *put_plain(uint8_t *p, const ae_plain_format *f, const ae_plain_block *b)
{
    int q[32];
    uint32_t fifth = 0;

    for (int i = 0; i < 32; i++) {
        q[i] = b->q[i] - f->lo;
        fifth |= (uint32_t)(q[i] >> 4) << i;
    }
    p = put_half(p, b->s);
    if (f->has_minimum) p = put_half(p, -b->m);
    for (int i = 0; f->hi - f->lo > 15 && i < 4; i++) *p++ = (uint8_t)(fifth >> 8 * i);
    put_nibbles(p, q);
    return p + 16;
}

/* ---- blocks of 256 ---- */

typedef void pack_fn(uint8_t *p, const ae_k_block *b);

/* Two bits each, in halves of four runs of 32 that share 32 bytes. */
static void put_two_bits(uint8_t *p, const int *q)
{
    memset(p, 0, 64);
    for (int i = 0; i < 256; i++)
        p[i / 128 * 32 + i % 32] |= (uint8_t)((q[i] & 3) << i % 128 / 32 * 2);
}

static void pack_q2_k(uint8_t *p, const ae_k_block *b)
{
    for (int g = 0; g < 16; g++) p[g] = (uint8_t)(b->scale[g] | b->min[g] << 4);
    put_two_bits(p + 16, b->q);
    put_half(put_half(p + 80, b->d), b->dmin);
}

static void pack_q3_k(uint8_t *p, const ae_k_block *b)
{
    int q[256];

    memset(p, 0, 110);
    for (int i = 0; i < 256; i++) {
        q[i] = b->q[i] + 4;
        p[i % 32] |= (uint8_t)(q[i] >> 2 << i / 32);
    }
    put_two_bits(p + 32, q);
    for (int g = 0; g < 16; g++) {
        int scale = b->scale[g] + 32;
        p[96 + g % 8] |= (uint8_t)((scale & 15) << g / 8 * 4);
        p[104 + g % 4] |= (uint8_t)(scale >> 4 << g / 4 * 2);
    }
    put_half(p + 108, b->d);
}

/* Eight 6-bit scales and eight 6-bit minima in 12 bytes, as decode.c of tensor tells. */
static void put_scales_k4(uint8_t *p, const ae_k_block *b)
{
    for (int g = 0; g < 4; g++) {
        p[g] = (uint8_t)(b->scale[g] | b->scale[g + 4] >> 4 << 6);
        p[g + 4] = (uint8_t)(b->min[g] | b->min[g + 4] >> 4 << 6);
        p[g + 8] = (uint8_t)((b->scale[g + 4] & 15) | (b->min[g + 4] & 15) << 4);
    }
}

static void put_nibbles_k(uint8_t *p, const int *q)
{
    for (int i = 0; i < 128; i++) {
        const int *pair = q + i / 32 * 64 + i % 32;
        p[i] = (uint8_t)((pair[0] & 15) | (pair[32] & 15) << 4);
    }
}

static void pack_q4_k(uint8_t *p, const ae_k_block *b)
{
    put_half(put_half(p, b->d), b->dmin);
    put_scales_k4(p + 4, b);
    put_nibbles_k(p + 16, b->q);
}

static void pack_q5_k(uint8_t *p, const ae_k_block *b)
{
    put_half(put_half(p, b->d), b->dmin);
    put_scales_k4(p + 4, b);
    memset(p + 16, 0, 32);
    for (int i = 0; i < 256; i++) p[16 + i % 32] |= (uint8_t)(b->q[i] >> 4 << i / 32);
    put_nibbles_k(p + 48, b->q);
}

static void pack_q6_k(uint8_t *p, const ae_k_block *b)
{
    memset(p, 0, 192);
    for (int i = 0; i < 256; i++) {
        int q = b->q[i] + 32, part = i / 128, run = i % 128 / 32, at = i % 32;
        p[part * 64 + run % 2 * 32 + at] |= (uint8_t)((q & 15) << run / 2 * 4);
        p[128 + part * 32 + at] |= (uint8_t)(q >> 4 << run * 2);
    }
    for (int g = 0; g < 16; g++) p[192 + g] = (uint8_t)(int8_t)b->scale[g];
    put_half(p + 208, b->d);
}

typedef struct {
    ae_dtype dtype;
    ae_k_format format;
    pack_fn *pack;
} k_type;

static const k_type k_types[] = {
    { AE_Q2_K, { 16, 16, 0, 3, 0, 15, 15 }, pack_q2_k },
    { AE_Q3_K, { 16, 16, -4, 3, -32, 31, 0 }, pack_q3_k },
    { AE_Q4_K, { 8, 32, 0, 15, 0, 63, 63 }, pack_q4_k },
    { AE_Q5_K, { 8, 32, 0, 31, 0, 63, 63 }, pack_q5_k },
    { AE_Q6_K, { 16, 16, -32, 31, -128, 127, 0 }, pack_q6_k },
};

/* ---- rows ---- */

static const ae_search *best_search(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) return &ae_search_here_avx2;
#endif
    return &ae_search_here;
}

/* The weights of a block's errors. By importance, over its mean: columns that nothing ever reached
 * weigh a little, so that they are not nonsense. Without, large numbers weigh a little more than
 * small ones: their columns are those that inputs tend to be large in (SmolLM2 as Q2_K: KL
 * divergence 0.45, and 0.55 where all weigh the same, for 1.5 % more error). A block of zeros
 * weighs evenly. */
static void weigh(float *w, const float *x, const float *importance, int n)
{
    double sum = 0, squares = 0;

    for (int i = 0; i < n; i++) {
        sum += importance ? (double)importance[i] : 0;
        squares += (double)x[i] * (double)x[i];
    }
    double scale = sum > 0 ? n / sum : 0, mean = squares / n;
    for (int i = 0; i < n; i++) {
        double own = (double)x[i] * (double)x[i];
        w[i] = mean > 0 ? (float)sqrt(2 + own / mean) : 1;
        if (scale > 0 && isfinite(scale)) w[i] = (float)(importance[i] * scale) + 1e-4f;
    }
}

/* Numbers far past what a block can hold are cut, that their squares stay finite. */
static void prepare(float *x, float *w, const float *in, const float *importance, int n)
{
    const float most = 1e12f;

    for (int i = 0; i < n; i++) x[i] = in[i] > most ? most : in[i] < -most ? -most : in[i];
    weigh(w, x, importance, n);
}

static void put_plain_row(const ae_search *search, const ae_plain_format *f, const float *in,
                          int64_t n, const float *importance, uint8_t *out)
{
    for (int64_t i = 0; i < n; i += 32) {
        float x[32], w[32];
        ae_plain_block block;
        prepare(x, w, in + i, importance ? importance + i : NULL, 32);
        search->plain(&block, f, x, w);
        out = put_plain(out, f, &block);
    }
}

static void put_k_row(const ae_search *search, const k_type *type, const float *in, int64_t n,
                      const float *importance, uint8_t *out)
{
    size_t bytes = (size_t)ae_dtype_info_of(type->dtype)->block_bytes;

    for (int64_t i = 0; i < n; i += AE_SUPERBLOCK, out += bytes) {
        float x[AE_SUPERBLOCK], w[AE_SUPERBLOCK];
        ae_k_block block;
        prepare(x, w, in + i, importance ? importance + i : NULL, AE_SUPERBLOCK);
        search->k(&block, &type->format, x, w);
        type->pack(out, &block);
    }
}

static const ae_plain_format *plain_format_of(ae_dtype dtype)
{
    static const ae_plain_format q4_0 = { -8, 7, false }, q4_1 = { 0, 15, true },
                                 q5_0 = { -16, 15, false }, q5_1 = { 0, 31, true };

    return dtype == AE_Q4_0   ? &q4_0
           : dtype == AE_Q4_1 ? &q4_1
           : dtype == AE_Q5_0 ? &q5_0
           : dtype == AE_Q5_1 ? &q5_1
                              : NULL;
}

static const k_type *k_type_of(ae_dtype dtype)
{
    for (size_t i = 0; i < AE_COUNT(k_types); i++)
        if (k_types[i].dtype == dtype) return &k_types[i];
    return NULL;
}

bool ae_quantize_row_by(const ae_search *search, ae_dtype dtype, const float *in, int64_t n,
                        const float *importance, void *out)
{
    const ae_dtype_info *info = ae_dtype_info_of(dtype);
    const ae_plain_format *plain = plain_format_of(dtype);
    const k_type *k = k_type_of(dtype);

    if (!info || n < 0 || n % info->block_elements) return false;
    if (!plain && !k) return ae_dtype_encode_row(dtype, in, n, out);
    if (plain)
        put_plain_row(search, plain, in, n, importance, out);
    else
        put_k_row(search, k, in, n, importance, out);
    return true;
}

bool ae_quantize_row(ae_dtype dtype, const float *in, int64_t n, const float *importance, void *out)
{
    return ae_quantize_row_by(best_search(), dtype, in, n, importance, out);
}
