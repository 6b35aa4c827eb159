/* test_dtype.c -- the table of types, and rows into and out of each against test/golden/quant,
 * which tools/golden/make_quant_fixture.py wrote. */
#include "scratch.h"

#include <math.h>

#include "blocks.h"

#include "format/format.h"

static void the_table_agrees_with_itself(void **state)
{
    (void)state;
    for (size_t i = 0; i < AE_COUNT(stored_types); i++) {
        const ae_dtype_info *info = ae_dtype_info_of(stored_types[i]);
        assert_non_null(info);
        assert_true(info->dtype == stored_types[i]);
        assert_ptr_equal(ae_dtype_of_gguf((uint32_t)stored_types[i]), info);
        assert_true(ae_dtype_by_name(info->name) == stored_types[i]);
    }
    assert_true(ae_dtype_by_name("q4_k") == AE_Q4_K);
    assert_true(ae_dtype_by_name("IQ2_XXS") == AE_DTYPE_NONE);
    assert_null(ae_dtype_info_of(AE_DTYPE_NONE));
    assert_null(ae_dtype_of_gguf(4)); /* Q4_2 once, given up before GGUF */
    assert_null(ae_dtype_of_gguf(16));
    assert_null(ae_dtype_of_gguf(UINT32_MAX));
}

static void bytes_are_counted_or_refused(void **state)
{
    size_t bytes;

    (void)state;
    assert_true(ae_dtype_bytes(&bytes, AE_Q8_0, 3, 64) && bytes == 3 * 2 * 34);
    assert_true(ae_dtype_bytes(&bytes, AE_Q6_K, 2, 256) && bytes == 2 * 210);
    assert_true(ae_dtype_bytes(&bytes, AE_F32, 0, 7) && bytes == 0);
    assert_false(ae_dtype_bytes(&bytes, AE_Q8_0, 1, 33));
    assert_false(ae_dtype_bytes(&bytes, AE_F32, -1, 4));
    assert_false(ae_dtype_bytes(&bytes, AE_F32, 1, -4));
    assert_false(ae_dtype_bytes(&bytes, AE_F32, INT64_MAX, INT64_MAX));
    assert_false(ae_dtype_bytes(&bytes, AE_F32, (int64_t)1 << 31, (int64_t)1 << 31));
    assert_false(ae_dtype_bytes(&bytes, AE_DTYPE_NONE, 1, 1));
}

static ae_gguf *golden;

static int open_golden(void **state)
{
    aerie_error err = { 0 };

    (void)state;
    if (ae_gguf_open(&golden, "test/golden/quant/rows.gguf", &err)) fail_msg("%s", err.message);
    return 0;
}

static int close_golden(void **state)
{
    (void)state;
    ae_gguf_close(golden);
    return 0;
}

static const ae_stored_tensor *find(const char *type, const char *suffix)
{
    const ae_stored_tensor *t;
    char name[32];

    snprintf(name, sizeof name, "%s%s", type, suffix);
    t = ae_tensor_list_find(ae_gguf_tensors(golden), name);
    if (!t) fail_msg("the fixture has no '%s'", name);
    return t;
}

static void rows_decode_bit_for_bit(void **state)
{
    (void)state;
    for (size_t i = 1; i < AE_COUNT(stored_types); i++) {
        const char *type = ae_dtype_info_of(stored_types[i])->name;
        const ae_stored_tensor *in = find(type, ""), *expected = find(type, ".f32");
        float row[512];
        for (int64_t r = 0; r < in->rows; r++) {
            const char *bytes = (const char *)in->data + (size_t)r * (in->bytes / (size_t)in->rows);
            const float *want = (const float *)expected->data + r * expected->cols;
            assert_int_equal(in->cols, 512);
            assert_true(ae_dtype_decode_row(stored_types[i], bytes, 512, row));
            for (int c = 0; c < 512; c++)
                if (memcmp(&row[c], &want[c], 4))
                    fail_msg("%s row %d column %d: %.9g, not %.9g", type, (int)r, c, (double)row[c],
                             (double)want[c]);
        }
    }
}

static void rows_encode_bit_for_bit(void **state)
{
    static const ae_dtype written[] = { AE_F16, AE_BF16, AE_Q8_0 };
    const ae_stored_tensor *in = find("in", "");

    (void)state;
    for (size_t i = 0; i < AE_COUNT(written); i++) {
        const char *type = ae_dtype_info_of(written[i])->name;
        const ae_stored_tensor *expected = find(type, ".out");
        size_t row_bytes = expected->bytes / (size_t)expected->rows;
        uint8_t row[1024];
        for (int64_t r = 0; r < in->rows; r++) {
            const uint8_t *want = (const uint8_t *)expected->data + (size_t)r * row_bytes;
            assert_true(
                ae_dtype_encode_row(written[i], (const float *)in->data + r * 512, 512, row));
            for (size_t b = 0; b < row_bytes; b++)
                if (row[b] != want[b])
                    fail_msg("%s row %d byte %zu: %d, not %d", type, (int)r, b, row[b], want[b]);
        }
    }
}

/* What NF4's 64 numbers come to: a whole block of zeros, subnormal numbers, ends that are kept. */
static void nf4_keeps_zeros_and_ends(void **state)
{
    float row[64] = { 0 }, back[64];
    uint8_t bytes[AE_NF4_BYTES];

    (void)state;
    assert_null(ae_dtype_of_gguf(AE_NF4)); /* no file has it */
    assert_true(ae_dtype_encode_row(AE_NF4, row, 64, bytes));
    assert_true(ae_dtype_decode_row(AE_NF4, bytes, 64, back));
    for (int i = 0; i < 64; i++) assert_true(back[i] == 0);
    row[3] = 1e-45f;
    assert_true(ae_dtype_encode_row(AE_NF4, row, 64, bytes));
    assert_true(ae_dtype_scales_finite(AE_NF4, bytes, 64));
    row[3] = -0.75f, row[9] = 0.75f, row[10] = 0.3f;
    assert_true(ae_dtype_encode_row(AE_NF4, row, 64, bytes));
    assert_true(ae_dtype_decode_row(AE_NF4, bytes, 64, back));
    assert_true(back[3] == -0.75f && back[9] == 0.75f && back[0] == 0);
    assert_true(back[10] == 0.75f * ae_nf4_values[12]);
    assert_false(ae_dtype_encode_row(AE_NF4, row, 63, bytes));
    row[0] = INFINITY;
    assert_true(ae_dtype_encode_row(AE_NF4, row, 64, bytes));
    assert_false(ae_dtype_scales_finite(AE_NF4, bytes, 64));
}

/* What cannot be encoded well is encoded somehow, not crashed on. */
static void odd_rows_are_survived(void **state)
{
    static const float odd[] = { 0.0f, -0.0f, 1e-45f, -1e-45f, 3e38f, -3e38f };
    float row[32], back[32];
    uint8_t bytes[128];

    (void)state;
    for (size_t i = 0; i < AE_COUNT(odd); i++) {
        for (int c = 0; c < 32; c++) row[c] = odd[(i + (size_t)c) % (1 + i)];
        for (size_t t = 0; t < AE_COUNT(stored_types); t++)
            if (ae_dtype_encode_row(stored_types[t], row, 32, bytes))
                assert_true(ae_dtype_decode_row(stored_types[t], bytes, 32, back));
    }
    assert_false(ae_dtype_encode_row(AE_Q8_0, row, 31, bytes));
    assert_false(ae_dtype_encode_row(AE_Q4_K, row, 32, bytes));
    assert_false(ae_dtype_decode_row(AE_Q6_K, bytes, 32, back));
    assert_false(ae_dtype_decode_row(AE_DTYPE_NONE, bytes, 32, back));
}

/* One block in three with one scale that is no number: seen where a scale is, and nowhere else. */
static void check_scales(ae_dtype dtype, int at, int second)
{
    const ae_dtype_info *info = ae_dtype_info_of(dtype);
    int width = dtype == AE_F32 ? 4 : 2;
    uint8_t blocks[3 * 256];
    int64_t n = 3 * info->block_elements;

    for (int block = 0; block < 3; block++)
        for (int i = 0; i + width <= info->block_bytes; i += width) {
            bool is_scale = i == at || i == second;
            uint8_t *p = blocks + block * info->block_bytes + i;
            memset(blocks, 0, sizeof blocks);
            p[width - 1] = dtype == AE_F32 || dtype == AE_BF16 ? 0xff : 0xfe;
            p[width - 2] = 0x81;
            if (ae_dtype_scales_finite(dtype, blocks, n) == is_scale)
                fail_msg("%s: byte %d of block %d", info->name, i, block);
        }
}

static void scales_that_are_no_numbers_are_seen(void **state)
{
    static const struct {
        ae_dtype dtype;
        int at, second;
    } cases[] = {
        { AE_F32, 0, -1 },    { AE_F16, 0, -1 },    { AE_BF16, 0, -1 },   { AE_Q4_0, 0, -1 },
        { AE_Q4_1, 0, 2 },    { AE_Q5_0, 0, -1 },   { AE_Q5_1, 0, 2 },    { AE_Q8_0, 0, -1 },
        { AE_Q2_K, 80, 82 },  { AE_Q3_K, 108, -1 }, { AE_Q4_K, 0, 2 },    { AE_Q5_K, 0, 2 },
        { AE_Q6_K, 208, -1 }, { AE_IQ4_NL, 0, -1 }, { AE_IQ4_XS, 0, -1 },
    };
    static const uint16_t fine[] = { 0, 0x7bff, 0xfbff, 0x8001 };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(cases); i++)
        check_scales(cases[i].dtype, cases[i].at, cases[i].second);
    assert_true(ae_dtype_scales_finite(AE_F16, fine, 4));
    assert_true(ae_dtype_scales_finite(AE_Q8_0, fine, 0));
    assert_false(ae_dtype_scales_finite(AE_Q8_0, fine, 1));
    assert_false(ae_dtype_scales_finite(AE_DTYPE_NONE, fine, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_agrees_with_itself),
        cmocka_unit_test(bytes_are_counted_or_refused),
        cmocka_unit_test(scales_that_are_no_numbers_are_seen),
        cmocka_unit_test(rows_decode_bit_for_bit),
        cmocka_unit_test(rows_encode_bit_for_bit),
        cmocka_unit_test(nf4_keeps_zeros_and_ends),
        cmocka_unit_test(odd_rows_are_survived),
    };
    return cmocka_run_group_tests(tests, open_golden, close_golden);
}
