/* test_database.c -- one SQLite file of several programs, and files that are none, torn, newer, or
 * not to be written. */
#include "scratch.h"

#include "database/database.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { PROGRAMS = 8, ROUNDS = 10 };

static const ae_database_kind kind = {
    .what = "the list of things",
    .maker = "`aerie thing` begins it",
    .version = 3,
    .wait_ms = 20000,
    .schema = "CREATE TABLE things (name TEXT NOT NULL);"
              "CREATE TABLE parts (name TEXT NOT NULL)",
};

static char *folder, *path;

static int begin(void **state)
{
    (void)state;
    folder = scratch_make();
    path = ae_path_join(folder, "deep/er/things.sqlite");
    return 0;
}

static int end(void **state)
{
    (void)state;
    ae_free(path);
    scratch_remove(folder);
    return 0;
}

static aerie_status put(const ae_database *d, const char *name, aerie_error *err)
{
    sqlite3_stmt *s = NULL;
    aerie_status status = ae_database_prepare(d, &s, "INSERT INTO things VALUES (?)", err);

    if (status) return status;
    ae_database_bind(s, 1, name);
    status = ae_database_step(d, s, err);
    sqlite3_finalize(s);
    return status;
}

static int count(const ae_database *d)
{
    sqlite3_stmt *s = NULL;
    bool is_row = false;
    int n;

    assert_int_equal(ae_database_prepare(d, &s, "SELECT count(*) FROM things", NULL), AERIE_OK);
    assert_int_equal(ae_database_row(d, s, &is_row, NULL), AERIE_OK);
    assert_true(is_row);
    n = sqlite3_column_int(s, 0);
    sqlite3_finalize(s);
    return n;
}

static void make(void)
{
    ae_database d = { 0 };

    assert_int_equal(ae_database_create(&d, &kind, path, NULL), AERIE_OK);
    assert_int_equal(put(&d, NULL, NULL), AERIE_OK);
    ae_database_close(&d);
}

static void what_is_put_is_there(void **state)
{
    ae_database d = { 0 };
    sqlite3_stmt *s = NULL;
    bool is_row = false;
    aerie_error err = { 0 };

    (void)state;
    assert_int_equal(ae_database_open(&d, &kind, path, &err), AERIE_NOT_FOUND);
    assert_non_null(strstr(err.message, "there is no such file yet; `aerie thing` begins it"));
    make();
    assert_int_equal(ae_database_open(&d, &kind, path, NULL), AERIE_OK);
    assert_int_equal(count(&d), 1);
    assert_int_equal(ae_database_prepare(&d, &s, "SELECT name, NULL FROM things", NULL), AERIE_OK);
    assert_int_equal(ae_database_row(&d, s, &is_row, NULL), AERIE_OK);
    assert_string_equal(ae_database_text(s, 0), "");
    assert_string_equal(ae_database_text(s, 1), "");
    assert_int_equal(ae_database_row(&d, s, &is_row, NULL), AERIE_OK);
    assert_false(is_row);
    sqlite3_finalize(s);
    assert_int_equal(put(&d, "more", NULL), AERIE_IO); /* opened for reading */
    ae_database_close(&d);
    ae_database_close(&d);
}

/* A program that makes the file, or finds it made a moment ago, and writes into it. */
static void run_program(int ready)
{
    ae_database d = { 0 };
    aerie_error err = { 0 };
    char go;

    if (read(ready, &go, 1) != 1) _exit(2);
    if (ae_database_create(&d, &kind, path, &err) || put(&d, "one", &err)) {
        fprintf(stderr, "%s\n", err.message);
        _exit(1);
    }
    ae_database_close(&d);
    _exit(0);
}

static void several_make_one_file_at_once(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        char name[32], go[PROGRAMS] = { 0 };
        pid_t programs[PROGRAMS];
        ae_database d = { 0 };
        int ready[2], ended, failed = 0;

        ae_free(path);
        snprintf(name, sizeof name, "round%d.sqlite", round);
        path = ae_path_join(folder, name);
        assert_int_equal(pipe(ready), 0);
        for (int i = 0; i < PROGRAMS; i++) {
            programs[i] = fork();
            assert_true(programs[i] >= 0);
            if (!programs[i]) run_program(ready[0]);
        }
        assert_int_equal(write(ready[1], go, sizeof go), sizeof go);
        for (int i = 0; i < PROGRAMS; i++) {
            assert_int_equal(waitpid(programs[i], &ended, 0), programs[i]);
            failed += ended != 0;
        }
        close(ready[0]);
        close(ready[1]);
        assert_int_equal(failed, 0);
        assert_int_equal(ae_database_open(&d, &kind, path, NULL), AERIE_OK);
        assert_int_equal(count(&d), PROGRAMS);
        ae_database_close(&d);
    }
}

static void is_refused(aerie_status wanted, const char *why)
{
    ae_database d = { 0 };
    aerie_error err = { 0 };

    assert_int_equal(ae_database_create(&d, &kind, path, &err), wanted);
    assert_non_null(strstr(err.message, why));
    assert_non_null(strstr(err.message, path));
    assert_null(d.db);
    err = (aerie_error){ 0 };
    assert_int_equal(ae_database_open(&d, &kind, path, &err), wanted);
    assert_non_null(strstr(err.message, why));
    assert_null(d.db);
}

static void other_files_are_refused(void **state)
{
    ae_database_kind newer = kind;
    ae_database d = { 0 };
    ae_bytes text = { 0 };

    (void)state;
    make();
    assert_int_equal(ae_file_read(&text, path, 0, NULL), AERIE_OK);
    for (size_t at = 0; at < 100; at++) text.data[at] = 'x';
    assert_int_equal(ae_file_write(path, text.data, text.len, NULL), AERIE_OK);
    is_refused(AERIE_BAD_FILE, "the list of things is damaged, or no database");
    ae_bytes_free(&text);

    ae_free(path);
    path = ae_path_join(folder, "newer.sqlite");
    newer.version = 4;
    assert_int_equal(ae_database_create(&d, &newer, path, NULL), AERIE_OK);
    ae_database_close(&d);
    is_refused(AERIE_UNSUPPORTED, "the list of things is of a newer version of this program");

    ae_free(path);
    path = ae_path_join(folder, "folder");
    assert_int_equal(mkdir(path, 0777), 0);
    is_refused(AERIE_IO, "the list of things cannot be opened");
}

static void another_database_is_not_read(void **state)
{
    ae_database d = { 0 };
    sqlite3 *db = NULL;
    aerie_error err = { 0 };

    (void)state;
    ae_free(path);
    path = ae_path_join(folder, "other.sqlite");
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE x (y)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(ae_database_open(&d, &kind, path, &err), AERIE_BAD_FILE);
    assert_non_null(strstr(err.message, "it does not hold the list of things"));
}

static void a_locked_file_is_waited_for(void **state)
{
    ae_database holder = { 0 }, d = { 0 };
    aerie_error err = { 0 };

    (void)state;
    make();
    assert_int_equal(ae_database_create(&holder, &kind, path, NULL), AERIE_OK);
    assert_int_equal(ae_database_create(&d, &kind, path, NULL), AERIE_OK);
    assert_int_equal(ae_database_run(&holder, "BEGIN IMMEDIATE", NULL), AERIE_OK);
    ae_database_wait(&d, 1);
    assert_int_equal(put(&d, "two", &err), AERIE_IO);
    assert_non_null(strstr(err.message, "locked by another program; try again"));
    ae_database_rollback(&holder);
    ae_database_rollback(&holder); /* nothing is open any more */
    assert_int_equal(put(&d, "two", NULL), AERIE_OK);
    assert_int_equal(count(&d), 2);
    ae_database_close(&d);
    ae_database_close(&holder);
}

static aerie_status fill(const ae_database *d, aerie_error *err)
{
    aerie_status status = ae_database_run(d, "BEGIN IMMEDIATE", err);
    char *text = ae_alloc(1, 40001);

    assert_non_null(text);
    memset(text, 'x', 40000);
    for (int i = 0; !status && i < 100; i++) status = put(d, text, err);
    ae_free(text);
    if (!status) status = ae_database_run(d, "COMMIT", err);
    if (status) ae_database_rollback(d);
    return status;
}

static void a_full_disk_loses_nothing(void **state)
{
    struct rlimit was, little;
    ae_database d = { 0 };
    aerie_error err = { 0 };

    (void)state;
    make();
    assert_int_equal(ae_database_create(&d, &kind, path, NULL), AERIE_OK);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    little = was;
    little.rlim_cur = 1000000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
    assert_int_equal(fill(&d, &err), AERIE_IO);
    assert_non_null(strstr(err.message, path));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    assert_int_equal(count(&d), 1);
    assert_int_equal(fill(&d, NULL), AERIE_OK);
    assert_int_equal(count(&d), 101);
    ae_database_close(&d);
}

/* As another user where this one may write anywhere. */
static void a_file_that_may_only_be_read_is_read(void **state)
{
    ae_database d = { 0 };

    (void)state;
    if (geteuid() == 0) {
        print_message("skipped: this user may write anywhere\n");
        skip();
    }
    make();
    assert_int_equal(chmod(path, 0444), 0);
    assert_int_equal(ae_database_create(&d, &kind, path, NULL), AERIE_OK);
    assert_int_equal(count(&d), 1);
    assert_int_equal(put(&d, "two", NULL), AERIE_IO);
    ae_database_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_put_is_there, begin, end),
        cmocka_unit_test_setup_teardown(several_make_one_file_at_once, begin, end),
        cmocka_unit_test_setup_teardown(other_files_are_refused, begin, end),
        cmocka_unit_test_setup_teardown(another_database_is_not_read, begin, end),
        cmocka_unit_test_setup_teardown(a_locked_file_is_waited_for, begin, end),
        cmocka_unit_test_setup_teardown(a_full_disk_loses_nothing, begin, end),
        cmocka_unit_test_setup_teardown(a_file_that_may_only_be_read_is_read, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
