/* A decoder's layers: the gradient is the slope, recomputing changes nothing, a shared prefix and a
 * packed row change nothing, nor does the number of threads. */
#include "nn/decoder.h"

#include <math.h>
#include <string.h>

enum { PROMPT = 6, CHOSEN = 5, REJECTED = 4, PAIR = PROMPT + CHOSEN + REJECTED };

/* Two layers deep a float32 loss is rounder than one op's (see test_op_grad.c). Measured, by
 * kernels: up to 8.3e-4. */
static const double TOLERANCE = 2e-3;

/* A preference pair, its prompt computed once. Each answer's first token is predicted by the
 * prompt's last row. */
static const int32_t pair_ids[PAIR] = { 1, 7, 33, 7, 20, 49, 5, 6, 0, 41, 2, 9, 6, 30, 2 };
static const int32_t pair_pos[PAIR] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 6, 7, 8, 9 };
static const ae_segment pair_segments[] = { { 0, PROMPT, -1, -1 },
                                            { PROMPT, CHOSEN, 0, -1 },
                                            { PROMPT + CHOSEN, REJECTED, 0, -1 } };
static const int32_t pair_rows[] = { 5, 6, 7, 8, 9, 5, 11, 12, 13 };
static const int32_t pair_targets[] = { 5, 6, 0, 41, 2, 9, 6, 30, 2 };

/* The same as two sequences of their own. Row keys are those of (sequence, position), so that
 * dropout is the same in both; a prompt's rows carry the same keys in either copy. */
static const int32_t apart_ids[] = { 1, 7, 33, 7, 20, 49, 5, 6, 0,  41, 2,
                                     1, 7, 33, 7, 20, 49, 9, 6, 30, 2 };
static const int32_t apart_pos[] = {
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
};
static const ae_segment apart_segments[] = { { 0, 11, -1, -1 }, { 11, 10, -1, -1 } };
static const int32_t apart_rows[] = { 5, 6, 7, 8, 9, 16, 17, 18, 19 };
static const uint64_t pair_keys[PAIR] = { 1, 2, 3, 4, 5, 6, 17, 18, 19, 20, 21, 37, 38, 39, 40 };
static const uint64_t apart_keys[] = { 1, 2, 3, 4, 5, 6, 17, 18, 19, 20, 21,
                                       1, 2, 3, 4, 5, 6, 37, 38, 39, 40 };

static decoder_task pair_task(const decoder *d)
{
    return (decoder_task){ d,
                           { PAIR, pair_ids, pair_pos, pair_segments, 3, NULL },
                           { pair_rows, pair_targets, 9, 0 },
                           77,
                           pair_keys };
}

static decoder_task apart_task(const decoder *d)
{
    return (decoder_task){ d,
                           { 21, apart_ids, apart_pos, apart_segments, 2, NULL },
                           { apart_rows, pair_targets, 9, 0 },
                           77,
                           apart_keys };
}

typedef void make_fn(decoder *d, fixture *f, int64_t window);

static void check_slopes(const char *name, make_fn *make, int64_t window, bool recompute)
{
    double worst = 0;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        fixture f;
        decoder d;
        fixture_open(&f, AE_CPU_AUTO, 2, seed);
        make(&d, &f, window);
        d.recompute = recompute;
        decoder_task task = pair_task(&d);
        worst = fmax(worst, fixture_check_slopes(&f, name, decoder_log_prob, &task, d.params,
                                                 d.n_params, TOLERANCE));
        fixture_close(&f);
    }
    print_message("%s: gradient and slope differ by at most %.1e\n", name, worst);
}

static void test_slopes(void **state)
{
    (void)state;
    check_slopes("decoder, all weights", decoder_make_full, 0, false);
    check_slopes("decoder, all weights, window, recomputed", decoder_make_full, 4, true);
    check_slopes("decoder, LoRA with dropout", decoder_make_lora, 0, false);
    check_slopes("decoder, LoRA with dropout, recomputed", decoder_make_lora, 4, true);
}

/* One pass there and back: log-probabilities [9], gradients, the step's peak memory. */
typedef struct {
    float logp[9];
    float *gradients;
    int64_t count;
    size_t peak;
} outcome;

static outcome run_task(fixture *f, const decoder *d, const decoder_task *task)
{
    outcome o;
    ae_arena_free(&f->step);
    f->step.peak = 0;
    decoder_zero_grad(d);
    fixture_backward(f, decoder_log_prob, task, o.logp);
    o.gradients = decoder_gradients(d, &o.count);
    o.peak = f->step.peak;
    return o;
}

static void assert_same_bits(const outcome *a, const outcome *b)
{
    assert_int_equal(a->count, b->count);
    assert_memory_equal(a->logp, b->logp, sizeof a->logp);
    assert_memory_equal(a->gradients, b->gradients, (size_t)a->count * sizeof(float));
}

static void check_recompute(make_fn *make)
{
    fixture f;
    decoder d;
    fixture_open(&f, AE_CPU_AUTO, 2, 4);
    make(&d, &f, 0);
    const decoder_task task = pair_task(&d);
    outcome kept = run_task(&f, &d, &task);
    d.recompute = true;
    outcome again = run_task(&f, &d, &task);
    assert_same_bits(&kept, &again);
    assert_true(again.peak < kept.peak);
    print_message("recompute: %zu bytes at most instead of %zu\n", again.peak, kept.peak);
    ae_free(kept.gradients);
    ae_free(again.gradients);
    fixture_close(&f);
}

/* With LoRA the first layer's input has no gradient, but what is in the layer has. */
static void test_recompute(void **state)
{
    (void)state;
    check_recompute(decoder_make_full);
    check_recompute(decoder_make_lora);
}

static double relative_difference(const outcome *a, const outcome *b)
{
    double largest = 0, difference = 0;
    for (int64_t i = 0; i < a->count; i++) {
        largest = fmax(largest, fabs(a->gradients[i]));
        difference = fmax(difference, fabs((double)a->gradients[i] - b->gradients[i]));
    }
    return difference / largest;
}

static void check_shared_prefix(make_fn *make, int64_t window)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        fixture f;
        decoder d;
        fixture_open(&f, AE_CPU_AUTO, 2, seed);
        make(&d, &f, window);
        const decoder_task shared = pair_task(&d), apart = apart_task(&d);
        outcome one = run_task(&f, &d, &shared), two = run_task(&f, &d, &apart);
        assert_memory_equal(one.logp, two.logp, sizeof one.logp);
        double difference = relative_difference(&one, &two);
        if (!(difference <= 1e-5)) fail_msg("seed %llu: %g", (unsigned long long)seed, difference);
        if (seed == 1) print_message("shared prefix: gradients differ by %.1e\n", difference);
        ae_free(one.gradients);
        ae_free(two.gradients);
        fixture_close(&f);
    }
}

/* A prompt computed once gives the bits of two computations, and their gradient to rounding: only
 * the order of its sums differs. */
static void test_shared_prefix(void **state)
{
    (void)state;
    check_shared_prefix(decoder_make_full, 0);
    check_shared_prefix(decoder_make_full, 4);
    check_shared_prefix(decoder_make_lora, 0);
}

static void test_threads(void **state)
{
    (void)state;
    outcome first = { 0 };
    for (int threads = 1; threads <= 3; threads++) {
        fixture f;
        decoder d;
        fixture_open(&f, AE_CPU_AUTO, threads, 6);
        decoder_make_full(&d, &f, 0);
        d.recompute = threads == 2;
        const decoder_task task = pair_task(&d);
        outcome o = run_task(&f, &d, &task);
        if (threads == 1) {
            first = o;
        } else {
            assert_same_bits(&first, &o);
            ae_free(o.gradients);
        }
        fixture_close(&f);
    }
    ae_free(first.gradients);
}

/* The second sequence of `apart`, alone. */
static decoder_task second_task(const decoder *d)
{
    static const int32_t rows[] = { 5, 6, 7, 8 };
    static const ae_segment segment = { 0, 10, -1, -1 };
    return (decoder_task){ d,
                           { 10, apart_ids + 11, apart_pos + 11, &segment, 1, NULL },
                           { rows, pair_targets + 5, 4, 0 },
                           77,
                           apart_keys + 11 };
}

static decoder_task first_task(const decoder *d)
{
    static const ae_segment segment = { 0, 11, -1, -1 };
    return (decoder_task){ d,
                           { 11, apart_ids, apart_pos, &segment, 1, NULL },
                           { apart_rows, pair_targets, 5, 0 },
                           77,
                           apart_keys };
}

/* d(sum of logp) of each task in turn, summed into the gradients; logp [9]. */
static void accumulate(fixture *f, const decoder_task *tasks, int n, float *logp)
{
    for (int i = 0; i < n; i++) {
        ae_tape tape = { 0 };
        ae_ctx cx = fixture_ctx(f, &tape);
        ae_tensor *y = decoder_log_prob(&cx, &tasks[i]);
        if (!y) fail_msg("%s", cx.error.message);
        memcpy(logp, y->data, (size_t)y->rows * sizeof *logp);
        logp += y->rows;
        for (int64_t j = 0; j < y->rows; j++) y->grad[j] = 1;
        const ae_backward to = { .device = f->device, .arena = &f->step };
        assert_int_equal(ae_tape_backward(&tape, &to, &cx.error), AERIE_OK);
        ae_arena_reset_all(&f->step);
    }
}

static void check_packing(make_fn *make)
{
    fixture f;
    decoder d;
    int64_t count;
    float packed_logp[9], logp[9];
    fixture_open(&f, AE_CPU_AUTO, 2, 8);
    make(&d, &f, 4);
    const decoder_task packed = apart_task(&d);
    const decoder_task apart[] = { first_task(&d), second_task(&d) };

    accumulate(&f, &packed, 1, packed_logp);
    float *packed_gradients = decoder_gradients(&d, &count);
    decoder_zero_grad(&d);
    accumulate(&f, apart, 2, logp);
    float *gradients = decoder_gradients(&d, &count);
    assert_memory_equal(packed_logp, logp, sizeof logp);
    assert_memory_equal(packed_gradients, gradients, (size_t)count * sizeof(float));
    ae_free(packed_gradients);
    ae_free(gradients);
    fixture_close(&f);
}

/* Packed into one row or one after the other in two passes: the same bits, gradients too. */
static void test_packing(void **state)
{
    (void)state;
    check_packing(decoder_make_full);
    check_packing(decoder_make_lora);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slopes),        cmocka_unit_test(test_recompute),
        cmocka_unit_test(test_shared_prefix), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_packing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
