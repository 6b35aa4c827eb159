/* test_task_olmes.c -- OLMES' own request files: contexts and continuations built here equal
 * theirs, byte for byte, of every item, for the tasks they cover. The rows are the files' own
 * `doc`. */
#include "fake_model.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static json_t *get(json_t *object, const char *key)
{
    return json_object_get(object, key);
}

static void check_text(ae_span got, json_t *want, const char *what, size_t row)
{
    ae_span text = { json_string_value(want), json_string_length(want) };

    if (!ae_span_equal(got, text))
        fail_msg("row %zu: %s\n got    '%.*s'\n wanted '%s'", row, what, (int)got.len, got.data,
                 text.data);
}

/* The file's rows as they are: one a choice, those without the question behind all others. */
static json_t *requests_of(const char *path)
{
    json_t *rows = json_array();
    ae_bytes text = { 0 };
    aerie_error err = { 0 };

    assert_int_equal(ae_file_read(&text, path, 0, &err), AERIE_OK);
    for (size_t at = 0; at < text.len;) {
        const char *end = memchr(text.data + at, '\n', text.len - at);
        size_t n = end ? (size_t)(end - text.data) - at : text.len - at;
        if (n) json_array_append_new(rows, json_loadb(text.data + at, n, JSON_ALLOW_NUL, NULL));
        at += n + 1;
    }
    ae_bytes_free(&text);
    return rows;
}

static void check_request(const ae_item *item, const ae_task_request *r, json_t *row, size_t nth)
{
    json_t *want = get(row, "request");

    check_text(r->context, get(want, "context"), "context", nth);
    check_text(r->continuation, get(want, "continuation"), "continuation", nth);
    assert_int_equal(r->choice, json_integer_value(get(row, "idx")));
    assert_int_equal(item->gold, json_integer_value(get(row, "label")));
    assert_int_equal(r->unconditional, json_integer_value(get(row, "doc_id")) >= 1000000);
}

/* First every document's conditional requests, then every document's others. */
static size_t check_all(const ae_task_set *set, json_t *rows)
{
    size_t n = 0;

    for (int unconditional = 0; unconditional < 2; unconditional++)
        for (size_t i = 0; i < ae_task_set_len(set); i++) {
            const ae_item *item = ae_task_set_at(set, i);
            for (size_t k = 0; k < item->n_requests; k++) {
                if (item->requests[k].unconditional != (bool)unconditional) continue;
                assert_true(n < json_array_size(rows));
                check_request(item, &item->requests[k], json_array_get(rows, n), n);
                n++;
            }
        }
    assert_int_equal(n, json_array_size(rows));
    return n;
}

static void check_file(const char *file, const char *name, const char *protocol, int shots,
                       const char *rows_from)
{
    char *path = bench_path(file), *docs = bench_path(rows_from ? rows_from : file);
    ae_task_options options = { .data = docs, .shots = shots };
    const ae_protocol *p;
    ae_task *task;
    ae_task_set *set;
    json_t *rows;
    aerie_error err = { 0 };

    if (!path || !docs) {
        print_message("skipped: data/bench/%s is not here\n", file);
        ae_free(path);
        ae_free(docs);
        skip();
    }
    rows = requests_of(path);
    assert_int_equal(ae_protocol_find(&p, protocol, &err), AERIE_OK);
    if (ae_task_open(&task, name, p, &err)) fail_msg("%s", err.message);
    if (ae_task_set_build(&set, task, &options, &err)) fail_msg("%s", err.message);
    print_message("%s: %zu requests of %zu documents\n", file, check_all(set, rows),
                  ae_task_set_len(set));
    ae_task_set_free(set);
    ae_task_close(task);
    json_decref(rows);
    ae_free(path);
    ae_free(docs);
}

#define OLMES "olmo_oe_eval/"

/* A test each, so that each has a name. rows: where the documents come from when not from the file
 * itself: the authors' own. */
#define CHECK(file, task, protocol, shots, rows)                                                   \
    static void file(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        check_file(OLMES #file ".requests.jsonl.gz", task, protocol, shots, rows);                 \
    }

CHECK(arc_challenge_rc_0shot, "arc_challenge", "olmes", 0, "arc_challenge_dev.jsonl.gz")
CHECK(arc_challenge_test_mc_5shot, "arc_challenge", "olmes-mc", -1, "arc_challenge_test.jsonl.gz")
CHECK(arc_challenge_test_rc_5shot, "arc_challenge", "olmes", -1, "arc_challenge_test.jsonl.gz")
CHECK(arc_easy_rc_0shot, "arc_easy", "olmes", 0, NULL)
CHECK(boolq_rc_5shot, "boolq", "olmes", -1, NULL)
CHECK(copa_rc_0shot, "copa", "olmes", -1, NULL)
CHECK(csqa_rc_5shot, "commonsense_qa", "olmes", -1, "csqa_dev.jsonl.gz")
CHECK(hellaswag_mc_5shot, "hellaswag", "olmes-mc", -1, NULL)
CHECK(hellaswag_rc_5shot, "hellaswag", "olmes", -1, NULL)
CHECK(openbookqa_rc_0shot, "openbookqa", "olmes", 0, NULL)
CHECK(openbookqa_test_rc_5shot, "openbookqa", "olmes", -1, NULL)
CHECK(piqa_rc_0shot, "piqa", "olmes", 0, NULL)
CHECK(piqa_val_rc_5shot, "piqa", "olmes", -1, NULL)
CHECK(socialiqa_rc_0shot, "social_iqa", "olmes", 0, NULL)
CHECK(winogrande_rc_0shot, "winogrande", "olmes", 0, NULL)
CHECK(winogrande_val_rc_5shot, "winogrande", "olmes", -1, NULL)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(arc_challenge_rc_0shot),
        cmocka_unit_test(arc_challenge_test_mc_5shot),
        cmocka_unit_test(arc_challenge_test_rc_5shot),
        cmocka_unit_test(arc_easy_rc_0shot),
        cmocka_unit_test(boolq_rc_5shot),
        cmocka_unit_test(copa_rc_0shot),
        cmocka_unit_test(csqa_rc_5shot),
        cmocka_unit_test(hellaswag_mc_5shot),
        cmocka_unit_test(hellaswag_rc_5shot),
        cmocka_unit_test(openbookqa_rc_0shot),
        cmocka_unit_test(openbookqa_test_rc_5shot),
        cmocka_unit_test(piqa_rc_0shot),
        cmocka_unit_test(piqa_val_rc_5shot),
        cmocka_unit_test(socialiqa_rc_0shot),
        cmocka_unit_test(winogrande_rc_0shot),
        cmocka_unit_test(winogrande_val_rc_5shot),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
