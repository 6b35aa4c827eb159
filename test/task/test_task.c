/* test_task.c -- tasks from files: what is refused and with which words, data in every shape, forms
 * that the golden files lack, and scores at their edges. */
#include "fake_model.h"

#include "scratch.h"

#include <math.h>
#include <stdarg.h>

#include <zlib.h>

/* ---- the built-in ones ---- */

static void test_every_task_opens(void **state)
{
    const ae_protocol *p;
    const char *name;
    size_t opened = 0;

    (void)state;
    for (size_t i = 0; (name = ae_task_known(i)); i++) {
        ae_arena arena = { 0 };
        aerie_error err = { 0 };
        const char **names;
        size_t n;
        assert_int_equal(ae_task_names(&names, &n, name, &arena, &err), AERIE_OK);
        assert_true(n > 0);
        for (size_t k = 0; (p = ae_protocol_at(k)); k++) {
            ae_task *t = NULL;
            aerie_status status;
            err = (aerie_error){ 0 };
            status = ae_task_open(&t, names[n - 1], p, &err);
            if (status && status != AERIE_UNSUPPORTED)
                fail_msg("%s, %s: %s", names[n - 1], p->name, err.message);
            opened += !status;
            if (!status) assert_string_equal(ae_task_name(t), names[n - 1]);
            ae_task_close(t);
        }
        ae_arena_free(&arena);
    }
    assert_true(opened > 100);
}

static void test_groups(void **state)
{
    ae_arena arena = { 0 };
    aerie_error err = { 0 };
    const char **names;
    size_t n;

    (void)state;
    assert_int_equal(ae_task_names(&names, &n, "leaderboard", &arena, &err), AERIE_OK);
    assert_int_equal(n, 62);
    assert_string_equal(names[2], "mmlu_abstract_algebra");
    assert_int_equal(ae_task_names(&names, &n, "./mine.yaml", &arena, &err), AERIE_OK);
    assert_int_equal(n, 1);
    assert_string_equal(names[0], "./mine.yaml");
    ae_arena_free(&arena);
}

/* ---- what is refused ---- */

static const ae_protocol *protocol_of(const char *name)
{
    const ae_protocol *p;
    aerie_error err = { 0 };

    if (ae_protocol_find(&p, name, &err)) fail_msg("%s", err.message);
    return p;
}

#define GOOD "task: mine\ntest_split: test\ndoc_to_text: '{{q}}'\ndoc_to_target: '{{a}}'\n"

static void test_refusals(void **state)
{
    static const struct {
        const char *yaml, *words;
    } cases[] = {
        { "- a\n", "a task is a mapping" },
        { "task: [\n", "no YAML" },
        { "task: a\ntask: b\n", "mine.yaml:2: 'task' is written twice" },
        { "doc_to_text: x\n", "the key 'task' must name" },
        { GOOD "doc_to_txt: x\n",
          "mine.yaml:5: 'doc_to_txt' is no key of a task; did you mean 'doc_to_text'?" },
        { GOOD "process_results: !function utils.f\n", "'!function utils.f' is Python" },
        { GOOD "output_type: choice\n", "'output_type' must be multiple_choice" },
        { GOOD "output_type: multiple_choice\n", "needs 'doc_to_choice'" },
        { GOOD "num_fewshot: -1\n", "'num_fewshot' must be a whole number" },
        { GOOD "metric_list: []\n", "'metric_list' must be a list" },
        { GOOD "metric_list: [{metric: acc, aggregation: most}]\n", "given an 'aggregation'" },
        { GOOD "fewshot_config: {sampler: best}\n", "default or first_n" },
        { GOOD "fewshot_config: {samples: [1]}\n", "a list of rows" },
        { GOOD "description: '{{ a'\n", "'description': template line 1" },
        { GOOD "columns: [{set: {a: b}}]\n", "a list of {has: COLUMN" },
        { GOOD "process_docs: {a: {value: b, clean: soap}}\n", "a 'clean' that aerie knows" },
        { GOOD "filter_list: [{name: x}]\n", "'filter_list' must be" },
        { GOOD "generation_kwargs: {until: [1]}\n", "'until' must be a list of texts" },
        { GOOD "include: nowhere\n", "neither a built-in task nor a file" },
        { "task: m\ndoc_to_text: a\ndoc_to_target: b\n", "neither 'test_split' nor" },
        { GOOD "members: [a]\n", "one variable and its values" },
        { "a: &a [1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c "
          "[*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
          "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n"
          "f: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n",
          "too much for a task" },
        { "a: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n",
          "too much for a task" },
    };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        ae_task *t;
        aerie_error err = { 0 };
        aerie_status status = ae_task_open_text(&t, "mine.yaml", ae_span_text(cases[i].yaml),
                                                protocol_of("lm-eval"), &err);
        if (!status || !strstr(err.message, cases[i].words))
            fail_msg("%s\n said '%s'\n wanted '%s'", cases[i].yaml, err.message, cases[i].words);
        assert_null(t);
    }
}

static void test_names_nearby(void **state)
{
    ae_task *t;
    const ae_protocol *p;
    aerie_error err = { 0 };

    (void)state;
    assert_int_equal(ae_task_open(&t, "hellaswga", protocol_of("lm-eval"), &err), AERIE_NOT_FOUND);
    assert_non_null(strstr(err.message, "did you mean 'hellaswag'?"));
    err = (aerie_error){ 0 };
    assert_int_equal(ae_task_open(&t, "mmlu", protocol_of("lm-eval"), &err), AERIE_NOT_FOUND);
    assert_non_null(strstr(err.message, "a family of 57 tasks"));
    err = (aerie_error){ 0 };
    assert_int_equal(ae_task_open(&t, "piqa", protocol_of("leaderboard-v1"), &err),
                     AERIE_UNSUPPORTED);
    assert_non_null(strstr(err.message, "piqa is no task of the protocol leaderboard-v1"));
    err = (aerie_error){ 0 };
    assert_int_equal(ae_protocol_find(&p, "lm-evil", &err), AERIE_NOT_FOUND);
    assert_non_null(strstr(err.message, "did you mean 'lm-eval'?"));
}

/* ---- data ---- */

static void put(const char *folder, const char *name, const char *text)
{
    char *path = ae_path_join(folder, name);
    aerie_error err = { 0 };

    if (ae_file_write(path, text, strlen(text), &err)) fail_msg("%s", err.message);
    ae_free(path);
}

static void put_gz(const char *folder, const char *name, const char *text)
{
    char *path = ae_path_join(folder, name);
    gzFile gz = gzopen(path, "wb");

    assert_non_null(gz);
    gzputs(gz, text);
    gzclose(gz);
    ae_free(path);
}

static ae_task *open_yaml(const char *yaml)
{
    ae_task *t;
    aerie_error err = { 0 };

    if (ae_task_open_text(&t, "mine.yaml", ae_span_text(yaml), protocol_of("lm-eval"), &err))
        fail_msg("%s", err.message);
    return t;
}

/* The first context, in the folder's own words. */
static void check_first(const char *folder, const char *yaml, const char *context)
{
    ae_task_options options = { .data = folder, .shots = -1 };
    ae_task *t = open_yaml(yaml);
    ae_task_set *set;
    aerie_error err = { 0 };

    if (ae_task_set_build(&set, t, &options, &err)) fail_msg("%s", err.message);
    assert_string_equal(ae_task_set_at(set, 0)->requests[0].context.data, context);
    ae_task_set_free(set);
    ae_task_close(t);
}

static void check_data_fails(const char *folder, const char *yaml, const char *words)
{
    ae_task_options options = { .data = folder, .shots = -1 };
    ae_task *t = open_yaml(yaml);
    ae_task_set *set;
    aerie_error err = { 0 };

    if (!ae_task_set_build(&set, t, &options, &err) || !strstr(err.message, words))
        fail_msg("said '%s'\n wanted '%s'", err.message, words);
    assert_null(set);
    ae_task_close(t);
}

static void test_files_of_every_kind(void **state)
{
    char *folder = scratch_make();

    (void)state;
    put(folder, "test.csv", "\xef\xbb\xbfq,a\r\n\"one, \"\"two\"\"\nthree\",x\r\n\r\nlast,y");
    check_first(folder, GOOD, "one, \"two\"\nthree");
    put(folder, "mine_dev.tsv", "q\ta\n1\t2\n");
    check_first(folder, "task: mine\nvalidation_split: dev\ndoc_to_text: q\ndoc_to_target: a\n",
                "1");
    put(folder, "rows.json", "[{\"q\": \"of an array\", \"a\": 1}]");
    check_first(folder, GOOD "files: {test: [nowhere.json, rows.json]}\n", "of an array");
    put_gz(folder, "packed.jsonl.gz", "{\"q\": \"packed\", \"a\": 1}\n");
    check_first(folder, GOOD "files: {test: [packed.jsonl]}\n", "packed");
    put(folder, "part-1.jsonl", "{\"q\": \"a part\", \"a\": 1}\n");
    put(folder, "part-2.jsonl", "{\"q\": \"another\", \"a\": 1}\n");
    check_first(folder, GOOD "files: {test: [part-*.jsonl]}\n", "a part");
    put(folder, "bare.csv", "x,y\n");
    check_first(folder, GOOD "files: {test: [{name: bare.csv, header: [q, a]}]}\n", "x");
    put(folder, "examples.json",
        "{\"canary\": \"\", \"examples\": [{\"q\": \"inside\", \"a\": 1}]}");
    check_first(folder, GOOD "files: {test: [examples.json]}\n", "inside");
    put(folder, "log.jsonl", "{\"doc_id\": 0, \"doc\": {\"q\": \"logged\", \"a\": 1}}\n");
    check_first(folder, GOOD "files: {test: [log.jsonl]}\n", "logged");
    scratch_remove(folder);
}

static void test_data_refused(void **state)
{
    char *folder = scratch_make();

    (void)state;
    check_data_fails(folder, GOOD "source: the moon\n", "which can be had from the moon");
    put(folder, "test.csv", "q,a\n\"open,x\n");
    check_data_fails(folder, GOOD, "a quote is never closed");
    put(folder, "test.csv", "q,a\nx\n");
    check_data_fails(folder, GOOD, "1 fields, and the header names 2");
    put(folder, "test.csv", "q,b\nx,y\n");
    check_data_fails(folder, GOOD, "'a' is undefined; the row has q, b");
    check_data_fails(folder, "task: m\ntest_split: test\ndoc_to_text: question\ndoc_to_target: b\n",
                     "the data has no column 'question'; it has q, b");
    put(folder, "test.csv", "q,a\n");
    check_data_fails(folder, GOOD, "has no row");
    put(folder, "test.csv", "q,a\nx,y\n");
    check_data_fails(folder, GOOD "select: {a: z}\n", "of the 1 rows of the split 'test' none");
    check_data_fails("nowhere", GOOD, "nowhere: there is no such file or folder");
    check_data_fails(folder, GOOD "num_fewshot: 3\ntraining_split: test\n", "examples are wanted");
    check_data_fails(folder, GOOD "num_fewshot: 3\nfewshot_split: train\n",
                     "no file with the split 'train'");
    check_data_fails(folder, GOOD "output_type: multiple_choice\ndoc_to_choice: '{{[]}}'\n",
                     "must give a list, and not an empty one");
    put(folder, "test.jsonl", "{\"n\": 4294967297, \"a\": \"x\"}\n");
    check_data_fails(
        folder,
        "task: m\ntest_split: test\nfiles: {test: [test.jsonl]}\ndoc_to_text: '{{n}}'\n"
        "doc_to_target: a\noutput_type: multiple_choice\n"
        "doc_to_choice: '{{[\"x\", \"y\"]}}'\n",
        "gives 4294967297 of 2 choices");
    scratch_remove(folder);
}

/* A task of one's own beside its data, over a built-in one. */
static void test_own_task(void **state)
{
    char *folder = scratch_make(), *path;
    ae_task_options options = { .data = folder, .shots = -1 };
    ae_task *t;
    ae_task_set *set;
    aerie_error err = { 0 };

    (void)state;
    put(folder, "base.yaml",
        "task: base\ntest_split: test\ndoc_to_target: a\ndoc_to_text: q\n"
        "doc_to_choice: [no, 'yes']\noutput_type: multiple_choice\n");
    put(folder, "own.yaml", "include: base.yaml\ntask: own\ndoc_to_text: 'Is {{q}}?'\n");
    put(folder, "test.jsonl",
        "{\"q\": \"it so\", \"a\": \"yes\"}\n{\"q\": \"it not\", \"a\": 0}\n");
    path = ae_path_join(folder, "own.yaml");
    if (ae_task_open(&t, path, protocol_of("lm-eval"), &err)) fail_msg("%s", err.message);
    assert_string_equal(ae_task_name(t), "own");
    if (ae_task_set_build(&set, t, &options, &err)) fail_msg("%s", err.message);
    assert_int_equal(ae_task_set_len(set), 2);
    assert_string_equal(ae_task_set_at(set, 0)->requests[0].context.data, "Is it so?");
    assert_string_equal(ae_task_set_at(set, 0)->requests[0].continuation.data, " no");
    assert_int_equal(ae_task_set_at(set, 0)->gold, 1);
    assert_int_equal(ae_task_set_at(set, 1)->gold, 0);
    /* One context serves both choices. */
    assert_ptr_equal(ae_task_set_at(set, 0)->requests[0].context.data,
                     ae_task_set_at(set, 0)->requests[1].context.data);
    ae_task_set_free(set);
    ae_task_close(t);
    ae_free(path);
    scratch_remove(folder);
}

/* ---- forms ---- */

static ae_task_set *build_rows(ae_task **t, const char *name, json_t *rows)
{
    ae_task_options options = { .docs = rows, .shots = -1 };
    ae_task_set *set;
    aerie_error err = { 0 };

    if (ae_task_open(t, name, protocol_of("lm-eval"), &err)) fail_msg("%s", err.message);
    if (ae_task_set_build(&set, *t, &options, &err)) fail_msg("%s", err.message);
    return set;
}

/* The words and bytes are the page's, as it was; what is scored is mended (by the harness' own
 * wikitext_detokenizer()). */
static void test_rolling(void **state)
{
    static const char page[] = " \n = Robert Boulter = \n \n Robert Boulter is an English film , "
                               "television and theatre actor "
                               ". He had a 1 @,@ 200 @-@ seat role ( in \" Herons \" by Simon "
                               "Stephens ( 2001 ) ) ; the dog 's "
                               "[ first ] N \xc2\xb0 C { x } . \n = = Career = = \n";
    static const char mended[] = "\n= Robert Boulter =\n\nRobert Boulter is an English film, "
                                 "television and theatre actor. He "
                                 "had a 1,200-seat role (in \"Herons\" by Simon Stephens ( 2001) "
                                 "); the dog's [first] N\xc2\xb0"
                                 "C {x}.\n== Career ==\n";
    json_t *rows = json_pack("[{s:s}]", "page", page);
    ae_task *t;
    ae_task_set *set = build_rows(&t, "wikitext", rows);
    const ae_item *item = ae_task_set_at(set, 0);
    ae_response answer = { .ll = -100 };
    ae_score score;

    (void)state;
    assert_int_equal(item->requests[0].kind, AE_REQUEST_ROLLING);
    assert_string_equal(item->requests[0].continuation.data, mended);
    assert_int_equal(item->n_words, 58);
    assert_int_equal(item->n_bytes, 227);
    assert_int_equal(ae_item_score(&score, item, ae_task_metric(t, 0), &answer, NULL), AERIE_OK);
    assert_true(score.value == -100 && score.weight == 58);
    assert_int_equal(ae_task_metric(t, 2)->aggregate, AE_AGGREGATE_BITS_PER_BYTE);
    ae_task_set_free(set);
    ae_task_close(t);
    json_decref(rows);
}

static void test_last_word(void **state)
{
    json_t *rows = json_pack("[{s:s, s:s}]", "context", "the end of a", "continuation", "tale");
    ae_task *t;
    ae_task_set *set = build_rows(&t, "lambada_openai", rows);
    const ae_item *item = ae_task_set_at(set, 0);
    ae_response answer = { .ll = -2.5, .is_greedy = true };
    ae_score score;

    (void)state;
    assert_string_equal(item->requests[0].context.data, "the end of a");
    assert_string_equal(item->requests[0].continuation.data, " tale");
    assert_int_equal(ae_item_score(&score, item, ae_task_metric(t, 0), &answer, NULL), AERIE_OK);
    assert_true(score.value == -2.5);
    assert_int_equal(ae_item_score(&score, item, ae_task_metric(t, 1), &answer, NULL), AERIE_OK);
    assert_true(score.value == 1);
    ae_task_set_free(set);
    ae_task_close(t);
    json_decref(rows);
}

/* AGIEval's own words (its convert_zero_shot()); several answers may be right. */
static void test_agieval(void **state)
{
    json_t *rows =
        json_pack("[{s:s, s:s, s:[s,s,s], s:s, s:s}]", "passage", "P. ", "question", "Q?",
                  "options", "(A)a", "(B)b", "(C)c", "label", "B", "task", "aqua-rat");
    ae_task *t;
    ae_task_set *set = build_rows(&t, "agieval_aqua-rat", rows);
    const ae_item *item = ae_task_set_at(set, 0);

    (void)state;
    assert_string_equal(
        item->requests[0].context.data,
        "P. Q: Q? Answer Choices: (A)a (B)b (C)c\nA: Among A through C, the answer is");
    assert_string_equal(item->requests[1].continuation.data, " (B)b");
    assert_int_equal(item->gold, -1);
    assert_true(!item->is_true[0] && item->is_true[1] && !item->is_true[2]);
    ae_task_set_free(set);
    ae_task_close(t);
    json_decref(rows);
}

/* ---- scores ---- */

static void check_pick(const char *rule, const ae_response *answers, int32_t want)
{
    static const int64_t chars[] = { 4, 2, 0 }, bytes[] = { 4, 6, 0 };
    ae_task_request requests[6] = { { .kind = AE_REQUEST_LIKELIHOOD } };
    ae_item item = { .requests = requests,
                     .n_requests = 6,
                     .n_choices = 3,
                     .char_len = chars,
                     .byte_len = bytes,
                     .gold = 1 };

    assert_int_equal(ae_item_pick(&item, rule, answers), want);
}

static void test_picks(void **state)
{
    ae_response a[6] = { { .ll = -4, .n_tokens = 1 },
                         { .ll = -4, .n_tokens = 2 },
                         { .ll = -5, .n_tokens = 4 },
                         { .ll = -1 },
                         { .ll = -9 },
                         { .ll = -5 } };

    (void)state;
    check_pick("acc", a, 0);        /* the first of equals */
    check_pick("acc_norm", a, 0);   /* -1, -2, -inf */
    check_pick("acc_bytes", a, 1);  /* -1, -0.67, -inf */
    check_pick("acc_tokens", a, 2); /* -4, -2, -1.25 */
    check_pick("acc_uncond", a, 1); /* -3, 5, 0 */
    a[2].ll = 0;
    check_pick("acc_norm", a, 2); /* 0 / 0 is NaN, which numpy takes for the most */
    check_pick("exact_match", a, -1);
}

static void test_winogrande_span(void **state)
{
    int32_t one[] = { 1, 5, 6, 20, 7, 8, 9, 10 }, two[] = { 1, 5, 6, 30, 31, 7, 8, 9, 10 };
    ae_ids rows[2] = { { .data = one, .len = 8 }, { .data = two, .len = 9 } };
    size_t choice_end[2] = { 4, 5 }, first[2], end[2];

    (void)state;
    assert_int_equal(ae_common_tokens(rows, 2), 3);
    ae_winogrande_span(rows, choice_end, first,
                       end); /* the choice is left out, and the last token */
    assert_int_equal(first[0], 4);
    assert_int_equal(end[0], 7);
    assert_int_equal(first[1], 5);
    assert_int_equal(end[1], 8);
    rows[0].len = 6; /* too little follows: from the first difference on */
    ae_winogrande_span(rows, choice_end, first, end);
    assert_int_equal(first[0], 3);
    assert_int_equal(end[0], 5);
    assert_int_equal(first[1], 3);
}

/* A token over the join that leaves something to score. */
static void test_merged(void **state)
{
    fake_tokenizer t = { .pieces = json_pack("{s:i}",
                                             "\xe2\x96\x81"
                                             "ab",
                                             300) };
    ae_pair p;
    aerie_error err = { 0 };

    (void)state;
    assert_int_equal(ae_pair_encode(&p, ae_span_text("a"), ae_span_text("bcdef"), FAKE_BOS,
                                    fake_encode, &t, &err),
                     AERIE_OK);
    assert_true(p.merged); /* "▁", "a" are four bytes alone; the whole begins with one token */
    ae_pair_free(&p);
    assert_int_equal(ae_pair_encode(&p, ae_span_text(""), ae_span_text("x"), FAKE_BOS, fake_encode,
                                    &(fake_tokenizer){ 0 }, &err),
                     AERIE_OK);
    assert_false(p.merged);
    assert_int_equal(p.n_context, 1);
    assert_int_equal(p.ids.data[0], FAKE_BOS);
    ae_pair_free(&p);
    json_decref(t.pieces);
}

/* No document is among its own examples where both come from one split. */
static void test_never_its_own_example(void **state)
{
    json_t *rows = json_array();
    ae_task *t =
        open_yaml("task: m\nvalidation_split: v\ndoc_to_text: '{{q}}'\ndoc_to_target: '{{q}}'\n");
    ae_task_options options = { .docs = rows, .shots = 4 };
    ae_task_set *set;
    aerie_error err = { 0 };

    (void)state;
    for (int i = 0; i < 9; i++) json_array_append_new(rows, json_pack("{s:i}", "q", i));
    if (ae_task_set_build(&set, t, &options, &err)) fail_msg("%s", err.message);
    for (size_t i = 0; i < 9; i++) {
        const ae_item *item = ae_task_set_at(set, i);
        assert_int_equal(item->n_shots, 4);
        for (size_t k = 0; k < 4; k++) assert_int_not_equal(item->shots[k], item->doc_id);
        assert_int_equal(item->shots_len, 4 * strlen("1 1\n\n"));
    }
    ae_task_set_free(set);
    ae_task_close(t);
    json_decref(rows);
}

/* ---- memory ---- */

static aerie_status all_of_it(json_t *rows)
{
    ae_task_options options = { .docs = rows, .train = rows, .shots = 1 };
    ae_task *t = NULL;
    ae_task_set *set = NULL;
    aerie_error err = { 0 };
    char hash[65];
    aerie_status status = ae_task_open(&t, "arc_challenge", protocol_of("lm-eval"), &err);

    if (!status) status = ae_task_set_build(&set, t, &options, &err);
    if (!status) status = ae_task_set_sha256(set, hash, &err);
    if (status) assert_true(err.message[0]);
    ae_task_set_free(set);
    ae_task_close(t);
    return status;
}

static void test_survives_lack_of_memory(void **state)
{
    json_t *rows = json_pack("[{s:s, s:{s:[s,s], s:[s,s]}, s:s}, {s:s, s:{s:[s,s], s:[s,s]}, s:s}]",
                             "question", "one", "choices", "text", "x", "y", "label", "A", "B",
                             "answerKey", "A", "question", "two", "choices", "text", "x", "y",
                             "label", "A", "B", "answerKey", "B");
    size_t held;
    long n = 0;
    bool failed = true;

    (void)state;
    assert_int_equal(all_of_it(rows), AERIE_OK);
    held = ae_alloc_bytes();
    while (failed) {
        ae_alloc_fail_at(++n);
        aerie_status status = all_of_it(rows); /* an arena asks again, for less: all may be well */
        failed = ae_alloc_has_failed();
        assert_true(status == AERIE_OK || (failed && status == AERIE_NO_MEMORY));
        assert_int_equal(ae_alloc_bytes(), held);
    }
    ae_alloc_fail_at(0);
    assert_true(n > 40);
    json_decref(rows);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_task_opens),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_names_nearby),
        cmocka_unit_test(test_files_of_every_kind),
        cmocka_unit_test(test_data_refused),
        cmocka_unit_test(test_own_task),
        cmocka_unit_test(test_rolling),
        cmocka_unit_test(test_last_word),
        cmocka_unit_test(test_agieval),
        cmocka_unit_test(test_picks),
        cmocka_unit_test(test_winogrande_span),
        cmocka_unit_test(test_merged),
        cmocka_unit_test(test_never_its_own_example),
        cmocka_unit_test(test_survives_lack_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
