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

/* Sixteen fifth bits, two bytes of them, each as 16 in a byte of its own. */
static inline bytes16 fifth_bits(const uint8_t *in)
{
    const bytes16 bit = { 1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128 };
    const uint64_t spread[2] = { in[0] * 0x0101010101010101u, in[1] * 0x0101010101010101u };

    return (bytes16)((load_bytes(spread) & bit) != 0) & 16;
}

static void expand_q5_0(float *out, const void *blocks, int64_t n)
{
    const uint8_t *in = blocks;

    for (int64_t i = 0; i < n; i += 32, in += 22) {
        lanes d = set(half_at(in)), bias = set(16);
        bytes16 q = load_bytes(in + 6);
        store(out + i, mul(sub(from_u8((q & 15) | fifth_bits(in + 2)), bias), d));
        store(out + i + 16, mul(sub(from_u8(q >> 4 | fifth_bits(in + 4)), bias), d));
    }
}

static void expand_q5_1(float *out, const void *blocks, int64_t n)
{
    const uint8_t *in = blocks;

    for (int64_t i = 0; i < n; i += 32, in += 24) {
        lanes d = set(half_at(in)), m = set(half_at(in + 2));
        bytes16 q = load_bytes(in + 8);
        store(out + i, add(mul(from_u8((q & 15) | fifth_bits(in + 4)), d), m));
        store(out + i + 16, add(mul(from_u8(q >> 4 | fifth_bits(in + 6)), d), m));
    }
}

static void expand_iq4_nl(float *out, const void *blocks, int64_t n)
{
    const bytes16 values = load_bytes(ae_iq4_values);
    const uint8_t *in = blocks;

    for (int64_t i = 0; i < n; i += 32, in += 18) {
        lanes d = set(half_at(in));
        bytes16 q = load_bytes(in + 2);
        store(out + i, mul(d, from_i8(look_up(values, q & 15))));
        store(out + i + 16, mul(d, from_i8(look_up(values, q >> 4))));
    }
}

/* Scales and minima of the eight groups of a Q4_K or Q5_K block: six bits each in twelve bytes. */
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

static void expand_q5_k(float *out, const void *blocks, int64_t n)
{
    const uint8_t *in = blocks;
    float scale[8], min[8];

    for (int64_t i = 0; i < n; i += 256, in += 176) {
        unpack_scales(scale, min, in + 4, half_at(in), half_at(in + 2));
        for (int j = 0; j < 8; j += 2)
            for (int part = 0; part < 32; part += 16) {
                bytes16 q = load_bytes(in + 48 + 16 * j + part);
                bytes16 fifth = load_bytes(in + 16 + part) >> (uint8_t)j;
                bytes16 low = (q & 15) | (fifth & 1) << 4, high = q >> 4 | (fifth & 2) << 3;
                float *at = out + i + 32 * j + part;
                store(at, sub(mul(set(scale[j]), from_u8(low)), set(min[j])));
                store(at + 32, sub(mul(set(scale[j + 1]), from_u8(high)), set(min[j + 1])));
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

/* Two bits each of the sixteen elements whose scale is number `group`, from 64 bytes. */
static inline bytes16 two_bit_group(const uint8_t *in, int group)
{
    bytes16 q = load_bytes(in + group / 8 * 32 + group % 2 * 16);

    return q >> (uint8_t)(group % 8 / 2 * 2) & 3;
}

static void expand_q2_k(float *out, const void *blocks, int64_t n)
{
    const uint8_t *in = blocks;

    for (int64_t i = 0; i < n; i += 256, in += 84) {
        float d = half_at(in + 80), dmin = half_at(in + 82);
        UNROLL for (int group = 0; group < 16; group++)
        {
            float scale = d * (float)(in[group] & 15), min = dmin * (float)(in[group] >> 4);
            lanes q = from_u8(two_bit_group(in + 16, group));
            store(out + i + 16 * group, sub(mul(set(scale), q), set(min)));
        }
    }
}

/* The sixteen scales of a Q3_K block: six bits each in twelve bytes, biased by 32. */
static inline void unpack_k3(int8_t scale[16], const uint8_t *s)
{
    for (int j = 0; j < 4; j++) {
        scale[j] = (int8_t)(((s[j] & 15) | (s[j + 8] & 3) << 4) - 32);
        scale[j + 4] = (int8_t)(((s[j + 4] & 15) | (s[j + 8] >> 2 & 3) << 4) - 32);
        scale[j + 8] = (int8_t)((s[j] >> 4 | (s[j + 8] >> 4 & 3) << 4) - 32);
        scale[j + 12] = (int8_t)((s[j + 4] >> 4 | (s[j + 8] >> 6) << 4) - 32);
    }
}

static void expand_q3_k(float *out, const void *blocks, int64_t n)
{
    const uint8_t *in = blocks;
    const lanes bias = set(4);
    int8_t scales[16];

    for (int64_t i = 0; i < n; i += 256, in += 110) {
        float d = half_at(in + 108);
        unpack_k3(scales, in + 96);
        UNROLL for (int group = 0; group < 16; group++)
        {
            bytes16 third = load_bytes(in + group % 2 * 16) >> (uint8_t)(group / 2) & 1;
            lanes q = sub(from_u8(two_bit_group(in + 32, group) | third << 2), bias);
            store(out + i + 16 * group, mul(set(d * (float)scales[group]), q));
        }
    }
}

static void expand_iq4_xs(float *out, const void *blocks, int64_t n)
{
    const bytes16 values = load_bytes(ae_iq4_values);
    const uint8_t *in = blocks;

    for (int64_t i = 0; i < n; i += 256, in += 136) {
        float d = half_at(in);
        for (int group = 0; group < 8; group++) {
            int low = in[4 + group / 2] >> group % 2 * 4 & 15;
            int high = (in[2] | in[3] << 8) >> 2 * group & 3;
            lanes scale = set(d * (float)((low | high << 4) - 32));
            bytes16 q = load_bytes(in + 8 + 16 * group);
            float *at = out + i + 32 * group;
            store(at, mul(scale, from_i8(look_up(values, q & 15))));
            store(at + 16, mul(scale, from_i8(look_up(values, q >> 4))));
        }
    }
}

/* The sixteen values are scaled once for 64 numbers: a look-up of floats is left. */
static void expand_nf4(float *out, const void *blocks, int64_t n)
{
    const uint8_t *in = blocks;
    float value[16], d;

    for (int64_t i = 0; i < n; i += AE_NF4_BLOCK, in += AE_NF4_BYTES) {
        memcpy(&d, in, sizeof d);
        store(value, mul(load(ae_nf4_values), set(d)));
        for (int k = 0; k < AE_NF4_BLOCK / 2; k++) {
            out[i + 2 * k] = value[in[4 + k] >> 4];
            out[i + 2 * k + 1] = value[in[4 + k] & 15];
        }
    }
}

#endif
