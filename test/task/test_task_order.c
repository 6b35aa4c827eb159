/* test_task_order.c -- which documents are asked and which examples stand before them, at the sizes
 * of the real data: CPython's and llama.cpp's own draws. */
#include "fake_model.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static json_t *get(json_t *object, const char *key)
{
    return json_object_get(object, key);
}

/* Rows that are no more than numbers; `what` keeps a test's from being a training row. */
static json_t *numbered(size_t n, const char *what)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(rows, json_pack("{s:i, s:s}", "id", (int)i, "what", what));
    return rows;
}

static ae_task *open_text(const char *yaml, const char *protocol)
{
    const ae_protocol *p;
    ae_task *task;
    aerie_error err = { 0 };

    assert_int_equal(ae_protocol_find(&p, protocol, &err), AERIE_OK);
    if (ae_task_open_text(&task, "numbered", ae_span_text(yaml), p, &err))
        fail_msg("%s", err.message);
    return task;
}

static ae_task_set *build(const ae_task *task, json_t *docs, json_t *train, int shots, size_t limit)
{
    ae_task_options options = { .docs = docs, .train = train, .shots = shots, .limit = limit };
    ae_task_set *set;
    aerie_error err = { 0 };

    if (ae_task_set_build(&set, task, &options, &err)) fail_msg("%s", err.message);
    return set;
}

static void check_shots(const ae_item *item, json_t *want)
{
    assert_int_equal(item->n_shots, json_array_size(want));
    for (size_t i = 0; i < item->n_shots; i++)
        assert_int_equal(item->shots[i], json_integer_value(json_array_get(want, i)));
}

/* SHA-256 of json.dumps([[...], ...], separators=(",", ":")). */
static void hash_shots(const ae_task_set *set, char out[65])
{
    ae_bytes text = { 0 };
    ae_sha256 s;

    ae_bytes_add_char(&text, '[');
    for (size_t i = 0; i < ae_task_set_len(set); i++) {
        const ae_item *item = ae_task_set_at(set, i);
        ae_bytes_add_text(&text, i ? ",[" : "[");
        for (size_t k = 0; k < item->n_shots; k++)
            ae_bytes_printf(&text, "%s%d", k ? "," : "", item->shots[k]);
        ae_bytes_add_char(&text, ']');
    }
    ae_bytes_add_char(&text, ']');
    ae_sha256_start(&s);
    ae_sha256_add(&s, text.data, text.len);
    ae_sha256_hex(&s, out);
    ae_bytes_free(&text);
}

static void check_rule(json_t *facts, json_t *rule, const char *yaml, const char *protocol)
{
    json_t *docs = numbered((size_t)json_integer_value(get(facts, "n_eval_docs")), "test");
    json_t *train = numbered((size_t)json_integer_value(get(facts, "n_train")), "train");
    json_t *first = get(rule, "first3"), *order = get(rule, "doc_order_first10");
    ae_task *task = open_text(yaml, protocol);
    ae_task_set *set = build(task, docs, train, (int)json_integer_value(get(facts, "k")), 0);
    char hash[65];

    for (size_t i = 0; i < 3; i++) check_shots(ae_task_set_at(set, i), json_array_get(first, i));
    check_shots(ae_task_set_at(set, ae_task_set_len(set) - 1), get(rule, "last"));
    hash_shots(set, hash);
    assert_string_equal(hash, json_string_value(get(rule, "sha256_json")));
    for (size_t i = 0; i < json_array_size(order); i++)
        assert_int_equal(ae_task_set_at(set, i)->doc_id,
                         json_integer_value(json_array_get(order, i)));
    ae_task_set_free(set);
    ae_task_close(task);
    json_decref(docs);
    json_decref(train);
}

#define NUMBERED                                                                                   \
    "task: numbered\ntraining_split: train\nvalidation_split: validation\n"                        \
    "doc_to_text: '{{id}}'\ndoc_to_target: '{{id}}'\nprotocols: {openllm: {fewshot_split: train}," \
    " leaderboard-v1: {}}\n"

static void check_task(json_t *all, const char *name, const char *yaml)
{
    json_t *facts = get(all, name), *rule;
    const char *key;

    json_object_foreach(facts, key, rule)
    {
        if (!json_is_object(rule)) continue;
        print_message("%s: %s\n", name, key);
        check_rule(facts, rule, yaml,
                   strstr(key, "openllm")   ? "openllm"
                   : strstr(key, "b281b09") ? "leaderboard-v1"
                                            : "lm-eval");
    }
}

static void test_shots_at_real_sizes(void **state)
{
    json_t *root = golden_file("rng_fewshot_indices.json");

    (void)state;
    if (!root) {
        print_message("skipped: golden/evaluation is not here\n");
        skip();
    }
    /* Where both splits are unnamed a document is kept from its own examples: one more is drawn. */
    check_task(get(root, "fewshot"), "arc_challenge", NUMBERED "test_split: test\n");
    check_task(get(root, "fewshot"), "hellaswag", NUMBERED);
    check_task(get(root, "fewshot"), "winogrande", NUMBERED);
    check_task(get(root, "fewshot"), "gsm8k", NUMBERED "test_split: test\n");
    json_decref(root);
}

/* ---- llama.cpp ---- */

static void check_subset(const int64_t *want, json_t *wanted, size_t n_docs, size_t n,
                         const char *subset)
{
    ae_bytes yaml = { 0 };
    json_t *docs = numbered(n_docs, "test");
    ae_task_set *set;
    ae_task *task;

    ae_bytes_printf(&yaml,
                    "task: numbered\ntest_split: test\ndoc_to_text: '{{id}}'\ndoc_to_target: "
                    "'{{id}}'\nprotocols: {llama.cpp: {subset: %s}}\n",
                    subset);
    task = open_text(yaml.data, "llama.cpp");
    set = build(task, docs, NULL, 0, n);
    assert_int_equal(ae_task_set_len(set), n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(ae_task_set_at(set, i)->doc_id,
                         wanted ? json_integer_value(json_array_get(wanted, i)) : want[i]);
    ae_task_set_free(set);
    ae_task_close(task);
    json_decref(docs);
    ae_bytes_free(&yaml);
}

static void test_llamacpp_subsets(void **state)
{
    static const int64_t hellaswag[] = { 4187, 10013, 7233, 9363, 1, 1286 };
    static const int64_t winogrande[] = { 528, 1262, 911, 1178, 0, 161 };
    json_t *root = golden_file("llamacpp_subset_order.json");

    (void)state;
    check_subset(hellaswag, NULL, 10042, 6, "hellaswag");
    check_subset(winogrande, NULL, 1267, 6, "scaled");
    if (!root) return;
    check_subset(NULL, get(root, "hellaswag_10042_first400"), 10042, 400, "hellaswag");
    check_subset(NULL, get(root, "winogrande_1267_first100"), 1267, 100, "scaled");
    check_subset(NULL, get(root, "multiple_choice_817_first100"), 817, 100, "scaled");
    json_decref(root);
}

/* Every document is asked once, whatever the order. */
static void test_an_order_is_a_permutation(void **state)
{
    static const char *const protocols[] = { "leaderboard-v1", "llama.cpp", "olmes" };
    json_t *docs = numbered(57, "test");

    (void)state;
    for (size_t p = 0; p < AE_COUNT(protocols); p++) {
        ae_task *task = open_text("task: numbered\ntest_split: test\ndoc_to_text: id\n"
                                  "doc_to_target: '{{id}}'\nprotocols: {leaderboard-v1: {}, "
                                  "llama.cpp: {subset: hellaswag}, olmes: {subsample: 1000}}\n",
                                  protocols[p]);
        ae_task_set *set = build(task, docs, NULL, 0, 0);
        bool seen[57] = { 0 };
        assert_int_equal(ae_task_set_len(set), 57);
        for (size_t i = 0; i < 57; i++) {
            size_t id = ae_task_set_at(set, i)->doc_id;
            assert_true(id < 57 && !seen[id]);
            seen[id] = true;
        }
        ae_task_set_free(set);
        ae_task_close(task);
    }
    json_decref(docs);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shots_at_real_sizes),
        cmocka_unit_test(test_llamacpp_subsets),
        cmocka_unit_test(test_an_order_is_a_permutation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
