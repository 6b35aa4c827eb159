/* test_timed.c -- a timed device gives what the device beneath it gives, and counts it. */
#include "device/device.h"
#include "scratch.h"

#include <stddef.h>

#define AT(name) offsetof(ae_device, name)

/* What inference does not call: NULL in a timed device. */
static const size_t not_inference[] = {
    AT(rehearse),  AT(pin),          AT(limits),        AT(pack),          AT(linear_dx),
    AT(linear_dw), AT(add_rows),     AT(rmsnorm_bwd),   AT(swiglu_bwd),    AT(geglu_bwd),
    AT(dropout),   AT(soft_cap_bwd), AT(embedding_bwd), AT(attention_bwd), AT(log_prob),
    AT(row_norms), AT(log_prob_bwd), AT(dot_cols),      AT(sum_squares),   AT(adamw),
    AT(rmsprop),
};

static bool is_left_out(size_t at)
{
    for (size_t i = 0; i < AE_COUNT(not_inference); i++)
        if (not_inference[i] == at) return true;
    return false;
}

static void open_both(ae_device **inner, ae_device **outer)
{
    assert_int_equal(ae_device_open(inner, AE_CPU_REF, 1, NULL), AERIE_OK);
    assert_int_equal(ae_timed_open(outer, *inner, NULL), AERIE_OK);
}

/* A function that is new in the contract must be passed on, or named above. And none may be the
 * inner device's own: it would take the timed device for one of its kind. */
static void every_function_of_inference_is_passed_on(void **state)
{
    ae_device *inner, *outer;

    (void)state;
    open_both(&inner, &outer);
    for (size_t at = AT(close); at < sizeof(ae_device); at += sizeof(void *)) {
        const void *a, *b;
        memcpy(&a, (char *)inner + at, sizeof a);
        memcpy(&b, (char *)outer + at, sizeof b);
        if ((!b != is_left_out(at)) || (b && a == b))
            fail_msg("src/device/timed.c does not know the function at %zu of ae_device", at);
    }
    outer->close(outer);
    inner->close(inner);
}

static void calls_are_counted(void **state)
{
    enum { T = 3, N = 8, K = 32 };
    ae_device *inner, *outer;
    ae_arena arena = { 0 };
    float x[T * K], w[2][N * K], y[T * N], expected[T * N];
    int64_t n;

    (void)state;
    for (int i = 0; i < T * K; i++) x[i] = (float)(i % 7) - 3;
    for (int i = 0; i < 2 * N * K; i++) w[i / (N * K)][i % (N * K)] = (float)(i % 5) - 2;
    open_both(&inner, &outer);
    for (int i = 0; i < 6; i++) {
        ae_tensor weight = { .dtype = AE_F32, .rows = N, .cols = K, .data = w[i % 2] };
        assert_int_equal(outer->linear(outer, &arena, y, x, &weight, NULL, T), AERIE_OK);
        inner->linear(inner, &arena, expected, x, &weight, NULL, T);
        assert_memory_equal(y, expected, sizeof y);
    }
    outer->add(outer, y, expected, expected, T * N);
    assert_true(y[5] == 2 * expected[5]);

    const ae_timed_entry *e = ae_timed_entries(outer, &n);
    assert_int_equal(n, 3); /* a function over two weights, and one */
    assert_string_equal(e[1].what, "linear");
    assert_ptr_equal(e[1].weight, w[1]);
    assert_int_equal(e[1].calls, 3);
    assert_true(e[1].float_operations == 3 * 2.0 * T * N * K && e[1].byte_operations == 0);
    assert_true(e[1].bytes == 3 * 4.0 * (N * K + T * (N + K)));
    assert_string_equal(e[2].what, "add");
    assert_int_equal(e[2].calls, 1);
    ae_timed_clear(outer);
    ae_timed_entries(outer, &n);
    assert_int_equal(n, 0);
    outer->close(outer);
    inner->close(inner);
    ae_arena_free(&arena);
    for (long i = 1; i <= 2; i++) {
        assert_int_equal(ae_device_open(&inner, AE_CPU_REF, 1, NULL), AERIE_OK);
        ae_alloc_fail_at(i);
        assert_int_equal(ae_timed_open(&outer, inner, NULL), AERIE_NO_MEMORY);
        ae_alloc_fail_at(0);
        assert_null(outer);
        inner->close(inner);
    }
    assert_int_equal(ae_alloc_bytes(), 0);
}

/* Nothing is said of how much: machines differ. */
static void limits_are_measured(void **state)
{
    ae_device *dev;
    ae_arena arena = { 0 };
    ae_device_limits limits;

    (void)state;
    for (ae_cpu_choice choice = AE_CPU_AUTO; choice <= AE_CPU_NEON; choice++) {
        if (ae_device_open(&dev, choice, 2, NULL)) continue;
        assert_int_equal(dev->limits(dev, &arena, &limits), AERIE_OK);
        assert_true(limits.read_bytes > 0 && limits.byte_operations >= 0 &&
                    limits.float_operations >= 0);
        assert_int_equal(arena.used, 0);
        arena.limit = 1 << 20;
        assert_int_equal(dev->limits(dev, &arena, &limits), AERIE_NO_MEMORY);
        arena.limit = 0;
        dev->close(dev);
    }
    ae_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_function_of_inference_is_passed_on),
        cmocka_unit_test(calls_are_counted),
        cmocka_unit_test(limits_are_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
