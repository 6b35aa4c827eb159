/* expand.h -- body of the kernels: stored types to float32, in the order of operations of the plain
 * definition (src/tensor/decode.c tells the layouts), so that the bits agree. */
#ifndef AE_LANES_EXPAND_H
#define AE_LANES_EXPAND_H

static void expand_f16(float *out, const void *blocks, int64_t n)
{
    const uint8_t *in = blocks;
    int64_t i = 0;

    for
        WHOLE_LANES(i, n)
    store(out + i, from_f16(in + 2 * i));
    for (; i < n; i++) out[i] = half_at(in + 2 * i);
}

static void expand_bf16(float *out, const void *blocks, int64_t n)
{
    const uint8_t *in = blocks;
    int64_t i = 0;

    for
        WHOLE_LANES(i, n)
    store(out + i, from_bf16(in + 2 * i));
    for (; i < n; i++) out[i] = ae_bf16_to_f32((uint16_t)(in[2 * i] | in[2 * i + 1] << 8));
}

static void expand_q8_0(float *out, const void *blocks, int64_t n)
{
    const uint8_t *in = blocks;

    for (int64_t i = 0; i < n; i += 32, in += 34) {
        lanes d = set(half_at(in));
        store(out + i, mul(from_i8(load_bytes(in + 2)), d));
        store(out + i + 16, mul(from_i8(load_bytes(in + 18)), d));
    }
}

static void expand_q4_0(float *out, const void *blocks, int64_t n)
{
    const uint8_t *in = blocks;

    for (int64_t i = 0; i < n; i += 32, in += 18) {
        lanes d = set(half_at(in)), bias = set(8);
        bytes16 q = load_bytes(in + 2);
        store(out + i, mul(sub(from_u8(q & 15), bias), d));
        store(out + i + 16, mul(sub(from_u8(q >> 4), bias), d));
    }
}

static void expand_q4_1(float *out, const void *blocks, int64_t n)
{
    const uint8_t *in = blocks;

    for (int64_t i = 0; i < n; i += 32, in += 20) {
        lanes d = set(half_at(in)), m = set(half_at(in + 2));
        bytes16 q = load_bytes(in + 4);
        store(out + i, add(mul(from_u8(q & 15), d), m));
        store(out + i + 16, add(mul(from_u8(q >> 4), d), m));
    }
}

/* Scales and minima of the eight groups of a Q4_K block: six bits each in twelve bytes. */
static inline void unpack_scales(float scale[8], float min[8], const uint8_t *s, float d,
                                 float dmin)
{
    for (int j = 0; j < 4; j++) {
        scale[j] = d * (float)(s[j] & 63);
        min[j] = dmin * (float)(s[j + 4] & 63);
        scale[j + 4] = d * (float)((s[j + 8] & 15) | (s[j] >> 6) << 4);
        min[j + 4] = dmin * (float)((s[j + 8] >> 4) | (s[j + 4] >> 6) << 4);
    }
}

static void expand_q4_k(float *out, const void *blocks, int64_t n)
{
    const uint8_t *in = blocks;
    float scale[8], min[8];

    for (int64_t i = 0; i < n; i += 256, in += 144) {
        unpack_scales(scale, min, in + 4, half_at(in), half_at(in + 2));
        for (int j = 0; j < 8; j += 2)
            for (int part = 0; part < 32; part += 16) {
                bytes16 q = load_bytes(in + 16 + 16 * j + part);
                float *low = out + i + 32 * j + part;
                store(low, sub(mul(set(scale[j]), from_u8(q & 15)), set(min[j])));
                store(low + 32, sub(mul(set(scale[j + 1]), from_u8(q >> 4)), set(min[j + 1])));
            }
    }
}

/* The sixteen elements whose scale is number `group`: low four bits and the upper two. */
static inline bytes16 q6_k_group(const uint8_t *in, int group)
{
    int half = group / 8, run = group % 8 / 2, at = group % 2 * 16;
    bytes16 low = load_bytes(in + half * 64 + run % 2 * 32 + at);
    bytes16 high = load_bytes(in + 128 + half * 32 + at);

    low = run < 2 ? low & 15 : low >> 4;
    return low | ((high >> (uint8_t)(2 * run)) & 3) << 4;
}

static void expand_q6_k(float *out, const void *blocks, int64_t n)
{
    const uint8_t *in = blocks;
    const lanes bias = set(32);

    for (int64_t i = 0; i < n; i += 256, in += 210) {
        float d = half_at(in + 208);
        UNROLL for (int group = 0; group < 16; group++)
        {
            float scale = d * (float)(int8_t)in[192 + group];
            lanes q = sub(from_u8(q6_k_group(in, group)), bias);
            store(out + i + 16 * group, mul(set(scale), q));
        }
    }
}

#endif
