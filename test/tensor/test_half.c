/* test_half.c -- half precision and bfloat16, every value of them. */
#include "scratch.h"

#include "tensor/tensor.h"

#include <math.h>

static uint32_t bits_of(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

/* By the definition: sign, 5 bits of exponent, 10 of fraction. */
static double half_value(uint16_t bits)
{
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    double size = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);

    return bits & 0x8000 ? -size : size;
}

static void every_half_has_its_value(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        float f = ae_f16_to_f32((uint16_t)h);
        bool special = (h & 0x7c00) == 0x7c00;
        if (!special)
            assert_true((double)f == half_value((uint16_t)h));
        else if (h & 0x3ff)
            assert_true(isnan(f));
        else
            assert_true(isinf(f));
        assert_int_equal(bits_of(f) >> 31, h >> 15);
    }
}

static void every_half_comes_back(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        uint16_t back = ae_f32_to_f16(ae_f16_to_f32((uint16_t)h));
        bool is_nan = (h & 0x7c00) == 0x7c00 && (h & 0x3ff);
        assert_int_equal(back, is_nan ? h | 0x200 : h); /* a NaN comes back quiet */
    }
}

/* Between two neighbours the nearer wins, and of two equally near the even one. Past the largest
 * the next would be 65536. */
static void rounding_is_to_nearest_even(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x7c00; h++) {
        double low = half_value((uint16_t)h),
               high = h == 0x7bff ? 65536.0 : half_value((uint16_t)(h + 1));
        float middle = (float)((low + high) / 2); /* exact: binary32 has 13 more bits */
        for (int sign = 0; sign < 2; sign++) {
            uint32_t s = (uint32_t)sign << 15;
            float side = sign ? -1.0f : 1.0f;
            assert_int_equal(ae_f32_to_f16(side * middle), s | (h + (h & 1)));
            assert_int_equal(ae_f32_to_f16(side * nextafterf(middle, 0.0f)), s | h);
            assert_int_equal(ae_f32_to_f16(side * nextafterf(middle, 1e9f)), s | (h + 1));
        }
    }
}

static void bfloat_rounds_to_nearest_even(void **state)
{
    (void)state;
    for (uint32_t b = 0; b < 0x7f80; b++) {
        uint32_t low = b << 16;
        assert_int_equal(bits_of(ae_bf16_to_f32((uint16_t)b)), low);
        assert_int_equal(ae_f32_to_bf16(float_of(low)), b);
        assert_int_equal(ae_f32_to_bf16(float_of(low | 0x8000)), b + (b & 1));
        assert_int_equal(ae_f32_to_bf16(float_of(low | 0x7fff)), b);
        assert_int_equal(ae_f32_to_bf16(float_of(low | 0x8001)), b + 1);
        assert_int_equal(ae_f32_to_bf16(-float_of(low | 0x8001)), (b + 1) | 0x8000);
    }
    for (uint32_t nan = 0x7f800001; nan < 0x7f900000; nan += 4097)
        assert_true(isnan(ae_bf16_to_f32(ae_f32_to_bf16(float_of(nan)))));
    assert_int_equal(ae_f32_to_bf16(float_of(0x7fffffff)), 0x7fff);
    assert_int_equal(ae_f32_to_bf16(INFINITY), 0x7f80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half_has_its_value),
        cmocka_unit_test(every_half_comes_back),
        cmocka_unit_test(rounding_is_to_nearest_even),
        cmocka_unit_test(bfloat_rounds_to_nearest_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
