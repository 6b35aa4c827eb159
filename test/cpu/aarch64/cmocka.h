/* cmocka.h -- the little of cmocka that the device's tests use, for processors that it is not
 * packaged for. A failure ends the program. */
#ifndef AE_TEST_CMOCKA_H
#define AE_TEST_CMOCKA_H

#include <stdio.h>
#include <stdlib.h>

struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
};

static jmp_buf skipped;

#define skip()                 longjmp(skipped, 1)
#define fail_msg(...)          (fprintf(stderr, __VA_ARGS__), fputc('\n', stderr), exit(1))
#define assert_true(x)         ((x) ? (void)0 : fail_msg("%s:%d: %s", __FILE__, __LINE__, #x))
#define assert_non_null(x)     assert_true((x) != NULL)
#define assert_int_equal(a, b) assert_true((long long)(a) == (long long)(b))
#define cmocka_unit_test(f)                                                                        \
    {                                                                                              \
#f, f                                                                                      \
    }

static inline void run_test(const struct CMUnitTest *test, void **state)
{
    if (setjmp(skipped) == 0) test->run(state);
    printf("ok %s\n", test->name);
}

static inline int run_tests(const struct CMUnitTest *tests, size_t n, int (*setup)(void **))
{
    void *state = NULL;

    if (setup && setup(&state)) return 1;
    for (size_t i = 0; i < n; i++) run_test(&tests[i], &state);
    return 0;
}

#define cmocka_run_group_tests(tests, setup, teardown)                                             \
    run_tests(tests, sizeof(tests) / sizeof *(tests), setup)

#endif
