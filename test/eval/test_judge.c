/* test_judge.c -- verdicts, what judges are asked, and how their answers are counted. */
#include "http/server.h"
#include "scratch.h"

#include "eval/eval.h"
#include "eval/label_private.h"

#include <math.h>
#include <stdatomic.h>

static const ae_judge_task of_pair = { .kind = AE_JUDGE_PAIR, .low = 1, .high = 10 };
static const ae_judge_task of_score = { .kind = AE_JUDGE_SCORE, .low = 1, .high = 10 };

static void verdicts_are_read(void **state)
{
    static const struct {
        const char *reply;
        char choice;
    } pairs[] = {
        { "[[A]]", 'A' },
        { "The second is clearer.\n\n[[B]]", 'B' },
        { "[[C]]\n", 'C' },
        { "[[A]] is what I thought first, but no: [[B]]", 'B' },
        { "<think>[[A]]?</think> [[C]]", 'C' },
        { "<think>[[A]]</think> I can't say.", 0 },
        { "**[[ B ]]**", 'B' },
        { "B", 'B' },
        { " A.\n", 'A' },
        { "Both [A] and [B] are good", 0 },
        { "[[D]]", 0 },
        { "[[AB]]", 0 },
        { "[[A]", 0 },
        { "[[A", 0 },
        { "[[", 0 },
        { "[[]]", 0 },
        { "", 0 },
        { "A is better", 0 },
        { "[[A]] [[undecided]]", 'A' },
    };
    static const struct {
        const char *reply;
        double score;
    } scores[] = {
        { "[[7]]", 7 },       { "Rating: [[8.5]]", 8.5 }, { "[[3]] no, [[4]]", 4 },
        { "10", 10 },         { "[[11]]", NAN },          { "[[0]]", NAN },
        { "[[-3]]", NAN },    { "[[1e1]]", NAN },         { "[[0x5]]", NAN },
        { "[[nan]]", NAN },   { "[[7/10]]", NAN },        { "seven", NAN },
        { "[[1.2.3]]", NAN }, { "I give it 7", NAN },     { "[[08]]", 8 },
    };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(pairs); i++) {
        ae_verdict v = ae_judge_parse(&of_pair, ae_span_text(pairs[i].reply));
        if (v.choice != pairs[i].choice) fail_msg("'%s' is %d", pairs[i].reply, v.choice);
    }
    for (size_t i = 0; i < AE_COUNT(scores); i++) {
        double is = ae_judge_parse(&of_score, ae_span_text(scores[i].reply)).score;
        double wanted = scores[i].score;
        if (isnan(wanted) ? !isnan(is) : is != wanted) fail_msg("'%s' is %g", scores[i].reply, is);
    }
}

static json_t *said(const char *role, const char *text)
{
    return json_pack("[{s:s, s:s}]", "role", role, "content", text);
}

static ae_judge_case make_case(int64_t id, const char *question, const char *a, const char *b)
{
    return (ae_judge_case){ .id = id,
                            .messages = said("user", question),
                            .a = said("assistant", a),
                            .b = b ? said("assistant", b) : NULL };
}

/* What stands in an answer is never a place itself. */
static void a_question_holds_its_parts_as_they_are(void **state)
{
    ae_judge_task own = { .words = "{question}|{answer_b}|{answer_a}|{else}{" };
    ae_judge_case c = make_case(0, "{answer_a}", "{question}", "b");
    ae_bytes text = { 0 };

    (void)state;
    assert_int_equal(ae_judge_question(&text, &own, &c, NULL), AERIE_OK);
    assert_string_equal(text.data, "{answer_a}|b|{question}|{else}{");
    ae_bytes_clear(&text);
    json_array_insert_new(c.messages, 0, json_pack("{s:s, s:s}", "role", "system", "content", "S"));
    ae_judge_text_of(&text, c.messages);
    assert_string_equal(text.data, "System: S\n\nUser: {answer_a}");
    ae_bytes_clear(&text);
    assert_int_equal(ae_judge_question(&text, &of_pair, &c, NULL), AERIE_OK);
    assert_non_null(strstr(text.data, "[Answer A begins]\n{question}\n[Answer A ends]"));
    ae_judge_case_free(&c);
    ae_bytes_free(&text);
}

static void tasks_are_checked(void **state)
{
    ae_judge_task no_place = { .words = "{question} {answer}" };
    ae_judge_task turned = { .kind = AE_JUDGE_SCORE, .low = 5, .high = 2 };
    ae_judge_task fine = { .kind = AE_JUDGE_SCORE };
    char one[17], other[17];

    (void)state;
    assert_int_equal(ae_judge_task_check(&no_place, NULL), AERIE_BAD_TEXT);
    no_place.kind = AE_JUDGE_SCORE;
    assert_int_equal(ae_judge_task_check(&no_place, NULL), AERIE_OK);
    assert_int_equal(ae_judge_task_check(&turned, NULL), AERIE_BAD_ARGUMENT);
    assert_int_equal(ae_judge_task_check(&fine, NULL), AERIE_OK);
    assert_int_equal(fine.high, 10);
    assert_int_equal(ae_judge_task_hash(&fine, one, NULL), AERIE_OK);
    fine.high = 9;
    assert_int_equal(ae_judge_task_hash(&fine, other, NULL), AERIE_OK);
    assert_string_not_equal(one, other);
}

static void two_orders_make_an_outcome(void **state)
{
    static const struct {
        char in_order, turned;
        aerie_pair_outcome outcome;
    } cases[] = {
        { 'A', 'B', AERIE_PAIR_FIRST },     { 'B', 'A', AERIE_PAIR_SECOND },
        { 'C', 'C', AERIE_PAIR_TIED },      { 'A', 'C', AERIE_PAIR_HALF_TIED },
        { 'C', 'A', AERIE_PAIR_HALF_TIED }, { 'A', 'A', AERIE_PAIR_TURNED },
        { 'B', 'B', AERIE_PAIR_TURNED },    { 0, 'A', AERIE_PAIR_WITHOUT },
        { 'C', 0, AERIE_PAIR_WITHOUT },     { 0, 0, AERIE_PAIR_WITHOUT },
    };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(cases); i++)
        assert_int_equal(ae_pair_outcome_of(cases[i].in_order, cases[i].turned), cases[i].outcome);
}

static void every_pair_is_asked_in_both_orders(void **state)
{
    (void)state;
    for (int n = 2; n <= 7; n++) {
        int seen[7][7] = { { 0 } };
        int64_t n_questions = ae_label_n_questions(&of_pair, n);
        assert_int_equal(n_questions, n * (n - 1));
        for (int64_t q = 0; q < n_questions; q++) {
            ae_label_question at = ae_label_question_at(&of_pair, n, q);
            assert_true(at.a >= 0 && at.a < n && at.b >= 0 && at.b < n && at.a != at.b);
            assert_true((at.a < at.b) == (q % 2 == 0));
            seen[at.a][at.b]++;
        }
        for (int a = 0; a < n; a++)
            for (int b = 0; b < n; b++) assert_int_equal(seen[a][b], a != b);
    }
}

/* ---- an endpoint ---- */

/* Answers with the number in the question, the first questions last. */
static bool late_then_early(void *user, int fd, const server_request *r)
{
    const char *at = strstr(r->body, "item ");
    int n = at ? atoi(at + 5) : 0;
    char body[200];

    (void)user;
    server_sleep_ms(n < 4 ? 60 - 15 * n : 0);
    snprintf(body, sizeof body,
             "{\"choices\": [{\"message\": {\"content\": \"[[%d]]\"}}], \"usage\": null}", n);
    server_answer(fd, 200, "", body);
    return true;
}

static void scores_come_in_the_order_of_the_cases(void **state)
{
    server *s = server_start(0, late_then_early, NULL);
    ae_judge_case cases[9];
    double scores[9];
    char url[64], text[32];
    ae_judge *j;

    (void)state;
    snprintf(url, sizeof url, "http://127.0.0.1:%d/v1/", server_port(s));
    for (int i = 0; i < 9; i++) {
        snprintf(text, sizeof text, "item %d", i + 1);
        cases[i] = make_case(i, "q", text, NULL);
    }
    assert_int_equal(
        ae_judge_endpoint_open(&j, &(ae_judge_endpoint){ .url = url, .model = "m", .in_flight = 3 },
                               NULL),
        AERIE_OK);
    assert_int_equal(ae_judge_scores(scores, j, &of_score, cases, 9, NULL), AERIE_OK);
    for (int i = 0; i < 9; i++) assert_true(scores[i] == i + 1);
    assert_true(server_most_at_once(s) <= 3);
    ae_judge_close(j);
    for (int i = 0; i < 9; i++) ae_judge_case_free(&cases[i]);
    server_stop(s);
}

typedef struct {
    const char *body;
    char seen[4096], key[64];
} canned;

static bool answer_canned(void *user, int fd, const server_request *r)
{
    canned *c = user;

    snprintf(c->seen, sizeof c->seen, "%s", r->body);
    server_header(r, "Authorization", c->key, sizeof c->key);
    server_answer(fd, 200, "", c->body);
    return true;
}

static void odd_answers_end_in_a_sentence(void **state)
{
    static const char *const bodies[] = {
        "",
        "null",
        "[]",
        "{}",
        "{\"choices\": []}",
        "{\"choices\": {}}",
        "{\"choices\": [7]}",
        "{\"choices\": [{\"message\": null}]}",
        "{\"choices\": [{\"message\": {\"content\": null}}]}",
        "{\"choices\": [{\"message\": {\"content\": [\"[[5]]\"]}}]}",
        "{\"choices\": [{\"message\": {}}], \"usage\": {\"prompt_tokens\": \"x\"}}",
        "{\"choices\": [{\"message\": {\"content\": \"a\\u0000b\"}}]}",
    };
    canned c = { 0 };
    server *s = server_start(0, answer_canned, &c);
    ae_judge_case one = make_case(0, "q", "a", NULL);
    double score;
    char url[64];

    (void)state;
    snprintf(url, sizeof url, "http://127.0.0.1:%d/chat/completions", server_port(s));
    for (size_t i = 0; i < AE_COUNT(bodies); i++) {
        const ae_judge_endpoint e = {
            .url = url, .model = "m", .key = "k", .extra = "{\"max_tokens\": null, \"x\": 1}"
        };
        aerie_error err = { 0 };
        ae_judge *j;
        c.body = bodies[i];
        assert_int_equal(ae_judge_endpoint_open(&j, &e, NULL), AERIE_OK);
        assert_int_equal(ae_judge_scores(&score, j, &of_score, &one, 1, &err), AERIE_BAD_TEXT);
        assert_true(*err.message);
        ae_judge_close(j);
    }
    assert_string_equal(c.key, "Bearer k");
    assert_null(strstr(c.seen, "max_tokens"));
    assert_non_null(strstr(c.seen, "\"x\":1"));
    ae_judge_case_free(&one);
    server_stop(s);
}

/* ---- labelling ---- */

static const char rows[] =
    "{\"prompt\": \"p\", \"responses\": [\"aaa\", \"b\", \"cc\"]}\n"
    "{\"prompt\": \"q\", \"chosen\": \"yes\", \"rejected\": \"no\", \"responses\": [\"x\"]}\n"
    "{\"prompt\": \"r\", \"responses\": [\"same\", \"same\"]}\n";

/* The longer one, as a program would. */
static aerie_status judge_length(void *user, const char *line,
                                 void (*answer)(void *to, const char *text, size_t len), void *to,
                                 aerie_error *err)
{
    json_t *o = json_loads(line, 0, NULL);
    size_t a = json_string_length(json_object_get(o, "a"));
    size_t b = json_string_length(json_object_get(o, "b"));
    const char *says = a > b ? "{\"verdict\": \"A\"}" : a < b ? "{\"verdict\": \"B\"}" : "\"tie\"";

    (void)user, (void)err;
    json_decref(o);
    answer(to, says, strlen(says));
    return AERIE_OK;
}

static aerie_status label_once(const char *in, const char *out, ae_label_summary *sums,
                               aerie_error *err)
{
    ae_judge *j = NULL;
    ae_label_options options = { .paths = &in, .n_paths = 1, .out_path = out };
    aerie_status status = ae_judge_program_open(&j, &(ae_judge_program){ .fn = judge_length }, err);

    if (!status) status = ae_label(j, &options, sums, err);
    ae_judge_close(j);
    return status;
}

/* Whatever allocation fails, the run says so, and the next one ends as if nothing had been. */
static void labelling_survives_no_memory(void **state)
{
    char *folder = scratch_make(), *in = ae_path_join(folder, "in.jsonl");
    char *out = ae_path_join(folder, "out.jsonl");
    ae_label_summary sums = { 0 };
    ae_bytes text = { 0 };
    bool failed = true;

    (void)state;
    assert_int_equal(ae_file_write(in, rows, sizeof rows - 1, NULL), AERIE_OK);
    for (long n = 1; failed; n++) {
        aerie_error err = { 0 };
        aerie_status status;
        ae_alloc_fail_at(n);
        status = label_once(in, out, &sums, &err);
        failed = ae_alloc_has_failed();
        ae_alloc_fail_at(0);
        if (status && status != AERIE_NO_MEMORY) fail_msg("%ld: %s", n, err.message);
        if (!failed) assert_int_equal(status, AERIE_OK);
    }
    assert_int_equal(sums.n_decided, 3);
    assert_int_equal(sums.n_alike, 1);
    assert_int_equal(sums.n_left_out, 1);
    assert_int_equal(ae_file_read(&text, out, 0, NULL), AERIE_OK);
    assert_non_null(strstr(text.data, "\"chosen\":[{\"role\":\"assistant\",\"content\":\"aaa\"}],"
                                      "\"rejected\":[{\"role\":\"assistant\",\"content\":\"b\"}]"));
    ae_bytes_free(&text);
    ae_free(in);
    ae_free(out);
    scratch_remove(folder);
}

/* Two runs at one journal would write over each other's lines. */
static void a_journal_has_one_writer(void **state)
{
    const ae_judge judge = { .name = "judge", .state = "" };
    char *folder = scratch_make(), *path = ae_path_join(folder, "j");
    ae_label_journal one, two;
    aerie_error err = { 0 };

    (void)state;
    assert_int_equal(ae_label_journal_open(&one, path, &judge, &of_pair, NULL), AERIE_OK);
    assert_int_equal(ae_label_journal_open(&two, path, &judge, &of_pair, &err), AERIE_IO);
    assert_non_null(strstr(err.message, "another run"));
    ae_label_journal_close(&one);
    assert_int_equal(ae_label_journal_open(&two, path, &judge, &of_pair, NULL), AERIE_OK);
    ae_label_journal_close(&two);
    ae_free(path);
    scratch_remove(folder);
}

static void a_journal_is_of_one_state_of_its_judge(void **state)
{
    const ae_judge was = { .name = "judge", .state = "a" }, is = { .name = "judge", .state = "b" };
    const ae_label_verdict verdict = { .choice = 'A' };
    char *folder = scratch_make(), *path = ae_path_join(folder, "j");
    aerie_error err = { 0 };
    ae_label_journal j;

    (void)state;
    /* Without a verdict it is of nobody yet. */
    assert_int_equal(ae_label_journal_open(&j, path, &is, &of_pair, NULL), AERIE_OK);
    ae_label_journal_close(&j);
    assert_int_equal(ae_label_journal_open(&j, path, &was, &of_pair, NULL), AERIE_OK);
    assert_int_equal(ae_label_journal_add(&j, &of_pair, &verdict, ae_span_text("[[A]]"), NULL),
                     AERIE_OK);
    ae_label_journal_close(&j);
    assert_int_equal(ae_label_journal_open(&j, path, &is, &of_pair, &err), AERIE_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "changed"));
    assert_int_equal(ae_label_journal_open(&j, path, &was, &of_pair, NULL), AERIE_OK);
    ae_label_journal_close(&j);
    ae_free(path);
    scratch_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdicts_are_read),
        cmocka_unit_test(a_question_holds_its_parts_as_they_are),
        cmocka_unit_test(tasks_are_checked),
        cmocka_unit_test(two_orders_make_an_outcome),
        cmocka_unit_test(every_pair_is_asked_in_both_orders),
        cmocka_unit_test(scores_come_in_the_order_of_the_cases),
        cmocka_unit_test(odd_answers_end_in_a_sentence),
        cmocka_unit_test(labelling_survives_no_memory),
        cmocka_unit_test(a_journal_has_one_writer),
        cmocka_unit_test(a_journal_is_of_one_state_of_its_judge),
    };

    setenv("NO_PROXY", "*", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
