/* Every op's gradient is the slope of what it computes. */
#include "blocks.h"
#include "grad/fixture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SEEDS = 10, T = 5, D = 24, F = 40, V = 19 };

/* Losses are float32 outputs summed in double: the slope's own rounding is about 1e-7 / h, 1e-4 at
 * the steps that fixture_check_slopes() takes. */
static const double TOLERANCE = 3e-4;

typedef struct {
    ae_tensor *a, *b, *c, *d;
    const int32_t *ids;
    const uint64_t *row_keys;
    bool interleaved;
} operands;

static double worst;

/* Ten seeds of one op: `make` builds the operands and names those with gradients. */
typedef int make_fn(fixture *f, operands *o, ae_tensor **inputs);

static void check(const char *name, fixture_fn *fn, make_fn *make)
{
    worst = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        fixture f;
        operands o = { 0 };
        ae_tensor *inputs[4];
        fixture_open(&f, AE_CPU_AUTO, 2, seed);
        int n = make(&f, &o, inputs);
        worst = fmax(worst, fixture_check_slopes(&f, name, fn, &o, inputs, n, TOLERANCE));
        fixture_close(&f);
    }
    print_message("%s: gradient and slope differ by at most %.1e\n", name, worst);
}

static ae_tensor *linear(ae_ctx *cx, const void *params)
{
    const operands *o = params;
    return ae_linear(cx, o->a, o->b, o->c);
}

static int make_linear(fixture *f, operands *o, ae_tensor **inputs)
{
    inputs[0] = o->a = fixture_tensor(f, T, D, 1, true);
    inputs[1] = o->b = fixture_tensor(f, F, D, 0.2f, true);
    return 2;
}

static int make_linear_bias(fixture *f, operands *o, ae_tensor **inputs)
{
    inputs[2] = o->c = fixture_tensor(f, 1, F, 1, true);
    return make_linear(f, o, inputs) + 1;
}

static int make_linear_bias_only(fixture *f, operands *o, ae_tensor **inputs)
{
    o->a = fixture_tensor(f, T, D, 1, false);
    o->b = fixture_tensor(f, F, D, 0.2f, false);
    inputs[0] = o->c = fixture_tensor(f, 1, F, 1, true);
    return 1;
}

static void test_linear(void **state)
{
    (void)state;
    check("linear", linear, make_linear);
    check("linear with bias", linear, make_linear_bias);
    check("linear, bias alone", linear, make_linear_bias_only);
}

/* Into a product of the same x, as a projection does it: y's gradient is the sum's. */
static ae_tensor *low_rank(ae_ctx *cx, const void *params)
{
    const operands *o = params;
    return ae_add_low_rank(cx, ae_linear(cx, o->a, o->d, NULL), o->a, o->b, o->c, -0.7f);
}

static int make_low_rank(fixture *f, operands *o, ae_tensor **inputs)
{
    inputs[0] = o->a = fixture_tensor(f, T, D, 1, true);
    inputs[1] = o->b = fixture_tensor(f, 3, D, 0.3f, true);
    inputs[2] = o->c = fixture_tensor(f, F, 3, 0.5f, true);
    inputs[3] = o->d = fixture_tensor(f, F, D, 0.2f, true);
    return 4;
}

/* Over frozen weights and inputs: y has no gradient until the adapter gives it one. */
static int make_low_rank_alone(fixture *f, operands *o, ae_tensor **inputs)
{
    o->a = fixture_tensor(f, T, D, 1, false);
    inputs[0] = o->b = fixture_tensor(f, 3, D, 0.3f, true);
    inputs[1] = o->c = fixture_tensor(f, F, 3, 0.5f, true);
    o->d = fixture_tensor(f, F, D, 0.2f, false);
    return 2;
}

static int make_low_rank_frozen(fixture *f, operands *o, ae_tensor **inputs)
{
    inputs[0] = o->a = fixture_tensor(f, T, D, 1, true);
    o->b = fixture_tensor(f, 3, D, 0.3f, false);
    o->c = fixture_tensor(f, F, 3, 0.5f, false);
    o->d = fixture_tensor(f, F, D, 0.2f, false);
    return 1;
}

static void test_low_rank(void **state)
{
    (void)state;
    check("low rank", low_rank, make_low_rank);
    check("low rank, all else frozen", low_rank, make_low_rank_alone);
    check("low rank, frozen", low_rank, make_low_rank_frozen);
}

/* A frozen weight of any type: dx alone, through the weight as it lies. */
static void test_linear_frozen(void **state)
{
    (void)state;
    for (size_t i = 0; i < AE_COUNT(stored_types); i++) {
        worst = 0;
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            fixture f;
            fixture_open(&f, AE_CPU_AUTO, 2, seed);
            operands o = { .a = fixture_tensor(&f, T, 512, 1, true),
                           .b = fixture_frozen(&f, stored_types[i], 37, 512, 0.1f) };
            const char *name = ae_dtype_info_of(stored_types[i])->name;
            worst = fmax(worst, fixture_check_slopes(&f, name, linear, &o, &o.a, 1, TOLERANCE));
            fixture_close(&f);
        }
        print_message("linear, frozen %s: gradient and slope differ by at most %.1e\n",
                      ae_dtype_info_of(stored_types[i])->name, worst);
    }
}

static const float norms[D] = { 0.5f, 1, 2, 3, 0.25f, 1, 1, 2, 0, 1, 1, 4,
                                1,    1, 1, 1, 1,     2, 3, 4, 5, 6, 7, 8 };

static ae_tensor *rescale(ae_ctx *cx, const void *params)
{
    const operands *o = params;
    return ae_rescale(cx, o->a, o->b, norms, o->c);
}

static int make_rescale(fixture *f, operands *o, ae_tensor **inputs)
{
    inputs[0] = o->a = fixture_tensor(f, T, D, 1, true);
    inputs[1] = o->b = fixture_tensor(f, D, 1, 1, true);
    inputs[2] = o->c = fixture_tensor(f, 1, D, 1, true);
    return 3;
}

static int make_rescale_magnitudes(fixture *f, operands *o, ae_tensor **inputs)
{
    o->a = fixture_tensor(f, T, D, 1, false);
    inputs[0] = o->b = fixture_tensor(f, D, 1, 1, true);
    return 1;
}

static void test_rescale(void **state)
{
    (void)state;
    check("rescale", rescale, make_rescale);
    check("rescale, magnitudes alone", rescale, make_rescale_magnitudes);
}

static ae_tensor *rmsnorm(ae_ctx *cx, const void *params)
{
    const operands *o = params;
    return ae_rmsnorm(cx, o->a, o->b, 1e-5f);
}

static int make_rmsnorm(fixture *f, operands *o, ae_tensor **inputs)
{
    inputs[0] = o->a = fixture_tensor(f, T, D, 1, true);
    inputs[1] = o->b = fixture_tensor(f, 1, D, 1, true);
    return 2;
}

static int make_rmsnorm_frozen(fixture *f, operands *o, ae_tensor **inputs)
{
    inputs[0] = o->a = fixture_tensor(f, T, D, 1, true);
    o->b = fixture_tensor(f, 1, D, 1, false);
    return 1;
}

static void test_rmsnorm(void **state)
{
    (void)state;
    check("rmsnorm", rmsnorm, make_rmsnorm);
    check("rmsnorm, frozen weight", rmsnorm, make_rmsnorm_frozen);
}

static ae_tensor *rope(ae_ctx *cx, const void *params)
{
    static const int32_t pos[T] = { 0, 3, 1, 1000, 77 };
    static const double freq[] = { 1, 0.3, 0.01, 0.0001 };
    const operands *o = params;
    return ae_rope(cx, o->a, ae_rope_table_new(cx, pos, T, freq, 8, o->interleaved));
}

static int make_rope(fixture *f, operands *o, ae_tensor **inputs)
{
    inputs[0] = o->a = fixture_tensor(f, T, D, 1, true);
    return 1;
}

static int make_rope_interleaved(fixture *f, operands *o, ae_tensor **inputs)
{
    o->interleaved = true;
    return make_rope(f, o, inputs);
}

static void test_rope(void **state)
{
    (void)state;
    check("rope", rope, make_rope);
    check("rope, interleaved", rope, make_rope_interleaved);
}

static ae_tensor *swiglu(ae_ctx *cx, const void *params)
{
    const operands *o = params;
    return ae_swiglu(cx, o->a, o->b);
}

static ae_tensor *geglu(ae_ctx *cx, const void *params)
{
    const operands *o = params;
    return ae_geglu(cx, o->a, o->b);
}

static ae_tensor *soft_cap(ae_ctx *cx, const void *params)
{
    const operands *o = params;
    return ae_soft_cap(cx, o->a, 1.5f);
}

static ae_tensor *scale(ae_ctx *cx, const void *params)
{
    const operands *o = params;
    return ae_scale(cx, o->a, 2.5f);
}

/* A norm over parts of rows, as over the heads of q. */
static ae_tensor *reshape(ae_ctx *cx, const void *params)
{
    const operands *o = params;
    const ae_tensor *parts = ae_reshape(cx, ae_scale(cx, o->a, 2), 3 * T, D / 3);
    return ae_reshape(cx, ae_rmsnorm(cx, parts, o->b, 1e-5f), T, D);
}

static int make_parts(fixture *f, operands *o, ae_tensor **inputs)
{
    inputs[0] = o->a = fixture_tensor(f, T, D, 1, true);
    inputs[1] = o->b = fixture_tensor(f, 1, D / 3, 1, true);
    return 2;
}

static ae_tensor *add(ae_ctx *cx, const void *params)
{
    const operands *o = params;
    return ae_add(cx, o->a, o->b);
}

static ae_tensor *add_scaled(ae_ctx *cx, const void *params)
{
    const operands *o = params;
    return ae_add_scaled(cx, o->a, o->b, -0.7f);
}

/* The same tensor twice: both parts must arrive. */
static ae_tensor *twice(ae_ctx *cx, const void *params)
{
    const operands *o = params;
    return ae_swiglu(cx, o->a, ae_add(cx, o->a, o->a));
}

static int make_pair(fixture *f, operands *o, ae_tensor **inputs)
{
    inputs[0] = o->a = fixture_tensor(f, T, D, 1, true);
    inputs[1] = o->b = fixture_tensor(f, T, D, 1, true);
    return 2;
}

static int make_one(fixture *f, operands *o, ae_tensor **inputs)
{
    inputs[0] = o->a = fixture_tensor(f, T, D, 1, true);
    o->b = fixture_tensor(f, T, D, 1, false);
    return 1;
}

static int make_other(fixture *f, operands *o, ae_tensor **inputs)
{
    o->a = fixture_tensor(f, T, D, 1, false);
    inputs[0] = o->b = fixture_tensor(f, T, D, 1, true);
    return 1;
}

static void test_elementwise(void **state)
{
    (void)state;
    check("swiglu", swiglu, make_pair);
    check("swiglu, gate alone", swiglu, make_one);
    check("swiglu, up alone", swiglu, make_other);
    check("geglu", geglu, make_pair);
    check("geglu, gate alone", geglu, make_one);
    check("geglu, up alone", geglu, make_other);
    check("soft_cap", soft_cap, make_one);
    check("scale", scale, make_one);
    check("reshape", reshape, make_parts);
    check("add", add, make_pair);
    check("add, one alone", add, make_one);
    check("add_scaled", add_scaled, make_pair);
    check("add_scaled, other alone", add_scaled, make_other);
    check("a tensor used twice", twice, make_one);
}

static const int32_t repeated_ids[T] = { 3, 0, 3, V - 1, 3 };

static ae_tensor *embedding(ae_ctx *cx, const void *params)
{
    const operands *o = params;
    return ae_embedding(cx, o->a, repeated_ids, T);
}

static int make_embedding(fixture *f, operands *o, ae_tensor **inputs)
{
    inputs[0] = o->a = fixture_tensor(f, V, D, 1, true);
    return 1;
}

static ae_tensor *pick_rows(ae_ctx *cx, const void *params)
{
    static const int32_t rows[] = { 4, 1, 4 };
    const operands *o = params;
    return ae_pick_rows(cx, o->a, rows, 3);
}

static void test_gather(void **state)
{
    (void)state;
    check("embedding", embedding, make_embedding);
    check("pick_rows", pick_rows, make_one);
}

static ae_tensor *dropout(ae_ctx *cx, const void *params)
{
    static const uint64_t row_keys[T] = { 11, 12, 13, 14, 15 };
    const operands *o = params;
    cx->dropout_key = 99;
    cx->dropout_rows = row_keys;
    return ae_dropout(cx, ae_dropout(cx, o->a, 0.3f, 5), 0.2f, 6);
}

static void test_dropout(void **state)
{
    (void)state;
    check("dropout", dropout, make_one);
}

static const int32_t predicted_rows[] = { 1, 4, 4, 0 };
static const int32_t targets[] = { 2, V - 1, 0, 7 };
static const ae_predictions predictions = { predicted_rows, targets, 4, 0 };

static ae_tensor *log_prob(ae_ctx *cx, const void *params)
{
    const operands *o = params;
    return ae_log_prob(cx, o->a, o->b, &predictions, NULL);
}

static ae_tensor *log_prob_mean(ae_ctx *cx, const void *params)
{
    const operands *o = params;
    ae_tensor *mean;
    const ae_tensor *logp = ae_log_prob(cx, o->a, o->b, &predictions, &mean);
    return ae_add_scaled(cx, logp, mean, 0.4f);
}

static const ae_predictions capped = { predicted_rows, targets, 4, 1.2f };

static ae_tensor *log_prob_entropy(ae_ctx *cx, const void *params)
{
    const operands *o = params;
    ae_tensor *entropy;
    const ae_tensor *logp = ae_log_prob_entropy(cx, o->a, o->b, &predictions, &entropy);
    return ae_add_scaled(cx, logp, entropy, 0.4f);
}

static ae_tensor *log_prob_capped(ae_ctx *cx, const void *params)
{
    const operands *o = params;
    ae_tensor *mean;
    const ae_tensor *logp = ae_log_prob(cx, o->a, o->b, &capped, &mean);
    return ae_add_scaled(cx, logp, mean, 0.4f);
}

static int make_head(fixture *f, operands *o, ae_tensor **inputs)
{
    inputs[0] = o->a = fixture_tensor(f, T, D, 1, true);
    inputs[1] = o->b = fixture_tensor(f, V, D, 0.3f, true);
    return 2;
}

static int make_head_frozen(fixture *f, operands *o, ae_tensor **inputs)
{
    inputs[0] = o->a = fixture_tensor(f, T, 256, 0.3f, true);
    o->b = fixture_frozen(f, AE_Q8_0, V, 256, 0.1f);
    return 1;
}

static int make_head_alone(fixture *f, operands *o, ae_tensor **inputs)
{
    o->a = fixture_tensor(f, T, D, 1, false);
    inputs[0] = o->b = fixture_tensor(f, V, D, 0.3f, true);
    return 1;
}

static void test_log_prob(void **state)
{
    (void)state;
    check("log_prob", log_prob, make_head);
    check("log_prob with mean", log_prob_mean, make_head);
    check("log_prob with entropy", log_prob_entropy, make_head);
    check("log_prob with mean, frozen Q8_0 head", log_prob_mean, make_head_frozen);
    check("log_prob with a soft cap", log_prob_capped, make_head);
    check("log_prob, head alone", log_prob, make_head_alone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear),      cmocka_unit_test(test_rescale),
        cmocka_unit_test(test_low_rank),    cmocka_unit_test(test_linear_frozen),
        cmocka_unit_test(test_rmsnorm),     cmocka_unit_test(test_rope),
        cmocka_unit_test(test_elementwise), cmocka_unit_test(test_gather),
        cmocka_unit_test(test_dropout),     cmocka_unit_test(test_log_prob),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
