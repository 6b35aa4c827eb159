/* Ops refuse what does not fit with a sentence, errors stick, and nothing frozen gets a gradient.
 */
#include "grad/fixture.h"

#include <math.h>
#include <string.h>

static fixture f;

static int open_fixture(void **state)
{
    (void)state;
    fixture_open(&f, AE_CPU_AUTO, 2, 1);
    return 0;
}

static int close_fixture(void **state)
{
    (void)state;
    fixture_close(&f);
    return 0;
}

/* y is NULL, the context says so with `status`, and the tape has no note of it. */
#define REFUSED(expected, call)                                                                    \
    do {                                                                                           \
        ae_tape tape = { 0 };                                                                      \
        ae_ctx cx = fixture_ctx(&f, &tape);                                                        \
        assert_null(call);                                                                         \
        assert_int_equal(ae_ctx_status(&cx), expected);                                            \
        assert_true(strlen(cx.error.message) > 10);                                                \
        assert_null(tape.last);                                                                    \
        ae_arena_reset_all(&f.step);                                                               \
    } while (0)

static ae_tensor *numbers(int64_t rows, int64_t cols)
{
    return fixture_tensor(&f, rows, cols, 1, true);
}

static void test_shapes(void **state)
{
    static const int32_t index[] = { 0, 3, -1 };
    (void)state;
    ae_tensor *x = numbers(3, 8), *w = numbers(5, 8), *other = numbers(3, 7);
    ae_tensor *half = fixture_frozen(&f, AE_F16, 3, 256, 1), *trained_half = half;
    REFUSED(AERIE_BAD_SHAPE, ae_linear(&cx, other, w, NULL));
    REFUSED(AERIE_BAD_SHAPE, ae_linear(&cx, x, w, x));
    REFUSED(AERIE_BAD_ARGUMENT, ae_linear(&cx, half, w, NULL));
    REFUSED(AERIE_BAD_SHAPE, ae_rmsnorm(&cx, x, w, 1e-5f));
    REFUSED(AERIE_BAD_SHAPE, ae_swiglu(&cx, x, other));
    REFUSED(AERIE_BAD_SHAPE, ae_add(&cx, x, w));
    REFUSED(AERIE_BAD_SHAPE, ae_add_scaled(&cx, x, other, 1));
    REFUSED(AERIE_BAD_SHAPE, ae_add_low_rank(&cx, x, x, w, w, 1));
    REFUSED(AERIE_BAD_ARGUMENT, ae_embedding(&cx, w, index, 3));
    REFUSED(AERIE_BAD_ARGUMENT, ae_embedding(&cx, x, index, 2));
    REFUSED(AERIE_BAD_ARGUMENT, ae_embedding(&cx, x, NULL, 2));
    REFUSED(AERIE_BAD_ARGUMENT, ae_pick_rows(&cx, x, index, 2));
    REFUSED(AERIE_BAD_ARGUMENT, ae_dropout(&cx, x, 1.0f, 0));
    REFUSED(AERIE_BAD_ARGUMENT, ae_dropout(&cx, x, NAN, 0));
    REFUSED(AERIE_BAD_SHAPE, ae_tensor_new(&cx, INT64_MAX, 3, false));
    REFUSED(AERIE_BAD_SHAPE, ae_tensor_new(&cx, -1, 3, false));
    REFUSED(AERIE_NO_MEMORY, ae_tensor_new(&cx, INT64_MAX / 4, 3, false));
    float grad[1] = { 0 };
    trained_half->grad = grad;
    REFUSED(AERIE_BAD_ARGUMENT, ae_linear(&cx, numbers(3, 256), trained_half, NULL));
}

static void test_rope_shapes(void **state)
{
    static const int32_t pos[] = { 0, 1, 2 };
    static const double freq[] = { 1, 0.1 };
    (void)state;
    ae_tensor *x = numbers(3, 8), *odd = numbers(3, 6), *longer = numbers(4, 8);
    REFUSED(AERIE_BAD_SHAPE, ae_rope(&cx, odd, ae_rope_table_new(&cx, pos, 3, freq, 4, false)));
    REFUSED(AERIE_BAD_SHAPE, ae_rope(&cx, longer, ae_rope_table_new(&cx, pos, 3, freq, 4, false)));
    REFUSED(AERIE_BAD_SHAPE, ae_rope(&cx, x, ae_rope_table_new(&cx, pos, 3, freq, 3, false)));
    REFUSED(AERIE_BAD_SHAPE, ae_rope(&cx, x, NULL));
}

static void test_log_prob_shapes(void **state)
{
    static const int32_t rows[] = { 0, 2, 3 }, targets[] = { 4, 0, 5 };
    const ae_predictions bad_row = { rows, targets, 3, 0 },
                         bad_target = { rows, targets + 1, 2, 0 };
    const ae_predictions good = { rows, targets, 2, 0 };
    ae_tensor *mean;
    (void)state;
    REFUSED(AERIE_BAD_ARGUMENT, ae_log_prob(&cx, numbers(3, 8), numbers(5, 8), &bad_row, NULL));
    REFUSED(AERIE_BAD_ARGUMENT, ae_log_prob(&cx, numbers(3, 8), numbers(5, 8), &bad_target, &mean));
    REFUSED(AERIE_BAD_SHAPE, ae_log_prob(&cx, numbers(3, 8), numbers(5, 7), &good, &mean));
    assert_null(mean);
}

static void test_pointwise_shapes(void **state)
{
    (void)state;
    REFUSED(AERIE_BAD_SHAPE, ae_geglu(&cx, numbers(3, 8), numbers(3, 7)));
    REFUSED(AERIE_BAD_SHAPE, ae_reshape(&cx, numbers(3, 8), 5, 5));
    REFUSED(AERIE_BAD_SHAPE, ae_reshape(&cx, numbers(3, 8), 24, 0));
    REFUSED(AERIE_BAD_ARGUMENT, ae_soft_cap(&cx, numbers(3, 8), 0));
    REFUSED(AERIE_BAD_ARGUMENT, ae_soft_cap(&cx, numbers(3, 8), -1));
}

static const ae_attention_shape shape = { 4, 2, 2, 0, 0.7f, 0 };

static void test_attention_shapes(void **state)
{
    static const ae_segment all = { 0, 3, -1, -1 }, few = { 0, 2, -1, -1 }, many = { 0, 4, -1, -1 },
                            late = { 1, 2, -1, -1 }, own = { 0, 3, 0, -1 };
    static const ae_segment empty[] = { { 0, 3, -1, -1 }, { 3, 0, 0, -1 } };
    static const ae_segment forward[] = { { 0, 2, 1, -1 }, { 2, 1, -1, -1 } };
    ae_attention_shape uneven = shape, none = shape;
    uneven.n_kv_heads = 3;
    none.head_dim = 0;
    (void)state;
    ae_tensor *q = numbers(3, 8), *kv = numbers(3, 4), *wide = numbers(3, 5);
    ae_tensor *longer = numbers(4, 4);
    REFUSED(AERIE_BAD_SHAPE, ae_attention(&cx, q, wide, wide, &all, 1, &shape));
    REFUSED(AERIE_BAD_SHAPE, ae_attention(&cx, q, kv, wide, &all, 1, &shape));
    REFUSED(AERIE_BAD_SHAPE, ae_attention(&cx, q, longer, longer, &all, 1, &shape));
    REFUSED(AERIE_BAD_SHAPE, ae_attention(&cx, wide, kv, kv, &all, 1, &shape));
    REFUSED(AERIE_BAD_SHAPE, ae_attention(&cx, q, kv, kv, &all, 1, &uneven));
    REFUSED(AERIE_BAD_SHAPE, ae_attention(&cx, q, kv, kv, &all, 1, &none));
    REFUSED(AERIE_BAD_SHAPE, ae_attention(&cx, q, kv, kv, NULL, 0, &shape));
    REFUSED(AERIE_BAD_SHAPE, ae_attention(&cx, q, kv, kv, &few, 1, &shape));
    REFUSED(AERIE_BAD_SHAPE, ae_attention(&cx, q, kv, kv, &many, 1, &shape));
    REFUSED(AERIE_BAD_SHAPE, ae_attention(&cx, q, kv, kv, &late, 1, &shape));
    REFUSED(AERIE_BAD_SHAPE, ae_attention(&cx, q, kv, kv, &own, 1, &shape));
    REFUSED(AERIE_BAD_SHAPE, ae_attention(&cx, q, kv, kv, empty, 2, &shape));
    REFUSED(AERIE_BAD_SHAPE, ae_attention(&cx, q, kv, kv, forward, 2, &shape));
}

/* What the device was asked to attend to. */
static ae_attention_sequence asked[6];
static int64_t spans_asked[6][3]; /* first row of each span's keys */

static aerie_status record(ae_device *dev, ae_arena *scratch, float *out, float *lse,
                           const float *q, const ae_attention_sequence *sequences,
                           int64_t n_sequences, const ae_attention_shape *s)
{
    const float *k = q; /* the test gives one tensor for q, k and v */
    (void)dev, (void)scratch, (void)out, (void)lse;
    assert_int_equal(n_sequences, 6);
    for (int64_t i = 0; i < n_sequences; i++) {
        asked[i] = sequences[i];
        assert_true(sequences[i].n_spans <= 3);
        for (int64_t j = 0; j < sequences[i].n_spans; j++)
            spans_asked[i][j] = (sequences[i].spans[j].k - k) / (s->n_kv_heads * s->head_dim);
    }
    return AERIE_OK;
}

/* Two trees whose branches alternate in the row: the device gets one tree after the other, groups
 * ascending, and for each branch its ancestors first. */
static void test_attention_plan(void **state)
{
    static const ae_segment trees[] = { { 0, 6, -1, -1 }, { 6, 4, -1, -1 }, { 10, 3, 0, -1 },
                                        { 13, 4, 1, -1 }, { 17, 5, 0, -1 }, { 22, 2, 4, -1 } };
    static const int64_t order[] = { 0, 10, 17, 22, 6, 13 }, totals[] = { 6, 9, 11, 13, 4, 8 };
    static const int64_t spans[][3] = {
        { 0 }, { 0, 10 }, { 0, 17 }, { 0, 17, 22 }, { 6 }, { 6, 13 }
    };
    ae_device recorder = *f.device;
    ae_ctx cx = fixture_ctx(&f, NULL);
    const ae_attention_shape same = { 2, 2, 4, 0, 0.5f, 0 };
    (void)state;
    recorder.attention = record;
    cx.device = &recorder;
    ae_tensor *x = numbers(24, 8);
    assert_non_null(ae_attention(&cx, x, x, x, trees, 6, &same));
    for (int i = 0; i < 6; i++) {
        assert_int_equal(asked[i].first, order[i]);
        assert_int_equal(asked[i].total, totals[i]);
        assert_memory_equal(spans_asked[i], spans[i], sizeof spans[i]);
        if (i > 0) assert_true(asked[i].group >= asked[i - 1].group);
        assert_true((asked[i].group == asked[0].group) == (i < 4));
    }
    ae_arena_reset_all(&f.step);
}

/* 70 positions on two pages, the last three of them new; and what does not fit. */
static void test_cached_shapes(void **state)
{
    static _Alignas(64) uint8_t memory[2][64 * 4 * 40];
    void *const both[] = { memory[0], memory[1] }, *const half[] = { NULL, memory[1] };
    const ae_kv_shape kv = { AE_F32, 2, 2 }, wide = { AE_F32, 2, 4 }, other = { AE_Q4_0, 2, 2 };
    const ae_attention_shape windowed = { 4, 2, 2, 4, 0.5f, 0 };
    const ae_cached_sequence good = { 0, 3, both, 70 }, gone = { 0, 3, half, 70 };
    const ae_cached_sequence early = { 0, 3, both, 2 }, short_of = { 0, 2, both, 70 };
    (void)state;
    ae_tensor *q = numbers(3, 8), *k = numbers(3, 4);
    REFUSED(AERIE_UNSUPPORTED, ae_attention_cached(&cx, q, k, k, &good, 1, &kv, &shape));
    q = numbers(3, 8), k = numbers(3, 4);
    ae_ctx a = fixture_ctx(&f, NULL);
    assert_non_null(ae_attention_cached(&a, q, k, k, &good, 1, &kv, &shape));
    assert_non_null(ae_attention_cached(&a, q, k, k, &gone, 1, &kv, &windowed));
#define NOT_FITTING(status, ...)                                                                   \
    do {                                                                                           \
        ae_ctx b = fixture_ctx(&f, NULL);                                                          \
        assert_null(ae_attention_cached(&b, q, __VA_ARGS__));                                      \
        assert_int_equal(ae_ctx_status(&b), status);                                               \
    } while (0)
    NOT_FITTING(AERIE_BAD_SHAPE, k, k, &gone, 1, &kv, &shape);
    NOT_FITTING(AERIE_BAD_SHAPE, k, k, &early, 1, &kv, &shape);
    NOT_FITTING(AERIE_BAD_SHAPE, k, k, &short_of, 1, &kv, &shape);
    NOT_FITTING(AERIE_BAD_SHAPE, k, k, &good, 0, &kv, &shape);
    NOT_FITTING(AERIE_BAD_SHAPE, k, k, &good, 1, &wide, &shape);
    NOT_FITTING(AERIE_BAD_SHAPE, q, k, &good, 1, &kv, &shape);
    NOT_FITTING(AERIE_BAD_ARGUMENT, k, k, &good, 1, &other, &shape);
    ae_arena_reset_all(&f.step);
}

/* After the first failure every op passes NULL along, and the first sentence stays. */
static void test_sticky(void **state)
{
    ae_tape tape = { 0 };
    ae_ctx cx = fixture_ctx(&f, &tape);
    aerie_error first;
    (void)state;
    ae_tensor *x = numbers(3, 8), *w = numbers(8, 8);
    assert_non_null(ae_linear(&cx, x, w, NULL));
    const ae_node *note = tape.last;
    const ae_tensor *bad = ae_add(&cx, x, w);
    first = cx.error;
    assert_null(ae_linear(&cx, ae_rmsnorm(&cx, bad, numbers(1, 8), 0), w, NULL));
    assert_null(ae_linear(&cx, x, w, NULL));
    assert_null(ae_swiglu(&cx, x, x));
    assert_null(ae_dropout(&cx, x, 0, 0));
    assert_null(ae_recompute(&cx, NULL, NULL, x));
    assert_memory_equal(&first, &cx.error, sizeof first);
    assert_ptr_equal(tape.last, note);
    ae_arena_reset_all(&f.step);
}

static void test_missing(void **state)
{
    (void)state;
    ae_tensor *x = numbers(3, 8);
    REFUSED(AERIE_BAD_ARGUMENT, ae_linear(&cx, x, NULL, NULL));
    REFUSED(AERIE_BAD_ARGUMENT, ae_linear(&cx, NULL, x, NULL));
    REFUSED(AERIE_BAD_ARGUMENT, ae_embedding(&cx, NULL, NULL, 0));
    REFUSED(AERIE_BAD_ARGUMENT, ae_rmsnorm(&cx, x, NULL, 0));
}

/* Frozen inputs leave no gradient and no note; so does a context without a tape. */
static void test_frozen(void **state)
{
    ae_tape tape = { 0 };
    ae_ctx cx = fixture_ctx(&f, &tape), inference = fixture_ctx(&f, NULL);
    (void)state;
    ae_tensor *x = fixture_tensor(&f, 3, 8, 1, false), *w = fixture_tensor(&f, 8, 8, 1, false);
    ae_tensor *y = ae_swiglu(&cx, ae_add(&cx, x, x), ae_linear(&cx, x, w, NULL));
    y = ae_rmsnorm(&cx, y, fixture_tensor(&f, 1, 8, 1, false), 1e-5f);
    assert_non_null(y);
    assert_null(y->grad);
    assert_null(tape.last);
    assert_false(cx.grad_wanted);
    y = ae_linear(&inference, x, numbers(4, 8), NULL);
    assert_non_null(y);
    assert_null(y->grad);
    assert_true(inference.grad_wanted);
    ae_arena_reset_all(&f.step);
}

static void test_dropout_off(void **state)
{
    ae_ctx cx = fixture_ctx(&f, NULL);
    (void)state;
    ae_tensor *x = numbers(3, 8);
    assert_ptr_equal(ae_dropout(&cx, x, 0.5f, 1), x);
    cx.dropout_key = 5;
    assert_ptr_equal(ae_dropout(&cx, x, 0, 1), x);
    assert_null(ae_dropout(&cx, x, 0.5f, 1)); /* no keys for the rows */
    assert_int_equal(ae_ctx_status(&cx), AERIE_BAD_ARGUMENT);
}

/* Masks differ by site, not by what else is in the row; and keep about 1 - p. */
static void test_dropout_masks(void **state)
{
    static const uint64_t keys[] = { 8, 9, 10, 11 };
    enum { COLS = 2000 };
    ae_ctx cx = fixture_ctx(&f, NULL), tail = cx;
    (void)state;
    ae_tensor *x = numbers(4, COLS);
    ae_tensor rows = { .rows = 2, .cols = COLS, .data = ae_f32(x) + 2 * COLS };
    cx.dropout_key = tail.dropout_key = 5;
    cx.dropout_rows = keys;
    tail.dropout_rows = keys + 2;
    const ae_tensor *a = ae_dropout(&cx, x, 0.25f, 1), *b = ae_dropout(&cx, x, 0.25f, 2);
    const ae_tensor *c = ae_dropout(&tail, &rows, 0.25f, 1);
    int64_t kept = 0;
    for (int64_t i = 0; i < 4 * COLS; i++) {
        kept += ae_f32(a)[i] != 0;
        if (ae_f32(a)[i] != 0) assert_true(fabsf(ae_f32(a)[i] * 0.75f - ae_f32(x)[i]) < 1e-5f);
    }
    assert_true(kept > 5800 && kept < 6200);
    assert_memory_not_equal(a->data, b->data, sizeof(float) * 4 * COLS);
    assert_memory_equal(ae_f32(a) + 2 * COLS, c->data, sizeof(float) * 2 * COLS);
    ae_arena_reset_all(&f.step);
}

static ae_tensor *narrower(ae_ctx *cx, const void *params, const ae_tensor *x)
{
    return ae_linear(cx, x, params, NULL);
}

static ae_tensor *itself(ae_ctx *cx, const void *params, const ae_tensor *x)
{
    (void)params;
    return ae_dropout(cx, x, 0, 0);
}

static ae_tensor *twice(ae_ctx *cx, const void *params, const ae_tensor *x)
{
    (void)params;
    return ae_add(cx, x, x);
}

static void test_recompute_shapes(void **state)
{
    (void)state;
    REFUSED(AERIE_BAD_SHAPE, ae_recompute(&cx, narrower, numbers(4, 8), numbers(3, 8)));
    REFUSED(AERIE_BAD_SHAPE, ae_recompute(&cx, narrower, numbers(4, 7), numbers(3, 8)));
}

static void test_recompute(void **state)
{
    ae_tape tape = { 0 };
    ae_ctx cx = fixture_ctx(&f, &tape);
    (void)state;
    ae_tensor *x = numbers(3, 8), *frozen = fixture_tensor(&f, 3, 8, 1, false);
    const ae_tensor *y = ae_recompute(&cx, twice, NULL, frozen);
    assert_null(y->grad); /* nothing in it is trained */
    assert_null(tape.last);
    y = ae_recompute(&cx, narrower, numbers(8, 8), frozen);
    assert_non_null(y->grad); /* its weight is */

    y = ae_recompute(&cx, itself, NULL, ae_recompute(&cx, twice, NULL, x));
    for (int64_t i = 0; i < 24; i++) y->grad[i] = (float)i;
    const ae_backward to = { .device = f.device, .arena = &f.step };
    assert_int_equal(ae_tape_backward(&tape, &to, &cx.error), AERIE_OK);
    for (int64_t i = 0; i < 24; i++) assert_true(x->grad[i] == 2 * (float)i);
    ae_arena_reset_all(&f.step);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),           cmocka_unit_test(test_rope_shapes),
        cmocka_unit_test(test_log_prob_shapes),  cmocka_unit_test(test_attention_shapes),
        cmocka_unit_test(test_pointwise_shapes), cmocka_unit_test(test_attention_plan),
        cmocka_unit_test(test_cached_shapes),    cmocka_unit_test(test_sticky),
        cmocka_unit_test(test_missing),          cmocka_unit_test(test_frozen),
        cmocka_unit_test(test_dropout_off),      cmocka_unit_test(test_dropout_masks),
        cmocka_unit_test(test_recompute_shapes), cmocka_unit_test(test_recompute),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
