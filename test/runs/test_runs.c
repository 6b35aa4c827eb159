/* test_runs.c -- what is recorded is what is read; a resumed run's entry goes on; trouble with the
 * file loses nothing that can be kept and stops nobody. */
#include "runs/runs.h"

#include "scratch.h"

#include <math.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

static char *folder, *path;
static int n_warnings;

static void count_warning(void *user, aerie_log_level level, const char *message)
{
    (void)user;
    (void)message;
    n_warnings += level == AERIE_LOG_WARNING;
}

static int setup(void **state)
{
    (void)state;
    folder = scratch_make();
    path = ae_path_join(folder, "deep/er/runs.sqlite");
    n_warnings = 0;
    aerie_log_set(count_warning, NULL);
    return path ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    scratch_remove(folder);
    ae_free(path);
    return 0;
}

static ae_run_about about_of(const char *output)
{
    static const ae_run_source data[] = { { "a.jsonl", "00ff" }, { "b.jsonl", "11ee" } };

    return (ae_run_about){ .method = "dpo",
                           .model = "m.gguf",
                           .model_hash = "abcd",
                           .output = output,
                           .recipe_path = "r.yaml",
                           .recipe = "method: dpo\n",
                           .settings = "beta: 0.1\nnote: a: b\nempty:\n",
                           .identity = "beta: 0.1\n",
                           .data = data,
                           .n_data = 2,
                           .n_steps = 10 };
}

static void record(ae_run_log *log, int64_t step, double loss)
{
    ae_run_value values[] = { { "loss", loss }, { "margin", (double)step } };

    ae_run_record(log, "", step, values, 2);
}

typedef struct {
    aerie_run_state state;
    int64_t step, n_steps;
    char name[40], message[80];
} seen_run;

static bool see_run(void *user, const aerie_run *r)
{
    seen_run *s = user;

    *s = (seen_run){ .state = r->state, .step = r->step, .n_steps = r->n_steps };
    snprintf(s->name, sizeof s->name, "%s", r->name);
    snprintf(s->message, sizeof s->message, "%s", r->message);
    return true;
}

static seen_run read_run(int64_t id)
{
    aerie_runs *runs;
    seen_run seen = { 0 };

    assert_int_equal(aerie_runs_open(&runs, path, NULL), AERIE_OK);
    assert_int_equal(aerie_runs_get(runs, id, see_run, &seen, NULL), AERIE_OK);
    aerie_runs_close(runs);
    return seen;
}

static bool add_text(void *user, const char *name, const char *value)
{
    ae_bytes_printf(user, "%s=%s;", name, value);
    return true;
}

static bool add_point(void *user, int64_t step, double value)
{
    ae_bytes_printf(user, "%lld:%g ", (long long)step, value);
    return true;
}

static bool add_metric(void *user, const aerie_run_metric *m)
{
    ae_bytes_printf(user, "%s %lld %g %g %g %g %lld;", m->name, (long long)m->n, m->first, m->last,
                    m->min, m->max, (long long)m->last_step);
    return true;
}

static void assert_series(int64_t id, const char *metric, const char *wanted)
{
    aerie_runs *runs;
    ae_bytes text = { 0 };

    assert_int_equal(aerie_runs_open(&runs, path, NULL), AERIE_OK);
    assert_int_equal(aerie_runs_series(runs, id, metric, add_point, &text, NULL), AERIE_OK);
    assert_string_equal(text.data ? text.data : "", wanted);
    ae_bytes_free(&text);
    aerie_runs_close(runs);
}

static void test_what_is_recorded_is_read(void **state)
{
    ae_run_about about = about_of("x/out.v2.gguf");
    ae_run_log *log = ae_run_begin(path, &about);
    ae_bytes text = { 0 };
    aerie_runs *runs;

    (void)state;
    assert_non_null(log);
    assert_int_equal(ae_run_id(log), 1);
    assert_int_equal(read_run(1).state, AERIE_RUN_RUNNING);
    record(log, 1, 0.5);
    record(log, 2, NAN);
    record(log, 3, 0.25);
    ae_run_record(log, "eval_", 3, &(ae_run_value){ "loss", 0.75 }, 1);
    assert_int_equal(read_run(1).step, 3); /* while it runs */
    ae_run_end(log, AERIE_RUN_FAILED, "a sentence");
    assert_int_equal(read_run(1).state, AERIE_RUN_FAILED);
    assert_string_equal(read_run(1).message, "a sentence");
    assert_string_equal(read_run(1).name, "out.v2");
    assert_int_equal(read_run(1).n_steps, 10);
    assert_series(1, "loss", "1:0.5 3:0.25 ");
    assert_series(1, "eval_loss", "3:0.75 ");
    assert_series(1, "nothing", "");

    assert_int_equal(aerie_runs_open(&runs, path, NULL), AERIE_OK);
    aerie_runs_metrics(runs, 1, add_metric, &text, NULL);
    aerie_runs_settings(runs, 1, add_text, &text, NULL);
    aerie_runs_data(runs, 1, add_text, &text, NULL);
    assert_string_equal(text.data,
                        "eval_loss 1 0.75 0.75 0.75 0.75 3;loss 2 0.5 0.25 0.25 0.5 3;"
                        "margin 3 1 3 1 3 3;beta=0.1;empty=;note=a: b;a.jsonl=00ff;b.jsonl=11ee;");
    ae_bytes_free(&text);
    aerie_runs_close(runs);
    assert_int_equal(n_warnings, 0);
}

static void test_words_find_runs(void **state)
{
    static const char *const outputs[] = { "sft.gguf", "dpo.gguf", "sft.gguf", "2.gguf" };
    aerie_runs *runs;
    aerie_error err = { 0 };
    int64_t id;

    (void)state;
    for (size_t i = 0; i < AE_COUNT(outputs); i++) {
        ae_run_about about = about_of(outputs[i]);
        ae_run_end(ae_run_begin(path, &about), AERIE_RUN_DONE, NULL);
    }
    assert_int_equal(aerie_runs_open(&runs, path, NULL), AERIE_OK);
    const struct {
        const char *word;
        int64_t id;
    } cases[] = { { "1", 1 }, { "sft", 3 }, { "dpo", 2 }, { "last", 4 }, { "2", 2 } };
    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        assert_int_equal(aerie_runs_find(runs, cases[i].word, &id, NULL), AERIE_OK);
        assert_int_equal(id, cases[i].id);
    }
    assert_int_equal(aerie_runs_find(runs, "dop", &id, &err), AERIE_NOT_FOUND);
    assert_non_null(strstr(err.message, "did you mean 'dpo'"));
    assert_int_equal(aerie_runs_find(runs, "9", &id, NULL), AERIE_NOT_FOUND);
    assert_int_equal(aerie_runs_get(runs, 9, see_run, NULL, NULL), AERIE_NOT_FOUND);
    aerie_runs_close(runs);
}

/* Killed in its fifth step, resumed after its third. */
static void test_a_killed_run_goes_on(void **state)
{
    ae_run_about about = about_of("k.gguf");
    ae_run_log *log;
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        log = ae_run_begin(path, &about);
        for (int64_t step = 1; step <= 5; step++) record(log, step, 1.0 / (double)step);
        _exit(0);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(read_run(1).state, AERIE_RUN_INTERRUPTED);
    assert_int_equal(read_run(1).step, 5);
    about.step = 3;
    log = ae_run_begin(path, &about);
    assert_int_equal(ae_run_id(log), 1);
    assert_int_equal(read_run(1).state, AERIE_RUN_RUNNING);
    assert_int_equal(read_run(1).step, 3);
    record(log, 4, 7);
    ae_run_end(log, AERIE_RUN_DONE, NULL);
    assert_series(1, "margin", "1:1 2:2 3:3 4:4 ");
    assert_series(1, "loss", "1:1 2:0.5 3:0.333333 4:7 ");
    /* Of other settings, of another output, and of one that is done: a run of its own. */
    about.identity = "beta: 0.2\n";
    log = ae_run_begin(path, &about);
    assert_int_equal(ae_run_id(log), 2);
    ae_run_end(log, AERIE_RUN_INTERRUPTED, "stopped");
    about.output = "other.gguf";
    log = ae_run_begin(path, &about);
    assert_int_equal(ae_run_id(log), 3);
    ae_run_end(log, AERIE_RUN_DONE, NULL);
    log = ae_run_begin(path, &about);
    assert_int_equal(ae_run_id(log), 4);
    ae_run_end(log, AERIE_RUN_DONE, NULL);
    assert_int_equal(n_warnings, 0);
}

/* What another program's lock keeps out waits, and is there when the lock is gone. */
static void test_a_lock_loses_nothing(void **state)
{
    ae_run_about about = about_of("l.gguf");
    ae_run_log *log = ae_run_begin(path, &about);
    sqlite3 *other;

    (void)state;
    record(log, 1, 1);
    assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    record(log, 2, 2);
    record(log, 3, 3);
    assert_int_equal(n_warnings, 1);
    assert_series(1, "loss", "1:1 ");
    sqlite3_exec(other, "COMMIT", NULL, NULL, NULL);
    record(log, 4, 4);
    assert_series(1, "loss", "1:1 2:2 3:3 4:4 ");
    sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    record(log, 5, 5);
    sqlite3_close(other);
    ae_run_end(log, AERIE_RUN_DONE, NULL);
    assert_series(1, "loss", "1:1 2:2 3:3 4:4 5:5 ");
    assert_int_equal(n_warnings, 1);
}

static void write_file(const void *data, size_t len)
{
    char *parent = ae_path_join(folder, "deep/er");

    assert_int_equal(ae_file_make_folder(parent, NULL), AERIE_OK);
    assert_int_equal(ae_file_write(path, data, len, NULL), AERIE_OK);
    ae_free(parent);
}

static void expect_no_record(const char *words)
{
    ae_run_about about = about_of("n.gguf");
    aerie_error err = { 0 };
    aerie_runs *runs;

    n_warnings = 0;
    assert_null(ae_run_begin(path, &about));
    assert_int_equal(n_warnings, 1);
    assert_int_not_equal(aerie_runs_open(&runs, path, &err), AERIE_OK);
    assert_null(runs);
    if (!strstr(err.message, words)) fail_msg("'%s', wanted '%s'", err.message, words);
    record(NULL, 1, 1);
    ae_run_end(NULL, AERIE_RUN_DONE, NULL);
}

static void test_what_is_no_record_is_left_alone(void **state)
{
    ae_bytes text = { 0 };
    sqlite3 *db;

    (void)state;
    write_file("no database, but long enough for a header of a hundred bytes, at least when it is "
               "filled up with something",
               100);
    expect_no_record("no database");
    assert_int_equal(ae_file_read(&text, path, 0, NULL), AERIE_OK);
    assert_int_equal(text.len, 100);
    ae_bytes_free(&text);
    unlink(path);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL);
    sqlite3_close(db);
    expect_no_record("newer version");
    assert_null(ae_run_begin(NULL, &(ae_run_about){ 0 })); /* nobody wants one */
}

/* A record that turns to noise under a run's feet. */
static void test_damage_is_a_sentence(void **state)
{
    ae_run_about about = about_of("d.gguf");
    ae_run_log *log = ae_run_begin(path, &about);
    ae_bytes text = { 0 };
    aerie_error err = { 0 };
    aerie_runs *runs;
    int64_t id;

    (void)state;
    for (int64_t step = 1; step <= 400; step++) record(log, step, (double)step);
    ae_run_end(log, AERIE_RUN_DONE, NULL);
    assert_int_equal(ae_file_read(&text, path, 0, NULL), AERIE_OK);
    for (size_t at = 4096; at < text.len; at++) text.data[at] = (char)(at * 131 + 7);
    write_file(text.data, text.len);
    aerie_status status = aerie_runs_open(&runs, path, &err);
    if (!status) status = aerie_runs_find(runs, "last", &id, &err);
    assert_int_equal(status, AERIE_BAD_FILE);
    assert_non_null(strstr(err.message, path));
    aerie_runs_close(runs);
    n_warnings = 0;
    log = ae_run_begin(path, &about);
    record(log, 1, 1);
    ae_run_end(log, AERIE_RUN_DONE, NULL);
    assert_int_equal(n_warnings, 1);
    ae_bytes_free(&text);
}

/* Our own allocations fail, one after the other: no record, or less of one, and no more than that.
 */
static void test_out_of_memory(void **state)
{
    ae_run_about about = about_of("m.gguf");

    (void)state;
    for (long n = 1;; n++) {
        ae_alloc_fail_at(n);
        ae_run_log *log = ae_run_begin(path, &about);
        for (int64_t step = 1; step <= 80; step++) record(log, step, 1);
        ae_run_end(log, AERIE_RUN_DONE, NULL);
        bool failed = ae_alloc_has_failed();
        ae_alloc_fail_at(0);
        if (!failed) break;
        assert_true(n < 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_is_recorded_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_words_find_runs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_killed_run_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_lock_loses_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_record_is_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damage_is_a_sentence, setup, teardown),
        cmocka_unit_test_setup_teardown(test_out_of_memory, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
