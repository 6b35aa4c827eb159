/* test_safetensors.c -- files and folders of shards: what is written is read, the rest is refused.
 */
#include "scratch.h"

#include "format/gguf_bytes.h"

typedef struct {
    char *folder, *path;
} place;

static place make_place(void)
{
    place p = { .folder = scratch_make() };

    p.path = ae_path_join(p.folder, "model.safetensors");
    return p;
}

static void leave_place(place *p)
{
    ae_free(p->path);
    scratch_remove(p->folder);
}

static const struct {
    const char *name;
    ae_dtype dtype;
    int n_dims;
    int64_t dims[AE_MAX_DIMS], rows, cols;
} sample[] = {
    { "model.norm.weight", AE_F32, 1, { 7 }, 1, 7 },
    { "score.weight", AE_F16, 2, { 1, 5 }, 1, 5 },
    { "lm_head.weight", AE_BF16, 2, { 3, 5 }, 3, 5 },
    { "conv.weight", AE_F32, 4, { 2, 3, 1, 5 }, 6, 5 },
    { "scale", AE_F32, 0, { 0 }, 1, 1 },
};

static uint8_t byte_of(size_t tensor, size_t b)
{
    return (uint8_t)(b * 37 + tensor);
}

/* Tensors `first` .. `last` of the sample. */
static aerie_status write_sample(const char *path, size_t first, size_t last, aerie_error *err)
{
    ae_safetensors_writer *w;
    ae_bytes data = { 0 };
    aerie_status status = ae_safetensors_writer_open(&w, path, err);

    if (status) return status;
    ae_safetensors_set(w, "format", "pt");
    ae_safetensors_set(w, "note", "\"quoted\" \xc3\xa9");
    for (size_t i = first; i <= last; i++)
        ae_safetensors_writer_tensor(w, sample[i].name, sample[i].dtype, sample[i].dims,
                                     sample[i].n_dims);
    for (size_t i = first; i <= last; i++) {
        size_t bytes;
        assert_true(ae_dtype_bytes(&bytes, sample[i].dtype, sample[i].rows, sample[i].cols));
        ae_bytes_clear(&data);
        for (size_t b = 0; b < bytes; b++) ae_bytes_add_char(&data, (char)byte_of(i, b));
        ae_safetensors_writer_add(w, data.data, data.len);
    }
    ae_bytes_free(&data);
    return ae_safetensors_writer_commit(w, err);
}

static void check_sample(const ae_safetensors *s)
{
    const ae_tensor_list *list = ae_safetensors_tensors(s);

    assert_int_equal(ae_tensor_list_len(list), AE_COUNT(sample));
    for (size_t i = 0; i < AE_COUNT(sample); i++) {
        const ae_stored_tensor *t = ae_tensor_list_find(list, sample[i].name);
        ae_tensor view;
        assert_non_null(t);
        assert_int_equal(t->n_dims, sample[i].n_dims);
        for (int d = 0; d < t->n_dims; d++) assert_int_equal(t->dims[d], sample[i].dims[d]);
        assert_int_equal(ae_stored_tensor_view(&view, t, NULL), AERIE_OK);
        assert_true(view.dtype == sample[i].dtype);
        assert_true(view.rows == sample[i].rows && view.cols == sample[i].cols);
        assert_int_equal((uintptr_t)view.data % (size_t)ae_dtype_info_of(t->dtype)->block_bytes, 0);
        for (size_t b = 0; b < t->bytes; b++)
            assert_int_equal(((uint8_t *)view.data)[b], byte_of(i, b));
    }
    assert_string_equal(ae_safetensors_metadata(s, "format"), "pt");
    assert_string_equal(ae_safetensors_metadata(s, "note"), "\"quoted\" \xc3\xa9");
    assert_null(ae_safetensors_metadata(s, "none"));
}

static void what_is_written_is_read(void **state)
{
    place p = make_place();
    const char *paths[] = { p.path, p.folder };
    aerie_error err = { 0 };

    (void)state;
    assert_int_equal(write_sample(p.path, 0, AE_COUNT(sample) - 1, &err), AERIE_OK);
    for (size_t i = 0; i < 2; i++) {
        ae_safetensors *s;
        assert_int_equal(ae_safetensors_open(&s, paths[i], &err), AERIE_OK);
        check_sample(s);
        ae_safetensors_close(s);
    }
    leave_place(&p);
}

static void write_index(const place *p, const char *text)
{
    char *path = ae_path_join(p->folder, "model.safetensors.index.json");

    assert_int_equal(ae_file_write(path, text, strlen(text), NULL), AERIE_OK);
    ae_free(path);
}

static void write_shards(const place *p)
{
    char *first = ae_path_join(p->folder, "a.safetensors"),
         *second = ae_path_join(p->folder, "b.safetensors");

    assert_int_equal(write_sample(first, 0, 1, NULL), AERIE_OK);
    assert_int_equal(write_sample(second, 2, AE_COUNT(sample) - 1, NULL), AERIE_OK);
    ae_free(first);
    ae_free(second);
}

static void shards_are_read_as_one(void **state)
{
    place p = make_place();
    ae_safetensors *s;
    aerie_error err = { 0 };

    (void)state;
    write_shards(&p);
    write_index(&p, "{\"metadata\":{\"total_size\":1},\"weight_map\":{"
                    "\"model.norm.weight\":\"a.safetensors\",\"lm_head.weight\":\"b.safetensors\","
                    "\"score.weight\":\"a.safetensors\",\"scale\":\"b.safetensors\"}}");
    assert_int_equal(ae_safetensors_open(&s, p.folder, &err), AERIE_OK);
    check_sample(s);
    ae_safetensors_close(s);
    leave_place(&p);
}

static void wrong_indexes_are_refused(void **state)
{
    static const struct {
        const char *index;
        aerie_status status;
        const char *sentence;
    } cases[] = {
        { "{}", AERIE_BAD_FILE, "weight_map" },
        { "{\"weight_map\":[]}", AERIE_BAD_FILE, "weight_map" },
        { "{\"weight_map\":{\"t\":7}}", AERIE_BAD_FILE, "beside" },
        { "{\"weight_map\":{\"t\":\"../a.safetensors\"}}", AERIE_BAD_FILE, "beside" },
        { "{\"weight_map\":{\"t\":\"/etc/passwd\"}}", AERIE_BAD_FILE, "beside" },
        { "{\"weight_map\":{\"t\":\"..\"}}", AERIE_BAD_FILE, "beside" },
        { "{\"weight_map\":{\"t\":\"c.safetensors\"}}", AERIE_NOT_FOUND, "no such file" },
        { "{\"weight_map\":{\"t\":\"a.safetensors\"}}", AERIE_BAD_FILE,
          "'t' is not in a.safetensors" },
        { "{\"weight_map\":", AERIE_BAD_FILE, "does not parse" },
    };
    place p = make_place();

    (void)state;
    write_shards(&p);
    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        ae_safetensors *s;
        aerie_error err = { 0 };
        write_index(&p, cases[i].index);
        assert_int_equal(ae_safetensors_open(&s, p.folder, &err), cases[i].status);
        assert_null(s);
        if (!strstr(err.message, cases[i].sentence)) fail_msg("%zu: %s", i, err.message);
    }
    leave_place(&p);
}

static void tensors_of_two_shards_are_refused(void **state)
{
    place p = make_place();
    char *second = ae_path_join(p.folder, "b.safetensors");
    aerie_error err = { 0 };
    ae_safetensors *s;

    (void)state;
    write_shards(&p);
    assert_int_equal(write_sample(second, 1, 2, NULL), AERIE_OK);
    write_index(&p, "{\"weight_map\":{\"scale\":\"a.safetensors\",\"x\":\"b.safetensors\"}}");
    assert_int_equal(ae_safetensors_open(&s, p.folder, &err), AERIE_BAD_FILE);
    assert_non_null(strstr(err.message, "two tensors named 'score.weight'"));
    ae_free(second);
    leave_place(&p);
}

static void an_empty_folder_says_what_is_missing(void **state)
{
    place p = make_place();
    aerie_error err = { 0 };
    ae_safetensors *s;

    (void)state;
    assert_int_equal(ae_safetensors_open(&s, p.folder, &err), AERIE_NOT_FOUND);
    assert_non_null(strstr(err.message, "model.safetensors"));
    assert_int_equal(ae_safetensors_open(&s, p.path, NULL), AERIE_NOT_FOUND);
    leave_place(&p);
}

/* A header of any length: the numbers are aligned for their type all the same. */
static void data_is_aligned_whatever_the_header(void **state)
{
    (void)state;
    for (int blanks = 0; blanks < 8; blanks++) {
        ae_bytes header = { 0 }, file = { 0 };
        const float one = 1.25f;
        const ae_stored_tensor *t;
        ae_safetensors *s;
        ae_bytes_add_text(&header,
                          "{\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}");
        for (int i = 0; i < blanks; i++) ae_bytes_add_char(&header, ' ');
        put_text(&file, header.data);
        ae_bytes_add(&file, &one, sizeof one);
        assert_int_equal(ae_safetensors_open_memory(&s, file.data, file.len, "memory", NULL),
                         AERIE_OK);
        t = ae_tensor_list_find(ae_safetensors_tensors(s), "t");
        assert_int_equal((uintptr_t)t->data % 4, 0);
        assert_true(*(const float *)t->data == one);
        ae_safetensors_close(s);
        ae_bytes_free(&header);
        ae_bytes_free(&file);
    }
}

static void unread_types_are_named(void **state)
{
    ae_bytes file = { 0 };
    ae_safetensors *s;
    ae_tensor view;
    aerie_error err = { 0 };

    (void)state;
    put_text(&file, "{\"a\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]},"
                    "\"b\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[8,10]}}");
    put_zeros(&file, 10);
    assert_int_equal(ae_safetensors_open_memory(&s, file.data, file.len, "memory", &err), AERIE_OK);
    assert_int_equal(
        ae_stored_tensor_view(&view, ae_tensor_list_find(ae_safetensors_tensors(s), "b"), &err),
        AERIE_UNSUPPORTED);
    assert_non_null(strstr(err.message, "'b' is of type F4"));
    assert_int_equal(
        ae_stored_tensor_view(&view, ae_tensor_list_find(ae_safetensors_tensors(s), "a"), NULL),
        AERIE_UNSUPPORTED);
    ae_safetensors_close(s);
    ae_bytes_free(&file);
}

static void cut_files_are_refused(void **state)
{
    place p = make_place();
    ae_bytes file = { 0 };

    (void)state;
    assert_int_equal(write_sample(p.path, 0, AE_COUNT(sample) - 1, NULL), AERIE_OK);
    assert_int_equal(ae_file_read(&file, p.path, 0, NULL), AERIE_OK);
    for (size_t len = 0; len < file.len; len++) {
        char *cut = ae_strndup(file.data, len);
        aerie_error err = { 0 };
        ae_safetensors *s;
        assert_int_equal(ae_safetensors_open_memory(&s, cut, len, "memory", &err), AERIE_BAD_FILE);
        assert_true(strlen(err.message) > 20);
        ae_free(cut);
    }
    ae_bytes_free(&file);
    leave_place(&p);
}

static void misuse_leaves_no_file(void **state)
{
    static const int64_t dims[] = { 2, 2 }, negative[] = { -1, 2 };
    place p = make_place();

    (void)state;
    for (int i = 0; i < 6; i++) {
        ae_safetensors_writer *w;
        aerie_error err = { 0 };
        assert_int_equal(ae_safetensors_writer_open(&w, p.path, NULL), AERIE_OK);
        ae_safetensors_writer_tensor(w, "t", AE_F32, dims, 2);
        if (i == 0) ae_safetensors_writer_tensor(w, "u", AE_Q8_0, dims, 2);
        if (i == 1) ae_safetensors_writer_tensor(w, "u", AE_F32, negative, 2);
        if (i == 2) ae_safetensors_writer_tensor(w, "\xff", AE_F32, dims, 2);
        if (i == 3) ae_safetensors_set(w, "k", "\xff");
        if (i != 4) ae_safetensors_writer_add(w, "0123456789abcdef", 16);
        if (i == 5) ae_safetensors_set(w, "late", "x");
        assert_int_not_equal(ae_safetensors_writer_commit(w, &err), AERIE_OK);
        assert_true(strlen(err.message) > 20);
        assert_int_equal(scratch_count(p.folder), 0);
    }
    leave_place(&p);
}

/* Whatever allocation of ours fails: a status, no leak, no half file. */
static void out_of_memory_is_survived(void **state)
{
    place p = make_place();
    size_t before = ae_alloc_bytes();
    aerie_status status = AERIE_NO_MEMORY;

    (void)state;
    for (long n = 1; status; n++) {
        aerie_error err = { 0 };
        ae_safetensors *s = NULL;
        ae_alloc_fail_at(n);
        status = write_sample(p.path, 0, AE_COUNT(sample) - 1, &err);
        if (!status) status = ae_safetensors_open(&s, p.folder, &err);
        if (!ae_alloc_has_failed())
            assert_int_equal(status, AERIE_OK);
        else if (status)
            assert_int_equal(status, AERIE_NO_MEMORY);
        ae_alloc_fail_at(0);
        ae_safetensors_close(s);
        assert_true(scratch_count(p.folder) <= 1);
        assert_true(n < 1000);
    }
    assert_int_equal(ae_alloc_bytes(), before);
    leave_place(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(shards_are_read_as_one),
        cmocka_unit_test(wrong_indexes_are_refused),
        cmocka_unit_test(tensors_of_two_shards_are_refused),
        cmocka_unit_test(an_empty_folder_says_what_is_missing),
        cmocka_unit_test(data_is_aligned_whatever_the_header),
        cmocka_unit_test(unread_types_are_named),
        cmocka_unit_test(cut_files_are_refused),
        cmocka_unit_test(misuse_leaves_no_file),
        cmocka_unit_test(out_of_memory_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
