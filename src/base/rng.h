/* rng.h -- a small seeded generator (xoshiro256++ by Blackman and Vigna; seeded by SplitMix64).
 * The state is plain data: save the struct and the sequence goes on after a restart. */
#ifndef AE_RNG_H
#define AE_RNG_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t s[4];
} ae_rng;

void ae_rng_seed(ae_rng *rng, uint64_t seed);
/* A seed of the clock's, above 0: for who says none and wants no two runs alike. */
uint64_t ae_seed_by_chance(void);
uint64_t ae_rng_next(ae_rng *rng);              /* 64 random bits */
double ae_rng_uniform(ae_rng *rng);             /* [0, 1), 53 bits */
float ae_rng_normal(ae_rng *rng);               /* mean 0, variance 1 (Box-Muller, no state kept) */
uint64_t ae_rng_below(ae_rng *rng, uint64_t n); /* 0 .. n-1, unbiased; n > 0 */
void ae_rng_shuffle(ae_rng *rng, int64_t *items, size_t n); /* Fisher-Yates */

#endif
