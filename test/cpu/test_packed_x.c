/* test_packed_x.c -- rows of x rounded for packed products: the bits of `ref` from every variant,
 * and sums of a chunk to 15 bits. */
#include "cpu/kernel/kernel.h"
#include "guarded.h"

#include <stdlib.h>

/* One type of each kind of sums: per group of 32 and 16, floats, whole minima of either. */
static const ae_dtype kinds[] = { AE_Q4_0, AE_Q8_0, AE_Q6_K, AE_Q3_K, AE_Q4_1, AE_Q2_K, AE_Q5_K };

/* Ordinary blocks beside zeros, denormal, tiny, huge ones and such that are not finite. */
static void fill(ae_rng *rng, float *x, int64_t blocks)
{
    static const float scales[] = { 0, 1e-42f, 1e-31f, 8.1e-28f, 1e-20f, 1e-3f, 1, 1,   1,       1,
                                    1, 1,      1e3f,   1e30f,    3e38f,  1,     1, NAN, INFINITY };

    for (int64_t b = 0; b < blocks; b++) {
        float scale = scales[ae_rng_below(rng, b % 3 ? AE_COUNT(scales) : 12)];
        for (int i = 0; i < AE_BLOCK; i++) x[AE_BLOCK * b + i] = scale * random_float(rng);
        /* All of one sign and size: the largest sum there is. */
        if (ae_rng_below(rng, 8) == 0)
            for (int i = 0; i < AE_BLOCK; i++) x[AE_BLOCK * b + i] = scale;
    }
}

static bool same_bits(float a, float b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

/* Of one group or two; nothing is asked of the sums of what is no number. */
static bool same_block(const ae_packed_x *a, const ae_packed_x *b, const ae_packed_format *f)
{
    size_t rest = f->minima || f->group == AE_BLOCK ? 4 : 8;

    if (isnan(a->dx)) return isnan(b->dx) && isnan(a->exponent) && isnan(b->exponent);
    return memcmp(a->q, b->q, sizeof a->q) == 0 && same_bits(a->dx, b->dx) &&
           same_bits(a->exponent, b->exponent) && memcmp(a->start, b->start, rest) == 0;
}

static bool same_sums(const ae_packed_sums *a, const ae_packed_sums *b, const ae_packed_format *f)
{
    if (isnan(a->unit)) return isnan(b->unit) && isnan(a->exponent) && isnan(b->exponent);
    return memcmp(a->sum, b->sum, (size_t)(AE_CHUNK / f->group) * 2) == 0 &&
           same_bits(a->unit, b->unit) && same_bits(a->exponent, b->exponent);
}

static void check(const ae_kernels *ref, const ae_kernels *k, ae_dtype dtype, int64_t blocks)
{
    enum { STRIDE = 3, MOST = 3 * 9 * STRIDE };
    const ae_packed_format f = ae_packed_format_of(dtype);
    const int64_t each = AE_CHUNK / AE_BLOCK + 1, n = ae_packed_x_count(&f, blocks * AE_BLOCK);
    ae_packed_x want[MOST], got[MOST], before;
    float x[24 * AE_BLOCK];
    ae_rng rng;

    ae_rng_seed(&rng, (uint64_t)(blocks + 100 * dtype));
    for (int round = 0; round < 200; round++) {
        fill(&rng, x, blocks);
        memset(want, 0xa5, sizeof want);
        memset(got, 0xa5, sizeof got);
        before = got[0];
        ref->packed_quantize(want, STRIDE, x, blocks, &f);
        k->packed_quantize(got, STRIDE, x, blocks, &f);
        for (int64_t i = 0; i < MOST; i++) {
            bool sums = ae_packed_whole_minima(&f) && i / STRIDE % each == each - 1;
            bool same = i % STRIDE || i / STRIDE >= n ? !memcmp(&got[i], &before, sizeof before)
                        : sums                        ? same_sums(&want[i].sums, &got[i].sums, &f)
                                                      : same_block(&want[i], &got[i], &f);
            if (!same)
                fail_msg("%s, %s, %d blocks: element %d of round %d", k->name,
                         ae_dtype_info_of(dtype)->name, (int)blocks, (int)i, round);
        }
    }
}

static void test_same_bits(void **state)
{
    static const int64_t blocks[] = { 8, 24, 1, 3, 9, 15 };
    ae_kernels ref, k;

    (void)state;
    assert_true(ae_kernels_detect(&ref, AE_CPU_REF));
    for (ae_cpu_choice choice = AE_CPU_AVX2; choice <= AE_CPU_NEON; choice++) {
        if (!ae_kernels_detect(&k, choice)) continue;
        for (size_t i = 0; i < AE_COUNT(kinds); i++)
            for (size_t b = 0; b < AE_COUNT(blocks); b++)
                if (blocks[b] * AE_BLOCK % ae_dtype_info_of(kinds[i])->block_elements == 0)
                    check(&ref, &k, kinds[i], blocks[b]);
    }
}

/* The largest of a chunk's sums takes 15 bits, and none is further off than half a unit, but for
 * one that would round to 32768. */
static void test_sums(void **state)
{
    static const float sizes[] = { 1e-3f, 0.1f, 1, 1, 30 };
    const ae_packed_format f = ae_packed_format_of(AE_Q2_K);
    float x[AE_CHUNK];
    ae_packed_x out[AE_CHUNK / AE_BLOCK + 1];
    ae_kernels k;
    ae_rng rng;

    (void)state;
    assert_true(ae_kernels_detect(&k, AE_CPU_REF));
    ae_rng_seed(&rng, 5);
    for (int round = 0; round < 500; round++) {
        int most = 0;
        for (int i = 0; i < AE_CHUNK; i++)
            x[i] = random_float(&rng) * sizes[(i / AE_BLOCK + round) % (int)AE_COUNT(sizes)];
        k.packed_quantize(out, 1, x, AE_CHUNK / AE_BLOCK, &f);
        const ae_packed_sums *s = &out[AE_CHUNK / AE_BLOCK].sums;
        for (int g = 0; g < AE_CHUNK / 16; g++) {
            const ae_packed_x *block = &out[g / 2];
            int sum = 0, size = abs(s->sum[g]);
            for (int i = 0; i < 16; i++) sum += block->q[g % 2 * 16 + i];
            double off = fabs((double)block->dx * sum - (double)s->unit * s->sum[g]) / s->unit;
            assert_true(off <= (s->sum[g] == INT16_MAX ? 1 : 0.5));
            most = size > most ? size : most;
        }
        assert_true(most >= 1 << 14);
    }
}

/* 17 / 16 * 3855 is 2^12 but for half of its last 15 bits: it rounds to 32768, and stays below. */
static void test_largest_sum(void **state)
{
    const ae_packed_format f = ae_packed_format_of(AE_Q5_K);
    float x[AE_CHUNK] = { 0 };
    ae_packed_x out[AE_CHUNK / AE_BLOCK + 1];
    ae_kernels k;

    (void)state;
    for (int i = 0; i < 31; i++) x[i] = i < 30 ? 135 : 48;
    for (ae_cpu_choice choice = AE_CPU_REF; choice <= AE_CPU_NEON; choice++) {
        if (!ae_kernels_detect(&k, choice)) continue;
        k.packed_quantize(out, 1, x, AE_CHUNK / AE_BLOCK, &f);
        assert_true(out[0].dx == 1.0625f && out[0].q[0] == 127 && out[0].q[30] == 45);
        assert_int_equal(out[AE_CHUNK / AE_BLOCK].sums.sum[0], INT16_MAX);
        assert_true(out[AE_CHUNK / AE_BLOCK].sums.unit == 0.125f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_largest_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
