/* test_parquet.c -- what pyarrow wrote, read back row by row; and files that were cut or changed.
 *
 * test/format/parquet holds files of pyarrow and the same rows as JSON lines
 * (tools/golden/make_parquet_fixtures.py). */
#include "scratch.h"

#include "format/format.h"

#define FOLDER "test/format/parquet/"

static json_t *read_lines(const char *name)
{
    ae_bytes path = { 0 }, text = { 0 };
    json_t *rows = json_array();

    ae_bytes_printf(&path, FOLDER "%s.jsonl", name);
    assert_int_equal(ae_file_read(&text, path.data, 0, NULL), AERIE_OK);
    for (char *at = text.data, *end; *at; at = end + 1) {
        end = strchr(at, '\n');
        assert_non_null(end);
        json_t *row = json_loadb(at, (size_t)(end - at), 0, NULL);
        assert_non_null(row);
        json_array_append_new(rows, row);
    }
    ae_bytes_free(&path);
    ae_bytes_free(&text);
    return rows;
}

static void rows_are(const char *file, const char *lines)
{
    json_t *wanted = read_lines(lines), *row;
    ae_bytes path = { 0 };
    aerie_error err = { 0 };
    ae_parquet *p;

    ae_bytes_printf(&path, FOLDER "%s.parquet", file);
    if (ae_parquet_open(&p, path.data, &err)) fail_msg("%s", err.message);
    assert_int_equal(ae_parquet_n_rows(p), json_array_size(wanted));
    for (size_t i = 0; i <= json_array_size(wanted); i++) {
        if (ae_parquet_next(p, &row, &err)) fail_msg("%s", err.message);
        if (i == json_array_size(wanted)) break;
        if (!json_equal(row, json_array_get(wanted, i))) {
            print_error("wanted %s\n", json_dumps(json_array_get(wanted, i), JSON_SORT_KEYS));
            print_error("got    %s\n", json_dumps(row, JSON_SORT_KEYS));
            fail_msg("%s: row %zu", file, i + 1);
        }
        json_decref(row);
    }
    assert_null(row);
    ae_parquet_close(p);
    ae_bytes_free(&path);
    json_decref(wanted);
}

static void pyarrow_files_give_their_rows(void **state)
{
    size_t before = ae_alloc_bytes();
    (void)state;
    rows_are("ultrachat_snappy", "ultrachat");
    rows_are("binarized_zstd", "binarized");
    rows_are("ultrafeedback_gzip", "ultrafeedback");
    rows_are("nectar_none", "nectar");
    rows_are("types_snappy", "types");
    rows_are("types_deltas", "types");
    rows_are("types_old", "types");
    assert_int_equal(ae_alloc_bytes(), before);
}

static const char *const all_files[] = { "ultrachat_snappy", "binarized_zstd", "ultrafeedback_gzip",
                                         "nectar_none",      "types_snappy",   "types_deltas",
                                         "types_old" };

static ae_bytes read_file(const char *name)
{
    ae_bytes path = { 0 }, file = { 0 };

    ae_bytes_printf(&path, FOLDER "%s.parquet", name);
    assert_int_equal(ae_file_read(&file, path.data, 0, NULL), AERIE_OK);
    ae_bytes_free(&path);
    return file;
}

/* All rows of bytes; false, with a sentence: they were refused. */
static bool walks(const void *data, size_t size)
{
    aerie_error err = { 0 };
    ae_parquet *p;
    json_t *row;
    aerie_status status = ae_parquet_open_memory(&p, data, size, "x.parquet", &err);

    if (status) assert_null(p);
    while (!status) {
        status = ae_parquet_next(p, &row, &err);
        if (status) assert_null(row);
        if (status || !row) break;
        json_decref(row);
    }
    ae_parquet_close(p);
    if (status == AERIE_BAD_FILE) assert_non_null(strstr(err.message, "x.parquet: "));
    return status == AERIE_OK;
}

/* Copies that end where the bytes end, so that a sanitizer sees reading past them. */
static void files_cut_anywhere_are_refused(void **state)
{
    size_t before = ae_alloc_bytes();
    (void)state;
    for (size_t i = 0; i < AE_COUNT(all_files); i++) {
        ae_bytes file = read_file(all_files[i]);
        for (size_t len = 0; len < file.len; len += file.len / 97 + 1) {
            char *copy = ae_alloc(len, 1);
            if (len) memcpy(copy, file.data, len);
            assert_false(walks(copy, len));
            ae_free(copy);
        }
        ae_bytes_free(&file);
    }
    assert_int_equal(ae_alloc_bytes(), before);
}

/* A changed byte gives other rows or a sentence, never more. */
static void changed_bytes_do_no_harm(void **state)
{
    static const uint8_t changes[] = { 0x00, 0xff, 0x80, 0x7f, 0x01 };
    size_t before = ae_alloc_bytes(), n_refused = 0;
    ae_rng rng;
    (void)state;
    ae_rng_seed(&rng, 1);
    for (size_t i = 0; i < AE_COUNT(all_files); i++) {
        ae_bytes file = read_file(all_files[i]);
        for (int k = 0; k < 400; k++) {
            size_t at = (size_t)ae_rng_below(&rng, file.len);
            char was = file.data[at];
            file.data[at] =
                (char)(k % 2 ? was ^ (1 << k / 2 % 8) : changes[k / 2 % AE_COUNT(changes)]);
            n_refused += !walks(file.data, file.len);
            file.data[at] = was;
        }
        assert_true(walks(file.data, file.len));
        ae_bytes_free(&file);
    }
    assert_true(n_refused > 100);
    assert_int_equal(ae_alloc_bytes(), before);
}

static void survives_lack_of_memory(void **state)
{
    ae_bytes file = read_file("types_deltas");
    size_t held = ae_alloc_bytes();
    bool failed = true;
    (void)state;
    for (long n = 1; failed; n++) {
        ae_alloc_fail_at(n);
        bool good = walks(file.data, file.len);
        failed = ae_alloc_has_failed();
        ae_alloc_fail_at(0);
        /* An arena that gets no large block asks for a smaller one. */
        if (!good && !failed) fail_msg("allocation %ld", n);
        assert_int_equal(ae_alloc_bytes(), held);
    }
    ae_bytes_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pyarrow_files_give_their_rows),
        cmocka_unit_test(files_cut_anywhere_are_refused),
        cmocka_unit_test(changed_bytes_do_no_harm),
        cmocka_unit_test(survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
