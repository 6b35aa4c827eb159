/* test_evaluate.c -- evaluations while a run trains: of methods that sample, too; the best state is
 * kept, a run that gets no better ends, and a kill changes nothing of that. */
#include "tiny.h"

#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <sys/wait.h>

static tiny t;
static ae_samples prompts, held_out, few, few_pairs;

#define RUN(name, how, ...)                                                                        \
    {                                                                                              \
        .method = how, .output = name, .settings = { __VA_ARGS__ },                                \
        .n = sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(const char *)                        \
    }

/* Scores the share of even tokens. */
static aerie_status even_tokens(void *user, const char *command, const aerie_reward_item *items,
                                size_t n, double *scores, aerie_error *err)
{
    (void)user, (void)command, (void)err;
    for (size_t i = 0; i < n; i++) {
        scores[i] = 0;
        for (int64_t k = 0; k < items[i].n_tokens; k++)
            scores[i] += (items[i].ids[k] % 2 == 0) / (double)items[i].n_tokens;
    }
    return AERIE_OK;
}

static void take_prompts(ae_samples *out, size_t from, size_t n)
{
    out->items = ae_arena_take(&out->arena, n, sizeof *out->items);
    for (out->n = 0; out->n < n; out->n++) {
        ae_sample s = t.pairs.items[from + out->n];
        s.kind = AE_EXAMPLE_CHAT;
        s.n = s.n_prompt;
        out->items[out->n] = s;
    }
}

static int set_up(void **state)
{
    (void)state;
    tiny_open(&t);
    take_prompts(&prompts, 0, 7);
    take_prompts(&held_out, 7, 11);
    few = (ae_samples){ .items = t.samples.items, .n = 5 }; /* to be learned by heart */
    few_pairs = (ae_samples){ .items = t.pairs.items, .n = 5 };
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ae_arena_free(&prompts.arena);
    ae_arena_free(&held_out.arena);
    tiny_close(&t);
    return 0;
}

/* Lines of metrics of one event. */
static json_t *lines_of(const char *output, const char *event)
{
    char *path = tiny_path(&t, output, ".metrics.jsonl");
    json_t *all = json_array();
    ae_bytes text = { 0 };

    assert_int_equal(ae_file_read(&text, path, 0, NULL), AERIE_OK);
    for (char *line = strtok(text.data, "\n"); line; line = strtok(NULL, "\n")) {
        json_t *o = json_loads(line, 0, NULL);
        assert_non_null(o);
        if (strcmp(json_string_value(json_object_get(o, "event")), event) == 0)
            json_array_append(all, o);
        json_decref(o);
    }
    ae_bytes_free(&text);
    ae_free(path);
    return all;
}

static double number_in(const json_t *lines, size_t i, const char *key)
{
    const json_t *v = json_object_get(json_array_get(lines, i), key);

    if (!json_is_number(v)) fail_msg("no number '%s' in line %zu", key, i);
    return json_number_value(v);
}

/* ---- methods that sample ---- */

static void test_held_out_prompts_are_measured(void **state)
{
    static const char *const methods[] = { "grpo", "rloo", "ppo", "apa", "awr" };

    (void)state;
    for (size_t m = 0; m < AE_COUNT(methods); m++) {
        tiny_run with = RUN("with.gguf", methods[m], "max_steps=5", "eval_steps=2",
                            "rollout.samples=3", "rollout.max_new_tokens=6", "learning_rate=0.01");
        tiny_run without =
            RUN("without.gguf", methods[m], "max_steps=5", "eval_steps=2", "rollout.samples=3",
                "rollout.max_new_tokens=6", "learning_rate=0.01");
        aerie_train_summary s;
        with.data = without.data = &prompts;
        with.run.reward = without.run.reward = even_tokens;
        with.eval = &held_out;
        ae_bytes a = tiny_output(&t, &with, &s), b = tiny_output(&t, &without, NULL);
        tiny_assert_same(&a, &b, methods[m]); /* nothing is learned from it */
        json_t *lines = lines_of("with.gguf", "eval");
        assert_int_equal(json_array_size(lines), 3);
        for (size_t i = 0; i < 3; i++) {
            double reward = number_in(lines, i, "reward"), n = number_in(lines, i, "reply_tokens");
            assert_true(reward > 0 && reward < 1 && n > 0 && n <= 6);
            number_in(lines, i, "kl");
            assert_null(json_object_get(json_array_get(lines, i), "loss"));
        }
        assert_true(s.eval_reward == number_in(lines, 2, "reward") ||
                    fabs(s.eval_reward - number_in(lines, 2, "reward")) < 1e-8);
        assert_true(isnan(s.eval_loss));
        json_decref(lines);
        ae_bytes_free(&a);
        ae_bytes_free(&b);
    }
}

/* Weights that stand still: the same replies every time, at no KL, however they are batched. */
static void test_the_same_replies_every_time(void **state)
{
    static const char *const parallel[] = { "rollout.parallel=1", "rollout.parallel=32" };
    double first = NAN;

    (void)state;
    for (int i = 0; i < 2; i++) {
        tiny_run r = RUN("still.gguf", "grpo", "max_steps=4", "eval_steps=1", "rollout.samples=2",
                         "learning_rate=0", "rollout.max_new_tokens=6", parallel[i]);
        r.data = &prompts;
        r.eval = &held_out;
        r.threads = i + 1;
        r.run.reward = even_tokens;
        ae_bytes bytes = tiny_output(&t, &r, NULL);
        json_t *lines = lines_of("still.gguf", "eval");
        assert_int_equal(json_array_size(lines), 4);
        if (i == 0) first = number_in(lines, 0, "reward");
        for (size_t k = 0; k < 4; k++) {
            assert_true(number_in(lines, k, "reward") == first);
            assert_true(number_in(lines, k, "kl") == 0);
        }
        json_decref(lines);
        ae_bytes_free(&bytes);
    }
}

/* ---- the best state ---- */

/* `best` ends with what a run to its best step ends with. */
static void check_best(const char *method, const char *a, const char *b, const ae_samples *data,
                       const ae_samples *eval)
{
    tiny_run best =
        RUN("best.gguf", method, a, b, "max_steps=16", "eval_steps=2", "lr_scheduler_type=constant",
            "keep_best=true", "eval_data=none.jsonl", "rollout.max_new_tokens=5");
    tiny_run until = RUN("until.gguf", method, a, b, "max_steps=?", "eval_steps=2",
                         "lr_scheduler_type=constant", "rollout.max_new_tokens=5");
    char *kept = tiny_path(&t, "best.gguf", ".best"), steps[32];
    bool online = data == &prompts;
    aerie_train_summary s;

    if (!online) best.n--, until.n--;
    best.data = until.data = data;
    best.eval = eval;
    best.run.reward = until.run.reward = even_tokens;
    ae_bytes one = tiny_output(&t, &best, &s);
    if (s.best_step <= 0 || s.best_step >= 16)
        fail_msg("%s: the best is step %lld: this shows nothing", method, (long long)s.best_step);
    snprintf(steps, sizeof steps, "max_steps=%lld", (long long)s.best_step);
    until.settings[2] = steps;
    ae_bytes two = tiny_output(&t, &until, NULL);
    tiny_assert_same_adapter(&one, &two, method);
    assert_false(ae_file_exists(kept));
    ae_bytes_free(&one);
    ae_bytes_free(&two);
    ae_free(kept);
}

static void test_the_output_is_the_best_state(void **state)
{
    (void)state;
    check_best("sft", "learning_rate=0.02", "lora.r=0", &few, &t.samples);
    check_best("sft", "learning_rate=0.1", "lora.r=4", &few, &t.samples);
    check_best("sft", "learning_rate=0.1", "lora.dora=true", &few, &t.samples);
    check_best("dpo", "learning_rate=0.02", "best_metric=loss", &few_pairs, &t.pairs);
    check_best("ppo", "learning_rate=0.1", "lora.r=0", &prompts, &held_out);
    check_best("grpo", "learning_rate=0.2", "best_metric=reward", &prompts, &held_out);
}

/* ---- the end ---- */

/* An evaluation that changes nothing is no better: the first counts, two more are waited for. */
static void test_a_run_that_gets_no_better_ends(void **state)
{
    tiny_run r = RUN("early.gguf", "sft", "learning_rate=0", "max_steps=20", "eval_steps=2",
                     "early_stop.patience=2", "eval_data=none.jsonl");
    tiny_run better = RUN("on.gguf", "sft", "max_steps=8", "eval_steps=2", "early_stop.patience=2",
                          "eval_data=none.jsonl");
    tiny_run enough =
        RUN("enough.gguf", "sft", "max_steps=8", "eval_steps=2", "early_stop.patience=2",
            "early_stop.min_delta=100", "eval_data=none.jsonl");
    aerie_train_summary s;

    (void)state;
    r.eval = better.eval = enough.eval = &t.samples;
    ae_bytes bytes = tiny_output(&t, &r, &s);
    ae_bytes_free(&bytes);
    assert_int_equal(s.n_done, 6);
    assert_true(s.ended_early);
    assert_int_equal(s.best_step, 2);
    bytes = tiny_output(&t, &better, &s);
    ae_bytes_free(&bytes);
    assert_int_equal(s.n_done, 8);
    assert_false(s.ended_early);
    bytes = tiny_output(&t, &enough, &s);
    ae_bytes_free(&bytes);
    assert_int_equal(s.n_done, 6);
    json_t *lines = lines_of("enough.gguf", "eval");
    assert_int_equal(json_array_size(lines), 3); /* the last is not made twice */
    json_decref(lines);
}

/* ---- kills ---- */

static int kill_at(void *user, const aerie_train_progress *p)
{
    if (p->phase == AERIE_TRAIN_STEP && p->step == *(const int64_t *)user) raise(SIGKILL);
    return 0;
}

/* Killed after a step, resumed from the checkpoint of an earlier one, or begun again where there is
 * none: the end is that of a run that nobody killed. */
static void check_kills(tiny_run whole, const char *method)
{
    aerie_train_summary all, s;
    ae_bytes one = tiny_output(&t, &whole, &all), two;
    char *state = tiny_path(&t, "parts.gguf", ".checkpoint");
    tiny_run parts = whole;

    parts.output = "parts.gguf";
    for (int64_t step = 5; step < all.n_done; step += 2) {
        pid_t child = fork();
        if (child == 0) {
            parts.run.progress = kill_at;
            parts.run.user = &step;
            tiny_train(&t, &parts, &s, NULL);
            _exit(0);
        }
        assert_int_equal(waitpid(child, NULL, 0), child);
        assert_true(ae_file_exists(state));
        parts.run.resume = true;
        two = tiny_output(&t, &parts, &s);
        parts.run.resume = false;
        assert_true(s.first_step > 0 && s.first_step <= step);
        assert_int_equal(s.n_done, all.n_done);
        assert_int_equal(s.best_step, all.best_step);
        assert_true(s.best == all.best);
        tiny_assert_same(&one, &two, method);
        ae_bytes_free(&two);
    }
    ae_bytes_free(&one);
    ae_free(state);
}

static void test_kills_change_nothing(void **state)
{
    tiny_run sft =
        RUN("whole.gguf", "sft", "learning_rate=0.02", "max_steps=30", "eval_steps=2",
            "keep_best=true", "early_stop.patience=3", "save_steps=3", "eval_data=none.jsonl");
    tiny_run grpo = RUN("whole.gguf", "grpo", "learning_rate=0.05", "max_steps=14", "eval_steps=2",
                        "keep_best=true", "early_stop.patience=3", "save_steps=4",
                        "eval_data=none.jsonl", "rollout.max_new_tokens=5", "lora.r=2");

    (void)state;
    sft.data = &few;
    sft.eval = &t.samples;
    check_kills(sft, "sft");
    grpo.data = &prompts;
    grpo.eval = &held_out;
    grpo.run.reward = even_tokens;
    check_kills(grpo, "grpo");
}

/* Asks to stop in the n-th row that is computed. */
static int stop_within(void *user, const aerie_train_progress *p)
{
    int64_t *left = user;

    return p->phase == AERIE_TRAIN_WITHIN && --*left == 0;
}

/* Stopped anywhere, an evaluation included: what is left to do is done, once. */
static void check_stops(tiny_run whole, const char *method)
{
    aerie_train_summary all, s;
    ae_bytes one = tiny_output(&t, &whole, &all), two;
    json_t *wanted = lines_of(whole.output, "eval");
    tiny_run parts = whole;
    bool in_evaluation = false;

    parts.output = "stops.gguf";
    for (int64_t row = 8; row < 200; row += 9) {
        int64_t left = row;
        aerie_error err = { 0 };
        parts.run.progress = stop_within;
        parts.run.user = &left;
        parts.run.resume = false;
        aerie_status status = tiny_train(&t, &parts, &s, &err);
        if (status == AERIE_OK) break;
        assert_int_equal(status, AERIE_INTERRUPTED);
        in_evaluation |= strstr(err.message, "in the evaluation") != NULL;
        parts.run.progress = NULL;
        parts.run.resume = true;
        two = tiny_output(&t, &parts, &s);
        tiny_assert_same(&one, &two, method);
        assert_int_equal(s.n_done, all.n_done);
        json_t *lines = lines_of(parts.output, "eval");
        if (!json_equal(lines, wanted)) fail_msg("%s: other evaluations", method);
        json_decref(lines);
        ae_bytes_free(&two);
    }
    assert_true(in_evaluation);
    json_decref(wanted);
    ae_bytes_free(&one);
}

static void test_stops_within_an_evaluation_change_nothing(void **state)
{
    tiny_run sft = RUN("whole.gguf", "sft", "learning_rate=0.02", "max_steps=9", "eval_steps=2",
                       "keep_best=true", "early_stop.patience=2", "eval_data=none.jsonl",
                       "micro_batch_tokens=60");
    tiny_run grpo = RUN("whole.gguf", "grpo", "learning_rate=0.05", "max_steps=6", "eval_steps=2",
                        "keep_best=true", "eval_data=none.jsonl", "rollout.max_new_tokens=5",
                        "lora.r=2", "micro_batch_tokens=60");

    (void)state;
    sft.data = &few;
    sft.eval = &t.samples;
    check_stops(sft, "sft");
    grpo.data = &prompts;
    grpo.eval = &held_out;
    grpo.run.reward = even_tokens;
    check_stops(grpo, "grpo");
}

static int stop_at(void *user, const aerie_train_progress *p)
{
    return p->phase == AERIE_TRAIN_STEP && p->step == *(const int64_t *)user;
}

static void refuse(tiny_run *r, const char *words)
{
    aerie_train_summary s;
    aerie_error err = { 0 };

    assert_int_not_equal(tiny_train(&t, r, &s, &err), AERIE_OK);
    if (!strstr(err.message, words)) fail_msg("'%s', wanted '%s'", err.message, words);
}

static void test_what_cannot_be_is_a_sentence(void **state)
{
    int64_t step = 7;
    tiny_run r = RUN("lost.gguf", "sft", "learning_rate=0.1", "max_steps=10", "eval_steps=2",
                     "keep_best=true", "eval_data=none.jsonl");
    tiny_run other = RUN("lost.gguf", "sft", "learning_rate=0.1", "max_steps=10", "eval_steps=3",
                         "keep_best=true", "eval_data=none.jsonl");
    tiny_run no_data = RUN("no.gguf", "sft", "eval_steps=2", "keep_best=true");
    tiny_run no_steps = RUN("no.gguf", "sft", "early_stop.patience=1", "eval_data=none.jsonl");
    tiny_run metric = RUN("no.gguf", "sft", "best_metric=accuracy");
    tiny_run loss = RUN("no.gguf", "grpo", "best_metric=loss");
    char *kept = tiny_path(&t, "lost.gguf", ".best");
    aerie_train_summary s;

    (void)state;
    r.eval = other.eval = &t.samples;
    r.run = (ae_train_run){ .progress = stop_at, .user = &step };
    assert_int_equal(tiny_train(&t, &r, &s, NULL), AERIE_INTERRUPTED);
    other.run.resume = r.run.resume = true;
    refuse(&other, "eval_steps: 2");
    unlink(kept);
    refuse(&r, "best so far");
    refuse(&no_data, "eval_data");
    refuse(&no_steps, "'early_stop.patience' goes by evaluations; give 'eval_steps'");
    refuse(&metric, "best_metric: accuracy");
    refuse(&loss, "best_metric: loss");
    ae_free(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_held_out_prompts_are_measured),
        cmocka_unit_test(test_the_same_replies_every_time),
        cmocka_unit_test(test_the_output_is_the_best_state),
        cmocka_unit_test(test_a_run_that_gets_no_better_ends),
        cmocka_unit_test(test_kills_change_nothing),
        cmocka_unit_test(test_stops_within_an_evaluation_change_nothing),
        cmocka_unit_test(test_what_cannot_be_is_a_sentence),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
