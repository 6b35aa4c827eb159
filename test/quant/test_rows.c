/* test_rows.c -- rows into blocks: how near they come, what importance does, awkward rows, and the
 * same bits by every search. */
#include "scratch.h"

#include "quant/quant.h"
#include "quant/search.h"

#include <math.h>

enum { COLS = 512, ROWS = 16 };

static const ae_dtype written[] = { AE_Q2_K, AE_Q3_K, AE_Q4_0, AE_Q4_1, AE_Q4_K, AE_Q5_0, AE_Q5_1,
                                    AE_Q5_K, AE_Q6_K, AE_Q8_0, AE_F16,  AE_BF16, AE_F32 };

static ae_rng seeded(uint64_t seed)
{
    ae_rng rng;

    ae_rng_seed(&rng, seed);
    return rng;
}

/* sum w * error^2 of a row there and back. */
static double error_of(ae_dtype dtype, const float *x, const float *importance, const float *w)
{
    uint8_t bytes[COLS * 4];
    float back[COLS];
    double sum = 0;

    assert_true(ae_quantize_row(dtype, x, COLS, importance, bytes));
    assert_true(ae_dtype_decode_row(dtype, bytes, COLS, back));
    for (int i = 0; i < COLS; i++) {
        double off = (double)back[i] - (double)x[i];
        sum += (w ? (double)w[i] : 1) * off * off;
    }
    return sum;
}

/* The relative error of normal numbers, by type; a little above what the search gives, and below
 * what llama.cpp's quantizer does (docs/quantization.md). */
static void normal_numbers_come_back(void **state)
{
    static const double most[] = { 0.270,  0.1450, 0.0885, 0.0735, 0.0720, 0.0450, 0.0355,
                                   0.0345, 0.0192, 0.0060, 0.0003, 0.0018, 0 };
    float x[COLS];

    (void)state;
    for (size_t t = 0; t < AE_COUNT(written); t++) {
        ae_rng rng = seeded(11);
        double error = 0, all = 0;
        for (int r = 0; r < ROWS; r++) {
            for (int i = 0; i < COLS; i++) x[i] = ae_rng_normal(&rng);
            for (int i = 0; i < COLS; i++) all += (double)x[i] * (double)x[i];
            error += error_of(written[t], x, NULL, NULL);
        }
        double relative = sqrt(error / all);
        if (relative > most[t])
            fail_msg("%s: relative error %.5f, above %.5f", ae_dtype_info_of(written[t])->name,
                     relative, most[t]);
    }
}

/* Numbers that a type holds come back but for the rounding of its halves, at most 2^-11 of each. */
static void what_fits_comes_back(void **state)
{
    static const struct {
        ae_dtype dtype;
        int lo, hi;
    } grids[] = { { AE_Q2_K, 0, 3 },  { AE_Q3_K, -4, 3 }, { AE_Q4_0, -8, 7 },
                  { AE_Q4_1, 0, 15 }, { AE_Q4_K, 0, 15 }, { AE_Q5_0, -16, 15 },
                  { AE_Q5_1, 0, 31 }, { AE_Q5_K, 0, 31 }, { AE_Q6_K, -32, 31 } };
    float x[COLS];

    (void)state;
    for (size_t t = 0; t < AE_COUNT(grids); t++) {
        ae_rng rng = seeded(t + 1);
        double all = 0;
        uint64_t n = (uint64_t)(grids[t].hi - grids[t].lo + 1);
        for (int i = 0; i < COLS; i++)
            x[i] = 0.25f * (float)(grids[t].lo + (int)ae_rng_below(&rng, n));
        for (int i = 0; i < COLS; i += 16) { /* every group uses its whole range */
            x[i] = 0.25f * (float)grids[t].lo;
            x[i + 1] = 0.25f * (float)grids[t].hi;
        }
        for (int i = 0; i < COLS; i++) all += (double)x[i] * (double)x[i];
        double error = error_of(grids[t].dtype, x, NULL, NULL);
        if (error > all * ldexp(1, -22))
            fail_msg("%s: error %g of %g on its own grid", ae_dtype_info_of(grids[t].dtype)->name,
                     error, all);
    }
}

static void importance_moves_the_error(void **state)
{
    float x[COLS], w[COLS];

    (void)state;
    for (size_t t = 0; written[t] != AE_Q8_0; t++) {
        ae_rng rng = seeded(5);
        double with = 0, without = 0;
        for (int i = 0; i < COLS; i++) w[i] = expf(2 * ae_rng_normal(&rng));
        for (int r = 0; r < ROWS; r++) {
            for (int i = 0; i < COLS; i++) x[i] = ae_rng_normal(&rng);
            with += error_of(written[t], x, w, w);
            without += error_of(written[t], x, NULL, w);
        }
        if (with > 0.9 * without)
            fail_msg("%s: weighted error %g with importance, %g without",
                     ae_dtype_info_of(written[t])->name, with, without);
    }
}

/* Zeros, one number, constants, huge and tiny numbers, columns that count for nothing: finite, and
 * no further off than the row's largest number (a half cannot hold the scale of the huge ones). */
static void fill_awkward(float *x, int kind, ae_rng *rng)
{
    for (int i = 0; i < COLS; i++) {
        float v = ae_rng_normal(rng);
        switch (kind) {
        case 0:
            x[i] = i % 2 ? 0.0f : -0.0f;
            break;
        case 1:
            x[i] = i == 77 ? -3 : 0;
            break;
        case 2:
            x[i] = 0.7f;
            break;
        case 3:
            x[i] = -0.7f;
            break;
        case 4:
            x[i] = v * 1e-30f;
            break;
        case 5:
            x[i] = v * 1e-7f;
            break;
        case 6:
            x[i] = i % 3 ? v : v * 1e4f;
            break;
        case 7:
            x[i] = 5 + 0.01f * v;
            break;
        case 8:
            x[i] = v > 0 ? 3.4e38f : -3.4e38f;
            break;
        default:
            x[i] = v * 1e-42f;
        }
    }
}

static void awkward_rows_are_defined(void **state)
{
    enum { KINDS = 10 };
    float x[COLS], none[COLS] = { 0 }, some[COLS] = { 0 };
    const float *const weights[] = { NULL, none, some };

    (void)state;
    some[3] = 3e38f;
    some[300] = 1e-40f;
    for (size_t t = 0; written[t] != AE_Q8_0; t++)
        for (int kind = 0; kind < KINDS; kind++)
            for (size_t w = 0; w < AE_COUNT(weights); w++) {
                ae_rng rng = seeded(3);
                double most = 0;
                uint8_t bytes[COLS * 4];
                float back[COLS];
                fill_awkward(x, kind, &rng);
                assert_true(ae_quantize_row(written[t], x, COLS, weights[w], bytes));
                assert_true(ae_dtype_decode_row(written[t], bytes, COLS, back));
                for (int i = 0; i < COLS; i++) most = fmax(most, fabs((double)x[i]));
                for (int i = 0; i < COLS; i++)
                    if (!isfinite(back[i]) || fabs((double)back[i] - (double)x[i]) > most * 2.01)
                        fail_msg("%s, row kind %d, weights %zu: element %d was %g, is %g",
                                 ae_dtype_info_of(written[t])->name, kind, w, i, (double)x[i],
                                 (double)back[i]);
            }
}

static void every_search_gives_the_same_bits(void **state)
{
#if defined(__x86_64__)
    float x[COLS], w[COLS];

    (void)state;
    if (!__builtin_cpu_supports("avx2")) skip();
    for (size_t t = 0; t < AE_COUNT(written); t++)
        for (int kind = 0; kind < 12; kind++) {
            ae_rng rng = seeded((uint64_t)kind);
            uint8_t a[COLS * 4] = { 0 }, b[COLS * 4] = { 0 };
            fill_awkward(x, kind, &rng);
            if (kind >= 10)
                for (int i = 0; i < COLS; i++) x[i] = ae_rng_normal(&rng);
            for (int i = 0; i < COLS; i++) w[i] = expf(ae_rng_normal(&rng));
            assert_true(
                ae_quantize_row_by(&ae_search_here, written[t], x, COLS, kind == 11 ? w : NULL, a));
            assert_true(ae_quantize_row_by(&ae_search_here_avx2, written[t], x, COLS,
                                           kind == 11 ? w : NULL, b));
            if (memcmp(a, b, sizeof a))
                fail_msg("%s, row kind %d", ae_dtype_info_of(written[t])->name, kind);
        }
#else
    (void)state;
    skip();
#endif
}

static void what_is_not_written_is_refused(void **state)
{
    float x[COLS] = { 0 };
    uint8_t out[COLS * 4];

    (void)state;
    assert_false(ae_quantize_row(AE_IQ4_NL, x, COLS, NULL, out));
    assert_false(ae_quantize_row(AE_IQ4_XS, x, COLS, NULL, out));
    assert_false(ae_quantize_row(AE_DTYPE_NONE, x, COLS, NULL, out));
    assert_false(ae_quantize_row(AE_Q4_K, x, 32, NULL, out));
    assert_false(ae_quantize_row(AE_Q4_0, x, 33, NULL, out));
    assert_false(ae_quantize_row(AE_Q4_0, x, -32, NULL, out));
    assert_true(ae_quantize_row(AE_Q4_K, x, 0, NULL, out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normal_numbers_come_back),
        cmocka_unit_test(what_fits_comes_back),
        cmocka_unit_test(importance_moves_the_error),
        cmocka_unit_test(awkward_rows_are_defined),
        cmocka_unit_test(every_search_gives_the_same_bits),
        cmocka_unit_test(what_is_not_written_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
