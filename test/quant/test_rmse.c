/* test_rmse.c -- no type's error on a real model's weights is larger than what llama.cpp's
 * quantizer leaves (test/golden/quant/llama_rmse.gguf has its numbers,
 * tools/golden/make_rmse_fixture.py made them), with and without importance. */
#include "scratch.h"

#include "quant/quant.h"

#include <math.h>

#define FIXTURE "test/golden/quant/llama_rmse.gguf"
enum { COLS = 512 };

static const ae_dtype written[] = { AE_Q2_K, AE_Q3_K, AE_Q4_0, AE_Q4_1, AE_Q4_K, AE_Q5_0,
                                    AE_Q5_1, AE_Q5_K, AE_Q6_K, AE_Q8_0, AE_F16,  AE_BF16 };

static ae_gguf *fixture;

static ae_tensor tensor(const char *name)
{
    const ae_stored_tensor *t = ae_tensor_list_find(ae_gguf_tensors(fixture), name);
    ae_tensor view;

    assert_non_null(t);
    assert_int_equal(ae_stored_tensor_view(&view, t, NULL), AERIE_OK);
    assert_int_equal(view.cols, COLS);
    return view;
}

/* Relative, weighted as the quantizer was told to. */
static double rmse(ae_dtype dtype, const float *importance)
{
    ae_tensor rows = tensor("x");
    size_t row_bytes;
    double errors = 0, squares = 0;

    assert_true(ae_dtype_bytes(&row_bytes, rows.dtype, 1, COLS));
    for (int64_t r = 0; r < rows.rows; r++) {
        const uint8_t *from = (const uint8_t *)rows.data + (size_t)r * row_bytes;
        float x[COLS], back[COLS];
        uint8_t bytes[COLS * 4];
        assert_true(ae_dtype_decode_row(rows.dtype, from, COLS, x));
        assert_true(ae_quantize_row(dtype, x, COLS, importance, bytes));
        assert_true(ae_dtype_decode_row(dtype, bytes, COLS, back));
        for (int i = 0; i < COLS; i++) {
            double off = (double)back[i] - (double)x[i], w = importance ? (double)importance[i] : 1;
            errors += w * off * off;
            squares += w * (double)x[i] * (double)x[i];
        }
    }
    return sqrt(errors / squares);
}

/* The fixture has its numbers in float32. */
static void check(ae_dtype dtype, const float *importance, const char *suffix)
{
    const char *name = ae_dtype_info_of(dtype)->name;
    char key[40];
    float theirs;

    snprintf(key, sizeof key, "rmse.%s%s", name, suffix);
    assert_int_equal(ae_gguf_f32(fixture, key, &theirs, NULL), AERIE_OK);
    float ours = (float)rmse(dtype, importance);
    print_message("%-5s%-9s %.5f, llama.cpp %.5f: %.4f\n", name, suffix, (double)ours,
                  (double)theirs, theirs > 0 ? (double)ours / (double)theirs : 1.0);
    if (ours > theirs) fail_msg("%s%s: the error is larger than llama.cpp's", name, suffix);
}

static void without_importance(void **state)
{
    (void)state;
    for (size_t t = 0; t < AE_COUNT(written); t++) check(written[t], NULL, "");
}

static void with_importance(void **state)
{
    ae_tensor importance = tensor("importance");
    (void)state;

    assert_int_equal(importance.dtype, AE_F32);
    for (size_t t = 0; t < AE_COUNT(written); t++) check(written[t], importance.data, ".weighted");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_importance),
        cmocka_unit_test(with_importance),
    };
    aerie_error err = { 0 };

    if (ae_gguf_open(&fixture, FIXTURE, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ae_gguf_close(fixture);
    return failed;
}
