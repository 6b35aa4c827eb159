/* test_journal.c -- what a journal's file holds, whatever ended the program that wrote it. */
#include "scratch.h"

#include "journal/journal.h"

#include <signal.h>
#include <sys/resource.h>

static char *folder, *path;

static int begin(void **state)
{
    (void)state;
    folder = scratch_make();
    path = ae_path_join(folder, "lines.jsonl");
    return 0;
}

static int end(void **state)
{
    (void)state;
    ae_free(path);
    scratch_remove(folder);
    return 0;
}

/* Lines {"n": 0}, {"n": 1}, ...: counts them in *user. */
static aerie_status count(void *user, const json_t *line, aerie_error *err)
{
    int *n = user;

    if (!json_is_integer(json_object_get(line, "n"))) return ae_journal_refuse("number", err);
    assert_int_equal(json_integer_value(json_object_get(line, "n")), (*n)++);
    return AERIE_OK;
}

static aerie_status open_it(ae_journal *j, int *n, aerie_error *err)
{
    *n = 0;
    return ae_journal_open(j, path, "number", count, n, err);
}

static aerie_status add(ae_journal *j, int n, aerie_error *err)
{
    return ae_journal_add(j, json_pack("{s:i, s:s}", "n", n, "text", "caf\xc3\xa9 \"x\"\n"),
                          AE_JOURNAL_UTF8, err);
}

static void write_file(const void *data, size_t len)
{
    assert_int_equal(ae_file_write(path, data, len, NULL), AERIE_OK);
}

static void check_file(const void *data, size_t len)
{
    ae_bytes text = { 0 };

    assert_int_equal(ae_file_read(&text, path, 0, NULL), AERIE_OK);
    assert_int_equal(text.len, len);
    if (len) assert_memory_equal(text.data, data, len);
    ae_bytes_free(&text);
}

/* A file of n lines, in memory. */
static ae_bytes make(int n)
{
    ae_bytes text = { 0 };
    ae_journal j;
    int had;

    unlink(path);
    assert_int_equal(open_it(&j, &had, NULL), AERIE_OK);
    for (int i = 0; i < n; i++) assert_int_equal(add(&j, i, NULL), AERIE_OK);
    ae_journal_close(&j);
    assert_int_equal(ae_file_read(&text, path, 0, NULL), AERIE_OK);
    return text;
}

static void lines_come_back(void **state)
{
    ae_bytes text = make(3);
    ae_journal j;
    int n;

    (void)state;
    assert_int_equal(open_it(&j, &n, NULL), AERIE_OK);
    assert_int_equal(n, 3);
    assert_int_equal(j.n_lines, 3);
    assert_int_equal(add(&j, 3, NULL), AERIE_OK);
    assert_int_equal(j.n_lines, 4);
    assert_int_equal(ae_journal_sync(&j, NULL), AERIE_OK);
    ae_journal_close(&j);
    ae_journal_close(&j);
    ae_bytes_add_text(&text, "{\"n\":3,\"text\":\"caf\xc3\xa9 \\\"x\\\"\\n\"}\n");
    check_file(text.data, text.len);
    ae_bytes_free(&text);
}

/* Stopped at any byte: whole lines stay, and the file can go on. */
static void a_torn_line_is_dropped(void **state)
{
    ae_bytes text = make(3);

    (void)state;
    for (size_t len = 0; len <= text.len; len++) {
        size_t whole = len;
        ae_journal j;
        int n;
        while (whole > 0 && text.data[whole - 1] != '\n') whole--;
        write_file(text.data, len);
        assert_int_equal(open_it(&j, &n, NULL), AERIE_OK);
        check_file(text.data, whole);
        for (int i = n; i < 3; i++) assert_int_equal(add(&j, i, NULL), AERIE_OK);
        ae_journal_close(&j);
        check_file(text.data, text.len);
    }
    ae_bytes_free(&text);
}

/* What some file systems leave of a line after a power cut. */
static void zeros_are_a_torn_line(void **state)
{
    static const char torn[] = "{\"n\":0}\n\0\0\0\0\0";
    ae_journal j;
    int n;

    (void)state;
    write_file(torn, sizeof torn);
    assert_int_equal(open_it(&j, &n, NULL), AERIE_OK);
    assert_int_equal(n, 1);
    ae_journal_close(&j);
    check_file(torn, 8);
}

static void what_is_not_ours_is_refused_and_stays(void **state)
{
    static const struct {
        const char *text, *says;
    } files[] = {
        { "not ours, and not a line", ":1: no number; move the file away" },
        { "{\"n\":0}\nnot ours\n{\"n\":1}\n{\"n\"", ":2: no number" },
        { "{\"n\":0}\n\n{\"n\":\"x\"}\n{", ":3: no number" },
        { "{\"n\":0}\n[1]\n", ":2: no number" },
        { "{\"n\":0}\n{\"n\":1\n", ":2: no number" },
        { "{\"n\":0}\n{\"n\":1} {}\n", ":2: no number" },
        { "{\"n\":0}\n\xff\n", ":2: no number" },
        { "{\"n\":0}\n# note", ":2: no number" },
    };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(files); i++) {
        aerie_error err = { 0 };
        ae_journal j;
        int n;
        write_file(files[i].text, strlen(files[i].text));
        assert_int_equal(open_it(&j, &n, &err), AERIE_BAD_FILE);
        if (!strstr(err.message, files[i].says)) fail_msg("%zu: %s", i, err.message);
        assert_int_equal(strncmp(err.message, path, strlen(path)), 0);
        assert_null(j.path);
        check_file(files[i].text, strlen(files[i].text));
    }
}

static void one_run_at_a_time(void **state)
{
    aerie_error err = { 0 };
    ae_journal one, two;
    int n;

    (void)state;
    assert_int_equal(open_it(&one, &n, NULL), AERIE_OK);
    assert_int_equal(open_it(&two, &n, &err), AERIE_IO);
    assert_non_null(strstr(err.message, "another run"));
    assert_int_equal(add(&one, 0, NULL), AERIE_OK);
    ae_journal_close(&one);
    assert_int_equal(open_it(&two, &n, NULL), AERIE_OK);
    assert_int_equal(n, 1);
    ae_journal_close(&two);
}

/* A limit on the file's size stands for a disk that fills up: a part of the line is written. */
static void a_full_disk_leaves_whole_lines(void **state)
{
    ae_bytes text = make(2);
    struct rlimit old, limit;
    aerie_error err = { 0 };
    ae_journal j;
    int n;

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    limit = old;
    limit.rlim_cur = text.len + 10;
    assert_int_equal(open_it(&j, &n, NULL), AERIE_OK);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(add(&j, 2, &err), AERIE_IO);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(strncmp(err.message, path, strlen(path)), 0);
    assert_int_equal(j.n_lines, 2);
    check_file(text.data, text.len);
    assert_int_equal(add(&j, 2, NULL), AERIE_OK);
    ae_journal_close(&j);
    assert_int_equal(open_it(&j, &n, NULL), AERIE_OK);
    assert_int_equal(n, 3);
    ae_journal_close(&j);
    ae_bytes_free(&text);
}

static void a_full_device_is_a_sentence(void **state)
{
    aerie_error err = { 0 };
    ae_journal j;
    int n = 0;

    (void)state;
    if (access("/dev/full", W_OK)) skip();
    assert_int_equal(ae_journal_open(&j, "/dev/full", "number", count, &n, NULL), AERIE_OK);
    assert_int_equal(add(&j, 0, &err), AERIE_IO);
    assert_non_null(strstr(err.message, "make room and run it again"));
    ae_journal_close(&j);
}

static void what_cannot_be_opened_is_a_sentence(void **state)
{
    aerie_error err = { 0 };
    ae_journal j;
    int n = 0;

    (void)state;
    assert_int_equal(ae_journal_open(&j, folder, "number", count, &n, &err), AERIE_IO);
    assert_int_equal(strncmp(err.message, folder, strlen(folder)), 0);
    assert_null(j.path);
}

/* '\0' may stand in a text; what can't be a line is refused; the references are taken. */
static void any_text_comes_back(void **state)
{
    static const char odd[] = "a\0b\x7f\xf0\x9f\xa6\x85";
    ae_journal j;
    int n;

    (void)state;
    assert_int_equal(open_it(&j, &n, NULL), AERIE_OK);
    assert_int_equal(ae_journal_add(&j, json_pack("{s:i, s:s%}", "n", 0, "t", odd, sizeof odd - 1),
                                    AE_JOURNAL_ASCII, NULL),
                     AERIE_OK);
    assert_int_equal(
        ae_journal_add(&j, json_pack("{s:i, s:f}", "n", 1, "x", 0.1), AE_JOURNAL_UTF8, NULL),
        AERIE_OK);
    assert_int_equal(ae_journal_add(&j, NULL, AE_JOURNAL_UTF8, NULL), AERIE_NO_MEMORY);
    ae_journal_close(&j);
    static const char wanted[] = "{\"n\":0,\"t\":\"a\\u0000b\x7f\\uD83E\\uDD85\"}\n"
                                 "{\"n\":1,\"x\":0.10000000000000001}\n";
    check_file(wanted, sizeof wanted - 1);
    assert_int_equal(open_it(&j, &n, NULL), AERIE_OK);
    assert_int_equal(n, 2);
    ae_journal_close(&j);
}

static void long_lines_are_read(void **state)
{
    ae_bytes text = { 0 };
    ae_journal j;
    int n;

    (void)state;
    for (int i = 0; i < 4; i++) {
        ae_bytes_printf(&text, "{\"n\":%d,\"t\":\"", i);
        for (int k = 0; k < 65500 + i; k++) ae_bytes_add_char(&text, 'x');
        ae_bytes_add_text(&text, "\"}\n");
    }
    write_file(text.data, text.len - 1);
    assert_int_equal(open_it(&j, &n, NULL), AERIE_OK);
    assert_int_equal(n, 3);
    ae_journal_close(&j);
    ae_bytes_free(&text);
}

static void no_memory_is_a_status(void **state)
{
    ae_bytes text = make(2);
    bool failed = true;

    (void)state;
    for (long at = 1; failed; at++) {
        ae_journal j;
        aerie_status status;
        int n;
        ae_alloc_fail_at(at);
        status = open_it(&j, &n, NULL);
        failed = ae_alloc_has_failed();
        ae_alloc_fail_at(0);
        assert_int_equal(status, failed ? AERIE_NO_MEMORY : AERIE_OK);
        ae_journal_close(&j);
        check_file(text.data, text.len);
    }
    ae_bytes_free(&text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lines_come_back),
        TEST(a_torn_line_is_dropped),
        TEST(zeros_are_a_torn_line),
        TEST(what_is_not_ours_is_refused_and_stays),
        TEST(one_run_at_a_time),
        TEST(a_full_disk_leaves_whole_lines),
        TEST(a_full_device_is_a_sentence),
        TEST(what_cannot_be_opened_is_a_sentence),
        TEST(any_text_comes_back),
        TEST(long_lines_are_read),
        TEST(no_memory_is_a_status),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
