/* What continuations' likelihoods are does not depend on what else is asked for, nor on the passes;
 * they are those of the text read alone; and what texts share is computed once. */
#include "infer/infer.h"
#include "infer/likelihood_tree.h"

#include "scratch.h"

#include <math.h>

static ae_device *device;
static ae_model *model;

enum { PREAMBLE = 150, QUESTIONS = 12, CHOICES = 4, TEXTS = QUESTIONS * CHOICES, MOST = 260 };

static int32_t ids[TEXTS][MOST];
static ae_continuation asked[TEXTS];

static int32_t token(uint64_t seed)
{
    return (int32_t)(ae_mix64(seed) % 1000);
}

/* A preamble, questions after it, choices after those: of one token, of several, one that another
 * begins with, and one that is there twice. */
static void make_texts(void)
{
    static const int longer[CHOICES] = { 1, 7, 3, 3 };

    for (int i = 0; i < TEXTS; i++) {
        uint64_t q = (uint64_t)(i / CHOICES), c = (uint64_t)(i % CHOICES), n = 0;
        uint64_t question = 5 + 7 * q;
        for (; n < PREAMBLE; n++) ids[i][n] = token(n);
        for (uint64_t k = 0; k < question; k++) ids[i][n++] = token(1000 * (q + 1) + k);
        asked[i].n_context = (int64_t)n;
        if (c == 3) c = 2; /* the same twice */
        for (int k = 0; k < longer[i % CHOICES]; k++)
            ids[i][n++] = token(90000 + 100 * q + (c == 2 ? 1 : c) * 10 + (uint64_t)k);
        asked[i].n = (int64_t)n;
        asked[i].ids = ids[i];
    }
}

static ae_engine *open_engine(int64_t max_batch)
{
    ae_engine_options o = {
        .device = device, .net = ae_model_net(model), .max_batch = max_batch, .max_sequences = 1
    };
    ae_engine *e;
    aerie_error err = { 0 };

    if (ae_engine_open(&e, &o, &err)) fail_msg("%s", err.message);
    return e;
}

typedef struct {
    ae_likelihood all[TEXTS];
    float each[TEXTS][8];
    int told[TEXTS];
    int stop_after; /* 0: never */
    int n;
} answers;

static bool keep(void *user, int64_t i, const ae_likelihood *found)
{
    answers *a = user;

    assert_in_range(found->n_tokens, 1, 8);
    a->all[i] = *found;
    a->all[i].logprobs = NULL;
    memcpy(a->each[i], found->logprobs, (size_t)found->n_tokens * sizeof(float));
    a->told[i]++;
    return ++a->n != a->stop_after;
}

static ae_likelihood_stats ask_all(answers *a, int64_t max_batch)
{
    ae_engine *e = open_engine(max_batch);
    ae_likelihood_stats stats = { 0 };
    aerie_error err = { 0 };

    *a = (answers){ .n = 0 };
    if (ae_engine_likelihoods(e, asked, TEXTS, keep, a, &stats, &err)) fail_msg("%s", err.message);
    for (int i = 0; i < TEXTS; i++) assert_int_equal(a->told[i], 1);
    ae_engine_close(e);
    return stats;
}

static void company_changes_nothing(void **state)
{
    static const int64_t passes[] = { 512, 100, 33, 7, 1 };
    size_t held = ae_alloc_bytes();
    static answers together, other, alone;
    (void)state;

    ae_likelihood_stats stats = ask_all(&together, 256);
    for (size_t i = 0; i < AE_COUNT(passes); i++) {
        ask_all(&other, passes[i]);
        assert_memory_equal(other.all, together.all, sizeof together.all);
        assert_memory_equal(other.each, together.each, sizeof together.each);
    }
    for (int i = 0; i < TEXTS; i++) {
        ae_engine *e = open_engine(512);
        alone = (answers){ .n = 0 };
        assert_int_equal(ae_engine_likelihoods(e, &asked[i], 1, keep, &alone, NULL, NULL),
                         AERIE_OK);
        assert_memory_equal(&alone.all[0], &together.all[i], sizeof alone.all[0]);
        ae_engine_close(e);
    }
    /* The preamble once, questions once, choices but for their last token and what they share. */
    assert_true(stats.computed < PREAMBLE + QUESTIONS * (5 + 7 * QUESTIONS / 2 + 10));
    assert_true(stats.tokens > TEXTS * PREAMBLE);
    assert_int_equal(ae_alloc_bytes(), held);
}

typedef struct {
    const int32_t *ids;
    int64_t at, n_context;
    bool is_greedy;
} text_rows;

static aerie_status look(void *user, const float *logits, int64_t n, int64_t vocab_size,
                         aerie_error *err)
{
    text_rows *t = user;
    (void)err;

    for (int64_t r = 0; r < n; r++, t->at++) {
        int64_t best = 0;
        for (int64_t i = 1; i < vocab_size; i++)
            if (logits[r * vocab_size + i] > logits[r * vocab_size + best]) best = i;
        if (t->at + 1 >= t->n_context && best != t->ids[t->at + 1]) t->is_greedy = false;
    }
    return AERIE_OK;
}

typedef struct {
    int32_t id;
} text_best;

/* The most likely token after the last row. */
static aerie_status find(void *user, const float *logits, int64_t n, int64_t vocab_size,
                         aerie_error *err)
{
    const float *last = logits + (n - 1) * vocab_size;
    int32_t best = 0;
    (void)err;

    for (int32_t i = 1; i < vocab_size; i++)
        if (last[i] > last[best]) best = i;
    ((text_best *)user)->id = best;
    return AERIE_OK;
}

static void they_are_those_of_the_text_alone(void **state)
{
    static answers got;
    float logp[MOST];
    ae_engine *e = open_engine(512);
    int greedy = 0;
    (void)state;

    /* One that is greedy: what the model says is most likely after the second question. */
    text_best best = { 0 };
    assert_int_equal(ae_engine_logits(e, ids[CHOICES], asked[CHOICES].n_context, find, &best, NULL),
                     AERIE_OK);
    ids[CHOICES][asked[CHOICES].n_context] = best.id;
    ask_all(&got, 512);
    for (int i = 0; i < TEXTS; i++) {
        double sum = 0;
        text_rows t = { ids[i], 0, asked[i].n_context, true };
        assert_int_equal(ae_engine_log_probs(e, ids[i], asked[i].n, logp, NULL), AERIE_OK);
        for (int64_t k = asked[i].n_context; k < asked[i].n; k++) {
            double each = (double)got.each[i][k - asked[i].n_context];
            assert_true(fabs(each - (double)logp[k - 1]) < 2e-5);
            sum += each;
        }
        assert_int_equal(got.all[i].n_tokens, asked[i].n - asked[i].n_context);
        assert_true(fabs(sum - got.all[i].logprob) < 1e-5);
        assert_int_equal(ae_engine_logits(e, ids[i], asked[i].n - 1, look, &t, NULL), AERIE_OK);
        assert_int_equal(t.is_greedy, got.all[i].is_greedy);
        greedy += t.is_greedy;
    }
    assert_true(greedy > 0 && greedy < TEXTS);
    ae_engine_close(e);
    make_texts();
}

static void a_caller_may_stop(void **state)
{
    static answers a;
    ae_engine *e = open_engine(64);
    (void)state;

    a = (answers){ .stop_after = 5 };
    assert_int_equal(ae_engine_likelihoods(e, asked, TEXTS, keep, &a, NULL, NULL),
                     AERIE_INTERRUPTED);
    assert_int_equal(a.n, 5);
    ae_engine_close(e);
}

static void what_cannot_be_is_refused(void **state)
{
    static const int32_t some[3] = { 1, 2, 1 << 30 };
    ae_engine *e = open_engine(64);
    ae_continuation bad[] = { { some, 2, 0 }, { some, 2, 2 }, { some, 3, 1 } };
    (void)state;

    for (size_t i = 0; i < AE_COUNT(bad); i++) {
        aerie_error err = { 0 };
        assert_int_equal(ae_engine_likelihoods(e, &bad[i], 1, NULL, NULL, NULL, &err),
                         AERIE_BAD_ARGUMENT);
        assert_true(strlen(err.message) > 10);
    }
    assert_int_equal(ae_engine_likelihoods(e, NULL, 0, NULL, NULL, NULL, NULL), AERIE_OK);
    ae_engine_close(e);
}

/* Every position of every text is in exactly one node of those it goes through. */
static void check_tree(const ae_text_tree *t)
{
    for (int64_t k = 0; k < t->n; k++) {
        int64_t end = 0, parent = -1;
        for (int64_t i = 0; i < t->n_nodes; i++) {
            const ae_tree_node *node = &t->nodes[i];
            if (k < node->lo || k >= node->hi) continue;
            assert_int_equal(node->from, end);
            assert_int_equal(node->parent, parent);
            assert_true(node->to > node->from && node->longest >= t->texts[k].n);
            assert_memory_equal(t->texts[k].ids, t->texts[node->lo].ids,
                                (size_t)node->to * sizeof(int32_t));
            end = node->to;
            parent = i;
        }
        assert_int_equal(end, t->texts[k].n);
    }
}

static void trees_hold_every_text(void **state)
{
    enum { N = 60 };
    static int32_t tokens[N][40];
    static const int64_t worth[] = { 0, 1, 5, 1000 };
    (void)state;

    for (uint64_t seed = 0; seed < 200; seed++) {
        ae_text_tree t;
        int64_t n = 1 + (int64_t)(ae_mix64(seed) % N);
        ae_fed_text *texts = ae_alloc((size_t)n, sizeof *texts);
        assert_non_null(texts);
        for (int64_t i = 0; i < n; i++) {
            uint64_t word = ae_mix64(seed * N + (uint64_t)i);
            texts[i] = (ae_fed_text){ tokens[i], 1 + (int64_t)(word % 40), i };
            for (int k = 0; k < 40; k++)
                tokens[i][k] = ae_mix64(word + (uint64_t)k) % (1 + seed % 9) == 1;
        }
        assert_int_equal(ae_text_tree_build(&t, texts, n, worth[seed % 4], NULL), AERIE_OK);
        check_tree(&t);
        ae_text_tree_free(&t);
    }
}

static void out_of_memory_is_survived(void **state)
{
    static answers a;
    (void)state;

    for (long n = 1;; n++) {
        size_t held = ae_alloc_bytes();
        ae_engine *e = open_engine(100);
        a = (answers){ .n = 0 };
        ae_alloc_fail_at(n);
        aerie_status status = ae_engine_likelihoods(e, asked, 6, keep, &a, NULL, NULL);
        bool failed = ae_alloc_has_failed();
        ae_alloc_fail_at(0);
        if (status) assert_int_equal(status, AERIE_NO_MEMORY);
        ae_engine_close(e);
        assert_int_equal(ae_alloc_bytes(), held);
        if (!failed) break;
        assert_true(n < 2000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(company_changes_nothing),
        cmocka_unit_test(they_are_those_of_the_text_alone),
        cmocka_unit_test(a_caller_may_stop),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(trees_hold_every_text),
        cmocka_unit_test(out_of_memory_is_survived),
    };
    aerie_error err = { 0 };
    int failed = 1;

    make_texts();
    if (!ae_device_open(&device, AE_CPU_AUTO, 2, &err) &&
        !ae_model_open(&model, "recipes/nursery/nursery.gguf", &err))
        failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (err.status) fprintf(stderr, "%s\n", err.message);
    ae_model_close(model);
    device->close(device);
    return failed;
}
