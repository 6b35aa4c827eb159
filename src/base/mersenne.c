/* mersenne.c -- MT19937, and the draws of CPython and libstdc++. */
#include "base/mersenne.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <math.h>

enum { WORDS = 624, MIDDLE = 397 };

void ae_mersenne_seed(ae_mersenne *m, uint32_t seed)
{
    m->state[0] = seed;
    for (uint32_t i = 1; i < WORDS; i++)
        m->state[i] = 1812433253u * (m->state[i - 1] ^ (m->state[i - 1] >> 30)) + i;
    m->at = WORDS;
}

static uint32_t twist(uint32_t high, uint32_t low, uint32_t far)
{
    uint32_t y = (high & 0x80000000u) | (low & 0x7fffffffu);

    return far ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfu : 0);
}

static void renew(ae_mersenne *m)
{
    uint32_t *s = m->state;

    for (int i = 0; i < WORDS; i++) s[i] = twist(s[i], s[(i + 1) % WORDS], s[(i + MIDDLE) % WORDS]);
    m->at = 0;
}

uint32_t ae_mersenne_next(ae_mersenne *m)
{
    uint32_t y;

    if (m->at >= WORDS) renew(m);
    y = m->state[m->at++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

/* Lemire's way: the high word of a product, drawn again where the low word would be unfair. */
uint32_t ae_mersenne_below(ae_mersenne *m, uint32_t n)
{
    uint64_t product = (uint64_t)ae_mersenne_next(m) * n;

    if ((uint32_t)product < n) {
        uint32_t unfair = -n % n;
        while ((uint32_t)product < unfair) product = (uint64_t)ae_mersenne_next(m) * n;
    }
    return (uint32_t)(product >> 32);
}

/* init_by_array() of the authors' reference code. */
void ae_python_seed_words(ae_mersenne *m, const uint32_t *words, size_t n)
{
    uint32_t *s = m->state;
    size_t i = 1, j = 0;

    ae_mersenne_seed(m, 19650218u);
    for (size_t k = n > WORDS ? n : WORDS; k; k--) {
        s[i] = (s[i] ^ ((s[i - 1] ^ (s[i - 1] >> 30)) * 1664525u)) + words[j] + (uint32_t)j;
        if (++i >= WORDS) s[0] = s[WORDS - 1], i = 1;
        if (++j >= n) j = 0;
    }
    for (size_t k = WORDS - 1; k; k--) {
        s[i] = (s[i] ^ ((s[i - 1] ^ (s[i - 1] >> 30)) * 1566083941u)) - (uint32_t)i;
        if (++i >= WORDS) s[0] = s[WORDS - 1], i = 1;
    }
    s[0] = 0x80000000u;
}

void ae_python_seed(ae_mersenne *m, uint64_t seed)
{
    uint32_t words[2] = { (uint32_t)seed, (uint32_t)(seed >> 32) };

    ae_python_seed_words(m, words, words[1] ? 2 : 1);
}

bool ae_python_seed_text(ae_mersenne *m, const char *text, size_t len)
{
    size_t n_bytes = len + 64, n_words = (n_bytes + 3) / 4;
    uint32_t *words = n_bytes > len ? ae_alloc(n_words, sizeof *words) : NULL;
    uint8_t digest[64];

    if (!words) return false;
    ae_sha512(text, len, digest);
    for (size_t i = 0; i < n_bytes; i++) { /* from the last byte on */
        size_t at = n_bytes - 1 - i;
        uint32_t byte = at < len ? (uint8_t)text[at] : digest[at - len];
        words[i / 4] |= byte << (8 * (i % 4));
    }
    while (n_words > 1 && !words[n_words - 1]) n_words--; /* zeros in front count for nothing */
    ae_python_seed_words(m, words, n_words);
    ae_free(words);
    return true;
}

double ae_python_random(ae_mersenne *m)
{
    uint32_t a = ae_mersenne_next(m) >> 5, b = ae_mersenne_next(m) >> 6;

    return (a * 67108864.0 + b) * (1.0 / 9007199254740992.0);
}

uint64_t ae_python_bits(ae_mersenne *m, int bits)
{
    uint64_t low;

    if (bits <= 32) return ae_mersenne_next(m) >> (32 - bits);
    low = ae_mersenne_next(m);
    return (uint64_t)(ae_mersenne_next(m) >> (64 - bits)) << 32 | low;
}

static int bit_length(uint64_t n)
{
    int bits = 0;

    for (; n; n >>= 1) bits++;
    return bits;
}

uint64_t ae_python_below(ae_mersenne *m, uint64_t n)
{
    int bits = bit_length(n);
    uint64_t r = ae_python_bits(m, bits);

    while (r >= n) r = ae_python_bits(m, bits);
    return r;
}

void ae_python_shuffle(ae_mersenne *m, int64_t *items, size_t n)
{
    for (size_t i = n; i-- > 1;) {
        size_t j = (size_t)ae_python_below(m, i + 1);
        int64_t held = items[i];
        items[i] = items[j];
        items[j] = held;
    }
}

void ae_python_choices(ae_mersenne *m, int64_t *out, size_t k, size_t n)
{
    for (size_t i = 0; i < k; i++) out[i] = (int64_t)floor(ae_python_random(m) * (double)n);
}

/* A pool of all items pays when it is no larger than the set of those drawn would be. */
static bool pool_pays(size_t n, size_t k)
{
    size_t set = 21;

    if (k > 5) {
        size_t power = 1;
        while (power < 3 * k) power *= 4;
        set += power;
    }
    return n <= set;
}

static bool sample_pool(ae_mersenne *m, int64_t *out, size_t k, size_t n)
{
    int64_t *pool = ae_alloc(n, sizeof *pool);

    if (!pool) return false;
    for (size_t i = 0; i < n; i++) pool[i] = (int64_t)i;
    for (size_t i = 0; i < k; i++) {
        size_t j = (size_t)ae_python_below(m, n - i);
        out[i] = pool[j];
        pool[j] = pool[n - i - 1];
    }
    ae_free(pool);
    return true;
}

static bool drawn_before(const int64_t *out, size_t n, int64_t item)
{
    for (size_t i = 0; i < n; i++)
        if (out[i] == item) return true;
    return false;
}

bool ae_python_sample(ae_mersenne *m, int64_t *out, size_t k, size_t n)
{
    if (pool_pays(n, k)) return sample_pool(m, out, k, n);
    for (size_t i = 0; i < k; i++) {
        do out[i] = (int64_t)ae_python_below(m, n);
        while (drawn_before(out, i, out[i]));
    }
    return true;
}
