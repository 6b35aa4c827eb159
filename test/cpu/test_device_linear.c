/* test_device_linear.c -- products with weights: right, and the same bits however they are cut. */
#include "devices.h"

typedef struct {
    int64_t T, N, K;
} shape;

static const shape shapes[] = {
    { 1, 1, 1 },     { 1, 33, 65 },   { 2, 31, 17 },   { 3, 100, 300 },
    { 9, 257, 256 }, { 50, 70, 513 }, { 13, 300, 48 }, { 200, 24, 40 }
};

/* y, dx or dw of one shape by the plain formula in double; each starts from `start`. */
static void plain_linear(float *y, const float *x, const float *w, const float *bias, shape s)
{
    for (int64_t t = 0; t < s.T; t++)
        for (int64_t n = 0; n < s.N; n++) {
            double sum = bias ? bias[n] : 0;
            for (int64_t k = 0; k < s.K; k++) sum += (double)x[t * s.K + k] * w[n * s.K + k];
            y[t * s.N + n] = (float)sum;
        }
}

static void plain_dx(float *dx, const float *dy, const float *w, shape s)
{
    for (int64_t t = 0; t < s.T; t++)
        for (int64_t k = 0; k < s.K; k++) {
            double sum = dx[t * s.K + k];
            for (int64_t n = 0; n < s.N; n++) sum += (double)dy[t * s.N + n] * w[n * s.K + k];
            dx[t * s.K + k] = (float)sum;
        }
}

static void plain_dw(float *dw, const float *dy, const float *x, shape s)
{
    for (int64_t n = 0; n < s.N; n++)
        for (int64_t k = 0; k < s.K; k++) {
            double sum = dw[n * s.K + k];
            for (int64_t t = 0; t < s.T; t++) sum += (double)dy[t * s.N + n] * x[t * s.K + k];
            dw[n * s.K + k] = (float)sum;
        }
}

static void check_shape(ae_device *dev, ae_arena *arena, shape s, uint64_t seed)
{
    ae_rng rng;
    ae_rng_seed(&rng, seed);
    buffer x = buffer_random(&rng, s.T * s.K), dy = buffer_random(&rng, s.T * s.N);
    buffer bias = buffer_random(&rng, s.N), y = buffer_new(s.T * s.N), want = buffer_new(s.T * s.N);
    buffer dx = buffer_random(&rng, s.T * s.K), want_dx = buffer_copy(dx);
    buffer dw = buffer_random(&rng, s.N * s.K), want_dw = buffer_copy(dw);
    ae_tensor w = weight_random(&rng, AE_F32, s.N, s.K);

    assert_int_equal(dev->linear(dev, arena, y.at, x.at, &w, seed % 2 ? bias.at : NULL, s.T), 0);
    plain_linear(want.at, x.at, w.data, seed % 2 ? bias.at : NULL, s);
    assert_close("linear", y.at, want.at, y.n, 2e-6, sqrt((double)s.K) * 4);
    assert_int_equal(dev->linear_dx(dev, arena, dx.at, dy.at, &w, s.T), 0);
    plain_dx(want_dx.at, dy.at, w.data, s);
    assert_close("linear_dx", dx.at, want_dx.at, dx.n, 2e-6, sqrt((double)s.N) * 4);
    dev->linear_dw(dev, dw.at, dy.at, x.at, s.T, s.N, s.K);
    plain_dw(want_dw.at, dy.at, x.at, s);
    assert_close("linear_dw", dw.at, want_dw.at, dw.n, 2e-6, sqrt((double)s.T) * 4);

    ae_free(w.data);
    buffer_free(x), buffer_free(dy), buffer_free(bias), buffer_free(y), buffer_free(want);
    buffer_free(dx), buffer_free(want_dx), buffer_free(dw), buffer_free(want_dw);
}

static void all_shapes(ae_device *dev, ae_arena *arena)
{
    for (size_t i = 0; i < AE_COUNT(shapes); i++)
        for (uint64_t seed = 1; seed <= 2; seed++) check_shape(dev, arena, shapes[i], seed);
}

static void test_right(void **state)
{
    (void)state;
    for_each_device(all_shapes);
}

/* A weight of any type gives the bits of its float32 copy, both ways. */
static void check_types(ae_device *dev, ae_arena *arena)
{
    static const shape sizes[] = { { 1, 70, 512 }, { 9, 35, 768 }, { 3, 300, 256 } };

    for (size_t i = 0; i < AE_COUNT(stored_types) * AE_COUNT(sizes); i++) {
        shape s = sizes[i % AE_COUNT(sizes)];
        ae_dtype type = stored_types[i / AE_COUNT(sizes)];
        ae_rng rng;
        ae_rng_seed(&rng, i);
        ae_tensor w = weight_random(&rng, type, s.N, s.K), f = weight_expanded(&w);
        buffer x = buffer_random(&rng, s.T * s.K), dy = buffer_random(&rng, s.T * s.N);
        buffer y1 = buffer_new(s.T * s.N), y2 = buffer_new(s.T * s.N);
        buffer dx1 = buffer_new(s.T * s.K), dx2 = buffer_new(s.T * s.K);

        assert_int_equal(dev->linear(dev, arena, y1.at, x.at, &w, NULL, s.T), 0);
        assert_int_equal(dev->linear(dev, arena, y2.at, x.at, &f, NULL, s.T), 0);
        assert_same_bits(ae_dtype_info_of(type)->name, y1.at, y2.at, y1.n);
        assert_int_equal(dev->linear_dx(dev, arena, dx1.at, dy.at, &w, s.T), 0);
        assert_int_equal(dev->linear_dx(dev, arena, dx2.at, dy.at, &f, s.T), 0);
        assert_same_bits(ae_dtype_info_of(type)->name, dx1.at, dx2.at, dx1.n);
        ae_free(w.data);
        ae_free(f.data);
        buffer_free(x), buffer_free(dy), buffer_free(y1), buffer_free(y2);
        buffer_free(dx1), buffer_free(dx2);
    }
}

static void test_types(void **state)
{
    (void)state;
    for_each_device(check_types);
}

/* Rows alone, in pairs and in odd pieces give what the whole batch gives; so do the gradients of
 * weights when the rows come in several calls. */
static void check_pieces(ae_device *dev, ae_arena *arena)
{
    const shape s = { 50, 100, 300 };
    ae_rng rng;
    ae_rng_seed(&rng, 7);
    ae_tensor w = weight_random(&rng, AE_F32, s.N, s.K);
    buffer x = buffer_random(&rng, s.T * s.K), dy = buffer_random(&rng, s.T * s.N);
    buffer y = buffer_new(s.T * s.N), dx = buffer_new(s.T * s.K), dw = buffer_new(s.N * s.K);
    buffer y2 = buffer_new(s.T * s.N), dx2 = buffer_new(s.T * s.K), dw2 = buffer_new(s.N * s.K);

    assert_int_equal(dev->linear(dev, arena, y.at, x.at, &w, NULL, s.T), 0);
    assert_int_equal(dev->linear_dx(dev, arena, dx.at, dy.at, &w, s.T), 0);
    dev->linear_dw(dev, dw.at, dy.at, x.at, s.T, s.N, s.K);
    for (int64_t t = 0, n = 1; t < s.T; t += n, n = n % 17 + 3) {
        if (n > s.T - t) n = s.T - t;
        const float *part = x.at + t * s.K, *dpart = dy.at + t * s.N;
        assert_int_equal(dev->linear(dev, arena, y2.at + t * s.N, part, &w, NULL, n), 0);
        assert_int_equal(dev->linear_dx(dev, arena, dx2.at + t * s.K, dpart, &w, n), 0);
        dev->linear_dw(dev, dw2.at, dpart, part, n, s.N, s.K);
    }
    assert_same_bits("linear in pieces", y2.at, y.at, y.n);
    assert_same_bits("linear_dx in pieces", dx2.at, dx.at, dx.n);
    assert_same_bits("linear_dw in pieces", dw2.at, dw.at, dw.n);
    for (int64_t t = 0; t < s.T; t++)
        assert_int_equal(dev->linear(dev, arena, y2.at + t * s.N, x.at + t * s.K, &w, NULL, 1), 0);
    assert_same_bits("linear row by row", y2.at, y.at, y.n);
    ae_free(w.data);
    buffer_free(x), buffer_free(dy), buffer_free(y), buffer_free(dx), buffer_free(dw);
    buffer_free(y2), buffer_free(dx2), buffer_free(dw2);
}

static void test_pieces(void **state)
{
    (void)state;
    for_each_device(check_pieces);
}

static buffer all_three(ae_device *dev, ae_arena *arena)
{
    const shape s = { 300, 200, 600 };
    ae_rng rng;
    ae_rng_seed(&rng, 3);
    ae_tensor w = weight_random(&rng, AE_F32, s.N, s.K);
    buffer x = buffer_random(&rng, s.T * s.K), dy = buffer_random(&rng, s.T * s.N);
    buffer out = buffer_new(s.T * s.N + s.T * s.K + s.N * s.K);
    float *dx = out.at + s.T * s.N, *dw = dx + s.T * s.K;

    assert_int_equal(dev->linear(dev, arena, out.at, x.at, &w, NULL, s.T), 0);
    assert_int_equal(dev->linear_dx(dev, arena, dx, dy.at, &w, s.T), 0);
    dev->linear_dw(dev, dw, dy.at, x.at, s.T, s.N, s.K);
    ae_free(w.data);
    buffer_free(x), buffer_free(dy);
    return out;
}

static void test_threads(void **state)
{
    (void)state;
    assert_threads_agree("linear, dx, dw", all_three);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
