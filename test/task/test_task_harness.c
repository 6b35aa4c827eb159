/* test_task_harness.c -- every request that lm-evaluation-harness itself builds over data/bench, by
 * its hash: tools/golden/make_harness_hashes.py wrote them down. */
#include "fake_model.h"

#include "task/task_private.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Without examples: GSM8K's are of a file that data/bench lacks. */
static int shots_of(const char *name)
{
    return strcmp(name, "gsm8k") == 0 ? 0 : -1;
}

static void check_task(const char *name, json_t *want, const char *data)
{
    const ae_task_options options = { .data = data, .shots = shots_of(name) };
    const ae_protocol *p;
    aerie_error err = { 0 };
    ae_task_set *set;
    ae_task *task;
    char hash[65];
    size_t n = 0;

    assert_int_equal(ae_protocol_find(&p, "lm-eval", &err), AERIE_OK);
    if (ae_task_open(&task, name, p, &err) || ae_task_set_build(&set, task, &options, &err))
        fail_msg("%s", err.message);
    for (size_t i = 0; i < ae_task_set_len(set); i++) n += ae_task_set_at(set, i)->n_requests;
    if (ae_task_set_sha256(set, hash, &err)) fail_msg("%s", err.message);
    if ((json_int_t)n != json_integer_value(json_object_get(want, "requests")) ||
        strcmp(hash, json_string_value(json_object_get(want, "sha256"))) != 0)
        fail_msg("%s: %zu requests with %s, the harness' are %lld with %s", name, n, hash,
                 (long long)json_integer_value(json_object_get(want, "requests")),
                 json_string_value(json_object_get(want, "sha256")));
    ae_task_set_free(set);
    ae_task_close(task);
}

static void requests_are_the_harness_own(void **state)
{
    json_t *root = json_load_file("test/task/harness_hashes.json", 0, NULL), *want;
    char *data = bench_path("");
    const char *name;
    (void)state;

    assert_non_null(root);
    if (!data) {
        print_message("skipped: data/bench is not here\n");
        json_decref(root);
        skip();
    }
    json_object_foreach(json_object_get(root, "tasks"), name, want) check_task(name, want, data);
    assert_true(json_object_size(json_object_get(root, "tasks")) == 41);
    json_decref(root);
    ae_free(data);
}

int main(void)
{
    static const struct CMUnitTest tests[] = { cmocka_unit_test(requests_are_the_harness_own) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
