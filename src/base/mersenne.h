/* mersenne.h -- the Mersenne Twister MT19937 (Matsumoto and Nishimura 1998), and what CPython and
 * libstdc++ draw with it: which documents, shots and resamples others chose can be told again. Our
 * own draws use rng.h. */
#ifndef AE_MERSENNE_H
#define AE_MERSENNE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint32_t state[624];
    int at;
} ae_mersenne;

/* C++'s std::mt19937(seed). */
void ae_mersenne_seed(ae_mersenne *m, uint32_t seed);
uint32_t ae_mersenne_next(ae_mersenne *m); /* 32 bits */
/* std::uniform_int_distribution over 0 .. n-1, as libstdc++ has drawn it since GCC 11; n > 0. */
uint32_t ae_mersenne_below(ae_mersenne *m, uint32_t n);

/* CPython's random.Random(seed) and its methods. */
void ae_python_seed(ae_mersenne *m, uint64_t seed);
/* The same of a whole number of n words, the lowest first: what a text's seed becomes. */
void ae_python_seed_words(ae_mersenne *m, const uint32_t *words, size_t n);
/* The same of a str: the number whose big-endian bytes are its UTF-8 and the SHA-512 of that.
 * False: no memory. */
bool ae_python_seed_text(ae_mersenne *m, const char *text, size_t len);
double ae_python_random(ae_mersenne *m);              /* [0, 1), 53 bits */
uint64_t ae_python_bits(ae_mersenne *m, int bits);    /* getrandbits(), 1 to 64 */
uint64_t ae_python_below(ae_mersenne *m, uint64_t n); /* _randbelow(), n > 0 */
void ae_python_shuffle(ae_mersenne *m, int64_t *items, size_t n);
/* choices(range(n), k=k): with replacement. */
void ae_python_choices(ae_mersenne *m, int64_t *out, size_t k, size_t n);
/* sample(range(n), k): without; k <= n. False: no memory. */
bool ae_python_sample(ae_mersenne *m, int64_t *out, size_t k, size_t n);

#endif
