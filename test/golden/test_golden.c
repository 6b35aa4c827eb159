/* test_golden.c -- the self-test passes on this machine: built-in cases always, the golden files
 * of the alignment methods when they are at hand. */
#include "train/train.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

typedef struct {
    int failed;
} seen;

static void show(void *user, const char *name, aerie_case_result result, const char *sentence)
{
    seen *s = user;

    if (result != AERIE_CASE_FAILED) return;
    s->failed++;
    print_error("%s: %s\n", name, sentence);
}

static aerie_selftest_summary run(const char *folder, ae_cpu_choice cpu, int threads)
{
    aerie_selftest_summary summary;
    aerie_error err = { 0 };
    ae_device *device;
    seen s = { 0 };

    assert_int_equal(ae_device_open(&device, cpu, threads, &err), AERIE_OK);
    if (ae_selftest(folder, device, show, &s, &summary, &err)) fail_msg("%s", err.message);
    device->close(device);
    assert_int_equal(s.failed, summary.failed);
    return summary;
}

static void test_builtin_cases_pass(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 3; threads++) {
        assert_int_equal(run(NULL, AE_CPU_AUTO, threads).failed, 0);
        assert_int_equal(run(NULL, AE_CPU_REF, threads).failed, 0);
    }
}

static void test_golden_files_pass(void **state)
{
    const char *shared = getenv("AERIE_SHARED");
    aerie_selftest_summary summary;
    char folder[512];

    (void)state;
    snprintf(folder, sizeof folder, "%s/golden/alignment", shared ? shared : "../shared");
    if (!ae_file_is_folder(folder)) {
        print_message("skipped: %s is not here\n", folder);
        skip();
    }
    summary = run(folder, AE_CPU_AUTO, 2);
    print_message("%d passed, %d failed, %d of methods this build does not know\n", summary.passed,
                  summary.failed, summary.unknown);
    assert_int_equal(summary.failed, 0);
    assert_true(summary.passed >= 50);
}

static void test_a_folder_without_cases_is_a_sentence(void **state)
{
    aerie_selftest_summary summary;
    aerie_error err = { 0 };
    ae_device *device;

    (void)state;
    assert_int_equal(ae_device_open(&device, AE_CPU_REF, 1, &err), AERIE_OK);
    assert_int_equal(ae_selftest("no/such/folder", device, NULL, NULL, &summary, &err),
                     AERIE_NOT_FOUND);
    assert_string_not_equal(err.message, "");
    device->close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_builtin_cases_pass),
        cmocka_unit_test(test_golden_files_pass),
        cmocka_unit_test(test_a_folder_without_cases_is_a_sentence),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
