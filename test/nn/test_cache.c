/* Tokens through caches give the bits of one packed pass: one at a time, in chunks, side by side,
 * from a lent prefix, after forgetting. */
#include "nn/decoder.h"

#include <string.h>

enum { N = 23, WIDTH = DECODER_K * DECODER_HEAD };

static int32_t ids[2][N], pos[N];

static void make_ids(void)
{
    for (int i = 0; i < N; i++) {
        ids[0][i] = (i * 7 + 3) % DECODER_V;
        ids[1][i] = i < 9 ? ids[0][i] : (i * 11 + 5) % DECODER_V;
        pos[i] = i;
    }
}

/* Hidden states of a whole sequence, without a cache. */
static void pass_whole(fixture *f, const decoder *d, int sequence, float *out)
{
    const ae_segment segment = { 0, N, -1, -1 };
    const ae_batch batch = { N, ids[sequence], pos, &segment, 1, NULL };
    ae_ctx cx = fixture_ctx(f, NULL);
    const ae_tensor *y = decoder_hidden(&cx, d, &batch);
    if (!y) fail_msg("%s", cx.error.message);
    memcpy(out, y->data, sizeof(float) * N * DECODER_D);
    ae_arena_reset_all(&f->step);
}

static aerie_status pass_batch(fixture *f, const decoder *d, const ae_batch *batch, float *out)
{
    ae_ctx cx = fixture_ctx(f, NULL);
    ae_batch_reserve(batch, &cx.error);
    const ae_tensor *y = decoder_hidden(&cx, d, batch);
    if (y) {
        memcpy(out, y->data, (size_t)(y->rows * y->cols) * sizeof *out);
        ae_batch_commit(batch);
    }
    ae_arena_reset_all(&f->step);
    return ae_ctx_status(&cx);
}

/* The next n tokens of a sequence. */
static aerie_status pass_more(fixture *f, const decoder *d, int sequence, ae_kv *kv, int64_t n,
                              float *out)
{
    const int64_t len = ae_kv_len(kv);
    const ae_segment segment = { 0, n, -1, 0 };
    const ae_batch batch = { n, ids[sequence] + len, pos + len, &segment, 1, &kv };
    return pass_batch(f, d, &batch, out + len * DECODER_D);
}

static ae_kv *new_kv(int64_t capacity, const ae_kv *prefix, int64_t prefix_len)
{
    ae_kv *kv;
    aerie_error err = { 0 };
    if (ae_kv_new(&kv, DECODER_L, WIDTH, capacity, prefix, prefix_len, &err))
        fail_msg("%s", err.message);
    return kv;
}

typedef struct {
    fixture f;
    decoder d;
    float whole[2][N * DECODER_D], out[2][N * DECODER_D];
} setting;

static void open_setting(setting *s, int64_t window, int threads)
{
    make_ids();
    memset(s, 0, sizeof *s);
    fixture_open(&s->f, AE_CPU_AUTO, threads, 21);
    decoder_make_lora(&s->d, &s->f, window);
    for (int i = 0; i < 2; i++) pass_whole(&s->f, &s->d, i, s->whole[i]);
}

static void check_chunks(int64_t window, const int64_t *chunks, int n_chunks)
{
    static setting s;
    open_setting(&s, window, 2);
    ae_kv *kv = new_kv(N, NULL, 0);
    for (int i = 0; ae_kv_len(kv) < N; i++) {
        int64_t n = chunks[i % n_chunks], left = N - ae_kv_len(kv);
        assert_int_equal(pass_more(&s.f, &s.d, 0, kv, n < left ? n : left, s.out[0]), AERIE_OK);
    }
    assert_memory_equal(s.out[0], s.whole[0], sizeof s.whole[0]);
    ae_kv_free(kv);
    fixture_close(&s.f);
}

static void test_chunks(void **state)
{
    static const int64_t ones[] = { 1 }, whole[] = { N }, mixed[] = { 3, 1, 5, 2, 8 };
    (void)state;
    for (int64_t window = 0; window <= 5; window += 5) {
        check_chunks(window, ones, 1);
        check_chunks(window, whole, 1);
        check_chunks(window, mixed, 5);
    }
}

/* Two sequences in one batch, one with a prompt of several tokens, one with a single token. */
static void test_side_by_side(void **state)
{
    static setting s;
    (void)state;
    open_setting(&s, 5, 3);
    ae_kv *kvs[] = { new_kv(N, NULL, 0), new_kv(N, NULL, 0) };
    assert_int_equal(pass_more(&s.f, &s.d, 1, kvs[1], 4, s.out[1]), AERIE_OK);

    const int32_t batch_ids[] = { ids[1][4], ids[0][0], ids[0][1], ids[0][2] };
    const int32_t batch_pos[] = { 4, 0, 1, 2 };
    const ae_segment segments[] = { { 0, 1, -1, 1 }, { 1, 3, -1, 0 } };
    const ae_batch batch = { 4, batch_ids, batch_pos, segments, 2, kvs };
    float out[4 * DECODER_D];
    assert_int_equal(pass_batch(&s.f, &s.d, &batch, out), AERIE_OK);
    assert_memory_equal(out, s.whole[1] + 4 * DECODER_D, sizeof(float) * DECODER_D);
    assert_memory_equal(out + DECODER_D, s.whole[0], sizeof(float) * 3 * DECODER_D);
    assert_int_equal(ae_kv_len(kvs[0]), 3);
    assert_int_equal(ae_kv_len(kvs[1]), 5);
    ae_kv_free(kvs[0]);
    ae_kv_free(kvs[1]);
    fixture_close(&s.f);
}

/* Both sequences begin with the same nine tokens. A fork of a fork borrows less than its lender
 * did; the lender goes on growing meanwhile. */
static void test_lent_prefix(void **state)
{
    static setting s;
    (void)state;
    open_setting(&s, 0, 2);
    ae_kv *first = new_kv(N, NULL, 0);
    pass_more(&s.f, &s.d, 0, first, 9, s.out[0]);
    memcpy(s.out[1], s.out[0], sizeof(float) * 9 * DECODER_D);
    ae_kv *second = new_kv(N, first, 9);
    assert_int_equal(ae_kv_len(second), 9);
    assert_int_equal(ae_kv_capacity(second), 9 + N);
    assert_int_equal(pass_more(&s.f, &s.d, 1, second, 4, s.out[1]), AERIE_OK);
    assert_int_equal(pass_more(&s.f, &s.d, 0, first, N - 9, s.out[0]), AERIE_OK);
    assert_int_equal(pass_more(&s.f, &s.d, 1, second, N - 13, s.out[1]), AERIE_OK);
    assert_memory_equal(s.out[0], s.whole[0], sizeof s.whole[0]);
    assert_memory_equal(s.out[1], s.whole[1], sizeof s.whole[1]);

    ae_kv *third = new_kv(N, second, 7), *fourth = new_kv(N, second, 11);
    memset(s.out[0] + 7 * DECODER_D, 0, sizeof(float) * (N - 7) * DECODER_D);
    memset(s.out[1] + 11 * DECODER_D, 0, sizeof(float) * (N - 11) * DECODER_D);
    assert_int_equal(pass_more(&s.f, &s.d, 0, third, N - 7, s.out[0]), AERIE_OK);
    assert_int_equal(pass_more(&s.f, &s.d, 1, fourth, N - 11, s.out[1]), AERIE_OK);
    assert_memory_equal(s.out[0], s.whole[0], sizeof s.whole[0]);
    assert_memory_equal(s.out[1], s.whole[1], sizeof s.whole[1]);
    ae_kv_free(fourth);
    ae_kv_free(third);
    ae_kv_free(second);
    ae_kv_free(first);
    fixture_close(&s.f);
}

static void test_truncate(void **state)
{
    static setting s;
    (void)state;
    open_setting(&s, 5, 2);
    ae_kv *kv = new_kv(N, NULL, 0);
    pass_more(&s.f, &s.d, 1, kv, 20, s.out[0]);
    ae_kv_truncate(kv, 6);
    assert_int_equal(ae_kv_len(kv), 6);
    assert_int_equal(pass_more(&s.f, &s.d, 0, kv, N - 6, s.out[0]), AERIE_OK);
    assert_memory_equal(s.out[0], s.whole[0], sizeof s.whole[0]);

    ae_kv *branch = new_kv(4, kv, 8);
    ae_kv_truncate(branch, 3);
    assert_int_equal(ae_kv_len(branch), 8);
    ae_kv_free(branch);
    ae_kv_free(kv);
    fixture_close(&s.f);
}

/* A pass that fails, for a wrong position, a full cache or a layer, changes nothing. */
static void test_refusals(void **state)
{
    static setting s;
    (void)state;
    open_setting(&s, 0, 2);
    ae_kv *kv = new_kv(10, NULL, 0), *other = new_kv(10, NULL, 0);
    ae_kv *kvs[] = { kv, kv, other };
    assert_int_equal(pass_more(&s.f, &s.d, 0, kv, 4, s.out[0]), AERIE_OK);

    const ae_segment one = { 0, 3, -1, 0 };
    ae_batch batch = { 3, ids[0] + 5, pos + 5, &one, 1, kvs };
    assert_int_equal(pass_batch(&s.f, &s.d, &batch, s.out[1]), AERIE_BAD_ARGUMENT);
    assert_int_equal(pass_more(&s.f, &s.d, 0, kv, 7, s.out[1]), AERIE_BAD_ARGUMENT);

    const ae_segment same[] = { { 0, 1, -1, 0 }, { 1, 1, -1, 1 } };
    const int32_t same_pos[] = { 4, 4 };
    batch = (ae_batch){ 2, ids[0], same_pos, same, 2, kvs };
    assert_int_equal(pass_batch(&s.f, &s.d, &batch, s.out[1]), AERIE_BAD_ARGUMENT);

    const ae_segment branch[] = { { 0, 1, -1, 0 }, { 1, 1, 0, 2 } };
    const int32_t branch_pos[] = { 4, 0 };
    batch = (ae_batch){ 2, ids[0], branch_pos, branch, 2, kvs };
    assert_int_equal(pass_batch(&s.f, &s.d, &batch, s.out[1]), AERIE_BAD_ARGUMENT);

    /* The second segment's id is out of range: found after room was made. */
    const int32_t bad_ids[] = { 1, DECODER_V };
    const ae_segment two[] = { { 0, 1, -1, 0 }, { 1, 1, -1, 2 } };
    batch = (ae_batch){ 2, bad_ids, branch_pos, two, 2, kvs };
    assert_int_equal(pass_batch(&s.f, &s.d, &batch, s.out[1]), AERIE_BAD_ARGUMENT);

    assert_int_equal(ae_kv_len(kv), 4);
    assert_int_equal(ae_kv_len(other), 0);
    assert_int_equal(pass_more(&s.f, &s.d, 0, kv, 6, s.out[0]), AERIE_OK);
    assert_memory_equal(s.out[0], s.whole[0], sizeof(float) * 10 * DECODER_D);
    ae_kv_free(other);
    ae_kv_free(kv);
    fixture_close(&s.f);
}

/* A forward pass with caches but without ae_batch_reserve(), or for another batch than it was, is
 * refused, as is a tape. */
static void test_misuse(void **state)
{
    static setting s;
    (void)state;
    open_setting(&s, 0, 2);
    ae_kv *kv = new_kv(10, NULL, 0);
    ae_tape tape = { 0 };
    const ae_segment one = { 0, 3, -1, 0 };
    const ae_batch batch = { 3, ids[0], pos, &one, 1, &kv };
    ae_ctx cx = fixture_ctx(&s.f, NULL), taped = fixture_ctx(&s.f, &tape);
    assert_null(decoder_hidden(&cx, &s.d, &batch));
    assert_int_equal(ae_ctx_status(&cx), AERIE_BAD_SHAPE);
    const ae_segment longer = { 0, 5, -1, 0 };
    const ae_batch other = { 5, ids[0], pos, &longer, 1, &kv };
    assert_int_equal(ae_batch_reserve(&other, NULL), AERIE_OK);
    cx = fixture_ctx(&s.f, NULL);
    assert_null(decoder_hidden(&cx, &s.d, &batch));
    assert_int_equal(ae_ctx_status(&cx), AERIE_BAD_SHAPE);
    assert_int_equal(ae_batch_reserve(&batch, NULL), AERIE_OK);
    assert_null(decoder_hidden(&taped, &s.d, &batch));
    assert_int_equal(ae_ctx_status(&taped), AERIE_UNSUPPORTED);
    ae_kv_free(kv);
    fixture_close(&s.f);
}

static void test_new(void **state)
{
    (void)state;
    ae_kv *kv = new_kv(1 << 20, NULL, 0), *none;
    assert_true(ae_kv_bytes(kv) < 4096); /* memory grows as it fills */
    assert_int_equal(ae_kv_new(&none, 0, WIDTH, 8, NULL, 0, NULL), AERIE_BAD_ARGUMENT);
    assert_int_equal(ae_kv_new(&none, DECODER_L, WIDTH, -1, NULL, 0, NULL), AERIE_BAD_ARGUMENT);
    assert_int_equal(ae_kv_new(&none, DECODER_L, WIDTH, 8, kv, 1, NULL), AERIE_BAD_ARGUMENT);
    assert_int_equal(ae_kv_new(&none, DECODER_L, WIDTH, 8, NULL, 1, NULL), AERIE_BAD_ARGUMENT);
    assert_int_equal(ae_kv_new(&none, DECODER_L + 1, WIDTH, 8, kv, 0, NULL), AERIE_BAD_SHAPE);
    assert_null(none);
    ae_kv_free(NULL);
    ae_kv_free(kv);
}

/* Counts n positions in, as a pass that succeeded does. */
static void add_positions(ae_kv *kv, int64_t n)
{
    static int32_t numbers[1000];
    const int64_t len = ae_kv_len(kv);
    const ae_segment segment = { 0, n, -1, 0 };
    const ae_batch batch = { n, numbers, numbers, &segment, 1, &kv };
    for (int64_t i = 0; i < n; i++) numbers[i] = (int32_t)(len + i);
    assert_int_equal(ae_batch_reserve(&batch, NULL), AERIE_OK);
    ae_batch_commit(&batch);
    assert_int_equal(ae_kv_len(kv), len + n);
}

/* Rows for which a cache now has memory. */
static int64_t rows_held(const ae_kv *kv, size_t empty)
{
    return (int64_t)((ae_kv_bytes(kv) - empty) / (DECODER_L * 2 * WIDTH * sizeof(float)));
}

/* Memory at least doubles, takes a long prompt at once, ends at the capacity, and is taken seldom.
 */
static void test_growth(void **state)
{
    (void)state;
    ae_kv *kv = new_kv(1000, NULL, 0);
    size_t empty = ae_kv_bytes(kv);
    int changes = 0;
    add_positions(kv, 200);
    assert_int_equal(rows_held(kv, empty), 200);
    for (int64_t held = 200; ae_kv_len(kv) < 1000;) {
        add_positions(kv, 1);
        int64_t now = rows_held(kv, empty);
        assert_true(now >= ae_kv_len(kv) && now <= 1000);
        if (now == held) continue;
        assert_true(now >= 2 * held || now == 1000);
        held = now;
        changes++;
    }
    assert_int_equal(changes, 3);
    ae_kv_free(kv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chunks),      cmocka_unit_test(test_side_by_side),
        cmocka_unit_test(test_lent_prefix), cmocka_unit_test(test_truncate),
        cmocka_unit_test(test_refusals),    cmocka_unit_test(test_misuse),
        cmocka_unit_test(test_new),         cmocka_unit_test(test_growth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
