/* Files of a reference's predictions: aerie's own and llama.cpp's give the rows that were put in,
 * and no byte more or less is taken for one. */
#include "eval/eval.h"

#include "scratch.h"

#include <stdio.h>

enum { V = 5, CTX = 8, WINDOWS = 2, SCORED = CTX - 1 - CTX / 2 };

static char *folder;

static void add(ae_bytes *out, const void *data, size_t n)
{
    ae_bytes_add(out, data, n);
}

static void add_ids(ae_bytes *out)
{
    for (int32_t i = 0; i < WINDOWS * CTX; i++) {
        int32_t id = i % V;
        add(out, &id, sizeof id);
    }
}

static float own_value(int row, int k)
{
    return (float)row - 0.25f * (float)k;
}

static void make_own(ae_bytes *out)
{
    ae_saved_logits_head h = {
        .version = 1, .vocab_size = V, .n_ctx = CTX, .first = CTX / 2, .n_windows = WINDOWS
    };

    memcpy(h.magic, AE_SAVED_LOGITS_MAGIC, sizeof h.magic);
    add(out, &h, sizeof h);
    add_ids(out);
    for (int row = 0; row < WINDOWS * SCORED; row++)
        for (int k = 0; k < V; k++) {
            float x = own_value(row, k);
            add(out, &x, sizeof x);
        }
}

/* An odd vocabulary has one step more, which means nothing. */
static void make_llama(ae_bytes *out)
{
    const uint32_t sizes[] = { CTX, V, WINDOWS };

    add(out, "_logits_", 8);
    add(out, sizes, sizeof sizes);
    add_ids(out);
    for (int row = 0; row < WINDOWS * SCORED; row++) {
        const float scale_and_least[] = { 0.5f, -(float)row };
        add(out, scale_and_least, sizeof scale_and_least);
        for (uint16_t k = 0; k < V + 1; k++) add(out, &k, sizeof k);
    }
}

static char *put(const char *name, const void *data, size_t n)
{
    char *path = ae_path_join(folder, name);

    assert_int_equal(ae_file_write(path, data, n, NULL), AERIE_OK);
    return path;
}

static void check_rows(const char *path, bool packed)
{
    ae_saved_logits s;
    aerie_error err = { 0 };
    float scratch[V];

    if (ae_saved_logits_open(&s, path, &err)) fail_msg("%s", err.message);
    assert_int_equal(s.head.vocab_size, V);
    assert_int_equal(s.head.n_windows, WINDOWS);
    assert_int_equal(ae_saved_logits_scored(&s.head), SCORED);
    for (int i = 0; i < WINDOWS * CTX; i++) assert_int_equal(s.ids[i], i % V);
    for (int row = 0; row < WINDOWS * SCORED; row++) {
        const float *got = ae_saved_logits_row(&s, row / SCORED, row % SCORED, scratch);
        for (int k = 0; k < V; k++) {
            float want = packed ? 0.5f * (float)k - (float)row : own_value(row, k);
            assert_true(got[k] == want);
        }
    }
    for (int w = 0; w < WINDOWS; w++) ae_saved_logits_forget(&s, w);
    ae_saved_logits_close(&s);
}

static void check_refused(const void *data, size_t n)
{
    char *path = ae_path_join(folder, "broken");
    FILE *file = fopen(path, "wb"); /* ae_file_write() waits for the disk, and these are many */
    ae_saved_logits s;
    aerie_error err = { 0 };

    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, n, file), n);
    fclose(file);
    assert_int_equal(ae_saved_logits_open(&s, path, &err), AERIE_BAD_FILE);
    assert_non_null(strstr(err.message, "broken"));
    ae_free(path);
}

/* Every file that is shorter, one that is longer, and a token that is none. */
static void check_damage(ae_bytes *whole, size_t ids_at)
{
    int32_t none = V;

    for (size_t n = 0; n < whole->len; n++) check_refused(whole->data, n);
    memcpy(whole->data + ids_at + 3 * sizeof none, &none, sizeof none);
    check_refused(whole->data, whole->len);
    ae_bytes_add_char(whole, 0);
    check_refused(whole->data, whole->len);
}

static void own_files_are_read(void **state)
{
    ae_bytes bytes = { 0 };
    char *path;
    (void)state;

    make_own(&bytes);
    path = put("own", bytes.data, bytes.len);
    check_rows(path, false);
    check_damage(&bytes, sizeof(ae_saved_logits_head));
    ae_free(path);
    ae_bytes_free(&bytes);
}

static void llamas_files_are_read(void **state)
{
    ae_bytes bytes = { 0 };
    char *path;
    (void)state;

    make_llama(&bytes);
    path = put("llama", bytes.data, bytes.len);
    check_rows(path, true);
    check_damage(&bytes, 20);
    ae_free(path);
    ae_bytes_free(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_files_are_read),
        cmocka_unit_test(llamas_files_are_read),
    };

    folder = scratch_make();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    scratch_remove(folder);
    return failed;
}
