/* What an engine's passes take, told beforehand, is what they take, within 3 % of all memory that
 * the model takes at work: for packed weights and for plain ones. */
#include "infer/engine_private.h"

#include "scratch.h"

#include <math.h>

static ae_device *device;
static ae_model *model;

static const ae_engine_options *options_for(int64_t max_batch, int64_t parallel)
{
    static ae_engine_options o;
    o = (ae_engine_options){ .device = device,
                             .net = ae_model_net(model),
                             .kv_type = AE_F16,
                             .max_batch = max_batch,
                             .max_sequences = parallel };
    return &o;
}

/* Prompts that leave room for three tokens of a reply, all at once. */
static size_t measure(const ae_engine_options *o, int64_t n_ctx, int64_t parallel)
{
    ae_engine *engine;
    ae_request requests[8] = { 0 };
    int64_t n = n_ctx - 3;
    int32_t *ids = ae_alloc((size_t)n, sizeof *ids);
    aerie_error err = { 0 };

    assert_int_equal(ae_engine_open(&engine, o, NULL), AERIE_OK);
    for (int64_t i = 0; i < n; i++) ids[i] = (int32_t)(i * 7 % 1000);
    for (int64_t i = 0; i < parallel; i++)
        requests[i] = (ae_request){
            .prompt = ids, .n_prompt = n, .max_tokens = 3, .context = n_ctx, .ignore_eog = true
        };
    if (ae_engine_run(engine, requests, parallel, NULL, NULL, &err)) fail_msg("%s", err.message);
    size_t bytes = engine->step.touched_peak;
    ae_engine_close(engine);
    ae_free(ids);
    return bytes;
}

static double cache_bytes(int64_t n_ctx)
{
    size_t bytes;

    assert_int_equal(ae_engine_kv_bytes(&bytes, options_for(512, 1), n_ctx, NULL), AERIE_OK);
    return (double)bytes;
}

static void check_cases(bool packed)
{
    static const struct {
        int64_t n_ctx, parallel, max_batch;
    } cases[] = { { 600, 1, 512 },  { 600, 4, 512 }, { 300, 1, 512 },
                  { 1500, 1, 256 }, { 90, 8, 512 },  { 200, 1, 64 } };

    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        const ae_engine_options *o = options_for(cases[i].max_batch, cases[i].parallel);
        ae_engine *engine;
        size_t held = ae_alloc_bytes(), told;
        aerie_error err = { 0 };

        assert_int_equal(ae_engine_open(&engine, o, NULL), AERIE_OK);
        size_t own = ae_alloc_bytes() - held;
        ae_engine_close(engine);
        if (packed) assert_int_equal(ae_model_pretend_packed(model, device, true, NULL), AERIE_OK);
        if (ae_engine_rehearse(o, cases[i].n_ctx, cases[i].parallel, &told, &err))
            fail_msg("%s", err.message);
        if (packed) {
            ae_model_pretend_packed(model, device, false, NULL);
            assert_null(ae_model_net(model)->head->packed);
            assert_int_equal(ae_model_pack(model, device, NULL, NULL, NULL), AERIE_OK);
        }
        size_t measured = measure(o, cases[i].n_ctx, cases[i].parallel);
        if (packed) ae_model_pretend_packed(model, device, false, NULL);
        assert_int_equal(ae_alloc_bytes(), held);
        print_message("%4lld x %lld in passes of %lld: told %zu, took %zu\n",
                      (long long)cases[i].n_ctx, (long long)cases[i].parallel,
                      (long long)cases[i].max_batch, told - own, measured);
        double others = (double)ae_model_weight_bytes(model) +
                        cache_bytes(cases[i].n_ctx) * (double)cases[i].parallel;
        double apart = (double)told - (double)own - (double)measured;
        assert_true(fabs(apart) < 0.03 * ((double)measured + others));
    }
}

static void plain_weights(void **state)
{
    (void)state;
    check_cases(false);
}

static void packed_weights(void **state)
{
    (void)state;
    assert_true(ae_model_packed_bytes(model, device) > 0);
    check_cases(true);
}

/* It costs neither the memory that it tells of nor the numbers of who comes after. */
static void nothing_is_computed_or_kept(void **state)
{
    const ae_engine_options *o = options_for(512, 2);
    size_t held = ae_alloc_bytes(), told;
    uint64_t before = ae_memory_resident();
    (void)state;

    assert_int_equal(ae_engine_rehearse(o, 2000000, 2, &told, NULL), AERIE_OK);
    assert_true(ae_memory_resident() < before + (64u << 20));
    assert_int_equal(ae_alloc_bytes(), held);
    for (long n = 1;; n++) {
        ae_alloc_fail_at(n);
        aerie_status status = ae_engine_rehearse(o, 100, 2, &told, NULL);
        bool failed = ae_alloc_has_failed();
        ae_alloc_fail_at(0);
        assert_int_equal(ae_alloc_bytes(), held);
        if (!failed) break;
        if (status) assert_int_equal(status, AERIE_NO_MEMORY);
        assert_true(n < 1000);
    }
    assert_true(measure(o, 40, 2) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_weights),
        cmocka_unit_test(packed_weights),
        cmocka_unit_test(nothing_is_computed_or_kept),
    };
    char *folder = scratch_make(), *path = ae_path_join(folder, "q8.gguf");
    aerie_error err = { 0 };
    int failed = 1;

    if (!ae_device_open(&device, AE_CPU_AUTO, 2, &err) &&
        !ae_model_open(&model, "recipes/nursery/nursery.gguf", &err) &&
        !ae_model_save_gguf(model, path, AE_Q8_0, &err)) {
        ae_model_close(model);
        if (!ae_model_open(&model, path, &err)) failed = cmocka_run_group_tests(tests, NULL, NULL);
    }
    if (err.status) fprintf(stderr, "%s\n", err.message);
    ae_model_close(model);
    device->close(device);
    ae_free(path);
    scratch_remove(folder);
    return failed;
}
