/* rng.c -- xoshiro256++ and the draws made from it. */
#include "base/rng.h"

#include "base/hash.h"

#include <math.h>
#include <time.h>

static uint64_t rotate_left(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

void ae_rng_seed(ae_rng *rng, uint64_t seed)
{
    /* ae_mix64 adds SplitMix64's increment itself, so word i starts i increments further on. */
    for (uint64_t i = 0; i < 4; i++) rng->s[i] = ae_mix64(seed + i * 0x9e3779b97f4a7c15u);
}

uint64_t ae_seed_by_chance(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return ae_mix64((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec) | 1;
}

uint64_t ae_rng_next(ae_rng *rng)
{
    uint64_t *s = rng->s;
    uint64_t result = rotate_left(s[0] + s[3], 23) + s[0];
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

double ae_rng_uniform(ae_rng *rng)
{
    return (double)(ae_rng_next(rng) >> 11) * 0x1p-53;
}

float ae_rng_normal(ae_rng *rng)
{
    double u = 1.0 - ae_rng_uniform(rng); /* (0, 1]: its logarithm is finite */
    double v = ae_rng_uniform(rng);

    return (float)(sqrt(-2.0 * log(u)) * cos(6.283185307179586476925 * v));
}

uint64_t ae_rng_below(ae_rng *rng, uint64_t n)
{
    /* The first 2^64 mod n values would make small results too likely. */
    uint64_t skip = -n % n;
    uint64_t x;

    do x = ae_rng_next(rng);
    while (x < skip);
    return x % n;
}

void ae_rng_shuffle(ae_rng *rng, int64_t *items, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)ae_rng_below(rng, i);
        int64_t swapped = items[i - 1];
        items[i - 1] = items[j];
        items[j] = swapped;
    }
}
