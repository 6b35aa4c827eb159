/* test_kernels.c -- every variant of a kernel that this machine can run gives what ref gives, for
 * awkward sizes, and writes nowhere else; and all of them but ref give the same bits, here and on
 * every other machine. */
#include "blocks.h"
#include "cpu/kernel/kernel.h"
#include "guarded.h"

#include <stdio.h>

enum { SEEDS = 20, MOST_VARIANTS = 5 };

static ae_kernels ref, variants[MOST_VARIANTS];
static int n_variants;

/* Of all results of a variant, in the order of the tests: whoever changes an order of summation or
 * an approximation changes this on purpose. */
static uint64_t digest;
static const uint64_t expected_digest = 0xa25f18eeb261aead;

static const int64_t widths[] = { 1, 2, 7, 8, 15, 16, 17, 31, 33, 48, 64, 100, 257 };

static int find_variants(void **state)
{
    (void)state;
    ae_kernels_detect(&ref, AE_CPU_REF);
    for (ae_cpu_choice c = AE_CPU_AVX2; c <= AE_CPU_NEON; c++)
        if (ae_kernels_detect(&variants[n_variants], c)) n_variants++;
    for (int v = 0; v < n_variants; v++) printf("[   INFO   ] against ref: %s\n", variants[v].name);
    return 0;
}

/* One case of one kernel: fills the buffer that it returns by kernel table k. The generator is in
 * the same state for every table. */
typedef buffer case_fn(const ae_kernels *k, ae_rng *rng, const int64_t *size);

typedef struct {
    const char *name;
    case_fn *fn;
    double tolerance, unit;
} kernel_case;

static void check_case(const kernel_case *c, const int64_t *size)
{
    char what[128];

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        ae_rng rng;
        buffer first = { NULL, 0 };

        ae_rng_seed(&rng, seed);
        buffer want = c->fn(&ref, &rng, size);
        for (int v = 0; v < n_variants; v++) {
            snprintf(what, sizeof what, "%s %s, seed %llu, size %lld %lld %lld", variants[v].name,
                     c->name, (unsigned long long)seed, (long long)size[0], (long long)size[1],
                     (long long)size[2]);
            ae_rng_seed(&rng, seed);
            buffer got = c->fn(&variants[v], &rng, size);
            assert_close(what, got.at, want.at, want.n, c->tolerance, c->unit);
            if (v) assert_same_bits(what, got.at, first.at, want.n);
            if (v) {
                buffer_free(got);
                continue;
            }
            first = got;
            digest = ae_hash64(got.at, (size_t)got.n * sizeof *got.at, digest);
        }
        if (n_variants) buffer_free(first);
        buffer_free(want);
    }
}

static void check_widths(const kernel_case *c)
{
    for (size_t i = 0; i < AE_COUNT(widths); i++)
        check_case(c, (const int64_t[]){ widths[i], 3, 0 });
}

static buffer gemm_case(const ae_kernels *k, ae_rng *rng, const int64_t *size)
{
    int64_t I = size[0], J = size[1], R = size[2];
    buffer a = buffer_random(rng, I * R), b = buffer_random(rng, R * J),
           c = buffer_random(rng, I * J);

    k->gemm(c.at, J, a.at, R, 1, b.at, J, (ae_gemm_size){ I, J, R });
    buffer_free(a);
    buffer_free(b);
    return c;
}

/* a lies transposed, and c is a part of something wider. */
static buffer gemm_strided_case(const ae_kernels *k, ae_rng *rng, const int64_t *size)
{
    int64_t I = size[0], J = size[1], R = size[2], ldc = J + 3, ldb = J + 5;
    buffer a = buffer_random(rng, I * R), b = buffer_random(rng, R * ldb);
    buffer c = buffer_random(rng, I * ldc);

    k->gemm(c.at, ldc, a.at, 1, I, b.at, ldb, (ae_gemm_size){ I, J, R });
    buffer_free(a);
    buffer_free(b);
    return c;
}

static buffer dots_case(const ae_kernels *k, ae_rng *rng, const int64_t *size)
{
    buffer w = buffer_random(rng, size[1] * size[2]), x = buffer_random(rng, size[2]);
    buffer y = buffer_random(rng, size[1]);

    k->dots(y.at, w.at, size[2], x.at, size[1], size[2]);
    buffer_free(w);
    buffer_free(x);
    return y;
}

static void test_products(void **state)
{
    static const int64_t cols[] = { 1, 15, 16, 17, 31, 32, 33, 70 },
                         depths[] = { 1, 2, 15, 16, 67 };
    const kernel_case gemm = { "gemm", gemm_case, 1e-5, 1 };
    const kernel_case strided = { "gemm, strided", gemm_strided_case, 1e-5, 1 };
    const kernel_case dots = { "dots", dots_case, 1e-5, 1 };

    (void)state;
    for (int64_t rows = 1; rows <= 13; rows++)
        for (size_t j = 0; j < AE_COUNT(cols); j++) {
            check_case(&gemm, (const int64_t[]){ rows, cols[j], depths[(size_t)rows % 5] });
            check_case(&strided,
                       (const int64_t[]){ rows, cols[j], depths[(size_t)(rows + 1) % 5] });
            check_case(&dots, (const int64_t[]){ 1, cols[j], rows * 5 });
        }
    check_case(&gemm, (const int64_t[]){ 50, 96, 128 });
}

/* A product by dots and by gemm over a transposed panel is the same chain. */
static void test_dots_is_gemm(void **state)
{
    (void)state;
    for (int v = 0; v < n_variants; v++)
        for (int64_t rows = 1; rows < 70; rows += 3) {
            const ae_kernels *k = &variants[v];
            int64_t depth = 3 * rows + 1;
            ae_rng rng;
            ae_rng_seed(&rng, (uint64_t)rows);
            buffer w = buffer_random(&rng, rows * depth), x = buffer_random(&rng, depth);
            buffer panel = buffer_new(rows * depth), one = buffer_new(rows), two = buffer_new(rows);

            k->dots(one.at, w.at, depth, x.at, rows, depth);
            k->transpose(panel.at, rows, w.at, depth, rows, depth);
            k->gemm(two.at, rows, x.at, depth, 1, panel.at, rows, (ae_gemm_size){ 1, rows, depth });
            assert_same_bits(k->name, one.at, two.at, rows);
            buffer_free(w), buffer_free(x), buffer_free(panel), buffer_free(one), buffer_free(two);
        }
}

static buffer transpose_case(const ae_kernels *k, ae_rng *rng, const int64_t *size)
{
    int64_t rows = size[0], cols = size[1];
    buffer a = buffer_random(rng, rows * (cols + 2)), out = buffer_new(cols * (rows + 1));

    k->transpose(out.at, rows + 1, a.at, cols + 2, rows, cols);
    buffer_free(a);
    return out;
}

static void test_transpose(void **state)
{
    const kernel_case c = { "transpose", transpose_case, 0, 0 };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(widths); i++)
        for (size_t j = 0; j < 9; j++) check_case(&c, (const int64_t[]){ widths[i], widths[j], 0 });
}

static buffer rmsnorm_case(const ae_kernels *k, ae_rng *rng, const int64_t *size)
{
    int64_t D = size[0], T = size[1];
    buffer x = buffer_random(rng, T * D), w = buffer_random(rng, D), y = buffer_new(T * D + T);

    k->rmsnorm(y.at, y.at + T * D, x.at, w.at, T, D, 1e-5f);
    buffer_free(x);
    buffer_free(w);
    return y;
}

static buffer rmsnorm_dx_case(const ae_kernels *k, ae_rng *rng, const int64_t *size)
{
    int64_t D = size[0], T = size[1];
    buffer x = buffer_random(rng, T * D), w = buffer_random(rng, D), dy = buffer_random(rng, T * D);
    buffer rstd = buffer_random(rng, T), dx = buffer_random(rng, T * D);

    k->rmsnorm_dx(dx.at, dy.at, x.at, w.at, rstd.at, T, D);
    buffer_free(x), buffer_free(w), buffer_free(dy), buffer_free(rstd);
    return dx;
}

static buffer rmsnorm_dw_case(const ae_kernels *k, ae_rng *rng, const int64_t *size)
{
    int64_t D = size[0], T = 9, ld = D + 4;
    buffer x = buffer_random(rng, T * ld), dy = buffer_random(rng, T * ld);
    buffer rstd = buffer_random(rng, T), dw = buffer_random(rng, D);

    k->rmsnorm_dw(dw.at, dy.at, x.at, rstd.at, T, D, ld);
    buffer_free(x), buffer_free(dy), buffer_free(rstd);
    return dw;
}

static void test_rmsnorm(void **state)
{
    const kernel_case forward = { "rmsnorm", rmsnorm_case, 2e-6, 1e-3 };
    const kernel_case dx = { "rmsnorm_dx", rmsnorm_dx_case, 2e-5, 1 };
    const kernel_case dw = { "rmsnorm_dw", rmsnorm_dw_case, 5e-6, 1 };

    (void)state;
    check_widths(&forward);
    check_widths(&dx);
    check_widths(&dw);
}

static buffer rope_case(const ae_kernels *k, ae_rng *rng, const int64_t *size)
{
    int64_t d = 2 * size[0], heads = size[1];
    ae_rope_shape shape = { heads, d, size[2] & 1 ? -1.0f : 1.0f, size[2] & 2, size[2] & 4 };
    buffer x = buffer_random(rng, heads * d), c = buffer_random(rng, d / 2);
    buffer s = buffer_random(rng, d / 2), y = buffer_random(rng, heads * d);

    if (!shape.accumulate) memcpy(y.at, x.at, (size_t)x.n * sizeof *x.at);
    k->rope(y.at, shape.accumulate ? x.at : y.at, c.at, s.at, &shape); /* in place when it may be */
    buffer_free(x), buffer_free(c), buffer_free(s);
    return y;
}

static void test_rope(void **state)
{
    const kernel_case c = { "rope", rope_case, 2e-6, 1 };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(widths); i++)
        for (int64_t how = 0; how < 8; how++)
            check_case(&c, (const int64_t[]){ widths[i], 3, how });
}

/* Gates from -100 to 100: both ends of the exponential. */
static buffer random_gates(ae_rng *rng, int64_t n)
{
    buffer gate = buffer_random(rng, n);

    for (int64_t i = 0; i < n; i++) gate.at[i] *= i % 3 ? 2 : 30;
    return gate;
}

static buffer swiglu_case(const ae_kernels *k, ae_rng *rng, const int64_t *size)
{
    buffer gate = random_gates(rng, size[0]), up = buffer_random(rng, size[0]);
    buffer y = buffer_new(size[0]);

    k->swiglu(y.at, gate.at, up.at, size[0]);
    buffer_free(gate), buffer_free(up);
    return y;
}

static buffer swiglu_bwd_case(const ae_kernels *k, ae_rng *rng, const int64_t *size)
{
    int64_t n = size[0];
    buffer gate = random_gates(rng, n), up = buffer_random(rng, n), dy = buffer_random(rng, n);
    buffer out = buffer_random(rng, 2 * n);

    k->swiglu_bwd(size[2] & 1 ? NULL : out.at, size[2] & 2 ? NULL : out.at + n, dy.at, gate.at,
                  up.at, n);
    buffer_free(gate), buffer_free(up), buffer_free(dy);
    return out;
}

static buffer geglu_case(const ae_kernels *k, ae_rng *rng, const int64_t *size)
{
    buffer gate = random_gates(rng, size[0]), up = buffer_random(rng, size[0]);
    buffer y = buffer_new(size[0]);

    k->geglu(y.at, gate.at, up.at, size[0]);
    buffer_free(gate), buffer_free(up);
    return y;
}

static buffer geglu_bwd_case(const ae_kernels *k, ae_rng *rng, const int64_t *size)
{
    int64_t n = size[0];
    buffer gate = random_gates(rng, n), up = buffer_random(rng, n), dy = buffer_random(rng, n);
    buffer out = buffer_random(rng, 2 * n);

    k->geglu_bwd(size[2] & 1 ? NULL : out.at, size[2] & 2 ? NULL : out.at + n, dy.at, gate.at,
                 up.at, n);
    buffer_free(gate), buffer_free(up), buffer_free(dy);
    return out;
}

static void test_geglu(void **state)
{
    /* Far below zero the gate is a small number times a smaller one: an error of the exponent. */
    const kernel_case forward = { "geglu", geglu_case, 2e-6, 1 };
    const kernel_case backward = { "geglu_bwd", geglu_bwd_case, 3e-6, 3 };

    (void)state;
    check_widths(&forward);
    for (size_t i = 0; i < AE_COUNT(widths); i++)
        for (int64_t how = 0; how < 4; how++)
            check_case(&backward, (const int64_t[]){ widths[i], 0, how });
}

static buffer cap_bwd_case(const ae_kernels *k, ae_rng *rng, const int64_t *size)
{
    int64_t n = size[0];
    buffer y = buffer_random(rng, n), dy = buffer_random(rng, n), dx = buffer_random(rng, n);

    k->soft_cap_bwd(dx.at, dy.at, y.at, 5, n);
    buffer_free(y), buffer_free(dy);
    return dx;
}

static void test_cap_bwd(void **state)
{
    const kernel_case c = { "soft_cap_bwd", cap_bwd_case, 1e-6, 1 };

    (void)state;
    check_widths(&c);
}

static buffer add_case(const ae_kernels *k, ae_rng *rng, const int64_t *size)
{
    buffer a = buffer_random(rng, size[0]), b = buffer_random(rng, size[0]),
           y = buffer_new(size[0]);

    k->add(y.at, a.at, b.at, size[0]);
    k->add_to(y.at, a.at, 0.7f, size[0]);
    k->scale(y.at, y.at, 0.3f, size[0]);
    buffer_free(a), buffer_free(b);
    return y;
}

static void test_pointwise(void **state)
{
    /* Below 1e-37 the kernels' sigmoid stays what it is at -88. */
    const kernel_case forward = { "swiglu", swiglu_case, 1e-6, 1e-29 };
    const kernel_case backward = { "swiglu_bwd", swiglu_bwd_case, 3e-6, 3 };
    const kernel_case plus = { "add", add_case, 1e-6, 1 };

    (void)state;
    check_widths(&forward);
    check_widths(&plus);
    for (size_t i = 0; i < AE_COUNT(widths); i++)
        for (int64_t how = 0; how < 4; how++)
            check_case(&backward, (const int64_t[]){ widths[i], 0, how });
}

static buffer exp_case(const ae_kernels *k, ae_rng *rng, const int64_t *size)
{
    int64_t n = size[0];
    buffer x = random_gates(rng, n), out = buffer_new(n + 1);
    float max = k->max(x.at, n);

    if (n > 3) x.at[n / 2] = -INFINITY;
    out.at[n] = k->exp_sum(out.at, x.at, max, n);
    buffer_free(x);
    return out;
}

static buffer sums_case(const ae_kernels *k, ae_rng *rng, const int64_t *size)
{
    int64_t n = size[0];
    buffer a = buffer_random(rng, n), b = buffer_random(rng, n), out = buffer_new(4);

    out.at[0] = k->sum(a.at, n);
    out.at[1] = k->dot(a.at, b.at, n);
    out.at[2] = (float)k->sum_squares(a.at, n);
    for (int64_t i = 0; i < n; i++) a.at[i] -= 100;
    out.at[3] = k->max(a.at, n);
    buffer_free(a), buffer_free(b);
    return out;
}

static buffer cap_case(const ae_kernels *k, ae_rng *rng, const int64_t *size)
{
    buffer x = random_gates(rng, size[0]);

    x.at[0] = 1e-4f; /* near zero tanh is the identity, to the last bits */
    k->soft_cap(x.at, 20, size[0]);
    return x;
}

static buffer softmax_bwd_case(const ae_kernels *k, ae_rng *rng, const int64_t *size)
{
    int64_t n = size[0];
    buffer dp = buffer_random(rng, n), p = buffer_random(rng, n), score = buffer_random(rng, n);

    k->softmax_bwd(dp.at, p.at, score.at, 0.3f, size[2] ? 2.0f : 0.0f, n);
    buffer_free(p), buffer_free(score);
    return dp;
}

static void test_softmax(void **state)
{
    /* x - shift, up to 100 here, is rounded before it is raised; subnormal results are 0. */
    const kernel_case exponentials = { "exp_sum", exp_case, 7e-6, 2e-33 };
    const kernel_case sums = { "sums", sums_case, 1e-5, 1 };
    const kernel_case cap = { "soft_cap", cap_case, 1e-6, 0 };
    const kernel_case backward = { "softmax_bwd", softmax_bwd_case, 3e-6, 1 };

    (void)state;
    check_widths(&exponentials);
    check_widths(&sums);
    check_widths(&cap);
    for (size_t i = 0; i < AE_COUNT(widths); i++)
        for (int64_t how = 0; how < 2; how++)
            check_case(&backward, (const int64_t[]){ widths[i], 0, how });
}

/* Every exponent: exp within 2 units in the last place of what a double gives. */
static void test_exp_everywhere(void **state)
{
    enum { N = 1 << 16 };
    buffer x = buffer_new(N), y = buffer_new(N);

    (void)state;
    for (int64_t i = 0; i < N; i++) x.at[i] = -87.3f + 175.2f * (float)i / N;
    for (int v = 0; v < n_variants; v++) {
        variants[v].exp_sum(y.at, x.at, 0, N);
        for (int64_t i = 0; i < N; i++) {
            double want = exp(x.at[i]), off = fabs(y.at[i] - want) / want * 0x1p23;
            if (!(off < 2)) fail_msg("exp(%.9g) is off by %g units", x.at[i], off);
        }
    }
    buffer_free(x), buffer_free(y);
}

static buffer adamw_case(const ae_kernels *k, ae_rng *rng, const int64_t *size)
{
    int64_t n = size[0];
    buffer state = buffer_random(rng, 3 * n), grad = buffer_random(rng, n);
    ae_adamw_step step = { .learning_rate = 1e-2, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8 };

    step.weight_decay = 0.01, step.grad_scale = 0.5, step.correction1 = 0.1,
    step.correction2 = 1e-3;
    for (int64_t i = 2 * n; i < 3 * n; i++) state.at[i] = fabsf(state.at[i]);
    k->adamw(state.at, state.at + n, state.at + 2 * n, grad.at, n, &step);
    buffer_free(grad);
    return state;
}

static void test_adamw(void **state)
{
    const kernel_case c = { "adamw", adamw_case, 2e-6, 0.1 };

    (void)state;
    check_widths(&c);
}

/* Random blocks, any bits but scales that are no number: bit for bit the plain definition. */
static void check_expand(const ae_kernels *k, const ae_dtype_info *type, int64_t n, ae_rng *rng)
{
    size_t bytes = (size_t)(n / type->block_elements * type->block_bytes);
    uint8_t *blocks = ae_alloc(bytes + 1, 1); /* begins odd, as in a file */
    buffer got = buffer_new(n), want = buffer_new(n);

    for (size_t i = 0; i < bytes; i++) blocks[i + 1] = (uint8_t)ae_rng_below(rng, 256);
    assert_true(ae_dtype_decode_row(type->dtype, blocks + 1, n, want.at));
    k->expand[type->dtype](got.at, blocks + 1, n);
    for (int64_t i = 0; i < n; i++) {
        if (isnan(want.at[i]) && isnan(got.at[i])) continue;
        assert_same_bits(type->name, got.at + i, want.at + i, 1);
    }
    buffer_free(got), buffer_free(want);
    ae_free(blocks);
}

static void test_expand(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        for (size_t i = 1; i <= AE_COUNT(stored_types); i++)
            for (int v = 0; v < n_variants; v++) {
                const ae_dtype_info *type =
                    ae_dtype_info_of(i < AE_COUNT(stored_types) ? stored_types[i] : AE_NF4);
                ae_rng rng;
                ae_rng_seed(&rng, seed);
                check_expand(&variants[v], type, (int64_t)seed * type->block_elements, &rng);
            }
}

static void test_same_everywhere(void **state)
{
    (void)state;
    if (!n_variants) skip();
    if (digest != expected_digest)
        fail_msg("the digest of all results is 0x%016llx", (unsigned long long)digest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_dots_is_gemm),
        cmocka_unit_test(test_transpose),
        cmocka_unit_test(test_rmsnorm),
        cmocka_unit_test(test_rope),
        cmocka_unit_test(test_pointwise),
        cmocka_unit_test(test_geglu),
        cmocka_unit_test(test_cap_bwd),
        cmocka_unit_test(test_softmax),
        cmocka_unit_test(test_exp_everywhere),
        cmocka_unit_test(test_adamw),
        cmocka_unit_test(test_expand),
        cmocka_unit_test(test_same_everywhere),
    };

    return cmocka_run_group_tests(tests, find_variants, NULL);
}
