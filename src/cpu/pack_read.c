/* pack_read.c -- a chunk of a row of any quantized type, taken apart into whole numbers: the quants
 * as kernel/packed.h wants them, scales and minima beside them. src/tensor/decode.c tells the
 * layouts of the files. */
#include "cpu/pack.h"

#include <string.h>

static uint16_t half_at(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint16_t negative(uint16_t half)
{
    return half ^ 0x8000;
}

/* 16 bytes: element i low, element i + 16 high. */
static void nibbles(uint8_t *q, const uint8_t *in)
{
    for (int i = 0; i < 16; i++) {
        q[i] = in[i] & 15;
        q[i + 16] = in[i] >> 4;
    }
}

/* Bit i of four bytes becomes 16 in q[i]. Eight at a time: a byte is copied into eight, one bit is
 * kept in each, and adding 127 carries it to the top. */
static void fifth_bits(uint8_t *q, const uint8_t *in)
{
    for (int i = 0; i < 4; i++) {
        uint64_t eight, spread = in[i] * 0x0101010101010101u & 0x8040201008040201u;

        spread = (spread + 0x7f7f7f7f7f7f7f7fu) >> 7 & 0x0101010101010101u;
        memcpy(&eight, q + 8 * i, 8);
        eight |= spread << 4;
        memcpy(q + 8 * i, &eight, 8);
    }
}

static void read_q4_0(ae_packed_row *r, const uint8_t *in, int n)
{
    for (int b = 0; b < n; b++, in += 18) {
        r->d[b] = half_at(in);
        nibbles(r->q + 32 * b, in + 2);
    }
}

static void read_q4_1(ae_packed_row *r, const uint8_t *in, int n)
{
    for (int b = 0; b < n; b++, in += 20) {
        r->d[b] = half_at(in);
        r->m[b] = negative(half_at(in + 2)); /* the file adds its m */
        nibbles(r->q + 32 * b, in + 4);
    }
}

static void read_q5_0(ae_packed_row *r, const uint8_t *in, int n)
{
    for (int b = 0; b < n; b++, in += 22) {
        r->d[b] = half_at(in);
        nibbles(r->q + 32 * b, in + 6);
        fifth_bits(r->q + 32 * b, in + 2);
    }
}

static void read_q5_1(ae_packed_row *r, const uint8_t *in, int n)
{
    for (int b = 0; b < n; b++, in += 24) {
        r->d[b] = half_at(in);
        r->m[b] = negative(half_at(in + 2));
        nibbles(r->q + 32 * b, in + 8);
        fifth_bits(r->q + 32 * b, in + 4);
    }
}

static void read_q8_0(ae_packed_row *r, const uint8_t *in, int n)
{
    for (int b = 0; b < n; b++, in += 34) {
        r->d[b] = half_at(in);
        for (int i = 0; i < 32; i++) r->q[32 * b + i] = in[2 + i] ^ 0x80;
    }
}

static void read_iq4_nl(ae_packed_row *r, const uint8_t *in, int n)
{
    read_q4_0(r, in, n);
}

/* 64 bytes of two-bit numbers: halves of four runs of 32. */
static void two_bits(uint8_t *q, const uint8_t *in)
{
    for (int part = 0; part < 2; part++)
        for (int run = 0; run < 4; run++)
            for (int i = 0; i < 32; i++)
                q[128 * part + 32 * run + i] = in[32 * part + i] >> 2 * run & 3;
}

static void read_q2_k(ae_packed_row *r, const uint8_t *in, int n)
{
    (void)n;
    for (int g = 0; g < 16; g++) r->scale[g] = (int8_t)in[g]; /* with the minimum, as in the file */
    two_bits(r->q, in + 16);
    r->d[0] = half_at(in + 80);
    r->m[0] = half_at(in + 82);
}

static void read_q3_k(ae_packed_row *r, const uint8_t *in, int n)
{
    const uint8_t *s = in + 96;

    (void)n;
    for (int g = 0; g < 16; g++) {
        int low = s[g % 8] >> g / 8 * 4 & 15, high = s[8 + g % 4] >> g / 4 * 2 & 3;
        r->scale[g] = (int8_t)((low | high << 4) - 32);
    }
    two_bits(r->q, in + 32);
    for (int run = 0; run < 8; run++)
        for (int i = 0; i < 32; i++) r->q[32 * run + i] |= (in[i] >> run & 1) << 2;
    r->d[0] = half_at(in + 108);
}

/* The six-bit scales and minima of Q4_K and Q5_K. */
static void scales_k4(ae_packed_row *r, const uint8_t *s)
{
    for (int j = 0; j < 4; j++) {
        r->scale[j] = s[j] & 63;
        r->min[j] = s[j + 4] & 63;
        r->scale[j + 4] = (int8_t)((s[j + 8] & 15) | s[j] >> 6 << 4);
        r->min[j + 4] = (int8_t)(s[j + 8] >> 4 | s[j + 4] >> 6 << 4);
    }
}

/* 128 bytes: 32 of them hold two groups of 32, low and high. */
static void paired_nibbles(uint8_t *q, const uint8_t *in)
{
    for (int pair = 0; pair < 4; pair++)
        for (int i = 0; i < 32; i++) {
            q[64 * pair + i] = in[32 * pair + i] & 15;
            q[64 * pair + 32 + i] = in[32 * pair + i] >> 4;
        }
}

static void read_q4_k(ae_packed_row *r, const uint8_t *in, int n)
{
    (void)n;
    r->d[0] = half_at(in);
    r->m[0] = half_at(in + 2);
    scales_k4(r, in + 4);
    paired_nibbles(r->q, in + 16);
}

static void read_q5_k(ae_packed_row *r, const uint8_t *in, int n)
{
    (void)n;
    r->d[0] = half_at(in);
    r->m[0] = half_at(in + 2);
    scales_k4(r, in + 4);
    paired_nibbles(r->q, in + 48);
    for (int g = 0; g < 8; g++)
        for (int i = 0; i < 32; i++) r->q[32 * g + i] |= (in[16 + i] >> g & 1) << 4;
}

static void read_q6_k(ae_packed_row *r, const uint8_t *in, int n)
{
    (void)n;
    for (int part = 0; part < 2; part++)
        for (int run = 0; run < 4; run++)
            for (int i = 0; i < 32; i++) {
                int low = in[64 * part + run % 2 * 32 + i] >> run / 2 * 4 & 15;
                int high = in[128 + 32 * part + i] >> 2 * run & 3;
                r->q[128 * part + 32 * run + i] = (uint8_t)(low | high << 4);
            }
    memcpy(r->scale, in + 192, 16);
    r->d[0] = half_at(in + 208);
}

static void read_iq4_xs(ae_packed_row *r, const uint8_t *in, int n)
{
    (void)n;
    r->d[0] = half_at(in);
    for (int g = 0; g < 8; g++) {
        int low = in[4 + g / 2] >> g % 2 * 4 & 15, high = half_at(in + 2) >> 2 * g & 3;
        r->scale[g] = (int8_t)((low | high << 4) - 32);
        nibbles(r->q + 32 * g, in + 8 + 16 * g);
    }
}

ae_packed_read_fn *ae_packed_reader(ae_dtype dtype)
{
    switch (dtype) {
#define READER(type, name, ...)                                                                    \
    case type:                                                                                     \
        return read_##name;
        AE_PACKED_TYPES(READER)
#undef READER
    default:
        return NULL;
    }
}
