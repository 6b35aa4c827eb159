/* test_task_golden.c -- prompts, shots, spans and scores against those of lm-evaluation-harness'
 * own code: every run of the golden files, or of the part of them that lies here. */
#include "fake_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static json_t *root_of(const char *task)
{
    ae_bytes name = { 0 };
    json_error_t where;
    json_t *part, *root;

    ae_bytes_printf(&name, "%s.json", task);
    root = golden_file(name.data);
    ae_bytes_free(&name);
    if (root) return root;
    part = json_load_file("test/task/golden.json", 0, &where);
    assert_non_null(part);
    root = json_incref(json_object_get(part, task));
    json_decref(part);
    return root;
}

static json_t *get(json_t *object, const char *key)
{
    return json_object_get(object, key);
}

static const char *text_of(json_t *object, const char *key)
{
    return json_string_value(get(object, key));
}

static void check_text(ae_span got, json_t *want, const char *what)
{
    ae_span text = { json_string_value(want), json_string_length(want) };

    if (!ae_span_equal(got, text))
        fail_msg("%s\n got    '%.*s'\n wanted '%s'", what, (int)got.len, got.data, text.data);
}

/* ---- a run of multiple choice ---- */

typedef struct {
    json_t *run;
    fake_tokenizer tokenizer;
    ae_task *task;
    ae_task_set *set;
} played;

static ae_task *open_task(const char *name, json_t *run)
{
    const ae_protocol *protocol;
    const char *split = text_of(get(run, "overrides"), "fewshot_split");
    bool chat = json_is_string(get(run, "chat_template"));
    ae_bytes yaml = { 0 };
    ae_task *task = NULL;
    aerie_error err = { 0 };

    assert_int_equal(ae_protocol_find(&protocol, chat ? "lm-eval-chat" : "lm-eval", &err),
                     AERIE_OK);
    if (split) {
        ae_bytes_printf(&yaml, "include: %s\nfewshot_split: %s\n", name, split);
        if (ae_task_open_text(&task, "changed", ae_span_of(&yaml), protocol, &err))
            fail_msg("%s", err.message);
        ae_bytes_free(&yaml);
    } else if (ae_task_open(&task, name, protocol, &err)) {
        fail_msg("%s", err.message);
    }
    return task;
}

static ae_task_set *build(const ae_task *task, json_t *root, json_t *run)
{
    ae_task_options options = { .docs = get(root, "docs"),
                                .train = get(root, "train_docs"),
                                .shots = (int)json_integer_value(get(run, "num_fewshot")),
                                .chat = zephyr_chat,
                                .system = text_of(run, "system_instruction"),
                                .multiturn = json_is_true(get(run, "fewshot_as_multiturn")) };
    ae_task_set *set = NULL;
    aerie_error err = { 0 };

    if (!options.train) options.train = get(root, "dev_docs");
    if (ae_task_set_build(&set, task, &options, &err)) fail_msg("%s", err.message);
    assert_int_equal(ae_task_set_len(set), json_array_size(options.docs));
    return set;
}

static void check_tokens(const ae_pair *p, json_t *want)
{
    json_t *tokens = get(want, "continuation_tokens");

    assert_int_equal(p->n_context, json_integer_value(get(want, "n_context_tokens")));
    if (!tokens) return; /* the part that lies here has none */
    assert_int_equal(p->ids.len - p->n_context, json_array_size(tokens));
    for (size_t i = 0; i < json_array_size(tokens); i++)
        assert_int_equal(p->ids.data[p->n_context + i],
                         json_integer_value(json_array_get(tokens, i)));
}

static ae_response check_request(played *g, const ae_task_request *r, json_t *want)
{
    int64_t max_length = json_integer_value(get(g->run, "max_length"));
    aerie_error err = { 0 };
    ae_response answer;
    ae_pair p;

    check_text(r->context, get(want, "context"), "context");
    check_text(r->continuation, get(want, "continuation"), "continuation");
    if (ae_pair_encode(&p, r->context, r->continuation, FAKE_BOS, fake_encode, &g->tokenizer, &err))
        fail_msg("%s", err.message);
    check_tokens(&p, want);
    if (max_length) ae_pair_truncate(&p, (size_t)max_length);
    answer = fake_score(&p);
    assert_true(answer.ll == json_real_value(get(want, "ll")));
    assert_int_equal(answer.is_greedy, json_is_true(get(want, "is_greedy")));
    ae_pair_free(&p);
    return answer;
}

static void check_choices(const ae_item *item, json_t *want)
{
    json_t *choices = get(want, "choices");

    assert_int_equal(item->n_choices, json_array_size(choices));
    assert_int_equal(item->gold, json_integer_value(get(want, "gold")));
    for (size_t i = 0; i < item->n_choices; i++) {
        check_text(item->choices[i], json_array_get(choices, i), "choice");
        assert_int_equal(item->char_len[i],
                         json_integer_value(json_array_get(get(want, "char_len"), i)));
        assert_int_equal(item->byte_len[i],
                         json_integer_value(json_array_get(get(want, "byte_len"), i)));
    }
}

static void check_shots(const ae_item *item, json_t *want)
{
    json_t *shots = get(want, "fewshot_indices");

    for (size_t i = 0; i < item->n_shots; i++)
        assert_int_equal(item->shots[i], json_integer_value(json_array_get(shots, i)));
    assert_int_equal(item->n_shots, json_array_size(shots));
}

/* Adds the item's score under each metric to `sums` and its square to `squares`. */
static void check_item(played *g, const ae_item *item, json_t *want, double *sums, double *squares)
{
    json_t *requests = get(want, "requests");
    ae_response answers[32];

    assert_int_equal(item->doc_id, json_integer_value(get(want, "doc_id")));
    check_shots(item, want);
    check_choices(item, want);
    assert_int_equal(item->n_requests, json_array_size(requests));
    for (size_t i = 0; i < item->n_requests; i++)
        answers[i] = check_request(g, &item->requests[i], json_array_get(requests, i));
    for (size_t m = 0; m < ae_task_metric_count(g->task); m++) {
        const ae_metric *metric = ae_task_metric(g->task, m);
        double wanted = json_number_value(get(get(want, "metrics"), metric->name));
        ae_score score;
        aerie_error err = { 0 };
        if (ae_item_score(&score, item, metric, answers, &err)) fail_msg("%s", err.message);
        if (fabs(score.value - wanted) > 1e-15)
            fail_msg("%s: %.17g, wanted %.17g", metric->name, score.value, wanted);
        sums[m] += score.value;
        squares[m] += score.value * score.value;
    }
}

static void check_aggregate(const played *g, const double *sums, const double *squares, size_t n)
{
    json_t *want = get(g->run, "aggregate");

    for (size_t m = 0; m < ae_task_metric_count(g->task); m++) {
        const char *name = ae_task_metric(g->task, m)->name;
        double mean = sums[m] / (double)n, var = (squares[m] / (double)n - mean * mean);
        char stderr_name[64];
        snprintf(stderr_name, sizeof stderr_name, "%s_stderr", name);
        assert_true(fabs(mean - json_number_value(get(want, name))) < 1e-14);
        assert_true(fabs(sqrt(fmax(var, 0) / (double)(n - 1)) -
                         json_number_value(get(want, stderr_name))) < 1e-12);
    }
}

static void play(const char *name, json_t *root, json_t *run, json_t *pieces)
{
    double sums[4] = { 0 }, squares[4] = { 0 };
    played g = { .run = run, .tokenizer.bos = json_is_true(get(run, "add_bos")) };

    if (strcmp(text_of(run, "tokenizer"), "bytes") != 0) g.tokenizer.pieces = pieces;
    g.task = open_task(name, run);
    g.set = build(g.task, root, run);
    for (size_t i = 0; i < ae_task_set_len(g.set); i++)
        check_item(&g, ae_task_set_at(g.set, i), json_array_get(get(run, "items"), i), sums,
                   squares);
    check_aggregate(&g, sums, squares, ae_task_set_len(g.set));
    ae_task_set_free(g.set);
    ae_task_close(g.task);
}

static void check_task(const char *name)
{
    json_t *root = root_of(name), *boundary = root_of("tokenization_boundary"), *run;
    size_t i;

    assert_non_null(root);
    json_array_foreach(get(root, "runs"), i, run)
    {
        print_message("%s: %s\n", name, text_of(run, "run"));
        play(name, root, run, get(boundary, "pieces_merge"));
    }
    json_decref(root);
    json_decref(boundary);
}

static void test_hellaswag(void **state)
{
    (void)state;
    check_task("hellaswag");
}
static void test_arc_challenge(void **state)
{
    (void)state;
    check_task("arc_challenge");
}
static void test_mmlu(void **state)
{
    (void)state;
    check_task("mmlu_abstract_algebra");
}
static void test_truthfulqa(void **state)
{
    (void)state;
    check_task("truthfulqa_mc1");
    check_task("truthfulqa_mc2");
}
static void test_winogrande(void **state)
{
    (void)state;
    check_task("winogrande");
}

/* ---- replies ---- */

static void test_gsm8k(void **state)
{
    json_t *root = root_of("gsm8k"), *run;
    size_t i;

    (void)state;
    json_array_foreach(get(root, "context_runs"), i, run)
    {
        ae_task *task = open_task("gsm8k", run);
        ae_task_set *set = build(task, root, run);
        const ae_generation *g = ae_task_generation(task);
        json_t *until = get(get(run, "gen_kwargs"), "until");
        for (size_t k = 0; k < ae_task_set_len(set); k++) {
            const ae_item *item = ae_task_set_at(set, k);
            assert_int_equal(item->requests[0].kind, AE_REQUEST_GENERATE);
            check_text(item->requests[0].context, json_array_get(get(run, "contexts"), k),
                       "context");
            check_text(item->target, get(item->doc, "answer"), "target");
        }
        assert_int_equal(g->n_until, json_array_size(until));
        for (size_t k = 0; k < g->n_until; k++)
            assert_string_equal(g->until[k], json_string_value(json_array_get(until, k)));
        ae_task_set_free(set);
        ae_task_close(task);
    }
    json_decref(root);
}

/* ---- from text to tokens ---- */

static void check_ids(const int32_t *got, size_t n, json_t *want)
{
    assert_int_equal(n, json_array_size(want));
    for (size_t i = 0; i < n; i++)
        assert_int_equal(got[i], json_integer_value(json_array_get(want, i)));
}

/* Counts the items in which a token spans the join. */
static size_t check_boundary(json_t *root, json_t *one)
{
    fake_tokenizer t = { .bos = json_is_true(get(one, "add_bos")) };
    const char *name = text_of(one, "tokenizer");
    ae_span context = ae_span_text(text_of(one, "context"));
    ae_span continuation = ae_span_text(text_of(one, "continuation"));
    aerie_error err = { 0 };
    aerie_status status;
    size_t merged;
    ae_pair p;

    if (strcmp(name, "merge") == 0) t.pieces = get(root, "pieces_merge");
    if (strcmp(name, "merge_cross") == 0) t.pieces = get(root, "pieces_merge_cross");
    status = ae_pair_encode(&p, context, continuation, FAKE_BOS, fake_encode, &t, &err);
    if (get(one, "error")) {
        assert_int_equal(status, AERIE_BAD_TEXT);
        return 1;
    }
    if (status) fail_msg("%s", err.message);
    check_ids(p.ids.data, p.n_context, get(one, "context_enc"));
    check_ids(p.ids.data + p.n_context, p.ids.len - p.n_context, get(one, "continuation_enc"));
    assert_true(fake_score(&p).ll == json_real_value(get(one, "ll")));
    assert_int_equal(fake_score(&p).is_greedy, json_is_true(get(one, "is_greedy")));
    merged = p.merged;
    ae_pair_free(&p);
    return merged;
}

static void check_truncation(json_t *one)
{
    fake_tokenizer t = { .bos = true };
    aerie_error err = { 0 };
    ae_pair p;

    assert_int_equal(ae_pair_encode(&p, ae_span_text(text_of(one, "context")),
                                    ae_span_text(text_of(one, "continuation")), FAKE_BOS,
                                    fake_encode, &t, &err),
                     AERIE_OK);
    check_ids(p.ids.data, p.n_context, get(one, "context_enc"));
    ae_pair_truncate(&p, (size_t)json_integer_value(get(one, "max_length")));
    check_ids(p.ids.data, p.ids.len - 1, get(one, "window_input"));
    assert_int_equal(p.ids.len - p.n_context, json_array_size(get(one, "continuation_enc")));
    assert_true(fake_score(&p).ll == json_real_value(get(one, "ll")));
    ae_pair_free(&p);
}

static void test_boundary(void **state)
{
    json_t *root = root_of("tokenization_boundary"), *one;
    size_t i, merged = 0;

    (void)state;
    json_array_foreach(get(root, "cases"), i, one) merged += check_boundary(root, one);
    assert_int_equal(i, 84);
    print_message("%zu of %zu joins are spanned by a token\n", merged, i);
    assert_int_equal(merged, 8); /* each of them leaves nothing to score */
    check_truncation(get(root, "truncation"));
    json_decref(root);
}

/* The harness' disjoint windows: what a window sees that the one before has not predicted, and what
 * it predicts. */
static void check_window(const ae_window *w, json_t *tokens, json_t *want, int64_t prefix)
{
    json_t *seen = json_array_get(want, 0), *predicted = json_array_get(want, 1);
    size_t n_context = w->prefixed + w->n_input - (w->n_predict - 1);

    assert_int_equal(n_context, json_array_size(seen));
    for (size_t i = 0; i < n_context; i++) {
        json_t *token = i < w->prefixed ? NULL : json_array_get(tokens, w->input + i - w->prefixed);
        assert_int_equal(token ? json_integer_value(token) : prefix,
                         json_integer_value(json_array_get(seen, i)));
    }
    assert_int_equal(w->n_predict, json_array_size(predicted));
    for (size_t i = 0; i < w->n_predict; i++)
        assert_true(
            json_equal(json_array_get(tokens, w->predict + i), json_array_get(predicted, i)));
}

static void test_windows(void **state)
{
    json_t *root = root_of("tokenization_boundary"), *one;
    ae_arena arena = { 0 };
    aerie_error err = { 0 };
    ae_window *w;
    size_t i, n;

    (void)state;
    json_array_foreach(get(root, "rolling_windows"), i, one)
    {
        json_t *tokens = get(one, "tokens"), *want = get(one, "windows_disjoint");
        assert_int_equal(ae_rolling_windows(&w, &n, json_array_size(tokens),
                                            (size_t)json_integer_value(get(one, "max_seq_len")),
                                            (size_t)json_integer_value(get(one, "context_len")),
                                            &arena, &err),
                         AERIE_OK);
        assert_int_equal(n, json_array_size(want));
        for (size_t k = 0; k < n; k++)
            check_window(&w[k], tokens, json_array_get(want, k),
                         json_integer_value(get(one, "prefix")));
    }
    assert_int_equal(ae_rolling_windows(&w, &n, 9, 4, 5, &arena, &err), AERIE_BAD_ARGUMENT);
    ae_arena_free(&arena);
    json_decref(root);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hellaswag),  cmocka_unit_test(test_arc_challenge),
        cmocka_unit_test(test_mmlu),       cmocka_unit_test(test_truthfulqa),
        cmocka_unit_test(test_winogrande), cmocka_unit_test(test_gsm8k),
        cmocka_unit_test(test_boundary),   cmocka_unit_test(test_windows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
