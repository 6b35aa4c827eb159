/* test_resume.c -- what is on the disk when a run ends badly, and going on from it. */
#include "tiny.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static tiny t;

#define RUN(name, how, ...)                                                                        \
    {                                                                                              \
        .method = how, .output = name, .settings = { __VA_ARGS__ },                                \
        .n = sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(const char *)                        \
    }

/* What a progress callback does after some step. */
typedef struct {
    int64_t at;
    int signal; /* 0: asks to stop */
} ending;

static int end_at(void *user, const aerie_train_progress *p)
{
    const ending *e = user;

    if (p->phase != AERIE_TRAIN_STEP || p->step != e->at) return 0;
    if (e->signal) raise(e->signal);
    return 1;
}

/* A child process that trains and is killed after its step 8; its checkpoint is of step 6. */
static void train_and_be_killed(tiny_run r)
{
    ending e = { 8, SIGKILL };
    int how;
    pid_t child = fork();

    if (child == 0) {
        aerie_train_summary s;
        r.run = (ae_train_run){ .progress = end_at, .user = &e };
        tiny_train(&t, &r, &s, NULL);
        _exit(0);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
}

static void check_kill(const char *method, const char *a, const char *b)
{
    tiny_run whole = RUN("whole.gguf", method, a, b, "max_steps=10", "save_steps=6");
    tiny_run parts = RUN("parts.gguf", method, a, b, "max_steps=10", "save_steps=6");
    char *output = tiny_path(&t, "parts.gguf", ""),
         *state = tiny_path(&t, "parts.gguf", ".checkpoint");
    aerie_train_summary s;
    ae_bytes one, two;

    unlink(output);
    train_and_be_killed(parts);
    assert_false(ae_file_exists(output));
    assert_true(ae_file_exists(state));
    parts.run.resume = true;
    parts.threads = 2; /* nothing depends on it */
    two = tiny_output(&t, &parts, &s);
    assert_int_equal(s.first_step, 6);
    assert_false(ae_file_exists(state));
    one = tiny_output(&t, &whole, NULL);
    tiny_assert_same(&one, &two, method);
    ae_bytes_free(&one);
    ae_bytes_free(&two);
    ae_free(output);
    ae_free(state);
}

static void test_ten_steps_are_six_a_kill_and_four(void **state)
{
    (void)state;
    check_kill("sft", "weight_decay=0.01", "label_smoothing=0.05");
    check_kill("dpo", "lora.r=4", "lora.dropout=0.1");
    check_kill("dpo", "beta=0.3", "shuffle=true");
    check_kill("bco", "beta=0.3", "shuffle=true"); /* the mean of its rewards goes on too */
    check_kill("sft", "lora.r=4", "lora.dora=true");
    check_kill("dpo", "optim=rmsprop", "weight_decay=0.01");
    check_kill("pretrain", "packing=none", "lr_scheduler_type=linear");
}

/* The metrics of a resumed run read as those of one that was never stopped. */
static void test_metrics_go_on(void **state)
{
    tiny_run r = RUN("lines.gguf", "sft", "max_steps=10", "save_steps=6");
    char *path = tiny_path(&t, "lines.gguf", ".metrics.jsonl");
    ae_bytes bytes, text = { 0 };
    int lines = 0;

    (void)state;
    train_and_be_killed(r);
    r.run.resume = true;
    bytes = tiny_output(&t, &r, NULL);
    assert_int_equal(ae_file_read(&text, path, 0, NULL), AERIE_OK);
    for (char *line = strtok(text.data, "\n"); line; line = strtok(NULL, "\n")) {
        char wanted[32];
        snprintf(wanted, sizeof wanted, "\"step\": %d,", ++lines);
        assert_non_null(strstr(line, wanted));
    }
    assert_int_equal(lines, 10);
    ae_bytes_free(&bytes);
    ae_bytes_free(&text);
    ae_free(path);
}

/* Asked to stop, it keeps the last step whatever save_steps says. */
static void test_an_interruption_keeps_the_last_step(void **state)
{
    ending e = { 7, 0 };
    tiny_run whole = RUN("through.gguf", "sft", "max_steps=10", "save_steps=0");
    tiny_run r = RUN("stopped.gguf", "sft", "max_steps=10", "save_steps=0");
    aerie_train_summary s;
    aerie_error err = { 0 };
    ae_bytes one, two;

    (void)state;
    r.run = (ae_train_run){ .progress = end_at, .user = &e };
    assert_int_equal(tiny_train(&t, &r, &s, &err), AERIE_INTERRUPTED);
    assert_non_null(strstr(err.message, "step 7 of 10"));
    r.run = (ae_train_run){ .resume = true };
    two = tiny_output(&t, &r, &s);
    assert_int_equal(s.first_step, 7);
    one = tiny_output(&t, &whole, NULL);
    tiny_assert_same(&one, &two, "interrupted");
    ae_bytes_free(&one);
    ae_bytes_free(&two);
}

/* Between any two micro-batches. */
static void test_a_step_is_stopped_within(void **state)
{
    tiny_run sft = RUN("within.gguf", "sft", "max_steps=2", "micro_batch_tokens=1");
    tiny_run dpo = RUN("within.gguf", "dpo", "max_steps=2", "micro_batch_tokens=1", "lora.r=2");
    tiny_run bco = RUN("within.gguf", "bco", "max_steps=2", "micro_batch_tokens=1");

    (void)state;
    assert_int_equal(tiny_assert_stops_within(&t, &sft), 10);
    assert_int_equal(tiny_assert_stops_within(&t, &dpo), 10);
    /* The step's log-probabilities come first. */
    assert_int_equal(tiny_assert_stops_within(&t, &bco), 20);
}

static void make_checkpoint(const char *name)
{
    ending e = { 3, 0 };
    tiny_run r = RUN(name, "sft", "max_steps=10");
    aerie_train_summary s;

    r.run = (ae_train_run){ .progress = end_at, .user = &e };
    assert_int_equal(tiny_train(&t, &r, &s, NULL), AERIE_INTERRUPTED);
}

static void expect_refusal(const tiny_run *r, const char *words)
{
    aerie_train_summary s;
    aerie_error err = { 0 };

    assert_int_not_equal(tiny_train(&t, r, &s, &err), AERIE_OK);
    if (!strstr(err.message, words)) fail_msg("'%s', wanted '%s'", err.message, words);
}

static void test_what_does_not_fit_is_refused(void **state)
{
    tiny_run other = RUN("fit.gguf", "sft", "max_steps=10", "weight_decay=0.5");
    tiny_run other_model = RUN("fit.gguf", "sft", "max_steps=10", "lora.r=2");
    tiny_run missing = RUN("nowhere.gguf", "sft", "max_steps=10");
    tiny_run other_data = RUN("fit.gguf", "sft", "max_steps=10");
    ae_samples fewer = t.samples;

    (void)state;
    make_checkpoint("fit.gguf");
    other.run.resume = other_model.run.resume = missing.run.resume = other_data.run.resume = true;
    expect_refusal(&other, "'weight_decay: 0', and this run has 'weight_decay: 0.5'");
    expect_refusal(&other_model, "lora.r");
    expect_refusal(&missing, "no checkpoint to go on from");
    fewer.n--;
    other_data.data = &fewer;
    expect_refusal(&other_data, "data's hash");
}

/* Cut off anywhere, or with any byte changed, it is refused, and the run changes nothing. */
static void test_a_damaged_checkpoint_is_refused(void **state)
{
    tiny_run r = RUN("bad.gguf", "sft", "max_steps=10");
    char *path = tiny_path(&t, "bad.gguf", ".checkpoint");
    ae_bytes whole = { 0 };
    aerie_train_summary s;

    (void)state;
    make_checkpoint("bad.gguf");
    assert_int_equal(ae_file_read(&whole, path, 0, NULL), AERIE_OK);
    r.run.resume = true;
    for (size_t len = 0; len < whole.len; len += len < 600 ? 7 : whole.len / 23) {
        aerie_error err = { 0 };
        assert_int_equal(ae_file_write(path, whole.data, len, NULL), AERIE_OK);
        assert_int_not_equal(tiny_train(&t, &r, &s, &err), AERIE_OK);
        assert_non_null(strstr(err.message, "bad.gguf.checkpoint"));
    }
    for (size_t at = 0; at < whole.len; at += at < 600 ? 5 : whole.len / 29) {
        aerie_error err = { 0 };
        whole.data[at] ^= 0x20;
        assert_int_equal(ae_file_write(path, whole.data, whole.len, NULL), AERIE_OK);
        whole.data[at] ^= 0x20;
        assert_int_not_equal(tiny_train(&t, &r, &s, &err), AERIE_OK);
        assert_string_not_equal(err.message, "");
    }
    ae_bytes_free(&whole);
    ae_free(path);
}

/* The disk fills while a checkpoint is written: the one before stays, whole, and the run that goes
 * on from it ends as if nothing had been. */
static void test_a_full_disk_loses_nothing(void **state)
{
    tiny_run whole = RUN("roomy.gguf", "sft", "max_steps=10", "save_steps=3");
    tiny_run r = RUN("full.gguf", "sft", "max_steps=10", "save_steps=3");
    char *checkpoint = tiny_path(&t, "full.gguf", ".checkpoint");
    ae_bytes one, two;
    pid_t child;
    int how;

    (void)state;
    make_checkpoint("full.gguf"); /* of step 3 */
    child = fork();
    if (child == 0) {
        struct rlimit small = { 20000, 20000 }; /* bytes of any file: smaller than a checkpoint */
        aerie_train_summary s;
        aerie_error err = { 0 };
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &small);
        r.run.resume = true;
        aerie_status status = tiny_train(&t, &r, &s, &err);
        _exit(status == AERIE_IO && strstr(err.message, "full.gguf") ? 42 : 1);
    }
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 42);
    assert_true(ae_file_exists(checkpoint));
    r.run.resume = true;
    two = tiny_output(&t, &r, NULL);
    one = tiny_output(&t, &whole, NULL);
    tiny_assert_same(&one, &two, "after a full disk");
    ae_bytes_free(&one);
    ae_bytes_free(&two);
    ae_free(checkpoint);
}

static int setup(void **state)
{
    (void)state;
    tiny_open(&t);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tiny_close(&t);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ten_steps_are_six_a_kill_and_four),
        cmocka_unit_test(test_metrics_go_on),
        cmocka_unit_test(test_an_interruption_keeps_the_last_step),
        cmocka_unit_test(test_a_step_is_stopped_within),
        cmocka_unit_test(test_what_does_not_fit_is_refused),
        cmocka_unit_test(test_a_damaged_checkpoint_is_refused),
        cmocka_unit_test(test_a_full_disk_loses_nothing),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
