/* A text's logits and log-probabilities over a cache in float32 are, to the last bit, those of the
 * text read at once, whatever the passes; over smaller caches they are near. */
#include "infer/infer.h"

#include "scratch.h"

#include <math.h>

static ae_device *device;
static ae_model *model;

enum { N = 300 };
static int32_t ids[N];

static ae_engine *open_engine(const ae_engine_options *given)
{
    ae_engine_options o = *given;
    ae_engine *e;
    aerie_error err = { 0 };

    o.device = device;
    o.net = ae_model_net(model);
    if (ae_engine_open(&e, &o, &err)) fail_msg("%s", err.message);
    return e;
}

typedef struct {
    float *logits;
    int64_t n;
} kept;

static aerie_status keep(void *user, const float *logits, int64_t n_rows, int64_t vocab_size,
                         aerie_error *err)
{
    kept *k = user;
    (void)err;

    memcpy(k->logits + k->n * vocab_size, logits, (size_t)(n_rows * vocab_size) * sizeof *logits);
    k->n += n_rows;
    return AERIE_OK;
}

/* [N, V], the caller's; and in logp [N - 1]. */
static float *score(const ae_engine_options *o, float *logp)
{
    ae_engine *e = open_engine(o);
    kept k = { ae_alloc((size_t)(N * ae_model_config(model)->vocab_size), sizeof(float)), 0 };
    aerie_error err = { 0 };

    assert_non_null(k.logits);
    if (ae_engine_logits(e, ids, N, keep, &k, &err)) fail_msg("%s", err.message);
    if (ae_engine_log_probs(e, ids, N, logp, &err)) fail_msg("%s", err.message);
    assert_int_equal(k.n, N);
    ae_engine_close(e);
    return k.logits;
}

static const ae_engine_options at_once = { .max_batch = 64 };

static void passes_change_nothing(void **state)
{
    static const int64_t passes[] = { 512, 299, 128, 100, 7 };
    size_t held = ae_alloc_bytes();
    size_t bytes = (size_t)(N * ae_model_config(model)->vocab_size) * sizeof(float);
    float want_logp[N], logp[N];
    float *want = score(&at_once, want_logp);
    (void)state;

    for (size_t i = 0; i < AE_COUNT(passes); i++) {
        ae_engine_options o = {
            .max_batch = passes[i], .max_sequences = 1, .kv_type = AE_F32, .score_in_cache = true
        };
        float *got = score(&o, logp);
        assert_memory_equal(got, want, bytes);
        assert_memory_equal(logp, want_logp, (N - 1) * sizeof *logp);
        ae_free(got);
    }
    ae_free(want);
    assert_int_equal(ae_alloc_bytes(), held);
}

static double mean(const float *x)
{
    double sum = 0;

    for (int i = 0; i < N - 1; i++) sum += (double)x[i];
    return sum / (N - 1);
}

static void smaller_caches_are_near(void **state)
{
    static const ae_dtype types[] = { AE_F16, AE_Q8_0 };
    float want_logp[N], logp[N], other[N];
    (void)state;

    ae_free(score(&at_once, want_logp));
    for (size_t i = 0; i < AE_COUNT(types); i++) {
        ae_engine_options o = { .max_batch = 512, .kv_type = types[i], .score_in_cache = true };
        ae_free(score(&o, logp));
        assert_true(memcmp(logp, want_logp, (N - 1) * sizeof *logp) != 0);
        assert_true(fabs(mean(logp) - mean(want_logp)) < 0.01);
        o.max_batch = 33;
        ae_free(score(&o, other));
        assert_memory_equal(logp, other, (N - 1) * sizeof *logp);
    }
}

static void out_of_memory_is_survived(void **state)
{
    ae_engine_options o = { .max_batch = 100, .score_in_cache = true };
    float logp[N];
    (void)state;

    for (long n = 1;; n++) {
        size_t held = ae_alloc_bytes();
        ae_engine *e = open_engine(&o);
        ae_alloc_fail_at(n);
        aerie_status status = ae_engine_log_probs(e, ids, N, logp, NULL);
        bool failed = ae_alloc_has_failed();
        ae_alloc_fail_at(0);
        if (status) assert_int_equal(status, AERIE_NO_MEMORY);
        ae_engine_close(e);
        assert_int_equal(ae_alloc_bytes(), held);
        if (!failed) break;
        assert_true(n < 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_change_nothing),
        cmocka_unit_test(smaller_caches_are_near),
        cmocka_unit_test(out_of_memory_is_survived),
    };
    aerie_error err = { 0 };
    int failed = 1;

    for (int i = 0; i < N; i++) ids[i] = (int32_t)(ae_mix64((uint64_t)i) % 1000);
    if (!ae_device_open(&device, AE_CPU_AUTO, 2, &err) &&
        !ae_model_open(&model, "recipes/nursery/nursery.gguf", &err))
        failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (err.status) fprintf(stderr, "%s\n", err.message);
    ae_model_close(model);
    device->close(device);
    return failed;
}
