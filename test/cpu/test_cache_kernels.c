/* test_cache_kernels.c -- kernels over cached keys and values: every variant that this machine can
 * run rounds as ref does, multiplies as the product kernel does, and gives the same bits as the
 * others, here and on every other machine. */
#include "cpu/kernel/kernel.h"
#include "guarded.h"

#include <stdio.h>

enum { MOST_VARIANTS = 4 };

static ae_kernels ref, variants[MOST_VARIANTS];
static int n_variants;

/* Of all results of a variant; see test_kernels.c. */
static uint64_t digest;
static const uint64_t expected_digest = 0x385baf2cababa226;

static const ae_dtype types[] = { AE_F32, AE_F16, AE_Q8_0 };
static const int64_t widths[] = { 8, 12, 16, 32, 64, 80, 96, 128, 256 };

static int find_variants(void **state)
{
    (void)state;
    ae_kernels_detect(&ref, AE_CPU_REF);
    for (ae_cpu_choice c = AE_CPU_AVX2; c <= AE_CPU_NEON; c++)
        if (ae_kernels_detect(&variants[n_variants], c)) n_variants++;
    return 0;
}

typedef struct {
    uint8_t *page;
    ae_kv_head head; /* the second of two */
    buffer k, v;     /* what was stored, [AE_KV_PAGE, d] */
} cached_page;

static cached_page page_new(const ae_kernels *k, ae_dtype dtype, int64_t d, ae_rng *rng)
{
    const ae_kv_shape shape = { dtype, 2, d };
    size_t bytes;
    cached_page p = { .k = buffer_random(rng, AE_KV_PAGE * d),
                      .v = buffer_random(rng, AE_KV_PAGE * d) };

    assert_int_equal(ae_kv_page_bytes(&bytes, &shape, NULL), 0);
    p.page = ae_alloc(bytes, 1);
    assert_non_null(p.page);
    p.head = ae_kv_head_at(p.page, 1, &shape);
    for (int64_t i = 0; i < d; i++) p.k.at[5 * d + i] = 0; /* a scale of 0 */
    for (int64_t i = 0; i < d; i++) p.v.at[7 * d + i] *= 1e-8f;
    for (int64_t pos = 0; pos < AE_KV_PAGE; pos++)
        k->kv_store(&p.head, pos, p.k.at + pos * d, p.v.at + pos * d);
    /* All of it lies where it should: in the page, and not in the other head. */
    assert_true(p.head.value_scales + AE_KV_PAGE * (dtype == AE_Q8_0 ? d / 32 * 2 : 0) ==
                p.page + bytes);
    for (uint8_t *at = p.page; at < p.head.keys; at++) assert_int_equal(*at, 0);
    return p;
}

static void page_free(cached_page *p)
{
    buffer_free(p->k), buffer_free(p->v);
    ae_free(p->page);
}

/* Both sides of a page as rows of floats, [2][AE_KV_PAGE, d]. */
static buffer unpacked(const ae_kv_head *h)
{
    buffer both = buffer_new(2 * AE_KV_PAGE * h->d);

    ref.kv_value_panels(both.at + AE_KV_PAGE * h->d, h->d, h, 0, AE_KV_PAGE);
    buffer keys = buffer_new(AE_KV_PAGE * h->d);
    ref.kv_key_panels(keys.at, AE_KV_PAGE, h, 0, AE_KV_GROUPS);
    ref.transpose(both.at, h->d, keys.at, AE_KV_PAGE, h->d, AE_KV_PAGE);
    buffer_free(keys);
    return both;
}

static double largest(const float *x, int64_t n)
{
    double most = 0;

    for (int64_t i = 0; i < n; i++)
        if (fabs((double)x[i]) > most) most = fabs((double)x[i]);
    return most;
}

static void check_rounding(ae_dtype dtype, const float *got, const float *x, int64_t d)
{
    for (int64_t i = 0; i < AE_KV_PAGE * d; i++) {
        double most = dtype == AE_Q8_0 ? largest(x + i / 32 * 32, 32) : 0, bound = 0;
        /* Half a step, the scale's own rounding, and a scale too small for a half. */
        if (dtype == AE_Q8_0) bound = most / 127 * 0.5 + most * 0x1p-11 + 127 * 0x1p-25;
        if (dtype == AE_F16) bound = fabs((double)x[i]) * 0x1p-11 + 0x1p-25;
        if (!(fabs((double)got[i] - x[i]) <= bound))
            fail_msg("type %d, element %lld is %g, was %g", dtype, (long long)i, (double)got[i],
                     (double)x[i]);
    }
}

/* Storing: ref's bits, close to what was given. */
static void test_store(void **state)
{
    (void)state;
    for (size_t t = 0; t < AE_COUNT(types); t++)
        for (size_t w = 0; w < AE_COUNT(widths); w++) {
            if (types[t] == AE_Q8_0 && widths[w] % 32) continue;
            ae_rng rng;
            ae_rng_seed(&rng, w);
            cached_page want = page_new(&ref, types[t], widths[w], &rng);
            buffer rows = unpacked(&want.head);
            check_rounding(types[t], rows.at, want.k.at, widths[w]);
            check_rounding(types[t], rows.at + AE_KV_PAGE * widths[w], want.v.at, widths[w]);
            for (int v = 0; v < n_variants; v++) {
                ae_rng_seed(&rng, w);
                cached_page got = page_new(&variants[v], types[t], widths[w], &rng);
                size_t bytes;
                ae_kv_page_bytes(&bytes, &(ae_kv_shape){ types[t], 2, widths[w] }, NULL);
                if (memcmp(got.page, want.page, bytes) != 0)
                    fail_msg("%s stores type %d, width %lld otherwise", variants[v].name, types[t],
                             (long long)widths[w]);
                page_free(&got);
            }
            buffer_free(rows);
            page_free(&want);
        }
}

/* Scores of `rows` queries with groups 1 .. groups, by table k, into rows of 70. */
static buffer scores_of(const ae_kernels *k, const cached_page *p, buffer q, int64_t rows,
                        int64_t groups)
{
    buffer s = buffer_new(rows * 70);

    for (int64_t i = 0; i < s.n; i++) s.at[i] = GUARD_VALUE;
    k->kv_scores(s.at, 70, q.at, p->head.d + 3, rows, &p->head, 4 - groups, groups);
    for (int64_t i = 0; i < s.n; i++)
        if (i % 70 >= 16 * groups) assert_true(s.at[i] == GUARD_VALUE);
    return s;
}

static buffer values_of(const ae_kernels *k, const cached_page *p, buffer weights, int64_t rows,
                        int64_t pos, int64_t n)
{
    buffer o = buffer_new(rows * p->head.wide);

    for (int64_t i = 0; i < o.n; i++) o.at[i] = i % p->head.wide < p->head.d ? (float)i * 1e-3f : 0;
    k->kv_values(o.at, p->head.wide, weights.at, 70, rows, &p->head, pos, n);
    return o;
}

/* What the product kernel makes of the panels. */
static buffer scores_by_panels(const ae_kernels *k, const cached_page *p, buffer q, int64_t rows,
                               int64_t groups)
{
    buffer s = buffer_new(rows * 70), panels = buffer_new(AE_KV_PAGE * p->head.d);
    int64_t d = p->head.d;

    for (int64_t i = 0; i < s.n; i++) s.at[i] = i % 70 < 16 * groups ? 0 : GUARD_VALUE;
    k->kv_key_panels(panels.at, k->panel, &p->head, 4 - groups, groups);
    for (int64_t j = 0; j < 16 * groups; j += k->panel) {
        int64_t cols = 16 * groups - j < k->panel ? 16 * groups - j : k->panel;
        k->gemm(s.at + j, 70, q.at, d + 3, 1, panels.at + j * d, k->panel,
                (ae_gemm_size){ rows, cols, d });
    }
    buffer_free(panels);
    return s;
}

static buffer values_by_panels(const ae_kernels *k, const cached_page *p, buffer weights,
                               int64_t rows, int64_t pos, int64_t n)
{
    int64_t d = p->head.d, wide = p->head.wide, panel = k->panel;
    buffer o = buffer_new(rows * wide), panels = buffer_new(n * ((d + panel - 1) / panel * panel));

    for (int64_t i = 0; i < o.n; i++) o.at[i] = i % wide < d ? (float)i * 1e-3f : 0;
    k->kv_value_panels(panels.at, panel, &p->head, pos, n);
    for (int64_t j = 0; j < d; j += panel)
        k->gemm(o.at + j, wide, weights.at, 70, 1, panels.at + j * n, panel,
                (ae_gemm_size){ rows, d - j < panel ? d - j : panel, n });
    buffer_free(panels);
    return o;
}

typedef buffer product_fn(const ae_kernels *k, const cached_page *p, buffer a, int64_t rows,
                          int64_t x, int64_t y);

static buffer score_case(const ae_kernels *k, const cached_page *p, buffer a, int64_t rows,
                         int64_t groups, int64_t panels)
{
    return panels ? scores_by_panels(k, p, a, rows, groups) : scores_of(k, p, a, rows, groups);
}

static buffer value_case(const ae_kernels *k, const cached_page *p, buffer a, int64_t rows,
                         int64_t n, int64_t panels)
{
    return panels ? values_by_panels(k, p, a, rows, 64 - n, n)
                  : values_of(k, p, a, rows, 64 - n, n);
}

static void check_product(const char *name, product_fn *fn, const cached_page *p, int64_t rows,
                          int64_t n, ae_rng *rng)
{
    buffer a = buffer_random(rng, rows * (p->head.d > 70 ? p->head.d + 3 : 73)), first = { 0 };
    buffer want = fn(&ref, p, a, rows, n, 0);
    char what[128];

    for (int v = 0; v < n_variants; v++) {
        snprintf(what, sizeof what, "%s, %s: type %d, width %lld, %lld rows, %lld",
                 variants[v].name, name, p->head.dtype, (long long)p->head.d, (long long)rows,
                 (long long)n);
        buffer got = fn(&variants[v], p, a, rows, n, 0);
        buffer panels = fn(&variants[v], p, a, rows, n, 1);
        assert_close(what, got.at, want.at, want.n, 1e-5, 1);
        assert_same_bits(what, got.at, panels.at, want.n);
        buffer_free(panels);
        if (v) {
            assert_same_bits(what, got.at, first.at, want.n);
            buffer_free(got);
            continue;
        }
        first = got;
        digest = ae_hash64(got.at, (size_t)got.n * sizeof *got.at, digest);
    }
    if (n_variants) buffer_free(first);
    buffer panels = fn(&ref, p, a, rows, n, 1);
    assert_same_bits(name, want.at, panels.at, want.n);
    buffer_free(panels);
    buffer_free(want);
    buffer_free(a);
}

static void test_products(void **state)
{
    static const int64_t rows[] = { 1, 2, 3, 4, 5, 6, 7, 8, 13 };

    (void)state;
    for (size_t t = 0; t < AE_COUNT(types); t++)
        for (size_t w = 0; w < AE_COUNT(widths); w++) {
            if (types[t] == AE_Q8_0 && widths[w] % 32) continue;
            ae_rng rng;
            ae_rng_seed(&rng, w);
            cached_page p = page_new(&ref, types[t], widths[w], &rng);
            for (size_t r = 0; r < AE_COUNT(rows); r++)
                for (int64_t groups = 1; groups <= AE_KV_GROUPS; groups++) {
                    check_product("scores", score_case, &p, rows[r], groups, &rng);
                    check_product("values", value_case, &p, rows[r], 21 * groups - 20, &rng);
                }
            page_free(&p);
        }
}

static void test_same_everywhere(void **state)
{
    (void)state;
    if (n_variants && digest != expected_digest)
        fail_msg("the results' digest is 0x%llx", (unsigned long long)digest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store),
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_same_everywhere),
    };

    return cmocka_run_group_tests(tests, find_variants, NULL);
}
