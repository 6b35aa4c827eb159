/* A benchmark from its files to its numbers, with an answerer that makes up its answers: what was
 * answered is not asked again, what was saved gives the same numbers, and what goes wrong says so.
 */
#include "eval/benchmark.h"

#include "scratch.h"

#include <math.h>

enum { DOCS = 7 };

static const char choice_yaml[] = "task: small\n"
                                  "output_type: multiple_choice\n"
                                  "test_split: test\n"
                                  "files:\n"
                                  "  test: [small.jsonl]\n"
                                  "num_fewshot: 0\n"
                                  "doc_to_text: \"Q: {{q}}\\nA:\"\n"
                                  "doc_to_choice: \"{{c}}\"\n"
                                  "doc_to_target: \"{{a}}\"\n"
                                  "metric_list:\n"
                                  "  - {metric: acc}\n"
                                  "  - {metric: acc_norm}\n";
static const char reply_yaml[] = "task: said\n"
                                 "output_type: generate_until\n"
                                 "test_split: test\n"
                                 "files:\n"
                                 "  test: [said.jsonl]\n"
                                 "num_fewshot: 0\n"
                                 "doc_to_text: \"{{q}}\"\n"
                                 "doc_to_target: \"{{a}}\"\n"
                                 "generation_kwargs: {until: [\"\\n\"], max_gen_toks: 16}\n"
                                 "metric_list:\n"
                                 "  - {metric: exact_match, ignore_case: true}\n";

static char *folder;

static char *put_file(const char *name, const char *text)
{
    char *path = ae_path_join(folder, name);

    assert_int_equal(ae_file_write(path, text, strlen(text), NULL), AERIE_OK);
    return path;
}

static void make_files(void)
{
    ae_bytes choices = { 0 }, replies = { 0 };

    folder = scratch_make();
    for (int i = 0; i < DOCS; i++) {
        ae_bytes_printf(&choices,
                        "{\"q\": \"question %d\", \"c\": [\"one\", \"another %d\"], \"a\": %d}\n",
                        i, i, i % 2);
        ae_bytes_printf(&replies, "{\"q\": \"say %d\", \"a\": \"Word %d\"}\n", i, i % 3);
    }
    ae_free(put_file("small.jsonl", choices.data));
    ae_free(put_file("said.jsonl", replies.data));
    ae_free(put_file("small.yaml", choice_yaml));
    ae_free(put_file("said.yaml", reply_yaml));
    ae_bytes_free(&choices);
    ae_bytes_free(&replies);
}

/* ---- who answers ---- */

typedef struct {
    int64_t asked;
    int64_t most;         /* answers, then nothing more; -1: all */
    const char *dislikes; /* a question with this in it is refused; NULL: none is */
} machine;

static bool dislikes(const machine *m, ae_span question)
{
    return m->dislikes && jinja_find_text(question, ae_span_text(m->dislikes), 0) != SIZE_MAX;
}

static double made_up(ae_span text)
{
    return -(double)(ae_hash64(text.data, text.len, 7) % 1000) / 100 - 0.5;
}

static aerie_status score(void *user, const ae_scored_text *asked, int64_t n, ae_scored_fn *fn,
                          ae_refused_fn *refused, void *fn_user, aerie_error *err)
{
    machine *m = user;

    for (int64_t i = n; i-- > 0;) { /* in no order of the questions' own */
        ae_bytes whole = { 0 };
        if (dislikes(m, asked[i].context)) {
            if (!refused(fn_user, i, "not that"))
                return aerie_fail(err, AERIE_INTERRUPTED, "interrupted");
            continue;
        }
        ae_bytes_add(&whole, asked[i].context.data, asked[i].context.len);
        ae_bytes_add(&whole, asked[i].continuation.data, asked[i].continuation.len);
        const ae_scored_answer answer = { made_up(ae_span_of(&whole)), i % 3 == 0, 2, 0 };
        ae_bytes_free(&whole);
        if (m->most-- == 0) return aerie_fail(err, AERIE_IO, "the machine went away");
        m->asked++;
        if (!fn(fn_user, i, &answer)) return aerie_fail(err, AERIE_INTERRUPTED, "interrupted");
    }
    return AERIE_OK;
}

static aerie_status reply(void *user, const ae_reply_question *asked, int64_t n, ae_reply_fn *fn,
                          ae_refused_fn *refused, void *fn_user, aerie_error *err)
{
    machine *m = user;

    for (int64_t i = 0; i < n; i++) {
        assert_int_equal(asked[i].max_tokens, 16);
        if (dislikes(m, asked[i].prompt)) {
            if (!refused(fn_user, i, "not that"))
                return aerie_fail(err, AERIE_INTERRUPTED, "interrupted");
            continue;
        }
        m->asked++;
        /* Right where the question ends in 0 or 1. */
        const char *text = asked[i].prompt.data[asked[i].prompt.len - 1] == '0'   ? "word 0\nmore"
                           : asked[i].prompt.data[asked[i].prompt.len - 1] == '1' ? "WORD 1"
                                                                                  : "no";
        if (!fn(fn_user, i, ae_span_text(text)))
            return aerie_fail(err, AERIE_INTERRUPTED, "interrupted");
    }
    return AERIE_OK;
}

static json_t *run(machine *m, const char *task, const char *keep, const char *out,
                   const char *rescore)
{
    const ae_bench_model who = {
        .user = m, .identity = "machine", .texts = score, .replies = reply
    };
    char *path = ae_path_join(folder, task);
    const char *tasks[] = { path };
    const ae_benchmark_options o = { .tasks = tasks,
                                     .n_tasks = 1,
                                     .data = folder,
                                     .shots = -1,
                                     .keep = keep,
                                     .out = out,
                                     .rescore = rescore };
    json_t *result = NULL;
    aerie_error err = { 0 };

    if (ae_benchmark(&result, &o, rescore ? NULL : &who, &err)) print_message("%s\n", err.message);
    ae_free(path);
    return result;
}

static const json_t *only_result(const json_t *root)
{
    json_t *results = json_object_get(root, "results");

    assert_non_null(root);
    assert_int_equal(json_object_size(results), 1);
    return json_object_iter_value(json_object_iter(results));
}

static double value_of(const json_t *root, const char *metric, const char *what)
{
    const json_t *m = json_object_get(json_object_get(only_result(root), "metrics"), metric);

    if (!m) fail_msg("no metric '%s'", metric);
    return json_number_value(json_object_get(m, what));
}

/* ---- tests ---- */

static void numbers_are_those_of_the_answers(void **state)
{
    machine m = { .most = -1 };
    json_t *root = run(&m, "small.yaml", NULL, NULL, NULL);
    double acc = 0, norm = 0;
    (void)state;

    for (int i = 0; i < DOCS; i++) {
        double ll[2], chars[2] = { 3, 9 };
        for (int c = 0; c < 2; c++) {
            char text[64];
            int n = c ? snprintf(text, sizeof text, "Q: question %d\nA: another %d", i, i)
                      : snprintf(text, sizeof text, "Q: question %d\nA: one", i);
            ll[c] = made_up((ae_span){ text, (size_t)n });
        }
        acc += (ll[1] > ll[0]) == i % 2;
        norm += (ll[1] / chars[1] > ll[0] / chars[0]) == i % 2;
    }
    assert_int_equal(m.asked, 2 * DOCS);
    assert_true(fabs(value_of(root, "acc", "value") - acc / DOCS) < 1e-12);
    assert_true(fabs(value_of(root, "acc_norm", "value") - norm / DOCS) < 1e-12);
    double share = acc / DOCS;
    assert_true(fabs(value_of(root, "acc", "stderr") - sqrt(share * (1 - share) / (DOCS - 1))) <
                1e-12);
    assert_true(value_of(root, "acc_bytes", "value") == value_of(root, "acc_norm", "value"));
    assert_true(value_of(root, "acc_tokens", "value") == value_of(root, "acc", "value"));
    assert_int_equal(json_integer_value(json_object_get(only_result(root), "items")), DOCS);
    json_decref(root);
}

static void replies_are_cut_and_compared(void **state)
{
    machine m = { .most = -1 };
    json_t *root = run(&m, "said.yaml", NULL, NULL, NULL);
    (void)state;

    /* Questions 0 and 1; what 3 and 6 are, is "Word 0" too, but the machine says no. */
    assert_true(fabs(value_of(root, "exact_match", "value") - 2.0 / DOCS) < 1e-12);
    json_decref(root);
}

static void what_was_answered_is_not_asked_again(void **state)
{
    char *keep = ae_path_join(folder, "answers.sqlite");
    machine m = { .most = 5 }, later = { .most = -1 }, last = { .most = -1 };
    (void)state;

    assert_null(run(&m, "small.yaml", keep, NULL, NULL));
    json_t *whole = run(&later, "small.yaml", keep, NULL, NULL);
    assert_int_equal(later.asked, 2 * DOCS - 5);
    json_t *again = run(&last, "small.yaml", keep, NULL, NULL);
    assert_int_equal(last.asked, 0);
    assert_true(json_equal(json_object_get(only_result(whole), "metrics"),
                           json_object_get(only_result(again), "metrics")));
    assert_int_equal(json_integer_value(json_object_get(only_result(again), "kept")), 2 * DOCS);
    machine said = { .most = -1 };
    json_decref(run(&said, "said.yaml", keep, NULL, NULL));
    json_t *kept = run(&said, "said.yaml", keep, NULL, NULL);
    assert_int_equal(said.asked, DOCS);
    assert_true(fabs(value_of(kept, "exact_match", "value") - 2.0 / DOCS) < 1e-12);
    json_decref(kept);
    json_decref(whole);
    json_decref(again);
    ae_free(keep);
}

static void what_is_refused_is_left_out(void **state)
{
    char *keep = ae_path_join(folder, "some.sqlite");
    machine m = { .most = -1, .dislikes = "question 1" }, later = { .most = -1 };
    json_t *some = run(&m, "small.yaml", keep, NULL, NULL);
    int64_t left_out = json_integer_value(json_object_get(only_result(some), "left_out"));
    (void)state;

    assert_int_equal(left_out, 1);
    assert_int_equal(m.asked, 2 * (DOCS - left_out));
    assert_int_equal(json_integer_value(json_object_get(only_result(some), "items")),
                     DOCS - left_out);
    assert_string_equal(json_string_value(json_object_get(only_result(some), "left_out_why")),
                        "not that");
    json_t *whole = run(&later, "small.yaml", keep, NULL, NULL);
    assert_int_equal(later.asked, 2 * left_out);
    assert_null(json_object_get(only_result(whole), "left_out"));
    assert_int_equal(json_integer_value(json_object_get(only_result(whole), "items")), DOCS);
    json_decref(some);
    json_decref(whole);
    m.dislikes = "say 1";
    some = run(&m, "said.yaml", NULL, NULL, NULL);
    assert_int_equal(json_integer_value(json_object_get(only_result(some), "left_out")), left_out);
    assert_true(fabs(value_of(some, "exact_match", "value") - 1.0 / (double)(DOCS - left_out)) <
                1e-12);
    json_decref(some);
    m.dislikes = "question";
    assert_null(run(&m, "small.yaml", NULL, NULL, NULL));
    m.dislikes = "say";
    assert_null(run(&m, "said.yaml", NULL, NULL, NULL));
    ae_free(keep);
}

static void saved_samples_give_the_same_numbers(void **state)
{
    static const char *const tasks[] = { "small.yaml", "said.yaml" };
    char *out = ae_path_join(folder, "out");
    (void)state;

    for (int i = 0; i < 2; i++) {
        machine m = { .most = -1 };
        char name[256];
        json_t *root = run(&m, tasks[i], NULL, out, NULL);
        DIR *there = opendir(out);
        struct dirent *entry;
        char *samples = NULL;
        while ((entry = readdir(there)))
            if (!strncmp(entry->d_name, "samples_", 8)) {
                snprintf(name, sizeof name, "%s", entry->d_name);
                samples = ae_path_join(out, name);
            }
        closedir(there);
        assert_non_null(samples);
        json_t *again = run(NULL, tasks[i], NULL, NULL, samples);
        assert_true(json_equal(json_object_get(only_result(root), "metrics"),
                               json_object_get(only_result(again), "metrics")));
        json_decref(root);
        json_decref(again);
        unlink(samples);
        ae_free(samples);
    }
    ae_free(out);
}

static void what_is_wrong_is_said(void **state)
{
    char *empty = put_file("empty.jsonl", ""), *odd = put_file("odd.jsonl", "{\"x\": 1}\n");
    char *short_of = put_file("short.jsonl", "{\"doc_id\": 0, \"doc\": {\"q\": \"a\", \"c\": "
                                             "[\"x\", \"y\"], \"a\": 0}, \"resps\": [[[\"-1\", "
                                             "\"False\"]]]}\n");
    (void)state;

    assert_null(run(NULL, "small.yaml", NULL, NULL, empty));
    assert_null(run(NULL, "small.yaml", NULL, NULL, odd));
    assert_null(run(NULL, "small.yaml", NULL, NULL, short_of));
    assert_null(run(NULL, "none.yaml", NULL, NULL, odd));
    ae_free(empty);
    ae_free(odd);
    ae_free(short_of);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_those_of_the_answers),
        cmocka_unit_test(replies_are_cut_and_compared),
        cmocka_unit_test(what_was_answered_is_not_asked_again),
        cmocka_unit_test(what_is_refused_is_left_out),
        cmocka_unit_test(saved_samples_give_the_same_numbers),
        cmocka_unit_test(what_is_wrong_is_said),
    };

    make_files();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    scratch_remove(folder);
    return failed;
}
