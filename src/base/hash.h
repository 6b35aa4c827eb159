/* hash.h -- hashes: a fast one for tables and caches, SHA-256 for identity. */
#ifndef AE_HASH_H
#define AE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* XXH64 (Collet's published algorithm). */
uint64_t ae_hash64(const void *data, size_t len, uint64_t seed);

/* SplitMix64's finaliser: a good mix of one word. */
static inline uint64_t ae_mix64(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

typedef struct {
    uint32_t state[8];
    uint64_t bytes;
    uint8_t block[64];
} ae_sha256;

void ae_sha256_start(ae_sha256 *s);
void ae_sha256_add(ae_sha256 *s, const void *data, size_t len);
/* 64 lower-case hexadecimal digits and '\0'. */
void ae_sha256_hex(ae_sha256 *s, char out[65]);

/* SHA-512 of bytes in memory. */
void ae_sha512(const void *data, size_t len, uint8_t out[64]);

#endif
