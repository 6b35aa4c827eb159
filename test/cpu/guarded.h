/* guarded.h -- buffers of random floats with guards around them, and what to say when two differ.
 */
#ifndef AE_TEST_GUARDED_H
#define AE_TEST_GUARDED_H

#include "base/base.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { GUARD = 16 };
#define GUARD_VALUE 12345.678f

typedef struct {
    float *at; /* `n` floats between two guards */
    int64_t n;
} buffer;

static inline buffer buffer_new(int64_t n)
{
    float *whole = ae_alloc((size_t)(n + 2 * GUARD), sizeof *whole);

    assert_true(whole && n >= 0);
    for (int64_t i = 0; i < GUARD; i++) whole[i] = whole[GUARD + n + i] = GUARD_VALUE;
    return (buffer){ whole + GUARD, n };
}

/* Roughly normal. Without the C library's functions: the same numbers on every machine. */
static inline float random_float(ae_rng *rng)
{
    double sum = 0;

    for (int i = 0; i < 4; i++) sum += ae_rng_uniform(rng);
    return (float)((sum - 2) * 1.75);
}

static inline buffer buffer_random(ae_rng *rng, int64_t n)
{
    buffer b = buffer_new(n);

    for (int64_t i = 0; i < n; i++) b.at[i] = random_float(rng);
    return b;
}

static inline buffer buffer_copy(buffer from)
{
    buffer b = buffer_new(from.n);

    memcpy(b.at, from.at, (size_t)b.n * sizeof *b.at);
    return b;
}

/* Also sees whether anything was written before or after. */
static inline void buffer_free(buffer b)
{
    for (int i = 0; i < GUARD; i++)
        if (b.at[-1 - i] != GUARD_VALUE || b.at[b.n + i] != GUARD_VALUE)
            fail_msg("a write outside of a buffer of %lld floats", (long long)b.n);
    ae_free(b.at - GUARD);
}

/* |got - want| <= tolerance * (|want| + unit) everywhere. */
static inline void assert_close(const char *what, const float *got, const float *want, int64_t n,
                                double tolerance, double unit)
{
    for (int64_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - want[i]) <= tolerance * (fabs((double)want[i]) + unit)))
            fail_msg("%s: element %lld of %lld is %.9g, should be %.9g", what, (long long)i,
                     (long long)n, got[i], want[i]);
}

static inline void assert_same_bits(const char *what, const float *a, const float *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (memcmp(a + i, b + i, sizeof *a) != 0)
            fail_msg("%s: element %lld of %lld is %.9g once and %.9g once", what, (long long)i,
                     (long long)n, a[i], b[i]);
}

#endif
