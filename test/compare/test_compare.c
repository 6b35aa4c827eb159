/* test_compare.c -- whole comparisons: of models behind a server that answers by a rule, judged by
 * a program. */
#include "http/server.h"
#include "scratch.h"

#include "aerie/arena.h"
#include "aerie/compare.h"

#include <jansson.h>
#include <math.h>

/* The model "long" says its prompt thrice, "short" once; "odd" is "long" every other seed. The
 * first answers in events, the others at once. */
static bool answer(void *user, int fd, const server_request *r)
{
    json_t *body = json_loads(r->body, 0, NULL);
    const char *model = json_string_value(json_object_get(body, "model"));
    const json_t *messages = json_object_get(body, "messages");
    const char *prompt = json_string_value(
        json_object_get(json_array_get(messages, json_array_size(messages) - 1), "content"));
    bool is_odd = json_integer_value(json_object_get(body, "seed")) % 2 == 1;
    bool is_long = !strcmp(model, "long") || (!strcmp(model, "odd") && is_odd);
    char text[400], out[1200];

    (void)user;
    snprintf(text, sizeof text, is_long ? "%.60s %.60s %.60s" : "%.60s", prompt, prompt, prompt);
    if (!strcmp(prompt, "refuse") && !strcmp(model, "long"))
        server_answer(fd, 400, "", "{\"error\": {\"message\": \"too long\"}}");
    else if (!strcmp(model, "long")) {
        snprintf(out, sizeof out,
                 ": hello\n\ndata: {\"choices\": [{\"delta\": {\"content\": \"%.40s\"}}]}\n\n"
                 "data: {\"choices\": [{\"delta\": {\"content\": \"%s\"}, \"finish_reason\": "
                 "\"length\"}], \"usage\": {\"prompt_tokens\": 5, \"completion_tokens\": 9}}\n\n"
                 "data: [DONE]\n\n",
                 "", text);
        server_answer(fd, 200, "Content-Type: text/event-stream\r\n", out);
    } else {
        snprintf(
            out, sizeof out,
            "{\"choices\": [{\"message\": {\"content\": \"%s\"}, \"finish_reason\": \"stop\"}], "
            "\"usage\": {\"prompt_tokens\": 5, \"completion_tokens\": 3}}",
            text);
        server_answer(fd, 200, "", out);
    }
    json_decref(body);
    return true;
}

typedef struct {
    server *server;
    char url[64], *folder, *data;
    aerie_contender models[3];
    aerie_compare_options options;
    int n_judged;
} world;

static void write_prompts(const char *path, int n)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    for (int i = 0; i < n; i++)
        fprintf(f,
                "{\"id\": \"p%d\", \"prompt\": \"say %d\", \"expected\": \"say %d\", \"checks\": "
                "[\"equals\"]}\n",
                i, i, i);
    fclose(f);
}

static void begin(world *w, int n_prompts)
{
    *w = (world){ .server = server_start(0, answer, NULL), .folder = scratch_make() };
    assert_non_null(w->server);
    snprintf(w->url, sizeof w->url, "http://127.0.0.1:%d/v1", server_port(w->server));
    w->data = ae_path_join(w->folder, "data.jsonl");
    write_prompts(w->data, n_prompts);
    w->models[0] = (aerie_contender){ .url = w->url, .model = "long" };
    w->models[1] = (aerie_contender){ .url = w->url, .model = "short", .price_reply = 2 };
    w->models[2] = (aerie_contender){ .url = w->url, .model = "odd" };
    w->options = (aerie_compare_options){ .contenders = w->models,
                                          .n_contenders = 2,
                                          .paths = (const char *const *)&w->data,
                                          .n_paths = 1,
                                          .folder = w->folder,
                                          .resamples = 500 };
}

static void end(world *w)
{
    server_stop(w->server);
    ae_free(w->data);
    scratch_remove(w->folder);
}

/* The longer reply is better, whichever place it is in. */
static aerie_status prefer_longer(void *user, const char *line, aerie_judge_answer_fn *tell,
                                  void *to, aerie_error *err)
{
    json_t *o = json_loads(line, 0, NULL);
    size_t a = json_string_length(json_object_get(o, "a"));
    size_t b = json_string_length(json_object_get(o, "b"));
    const char *says = a > b   ? "{\"verdict\": \"A\"}"
                       : a < b ? "{\"verdict\": \"B\"}"
                               : "{\"verdict\": \"tie\"}";

    (void)err;
    ((world *)user)->n_judged++;
    json_decref(o);
    tell(to, says, strlen(says));
    return AERIE_OK;
}

static json_t *report_of(aerie_compare *c)
{
    aerie_error err = { 0 };
    char *text = NULL;
    json_t *report;

    if (aerie_compare_report(c, &text, &err)) fail_msg("%s", err.message);
    report = json_loads(text, 0, NULL);
    aerie_free(text);
    assert_non_null(report);
    return report;
}

static json_t *compare(world *w, bool judged)
{
    const aerie_judge_options by = { .program = prefer_longer,
                                     .program_user = w,
                                     .program_name = "longer" };
    aerie_judge *judge = NULL;
    aerie_compare *c = NULL;
    aerie_error err = { 0 };
    json_t *report;

    if (aerie_compare_open(&c, &w->options, &err) || aerie_compare_ask(c, &err))
        fail_msg("%s", err.message);
    if (judged && (aerie_judge_open(&judge, &by, &err) ||
                   aerie_compare_judge(c, judge, "longer", NULL, &err)))
        fail_msg("%s", err.message);
    report = report_of(c);
    aerie_judge_close(judge);
    aerie_compare_close(c);
    return report;
}

static const json_t *at(const json_t *o, const char *path)
{
    char key[32];

    while (*path) {
        size_t len = strcspn(path, ".");
        snprintf(key, sizeof key, "%.*s", (int)len, path);
        o = json_is_array(o) ? json_array_get(o, (size_t)atoi(key)) : json_object_get(o, key);
        path += len + (path[len] == '.');
    }
    return o;
}

static void is_number(const json_t *o, const char *path, double wanted)
{
    double is = json_number_value(at(o, path));

    if (!json_is_number(at(o, path)) || fabs(is - wanted) > 1e-9)
        fail_msg("%s is %g, not %g", path, is, wanted);
}

static void is_text(const json_t *o, const char *path, const char *wanted)
{
    const char *is = json_string_value(at(o, path));

    if (!is || strcmp(is, wanted) != 0)
        fail_msg("%s is '%s', not '%s'", path, is ? is : "", wanted);
}

static void checks_decide(void **state)
{
    json_t *report;
    world w;

    (void)state;
    begin(&w, 20);
    report = compare(&w, false);
    is_text(report, "decided_by", "checks");
    is_text(report, "pairs.0.better", "short");
    is_number(report, "pairs.0.checks.a", 0);
    is_number(report, "pairs.0.checks.b", 1);
    is_number(report, "pairs.0.checks.better_b", 20);
    is_number(report, "pairs.0.checks.p", ldexp(1, -19));
    is_text(report, "pairs.0.checks.test", "McNemar's exact test");
    is_number(report, "models.0.cut", 20);
    is_number(report, "models.0.reply_tokens.mean", 9);
    is_number(report, "models.1.reply_tokens.mean", 3);
    is_number(report, "models.1.cost_per_1000", 1000 * 3 * 2 / 1e6);
    is_number(report, "models.0.checks.equals.rate", 0);
    is_number(report, "models.1.all_checks.passed", 20);
    is_text(report, "items.3.replies.0.0.text", "say 3 say 3 say 3");
    is_text(report, "items.3.replies.0.1.text", "say 3");
    assert_int_equal(json_array_size(at(report, "items")), 20);
    json_decref(report);
    end(&w);
}

static void a_judge_decides_before_checks(void **state)
{
    json_t *report;
    world w;

    (void)state;
    begin(&w, 20);
    report = compare(&w, true);
    assert_int_equal(w.n_judged, 40);
    is_text(report, "decided_by", "judge");
    is_text(report, "pairs.0.better", "long");
    is_number(report, "pairs.0.judge.judge.wins_a", 20);
    is_number(report, "pairs.0.judge.judge.flip_rate", 0);
    is_number(report, "pairs.0.judge.difference", -0.5);
    is_text(report, "items.0.judged.0.outcome", "a");
    json_decref(report);
    /* The same again asks nobody; twenty prompts more ask about those alone. */
    report = compare(&w, true);
    assert_int_equal(w.n_judged, 40);
    assert_int_equal(server_count(w.server), 40);
    json_decref(report);
    write_prompts(w.data, 25);
    report = compare(&w, true);
    assert_int_equal(w.n_judged, 50);
    assert_int_equal(server_count(w.server), 50);
    is_number(report, "pairs.0.judge.prompts", 25);
    json_decref(report);
    end(&w);
}

/* The same settings are the same model: one asks for both, and nothing tells them apart. */
static void a_model_is_not_better_than_itself(void **state)
{
    json_t *report;
    world w;

    (void)state;
    begin(&w, 8);
    w.models[0] = w.models[1];
    report = compare(&w, true);
    assert_int_equal(server_count(w.server), 8);
    assert_int_equal(w.n_judged, 0);
    assert_true(json_is_null(at(report, "pairs.0.better")));
    is_number(report, "pairs.0.judge.judge.ties", 8);
    is_text(report, "models.1.label", "short (2)");
    json_decref(report);
    end(&w);
}

static void repeats_are_averaged_before_they_are_tested(void **state)
{
    json_t *report;
    world w;

    (void)state;
    begin(&w, 12);
    w.options.repeats = 4;
    w.options.n_contenders = 3;
    report = compare(&w, true);
    assert_int_equal(server_count(w.server), 3 * 12 * 4);
    assert_int_equal(json_array_size(at(report, "pairs")), 3);
    /* "odd" is right on two repeats of four, on every prompt: twelve differences of a half. */
    is_number(report, "pairs.2.checks.prompts", 12);
    is_number(report, "pairs.2.checks.difference", -0.5);
    is_text(report, "pairs.2.checks.test", "sign-flip permutation test");
    assert_true(json_number_value(at(report, "pairs.2.checks.p")) < 0.01);
    assert_true(json_number_value(at(report, "pairs.2.checks.p_holm")) >=
                json_number_value(at(report, "pairs.2.checks.p")));
    assert_int_equal(json_array_size(at(report, "ratings")), 3);
    assert_true(json_number_value(at(report, "ratings.0.rating")) >
                json_number_value(at(report, "ratings.2.rating")));
    json_decref(report);
    end(&w);
}

static bool stop_after_five(void *user, const char *what, int64_t n_done, int64_t n)
{
    (void)user;
    (void)what;
    (void)n;
    return n_done < 5;
}

/* Stopped, and cut off in the middle of a line: what was answered is not asked again. */
static void a_stopped_run_goes_on(void **state)
{
    aerie_compare *c = NULL;
    aerie_error err = { 0 };
    char *path;
    json_t *report;
    FILE *f;
    int n;
    world w;

    (void)state;
    begin(&w, 20);
    w.options.parallel = 1;
    w.options.progress = stop_after_five;
    assert_int_equal(aerie_compare_open(&c, &w.options, &err), AERIE_OK);
    assert_int_equal(aerie_compare_ask(c, &err), AERIE_INTERRUPTED);
    aerie_compare_close(c);
    n = server_count(w.server);
    assert_true(n >= 5 && n <= 7);
    path = ae_path_join(w.folder, "replies.jsonl");
    f = fopen(path, "a");
    fputs("{\"of\": \"abc\", \"rep", f);
    fclose(f);
    w.options.progress = NULL;
    report = compare(&w, false);
    assert_true(server_count(w.server) >= 40 && server_count(w.server) <= 42);
    is_number(report, "models.0.replies", 20);
    json_decref(report);
    f = fopen(path, "a");
    fputs("this is no reply\n", f);
    fclose(f);
    assert_int_equal(aerie_compare_open(&c, &w.options, &err), AERIE_BAD_FILE);
    assert_null(c);
    ae_free(path);
    end(&w);
}

/* A prompt that a server refuses is a reply that failed. */
static void a_refused_prompt_is_one_prompt(void **state)
{
    json_t *report;
    world w;
    FILE *f;

    (void)state;
    begin(&w, 3);
    w.options.parallel = 1;
    f = fopen(w.data, "a");
    fputs("{\"prompt\": \"refuse\", \"checks\": [\"not_empty\"]}\n", f);
    fclose(f);
    report = compare(&w, true);
    is_number(report, "models.0.failed", 1);
    is_number(report, "pairs.0.checks.prompts", 4);
    is_number(report, "pairs.0.judge.prompts", 3);
    assert_non_null(json_string_value(at(report, "items.3.replies.0.0.failed")));
    json_decref(report);
    end(&w);
}

static void mistakes_are_sentences(void **state)
{
    static const struct {
        const char *line, *says;
    } cases[] = {
        { "{\"prompt\": 3}", "there is no prompt in it" },
        { "{\"prompt\": \"a\", \"checks\": [\"jsn\"]}", "line 1: there is no check 'jsn'" },
        { "{\"prompt\": \"a\", \"checks\": [\"equals\"]}", "there is no 'expected'" },
        { "{\"prompt\": \"a\"", "line 1: no JSON" },
        { "\n\n", "there are no prompts" },
        { "[{\"prompt\": \"a\"}, {}]", "row 2: there is no prompt" },
    };
    aerie_compare *c;
    world w;

    (void)state;
    begin(&w, 1);
    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        aerie_error err = { 0 };
        assert_int_equal(ae_file_write(w.data, cases[i].line, strlen(cases[i].line), NULL),
                         AERIE_OK);
        assert_true(aerie_compare_open(&c, &w.options, &err) != AERIE_OK);
        if (!strstr(err.message, cases[i].says)) fail_msg("%s: %s", cases[i].line, err.message);
    }
    end(&w);
}

#define NURSERY "recipes/nursery/nursery.gguf"

/* A model here: the replies are the same for any number under way, and other seeds' are others. */
static void models_here_answer(void **state)
{
    aerie_sampling other = aerie_sampling_default();
    json_t *report, *again;
    char *replies;
    world w;

    (void)state;
    if (!ae_file_exists(NURSERY)) skip();
    begin(&w, 6);
    other.seed = 7;
    w.models[0] = (aerie_contender){ .path = NURSERY, .max_tokens = 8 };
    w.models[1] = w.models[0];
    w.models[1].sampling = &other;
    report = compare(&w, false);
    is_number(report, "models.0.replies", 6);
    assert_true(json_number_value(at(report, "models.0.memory_bytes")) > 1e6);
    assert_true(json_number_value(at(report, "models.0.first_text_seconds.p50")) > 0);
    assert_true(json_is_null(at(report, "pairs.0.better")));
    replies = ae_path_join(w.folder, "replies.jsonl");
    assert_int_equal(unlink(replies), 0);
    w.options.parallel = 1;
    again = compare(&w, false);
    for (size_t i = 0; i < 6; i++) {
        char path[64];
        snprintf(path, sizeof path, "items.%zu.replies.0.1.text", i);
        is_text(again, path, json_string_value(at(report, path)));
    }
    ae_free(replies);
    json_decref(report);
    json_decref(again);
    end(&w);
}

/* The n-th allocation fails, for every n: a sentence, and nothing is lost or leaks. */
static void memory_may_fail_anywhere(void **state)
{
    const aerie_judge_options by = { .program = prefer_longer, .program_name = "longer" };
    json_t *report;
    bool failed = true;
    world w;

    (void)state;
    begin(&w, 3);
    json_decref(compare(&w, false)); /* replies are there from now on */
    for (long n = 1; failed; n++) {
        aerie_judge_options options = by;
        aerie_compare *c = NULL;
        aerie_judge *judge = NULL;
        aerie_error err = { 0 };
        char *text = NULL;
        options.program_user = &w;
        ae_alloc_fail_at(n);
        aerie_status status = aerie_judge_open(&judge, &options, &err);
        if (!status) status = aerie_compare_open(&c, &w.options, &err);
        if (!status) status = aerie_compare_ask(c, &err);
        if (!status) status = aerie_compare_judge(c, judge, "longer", NULL, &err);
        if (!status) status = aerie_compare_report(c, &text, &err);
        failed = ae_alloc_has_failed();
        ae_alloc_fail_at(0);
        if (status && !err.message[0]) fail_msg("no sentence at allocation %ld", n);
        if (status && status != AERIE_NO_MEMORY) fail_msg("%ld: %s", n, err.message);
        aerie_free(text);
        aerie_judge_close(judge);
        aerie_compare_close(c);
    }
    report = compare(&w, true);
    assert_int_equal(server_count(w.server), 6);
    is_number(report, "pairs.0.judge.judge.wins_a", 3);
    json_decref(report);
    end(&w);
}

static void votes_become_ratings_and_pairs(void **state)
{
    char *folder = scratch_make(), *path = ae_path_join(folder, "a.db"), *json = NULL;
    char *pairs = ae_path_join(folder, "pairs.jsonl"), messages[64];
    aerie_arena *a = NULL;
    ae_bytes text = { 0 };
    int64_t n = 0;
    bool has = true;

    (void)state;
    assert_int_equal(aerie_arena_open(&a, path, NULL), AERIE_OK);
    for (int i = 0; i < 12; i++) {
        aerie_vote v = { "me",
                         messages,
                         i % 2 ? "good" : "bad",
                         i % 2 ? "bad" : "good",
                         i % 2 ? "yes" : "no",
                         i % 2 ? "no" : "yes",
                         AERIE_VOTE_TIE };
        snprintf(messages, sizeof messages, "[{\"role\":\"user\",\"content\":\"%d\"}]", i);
        if (i < 9) v.vote = i % 2 ? AERIE_VOTE_A : AERIE_VOTE_B;
        if (i == 11) v.vote = AERIE_VOTE_BOTH_BAD;
        assert_int_equal(aerie_arena_has(a, &v, &has, NULL), AERIE_OK);
        assert_false(has);
        assert_int_equal(aerie_arena_vote(a, &v, NULL), AERIE_OK);
        aerie_vote turned = { "me", messages, v.model_b, v.model_a, v.reply_b, v.reply_a, v.vote };
        assert_int_equal(aerie_arena_has(a, &turned, &has, NULL), AERIE_OK);
        assert_true(has);
        turned.voter = "you";
        assert_int_equal(aerie_arena_has(a, &turned, &has, NULL), AERIE_OK);
        assert_false(has);
    }
    aerie_arena_close(a);
    assert_int_equal(aerie_arena_open(&a, path, NULL), AERIE_OK);
    assert_int_equal(aerie_arena_ratings(a, &json, NULL), AERIE_OK);
    json_t *standing = json_loads(json, 0, NULL);
    is_number(standing, "votes", 12);
    is_text(standing, "models.0.model", "good");
    is_number(standing, "models.0.wins", 9);
    is_number(standing, "models.1.ties", 3);
    assert_true(json_number_value(at(standing, "models.0.interval.0")) > 1000);
    assert_int_equal(aerie_arena_export(a, pairs, &n, NULL), AERIE_OK);
    assert_int_equal(n, 9);
    assert_int_equal(ae_file_read(&text, pairs, 0, NULL), AERIE_OK);
    assert_non_null(strstr(text.data,
                           "{\"prompt\":[{\"role\":\"user\",\"content\":\"0\"}],"
                           "\"chosen\":[{\"role\":\"assistant\",\"content\":\"yes\"}],"
                           "\"rejected\":[{\"role\":\"assistant\",\"content\":\"no\"}]}"));
    aerie_arena_close(a);
    assert_int_equal(ae_file_write(path, "no database, but long enough to be looked at", 44, NULL),
                     AERIE_OK);
    assert_int_equal(aerie_arena_open(&a, path, NULL), AERIE_BAD_FILE);
    json_decref(standing);
    aerie_free(json);
    ae_bytes_free(&text);
    ae_free(path);
    ae_free(pairs);
    scratch_remove(folder);
}

int main(void)
{
    setenv("NO_PROXY", "*", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checks_decide),
        cmocka_unit_test(a_judge_decides_before_checks),
        cmocka_unit_test(a_model_is_not_better_than_itself),
        cmocka_unit_test(repeats_are_averaged_before_they_are_tested),
        cmocka_unit_test(a_stopped_run_goes_on),
        cmocka_unit_test(a_refused_prompt_is_one_prompt),
        cmocka_unit_test(mistakes_are_sentences),
        cmocka_unit_test(models_here_answer),
        cmocka_unit_test(memory_may_fail_anywhere),
        cmocka_unit_test(votes_become_ratings_and_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
