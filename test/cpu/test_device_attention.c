/* test_device_attention.c -- attention both ways: against the plain formula in double, and the same
 * bits however keys are cut into spans and queries into calls. */
#include "devices.h"

/* A packed row of sequences; keys and values of all of them lie in k and v [positions, K, d]. */
typedef struct {
    ae_attention_shape shape;
    int64_t T, positions;
    buffer q, k, v, dout, out, lse, dq, dk, dv;
} problem;

static problem problem_new(ae_attention_shape shape, int64_t T, int64_t positions, uint64_t seed)
{
    problem p = { .shape = shape, .T = T, .positions = positions };
    int64_t wide = T * shape.n_heads * shape.head_dim;
    int64_t narrow = positions * shape.n_kv_heads * shape.head_dim;
    ae_rng rng;

    ae_rng_seed(&rng, seed);
    p.q = buffer_random(&rng, wide), p.dout = buffer_random(&rng, wide);
    p.k = buffer_random(&rng, narrow), p.v = buffer_random(&rng, narrow);
    p.out = buffer_new(wide), p.dq = buffer_random(&rng, wide);
    p.dk = buffer_random(&rng, narrow), p.dv = buffer_random(&rng, narrow);
    p.lse = buffer_new(T * shape.n_heads);
    return p;
}

static void problem_free(problem *p)
{
    buffer_free(p->q), buffer_free(p->k), buffer_free(p->v), buffer_free(p->dout);
    buffer_free(p->out), buffer_free(p->lse), buffer_free(p->dq), buffer_free(p->dk);
    buffer_free(p->dv);
}

static ae_attention_span span_of(const problem *p, int64_t first, int64_t n)
{
    int64_t stride = p->shape.n_kv_heads * p->shape.head_dim, at = first * stride;

    return (
        ae_attention_span){ p->k.at + at, p->v.at + at, p->dk.at + at, p->dv.at + at, n, stride };
}

static void forward(const problem *p, ae_device *dev, ae_arena *arena,
                    const ae_attention_sequence *seq, int64_t n)
{
    assert_int_equal(dev->attention(dev, arena, p->out.at, p->lse.at, p->q.at, seq, n, &p->shape),
                     0);
}

static void backward(const problem *p, ae_device *dev, ae_arena *arena,
                     const ae_attention_sequence *seq, int64_t n)
{
    assert_int_equal(dev->attention_bwd(dev, arena, p->dq.at, p->dout.at, p->out.at, p->lse.at,
                                        p->q.at, seq, n, &p->shape),
                     0);
}

static const float *key_at(const ae_attention_sequence *seq, int64_t pos, bool value, float **grad)
{
    const ae_attention_span *s = seq->spans;

    while (pos >= s->n) pos -= s++->n;
    *grad = (value ? s->dv : s->dk) + pos * s->stride;
    return (value ? s->v : s->k) + pos * s->stride;
}

static double dot_of(const float *a, const float *b, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++) sum += (double)a[i] * b[i];
    return sum;
}

/* One query of one head, both ways, into p's own buffers. */
static void plain_row(problem *p, const ae_attention_sequence *seq, int64_t i, int64_t h)
{
    const ae_attention_shape *sh = &p->shape;
    int64_t d = sh->head_dim, kv = h * sh->n_kv_heads / sh->n_heads * d;
    int64_t at = ((seq->first + i) * sh->n_heads + h) * d, end = seq->total - seq->n + i + 1;
    int64_t first = sh->window && end > sh->window ? end - sh->window : 0;
    const float *q = p->q.at + at, *dout = p->dout.at + at;
    double prob[512], slope[512], max = -INFINITY, sum = 0, delta = 0, out[64] = { 0 };
    float *grad;

    for (int64_t j = first; j < end; j++) {
        double s = sh->scale * dot_of(q, key_at(seq, j, false, &grad) + kv, d);
        double t = sh->soft_cap > 0 ? tanh(s / sh->soft_cap) : 0;
        prob[j] = sh->soft_cap > 0 ? sh->soft_cap * t : s;
        slope[j] = 1 - t * t;
        max = fmax(max, prob[j]);
    }
    for (int64_t j = first; j < end; j++) sum += prob[j] = exp(prob[j] - max);
    for (int64_t j = first; j < end; j++) {
        const float *v = key_at(seq, j, true, &grad) + kv;
        prob[j] /= sum;
        for (int64_t c = 0; c < d; c++) out[c] += prob[j] * v[c];
        delta += prob[j] * dot_of(dout, v, d);
    }
    for (int64_t c = 0; c < d; c++) p->out.at[at + c] = (float)out[c];
    p->lse.at[at / d] = (float)(max + log(sum));
    for (int64_t j = first; j < end; j++) {
        float *dk, *dv;
        const float *k = key_at(seq, j, false, &dk) + kv, *v = key_at(seq, j, true, &dv) + kv;
        double ds = prob[j] * (dot_of(dout, v, d) - delta) * slope[j] * sh->scale;
        for (int64_t c = 0; c < d; c++) {
            p->dq.at[at + c] += (float)(ds * k[c]);
            dk[kv + c] += (float)(ds * q[c]);
            dv[kv + c] += (float)(prob[j] * dout[c]);
        }
    }
}

static void plain(problem *p, const ae_attention_sequence *seq, int64_t n)
{
    for (int64_t s = 0; s < n; s++)
        for (int64_t i = 0; i < seq[s].n; i++)
            for (int64_t h = 0; h < p->shape.n_heads; h++) plain_row(p, &seq[s], i, h);
}

/* Three sequences: a prefix of 70 tokens, two branches of 40 and 33 that go on from it; and one on
 * its own of `alone` tokens. */
typedef struct {
    ae_attention_span spans[6];
    ae_attention_sequence seq[4];
} branches;

static void branches_of(branches *b, const problem *p, int64_t alone)
{
    ae_attention_span prefix = span_of(p, 0, 70), last = span_of(p, 143, alone);

    *b = (branches){ .spans = { prefix, prefix, span_of(p, 70, 40), prefix, span_of(p, 110, 33),
                                last } };
    b->seq[0] = (ae_attention_sequence){ 0, 70, b->spans, 1, 70, 0 };
    b->seq[1] = (ae_attention_sequence){ 70, 40, b->spans + 1, 2, 110, 0 };
    b->seq[2] = (ae_attention_sequence){ 110, 33, b->spans + 3, 2, 103, 0 };
    b->seq[3] = (ae_attention_sequence){ 143, alone, b->spans + 5, 1, alone, 1 };
}

static const ae_attention_shape shapes[] = {
    { .n_heads = 4, .n_kv_heads = 2, .head_dim = 16, .scale = 0.25f },
    { .n_heads = 3, .n_kv_heads = 1, .head_dim = 32, .scale = 0.2f, .window = 20 },
    { .n_heads = 2, .n_kv_heads = 2, .head_dim = 12, .scale = 0.5f, .soft_cap = 1.5f },
    { .n_heads = 6, .n_kv_heads = 2, .head_dim = 64, .scale = 0.125f, .window = 1 },
    { .n_heads = 2, .n_kv_heads = 1, .head_dim = 64, .scale = 0.125f, .window = 97, .soft_cap = 9 },
};

static void check_right(ae_device *dev, ae_arena *arena)
{
    enum { ALONE = 150, T = 143 + ALONE };

    for (size_t i = 0; i < AE_COUNT(shapes); i++) {
        problem got = problem_new(shapes[i], T, T, i), want = problem_new(shapes[i], T, T, i);
        branches b, w;
        branches_of(&b, &got, ALONE);
        branches_of(&w, &want, ALONE);
        forward(&got, dev, arena, b.seq, 4);
        backward(&got, dev, arena, b.seq, 4);
        plain(&want, w.seq, 4);
        assert_close("out", got.out.at, want.out.at, want.out.n, 1e-5, 1);
        assert_close("lse", got.lse.at, want.lse.at, want.lse.n, 1e-5, 1);
        assert_close("dq", got.dq.at, want.dq.at, want.dq.n, 2e-5, 1);
        assert_close("dk", got.dk.at, want.dk.at, want.dk.n, 2e-5, 1);
        assert_close("dv", got.dv.at, want.dv.at, want.dv.n, 2e-5, 1);
        problem_free(&got);
        problem_free(&want);
    }
}

static void test_right(void **state)
{
    (void)state;
    for_each_device(check_right);
}

/* One sequence of 150: in one call; with its keys in pieces of 1, 2, 3 ...; a query a call, as when
 * decoding; in pieces of queries. */
static void check_pieces(ae_device *dev, ae_arena *arena)
{
    enum { T = 150 };

    for (size_t i = 0; i < AE_COUNT(shapes); i++) {
        problem one = problem_new(shapes[i], T, T, i), two = problem_new(shapes[i], T, T, i);
        ae_attention_span whole = span_of(&one, 0, T), pieces[32];
        ae_attention_sequence seq = { 0, T, &whole, 1, T, 0 };
        int64_t n_pieces = 0;

        forward(&one, dev, arena, &seq, 1);
        backward(&one, dev, arena, &seq, 1);
        for (int64_t at = 0, n; at < T; at += n, n_pieces++) {
            n = n_pieces < T - at ? n_pieces : T - at; /* the first is empty */
            pieces[n_pieces] = span_of(&two, at, n);
        }
        ae_attention_sequence cut = { 0, T, pieces, n_pieces, T, 0 };
        forward(&two, dev, arena, &cut, 1);
        assert_same_bits("out, keys in pieces", two.out.at, one.out.at, one.out.n);
        assert_same_bits("lse, keys in pieces", two.lse.at, one.lse.at, one.lse.n);
        backward(&two, dev, arena, &cut, 1);
        assert_same_bits("dq, keys in pieces", two.dq.at, one.dq.at, one.dq.n);
        assert_same_bits("dk, keys in pieces", two.dk.at, one.dk.at, one.dk.n);
        assert_same_bits("dv, keys in pieces", two.dv.at, one.dv.at, one.dv.n);

        for (int64_t step = 1; step <= 64; step = step * 4 - 1) {
            for (int64_t c = 0; c < two.out.n; c++) two.out.at[c] = 0;
            for (int64_t at = 0; at < T; at += step) {
                int64_t n = step < T - at ? step : T - at;
                ae_attention_span seen = span_of(&two, 0, at + n);
                ae_attention_sequence now = { at, n, &seen, 1, at + n, 0 };
                forward(&two, dev, arena, &now, 1);
            }
            assert_same_bits("out, queries in pieces", two.out.at, one.out.at, one.out.n);
        }
        problem_free(&one);
        problem_free(&two);
    }
}

static void test_pieces(void **state)
{
    (void)state;
    for_each_device(check_pieces);
}

/* What lies in the same call does not matter: the sequence on its own, with no others before it. */
static void check_company(ae_device *dev, ae_arena *arena)
{
    enum { ALONE = 150, T = 143 + ALONE };
    problem one = problem_new(shapes[1], T, T, 5), two = problem_new(shapes[1], T, T, 5);
    branches b, w;

    branches_of(&b, &one, ALONE);
    branches_of(&w, &two, ALONE);
    forward(&one, dev, arena, b.seq, 4);
    backward(&one, dev, arena, b.seq, 4);
    forward(&two, dev, arena, w.seq + 3, 1);
    backward(&two, dev, arena, w.seq + 3, 1);
    int64_t wide = one.out.n / T * 143, narrow = one.dk.n / T * 143;
    assert_same_bits("out", one.out.at + wide, two.out.at + wide, one.out.n - wide);
    assert_same_bits("dq", one.dq.at + wide, two.dq.at + wide, one.dq.n - wide);
    assert_same_bits("dk", one.dk.at + narrow, two.dk.at + narrow, one.dk.n - narrow);
    assert_same_bits("dv", one.dv.at + narrow, two.dv.at + narrow, one.dv.n - narrow);
    problem_free(&one);
    problem_free(&two);
}

static void test_company(void **state)
{
    (void)state;
    for_each_device(check_company);
}

static buffer both_ways(ae_device *dev, ae_arena *arena)
{
    enum { ALONE = 300, T = 143 + ALONE };
    problem p = problem_new(shapes[0], T, T, 11);
    branches b;

    branches_of(&b, &p, ALONE);
    forward(&p, dev, arena, b.seq, 4);
    backward(&p, dev, arena, b.seq, 4);
    buffer all = buffer_new(p.out.n + p.dq.n + p.dk.n + p.dv.n);
    memcpy(all.at, p.out.at, (size_t)p.out.n * 4);
    memcpy(all.at + p.out.n, p.dq.at, (size_t)p.dq.n * 4);
    memcpy(all.at + p.out.n + p.dq.n, p.dk.at, (size_t)p.dk.n * 4);
    memcpy(all.at + p.out.n + p.dq.n + p.dk.n, p.dv.at, (size_t)p.dv.n * 4);
    problem_free(&p);
    return all;
}

static void test_threads(void **state)
{
    (void)state;
    assert_threads_agree("attention", both_ways);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_company),
        cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
