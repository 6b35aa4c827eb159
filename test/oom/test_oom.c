/* The n-th allocation fails, n = 1, 2, ... until none is left to fail: one token through a decoder
 * with a cache, and one training step. Every failure is a status (or is got around: an arena asks
 * for less), loses nothing, and the next try works. */
#include "nn/decoder.h"

#include <string.h>

enum { PROMPT = 5 };

static const int32_t ids[] = { 3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8 };
static const int32_t pos[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 };
static const uint64_t keys[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };

/* n tokens onto a cache, from an arena of its own. */
static aerie_status pass(ae_device *device, const decoder *d, ae_kv *kv, int64_t n, float *out)
{
    ae_arena arena = { 0 };
    ae_ctx cx = { .device = device, .arena = &arena };
    const int64_t len = ae_kv_len(kv);
    const ae_segment segment = { 0, n, -1, 0 };
    const ae_batch batch = { n, ids + len, pos + len, &segment, 1, &kv };
    ae_batch_reserve(&batch, &cx.error);
    const ae_tensor *y = decoder_hidden(&cx, d, &batch);
    if (y) {
        memcpy(out, y->data, (size_t)(y->rows * y->cols) * sizeof *out);
        ae_batch_commit(&batch);
    }
    ae_arena_free(&arena);
    assert_true(y != NULL || ae_ctx_status(&cx) != AERIE_OK);
    return ae_ctx_status(&cx);
}

/* A cache and its prefix, with PROMPT tokens in it, the last two its own, then one token more. */
static aerie_status one_token(ae_device *device, const decoder *d, float *out)
{
    const ae_kv_options o = { { AE_F16, DECODER_K, DECODER_HEAD }, DECODER_L, NULL, 80, false };
    ae_kv *prefix = NULL, *kv = NULL;
    aerie_status status;
    float before[PROMPT * DECODER_D];
    int64_t len = 0;

    status = ae_kv_new(&prefix, &o, NULL, 0, NULL);
    if (status) goto done;
    status = pass(device, d, prefix, 3, before);
    if (status) goto done;
    status = ae_kv_new(&kv, &o, prefix, 3, NULL);
    if (status) goto done;
    status = pass(device, d, kv, PROMPT - 3, before);
    if (status) goto done;
    len = ae_kv_len(kv);
    status = pass(device, d, kv, 1, out);
    assert_int_equal(ae_kv_len(kv), status ? len : len + 1);
    if (status) {
        /* Nothing was lost: the same token again, now that there is room. */
        assert_true(ae_alloc_has_failed());
        assert_int_equal(pass(device, d, kv, 1, out), AERIE_OK);
    }
done:
    ae_kv_free(kv);
    ae_kv_free(prefix);
    return status;
}

static void test_one_token(void **state)
{
    fixture f;
    decoder d;
    float want[DECODER_D], got[DECODER_D];
    (void)state;
    fixture_open(&f, AE_CPU_AUTO, 2, 3);
    decoder_make_lora(&d, &f, 0);
    assert_int_equal(one_token(f.device, &d, want), AERIE_OK);
    size_t bytes = ae_alloc_bytes();
    long n = 0, refused = 0;
    for (bool failed = true; failed;) {
        memset(got, 0, sizeof got);
        ae_alloc_fail_at(++n);
        aerie_status status = one_token(f.device, &d, got);
        failed = ae_alloc_has_failed();
        ae_alloc_fail_at(0);
        if (status) assert_int_equal(status, AERIE_NO_MEMORY);
        refused += status != AERIE_OK;
        assert_int_equal(ae_alloc_bytes(), bytes);
        if (!status) assert_memory_equal(got, want, sizeof want);
    }
    print_message("one token: %ld failures, %ld of them told\n", n - 1, refused);
    assert_true(refused > 4);
    fixture_close(&f);
}

static const ae_segment tree[] = { { 0, 6, -1, -1 }, { 6, 3, 0, -1 }, { 9, 3, 0, -1 } };
static const int32_t tree_pos[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 6, 7, 8 };
static const int32_t rows[] = { 5, 6, 7, 5, 9, 10 }, targets[] = { 2, 6, 5, 3, 5, 8 };

/* There and back, from an arena of its own. */
static aerie_status one_step(ae_device *device, const decoder *d)
{
    const decoder_task task = {
        d, { 12, ids, tree_pos, tree, 3, NULL }, { rows, targets, 6, 0 }, 7, keys
    };
    ae_arena arena = { 0 };
    ae_tape tape = { 0 };
    ae_ctx cx = { .device = device, .arena = &arena, .tape = &tape };
    ae_tensor *y = decoder_log_prob(&cx, &task);
    if (y) {
        for (int64_t i = 0; i < y->rows; i++) y->grad[i] = 1;
        const ae_backward to = { .device = device, .arena = &arena };
        aerie_status back = ae_tape_backward(&tape, &to, &cx.error);
        assert_int_equal(back, ae_ctx_status(&cx));
        assert_null(tape.last);
    }
    aerie_status status = ae_ctx_status(&cx);
    if (status) assert_true(strlen(cx.error.message) > 10);
    ae_arena_free(&arena);
    return status;
}

static void check_step(bool recompute, void (*make)(decoder *d, fixture *f, int64_t window))
{
    fixture f;
    decoder d;
    int64_t count;
    fixture_open(&f, AE_CPU_AUTO, 2, 5);
    make(&d, &f, 4);
    d.recompute = recompute;
    decoder_zero_grad(&d);
    assert_int_equal(one_step(f.device, &d), AERIE_OK);
    float *want = decoder_gradients(&d, &count);
    size_t bytes = ae_alloc_bytes();
    long n = 0, refused = 0;
    for (bool failed = true; failed;) {
        decoder_zero_grad(&d);
        ae_alloc_fail_at(++n);
        aerie_status status = one_step(f.device, &d);
        failed = ae_alloc_has_failed();
        ae_alloc_fail_at(0);
        if (status) assert_int_equal(status, AERIE_NO_MEMORY);
        refused += status != AERIE_OK;
        assert_int_equal(ae_alloc_bytes(), bytes);
        float *got = decoder_gradients(&d, &count);
        if (!status) assert_memory_equal(got, want, (size_t)count * sizeof *want);
        ae_free(got);
    }
    print_message("one step: %ld failures, %ld of them told\n", n - 1, refused);
    assert_true(refused > 0);
    ae_free(want);
    fixture_close(&f);
}

static void test_one_step(void **state)
{
    (void)state;
    check_step(false, decoder_make_full);
    check_step(true, decoder_make_full);
    check_step(true, decoder_make_lora);
}

/* An arena's limit, kilobyte by kilobyte, instead of a failing machine: this finds the takings that
 * lie in an arena's block. */
static void test_limits(void **state)
{
    fixture f;
    decoder d;
    (void)state;
    fixture_open(&f, AE_CPU_AUTO, 2, 5);
    decoder_make_lora(&d, &f, 4);
    d.recompute = true;
    const decoder_task task = {
        &d, { 12, ids, tree_pos, tree, 3, NULL }, { rows, targets, 6, 0 }, 7, keys
    };
    int refused = 0;
    for (size_t limit = 64;; limit += 1024) {
        ae_tape tape = { 0 };
        ae_ctx cx = fixture_ctx(&f, &tape);
        f.step.limit = limit;
        ae_tensor *y = decoder_log_prob(&cx, &task);
        const ae_backward to = { .device = f.device, .arena = &f.step };
        if (y) ae_tape_backward(&tape, &to, &cx.error);
        ae_arena_reset_all(&f.step);
        if (!ae_ctx_status(&cx)) break;
        assert_int_equal(ae_ctx_status(&cx), AERIE_NO_MEMORY);
        refused++;
    }
    print_message("limits: %d refused\n", refused);
    assert_true(refused > 10);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_token),
        cmocka_unit_test(test_one_step),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
