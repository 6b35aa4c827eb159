/* test_files.c -- files of rows read a part at a time: every format, long rows, folders, patterns,
 * and what is said about those that are cut off or are something else. */
#include "data/files.h"

#include <zlib.h>

#define PARQUET "test/format/parquet/"

static char *in_folder(const char *folder, const char *name)
{
    char *path = ae_path_join(folder, name);
    assert_non_null(path);
    return path;
}

static void write_gz(const char *path, const char *data, size_t len, size_t cut)
{
    ae_bytes packed = { 0 };
    gzFile gz = gzopen(path, "wb");
    assert_int_equal(gzwrite(gz, data, (unsigned)len), (int)len);
    assert_int_equal(gzclose(gz), Z_OK);
    if (!cut) return;
    ae_file file;
    assert_int_equal(ae_file_open(&file, path, NULL), AERIE_OK);
    ae_bytes_add(&packed, file.data, file.size - cut);
    ae_file_close(&file);
    assert_int_equal(ae_file_write(path, packed.data, packed.len, NULL), AERIE_OK);
    ae_bytes_free(&packed);
}

/* Rows of many sizes, up to several parts of a file. */
static void add_row(ae_bytes *out, size_t i, bool spread)
{
    ae_bytes_printf(out, spread ? "{\n\"text\":\n\"%zu \\\"],[{ " : "{\"text\":\"%zu \\\"],[{ ", i);
    for (size_t k = 0; k < i * i * i * 97 % 700001; k++)
        ae_bytes_add_char(out, (char)('a' + k % 26));
    ae_bytes_add_text(out, "\"}");
}

enum { N_ROWS = 60 };

static void check_rows(const char *path)
{
    const char *paths[] = { path };
    aerie_error err = { 0 };
    ae_dataset *d;
    size_t n = 0;

    if (ae_dataset_start(&d, paths, 1, NULL, &err)) fail_msg("%s", err.message);
    while (!ae_dataset_ended(d)) {
        if (ae_dataset_more(d, 7, &err)) fail_msg("%s", err.message);
        assert_true(ae_dataset_len(d) <= 7);
        for (size_t i = 0; i < ae_dataset_len(d); i++, n++) {
            ae_example e = ae_dataset_at(d, i);
            assert_int_equal(strtoull(e.text.data, NULL, 10), n);
            assert_int_equal(e.line, n + 1);
            size_t digits = n < 10 ? 1 : 2;
            assert_int_equal(e.text.len, digits + 7 + n * n * n * 97 % 700001);
        }
    }
    assert_int_equal(n, N_ROWS);
    ae_dataset_close(d);
}

static void rows_of_every_size_are_read(void **state)
{
    char *folder = scratch_make(), *lines = in_folder(folder, "a.jsonl"),
         *array = in_folder(folder, "a.json"), *packed = in_folder(folder, "b.json.gz");
    ae_bytes a = { 0 }, b = { 0 };
    (void)state;
    ae_bytes_add_text(&b, "\xef\xbb\xbf \n[\n");
    for (size_t i = 0; i < N_ROWS; i++) {
        add_row(&a, i, false);
        ae_bytes_add_text(&a, i + 1 < N_ROWS ? "\n" : "");
        add_row(&b, i, true);
        ae_bytes_add_text(&b, i + 1 < N_ROWS ? " ,\n" : "\n]\n ");
    }
    assert_int_equal(ae_file_write(lines, a.data, a.len, NULL), AERIE_OK);
    assert_int_equal(ae_file_write(array, b.data, b.len, NULL), AERIE_OK);
    write_gz(packed, b.data, b.len, 0);
    check_rows(lines);
    check_rows(array);
    check_rows(packed);
    ae_bytes_free(&a);
    ae_bytes_free(&b);
    ae_free(lines);
    ae_free(array);
    ae_free(packed);
    scratch_remove(folder);
}

/* What is held is a part of the file, however long it is. */
static void a_long_file_is_never_held_whole(void **state)
{
    char *folder = scratch_make(), *path = in_folder(folder, "a.jsonl.gz");
    const char *paths[] = { path };
    ae_bytes text = { 0 };
    size_t n = 0, bytes;
    ae_dataset *d;
    (void)state;
    char long_text[4000];
    memset(long_text, 'x', sizeof long_text);
    for (int i = 0; i < 4000; i++) {
        ae_bytes_add_text(&text, "{\"text\":\"");
        ae_bytes_add(&text, long_text, sizeof long_text);
        ae_bytes_add_text(&text, "\"}\n");
    }
    write_gz(path, text.data, text.len, 0);
    bytes = text.len;
    ae_bytes_free(&text);
    size_t before = ae_alloc_bytes();
    assert_int_equal(ae_dataset_start(&d, paths, 1, NULL, NULL), AERIE_OK);
    while (!ae_dataset_ended(d)) {
        assert_int_equal(ae_dataset_more(d, 64, NULL), AERIE_OK);
        n += ae_dataset_len(d);
        assert_true(ae_alloc_bytes() - before < bytes / 8);
    }
    assert_int_equal(n, 4000);
    ae_dataset_close(d);
    assert_int_equal(ae_alloc_bytes(), before);
    ae_free(path);
    scratch_remove(folder);
}

static size_t count(const char *path, ae_example_kind kind, const char *shape)
{
    ae_dataset_options o = { .kind = kind };
    aerie_error err = { 0 };
    ae_dataset *d;

    if (ae_dataset_open(&d, &path, 1, &o, &err)) fail_msg("%s", err.message);
    size_t n = ae_dataset_len(d);
    assert_string_equal(ae_dataset_shape(d), shape);
    ae_dataset_close(d);
    return n;
}

/* Parquet is read as the same rows in JSON lines are. */
static void parquet_and_json_give_the_same(void **state)
{
    static const struct {
        const char *parquet, *lines, *shape;
        ae_example_kind kind;
    } cases[] = {
        { "ultrachat_snappy", "ultrachat", "messages", AE_EXAMPLE_CHAT },
        { "binarized_zstd", "binarized", "prompt, chosen and rejected", AE_EXAMPLE_PAIR },
        { "nectar_none", "nectar", "nectar", AE_EXAMPLE_PAIR },
    };
    (void)state;
    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        ae_dataset_options o = { .kind = cases[i].kind, .seed = 42 };
        ae_bytes a = { 0 }, b = { 0 };
        ae_dataset *one, *two;
        ae_bytes_printf(&a, PARQUET "%s.parquet", cases[i].parquet);
        ae_bytes_printf(&b, PARQUET "%s.jsonl", cases[i].lines);
        const char *paths[] = { a.data, b.data };
        assert_int_equal(ae_dataset_open(&one, &paths[0], 1, &o, NULL), AERIE_OK);
        assert_int_equal(ae_dataset_open(&two, &paths[1], 1, &o, NULL), AERIE_OK);
        assert_string_equal(ae_dataset_shape(one), cases[i].shape);
        assert_int_equal(ae_dataset_len(one), ae_dataset_len(two));
        assert_true(ae_dataset_len(one) > 10);
        for (size_t k = 0; k < ae_dataset_len(one); k++) {
            ae_example x = ae_dataset_at(one, k), y = ae_dataset_at(two, k);
            assert_true(json_equal(x.messages, y.messages));
            assert_true(!x.chosen || json_equal(x.chosen, y.chosen));
            assert_true(!x.rejected || json_equal(x.rejected, y.rejected));
            assert_true(x.is_row && !y.is_row && x.line == y.line);
        }
        ae_dataset_close(one);
        ae_dataset_close(two);
        ae_bytes_free(&a);
        ae_bytes_free(&b);
    }
}

static void put(const char *folder, const char *name, const char *text)
{
    char *path = in_folder(folder, name);
    assert_int_equal(ae_file_write(path, text, strlen(text), NULL), AERIE_OK);
    ae_free(path);
}

static void refuses(const char *path, const char *words)
{
    aerie_error err = { 0 };
    ae_dataset *d;

    if (!ae_dataset_open(&d, &path, 1, NULL, &err) || !strstr(err.message, words))
        fail_msg("wanted '%s', got '%s'", words, err.message);
    assert_null(d);
}

static void folders_and_patterns_are_their_files(void **state)
{
    char *folder = scratch_make(), *pattern = in_folder(folder, "*.jsonl"),
         *none = in_folder(folder, "no*.jsonl");
    (void)state;
    refuses(folder, "holds no .parquet");
    put(folder, "train-00001-of-00002.jsonl", "{\"text\":\"c\"}\n");
    put(folder, "train-00000-of-00002.jsonl", "{\"text\":\"a\"}\n{\"text\":\"b\"}\n");
    put(folder, "README.md", "nothing");
    put(folder, "dataset_info.json", "{}");
    put(folder, ".hidden.jsonl", "no JSON");
    assert_int_equal(count(folder, 0, "text"), 3);
    assert_int_equal(count(pattern, 0, "text"), 3);
    const char *path = folder;
    ae_dataset *d;
    assert_int_equal(ae_dataset_open(&d, &path, 1, NULL, NULL), AERIE_OK);
    assert_true(ae_span_is(ae_dataset_at(d, 0).text, "a"));
    assert_true(ae_span_is(ae_dataset_at(d, 2).text, "c"));
    assert_non_null(strstr(ae_dataset_at(d, 2).file, "train-00001"));
    ae_dataset_close(d);
    refuses(none, "no file matches");
    put(folder, "test.jsonl", "{\"text\":\"d\"}\n");
    refuses(folder, "more than one split, 't");
    ae_free(pattern);
    ae_free(none);
    scratch_remove(folder);
}

static void broken_files_are_told_apart(void **state)
{
    static const struct {
        const char *name, *text, *words;
    } cases[] = {
        { "a.json", "[{\"text\":\"a\"},\n{\"text\":\"b\"}", "a.json:2: no JSON (the array is not" },
        { "a.json", "[{\"text\":\"a\"}\n{\"text\":\"b\"}]", "a.json:2: no JSON" },
        { "a.json", "[{\"text\":\"a\"}]\n x", "a.json:2: no JSON (text after the array" },
        { "a.json", "[{\"text\":\"a\"},]", "a.json:1: no JSON" },
        { "a.json", "[{\"text\":\"a\"},{\"text\"\n:\n\"b}]", "a.json:" },
        { "a.json", "[]", "a.json: it holds no records" },
        { "a.json", "[1]", "a.json: row 1: a record must be an object" },
        { "a.jsonl", "[1]\n[2]", "a.jsonl: row 1: a record must be an object" },
        { "a.jsonl", "{\"text\":\"a\"}\n5\n", "a.jsonl:2: a record must be an object" },
        { "a.parquet", "no Parquet", "a.parquet: it is no Parquet file" },
        { "a.parquet", "PAR1", "a.parquet: it does not end as" },
        { "a.jsonl", "\x28\xb5\x2f\xfd....", "packed with zstd" },
        { "a.jsonl", "GGUF....", "it is a model, no data" },
    };
    char *folder = scratch_make();
    (void)state;
    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        char *path = in_folder(folder, cases[i].name);
        put(folder, cases[i].name, cases[i].text);
        refuses(path, cases[i].words);
        ae_free(path);
    }
    scratch_remove(folder);
}

static void a_cut_off_gzip_is_a_sentence(void **state)
{
    char *folder = scratch_make(), *path = in_folder(folder, "a.jsonl.gz");
    ae_bytes text = { 0 };
    (void)state;
    for (int i = 0; i < 5000; i++) ae_bytes_printf(&text, "{\"text\":\"%d\"}\n", i * i);
    for (size_t cut = 1; cut < 3000; cut = cut * 2 + 1) {
        write_gz(path, text.data, text.len, cut);
        refuses(path, "its gzip data is cut off or damaged after");
    }
    ae_bytes_free(&text);
    ae_free(path);
    scratch_remove(folder);
}

static void survives_lack_of_memory(void **state)
{
    char *folder = scratch_make(), *path = in_folder(folder, "a.json");
    const char *paths[] = { folder, PARQUET "binarized_zstd.parquet" };
    ae_dataset_options o = { .kind = AE_EXAMPLE_CHAT };
    bool failed = true;
    (void)state;
    put(folder, "a.json", "[{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}]");
    size_t held = ae_alloc_bytes();
    for (long n = 1; failed; n++) {
        ae_dataset *d;
        ae_alloc_fail_at(n);
        aerie_status status = ae_dataset_open(&d, paths, 2, &o, NULL);
        failed = ae_alloc_has_failed();
        ae_alloc_fail_at(0);
        if (status && !failed) fail_msg("allocation %ld", n);
        ae_dataset_close(d);
        assert_int_equal(ae_alloc_bytes(), held);
    }
    ae_free(path);
    scratch_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_every_size_are_read),
        cmocka_unit_test(a_long_file_is_never_held_whole),
        cmocka_unit_test(parquet_and_json_give_the_same),
        cmocka_unit_test(folders_and_patterns_are_their_files),
        cmocka_unit_test(broken_files_are_told_apart),
        cmocka_unit_test(a_cut_off_gzip_is_a_sentence),
        cmocka_unit_test(survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
