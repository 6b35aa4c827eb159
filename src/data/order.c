/* order.c -- the order of samples in an epoch. */
#include "data/data.h"

void ae_epoch_order(int64_t *items, int64_t n, uint64_t seed, int64_t epoch)
{
    ae_rng rng;
    for (int64_t i = 0; i < n; i++) items[i] = i;
    ae_rng_seed(&rng, ae_mix64(seed) ^ (uint64_t)epoch);
    ae_rng_shuffle(&rng, items, (size_t)n);
}
