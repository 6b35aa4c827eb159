/* chance.c -- seeded choices: the same seed gives the same world on every machine. */
#include "nursery.h"

uint64_t nu_chance_hash(const char *text)
{
    uint64_t h = 0xcbf29ce484222325u;

    for (; *text; text++) h = (h ^ (unsigned char)*text) * 0x100000001b3u;
    return h;
}

nu_chance nu_chance_seed(uint64_t seed, const char *purpose)
{
    return (nu_chance){ seed * 0x9e3779b97f4a7c15u ^ nu_chance_hash(purpose) };
}

uint64_t nu_chance_next(nu_chance *c)
{
    uint64_t z = c->state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* The remainder's bias is below 2^-50 for the few hundred words of this world. */
size_t nu_chance_below(nu_chance *c, size_t n)
{
    return (size_t)(nu_chance_next(c) % n);
}

bool nu_chance_percent(nu_chance *c, unsigned percent)
{
    return nu_chance_below(c, 100) < percent;
}

void nu_chance_pick(nu_chance *c, size_t *out, size_t k, size_t n)
{
    size_t all[64];

    for (size_t i = 0; i < n; i++) all[i] = i;
    for (size_t i = 0; i < k; i++) {
        size_t j = i + nu_chance_below(c, n - i);
        out[i] = all[j];
        all[j] = all[i];
    }
}
