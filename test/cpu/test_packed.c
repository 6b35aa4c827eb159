/* test_packed.c -- products over packed weights: what the numbers of the file say, the same bits
 * from every variant of the kernels, for any number of rows and threads, and nothing written
 * elsewhere. */
#include "cpu/kernel/kernel.h"
#include "devices.h"

#include <stdio.h>

static const ae_dtype types[] = { AE_Q4_0, AE_Q4_1, AE_Q5_0, AE_Q5_1, AE_Q8_0,   AE_Q2_K,
                                  AE_Q3_K, AE_Q4_K, AE_Q5_K, AE_Q6_K, AE_IQ4_NL, AE_IQ4_XS };

static const int64_t tokens[] = { 1, 2, 3, 5, 8, 9, 15, 16, 33, 140 };

/* Where a block has its halves, d and m (or d twice). */
static const struct {
    ae_dtype dtype;
    int at[2];
} halves[] = { { AE_Q4_0, { 0, 0 } },     { AE_Q4_1, { 0, 2 } },   { AE_Q5_0, { 0, 0 } },
               { AE_Q5_1, { 0, 2 } },     { AE_Q8_0, { 0, 0 } },   { AE_Q2_K, { 80, 82 } },
               { AE_Q3_K, { 108, 108 } }, { AE_Q4_K, { 0, 2 } },   { AE_Q5_K, { 0, 2 } },
               { AE_Q6_K, { 208, 208 } }, { AE_IQ4_NL, { 0, 0 } }, { AE_IQ4_XS, { 0, 0 } } };

/* Any content is a weight, but for halves that are not finite or huge. */
static void tame_halves(ae_rng *rng, const ae_tensor *w, size_t bytes)
{
    int64_t step = ae_dtype_info_of(w->dtype)->block_bytes;

    for (size_t i = 0; i < AE_COUNT(halves); i++)
        for (uint8_t *b = w->data; halves[i].dtype == w->dtype && b < (uint8_t *)w->data + bytes;
             b += step)
            for (int j = 0; j < 2; j++) {
                uint16_t half = ae_f32_to_f16(random_float(rng) * 0.05f);
                memcpy(b + halves[i].at[j], &half, 2);
            }
}

static ae_tensor random_weight(ae_rng *rng, ae_dtype dtype, int64_t rows, int64_t cols)
{
    ae_tensor w = { .dtype = dtype, .rows = rows, .cols = cols };
    size_t bytes;

    assert_true(ae_dtype_bytes(&bytes, dtype, rows, cols));
    w.data = ae_alloc(bytes, 1);
    for (size_t i = 0; i < bytes; i++) ((uint8_t *)w.data)[i] = (uint8_t)ae_rng_below(rng, 256);
    tame_halves(rng, &w, bytes);
    return w;
}

/* The packed form between guards; 64-byte aligned. */
typedef struct {
    uint8_t *whole, *at;
    size_t bytes;
} packed;

static packed pack(ae_device *dev, ae_tensor *w)
{
    packed p = { .bytes = dev->packed_bytes(dev, w->dtype, w->rows, w->cols) };

    assert_true(p.bytes > 0);
    p.whole = ae_alloc(p.bytes + 256, 1);
    assert_non_null(p.whole);
    memset(p.whole, 0xa5, p.bytes + 256);
    p.at = p.whole + 128 - (uintptr_t)p.whole % 64;
    assert_true(dev->pack(dev, p.at, w));
    w->packed = p.at;
    return p;
}

static void packed_free(packed p)
{
    for (const uint8_t *b = p.whole; b < p.whole + p.bytes + 256; b++)
        if ((b < p.at || b >= p.at + p.bytes) && *b != 0xa5) fail_msg("a write beside the panels");
    ae_free(p.whole);
}

/* Of 32 numbers, whole and at most 127, one is 127: rounding to 8 bits then changes nothing, and
 * the packed product is the float32 one but for its rounding. */
static buffer whole_numbers(ae_rng *rng, int64_t n)
{
    buffer x = buffer_new(n);

    for (int64_t i = 0; i < n; i++)
        x.at[i] = i % 32 == 7 ? 127 : (float)ae_rng_below(rng, 255) - 127;
    return x;
}

static void assert_product(const char *what, buffer y, buffer x, const float *bias,
                           const ae_tensor *f)
{
    int64_t N = f->rows, K = f->cols;

    for (int64_t i = 0; i < y.n; i++) {
        double want = bias ? bias[i % N] : 0, size = 1e-6;
        for (int64_t k = 0; k < K; k++) {
            double product = (double)x.at[i / N * K + k] * ae_f32(f)[i % N * K + k];
            want += product, size += fabs(product);
        }
        if (fabs(y.at[i] - want) > 4e-6 * size)
            fail_msg("%s: output %lld is %.9g, should be %.9g", what, (long long)i, y.at[i], want);
    }
}

static void check_exact(ae_device *dev, ae_arena *arena, ae_dtype dtype, int64_t N, int64_t K)
{
    const int64_t T = 3;
    char what[80];
    ae_rng rng;

    ae_rng_seed(&rng, (uint64_t)(N * 1000 + K));
    ae_tensor w = random_weight(&rng, dtype, N, K), f = weight_expanded(&w);
    packed p = pack(dev, &w);
    buffer x = whole_numbers(&rng, T * K), y = buffer_new(T * N), bias = buffer_random(&rng, N);

    snprintf(what, sizeof what, "%s %s %lldx%lld", dev->name, ae_dtype_info_of(dtype)->name,
             (long long)N, (long long)K);
    assert_int_equal(dev->linear(dev, arena, y.at, x.at, &w, bias.at, T), AERIE_OK);
    assert_product(what, y, x, bias.at, &f);
    packed_free(p);
    ae_free(w.data), ae_free(f.data);
    buffer_free(x), buffer_free(y), buffer_free(bias);
}

static const int64_t rows[] = { 1, 15, 16, 17, 40 }, cols[] = { 32, 256, 288, 768 };

static void check_every_type(ae_device *dev, ae_arena *arena)
{
    for (size_t i = 0; i < AE_COUNT(types); i++)
        for (size_t r = 0; r < AE_COUNT(rows); r++)
            for (size_t c = 0; c < AE_COUNT(cols); c++)
                if (cols[c] % ae_dtype_info_of(types[i])->block_elements == 0)
                    check_exact(dev, arena, types[i], rows[r], cols[c]);
}

static void test_right(void **state)
{
    (void)state;
    for_each_device(check_every_type);
}

/* x of ordinary numbers, some of its blocks zero, tiny or huge. */
static buffer awkward_rows(ae_rng *rng, int64_t n)
{
    static const float scales[] = { 0, 1e-42f, 1e-31f, 2e-27f, 1e-20f, 1, 1, 1, 1, 1e30f };
    buffer x = buffer_random(rng, n);

    for (int64_t b = 0; b < n / 32; b++) {
        float scale = scales[ae_rng_below(rng, AE_COUNT(scales))];
        for (int i = 0; i < 32; i++) x.at[32 * b + i] *= scale;
    }
    return x;
}

static void check_bits(ae_device *ref, ae_device *dev, ae_dtype dtype, int64_t N, int64_t K,
                       int64_t T)
{
    ae_arena arena = { 0 };
    char what[80];
    ae_rng rng;

    ae_rng_seed(&rng, (uint64_t)(N * 1000 + K * 10 + T));
    ae_tensor w = random_weight(&rng, dtype, N, K);
    packed p = pack(dev, &w);
    buffer x = awkward_rows(&rng, T * K), want = buffer_new(T * N), got = buffer_new(T * N);

    snprintf(what, sizeof what, "%s, %d threads, %s %lldx%lld, %lld rows of x", dev->name,
             dev->n_threads, ae_dtype_info_of(dtype)->name, (long long)N, (long long)K,
             (long long)T);
    assert_int_equal(ref->linear(ref, &arena, want.at, x.at, &w, NULL, T), AERIE_OK);
    assert_int_equal(dev->linear(dev, &arena, got.at, x.at, &w, NULL, T), AERIE_OK);
    assert_same_bits(what, got.at, want.at, T * N);
    assert_int_equal(arena.used, 0);
    ae_arena_free(&arena);
    packed_free(p);
    ae_free(w.data);
    buffer_free(x), buffer_free(want), buffer_free(got);
}

/* Every type with every number of rows, of x and of the weight; the columns take turns. */
static void test_same_bits(void **state)
{
    ae_device *ref = device_open(AE_CPU_REF, 2);

    (void)state;
    for (ae_cpu_choice choice = AE_CPU_AVX2; choice <= AE_CPU_NEON; choice++) {
        ae_device *dev = device_open(choice, 2);
        if (!dev) continue;
        printf("[   INFO   ] %s against ref\n", dev->name);
        for (size_t i = 0; i < AE_COUNT(types); i++)
            for (size_t t = 0; t < AE_COUNT(tokens); t++)
                for (size_t r = 0; r < AE_COUNT(rows); r++) {
                    int64_t K = cols[(i + t + r) % AE_COUNT(cols)];
                    K = ae_dtype_info_of(types[i])->block_elements == 256 && K % 256 ? 512 : K;
                    check_bits(ref, dev, types[i], rows[r], K, tokens[t]);
                }
        dev->close(dev);
    }
    ref->close(ref);
}

/* The largest quants against the largest x: sums in few bits would saturate. */
static void check_extremes(ae_device *dev, ae_arena *arena)
{
    enum { N = 17, K = 256, T = 2 };
    static const uint8_t bytes[] = { 0xff, 0x80, 0x7f, 0x00 };
    char what[80];

    for (size_t i = 0; i < AE_COUNT(types) * AE_COUNT(bytes); i++) {
        ae_rng rng;
        ae_rng_seed(&rng, i);
        ae_tensor w = random_weight(&rng, types[i % AE_COUNT(types)], N, K);
        size_t n;
        ae_dtype_bytes(&n, w.dtype, N, K);
        memset(w.data, bytes[i / AE_COUNT(types)], n);
        tame_halves(&rng, &w, n);
        packed p = pack(dev, &w);
        ae_tensor f = weight_expanded(&w);
        buffer x = buffer_new(T * K), y = buffer_new(T * N);
        for (int64_t j = 0; j < T * K; j++) x.at[j] = j < K ? 127 : -127;
        assert_int_equal(dev->linear(dev, arena, y.at, x.at, &w, NULL, T), AERIE_OK);
        snprintf(what, sizeof what, "%s %s of bytes %02x", dev->name,
                 ae_dtype_info_of(w.dtype)->name, bytes[i / AE_COUNT(types)]);
        assert_product(what, y, x, NULL, &f);
        packed_free(p);
        ae_free(w.data), ae_free(f.data);
        buffer_free(x), buffer_free(y);
    }
}

static void test_extremes(void **state)
{
    (void)state;
    for_each_device(check_extremes);
}

/* Rows of x alone give what they give together; so do parts of a weight that begin with a panel.
 */
static buffer pieces(ae_device *dev, ae_arena *arena)
{
    const int64_t T = 37, N = 170, K = 512;
    ae_rng rng;

    ae_rng_seed(&rng, 7);
    ae_tensor w = random_weight(&rng, AE_Q4_K, N, K);
    packed p = pack(dev, &w);
    buffer x = buffer_random(&rng, T * K), all = buffer_new(T * N), part = buffer_new(T * N);

    assert_int_equal(dev->linear(dev, arena, all.at, x.at, &w, NULL, T), AERIE_OK);
    for (int64_t t = 0, n = 1; t < T; t += n, n = n % 5 + 1) {
        n = t + n > T ? T - t : n;
        dev->linear(dev, arena, part.at + t * N, x.at + t * K, &w, NULL, n);
    }
    assert_same_bits("rows in pieces", part.at, all.at, all.n);
    packed_free(p);
    ae_free(w.data);
    buffer_free(x), buffer_free(part);
    return all;
}

static void test_pieces(void **state)
{
    (void)state;
    assert_threads_agree("packed", pieces);
}

/* What is not finite in a row of x spoils that row and no other. */
static void check_not_finite(ae_device *dev, ae_arena *arena)
{
    static const float values[] = { INFINITY, -INFINITY, NAN };
    const int64_t T = 3, N = 33, K = 288;

    for (size_t i = 0; i < AE_COUNT(types); i++) {
        ae_rng rng;
        if (K % ae_dtype_info_of(types[i])->block_elements) continue;
        ae_rng_seed(&rng, i);
        ae_tensor w = random_weight(&rng, types[i], N, K);
        packed p = pack(dev, &w);
        buffer x = buffer_random(&rng, T * K), y = buffer_new(T * N);

        x.at[K + 40 * (int64_t)i % K] = values[i % AE_COUNT(values)];
        assert_int_equal(dev->linear(dev, arena, y.at, x.at, &w, NULL, T), AERIE_OK);
        for (int64_t j = 0; j < T * N; j++) assert_int_equal(!isfinite(y.at[j]), j / N == 1);
        packed_free(p);
        ae_free(w.data);
        buffer_free(x), buffer_free(y);
    }
}

static void test_not_finite(void **state)
{
    (void)state;
    for_each_device(check_not_finite);
}

/* One half that is not finite is seen wherever it lies, and none where all are. */
static void check_bad_scales(ae_device *dev, ae_arena *arena)
{
    enum { N = 19, K = 512 };
    static const uint16_t bad[] = { 0x7c00, 0xfc00, 0x7e01, 0xfdff };

    (void)arena;
    for (size_t i = 0; i < AE_COUNT(halves); i++) {
        const ae_dtype_info *info = ae_dtype_info_of(halves[i].dtype);
        int64_t blocks = N * K / info->block_elements;
        ae_rng rng;
        ae_rng_seed(&rng, i);
        ae_tensor w = random_weight(&rng, halves[i].dtype, N, K);
        packed p = pack(dev, &w);
        for (int64_t b = 0; b < blocks; b++) {
            uint8_t *half = (uint8_t *)w.data + b * info->block_bytes + halves[i].at[b % 2];
            uint16_t was;
            memcpy(&was, half, 2);
            memcpy(half, &bad[b % AE_COUNT(bad)], 2);
            if (dev->pack(dev, p.at, &w))
                fail_msg("%s %s: block %lld", dev->name, info->name, (long long)b);
            memcpy(half, &was, 2);
        }
        assert_true(dev->pack(dev, p.at, &w));
        packed_free(p);
        ae_free(w.data);
    }
}

static void test_bad_scales(void **state)
{
    (void)state;
    for_each_device(check_bad_scales);
}

/* The head's log-probabilities come from the logits that linear() gives. */
static void check_log_prob(ae_device *dev, ae_arena *arena)
{
    enum { T = 3, V = 1100, D = 256 };
    const int32_t at[] = { 0, 1, 2 }, targets[] = { 5, 1090, 1023 };
    const ae_predictions predictions = { at, targets, T, 0 };
    float logp[T];
    double lse[T];
    ae_rng rng;

    ae_rng_seed(&rng, 3);
    ae_tensor w = random_weight(&rng, AE_Q6_K, V, D);
    packed p = pack(dev, &w);
    buffer x = buffer_random(&rng, T * D), y = buffer_new(T * V);

    assert_int_equal(dev->linear(dev, arena, y.at, x.at, &w, NULL, T), AERIE_OK);
    assert_int_equal(dev->log_prob(dev, arena, logp, lse, NULL, NULL, NULL, x.at, &w, &predictions),
                     AERIE_OK);
    for (int t = 0; t < T; t++) {
        float want = (float)((double)y.at[t * V + targets[t]] - lse[t]);
        assert_same_bits("log-probability", &logp[t], &want, 1);
    }
    packed_free(p);
    ae_free(w.data);
    buffer_free(x), buffer_free(y);
}

static void test_log_prob(void **state)
{
    (void)state;
    for_each_device(check_log_prob);
}

/* Types and shapes without a packed form say so; the others stay close to the file's size. */
static void test_bytes(void **state)
{
    ae_device *dev = device_open(AE_CPU_AUTO, 1);

    (void)state;
    assert_int_equal(dev->packed_bytes(dev, AE_F32, 16, 256), 0);
    assert_int_equal(dev->packed_bytes(dev, AE_F16, 16, 256), 0);
    assert_int_equal(dev->packed_bytes(dev, AE_BF16, 16, 256), 0);
    assert_int_equal(dev->packed_bytes(dev, AE_DTYPE_NONE, 16, 256), 0);
    assert_int_equal(dev->packed_bytes(dev, AE_Q4_K, 16, 128), 0);
    assert_int_equal(dev->packed_bytes(dev, AE_Q4_0, 16, 16), 0);
    assert_int_equal(dev->packed_bytes(dev, AE_Q4_0, 0, 32), 0);
    assert_int_equal(dev->packed_bytes(dev, AE_Q4_0, INT64_MAX / 32, 1 << 20), 0);
    for (size_t i = 0; i < AE_COUNT(types); i++) {
        size_t file;
        assert_true(ae_dtype_bytes(&file, types[i], 4096, 4096));
        size_t bytes = dev->packed_bytes(dev, types[i], 4096, 4096);
        assert_true(bytes >= file && (double)bytes <= 1.04 * (double)file);
    }
    dev->close(dev);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right),      cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_extremes),   cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_not_finite), cmocka_unit_test(test_bad_scales),
        cmocka_unit_test(test_log_prob),   cmocka_unit_test(test_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
