/* test_device_rows.c -- the device's functions over rows and elements: what crosses rows adds in
 * order, nothing depends on the number of threads, dropout's mask not on the packing. */
#include "devices.h"

/* Gradients of a norm's weight, of an embedding and of a bias: rows in several calls give the bits
 * of one call. */
static void check_splits(ae_device *dev, ae_arena *arena)
{
    enum { T = 40, D = 150, V = 12 };
    ae_rng rng;
    ae_rng_seed(&rng, 1);
    buffer x = buffer_random(&rng, T * D), dy = buffer_random(&rng, T * D);
    buffer w = buffer_random(&rng, D), y = buffer_new(T * D), rstd = buffer_new(T);
    buffer one[3], two[3];
    int32_t ids[T];

    (void)arena;
    for (int i = 0; i < T; i++) ids[i] = (int32_t)ae_rng_below(&rng, V);
    for (int i = 0; i < 3; i++) {
        one[i] = buffer_random(&rng, V * D);
        two[i] = buffer_copy(one[i]);
    }
    dev->rmsnorm(dev, y.at, rstd.at, x.at, w.at, T, D, 1e-5f);
    dev->rmsnorm_bwd(dev, NULL, one[0].at, dy.at, x.at, w.at, rstd.at, T, D);
    dev->embedding_bwd(dev, one[1].at, dy.at, ids, T, V, D);
    dev->add_rows(dev, one[2].at, dy.at, T, D);
    for (int64_t t = 0, n = 1; t < T; t += n, n++) {
        if (n > T - t) n = T - t;
        dev->rmsnorm_bwd(dev, NULL, two[0].at, dy.at + t * D, x.at + t * D, w.at, rstd.at + t, n,
                         D);
        dev->embedding_bwd(dev, two[1].at, dy.at + t * D, ids + t, n, V, D);
        dev->add_rows(dev, two[2].at, dy.at + t * D, n, D);
    }
    for (int i = 0; i < 3; i++) {
        assert_same_bits("rows in pieces", two[i].at, one[i].at, V * D);
        buffer_free(one[i]), buffer_free(two[i]);
    }
    buffer_free(x), buffer_free(dy), buffer_free(w), buffer_free(y), buffer_free(rstd);
}

static void test_splits(void **state)
{
    (void)state;
    for_each_device(check_splits);
}

/* Rows of a table of any type, some of them twice. */
static void check_embedding(ae_device *dev, ae_arena *arena)
{
    static const int32_t ids[] = { 3, 0, 8, 3, 1 };

    (void)arena;
    for (size_t i = 0; i < AE_COUNT(stored_types); i++) {
        ae_rng rng;
        ae_rng_seed(&rng, i);
        ae_tensor w = weight_random(&rng, stored_types[i], 9, 256), f = weight_expanded(&w);
        buffer y = buffer_new((int64_t)AE_COUNT(ids) * 256);

        dev->embedding(dev, y.at, &w, ids, AE_COUNT(ids));
        for (size_t t = 0; t < AE_COUNT(ids); t++)
            assert_same_bits("embedding", y.at + t * 256, ae_f32(&f) + ids[t] * 256, 256);
        ae_free(w.data), ae_free(f.data);
        buffer_free(y);
    }
}

static void test_embedding(void **state)
{
    (void)state;
    for_each_device(check_embedding);
}

/* About p of the elements are dropped, the others scaled; a row's mask goes with its key. */
static void check_dropout(ae_device *dev, ae_arena *arena)
{
    enum { T = 50, D = 301 };
    static const float rates[] = { 0, 0.1f, 0.5f, 1 };
    uint64_t keys[T], turned[T];
    ae_rng rng;
    ae_rng_seed(&rng, 5);
    buffer x = buffer_random(&rng, T * D), y = buffer_new(T * D), z = buffer_random(&rng, T * D);
    buffer start = buffer_copy(z);

    (void)arena;
    for (int t = 0; t < T; t++) turned[T - 1 - t] = keys[t] = (uint64_t)t * 977;
    for (size_t i = 0; i < AE_COUNT(rates); i++) {
        float p = rates[i];
        int64_t dropped = 0;
        dev->dropout(dev, y.at, x.at, keys, 42, p, T, D, false);
        memcpy(z.at, start.at, T * D * sizeof *z.at);
        dev->dropout(dev, z.at, x.at, keys, 42, p, T, D, true);
        for (int64_t j = 0; j < T * D; j++) {
            float scale = p < 1 ? 1 / (1 - p) : 0;
            dropped += y.at[j] == 0;
            assert_true(y.at[j] == 0 || y.at[j] == x.at[j] * scale);
            assert_true(z.at[j] == start.at[j] + y.at[j]);
        }
        assert_true(fabs((double)dropped / (T * D) - p) < 0.012);
        for (int64_t t = 0; t < T; t++)
            memcpy(z.at + t * D, x.at + (T - 1 - t) * D, D * sizeof(float));
        dev->dropout(dev, z.at, z.at, turned, 42, p, T, D, false);
        for (int64_t t = 0; t < T; t++)
            assert_same_bits("dropout", z.at + t * D, y.at + (T - 1 - t) * D, D);
    }
    buffer_free(x), buffer_free(y), buffer_free(z), buffer_free(start);
}

static void test_dropout(void **state)
{
    (void)state;
    for_each_device(check_dropout);
}

/* Everything else, large enough for several tasks. */
static buffer everything(ae_device *dev, ae_arena *arena)
{
    enum { T = 130, D = 256, N = T * D };
    ae_adamw_step step = { 1e-2, 0.9, 0.999, 1e-8, 0.1, 1, 0.1, 1e-3 };
    ae_rmsprop_step rms = { 1e-2, 0.99, 1e-8, 0.1, 1 };
    ae_rng rng;
    ae_rng_seed(&rng, 9);
    buffer a = buffer_random(&rng, N), b = buffer_random(&rng, N), w = buffer_random(&rng, D);
    buffer out = buffer_random(&rng, 13 * N + D + T + 1);
    float *o = out.at, *rest = o + 13 * N;

    (void)arena;
    dev->rmsnorm(dev, o, rest, a.at, w.at, T, D, 1e-5f);
    dev->rmsnorm_bwd(dev, o + N, rest + T, b.at, a.at, w.at, rest, T, D);
    dev->rope(dev, o + 2 * N, a.at, b.at, b.at + N / 2, T, 4, D / 4, false, true, true);
    dev->swiglu(dev, o + 3 * N, a.at, b.at, N);
    dev->swiglu_bwd(dev, o + 4 * N, o + 5 * N, b.at, a.at, b.at, N);
    dev->add(dev, o + 6 * N, a.at, b.at, N);
    dev->add_to(dev, o + 6 * N, a.at, 0.3f, N);
    for (int64_t i = 9 * N; i < 12 * N; i++) o[i] = fabsf(o[i]);
    dev->adamw(dev, o + 7 * N, o + 8 * N, o + 9 * N, a.at, N, &step);
    dev->rmsprop(dev, o + 10 * N, o + 11 * N, a.at, N, &rms);
    dev->scale_cols(dev, o + 12 * N, a.at, w.at, w.at, T, D, false);
    dev->dot_cols(dev, rest + T, a.at, b.at, w.at, T, D);
    rest[T + D] = (float)dev->sum_squares(dev, a.at, N);
    buffer_free(a), buffer_free(b), buffer_free(w);
    return out;
}

static void test_threads(void **state)
{
    (void)state;
    assert_threads_agree("rows and elements", everything);
}

/* Fixed chunks, added in order: the sum of a longer array than one wave of chunks. */
static void check_sum_squares(ae_device *dev, ae_arena *arena)
{
    enum { N = 4096 * 1024 + 5000 };
    buffer x = buffer_new(N);

    (void)arena;
    for (int64_t i = 0; i < N; i++) x.at[i] = (float)(i % 3);
    assert_true(dev->sum_squares(dev, x.at, N) == N / 3 * 5 + (N % 3 > 1));
    assert_true(dev->sum_squares(dev, x.at, 0) == 0);
    buffer_free(x);
}

static void test_sum_squares(void **state)
{
    (void)state;
    for_each_device(check_sum_squares);
}

/* What needs scratch says so when there is none, and gives back what it had. */
static void check_no_room(ae_device *dev, ae_arena *arena)
{
    static float x[64], y[64];
    static const int32_t zero = 0;
    ae_tensor w = { .dtype = AE_F32, .rows = 8, .cols = 8, .data = x };
    ae_attention_shape shape = { .n_heads = 1, .n_kv_heads = 1, .head_dim = 8, .scale = 1 };
    ae_attention_span span = { x, x, y, y, 1, 8 };
    ae_attention_sequence seq = { 0, 1, &span, 1, 1, 0 };
    ae_predictions p = { &zero, &zero, 1, 0 };
    double lse = 0;

    for (arena->limit = 64; arena->limit < 4096; arena->limit *= 2) {
        assert_int_equal(dev->linear(dev, arena, y, x, &w, NULL, 1), AERIE_NO_MEMORY);
        assert_int_equal(dev->linear_dx(dev, arena, y, x, &w, 1), AERIE_NO_MEMORY);
        assert_int_equal(dev->attention(dev, arena, y, y, x, &seq, 1, &shape), AERIE_NO_MEMORY);
        assert_int_equal(dev->attention_bwd(dev, arena, y, x, x, x, x, &seq, 1, &shape),
                         AERIE_NO_MEMORY);
        assert_int_equal(dev->log_prob(dev, arena, y, &lse, NULL, NULL, NULL, x, &w, &p),
                         AERIE_NO_MEMORY);
        assert_int_equal(
            dev->log_prob_bwd(dev, arena, y, NULL, x, NULL, NULL, NULL, &lse, x, &w, &p),
            AERIE_NO_MEMORY);
        assert_int_equal(arena->used, 0);
    }
    arena->limit = 0;
}

static void test_no_room(void **state)
{
    (void)state;
    for_each_device(check_no_room);
}

static void test_choices(void **state)
{
    ae_cpu_choice choice = AE_CPU_REF;
    aerie_error err = { 0 };
    ae_device *dev = NULL;

    (void)state;
    assert_int_equal(ae_cpu_choice_parse(&choice, "avx512", &err), AERIE_OK);
    assert_int_equal(choice, AE_CPU_AVX512);
    assert_int_equal(ae_cpu_choice_parse(&choice, "sse", &err), AERIE_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "\"sse\""));
    assert_int_equal(ae_device_open(&dev, AE_CPU_AUTO, 2, NULL), AERIE_OK);
    assert_int_equal(dev->n_threads, 2);
    dev->close(dev);
#if defined(__x86_64__)
    ae_cpu_choice foreign = AE_CPU_NEON;
#else
    ae_cpu_choice foreign = AE_CPU_AVX2;
#endif
    assert_int_equal(ae_device_open(&dev, foreign, 1, NULL), AERIE_UNSUPPORTED);
    assert_true(dev == NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_splits),      cmocka_unit_test(test_embedding),
        cmocka_unit_test(test_dropout),     cmocka_unit_test(test_threads),
        cmocka_unit_test(test_sum_squares), cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_choices),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
