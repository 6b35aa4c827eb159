/* test_file.c -- reading maps and unpacks; writing is all or nothing. */
#include "scratch.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <zlib.h>

static void fill(uint8_t *data, size_t n, uint64_t seed)
{
    ae_rng rng;

    ae_rng_seed(&rng, seed);
    for (size_t i = 0; i < n; i++) data[i] = (uint8_t)(ae_rng_next(&rng) & 15);
}

static void expect_content(const char *path, const void *data, size_t n)
{
    ae_file file;
    ae_bytes bytes = { 0 };

    assert_int_equal(ae_file_open(&file, path, NULL), AERIE_OK);
    assert_int_equal(file.size, n);
    assert_memory_equal(file.data, data, n);
    assert_string_equal(file.path, path);
    ae_file_close(&file);
    ae_file_close(&file);
    assert_int_equal(ae_file_read(&bytes, path, 0, NULL), AERIE_OK);
    assert_int_equal(bytes.len, n);
    assert_memory_equal(bytes.data, data, n);
    ae_bytes_free(&bytes);
}

static void what_is_written_is_read(void **state)
{
    static const size_t sizes[] = { 0, 1, 4095, 4096, 4097, 3000000 };
    char *folder = scratch_make(), *path = ae_path_join(folder, "file");
    uint8_t *data = ae_alloc(3000000, 1);

    (void)state;
    fill(data, 3000000, 1);
    for (size_t i = 0; i < AE_COUNT(sizes); i++) {
        assert_int_equal(ae_file_write(path, data, sizes[i], NULL), AERIE_OK);
        expect_content(path, data, sizes[i]);
        assert_int_equal(scratch_count(folder), 1);
    }
    ae_free(data);
    ae_free(path);
    scratch_remove(folder);
}

static void write_gz(const char *path, const uint8_t *data, unsigned n)
{
    gzFile gz = gzopen(path, "wb");

    assert_int_equal(gzwrite(gz, data, n), n);
    assert_int_equal(gzclose(gz), Z_OK);
}

static void gzip_is_unpacked_and_damage_is_seen(void **state)
{
    enum { N = 100000 };
    char *folder = scratch_make(), *path = ae_path_join(folder, "file.gz");
    uint8_t *data = ae_alloc(N, 1);
    ae_bytes packed = { 0 }, out = { 0 };
    ae_file file;
    aerie_error err = { 0 };

    (void)state;
    fill(data, N, 2);
    write_gz(path, data, N);
    assert_int_equal(ae_file_read(&out, path, 0, &err), AERIE_OK);
    assert_int_equal(out.len, N);
    assert_memory_equal(out.data, data, N);
    assert_int_equal(ae_file_read(&out, path, N, NULL), AERIE_OK);
    assert_int_equal(ae_file_read(&out, path, N - 1, &err), AERIE_BAD_FILE);

    assert_int_equal(ae_file_open(&file, path, NULL), AERIE_OK);
    ae_bytes_add(&packed, file.data, file.size);
    ae_file_close(&file);
    for (size_t cut = 1; cut < 2000; cut += 97) {
        assert_int_equal(ae_file_write(path, packed.data, packed.len - cut, NULL), AERIE_OK);
        assert_int_equal(ae_file_read(&out, path, 0, NULL), AERIE_BAD_FILE);
    }
    packed.data[packed.len / 2] ^= 0x55;
    assert_int_equal(ae_file_write(path, packed.data, packed.len, NULL), AERIE_OK);
    assert_int_equal(ae_file_read(&out, path, 0, NULL), AERIE_BAD_FILE);
    ae_bytes_free(&packed);
    ae_bytes_free(&out);
    ae_free(data);
    ae_free(path);
    scratch_remove(folder);
}

static void what_cannot_be_opened_is_named(void **state)
{
    char *folder = scratch_make(), *path = ae_path_join(folder, "none");
    ae_file file;
    ae_bytes out = { 0 };
    aerie_error err = { 0 };

    (void)state;
    assert_int_equal(ae_file_open(&file, path, &err), AERIE_NOT_FOUND);
    assert_non_null(strstr(err.message, path));
    ae_file_close(&file);
    assert_int_equal(ae_file_open(&file, folder, NULL), AERIE_BAD_ARGUMENT);
    assert_int_equal(ae_file_open(&file, "/dev/null", NULL), AERIE_BAD_ARGUMENT);
    assert_int_equal(ae_file_read(&out, path, 0, NULL), AERIE_NOT_FOUND);
    assert_int_equal(ae_file_read(&out, folder, 0, NULL), AERIE_BAD_ARGUMENT);
    assert_int_equal(ae_file_read(&out, "/dev/null", 0, NULL), AERIE_OK);
    assert_int_equal(out.len, 0);
    assert_int_equal(ae_file_write(folder, "x", 1, NULL), AERIE_BAD_ARGUMENT);
    assert_true(ae_file_is_folder(folder) && !ae_file_exists(path));
    ae_bytes_free(&out);
    ae_free(path);
    scratch_remove(folder);
}

static void abandoned_work_leaves_no_trace(void **state)
{
    char *folder = scratch_make(), *path = ae_path_join(folder, "file");
    ae_file_writer w;

    (void)state;
    assert_int_equal(ae_file_write(path, "old", 3, NULL), AERIE_OK);
    assert_int_equal(ae_file_writer_open(&w, path, NULL), AERIE_OK);
    ae_file_writer_add(&w, "new and longer", 14);
    expect_content(path, "old", 3);
    ae_file_writer_abandon(&w);
    ae_file_writer_abandon(&w);
    expect_content(path, "old", 3);
    assert_int_equal(scratch_count(folder), 1);
    ae_free(path);
    scratch_remove(folder);
}

static void padding_reaches_the_next_multiple(void **state)
{
    char *folder = scratch_make(), *path = ae_path_join(folder, "file");
    ae_file_writer w;

    (void)state;
    assert_int_equal(ae_file_writer_open(&w, path, NULL), AERIE_OK);
    ae_file_writer_pad(&w, 32);
    assert_int_equal(w.written, 0);
    ae_file_writer_add(&w, "abc", 3);
    ae_file_writer_pad(&w, 4);
    ae_file_writer_pad(&w, 4);
    ae_file_writer_pad(&w, 200);
    assert_int_equal(w.written, 200);
    assert_int_equal(ae_file_writer_commit(&w, NULL), AERIE_OK);
    ae_free(path);
    scratch_remove(folder);
}

/* A limit on the size of files stands in for a full disk. */
static void a_full_disk_is_reported_and_loses_nothing(void **state)
{
    char *folder = scratch_make(), *path = ae_path_join(folder, "file");
    struct rlimit before, small;
    char block[4096] = { 0 };
    aerie_error err = { 0 };
    ae_file_writer w;

    (void)state;
    assert_int_equal(ae_file_write(path, "old", 3, NULL), AERIE_OK);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    small = before;
    small.rlim_cur = 10000;
    setrlimit(RLIMIT_FSIZE, &small);
    assert_int_equal(ae_file_writer_open(&w, path, NULL), AERIE_OK);
    for (int i = 0; i < 5; i++) ae_file_writer_add(&w, block, sizeof block);
    assert_int_equal(ae_file_writer_commit(&w, &err), AERIE_IO);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_non_null(strstr(err.message, path));
    expect_content(path, "old", 3);
    assert_int_equal(scratch_count(folder), 1);

    err = (aerie_error){ 0 };
    assert_int_equal(ae_file_write("/dev/full", block, sizeof block, &err), AERIE_IO);
    assert_non_null(strstr(err.message, "make room"));
    ae_free(path);
    scratch_remove(folder);
}

static void a_link_is_followed_and_a_device_written_in_place(void **state)
{
    char *folder = scratch_make();
    char *path = ae_path_join(folder, "file"), *link_path = ae_path_join(folder, "link");
    struct stat info;

    (void)state;
    assert_int_equal(ae_file_write(path, "old", 3, NULL), AERIE_OK);
    assert_int_equal(symlink("file", link_path), 0);
    assert_int_equal(ae_file_write(link_path, "newer", 5, NULL), AERIE_OK);
    assert_int_equal(lstat(link_path, &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    expect_content(path, "newer", 5);
    assert_int_equal(ae_file_write("/dev/null", "x", 1, NULL), AERIE_OK);
    assert_int_equal(stat("/dev/null", &info), 0);
    assert_true(S_ISCHR(info.st_mode));
    ae_free(path);
    ae_free(link_path);
    scratch_remove(folder);
}

static void folders_are_made_with_their_parents(void **state)
{
    char *folder = scratch_make(), *a = ae_path_join(folder, "a"), *b = ae_path_join(a, "b/");
    char *file = ae_path_join(b, "file"), *below = ae_path_join(file, "x");
    aerie_error err = { 0 };

    (void)state;
    assert_int_equal(ae_file_make_folder(b, &err), AERIE_OK);
    assert_int_equal(ae_file_make_folder(b, &err), AERIE_OK);
    assert_true(ae_file_is_folder(b));
    assert_int_equal(ae_file_write(file, "x", 1, NULL), AERIE_OK);
    assert_int_equal(ae_file_make_folder(below, &err), AERIE_IO);
    assert_string_equal(strrchr(file, '/'), "/file");
    assert_null(strstr(file, "//"));
    unlink(file);
    rmdir(b);
    ae_free(below);
    ae_free(file);
    ae_free(b);
    ae_free(a);
    scratch_remove(folder);
}

/* Whatever allocation fails, the call says so, nothing leaks and the old file stays. */
/* What was forgotten is the same when it is read again; what lies outside is left alone. */
static void forgotten_pages_come_back(void **state)
{
    enum { SIZE = 300001 };
    char *folder = scratch_make(), *path = ae_path_join(folder, "file");
    char *text = ae_alloc(SIZE, 1), *other = ae_alloc(SIZE, 1);
    ae_file file;
    (void)state;

    for (int i = 0; i < SIZE; i++) text[i] = other[i] = (char)(i * 31 / 7);
    assert_int_equal(ae_file_write(path, text, SIZE, NULL), AERIE_OK);
    assert_int_equal(ae_file_open(&file, path, NULL), AERIE_OK);
    for (size_t at = 0; at < SIZE; at += 9999) {
        ae_file_forget(&file, file.data + at, SIZE - at);
        ae_file_forget(&file, other + at, SIZE - at);
        assert_memory_equal(file.data, text, SIZE);
    }
    ae_file_forget(&file, file.data, SIZE + 1);
    ae_file_forget(&file, file.data, SIZE_MAX);
    assert_memory_equal(file.data, text, SIZE);
    assert_memory_equal(other, text, SIZE);
    ae_file_close(&file);
    ae_file_forget(&file, other, SIZE);
    assert_memory_equal(other, text, SIZE);
    ae_free(text);
    ae_free(other);
    ae_free(path);
    scratch_remove(folder);
}

static void out_of_memory_is_survived(void **state)
{
    char *folder = scratch_make(), *path = ae_path_join(folder, "file");
    size_t before = ae_alloc_bytes();
    aerie_status status = AERIE_NO_MEMORY;

    (void)state;
    for (long n = 1; status; n++) {
        ae_bytes out = { 0 };
        ae_file file = { 0 };
        aerie_error err = { 0 };
        ae_alloc_fail_at(n);
        status = ae_file_write(path, "text", 4, &err);
        if (!status) status = ae_file_open(&file, path, &err);
        if (!status) status = ae_file_read(&out, path, 0, &err);
        if (ae_alloc_has_failed() && status) assert_int_equal(status, AERIE_NO_MEMORY);
        ae_alloc_fail_at(0);
        ae_file_close(&file);
        ae_bytes_free(&out);
        assert_int_equal(ae_alloc_bytes(), before);
        assert_true(n < 50);
    }
    assert_int_equal(scratch_count(folder), 1);
    ae_free(path);
    scratch_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(gzip_is_unpacked_and_damage_is_seen),
        cmocka_unit_test(what_cannot_be_opened_is_named),
        cmocka_unit_test(abandoned_work_leaves_no_trace),
        cmocka_unit_test(padding_reaches_the_next_multiple),
        cmocka_unit_test(a_full_disk_is_reported_and_loses_nothing),
        cmocka_unit_test(a_link_is_followed_and_a_device_written_in_place),
        cmocka_unit_test(folders_are_made_with_their_parents),
        cmocka_unit_test(forgotten_pages_come_back),
        cmocka_unit_test(out_of_memory_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
