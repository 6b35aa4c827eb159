/* test_model_quantized.c -- models of every stored type out of their files: what becomes of them in
 * a Hugging Face folder is what their blocks stand for. */
#include "format/format.h"

#include "model/support.h"
#include "quantized.h"

static char *scratch;

/* Element by element: `f` is what the blocks of `q` stand for, rounded to `to`. */
static void assert_decoded(const ae_named_param *q, const ae_named_param *f, ae_dtype to)
{
    const ae_tensor *x = q->tensor, *y = f->tensor;
    float row[256], want[256], got[256];
    uint16_t half[256];
    size_t x_bytes, y_bytes;

    assert_string_equal(q->name, f->name);
    assert_true(x->cols <= 256 && x->cols == y->cols && x->rows == y->rows);
    assert_true(y->dtype == (y->rows > 1 ? to : AE_F32));
    assert_true(ae_dtype_bytes(&x_bytes, x->dtype, 1, x->cols));
    assert_true(ae_dtype_bytes(&y_bytes, y->dtype, 1, y->cols));
    for (int64_t r = 0; r < x->rows; r++) {
        const char *at = (const char *)x->data + (size_t)r * x_bytes;
        assert_true(ae_dtype_decode_row(x->dtype, at, x->cols, row));
        memcpy(want, row, sizeof want);
        if (y->dtype != AE_F32) {
            assert_true(ae_dtype_encode_row(to, row, x->cols, half));
            assert_true(ae_dtype_decode_row(to, half, x->cols, want));
        }
        at = (const char *)y->data + (size_t)r * y_bytes;
        assert_true(ae_dtype_decode_row(y->dtype, at, y->cols, got));
        for (int64_t c = 0; c < x->cols; c++)
            if (got[c] != want[c])
                fail_msg("%s %s [%lld, %lld]: %.9g, not %.9g", ae_dtype_info_of(x->dtype)->name,
                         q->name, (long long)r, (long long)c, (double)got[c], (double)want[c]);
    }
}

/* The quantized file as a folder of `to`, and that as a GGUF: rows are moved there and back. */
static void check_conversion(const char *base, ae_dtype type, ae_dtype to)
{
    char *quantized = join(scratch, "q.gguf"), *folder = join(scratch, "hf");
    char *again = join(scratch, "again.gguf");
    aerie_error err = { 0 };
    ae_named_param p[32], f[32];

    write_quantized(base, quantized, type, (uint64_t)type);
    ae_model *q = open_or_fail(quantized);
    if (ae_model_save_hf(q, folder, to, &err)) fail_msg("%s", err.message);
    ae_model *hf = open_or_fail(folder);
    if (ae_model_save_gguf(hf, again, to, &err)) fail_msg("%s", err.message);
    ae_model *back = open_or_fail(again);
    int64_t n = ae_model_params(q, p, 32);
    assert_int_equal(ae_model_params(back, f, 32), n);
    for (int64_t i = 0; i < n; i++) assert_decoded(&p[i], &f[i], to);
    ae_model_close(back);
    ae_model_close(hf);
    ae_model_close(q);
    ae_free(quantized);
    ae_free(folder);
    ae_free(again);
}

static void check_class(const char *class_name, const char *type)
{
    char *base = write_wide_model(scratch, class_name, type);

    for (size_t i = 0; i < AE_COUNT(stored_types); i++) {
        check_conversion(base, stored_types[i], AE_F32);
        check_conversion(base, stored_types[i], AE_F16);
        check_conversion(base, stored_types[i], AE_BF16);
    }
    ae_free(base);
}

static void every_type_becomes_a_folder(void **state)
{
    (void)state;
    check_class("LlamaForCausalLM", "llama"); /* rows of q and k lie otherwise in GGUF */
    check_class("Qwen2ForCausalLM", "qwen2");
}

/* A quantized model computes what its float32 copy does, to the bit. */
static void every_type_computes_as_its_floats(void **state)
{
    static const int32_t ids[] = { 3, 14, 15, 9, 26, 5, 35, 8, 60, 0 };
    char *base = write_wide_model(scratch, "LlamaForCausalLM", "llama");
    char *quantized = join(scratch, "q.gguf"), *wide = join(scratch, "wide.gguf");
    ae_device *device;

    (void)state;
    assert_int_equal(ae_device_open(&device, AE_CPU_AUTO, 2, NULL), AERIE_OK);
    for (size_t i = 0; i < AE_COUNT(stored_types); i++) {
        write_quantized(base, quantized, stored_types[i], i);
        ae_model *q = open_or_fail(quantized);
        assert_int_equal(ae_model_save_gguf(q, wide, AE_F32, NULL), AERIE_OK);
        ae_model *f = open_or_fail(wide);
        float *a = logits_of(device, ae_model_net(q), ids, AE_COUNT(ids));
        float *b = logits_of(device, ae_model_net(f), ids, AE_COUNT(ids));
        assert_memory_equal(a, b, AE_COUNT(ids) * 61 * sizeof *a);
        ae_free(a);
        ae_free(b);
        ae_model_close(q);
        ae_model_close(f);
    }
    device->close(device);
    ae_free(base);
    ae_free(quantized);
    ae_free(wide);
}

static int make_scratch(void **state)
{
    (void)state;
    scratch = scratch_make();
    return 0;
}

static int remove_scratch(void **state)
{
    (void)state;
    scratch_remove(scratch);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_becomes_a_folder),
        cmocka_unit_test(every_type_computes_as_its_floats),
    };

    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
