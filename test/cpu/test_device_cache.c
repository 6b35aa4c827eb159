/* test_device_cache.c -- attention over pages of a cache: against the plain formula in double, and
 * the same bits however the queries are cut into calls, whatever else is in a call, for any number
 * of threads; over pages of floats those of attention without a cache. */
#include "devices.h"

enum { MOST_PAGES = 16, MOST_POSITIONS = MOST_PAGES * AE_KV_PAGE };

typedef struct {
    ae_attention_shape shape;
    ae_kv_shape kv;
    int64_t n;      /* positions of the sequence */
    buffer q, k, v; /* of all of them */
    void *pages[MOST_PAGES];
} sequence;

static sequence sequence_new(ae_attention_shape shape, ae_dtype dtype, int64_t n, uint64_t seed)
{
    sequence s = { .shape = shape, .kv = { dtype, shape.n_kv_heads, shape.head_dim }, .n = n };
    size_t bytes;
    ae_rng rng;

    ae_rng_seed(&rng, seed);
    s.q = buffer_random(&rng, n * shape.n_heads * shape.head_dim);
    s.k = buffer_random(&rng, n * shape.n_kv_heads * shape.head_dim);
    s.v = buffer_random(&rng, n * shape.n_kv_heads * shape.head_dim);
    assert_int_equal(ae_kv_page_bytes(&bytes, &s.kv, NULL), 0);
    for (int64_t p = 0; p * AE_KV_PAGE < n; p++) assert_non_null(s.pages[p] = ae_alloc(bytes, 1));
    return s;
}

static void sequence_free(sequence *s)
{
    buffer_free(s->q), buffer_free(s->k), buffer_free(s->v);
    for (int p = 0; p < MOST_PAGES; p++) ae_free(s->pages[p]);
}

/* n tokens from position `at` on; the results go to where they belong in out. */
static void step(const sequence *s, ae_device *dev, ae_arena *arena, buffer out, int64_t at,
                 int64_t n)
{
    int64_t d = s->shape.head_dim, narrow = s->shape.n_kv_heads * d, wide = s->shape.n_heads * d;
    const ae_cached_sequence now = { 0, n, s->pages, at + n };

    dev->kv_write(dev, s->k.at + at * narrow, s->v.at + at * narrow, &now, 1, &s->kv);
    assert_int_equal(dev->attention_cached(dev, arena, out.at + at * wide, s->q.at + at * wide,
                                           &now, 1, &s->kv, &s->shape),
                     0);
}

/* A row as the cache's type has it. */
static void round_row(ae_dtype dtype, float *x, int64_t d)
{
    for (int64_t i = 0; dtype == AE_F16 && i < d; i++) x[i] = ae_f16_to_f32(ae_f32_to_f16(x[i]));
    for (int64_t i = 0; dtype == AE_Q8_0 && i < d; i += 32) {
        float most = 0;
        for (int64_t j = i; j < i + 32; j++) most = fmaxf(most, fabsf(x[j]));
        float scale = ae_f16_to_f32(ae_f32_to_f16(most / 127));
        for (int64_t j = i; j < i + 32; j++) x[j] = rintf(x[j] / scale) * scale;
    }
}

/* The formula, over keys and values rounded as the cache's type rounds them. */
static buffer plain(const sequence *s)
{
    const ae_attention_shape *sh = &s->shape;
    int64_t d = sh->head_dim, width = sh->n_kv_heads * d;
    buffer out = buffer_new(s->n * sh->n_heads * d), k = buffer_copy(s->k), v = buffer_copy(s->v);
    static double p[MOST_POSITIONS];

    for (int64_t i = 0; i < s->n * sh->n_kv_heads; i++) {
        round_row(s->kv.dtype, k.at + i * d, d);
        round_row(s->kv.dtype, v.at + i * d, d);
    }
    for (int64_t r = 0; r < s->n * sh->n_heads; r++) {
        int64_t i = r / sh->n_heads, head = r % sh->n_heads * sh->n_kv_heads / sh->n_heads * d;
        int64_t first = sh->window && i + 1 > sh->window ? i + 1 - sh->window : 0;
        double max = -INFINITY, sum = 0, total[256] = { 0 };
        for (int64_t j = first; j <= i; j++) {
            double score = 0;
            for (int64_t c = 0; c < d; c++)
                score += (double)s->q.at[r * d + c] * k.at[j * width + head + c];
            score *= sh->scale;
            p[j] = sh->soft_cap > 0 ? sh->soft_cap * tanh(score / sh->soft_cap) : score;
            max = fmax(max, p[j]);
        }
        for (int64_t j = first; j <= i; j++) {
            sum += p[j] = exp(p[j] - max);
            for (int64_t c = 0; c < d; c++) total[c] += p[j] * v.at[j * width + head + c];
        }
        for (int64_t c = 0; c < d; c++) out.at[r * d + c] = (float)(total[c] / sum);
    }
    buffer_free(k), buffer_free(v);
    return out;
}

static const ae_attention_shape shapes[] = {
    { .n_heads = 4, .n_kv_heads = 2, .head_dim = 32, .scale = 0.25f },
    { .n_heads = 3, .n_kv_heads = 1, .head_dim = 32, .scale = 0.2f, .window = 20 },
    { .n_heads = 9, .n_kv_heads = 1, .head_dim = 64, .scale = 0.125f, .window = 300 },
    { .n_heads = 2, .n_kv_heads = 2, .head_dim = 96, .scale = 0.1f, .window = 256, .soft_cap = 9 },
    { .n_heads = 2, .n_kv_heads = 1, .head_dim = 128, .scale = 0.1f, .soft_cap = 1.5f },
    { .n_heads = 2, .n_kv_heads = 1, .head_dim = 12, .scale = 0.3f },
};
static const ae_dtype types[] = { AE_F32, AE_F16, AE_Q8_0 };

typedef void sequence_fn(sequence *s, ae_device *dev, ae_arena *arena);

static void for_each_sequence(ae_device *dev, ae_arena *arena, int64_t n, sequence_fn *fn)
{
    for (size_t i = 0; i < AE_COUNT(shapes); i++)
        for (size_t t = 0; t < AE_COUNT(types); t++) {
            if (types[t] == AE_Q8_0 && shapes[i].head_dim % 32) continue;
            sequence s = sequence_new(shapes[i], types[t], n, i + 1);
            fn(&s, dev, arena);
            sequence_free(&s);
        }
}

static void check_right(sequence *s, ae_device *dev, ae_arena *arena)
{
    buffer got = buffer_new(s->q.n), want = plain(s);

    step(s, dev, arena, got, 0, s->n);
    assert_close("out", got.at, want.at, want.n, 1e-5, 1);
    buffer_free(got), buffer_free(want);
}

static void all_right(ae_device *dev, ae_arena *arena)
{
    for_each_sequence(dev, arena, 280, check_right);
}

static void test_right(void **state)
{
    (void)state;
    for (ae_cpu_choice choice = AE_CPU_REF; choice <= AE_CPU_NEON; choice++)
        with_device(choice, 1, all_right);
}

static void check_floats(sequence *s, ae_device *dev, ae_arena *arena)
{
    int64_t stride = s->shape.n_kv_heads * s->shape.head_dim;
    const ae_attention_span span = { .k = s->k.at, .v = s->v.at, .n = s->n, .stride = stride };
    const ae_attention_sequence whole = { 0, s->n, &span, 1, s->n, 0 };
    buffer got = buffer_new(s->q.n), want = buffer_new(s->q.n);

    if (s->kv.dtype == AE_F32) {
        dev->attention(dev, arena, want.at, NULL, s->q.at, &whole, 1, &s->shape);
        step(s, dev, arena, got, 0, s->n);
        assert_same_bits("out", got.at, want.at, want.n);
    }
    buffer_free(got), buffer_free(want);
}

/* In one call, in calls of 1, 2, 7, ... queries: the same bits. Pages that no later query sees are
 * taken away as it goes. */
static void check_calls(sequence *s, ae_device *dev, ae_arena *arena)
{
    static const int64_t steps[] = { 1, 2, 7, 40, 200 };
    buffer one = buffer_new(s->q.n), many = buffer_new(s->q.n);

    step(s, dev, arena, one, 0, s->n);
    for (int64_t at = 0, n, i = 0; at < s->n; at += n, i++) {
        int64_t gone = s->shape.window ? at + 1 - s->shape.window : 0;
        for (int64_t p = 0; (p + 1) * AE_KV_PAGE <= gone; p++) {
            ae_free(s->pages[p]);
            s->pages[p] = NULL;
        }
        n = steps[i % 5] < s->n - at ? steps[i % 5] : s->n - at;
        step(s, dev, arena, many, at, n);
    }
    assert_same_bits("out, queries in calls", many.at, one.at, one.n);
    buffer_free(one), buffer_free(many);
}

static void all_same(ae_device *dev, ae_arena *arena)
{
    for_each_sequence(dev, arena, 280, check_floats);
    for_each_sequence(dev, arena, 330, check_calls);
}

static void test_same(void **state)
{
    (void)state;
    for (ae_cpu_choice choice = AE_CPU_REF; choice <= AE_CPU_NEON; choice++)
        with_device(choice, 2, all_same);
}

/* Decoding and a prompt in one call, beside each on its own; two that share pages. */
static buffer in_company(ae_device *dev, ae_arena *arena)
{
    enum { LONG = 560, MORE = 90 };
    const ae_attention_shape *sh = &shapes[0];
    sequence a = sequence_new(*sh, AE_F16, LONG, 1), b = sequence_new(*sh, AE_F16, MORE, 2);
    int64_t wide = sh->n_heads * sh->head_dim, narrow = sh->n_kv_heads * sh->head_dim;
    buffer alone = buffer_new(a.q.n + b.q.n), out = buffer_new((MORE + 2) * wide);
    buffer q = buffer_new(out.n), k = buffer_new((MORE + 2) * narrow), v = buffer_new(k.n);

    step(&a, dev, arena, (buffer){ alone.at, a.q.n }, 0, LONG);
    step(&b, dev, arena, (buffer){ alone.at + a.q.n, b.q.n }, 0, MORE);
    /* Rows: the last of a, all of b, row 127 of a once more. */
    memcpy(q.at, a.q.at + (LONG - 1) * wide, (size_t)wide * sizeof(float));
    memcpy(q.at + wide, b.q.at, (size_t)b.q.n * sizeof(float));
    memcpy(q.at + wide + b.q.n, a.q.at + 127 * wide, (size_t)wide * sizeof(float));
    memcpy(k.at, a.k.at + (LONG - 1) * narrow, (size_t)narrow * sizeof(float));
    memcpy(v.at, a.v.at + (LONG - 1) * narrow, (size_t)narrow * sizeof(float));
    memcpy(k.at + narrow, b.k.at, (size_t)b.k.n * sizeof(float));
    memcpy(v.at + narrow, b.v.at, (size_t)b.v.n * sizeof(float));
    memcpy(k.at + narrow + b.k.n, a.k.at + 127 * narrow, (size_t)narrow * sizeof(float));
    memcpy(v.at + narrow + b.k.n, a.v.at + 127 * narrow, (size_t)narrow * sizeof(float));
    const ae_cached_sequence batch[] = { { 0, 1, a.pages, LONG },
                                         { 1, MORE, b.pages, MORE },
                                         { 1 + MORE, 1, a.pages, 128 } };
    dev->kv_write(dev, k.at, v.at, batch, 3, &a.kv);
    dev->attention_cached(dev, arena, out.at, q.at, batch, 3, &a.kv, sh);
    assert_same_bits("decoding", out.at, alone.at + (LONG - 1) * wide, wide);
    assert_same_bits("prompt", out.at + wide, alone.at + a.q.n, b.q.n);
    assert_same_bits("sharing", out.at + wide + b.q.n, alone.at + 127 * wide, wide);
    buffer_free(alone), buffer_free(q), buffer_free(k), buffer_free(v);
    sequence_free(&a), sequence_free(&b);
    return out;
}

static void test_company(void **state)
{
    (void)state;
    assert_threads_agree("attention over caches", in_company);
}

static void test_page_bytes(void **state)
{
    static const ae_kv_shape wrong[] = { { AE_Q4_0, 1, 64 },
                                         { AE_Q8_0, 1, 80 },
                                         { AE_F16, 0, 64 },
                                         { AE_F16, 1, 0 },
                                         { AE_F16, 1, 1 << 30 } };
    size_t bytes;

    (void)state;
    for (size_t i = 0; i < AE_COUNT(wrong); i++)
        assert_int_equal(ae_kv_page_bytes(&bytes, &wrong[i], NULL), AERIE_BAD_ARGUMENT);
    assert_int_equal(ae_kv_page_bytes(&bytes, &(ae_kv_shape){ AE_F16, 8, 128 }, NULL), 0);
    assert_int_equal(bytes, 64 * 8 * 128 * 2 * 2);
    assert_int_equal(ae_kv_page_bytes(&bytes, &(ae_kv_shape){ AE_Q8_0, 8, 128 }, NULL), 0);
    assert_int_equal(bytes, 64 * 8 * 2 * (128 + 8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right),
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_company),
        cmocka_unit_test(test_page_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
