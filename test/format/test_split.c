/* A model in several files: the first brings the tensors of all; what does not belong together is
 * told.
 *
 * With a folder as argument it writes its cases there instead, as seeds for fuzzing:
 *   test_split test/fuzz/corpus/fuzz_gguf_split */
#include "format/format.h"
#include "format/parts.h"

#include "scratch.h"

static const char *const names[] = { "a", "b", "c", "d", "e" };
enum { N = 5, COLS = 8, PARTS = 3 };

typedef struct {
    uint32_t no, count, total;
    int from, to; /* tensors */
    const char *architecture;
} part;

static void write_part(const char *path, const part *p)
{
    ae_gguf_writer *w;
    float row[COLS];

    assert_int_equal(ae_gguf_writer_open(&w, path, NULL), AERIE_OK);
    if (p->no == 0) ae_gguf_set_text(w, "general.name", "whole");
    if (p->architecture) ae_gguf_set_text(w, "general.architecture", p->architecture);
    ae_gguf_set_u32(w, "split.no", p->no);
    ae_gguf_set_u32(w, "split.count", p->count);
    ae_gguf_set_i32(w, "split.tensors.count", (int32_t)p->total);
    for (int i = p->from; i < p->to; i++) ae_gguf_writer_tensor(w, names[i], AE_F32, 1, COLS);
    for (int i = p->from; i < p->to; i++) {
        for (int c = 0; c < COLS; c++) row[c] = (float)(10 * i + c);
        ae_gguf_writer_add(w, row, sizeof row);
    }
    assert_int_equal(ae_gguf_writer_commit(w, NULL), AERIE_OK);
}

static const part good[PARTS] = { { 0, 3, N, 0, 2, "llama" },
                                  { 1, 3, N, 2, 2, NULL },
                                  { 2, 3, N, 2, 5, "llama" } };

static char *write_all(void)
{
    char *folder = scratch_make();

    for (int i = 0; i < PARTS; i++) {
        char *path = part_path_of(folder, i, PARTS);
        write_part(path, &good[i]);
        ae_free(path);
    }
    return folder;
}

static void the_first_brings_all(void **state)
{
    size_t held = ae_alloc_bytes();
    char *folder = write_all(), *path = part_path_of(folder, 0, PARTS);
    ae_gguf *g;
    aerie_error err = { 0 };
    (void)state;

    if (ae_gguf_open(&g, path, &err)) fail_msg("%s", err.message);
    assert_int_equal(ae_tensor_list_len(ae_gguf_tensors(g)), N);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < N; i++) {
            const ae_stored_tensor *t = ae_tensor_list_find(ae_gguf_tensors(g), names[i]);
            assert_non_null(t);
            for (int c = 0; c < COLS; c++)
                assert_true(((const float *)t->data)[c] == (float)(10 * i + c));
        }
        ae_gguf_forget(g, NULL, 0);
    }
    assert_true(ae_gguf_has(g, "general.name"));
    ae_gguf_close(g);
    ae_free(path);
    scratch_remove(folder);
    assert_int_equal(ae_alloc_bytes(), held);
}

/* One part written otherwise: the first must refuse with this word. */
static const struct {
    const char *name;
    int which;
    part other;
    const char *word;
} wrong[] = {
    { "another-number", 2, { 1, 3, N, 2, 5, NULL }, "part 2 of 3" },
    { "another-count", 2, { 2, 4, N, 2, 5, NULL }, "part 3 of 4" },
    { "tensors-missing", 2, { 2, 3, N, 2, 4, NULL }, "4 tensors, but there should be 5" },
    { "tensor-twice", 2, { 2, 3, N, 1, 5, NULL }, "'b'" },
    { "tensor-of-the-first", 1, { 1, 3, N, 0, 1, NULL }, "'a'" },
    { "another-total", 1, { 1, 3, N + 1, 2, 2, NULL }, "of 6 tensors" },
    { "another-architecture", 2, { 2, 3, N, 2, 5, "gemma3" }, "'gemma3'" },
    { "architecture-longer", 2, { 2, 3, N, 2, 5, "llama4" }, "'llama4'" },
    { "too-many-parts", 0, { 0, 2000, N, 0, 2, NULL }, "2000" },
    { "fewer-parts-than-the-name", 0, { 0, 2, N, 0, 2, NULL }, "must be named" },
    { "first-is-second", 0, { 1, 3, N, 0, 2, NULL }, "open the first part" },
    { "most-parts", 0, { 0, UINT32_MAX, N, 0, 2, NULL }, "damaged" },
};

static char *write_wrong(size_t i)
{
    char *folder = write_all(), *path = part_path_of(folder, wrong[i].which, PARTS);

    write_part(path, &wrong[i].other);
    ae_free(path);
    return folder;
}

static void check_refused(size_t i)
{
    char *folder = write_wrong(i), *first = part_path_of(folder, 0, PARTS);
    ae_gguf *g;
    aerie_error err = { 0 };

    assert_int_not_equal(ae_gguf_open(&g, first, &err), AERIE_OK);
    assert_null(g);
    if (!strstr(err.message, wrong[i].word))
        fail_msg("%s: '%s' is not in: %s", wrong[i].name, wrong[i].word, err.message);
    ae_free(first);
    scratch_remove(folder);
}

static void what_does_not_belong_together_is_told(void **state)
{
    char *folder = write_all(), *first = part_path_of(folder, 0, PARTS),
         *last = part_path_of(folder, 2, 3), *other = ae_path_join(folder, "other.gguf");
    ae_gguf *g;
    aerie_error err = { 0 };
    (void)state;

    for (size_t i = 0; i < AE_COUNT(wrong); i++) check_refused(i);
    assert_int_not_equal(ae_gguf_open(&g, last, &err), AERIE_OK);
    assert_non_null(strstr(err.message, "open the first"));
    assert_int_equal(rename(first, other), 0);
    err = (aerie_error){ 0 };
    assert_int_not_equal(ae_gguf_open(&g, other, &err), AERIE_OK);
    assert_non_null(strstr(err.message, "NAME-00001-of-00003.gguf"));
    assert_int_equal(rename(other, first), 0);
    unlink(last);
    err = (aerie_error){ 0 };
    assert_int_equal(ae_gguf_open(&g, first, &err), AERIE_NOT_FOUND);
    assert_non_null(strstr(err.message, "m-00003-of-00003.gguf"));
    ae_free(first);
    ae_free(last);
    ae_free(other);
    scratch_remove(folder);
}

static void out_of_memory_is_survived(void **state)
{
    char *folder = write_all(), *path = part_path_of(folder, 0, PARTS);
    size_t held = ae_alloc_bytes();
    (void)state;

    for (long n = 1;; n++) {
        ae_gguf *g;
        ae_alloc_fail_at(n);
        aerie_status status = ae_gguf_open(&g, path, NULL);
        bool failed = ae_alloc_has_failed();
        ae_alloc_fail_at(0);
        if (status) assert_int_equal(status, AERIE_NO_MEMORY);
        ae_gguf_close(g);
        assert_int_equal(ae_alloc_bytes(), held);
        if (!failed) break;
        assert_true(n < 300);
    }
    ae_free(path);
    scratch_remove(folder);
}

/* A folder of parts as one seed; the folder is gone then. */
static void write_seed(const char *corpus, const char *name, char *folder)
{
    char *path = ae_path_join(corpus, name);
    ae_bytes row = { 0 };

    assert_int_equal(parts_read(&row, folder, PARTS), AERIE_OK);
    assert_int_equal(ae_file_write(path, row.data, row.len, NULL), AERIE_OK);
    ae_bytes_free(&row);
    ae_free(path);
    scratch_remove(folder);
}

static int write_seeds(const char *corpus)
{
    if (ae_file_make_folder(corpus, NULL)) return 1;
    for (size_t i = 0; i < AE_COUNT(wrong); i++) write_seed(corpus, wrong[i].name, write_wrong(i));
    write_seed(corpus, "good", write_all());
    char *folder = write_all(), *path = part_path_of(folder, 1, PARTS);
    unlink(path);
    ae_free(path);
    write_seed(corpus, "part-missing", folder);
    return 0;
}

/* The seeds' form is what the fuzz target takes apart. */
static void a_row_of_parts_is_the_same_files(void **state)
{
    char *folder = write_all(), *other = scratch_make();
    ae_bytes row = { 0 }, again = { 0 };
    (void)state;

    assert_int_equal(parts_read(&row, folder, PARTS), AERIE_OK);
    assert_int_equal(parts_write(other, (const uint8_t *)row.data, row.len), PARTS);
    assert_int_equal(parts_read(&again, other, PARTS), AERIE_OK);
    assert_int_equal(row.len, again.len);
    assert_memory_equal(row.data, again.data, row.len);
    ae_bytes_free(&row);
    ae_bytes_free(&again);
    scratch_remove(folder);
    scratch_remove(other);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_brings_all),
        cmocka_unit_test(what_does_not_belong_together_is_told),
        cmocka_unit_test(out_of_memory_is_survived),
        cmocka_unit_test(a_row_of_parts_is_the_same_files),
    };
    if (argc > 1) return write_seeds(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
