/* A real published model, stories260K: golden logits and the published greedy text, from its
 * Hugging Face folder, from the GGUF converted from it, and from the folder converted back. */
#include "model/support.h"

#include <jansson.h>
#include <math.h>

static ae_device *device;

/* Highest of n. */
static int32_t best_of(const float *x, int64_t n)
{
    int32_t best = 0;

    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = (int32_t)i;
    return best;
}

/* One token into the cache; its logits. */
static void step(const ae_net *net, ae_kv *kv, int32_t id, float *logits)
{
    ae_arena arena = { 0 };
    ae_ctx cx = { .device = device, .arena = &arena };
    const ae_segment segment = { 0, 1, -1, 0 };
    int32_t pos = (int32_t)ae_kv_len(kv), row = 0;
    const ae_batch batch = { 1, &id, &pos, &segment, 1, &kv };
    const ae_tensor *y = ae_net_logits(&cx, net, ae_net_hidden(&cx, net, &batch), &row, 1);

    if (!y) fail_msg("%s", cx.error.message);
    memcpy(logits, y->data, (size_t)y->cols * sizeof *logits);
    ae_arena_free(&arena);
}

/* Greedy from BOS through a cache, compared token by token; golden logits where there are any. */
static double check_greedy(const ae_model *m, const json_t *golden, ae_ids *said)
{
    const ae_config *c = ae_model_config(m);
    const json_t *ids = json_object_get(golden, "greedy_ids");
    const json_t *logits_at = json_object_get(golden, "logits_at");
    size_t n = json_array_size(ids);
    float logits[512];
    double most = 0;
    int32_t id = (int32_t)json_integer_value(json_array_get(ids, 0));
    ae_kv *kv = NULL;
    char key[24];

    assert_int_equal(c->vocab_size, 512);
    const ae_kv_options o = { .shape = { AE_F32, c->n_kv_heads, c->head_dim },
                              .n_layers = c->n_layers,
                              .capacity = 512 };
    assert_int_equal(ae_kv_new(&kv, &o, NULL, 0, NULL), 0);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(id, json_integer_value(json_array_get(ids, i)));
        ae_ids_add(said, id);
        step(ae_model_net(m), kv, id, logits);
        snprintf(key, sizeof key, "%zu", i);
        const json_t *want = json_object_get(logits_at, key);
        for (size_t k = 0; k < json_array_size(want); k++)
            most = fmax(most, fabs(logits[k] - json_number_value(json_array_get(want, k))));
        id = best_of(logits, c->vocab_size);
    }
    ae_kv_free(kv);
    return most;
}

static void check_model(const char *path, const json_t *golden, const char *what)
{
    ae_model *m = open_or_fail(path);
    ae_ids said = { 0 };
    ae_bytes text = { 0 };
    double off = check_greedy(m, golden, &said);

    print_message("%s: %zu tokens as published, golden logits within %.1e\n", what, said.len, off);
    assert_true(off > 0 && off < 1e-4);
    assert_non_null(ae_model_tokenizer(m));
    assert_int_equal(
        ae_tokenizer_decode(ae_model_tokenizer(m), said.data, said.len, false, &text, NULL), 0);
    assert_string_equal(text.data, json_string_value(json_object_get(golden, "greedy_text")));
    ae_ids_free(&said);
    ae_bytes_free(&text);
    ae_model_close(m);
}

static void convert(const char *from, const char *to, bool gguf, ae_dtype type)
{
    ae_model *m = open_or_fail(from);
    aerie_error err = { 0 };

    if (gguf ? ae_model_save_gguf(m, to, type, &err) : ae_model_save_hf(m, to, type, &err))
        fail_msg("%s", err.message);
    ae_model_close(m);
}

static void published_text(void **state)
{
    char *folder = shared_path("data/models/stories260K-hf");
    char *facts = shared_path("data/models/stories260K_golden.json");
    char *scratch = scratch_make();
    char *gguf = join(scratch, "stories.gguf"), *back = join(scratch, "hf");
    (void)state;

    if (folder && facts) {
        json_t *golden = json_load_file(facts, 0, NULL);
        assert_non_null(golden);
        check_model(folder, golden, "the folder");
        convert(folder, gguf, true, AE_F32);
        check_model(gguf, golden, "the GGUF made from it");
        convert(gguf, back, false, AE_F32);
        check_model(back, golden, "the folder made from that");
        json_decref(golden);
    }
    ae_free(gguf);
    ae_free(back);
    ae_free(folder);
    ae_free(facts);
    scratch_remove(scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(published_text) };

    if (ae_device_open(&device, AE_CPU_AUTO, 1, NULL)) return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    device->close(device);
    return failed;
}
