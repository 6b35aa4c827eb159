/* Tokens through caches give the bits of one packed pass: one at a time, in chunks, side by side,
 * from a shared prefix, after forgetting, whatever fell out of the window. */
#include "nn/decoder.h"
#include "nn/kv.h"

#include <math.h>
#include <string.h>

/* Several pages, and more positions than softmax sums at once. */
enum { N = 300, SAME = 140 };

static int32_t ids[2][N], pos[N];

static void make_ids(void)
{
    for (int i = 0; i < N; i++) {
        ids[0][i] = (i * 7 + 3) % DECODER_V;
        ids[1][i] = i < SAME ? ids[0][i] : (i * 11 + 5) % DECODER_V;
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

static const int64_t no_windows[DECODER_L] = { 0 };

static ae_kv_options options_of(ae_dtype dtype, const int64_t *windows, int64_t capacity)
{
    return (
        ae_kv_options){ { dtype, DECODER_K, DECODER_HEAD }, DECODER_L, windows, capacity, false };
}

static ae_kv *new_typed(ae_dtype dtype, int64_t window, const ae_kv *prefix, int64_t prefix_len)
{
    const int64_t windows[DECODER_L] = { window, window };
    const ae_kv_options o = options_of(dtype, windows, N);
    ae_kv *kv;
    aerie_error err = { 0 };
    if (ae_kv_new(&kv, &o, prefix, prefix_len, &err)) fail_msg("%s", err.message);
    return kv;
}

static ae_kv *new_kv(int64_t window, const ae_kv *prefix, int64_t prefix_len)
{
    return new_typed(AE_F32, window, prefix, prefix_len);
}

/* Positions that a cache has pages for, of its first layer. */
static int64_t pages_held(const ae_kv *kv)
{
    int64_t n = 0;
    for (int64_t p = 0; p < kv->table; p++) n += kv->layers[0].pages[p] != NULL;
    return n;
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
    ae_kv *kv = new_kv(window, NULL, 0);
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
    static const int64_t ones[] = { 1 }, whole[] = { N }, mixed[] = { 3, 1, 50, 2, 8, 100 };
    static const int64_t windows[] = { 0, 5, 64, 65, 200 };
    (void)state;
    for (size_t i = 0; i < AE_COUNT(windows); i++) {
        check_chunks(windows[i], ones, 1);
        check_chunks(windows[i], whole, 1);
        check_chunks(windows[i], mixed, 6);
    }
}

/* A cache of halves gives other numbers than one of floats, but the same ones however they came
 * about, and close ones. */
static void test_halves(void **state)
{
    static setting s;
    (void)state;
    open_setting(&s, 70, 2);
    ae_kv *one = new_typed(AE_F16, 70, NULL, 0), *all = new_typed(AE_F16, 70, NULL, 0);
    while (ae_kv_len(one) < N)
        assert_int_equal(pass_more(&s.f, &s.d, 0, one, 1, s.out[0]), AERIE_OK);
    assert_int_equal(pass_more(&s.f, &s.d, 0, all, N, s.out[1]), AERIE_OK);
    assert_memory_equal(s.out[0], s.out[1], sizeof s.out[0]);
    assert_memory_not_equal(s.out[0], s.whole[0], sizeof s.out[0]);
    for (int i = 0; i < N * DECODER_D; i++)
        if (!(fabsf(s.out[0][i] - s.whole[0][i]) < 0.01f))
            fail_msg("%d: %g, not %g", i, s.out[0][i], s.whole[0][i]);
    ae_kv_free(one);
    ae_kv_free(all);
    fixture_close(&s.f);
}

/* Two sequences in one batch, one with a prompt of several tokens, one with a single token. */
static void test_side_by_side(void **state)
{
    static setting s;
    (void)state;
    open_setting(&s, 5, 3);
    ae_kv *kvs[] = { new_kv(5, NULL, 0), new_kv(5, NULL, 0) };
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

/* Both sequences begin with the same tokens. Caches that share pages go on in any order, and live
 * longer than those they came from; where a page is not full, who goes on copies it. */
static void check_shared_prefix(int64_t window)
{
    static setting s;
    const int64_t less = 70, more = 197, size = (int64_t)sizeof(float) * DECODER_D;
    open_setting(&s, window, 2);
    ae_kv *first = new_kv(window, NULL, 0);
    pass_more(&s.f, &s.d, 0, first, SAME, s.out[0]);
    memcpy(s.out[1], s.out[0], sizeof(float) * SAME * DECODER_D);
    ae_kv *second = new_kv(window, first, SAME);
    assert_int_equal(ae_kv_len(second), SAME);
    assert_ptr_equal(second->layers[1].pages[2], first->layers[1].pages[2]);
    assert_int_equal(pass_more(&s.f, &s.d, 1, second, 4, s.out[1]), AERIE_OK);
    assert_ptr_not_equal(second->layers[1].pages[2], first->layers[1].pages[2]);
    assert_ptr_equal(second->layers[1].pages[1], first->layers[1].pages[1]);
    assert_int_equal(pass_more(&s.f, &s.d, 0, first, N - SAME, s.out[0]), AERIE_OK);
    ae_kv_free(first);
    assert_int_equal(pass_more(&s.f, &s.d, 1, second, more - SAME - 4, s.out[1]), AERIE_OK);
    ae_kv *third = new_kv(window, second, more);
    assert_int_equal(pass_more(&s.f, &s.d, 1, second, N - more, s.out[1]), AERIE_OK);
    assert_memory_equal(s.out[0], s.whole[0], sizeof s.whole[0]);
    assert_memory_equal(s.out[1], s.whole[1], sizeof s.whole[1]);

    memset(s.out[1] + more * DECODER_D, 0, (size_t)((N - more) * size));
    assert_int_equal(pass_more(&s.f, &s.d, 1, third, N - more, s.out[1]), AERIE_OK);
    assert_memory_equal(s.out[1], s.whole[1], sizeof s.whole[1]);
    ae_kv_free(third);
    if (window == 0) {
        ae_kv *fourth = new_kv(window, second, less);
        ae_kv_free(second);
        assert_int_equal(pass_more(&s.f, &s.d, 0, fourth, N - less, s.out[0]), AERIE_OK);
        assert_memory_equal(s.out[0], s.whole[0], sizeof s.whole[0]);
        second = fourth;
    }
    ae_kv_free(second);
    fixture_close(&s.f);
}

static void test_shared_prefix(void **state)
{
    (void)state;
    check_shared_prefix(0);
    check_shared_prefix(20);
}

/* What is truncated is gone, and whoever shared it still has it. */
static void test_truncate(void **state)
{
    static setting s;
    (void)state;
    open_setting(&s, 0, 2);
    ae_kv *kv = new_kv(0, NULL, 0);
    memcpy(s.out[0], s.whole[0], sizeof s.out[0]);
    pass_more(&s.f, &s.d, 1, kv, 250, s.out[1]);
    ae_kv *other = new_kv(0, kv, 250);
    assert_int_equal(ae_kv_truncate(kv, 300), 250);
    assert_int_equal(ae_kv_truncate(kv, 131), 131);
    assert_int_equal(pages_held(kv), 3);
    memset(s.out[0] + 131 * DECODER_D, 0, sizeof(float) * (N - 131) * DECODER_D);
    assert_int_equal(pass_more(&s.f, &s.d, 0, kv, N - 131, s.out[0]), AERIE_OK);
    assert_memory_equal(s.out[0], s.whole[0], sizeof s.whole[0]);
    assert_int_equal(pass_more(&s.f, &s.d, 1, other, N - 250, s.out[1]), AERIE_OK);
    assert_memory_equal(s.out[1], s.whole[1], sizeof s.whole[1]);
    assert_int_equal(ae_kv_truncate(kv, -1), 0);
    assert_int_equal(pages_held(kv), 0);
    ae_kv_free(other);
    ae_kv_free(kv);
    fixture_close(&s.f);
}

/* A layer with a window gives pages back; nothing that would see them can be gone back to. */
static void test_windows(void **state)
{
    static setting s;
    const int64_t window = 70;
    (void)state;
    open_setting(&s, window, 2);
    ae_kv *kv = new_kv(window, NULL, 0), *no;
    pass_more(&s.f, &s.d, 0, kv, 260, s.out[0]);
    /* It keeps what could be seen if 64 positions were taken back: 196 - 69 = 127 and on. */
    assert_int_equal(pages_held(kv), 4);
    assert_int_equal(ae_kv_keepable(kv, 300), 260);
    assert_int_equal(ae_kv_keepable(kv, 133), 133); /* sees 64 and on */
    assert_int_equal(ae_kv_keepable(kv, 132), 0);
    assert_int_equal(pass_more(&s.f, &s.d, 0, kv, 1, s.out[0]), AERIE_OK);
    assert_int_equal(pages_held(kv), 3); /* 128 and on */
    assert_int_equal(ae_kv_keepable(kv, 197), 197);
    assert_int_equal(ae_kv_keepable(kv, 196), 0);
    const int64_t windows[DECODER_L] = { window, window };
    const ae_kv_options o = options_of(AE_F32, windows, N);
    assert_int_equal(ae_kv_new(&no, &o, kv, 190, NULL), AERIE_BAD_ARGUMENT);
    assert_int_equal(ae_kv_truncate(kv, 190), 0);
    assert_int_equal(ae_kv_len(kv), 0);
    assert_int_equal(pass_more(&s.f, &s.d, 0, kv, N, s.out[0]), AERIE_OK);
    assert_memory_equal(s.out[0], s.whole[0], sizeof s.whole[0]);
    ae_kv_free(kv);

    /* Attention over more than the cache keeps. */
    kv = new_kv(window - 1, NULL, 0);
    assert_int_equal(pass_more(&s.f, &s.d, 0, kv, 3, s.out[0]), AERIE_BAD_SHAPE);
    ae_kv_free(kv);
    fixture_close(&s.f);
}

static ae_kv *new_short(int64_t capacity)
{
    const ae_kv_options o = options_of(AE_F32, no_windows, capacity);
    ae_kv *kv;
    assert_int_equal(ae_kv_new(&kv, &o, NULL, 0, NULL), AERIE_OK);
    return kv;
}

/* A pass that fails, for a wrong position, a full cache or a layer, changes nothing. */
static void test_refusals(void **state)
{
    static setting s;
    (void)state;
    open_setting(&s, 0, 2);
    ae_kv *kv = new_short(10), *other = new_short(10);
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
    ae_kv *kv = new_short(10);
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
    static const int64_t negative[DECODER_L] = { 5, -1 }, windows[DECODER_L] = { 5, 5 };
    (void)state;
    ae_kv *kv = new_short(1 << 20), *none;
    ae_kv_options o = options_of(AE_F32, NULL, 8);
    assert_true(ae_kv_bytes(kv) < 4096); /* memory grows as it fills */
#define NEW_REFUSED(status, ...) assert_int_equal(ae_kv_new(&none, &o, __VA_ARGS__, NULL), status)
    NEW_REFUSED(AERIE_BAD_ARGUMENT, kv, 1);
    NEW_REFUSED(AERIE_BAD_ARGUMENT, NULL, 1);
    o.windows = windows;
    NEW_REFUSED(AERIE_BAD_SHAPE, kv, 0);
    o.windows = negative;
    NEW_REFUSED(AERIE_BAD_ARGUMENT, NULL, 0);
    o.windows = NULL;
    o.shape.dtype = AE_F16;
    NEW_REFUSED(AERIE_BAD_SHAPE, kv, 0);
    o.shape.dtype = AE_Q8_0; /* heads of 8 */
    NEW_REFUSED(AERIE_BAD_ARGUMENT, NULL, 0);
    o.shape.dtype = AE_Q4_0;
    NEW_REFUSED(AERIE_BAD_ARGUMENT, NULL, 0);
    o = options_of(AE_F32, NULL, -1);
    NEW_REFUSED(AERIE_BAD_ARGUMENT, NULL, 0);
    o = options_of(AE_F32, NULL, 8);
    o.n_layers++;
    NEW_REFUSED(AERIE_BAD_SHAPE, kv, 0);
    o.n_layers = 0;
    NEW_REFUSED(AERIE_BAD_ARGUMENT, NULL, 0);
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

/* The prediction is the most that a cache held while it grew, to the byte. */
static void check_prediction(ae_dtype dtype, const int64_t *windows, int64_t positions,
                             int64_t batch)
{
    ae_kv *kv;
    const ae_kv_options o = { { dtype, 3, 64 }, DECODER_L, windows, positions, false };
    size_t most = 0, predicted;
    assert_int_equal(ae_kv_new(&kv, &o, NULL, 0, NULL), AERIE_OK);
    while (ae_kv_len(kv) < positions) {
        int64_t left = positions - ae_kv_len(kv), n = left < batch ? left : batch;
        assert_int_equal(ae_kv_reserve(kv, n, NULL), AERIE_OK);
        if (ae_kv_bytes(kv) > most) most = ae_kv_bytes(kv);
        add_positions(kv, n);
    }
    if (ae_kv_bytes(kv) > most) most = ae_kv_bytes(kv);
    assert_int_equal(ae_kv_predict(&predicted, &o, positions, batch, NULL), AERIE_OK);
    assert_int_equal(predicted, most);
    ae_kv_free(kv);
}

static void test_prediction(void **state)
{
    static const ae_dtype types[] = { AE_F32, AE_F16, AE_Q8_0 };
    static const int64_t mixed[DECODER_L] = { 0, 100 };
    static const int64_t sizes[][2] = { { 0, 1 }, { 1, 1 }, { 1000, 1 }, { 777, 200 }, { 64, 64 } };
    size_t bytes[3];
    (void)state;
    for (size_t i = 0; i < AE_COUNT(types); i++)
        for (size_t j = 0; j < AE_COUNT(sizes); j++) {
            check_prediction(types[i], NULL, sizes[j][0], sizes[j][1]);
            check_prediction(types[i], mixed, sizes[j][0], sizes[j][1]);
        }
    for (size_t i = 0; i < AE_COUNT(types); i++) {
        const ae_kv_options o = { { types[i], 3, 64 }, DECODER_L, NULL, 1024, false };
        assert_int_equal(ae_kv_predict(&bytes[i], &o, 1024, 512, NULL), AERIE_OK);
    }
    double positions = 1024.0 * DECODER_L * 2 * 3 * 64;
    assert_true(fabs((double)bytes[0] / positions - 4) < 0.02);
    assert_true(fabs((double)bytes[1] / positions - 2) < 0.02);
    assert_true(fabs((double)bytes[2] / positions - 1.0625) < 0.02);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chunks),        cmocka_unit_test(test_side_by_side),
        cmocka_unit_test(test_shared_prefix), cmocka_unit_test(test_truncate),
        cmocka_unit_test(test_refusals),      cmocka_unit_test(test_misuse),
        cmocka_unit_test(test_new),           cmocka_unit_test(test_prediction),
        cmocka_unit_test(test_halves),        cmocka_unit_test(test_windows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
