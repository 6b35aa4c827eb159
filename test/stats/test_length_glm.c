/* test_length_glm.c -- the length-controlled regressions against scikit-learn's. */
#include "stats/golden_file.h"

#include "stats/stats.h"

#include <string.h>

static json_t *golden_here(void)
{
    json_t *root = json_load_file("test/stats/golden/length_control.json", 0, NULL);

    if (!root) fail_msg("test/stats/golden/length_control.json can't be read");
    return root;
}

/* Numbers of a list; null is NaN. */
static double *reals_or_nan(const json_t *list, size_t *n)
{
    double *x = reals_of(list, n);

    for (size_t i = 0; i < *n; i++)
        if (json_is_null(json_array_get(list, i))) x[i] = NAN;
    return x;
}

/* What is let go of with free_verdicts(). */
static ae_length_verdicts verdicts_of(const json_t *one)
{
    const json_t *gamed = json_object_get(one, "gamed");
    ae_length_verdicts v = { 0 };

    v.y = reals_or_nan(json_object_get(one, "y"), &v.n);
    v.length_a = reals_of(json_object_get(one, "length_1"), &v.n);
    v.length_b = reals_of(json_object_get(one, "length_2"), &v.n);
    v.difficulty = reals_of(json_object_get(one, "difficulty"), &v.n);
    v.gamed.y = reals_of(json_object_get(gamed, "y"), &v.gamed.n);
    v.gamed.length = reals_of(json_object_get(gamed, "length"), &v.gamed.n);
    v.gamed.difficulty = reals_of(json_object_get(gamed, "difficulty"), &v.gamed.n);
    return v;
}

static void free_verdicts(const ae_length_verdicts *v)
{
    const double *const lists[] = { v->y,       v->length_a,     v->length_b,        v->difficulty,
                                    v->gamed.y, v->gamed.length, v->gamed.difficulty };

    for (size_t i = 0; i < AE_COUNT(lists); i++) ae_free((void *)(uintptr_t)lists[i]);
}

/* alpaca_eval's own call stops at a tolerance of 1e-4: it is met as far as that goes. */
static void one_model_is_golden(void **state)
{
    json_t *root = golden_here(), *one;
    size_t i;

    (void)state;
    json_array_foreach(json_object_get(root, "models"), i, one)
    {
        const json_t *exact = json_object_get(one, "exact");
        const json_t *upstream = json_object_get(one, "upstream"), *w;
        ae_length_verdicts v = verdicts_of(one);
        ae_length_glm is;
        size_t k;
        assert_int_equal(ae_length_glm_fit(&is, &v, NULL), AERIE_OK);
        is_close(is.strength, real_of(exact, "C"), 1e-12, "C");
        json_array_foreach(json_object_get(exact, "weights"), k, w)
            is_close(is.weights[k], json_number_value(w), 1e-5, "a weight");
        is_close(is.controlled, real_of(exact, "controlled"), 1e-6, "the win rate");
        is_close(is.controlled_stderr, real_of(exact, "stderr"), 1e-6, "its error");
        is_close(is.controlled, real_of(upstream, "controlled"), 3e-4, "upstream's");
        free_verdicts(&v);
    }
    assert_int_equal(i, 2);
    json_decref(root);
}

static void plain_fits_are_golden(void **state)
{
    json_t *root = golden_here(), *one;
    ae_length_verdicts v = verdicts_of(json_array_get(json_object_get(root, "models"), 0));
    size_t i, n = v.n, begin[4] = { 0, n, 2 * n, 3 * n };
    double *x = ae_alloc(n, 3 * sizeof *x), *difference = ae_alloc(n, sizeof *difference);
    uint32_t *row = ae_alloc(n, 3 * sizeof *row);

    (void)state;
    for (i = 0; i < n; i++) difference[i] = v.length_a[i] - v.length_b[i];
    for (i = 0; i < n; i++) {
        x[i] = tanh(difference[i] / ae_mean_deviation(difference, n));
        x[n + i] = v.difficulty[i];
        x[2 * n + i] = 1;
        for (size_t j = 0; j < 3; j++) row[j * n + i] = (uint32_t)i;
    }
    json_array_foreach(json_object_get(root, "plain"), i, one)
    {
        const ae_lasso_rows rows = { n, 3, begin, row, x, v.y, NULL };
        double w[3];
        assert_int_equal(ae_lasso_fit(w, &rows, real_of(one, "C"), NULL), AERIE_OK);
        for (size_t k = 0; k < 3; k++) {
            double wanted = json_number_value(json_array_get(json_object_get(one, "weights"), k));
            is_close(w[k], wanted, 1e-6, "a weight");
            assert_true((w[k] == 0) == (wanted == 0));
        }
    }
    assert_int_equal(i, 3);
    ae_free(x);
    ae_free(difference);
    ae_free(row);
    free_verdicts(&v);
    json_decref(root);
}

static void difficulties_are_golden(void **state)
{
    json_t *root = golden_here(), *b;
    const json_t *joint = json_object_get(root, "joint");
    const json_t *list = json_object_get(joint, "battles");
    size_t i, n = json_array_size(list), n_instructions = (size_t)whole_of(joint, "n");
    ae_length_battle *battles = ae_alloc(n, sizeof *battles);
    double *is = ae_alloc(n_instructions, sizeof *is);

    (void)state;
    json_array_foreach(list, i, b) battles[i] =
        (ae_length_battle){ (size_t)json_integer_value(json_array_get(b, 0)),
                            (size_t)json_integer_value(json_array_get(b, 1)),
                            json_number_value(json_array_get(b, 2)),
                            json_number_value(json_array_get(b, 3)) };
    assert_int_equal(ae_length_difficulty(is, battles, n, (size_t)whole_of(joint, "n_models"),
                                          n_instructions, NULL),
                     AERIE_OK);
    for (i = 0; i < n_instructions; i++)
        is_close(is[i], json_number_value(json_array_get(json_object_get(joint, "difficulty"), i)),
                 1e-5, "a difficulty");
    ae_free(battles);
    ae_free(is);
    json_decref(root);
}

/* Nothing to hold on to: a win rate near the mean, and no failure. */
static void odd_verdicts_are_no_failure(void **state)
{
    double same[4] = { 1, 1, 1, 1 }, none[4] = { NAN, NAN, 1, 0 }, zero[4] = { 0 };
    ae_length_verdicts v = {
        .y = same, .length_a = same, .length_b = same, .difficulty = zero, .n = 4
    };
    ae_length_glm is;
    aerie_error err = { 0 };

    (void)state;
    assert_int_equal(ae_length_glm_fit(&is, &v, &err), AERIE_OK);
    assert_true(is.controlled > 0.5 && is.controlled <= 1);
    v.y = none;
    assert_int_equal(ae_length_glm_fit(&is, &v, &err), AERIE_OK);
    is_close(is.controlled, 0.5, 1e-6, "one won and one lost");
    v.n = 3;
    assert_int_equal(ae_length_glm_fit(&is, &v, &err), AERIE_BAD_ARGUMENT);
    for (long i = 1;; i++) {
        v.n = 4;
        ae_alloc_fail_at(i);
        aerie_status status = ae_length_glm_fit(&is, &v, &err);
        bool failed = ae_alloc_has_failed();
        ae_alloc_fail_at(0);
        assert_int_equal(status, failed ? AERIE_NO_MEMORY : AERIE_OK);
        if (!failed) break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_model_is_golden),
        cmocka_unit_test(plain_fits_are_golden),
        cmocka_unit_test(difficulties_are_golden),
        cmocka_unit_test(odd_verdicts_are_no_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
