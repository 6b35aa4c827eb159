/* test_parameters.c -- Ollama's options by name. */
#include "scratch.h"

#include "aerie/session.h"

#include <math.h>

static void every_name_sets_a_number(void **state)
{
    const char *name;
    bool whole;
    size_t n = 0;

    (void)state;
    for (; (name = aerie_parameter_name(n, &whole)); n++) {
        aerie_parameters is = { 0 }, was = { 0 };
        assert_true(aerie_parameters_set(&is, name, 3.75));
        if (!memcmp(&is, &was, sizeof is)) fail_msg("%s sets nothing", name);
        assert_true(aerie_parameters_set(&was, name, whole ? 3 : 3.75));
        if (memcmp(&is, &was, sizeof is)) fail_msg("%s isn't cut at its point", name);
    }
    assert_int_equal(n, 12);
    assert_null(aerie_parameter_name(n, NULL));
    assert_null(aerie_parameter_name(SIZE_MAX, &whole));
}

static void values_stay_in_their_types(void **state)
{
    aerie_parameters p = { 0 };

    (void)state;
    assert_true(aerie_parameters_set(&p, "top_k", 1e15));
    assert_int_equal(p.sampling.top_k, 1 << 30);
    assert_true(aerie_parameters_set(&p, "repeat_last_n", -7));
    assert_int_equal(p.sampling.repeat_last_n, -1);
    assert_true(aerie_parameters_set(&p, "num_ctx", 1e30));
    assert_true(p.num_ctx == (int64_t)9e15);
    assert_true(aerie_parameters_set(&p, "num_predict", -2));
    assert_int_equal(p.num_predict, -1);
    assert_true(aerie_parameters_set(&p, "max_output_tokens", 5));
    assert_int_equal(p.num_predict, 5);
    assert_true(aerie_parameters_set(&p, "typical_p", 0.5));
    assert_true(p.sampling.typical_p == 0.5f);
}

static void what_is_no_number_of_ours_sets_nothing(void **state)
{
    static const double no_float[] = { NAN, INFINITY, -INFINITY, 1e300 };
    aerie_parameters p = { 0 }, was = { 0 };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(no_float); i++) {
        assert_false(aerie_parameters_set(&p, "temperature", no_float[i]));
        assert_false(aerie_parameters_set(&p, "num_ctx", no_float[i]));
    }
    assert_false(aerie_parameters_set(&p, "num_gpu", 1));
    assert_false(aerie_parameters_set(&p, "", 1));
    assert_memory_equal(&p, &was, sizeof p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_sets_a_number),
        cmocka_unit_test(values_stay_in_their_types),
        cmocka_unit_test(what_is_no_number_of_ours_sets_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
