/* test_train_quantized.c -- training over a base of any stored type is training over the floats
 * that its blocks stand for. */
#include "tiny.h"

#include "format/format.h"
#include "quantized.h"

static tiny t;
static char *base;

static ae_bytes train_with(const char *model, const char *method, const char *output,
                           const char *load_in, aerie_train_summary *summary)
{
    tiny_run r = { .method = method,
                   .output = output,
                   .settings = { "lora.r=4", "max_steps=12", "learning_rate=0.01", load_in },
                   .n = 4,
                   .threads = 2 };

    ae_free(t.model_path);
    t.model_path = tiny_path(&t, model, "");
    return tiny_output(&t, &r, summary);
}

static ae_bytes train(const char *model, const char *method, const char *output,
                      aerie_train_summary *summary)
{
    return train_with(model, method, output, "load_in=as_stored", summary);
}

static void check_type(ae_dtype type, const char *method)
{
    const char *name = ae_dtype_info_of(type)->name;
    char *quantized = tiny_path(&t, "q.gguf", ""), *wide = tiny_path(&t, "wide.gguf", "");
    aerie_train_summary summary;
    aerie_error err = { 0 };
    ae_model *m;

    write_quantized(base, quantized, type, (uint64_t)type);
    if (ae_model_open(&m, quantized, &err)) fail_msg("%s", err.message);
    if (ae_model_save_gguf(m, wide, AE_F32, &err)) fail_msg("%s", err.message);
    ae_model_close(m);
    ae_bytes a = train("q.gguf", method, "a.gguf", &summary);
    ae_bytes b = train("wide.gguf", method, "b.gguf", NULL);
    tiny_assert_same_adapter(&a, &b, name);
    print_message("%s over %s: the loss went from %.3f to %.3f\n", method, name, summary.first_loss,
                  summary.last_loss);
    assert_true(summary.last_loss < summary.first_loss);
    ae_bytes_free(&a);
    ae_bytes_free(&b);
    ae_free(quantized);
    ae_free(wide);
}

static void sft_over_every_type(void **state)
{
    (void)state;
    for (size_t i = 0; i < AE_COUNT(stored_types); i++) check_type(stored_types[i], "sft");
}

static void dpo_over_k_and_table_types(void **state)
{
    (void)state;
    check_type(AE_Q3_K, "dpo");
    check_type(AE_IQ4_XS, "dpo");
}

/* Quantized when it is opened, as if the file had held what 4 bits keep. */
static void check_nf4(bool double_quant)
{
    char *wide = tiny_path(&t, "wide.gguf", "");
    const char *name = double_quant ? "load_in=nf4_double_quant" : "load_in=nf4";
    aerie_train_summary summary;
    aerie_error err = { 0 };
    char before[65], after[65];
    ae_model *m;

    if (ae_model_open(&m, base, &err)) fail_msg("%s", err.message);
    size_t bytes = ae_model_weight_bytes(m);
    if (ae_model_load_in_nf4(m, double_quant, 2, &err)) fail_msg("%s", err.message);
    assert_true(ae_model_weight_bytes(m) < bytes / 4);
    assert_int_equal(ae_model_hash(m, before, &err), AERIE_OK);
    if (ae_model_save_gguf(m, wide, AE_F32, &err)) fail_msg("%s", err.message);
    ae_model_close(m);
    if (ae_model_open(&m, base, &err)) fail_msg("%s", err.message);
    assert_int_equal(ae_model_hash(m, after, &err), AERIE_OK);
    assert_string_equal(before, after); /* an adapter belongs to the file */
    ae_model_close(m);
    ae_bytes a = train_with(strrchr(base, '/') + 1, "sft", "a.gguf", name, &summary);
    ae_bytes b = train("wide.gguf", "sft", "b.gguf", NULL);
    tiny_assert_same_adapter(&a, &b, name);
    assert_true(summary.last_loss < summary.first_loss);
    ae_bytes_free(&a);
    ae_bytes_free(&b);
    ae_free(wide);
}

static void sft_over_nf4(void **state)
{
    (void)state;
    check_nf4(false);
    check_nf4(true);
}

static int open_tiny(void **state)
{
    (void)state;
    tiny_open(&t);
    base = write_wide_model(t.folder, "LlamaForCausalLM", "llama");
    return 0;
}

static int close_tiny(void **state)
{
    (void)state;
    ae_free(base);
    tiny_close(&t);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sft_over_every_type),
        cmocka_unit_test(dpo_over_k_and_table_types),
        cmocka_unit_test(sft_over_nf4),
    };

    return cmocka_run_group_tests(tests, open_tiny, close_tiny);
}
