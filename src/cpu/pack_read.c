/* pack_read.c -- the quants of any quantized type brought into the order of kernel/packed.h;
 * src/tensor/decode.c tells the layouts of the files.
 *
 * First a row is sorted: quants, halves, scales. Then 16 rows of quants have been turned, four
 * bytes of all of them beside each other, and what is left is to move bits up and down, the same
 * way in every row: loops that any compiler makes vectors of. */
#include "cpu/pack.h"

#include <string.h>

/* Numbers of one step, or vector: four bytes of 16 rows. */
enum { STEP = AE_PANEL_ROWS };

static uint16_t half_at(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint16_t negative(uint16_t half)
{
    return half ^ 0x8000;
}

static void read_q4_0(ae_packed_row *r, const uint8_t *in, int n)
{
    for (int b = 0; b < n; b++, in += 18) {
        r->d[b] = half_at(in);
        memcpy(r->quants + 16 * b, in + 2, 16);
    }
}

static void read_q4_1(ae_packed_row *r, const uint8_t *in, int n)
{
    for (int b = 0; b < n; b++, in += 20) {
        r->d[b] = half_at(in);
        r->m[b] = negative(half_at(in + 2)); /* the file adds its m */
        memcpy(r->quants + 16 * b, in + 4, 16);
    }
}

static void read_q5_0(ae_packed_row *r, const uint8_t *in, int n)
{
    for (int b = 0; b < n; b++, in += 22) {
        r->d[b] = half_at(in);
        memcpy(r->quants + 16 * b, in + 6, 16);
        memcpy(r->quants + 16 * n + 4 * b, in + 2, 4);
    }
}

static void read_q5_1(ae_packed_row *r, const uint8_t *in, int n)
{
    for (int b = 0; b < n; b++, in += 24) {
        r->d[b] = half_at(in);
        r->m[b] = negative(half_at(in + 2));
        memcpy(r->quants + 16 * b, in + 8, 16);
        memcpy(r->quants + 16 * n + 4 * b, in + 4, 4);
    }
}

static void read_q8_0(ae_packed_row *r, const uint8_t *in, int n)
{
    for (int b = 0; b < n; b++, in += 34) {
        r->d[b] = half_at(in);
        memcpy(r->quants + 32 * b, in + 2, 32);
    }
}

static void read_iq4_nl(ae_packed_row *r, const uint8_t *in, int n)
{
    read_q4_0(r, in, n);
}

static void read_q2_k(ae_packed_row *r, const uint8_t *in, int n)
{
    (void)n;
    memcpy(r->scales, in, 16); /* with the minimum, as in the file */
    memcpy(r->quants, in + 16, 64);
    r->d[0] = half_at(in + 80);
    r->m[0] = half_at(in + 82);
}

static void read_q3_k(ae_packed_row *r, const uint8_t *in, int n)
{
    const uint8_t *s = in + 96;

    (void)n;
    for (int g = 0; g < 16; g++) {
        int low = s[g % 8] >> g / 8 * 4 & 15, high = s[8 + g % 4] >> g / 4 * 2 & 3;
        r->scales[g] = (uint8_t)((low | high << 4) - 32);
    }
    memcpy(r->quants, in + 32, 64);
    memcpy(r->quants + 64, in, 32);
    r->d[0] = half_at(in + 108);
}

/* The six-bit scales and minima of Q4_K and Q5_K, four at a time: 0 .. 3 of each lie in the low
 * bits, of 4 .. 7 four bits in the last four bytes and two above the others. */
static void scales_k4(ae_packed_row *r, const uint8_t *in)
{
    const uint32_t low6 = 0x3f3f3f3f, low4 = 0x0f0f0f0f, low2 = 0x03030303;
    uint32_t s[3], out[4];

    memcpy(s, in, sizeof s);
    out[0] = s[0] & low6;
    out[1] = (s[2] & low4) | (s[0] >> 6 & low2) << 4;
    out[2] = s[1] & low6;
    out[3] = (s[2] >> 4 & low4) | (s[1] >> 6 & low2) << 4;
    memcpy(r->scales, out, sizeof out);
}

static void read_q4_k(ae_packed_row *r, const uint8_t *in, int n)
{
    (void)n;
    r->d[0] = half_at(in);
    r->m[0] = half_at(in + 2);
    scales_k4(r, in + 4);
    memcpy(r->quants, in + 16, 128);
}

static void read_q5_k(ae_packed_row *r, const uint8_t *in, int n)
{
    (void)n;
    r->d[0] = half_at(in);
    r->m[0] = half_at(in + 2);
    scales_k4(r, in + 4);
    memcpy(r->quants, in + 48, 128);
    memcpy(r->quants + 128, in + 16, 32);
}

static void read_q6_k(ae_packed_row *r, const uint8_t *in, int n)
{
    (void)n;
    memcpy(r->quants, in, 192);
    memcpy(r->scales, in + 192, 16);
    r->d[0] = half_at(in + 208);
}

static void read_iq4_xs(ae_packed_row *r, const uint8_t *in, int n)
{
    (void)n;
    r->d[0] = half_at(in);
    for (int g = 0; g < 8; g++) {
        int low = in[4 + g / 2] >> g % 2 * 4 & 15, high = half_at(in + 2) >> 2 * g & 3;
        r->scales[g] = (uint8_t)((low | high << 4) - 32);
    }
    memcpy(r->quants, in + 8, 128);
}

/* Eight steps that have four bits each at `shift` of a byte become four vectors. */
static inline void put_nibbles(uint32_t *restrict out, const uint32_t *restrict in, int shift)
{
    const uint32_t mask = 0x0f0f0f0f;

    for (int i = 0; i < 4 * STEP; i++)
        out[i] = (in[i] >> shift & mask) | (in[4 * STEP + i] >> shift & mask) << 4;
}

/* Eight steps of two bits become two vectors. */
static inline void put_two_bits(uint32_t *restrict out, const uint32_t *restrict in, int shift)
{
    const uint32_t mask = 0x03030303;

    for (int v = 0; v < 2; v++, in += 4 * STEP)
        for (int i = 0; i < STEP; i++)
            out[STEP * v + i] = (in[i] >> shift & mask) | (in[STEP + i] >> shift & mask) << 2 |
                                (in[2 * STEP + i] >> shift & mask) << 4 |
                                (in[3 * STEP + i] >> shift & mask) << 6;
}

/* Eight steps of one bit become a vector. */
static inline void put_one_bit(uint32_t *restrict out, const uint32_t *restrict in, int shift)
{
    for (int i = 0; i < STEP; i++) out[i] = in[i] >> shift & 0x01010101;
    for (int j = 1; j < 8; j++)
        for (int i = 0; i < STEP; i++) out[i] |= (in[STEP * j + i] >> shift & 0x01010101) << j;
}

/* Bit 4 j + k of a number, column 4 j + k, becomes bit j of its byte k: a product copies four bits
 * to 0 .. 3, 7 .. 10, 14 .. 17 and 21 .. 24. */
static inline void put_scattered_bit(uint32_t *restrict out, const uint32_t *restrict in)
{
    for (int i = 0; i < STEP; i++) {
        uint32_t all = 0;
        for (int j = 0; j < 8; j++) all |= ((in[i] >> 4 * j & 15) * 0x00204081u & 0x01010101) << j;
        out[i] = all;
    }
}

/* Element i low and i + 16 high is the packed order already. */
static void arrange_halves(uint32_t *restrict out, const uint32_t *restrict in, int n)
{
    memcpy(out, in, sizeof *out * 4 * STEP * (size_t)n);
}

static void arrange_halves_and_bit(uint32_t *restrict out, const uint32_t *restrict in, int n)
{
    const uint32_t *bits = in + 4 * STEP * n;

    for (int b = 0; b < n; b++, in += 4 * STEP, out += 5 * STEP) {
        memcpy(out, in, sizeof *out * 4 * STEP);
        put_scattered_bit(out + 4 * STEP, bits + STEP * b);
    }
}

static void arrange_q8_0(uint32_t *restrict out, const uint32_t *restrict in, int n)
{
    for (int i = 0; i < 8 * STEP * n; i++) out[i] = in[i] ^ 0x80808080;
}

/* 32 bytes hold two groups of 32, low and high. */
static void arrange_q4_k(uint32_t *restrict out, const uint32_t *restrict in, int n)
{
    for (int g = 0; g < n; g++) put_nibbles(out + 4 * STEP * g, in + 8 * STEP * (g / 2), g % 2 * 4);
}

static void arrange_q5_k(uint32_t *restrict out, const uint32_t *restrict in, int n)
{
    for (int g = 0; g < n; g++, out += 5 * STEP) {
        put_nibbles(out, in + 8 * STEP * (g / 2), g % 2 * 4);
        put_one_bit(out + 4 * STEP, in + 32 * STEP, g);
    }
}

/* Each half of 128: runs 0 and 1 low, 2 and 3 high in 64 bytes; two bits of the four runs in 32. */
static void arrange_q6_k(uint32_t *restrict out, const uint32_t *restrict in, int n)
{
    for (int g = 0; g < n; g++, out += 6 * STEP) {
        int part = g / 4, run = g % 4;
        put_nibbles(out, in + STEP * (16 * part + 8 * (run % 2)), run / 2 * 4);
        put_two_bits(out + 4 * STEP, in + STEP * (32 + 8 * part), 2 * run);
    }
}

static void arrange_q2_k(uint32_t *restrict out, const uint32_t *restrict in, int n)
{
    for (int g = 0; g < n; g++)
        put_two_bits(out + 2 * STEP * g, in + 8 * STEP * (g / 4), 2 * (g % 4));
}

static void arrange_q3_k(uint32_t *restrict out, const uint32_t *restrict in, int n)
{
    for (int g = 0; g < n; g++, out += 3 * STEP) {
        put_two_bits(out, in + 8 * STEP * (g / 4), 2 * (g % 4));
        put_one_bit(out + 2 * STEP, in + 16 * STEP, g);
    }
}

static const ae_packed_source sources[AE_BF16 + 1] = {
    [AE_Q4_0] = { read_q4_0, arrange_halves },
    [AE_Q4_1] = { read_q4_1, arrange_halves },
    [AE_Q5_0] = { read_q5_0, arrange_halves_and_bit },
    [AE_Q5_1] = { read_q5_1, arrange_halves_and_bit },
    [AE_Q8_0] = { read_q8_0, arrange_q8_0 },
    [AE_Q2_K] = { read_q2_k, arrange_q2_k },
    [AE_Q3_K] = { read_q3_k, arrange_q3_k },
    [AE_Q4_K] = { read_q4_k, arrange_q4_k },
    [AE_Q5_K] = { read_q5_k, arrange_q5_k },
    [AE_Q6_K] = { read_q6_k, arrange_q6_k },
    [AE_IQ4_NL] = { read_iq4_nl, arrange_halves },
    [AE_IQ4_XS] = { read_iq4_xs, arrange_halves },
};

ae_packed_source ae_packed_source_of(ae_dtype dtype)
{
    return dtype >= 0 && (size_t)dtype < AE_COUNT(sources) ? sources[dtype]
                                                           : (ae_packed_source){ NULL, NULL };
}
