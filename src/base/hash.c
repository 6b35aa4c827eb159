/* hash.c -- XXH64 and SHA-256 (FIPS 180-4). */
#include "base/hash.h"

#include <string.h>

static const uint64_t prime1 = 0x9e3779b185ebca87u, prime2 = 0xc2b2ae3d27d4eb4fu,
                      prime3 = 0x165667b19e3779f9u, prime4 = 0x85ebca77c2b2ae63u,
                      prime5 = 0x27d4eb2f165667c5u;

static uint64_t rotate_left64(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

static uint64_t read64(const uint8_t *p)
{
    uint64_t x = 0;

    for (int i = 7; i >= 0; i--) x = x << 8 | p[i];
    return x;
}

static uint64_t read32(const uint8_t *p)
{
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24;
}

static uint64_t lane(uint64_t sum, uint64_t word)
{
    return rotate_left64(sum + word * prime2, 31) * prime1;
}

static uint64_t merge_lane(uint64_t hash, uint64_t sum)
{
    return (hash ^ lane(0, sum)) * prime1 + prime4;
}

/* Eats whole 32-byte stripes; *at moves past them. */
static uint64_t hash_stripes(const uint8_t **at, const uint8_t *end, uint64_t seed)
{
    uint64_t v[4] = { seed + prime1 + prime2, seed + prime2, seed, seed - prime1 };
    uint64_t hash;

    for (; end - *at >= 32; *at += 32)
        for (int i = 0; i < 4; i++) v[i] = lane(v[i], read64(*at + 8 * i));
    hash = rotate_left64(v[0], 1) + rotate_left64(v[1], 7) + rotate_left64(v[2], 12) +
           rotate_left64(v[3], 18);
    for (int i = 0; i < 4; i++) hash = merge_lane(hash, v[i]);
    return hash;
}

uint64_t ae_hash64(const void *data, size_t len, uint64_t seed)
{
    static const uint8_t nothing[1];
    const uint8_t *at = len ? data : nothing, *end = at + len;
    uint64_t hash = len >= 32 ? hash_stripes(&at, end, seed) : seed + prime5;

    hash += len;
    for (; end - at >= 8; at += 8)
        hash = rotate_left64(hash ^ lane(0, read64(at)), 27) * prime1 + prime4;
    for (; end - at >= 4; at += 4)
        hash = rotate_left64(hash ^ (read32(at) * prime1), 23) * prime2 + prime3;
    for (; at < end; at++) hash = rotate_left64(hash ^ (*at * prime5), 11) * prime1;
    hash = (hash ^ (hash >> 33)) * prime2;
    hash = (hash ^ (hash >> 29)) * prime3;
    return hash ^ (hash >> 32);
}

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t sha_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate_right32(uint32_t x, int k)
{
    return (x >> k) | (x << (32 - k));
}

static void sha_schedule(uint32_t w[64], const uint8_t *block)
{
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];
        uint32_t s0 = rotate_right32(a, 7) ^ rotate_right32(a, 18) ^ (a >> 3);
        uint32_t s1 = rotate_right32(b, 17) ^ rotate_right32(b, 19) ^ (b >> 10);
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
}

static void sha_block(uint32_t state[8], const uint8_t *block)
{
    uint32_t w[64], v[8];

    sha_schedule(w, block);
    memcpy(v, state, sizeof v);
    for (int i = 0; i < 64; i++) {
        uint32_t s1 = rotate_right32(v[4], 6) ^ rotate_right32(v[4], 11) ^ rotate_right32(v[4], 25);
        uint32_t s0 = rotate_right32(v[0], 2) ^ rotate_right32(v[0], 13) ^ rotate_right32(v[0], 22);
        uint32_t choose = (v[4] & v[5]) ^ (~v[4] & v[6]);
        uint32_t majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
        uint32_t t = v[7] + s1 + choose + sha_constants[i] + w[i];
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += t;
        v[0] = t + s0 + majority;
    }
    for (int i = 0; i < 8; i++) state[i] += v[i];
}

void ae_sha256_start(ae_sha256 *s)
{
    static const uint32_t first[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                       0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

    memcpy(s->state, first, sizeof first);
    s->bytes = 0;
}

void ae_sha256_add(ae_sha256 *s, const void *data, size_t len)
{
    const uint8_t *at = data;

    while (len) {
        size_t held = (size_t)(s->bytes % 64), room = 64 - held;
        size_t n = len < room ? len : room;
        if (n == 64) {
            sha_block(s->state, at);
        } else {
            memcpy(s->block + held, at, n);
            if (n == room) sha_block(s->state, s->block);
        }
        s->bytes += n;
        at += n;
        len -= n;
    }
}

void ae_sha256_hex(ae_sha256 *s, char out[65])
{
    static const char digits[] = "0123456789abcdef";
    uint64_t bits = s->bytes * 8;
    uint8_t tail[72] = { 0x80 };
    size_t zeros = (size_t)((119 - s->bytes % 64) % 64);

    for (int i = 0; i < 8; i++) tail[1 + zeros + (size_t)i] = (uint8_t)(bits >> (56 - 8 * i));
    ae_sha256_add(s, tail, 1 + zeros + 8);
    for (int i = 0; i < 64; i++) out[i] = digits[s->state[i / 8] >> (28 - 4 * (i % 8)) & 15];
    out[64] = '\0';
}
