/* test_task_hashes.c -- every request over the real data, by its hash: lm-evaluation-harness', of
 * today and of 2022 (its own "stability" hashes), and the scores of a model that draws its
 * log-likelihoods. */
#include "fake_model.h"

#include "base/mersenne.h"
#include "task/task_private.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

typedef struct {
    json_t *facts;                /* NULL: not here */
    json_t *mmlu_test, *mmlu_dev; /* of all subjects, read once; NULL where each has a file */
    char *data;
    const char *more; /* a folder with what data/bench lacks; NULL: there is none */
} fixture;

static json_t *get(json_t *object, const char *key)
{
    return json_object_get(object, key);
}

static int set_up(void **state)
{
    static fixture f;

    f.facts = golden_file("full_data_hashes.json");
    f.more = getenv("AERIE_EVAL_DATA");
    f.data = f.more ? ae_strdup(f.more) : bench_path("");
    if (f.data && !f.more) {
        char *test = bench_path("mmlu_test.jsonl.gz"), *dev = bench_path("mmlu_dev.jsonl.gz");
        f.mmlu_test = json_array();
        f.mmlu_dev = json_array();
        assert_int_equal(ae_task_read_rows(f.mmlu_test, test, 0, NULL), AERIE_OK);
        assert_int_equal(ae_task_read_rows(f.mmlu_dev, dev, 0, NULL), AERIE_OK);
        ae_free(test);
        ae_free(dev);
    }
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    json_decref(f->facts);
    json_decref(f->mmlu_test);
    json_decref(f->mmlu_dev);
    ae_free(f->data);
    return 0;
}

static fixture *here(void **state)
{
    fixture *f = *state;

    if (!f->facts || !f->data) {
        print_message("skipped: golden/evaluation or data/bench is not here\n");
        skip();
    }
    return f;
}

typedef struct {
    ae_task *task;
    ae_task_set *set;
} asked;

static asked ask_yaml(const fixture *f, const char *name, const char *yaml, const char *protocol,
                      int shots)
{
    ae_task_options options = { .data = f->data, .shots = shots };
    const ae_protocol *p;
    aerie_error err = { 0 };
    asked a;

    if (strstr(yaml ? yaml : name, "mmlu")) {
        options.docs = f->mmlu_test;
        options.train = f->mmlu_dev;
    }
    assert_int_equal(ae_protocol_find(&p, protocol, &err), AERIE_OK);
    if (yaml ? ae_task_open_text(&a.task, name, ae_span_text(yaml), p, &err)
             : ae_task_open(&a.task, name, p, &err))
        fail_msg("%s", err.message);
    if (ae_task_set_build(&a.set, a.task, &options, &err)) fail_msg("%s", err.message);
    return a;
}

static asked ask(const fixture *f, const char *name, const char *protocol, int shots)
{
    return ask_yaml(f, name, NULL, protocol, shots);
}

static void done(asked a)
{
    ae_task_set_free(a.set);
    ae_task_close(a.task);
}

static void check_hash(asked a, const char *want)
{
    aerie_error err = { 0 };
    char hash[65];

    assert_int_equal(ae_task_set_sha256(a.set, hash, &err), AERIE_OK);
    assert_string_equal(hash, want);
}

/* The mean score, and its standard error, under ll_i = -random.random() in the requests' order. */
static void check_scores(asked a, size_t metric, double mean, double error)
{
    const ae_metric *m = ae_task_metric(a.task, metric);
    size_t n = ae_task_set_len(a.set);
    double sum = 0, squares = 0, var;
    ae_mersenne rng;

    ae_python_seed(&rng, 42);
    for (size_t i = 0; i < n; i++) {
        const ae_item *item = ae_task_set_at(a.set, i);
        ae_response answers[32] = { { 0 } };
        ae_score score;
        aerie_error err = { 0 };
        for (size_t k = 0; k < item->n_requests; k++) answers[k].ll = -ae_python_random(&rng);
        assert_int_equal(ae_item_score(&score, item, m, answers, &err), AERIE_OK);
        sum += score.value;
        squares += score.value * score.value;
    }
    var = squares / (double)n - sum / (double)n * (sum / (double)n);
    assert_true(fabs(sum / (double)n - mean) < 1e-12);
    assert_true(fabs(sqrt(var / (double)(n - 1)) - error) < 1e-12);
}

static void check_fake(asked a, size_t metric, json_t *want)
{
    check_scores(a, metric, json_real_value(json_array_get(want, 0)),
                 json_real_value(json_array_get(want, 1)));
}

static void check_full(const fixture *f, const char *task, const char *key)
{
    json_t *want = get(get(f->facts, "full"), key), *fake = get(want, "fake_ll_results");
    asked a = ask(f, task, "lm-eval", 0);

    assert_int_equal(ae_task_set_len(a.set), json_integer_value(get(want, "n_docs")));
    check_hash(a, json_string_value(get(want, "sha256")));
    check_fake(a, 0, get(fake, "acc"));
    if (get(fake, "acc_norm")) check_fake(a, 1, get(fake, "acc_norm"));
    done(a);
}

static void test_arc(void **state)
{
    fixture *f = here(state);

    check_full(f, "arc_challenge", "arc_challenge 0-shot v0.4");
}

/* The file of data/bench is a later release than the harness' data: 4186 answers of MC1 where that
 * has 4114. Its hashes are those that Python's json.dumps() gives over the same file. */
static void test_truthfulqa(void **state)
{
    fixture *f = here(state);
    asked a;

    if (f->more) {
        check_full(f, "truthfulqa_mc1", "truthfulqa_mc1 0-shot v0.4");
        check_full(f, "truthfulqa_mc2", "truthfulqa_mc2 0-shot v0.4");
        return;
    }
    a = ask(f, "truthfulqa_mc1", "lm-eval", 0);
    check_hash(a, "46c33dcb7e7ac9a222427c1b0224853d0fb87b5862a7a7ef8ed77856fca4391a");
    done(a);
    a = ask(f, "truthfulqa_mc2", "lm-eval", 0);
    check_hash(a, "b4dac7ea9156dafd81950fd59fb7b779a917fb2a081ca1bf897eca857f9c0335");
    done(a);
}

static void test_gsm8k(void **state)
{
    fixture *f = here(state);
    json_t *want = get(get(f->facts, "full"), "gsm8k 0-shot v0.4 (contexts only)");
    asked a = ask(f, "gsm8k", "lm-eval", 0);

    check_hash(a, json_string_value(get(want, "sha256")));
    assert_string_equal(ae_task_set_at(a.set, 0)->prompt_sha256,
                        json_string_value(get(want, "first_context_sha256")));
    assert_string_equal(ae_task_set_at(a.set, ae_task_set_len(a.set) - 1)->prompt_sha256,
                        json_string_value(get(want, "last_context_sha256")));
    done(a);
}

/* With the training file, which data/bench lacks, the prompts of five shots too. */
static void test_gsm8k_with_shots(void **state)
{
    static const struct {
        const char *key, *protocol;
        bool multiturn;
    } runs[] = {
        { "gsm8k 5-shot v0.4 (contexts only)", "lm-eval", false },
        { "gsm8k 5-shot zephyr chat v0.4 (contexts only)", "lm-eval-chat", false },
        { "gsm8k 5-shot zephyr chat multiturn v0.4 (contexts only)", "lm-eval-chat", true },
        { "gsm8k 5-shot b281b09 (Open LLM Leaderboard v1), contexts in shuffled order",
          "leaderboard-v1", false },
    };
    fixture *f = here(state);
    aerie_error err = { 0 };

    if (!f->more) {
        print_message(
            "skipped: data/bench has no training file; AERIE_EVAL_DATA may name a folder\n");
        skip();
    }
    for (size_t i = 0; i < AE_COUNT(runs); i++) {
        ae_task_options options = {
            .data = f->data, .shots = -1, .chat = zephyr_chat, .multiturn = runs[i].multiturn
        };
        const ae_protocol *p;
        asked a;
        assert_int_equal(ae_protocol_find(&p, runs[i].protocol, &err), AERIE_OK);
        assert_int_equal(ae_task_open(&a.task, "gsm8k", p, &err), AERIE_OK);
        if (ae_task_set_build(&a.set, a.task, &options, &err)) fail_msg("%s", err.message);
        check_hash(a, json_string_value(get(get(get(f->facts, "full"), runs[i].key), "sha256")));
        done(a);
    }
}

/* In data/bench two questions of this subject are not the original's: spaces for line breaks in the
 * choices of one, "Step 1" for "Step l" in the other. */
static bool differs_there(const fixture *f, const char *subject)
{
    return !f->more && strcmp(subject, "high_school_computer_science") == 0;
}

static void test_mmlu(void **state)
{
    fixture *f = here(state);
    json_t *subjects = get(get(get(f->facts, "full"), "mmlu v0.4"), "subjects");
    ae_arena arena = { 0 };
    aerie_error err = { 0 };
    const char **names;
    size_t n, total = 0;

    assert_int_equal(ae_task_names(&names, &n, "mmlu", &arena, &err), AERIE_OK);
    assert_int_equal(n, 57);
    for (size_t i = 0; i < n; i++) {
        json_t *want = get(subjects, names[i] + strlen("mmlu_"));
        asked a = ask(f, names[i], "lm-eval", 0);
        assert_non_null(want);
        if (!differs_there(f, names[i] + strlen("mmlu_")))
            check_hash(a, json_string_value(get(want, "0shot_sha256")));
        check_fake(a, 0, get(want, "0shot_fake"));
        done(a);
        a = ask(f, names[i], "lm-eval", 5);
        if (!differs_there(f, names[i] + strlen("mmlu_")))
            check_hash(a, json_string_value(get(want, "5shot_sha256")));
        check_fake(a, 0, get(want, "5shot_fake"));
        total += ae_task_set_len(a.set);
        done(a);
    }
    assert_int_equal(total, 14042);
    ae_arena_free(&arena);
}

/* ---- the harness of 2022 ---- */

static json_t *upstream(const fixture *f, const char *name)
{
    return get(get(get(f->facts, "full"), "upstream_stability_hashes_reproduced"), name);
}

static void test_arc_of_2022(void **state)
{
    fixture *f = here(state);
    json_t *want = upstream(f, "arc_challenge-v0"), *scores = get(want, "res");
    asked a = ask(f, "arc_challenge", "leaderboard-v1", 0);

    check_hash(a, json_string_value(get(want, "sha256")));
    check_scores(a, 0, json_real_value(get(scores, "acc")),
                 json_real_value(get(scores, "acc_stderr")));
    check_scores(a, 1, json_real_value(get(scores, "acc_norm")),
                 json_real_value(get(scores, "acc_norm_stderr")));
    done(a);
}

/* Requests one after the other, as json.dumps() writes them. */
typedef struct {
    ae_bytes text;
    const char *separator;
} dumped;

static void dump(dumped *d, const ae_task_request *r, const char *second)
{
    ae_bytes_add_text(&d->text, d->separator);
    ae_bytes_add_char(&d->text, '[');
    python_json_text(&d->text, r->context);
    ae_bytes_add_text(&d->text, ", ");
    if (second)
        ae_bytes_add_text(&d->text, second);
    else
        python_json_text(&d->text, r->continuation);
    ae_bytes_add_char(&d->text, ']');
    d->separator = ", ";
}

static void check_dumped(dumped *d, json_t *want)
{
    char hash[65];
    ae_sha256 s;

    ae_bytes_add_char(&d->text, ']');
    ae_sha256_start(&s);
    ae_sha256_add(&s, d->text.data, d->text.len);
    ae_sha256_hex(&s, hash);
    assert_string_equal(hash, json_string_value(get(want, "sha256")));
    ae_bytes_free(&d->text);
}

/* It asked for lines: a reply ended at its first line break. */
static void test_gsm8k_of_2022(void **state)
{
    fixture *f = here(state);
    asked a = ask(f, "gsm8k", "leaderboard-v1", 0);
    dumped d = { .separator = "[" };

    for (size_t i = 0; i < ae_task_set_len(a.set); i++)
        dump(&d, &ae_task_set_at(a.set, i)->requests[0], "[\"\\n\"]");
    check_dumped(&d, upstream(f, "gsm8k-v0"));
    done(a);
}

/* It asked both measures of TruthfulQA together. */
static void test_truthfulqa_of_2022(void **state)
{
    fixture *f = here(state);
    dumped d = { .separator = "[" };
    asked one, two;

    if (!f->more) {
        print_message("skipped: data/bench has another release of TruthfulQA\n");
        skip();
    }
    one = ask(f, "truthfulqa_mc1", "leaderboard-v1", 0);
    two = ask(f, "truthfulqa_mc2", "leaderboard-v1", 0);
    for (size_t i = 0; i < ae_task_set_len(one.set); i++) {
        const ae_item *items[] = { ae_task_set_at(one.set, i), ae_task_set_at(two.set, i) };
        for (int k = 0; k < 2; k++)
            for (size_t r = 0; r < items[k]->n_requests; r++)
                dump(&d, &items[k]->requests[r], NULL);
    }
    check_dumped(&d, upstream(f, "truthfulqa_mc-v1"));
    done(one);
    done(two);
}

/* Its MMLU showed the choices and scored their texts. */
static void test_mmlu_of_2022(void **state)
{
    static const char yaml[] =
        "include: mmlu_%s\n"
        "description: null\n"
        "doc_to_text: \"Question: {{question}}\\nChoices:\\nA. {{choices[0]}}\\nB. {{choices[1]}}"
        "\\nC. {{choices[2]}}\\nD. {{choices[3]}}\\nAnswer:\"\n"
        "doc_to_choice: choices\n"
        "metric_list: [{metric: acc}]\n";
    fixture *f = here(state);
    json_t *want = get(upstream(f, "hendrycksTest-v0 (all 57)"), "sha256"), *hash;
    const char *subject;
    size_t n = 0;

    json_object_foreach(want, subject, hash)
    {
        ae_bytes text = { 0 };
        asked a;
        ae_bytes_printf(&text, yaml, subject);
        a = ask_yaml(f, "old", text.data, "leaderboard-v1", 0);
        if (!differs_there(f, subject)) check_hash(a, json_string_value(hash));
        done(a);
        ae_bytes_free(&text);
        n++;
    }
    assert_int_equal(n, 57);
}

/* BIG-Bench-Hard's contexts are the authors' own prompts (behind their canary) and the question. */
static void check_bbh(const fixture *f, const char *name, const char *prompt)
{
    asked a = ask(f, name, "lm-eval", -1);
    const ae_item *item = ae_task_set_at(a.set, 0);
    ae_bytes want = { 0 };

    prompt = strstr(prompt, "-----\n") + strlen("-----\n");
    ae_bytes_add_text(&want, prompt);
    while (want.data[want.len - 1] == '\n') want.len--;
    ae_bytes_printf(&want, "\n\nQ: %s\nA: Let's think step by step.\n",
                    json_string_value(get(item->doc, "input")));
    if (strcmp(name, "bbh_sports_understanding") !=
        0) /* a space there, where the harness breaks the line */
        assert_string_equal(item->requests[0].context.data, want.data);
    assert_int_equal(item->n_shots, 3);
    ae_bytes_free(&want);
    done(a);
}

static void test_bbh(void **state)
{
    fixture *f = here(state);
    char *path = bench_path("bbh_cot_prompts.jsonl.gz");
    json_t *rows = json_array(), *row;
    aerie_error err = { 0 };
    size_t i;

    if (!path || f->more) {
        json_decref(rows);
        ae_free(path);
        skip();
    }
    assert_int_equal(ae_task_read_rows(rows, path, 0, &err), AERIE_OK);
    json_array_foreach(rows, i, row)
    {
        ae_bytes name = { 0 };
        ae_bytes_printf(&name, "bbh_%s", json_string_value(get(row, "task")));
        check_bbh(f, name.data, json_string_value(get(row, "prompt")));
        ae_bytes_free(&name);
    }
    assert_int_equal(i, 27);
    json_decref(rows);
    ae_free(path);
}

/* --log_samples' hashes: of the first document, by the harness' own hash_string(). */
static void test_logged_hashes(void **state)
{
    fixture *f = here(state);
    asked a = ask(f, "arc_challenge", "lm-eval", 0);
    const ae_item *item = ae_task_set_at(a.set, 0);
    aerie_error err = { 0 };
    char hash[65];

    ae_item_target_sha256(item, hash); /* of "2" */
    assert_string_equal(hash, "d4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab35");
    assert_int_equal(ae_item_doc_sha256(item, hash, &err), AERIE_OK);
    assert_int_equal(strlen(hash), 64);
    done(a);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arc),           cmocka_unit_test(test_truthfulqa),
        cmocka_unit_test(test_gsm8k),         cmocka_unit_test(test_gsm8k_with_shots),
        cmocka_unit_test(test_mmlu),          cmocka_unit_test(test_arc_of_2022),
        cmocka_unit_test(test_gsm8k_of_2022), cmocka_unit_test(test_truthfulqa_of_2022),
        cmocka_unit_test(test_mmlu_of_2022),  cmocka_unit_test(test_bbh),
        cmocka_unit_test(test_logged_hashes),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
