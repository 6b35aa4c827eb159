/* A model in several files: the first brings the tensors of all; what does not belong together is
 * told. */
#include "format/format.h"

#include "scratch.h"

static const char *const names[] = { "a", "b", "c", "d", "e" };
enum { N = 5, COLS = 8, PARTS = 3 };

typedef struct {
    uint32_t no, count, total;
    int from, to; /* tensors */
} part;

static char *path_of(const char *folder, int no, int count)
{
    char name[64];

    snprintf(name, sizeof name, "m-%05d-of-%05d.gguf", no + 1, count);
    return ae_path_join(folder, name);
}

static void write_part(const char *path, const part *p)
{
    ae_gguf_writer *w;
    float row[COLS];

    assert_int_equal(ae_gguf_writer_open(&w, path, NULL), AERIE_OK);
    if (p->no == 0) ae_gguf_set_text(w, "general.name", "whole");
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

static const part good[PARTS] = { { 0, 3, N, 0, 2 }, { 1, 3, N, 2, 2 }, { 2, 3, N, 2, 5 } };

static char *write_all(void)
{
    char *folder = scratch_make();

    for (int i = 0; i < PARTS; i++) {
        char *path = path_of(folder, i, PARTS);
        write_part(path, &good[i]);
        ae_free(path);
    }
    return folder;
}

static void the_first_brings_all(void **state)
{
    size_t held = ae_alloc_bytes();
    char *folder = write_all(), *path = path_of(folder, 0, PARTS);
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

/* One part written otherwise, or under another name: the first must refuse with this word. */
static void check_refused(int which, part other, const char *word)
{
    char *folder = write_all(), *path = path_of(folder, which, PARTS),
         *first = path_of(folder, 0, PARTS);
    ae_gguf *g;
    aerie_error err = { 0 };

    write_part(path, &other);
    assert_int_not_equal(ae_gguf_open(&g, first, &err), AERIE_OK);
    assert_null(g);
    if (!strstr(err.message, word)) fail_msg("'%s' is not in: %s", word, err.message);
    ae_free(first);
    ae_free(path);
    scratch_remove(folder);
}

static void what_does_not_belong_together_is_told(void **state)
{
    char *folder = write_all(), *first = path_of(folder, 0, PARTS), *last = path_of(folder, 2, 3),
         *other = ae_path_join(folder, "other.gguf");
    ae_gguf *g;
    aerie_error err = { 0 };
    (void)state;

    check_refused(2, (part){ 1, 3, N, 2, 5 }, "part 2 of 3");
    check_refused(2, (part){ 2, 4, N, 2, 5 }, "part 3 of 4");
    check_refused(2, (part){ 2, 3, N, 2, 4 }, "4 tensors, but there should be 5");
    check_refused(2, (part){ 2, 3, N, 1, 5 }, "'b'");
    check_refused(0, (part){ 0, 2000, N, 0, 2 }, "2000");
    check_refused(0, (part){ 0, 2, N, 0, 2 }, "must be named");
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
    char *folder = write_all(), *path = path_of(folder, 0, PARTS);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_brings_all),
        cmocka_unit_test(what_does_not_belong_together_is_told),
        cmocka_unit_test(out_of_memory_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
