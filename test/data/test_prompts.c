/* test_prompts.c -- records as prompts: what is read, what is left out, and what is a sentence. */
#include "data/data.h"
#include "tiny_vocab.h"

#include "../scratch.h"

static ae_tokenizer *tokenizer;
static ae_template *format;

static aerie_status read_path(ae_samples *out, const char *path, const ae_encode_options *o,
                              ae_pool *pool, aerie_error *err)
{
    const ae_dataset_options options = { .kind = AE_EXAMPLE_PROMPT };
    ae_dataset *d = NULL;
    aerie_status status = ae_dataset_start(&d, &path, 1, &options, err);

    if (!status) status = ae_samples_encode(out, d, o, pool, err);
    ae_dataset_close(d);
    return status;
}

static aerie_status read_text(ae_samples *out, const char *text, int32_t max_length,
                              aerie_error *err)
{
    char *folder = scratch_make(), *path = ae_path_join(folder, "p.jsonl");
    ae_encode_options o = { .tokenizer = tokenizer,
                            .chat_template = format,
                            .max_prompt_length = max_length };
    aerie_status status;

    assert_int_equal(ae_file_write(path, text, strlen(text), NULL), AERIE_OK);
    status = read_path(out, path, &o, NULL, err);
    ae_free(path);
    scratch_remove(folder);
    return status;
}

/* However a prompt is spelled, and whether or not a reply follows: the same tokens. */
static void test_spellings_are_one_prompt(void **state)
{
    static const char text[] =
        "{\"prompt\": \"hi\", \"answer\": 3}\n"
        "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]}\n"
        "{\"prompt\": [{\"role\": \"user\", \"content\": \"hi\"}]}\n"
        "{\"prompt\": \"\\n\\nHuman: hi\\n\\nAssistant:\"}\n"
        "\n{\"question\": \"hi\"}\n{\"instruction\": \"hi\"}\n"
        "{\"conversations\": [{\"from\": \"human\", \"value\": \"hi\"}, {\"from\": \"gpt\", "
        "\"value\": \"hello\"}]}\n";
    ae_samples s;
    aerie_error err = { 0 };

    (void)state;
    if (read_text(&s, text, 0, &err)) fail_msg("%s", err.message);
    assert_int_equal(s.n, 7);
    for (size_t i = 0; i < s.n; i++) {
        assert_int_equal(s.items[i].n, s.items[0].n);
        assert_int_equal(s.items[i].n_prompt, s.items[i].n);
        assert_memory_equal(s.items[i].ids, s.items[0].ids,
                            (size_t)s.items[0].n * sizeof *s.items[0].ids);
    }
    assert_string_equal(s.items[0].row, "{\"prompt\":\"hi\",\"answer\":3}");
    ae_samples_free(&s);
}

static void test_long_ones_are_left_out(void **state)
{
    ae_samples s;
    aerie_error err = { 0 };

    (void)state;
    if (read_text(&s, "[{\"prompt\": \"hi\"}]", 0, &err)) fail_msg("%s", err.message);
    int32_t n = s.items[0].n;
    ae_samples_free(&s);
    if (read_text(&s, "{\"prompt\": \"hi\"}\n{\"prompt\": \"hi, hi\"}", n, &err))
        fail_msg("%s", err.message);
    assert_int_equal(s.n, 1);
    assert_int_equal(s.n_dropped, 1);
    ae_samples_free(&s);
    assert_int_equal(read_text(&s, "{\"prompt\": \"hi\"}", n - 1, &err), AERIE_BAD_FILE);
    assert_non_null(strstr(err.message, "max_prompt_length"));
}

static void test_what_is_no_prompt(void **state)
{
    static const char *const cases[][2] = {
        { "{\"text\": \"hi\"}", "columns are text" },
        { "{\"prompt\": \"hi\"}\n{\"prompt\": 3}", ":2:" },
        { "{\"messages\": [{\"role\": \"assistant\", \"content\": \"a\"}]}", "before the reply" },
        { "{\"messages\": []}", "list of messages" },
        { "{\"prompt\": \"hi\"", "no JSON" },
        { "[1]", "object" },
        { "", "no records" },
    };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        ae_samples s;
        aerie_error err = { 0 };
        assert_int_not_equal(read_text(&s, cases[i][0], 0, &err), AERIE_OK);
        if (!strstr(err.message, cases[i][1]))
            fail_msg("'%s': '%s', wanted '%s'", cases[i][0], err.message, cases[i][1]);
    }
}

/* Of every format that holds rows, in the files' order whatever the number of threads. */
static void test_files_of_any_format(void **state)
{
    static const char line[] = "{\"prompt\": \"%d\", \"answer\": %d}\n";
    ae_encode_options o = { .tokenizer = tokenizer, .chat_template = format };
    char *folder = scratch_make();
    ae_bytes files[2] = { 0 };
    ae_pool *pool = NULL;
    ae_samples s;
    aerie_error err = { 0 };

    (void)state;
    for (int i = 0; i < 300; i++) ae_bytes_printf(&files[i >= 200], line, i, i);
    for (int i = 0; i < 2; i++) {
        char *path = ae_path_join(folder, i ? "b.jsonl" : "a.jsonl");
        assert_int_equal(ae_file_write(path, files[i].data, files[i].len, NULL), AERIE_OK);
        ae_bytes_free(&files[i]);
        ae_free(path);
    }
    assert_int_equal(ae_pool_open(&pool, 3, NULL), AERIE_OK);
    if (read_path(&s, folder, &o, pool, &err)) fail_msg("%s", err.message);
    assert_int_equal(s.n, 300);
    for (int i = 0; i < 300; i++) {
        char row[64];
        snprintf(row, sizeof row, "{\"prompt\":\"%d\",\"answer\":%d}", i, i);
        assert_string_equal(s.items[i].row, row);
    }
    ae_samples_free(&s);
    if (read_path(&s, "test/format/parquet/ultrachat_snappy.parquet", &o, pool, &err))
        fail_msg("%s", err.message);
    assert_true(s.n > 1);
    assert_non_null(strstr(s.items[0].row, "\"messages\":["));
    ae_samples_free(&s);
    ae_pool_close(pool);
    scratch_remove(folder);
}

/* The n-th allocation fails: a status each time, and nothing is left behind. */
static void test_out_of_memory(void **state)
{
    ae_encode_options o = { .tokenizer = tokenizer, .chat_template = format };
    char *folder = scratch_make(), *path = ae_path_join(folder, "p.jsonl");
    bool failed = true;
    size_t held;

    (void)state;
    assert_int_equal(ae_file_write(path, "{\"prompt\": \"hi\"}", 16, NULL), AERIE_OK);
    held = ae_alloc_bytes();
    for (long n = 1; failed; n++) {
        ae_samples s;
        ae_alloc_fail_at(n);
        aerie_status status = read_path(&s, path, &o, NULL, NULL);
        failed = ae_alloc_has_failed();
        ae_alloc_fail_at(0);
        if (!status) ae_samples_free(&s);
        assert_true(failed || status == AERIE_OK);
        assert_int_equal(ae_alloc_bytes(), held);
    }
    ae_free(path);
    scratch_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spellings_are_one_prompt),
        cmocka_unit_test(test_long_ones_are_left_out),
        cmocka_unit_test(test_what_is_no_prompt),
        cmocka_unit_test(test_files_of_any_format),
        cmocka_unit_test(test_out_of_memory),
    };

    tokenizer = tiny_vocab(true);
    if (ae_template_parse(&format, ae_span_text(ae_template_known("zephyr")), NULL)) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
