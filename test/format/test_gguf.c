/* test_gguf.c -- what is written is read, cut and damaged files are refused, types are kept. */
#include "scratch.h"

#include "blocks.h"

#include "format/gguf_bytes.h"

typedef struct {
    char *folder, *path;
} place;

static place make_place(void)
{
    place p = { .folder = scratch_make() };

    p.path = ae_path_join(p.folder, "model.gguf");
    return p;
}

static void leave_place(place *p)
{
    ae_free(p->path);
    scratch_remove(p->folder);
}

enum { N_TENSORS = 9 };

/* Tensors of every type that is written, with odd sizes. */
static void tensor_of(int i, ae_dtype *dtype, int64_t *rows, int64_t *cols)
{
    static const ae_dtype types[] = { AE_F32, AE_F16, AE_BF16, AE_Q8_0 };

    *dtype = types[i % 4];
    *rows = 1 + i * 3 % 7;
    *cols = *dtype == AE_Q8_0 ? 32 * (1 + i) : 5 + i;
}

static void fill(ae_bytes *data, int i)
{
    ae_dtype dtype;
    int64_t rows, cols;
    size_t bytes;

    tensor_of(i, &dtype, &rows, &cols);
    assert_true(ae_dtype_bytes(&bytes, dtype, rows, cols));
    ae_bytes_clear(data);
    for (size_t b = 0; b < bytes; b++) ae_bytes_add_char(data, (char)(b * 31 + (size_t)i));
}

static void set_metadata(ae_gguf_writer *w)
{
    const ae_span texts[] = { ae_span_text("plain"), { "\0\xff\n", 3 }, { NULL, 0 } };
    const float floats[] = { 1.5f, -0.0f, 3e38f };
    const int32_t ints[] = { INT32_MIN, 0, INT32_MAX };

    ae_gguf_set_text(w, "general.architecture", "llama");
    ae_gguf_set_u32(w, "u32", 4000000000u);
    ae_gguf_set_i32(w, "i32", -5);
    ae_gguf_set_u64(w, "u64", UINT64_MAX);
    ae_gguf_set_f32(w, "f32", 0.1f);
    ae_gguf_set_bool(w, "yes", true);
    ae_gguf_set_bool(w, "no", false);
    ae_gguf_set_span(w, "empty", (ae_span){ NULL, 0 });
    ae_gguf_set_texts(w, "texts", texts, AE_COUNT(texts));
    ae_gguf_set_texts(w, "no texts", NULL, 0);
    ae_gguf_set_f32s(w, "f32s", floats, AE_COUNT(floats));
    ae_gguf_set_i32s(w, "i32s", ints, AE_COUNT(ints));
}

/* Data in pieces of `piece` bytes. */
static aerie_status write_sample(const char *path, size_t piece, aerie_error *err)
{
    ae_gguf_writer *w;
    ae_bytes data = { 0 };
    aerie_status status = ae_gguf_writer_open(&w, path, err);
    char name[32];

    if (status) return status;
    set_metadata(w);
    for (int i = 0; i < N_TENSORS; i++) {
        ae_dtype dtype;
        int64_t rows, cols;
        tensor_of(i, &dtype, &rows, &cols);
        snprintf(name, sizeof name, "blk.%d.weight", i);
        ae_gguf_writer_tensor(w, name, dtype, rows, cols);
    }
    for (int i = 0; i < N_TENSORS; i++) {
        fill(&data, i);
        for (size_t at = 0; at < data.len; at += piece)
            ae_gguf_writer_add(w, data.data + at, data.len - at < piece ? data.len - at : piece);
    }
    ae_bytes_free(&data);
    return ae_gguf_writer_commit(w, err);
}

static void check_metadata(const ae_gguf *g)
{
    const ae_span *texts;
    ae_arena arena = { 0 };
    ae_span text;
    uint32_t u32;
    int64_t i64;
    float f32, *f32s;
    int32_t *i32s;
    bool yes, no;
    size_t n;

    assert_int_equal(ae_gguf_text(g, "general.architecture", &text, NULL), AERIE_OK);
    assert_true(ae_span_is(text, "llama"));
    assert_int_equal(ae_gguf_text(g, "empty", &text, NULL), AERIE_OK);
    assert_int_equal(text.len, 0);
    assert_int_equal(ae_gguf_u32(g, "u32", &u32, NULL), AERIE_OK);
    assert_int_equal(u32, 4000000000u);
    assert_int_equal(ae_gguf_i64(g, "i32", &i64, NULL), AERIE_OK);
    assert_int_equal(i64, -5);
    assert_int_equal(ae_gguf_f32(g, "f32", &f32, NULL), AERIE_OK);
    assert_true(f32 == 0.1f);
    assert_int_equal(ae_gguf_bool(g, "yes", &yes, NULL), AERIE_OK);
    assert_int_equal(ae_gguf_bool(g, "no", &no, NULL), AERIE_OK);
    assert_true(yes && !no);
    assert_int_equal(ae_gguf_texts(g, "texts", &texts, &n, NULL), AERIE_OK);
    assert_true(n == 3 && ae_span_is(texts[0], "plain") && texts[2].len == 0);
    assert_true(ae_span_equal(texts[1], (ae_span){ "\0\xff\n", 3 }));
    assert_int_equal(ae_gguf_texts(g, "no texts", &texts, &n, NULL), AERIE_OK);
    assert_int_equal(n, 0);
    assert_int_equal(ae_gguf_f32s(g, "f32s", &f32s, &n, &arena, NULL), AERIE_OK);
    assert_true(n == 3 && f32s[0] == 1.5f && f32s[2] == 3e38f);
    assert_int_equal(ae_gguf_i32s(g, "i32s", &i32s, &n, &arena, NULL), AERIE_OK);
    assert_true(n == 3 && i32s[0] == INT32_MIN && i32s[2] == INT32_MAX);
    ae_arena_free(&arena);
}

static void check_tensors(const ae_gguf *g)
{
    const ae_tensor_list *list = ae_gguf_tensors(g);
    ae_bytes data = { 0 };
    char name[32];

    assert_int_equal(ae_tensor_list_len(list), N_TENSORS);
    for (int i = 0; i < N_TENSORS; i++) {
        const ae_stored_tensor *t;
        ae_tensor view;
        ae_dtype dtype;
        int64_t rows, cols;
        tensor_of(i, &dtype, &rows, &cols);
        fill(&data, i);
        snprintf(name, sizeof name, "blk.%d.weight", i);
        t = ae_tensor_list_find(list, name);
        assert_ptr_equal(t, ae_tensor_list_at(list, (size_t)i));
        assert_int_equal(ae_stored_tensor_view(&view, t, NULL), AERIE_OK);
        assert_true(view.dtype == dtype && view.rows == rows && view.cols == cols && !view.grad);
        assert_int_equal(t->bytes, data.len);
        assert_memory_equal(view.data, data.data, data.len);
        assert_int_equal((uintptr_t)view.data % 32, 0);
    }
    assert_null(ae_tensor_list_find(list, "blk.99.weight"));
    ae_bytes_free(&data);
}

static void what_is_written_is_read(void **state)
{
    static const size_t pieces[] = { 1, 7, 1000000 };
    place p = make_place();

    (void)state;
    for (size_t i = 0; i < AE_COUNT(pieces); i++) {
        ae_gguf *g;
        aerie_error err = { 0 };
        assert_int_equal(write_sample(p.path, pieces[i], &err), AERIE_OK);
        assert_int_equal(ae_gguf_open(&g, p.path, &err), AERIE_OK);
        assert_string_equal(ae_gguf_name(g), p.path);
        check_metadata(g);
        check_tensors(g);
        ae_gguf_close(g);
        assert_int_equal(scratch_count(p.folder), 1);
    }
    leave_place(&p);
}

static void copied_metadata_is_the_same_bytes(void **state)
{
    place p = make_place();
    char *copy = ae_path_join(p.folder, "copy.gguf");
    ae_gguf *g, *h;
    ae_gguf_writer *w;
    size_t n;

    (void)state;
    assert_int_equal(write_sample(p.path, 1000, NULL), AERIE_OK);
    assert_int_equal(ae_gguf_open(&g, p.path, NULL), AERIE_OK);
    assert_int_equal(ae_gguf_writer_open(&w, copy, NULL), AERIE_OK);
    n = ae_gguf_entry_count(g);
    for (size_t i = 0; i < n; i++) ae_gguf_set_copy(w, g, i);
    assert_int_equal(ae_gguf_writer_commit(w, NULL), AERIE_OK);
    assert_int_equal(ae_gguf_open(&h, copy, NULL), AERIE_OK);
    check_metadata(h);
    assert_int_equal(ae_gguf_entry_count(h), n);
    for (size_t i = 0; i < n; i++) {
        ae_bytes a = { 0 }, b = { 0 };
        assert_string_equal(ae_gguf_entry_at(g, i).key, ae_gguf_entry_at(h, i).key);
        ae_gguf_entry_print(&a, g, i, 100);
        ae_gguf_entry_print(&b, h, i, 100);
        assert_string_equal(a.data, b.data);
        ae_bytes_free(&a);
        ae_bytes_free(&b);
    }
    ae_gguf_close(g);
    ae_gguf_close(h);
    ae_free(copy);
    leave_place(&p);
}

/* A file of another alignment, copied: the copy has its own and says nothing wrong. */
static void alignment_is_not_copied(void **state)
{
    place p = make_place();
    ae_bytes file = { 0 };
    ae_gguf *g;
    ae_gguf_writer *w;
    const ae_stored_tensor *t;

    (void)state;
    put_header(&file, 0, 2);
    put_u32_value(&file, "general.alignment", 4096);
    put_u32_value(&file, "k", 7);
    assert_int_equal(ae_gguf_open_memory(&g, file.data, file.len, "memory", NULL), AERIE_OK);
    assert_int_equal(ae_gguf_writer_open(&w, p.path, NULL), AERIE_OK);
    for (size_t i = 0; i < 2; i++) ae_gguf_set_copy(w, g, i);
    ae_gguf_writer_tensor(w, "t", AE_F32, 1, 1);
    ae_gguf_writer_add(w, "1234", 4);
    assert_int_equal(ae_gguf_writer_commit(w, NULL), AERIE_OK);
    ae_gguf_close(g);
    assert_int_equal(ae_gguf_open(&g, p.path, NULL), AERIE_OK);
    assert_true(ae_gguf_has(g, "k") && !ae_gguf_has(g, "general.alignment"));
    t = ae_tensor_list_find(ae_gguf_tensors(g), "t");
    assert_memory_equal(t->data, "1234", 4);
    ae_gguf_close(g);
    ae_bytes_free(&file);
    leave_place(&p);
}

static void values_print_for_people(void **state)
{
    static const struct {
        size_t i, most;
        const char *text;
    } cases[] = { { 0, 100, "\"llama\"" },
                  { 0, 3, "\"lla\"..." },
                  { 3, 9, "18446744073709551615" },
                  { 4, 9, "0.100000001" },
                  { 5, 9, "true" },
                  { 9, 9, "[]" },
                  { 11, 100, "[-2147483648, 0, 2147483647]" },
                  { 11, 5, "[-2147483648, ...]" },
                  { 8, 100, "[\"plain\", \"\\x00\xff\\n\", \"\"]" } };
    place p = make_place();
    ae_gguf *g;

    (void)state;
    assert_int_equal(write_sample(p.path, 1000, NULL), AERIE_OK);
    assert_int_equal(ae_gguf_open(&g, p.path, NULL), AERIE_OK);
    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        ae_bytes out = { 0 };
        ae_gguf_entry_print(&out, g, cases[i].i, cases[i].most);
        assert_string_equal(out.data, cases[i].text);
        ae_bytes_free(&out);
    }
    ae_gguf_close(g);
    leave_place(&p);
}

/* A getter gives the value or the reason: missing, of another type, out of range. */
static void getters_check_types(void **state)
{
    place p = make_place();
    ae_arena arena = { 0 };
    ae_gguf *g;
    ae_span text = { "x", 1 };
    uint32_t u32 = 77;
    int64_t i64 = 77;
    float f32 = 77, *f32s = NULL;
    int32_t *i32s = NULL;
    const ae_span *texts = NULL;
    bool flag = true;
    size_t n = 77;
    aerie_error err = { 0 };

    (void)state;
    assert_int_equal(write_sample(p.path, 1000, NULL), AERIE_OK);
    assert_int_equal(ae_gguf_open(&g, p.path, NULL), AERIE_OK);
    assert_false(ae_gguf_has(g, "missing"));
    assert_int_equal(ae_gguf_u32(g, "missing", &u32, &err), AERIE_NOT_FOUND);
    assert_non_null(strstr(err.message, "'missing'"));
    assert_int_equal(ae_gguf_u32(g, "i32", &u32, NULL), AERIE_BAD_FILE); /* negative */
    assert_int_equal(ae_gguf_u32(g, "u64", &u32, NULL), AERIE_BAD_FILE);
    assert_int_equal(ae_gguf_i64(g, "u64", &i64, NULL), AERIE_BAD_FILE);
    assert_int_equal(ae_gguf_u32(g, "f32", &u32, NULL), AERIE_BAD_FILE);
    assert_int_equal(ae_gguf_u32(g, "yes", &u32, NULL), AERIE_BAD_FILE);
    assert_int_equal(ae_gguf_u32(g, "i32s", &u32, NULL), AERIE_BAD_FILE);
    assert_int_equal(ae_gguf_u32(g, "empty", &u32, NULL), AERIE_BAD_FILE);
    assert_int_equal(ae_gguf_f32(g, "u32", &f32, NULL), AERIE_BAD_FILE);
    assert_int_equal(ae_gguf_f32(g, "f32s", &f32, NULL), AERIE_BAD_FILE);
    assert_int_equal(ae_gguf_bool(g, "u32", &flag, NULL), AERIE_BAD_FILE);
    assert_int_equal(ae_gguf_text(g, "u32", &text, NULL), AERIE_BAD_FILE);
    assert_int_equal(ae_gguf_text(g, "texts", &text, NULL), AERIE_BAD_FILE);
    assert_int_equal(ae_gguf_texts(g, "empty", &texts, &n, NULL), AERIE_BAD_FILE);
    assert_int_equal(ae_gguf_texts(g, "i32s", &texts, &n, NULL), AERIE_BAD_FILE);
    assert_int_equal(ae_gguf_f32s(g, "i32s", &f32s, &n, &arena, NULL), AERIE_BAD_FILE);
    assert_int_equal(ae_gguf_i32s(g, "f32s", &i32s, &n, &arena, NULL), AERIE_BAD_FILE);
    assert_int_equal(ae_gguf_i32s(g, "u32", &i32s, &n, &arena, NULL), AERIE_BAD_FILE);
    assert_true(u32 == 77 && i64 == 77 && f32 == 77 && flag && text.len == 1 && n == 77);
    assert_true(!f32s && !i32s && !texts);
    ae_gguf_close(g);
    leave_place(&p);
}

static void integers_are_read_from_any_width(void **state)
{
    static const struct {
        ae_gguf_type type;
        const char *bytes;
        size_t n;
        int64_t value;
    } cases[] = { { AE_GGUF_U8, "\xff", 1, 255 },
                  { AE_GGUF_I8, "\xff", 1, -1 },
                  { AE_GGUF_U16, "\xff\xff", 2, 65535 },
                  { AE_GGUF_I16, "\xfe\xff", 2, -2 },
                  { AE_GGUF_U32, "\1\0\0\x80", 4, 2147483649 },
                  { AE_GGUF_I32, "\1\0\0\x80", 4, -2147483647 },
                  { AE_GGUF_U64, "\0\0\0\0\1\0\0\0", 8, 4294967296 },
                  { AE_GGUF_I64, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, -1 } };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        ae_bytes file = { 0 };
        ae_gguf *g;
        int64_t value;
        put_header(&file, 0, 1);
        put_key(&file, "k", cases[i].type);
        ae_bytes_add(&file, cases[i].bytes, cases[i].n);
        assert_int_equal(ae_gguf_open_memory(&g, file.data, file.len, "memory", NULL), AERIE_OK);
        assert_int_equal(ae_gguf_i64(g, "k", &value, NULL), AERIE_OK);
        assert_int_equal(value, cases[i].value);
        ae_gguf_close(g);
        ae_bytes_free(&file);
    }
}

/* Types that this build does not read are listed and named; unknown ones too. */
static void unread_types_are_named(void **state)
{
    ae_bytes file = { 0 };
    ae_gguf *g;
    ae_tensor view;
    aerie_error err = { 0 };
    const ae_stored_tensor *t;

    (void)state;
    put_header(&file, 4, 0);
    put_tensor(&file, "a", 256, 1, 16, 0); /* IQ2_XXS */
    put_tensor(&file, "b", 8, 1, 4321, 128);
    put_tensor(&file, "gone", 32, 1, 4, 192); /* Q4_2 once, given up before GGUF */
    put_tensor(&file, "c", 8, 2, 0, 128);
    put_padding(&file, 32);
    put_zeros(&file, 128 + 64);
    assert_int_equal(ae_gguf_open_memory(&g, file.data, file.len, "memory", &err), AERIE_OK);
    t = ae_tensor_list_find(ae_gguf_tensors(g), "a");
    assert_true(t->dtype == AE_DTYPE_NONE && t->bytes == 66);
    assert_int_equal(ae_stored_tensor_view(&view, t, &err), AERIE_UNSUPPORTED);
    assert_string_equal(err.message,
                        "tensor 'a' is of type IQ2_XXS, which this build does not read");
    t = ae_tensor_list_find(ae_gguf_tensors(g), "b");
    assert_true(t->dtype == AE_DTYPE_NONE && !t->data);
    assert_string_equal(t->type_name, "number 4321");
    t = ae_tensor_list_find(ae_gguf_tensors(g), "gone");
    err = (aerie_error){ 0 };
    assert_true(t->dtype == AE_DTYPE_NONE && !t->data);
    assert_int_equal(ae_stored_tensor_view(&view, t, &err), AERIE_UNSUPPORTED);
    assert_string_equal(err.message,
                        "tensor 'gone' is of type number 4, which this build does not read");
    t = ae_tensor_list_find(ae_gguf_tensors(g), "c");
    assert_true(t->rows == 2 && t->cols == 8 && t->n_dims == 2 && t->dims[0] == 2 &&
                t->dims[1] == 8);
    ae_gguf_close(g);
    ae_bytes_free(&file);
}

/* A file with one tensor of `rows` rows and as many bytes of data as are said. */
static aerie_status open_one(ae_gguf **g, ae_bytes *file, ae_dtype type, uint64_t cols,
                             uint64_t rows, size_t bytes, aerie_error *err)
{
    *file = (ae_bytes){ 0 };
    *err = (aerie_error){ 0 };
    put_header(file, 1, 0);
    put_tensor(file, "t", cols, rows, (uint32_t)type, 0);
    put_padding(file, 32);
    put_zeros(file, bytes);
    return ae_gguf_open_memory(g, file->data, file->len, "memory", err);
}

static void assert_refused(ae_dtype type, uint64_t cols, uint64_t rows, size_t bytes,
                           const char *sentence)
{
    ae_bytes file;
    ae_gguf *g;
    aerie_error err;

    if (open_one(&g, &file, type, cols, rows, bytes, &err) != AERIE_BAD_FILE ||
        !strstr(err.message, sentence))
        fail_msg("%s: '%s', not '%s'", ae_dtype_info_of(type)->name, err.message, sentence);
    ae_bytes_free(&file);
}

/* Every type: its bytes and no fewer, whole blocks, sizes that do not wrap. */
static void sizes_of_every_type_are_checked(void **state)
{
    (void)state;
    for (size_t i = 0; i < AE_COUNT(stored_types); i++) {
        const ae_dtype_info *info = ae_dtype_info_of(stored_types[i]);
        uint64_t block = (uint64_t)info->block_elements, wide = (uint64_t)1 << 60;
        size_t bytes = 3 * 2 * (size_t)info->block_bytes;
        ae_bytes file;
        aerie_error err;
        ae_tensor view;
        ae_gguf *g;

        assert_int_equal(open_one(&g, &file, info->dtype, 2 * block, 3, bytes, &err), AERIE_OK);
        const ae_stored_tensor *t = ae_tensor_list_find(ae_gguf_tensors(g), "t");
        assert_int_equal(ae_stored_tensor_view(&view, t, &err), AERIE_OK);
        assert_true(view.dtype == info->dtype && view.rows == 3 && t->bytes == bytes);
        ae_gguf_close(g);
        ae_bytes_free(&file);
        assert_refused(info->dtype, 2 * block, 3, bytes - 1, "cut off or damaged");
        if (block > 1) assert_refused(info->dtype, block + 1, 3, bytes, "broken block");
        assert_refused(info->dtype, wide, 64, bytes, "counted");
    }
}

static void read_whole(ae_bytes *out, const char *path)
{
    assert_int_equal(ae_file_read(out, path, 0, NULL), AERIE_OK);
}

/* A file cut anywhere before its last tensor's end is refused, with a sentence. */
static void cut_files_are_refused(void **state)
{
    place p = make_place();
    ae_bytes file = { 0 };
    ae_gguf *g;
    size_t padding;

    (void)state;
    assert_int_equal(write_sample(p.path, 1000, NULL), AERIE_OK);
    read_whole(&file, p.path);
    assert_int_equal(ae_gguf_open_memory(&g, file.data, file.len, "memory", NULL), AERIE_OK);
    padding = (32 - ae_tensor_list_at(ae_gguf_tensors(g), N_TENSORS - 1)->bytes % 32) % 32;
    ae_gguf_close(g);
    for (size_t len = 0; len < file.len; len++) {
        /* A copy that ends where it ends, so that a sanitizer sees reading past it. */
        char *cut = ae_strndup(file.data, len);
        aerie_error err = { 0 };
        aerie_status status = ae_gguf_open_memory(&g, cut, len, "memory", &err);
        assert_int_equal(status, len < file.len - padding ? AERIE_BAD_FILE : AERIE_OK);
        if (status) assert_true(strlen(err.message) > 20);
        ae_gguf_close(g);
        ae_free(cut);
    }
    ae_bytes_free(&file);
    leave_place(&p);
}

/* Any byte may be anything: opening gives a status, and what opens can be walked. */
static void damaged_files_are_survived(void **state)
{
    place p = make_place();
    ae_bytes file = { 0 };
    ae_rng rng;

    (void)state;
    assert_int_equal(write_sample(p.path, 1000, NULL), AERIE_OK);
    read_whole(&file, p.path);
    ae_rng_seed(&rng, 11);
    for (int round = 0; round < 4000; round++) {
        size_t at = ae_rng_below(&rng, file.len / 3);
        char was = file.data[at];
        ae_gguf *g;
        file.data[at] = (char)(ae_rng_below(&rng, 3) ? ae_rng_next(&rng) : 0xff);
        if (ae_gguf_open_memory(&g, file.data, file.len, "memory", NULL) == AERIE_OK) {
            ae_bytes out = { 0 };
            for (size_t i = 0; i < ae_gguf_entry_count(g); i++) ae_gguf_entry_print(&out, g, i, 50);
            ae_bytes_free(&out);
        }
        ae_gguf_close(g);
        file.data[at] = was;
    }
    ae_bytes_free(&file);
    leave_place(&p);
}

typedef void misuse_fn(ae_gguf_writer *w);

static void key_twice(ae_gguf_writer *w)
{
    ae_gguf_set_u32(w, "k", 1);
    ae_gguf_set_u32(w, "k", 2);
}

static void tensor_twice(ae_gguf_writer *w)
{
    ae_gguf_writer_tensor(w, "t", AE_F32, 1, 2);
    ae_gguf_writer_tensor(w, "t", AE_F32, 1, 2);
}

static void not_filled(ae_gguf_writer *w)
{
    ae_gguf_writer_tensor(w, "t", AE_F32, 1, 2);
    ae_gguf_writer_add(w, "1234", 4);
}

static void overfilled(ae_gguf_writer *w)
{
    ae_gguf_writer_tensor(w, "t", AE_F32, 1, 2);
    ae_gguf_writer_tensor(w, "u", AE_F32, 1, 2);
    ae_gguf_writer_add(w, "123456789", 9);
}

static void no_tensor(ae_gguf_writer *w)
{
    ae_gguf_writer_add(w, "1234", 4);
}

static void broken_rows(ae_gguf_writer *w)
{
    ae_gguf_writer_tensor(w, "t", AE_Q8_0, 1, 33);
}

static void late_key(ae_gguf_writer *w)
{
    ae_gguf_writer_tensor(w, "t", AE_F32, 1, 1);
    ae_gguf_writer_add(w, "1234", 4);
    ae_gguf_set_u32(w, "k", 1);
}

static void late_tensor(ae_gguf_writer *w)
{
    ae_gguf_writer_tensor(w, "t", AE_F32, 1, 1);
    ae_gguf_writer_add(w, "1234", 4);
    ae_gguf_writer_tensor(w, "u", AE_F32, 1, 1);
}

static void misuse_leaves_no_file(void **state)
{
    static misuse_fn *const misuses[] = { key_twice, tensor_twice, not_filled, overfilled,
                                          no_tensor, broken_rows,  late_key,   late_tensor };
    place p = make_place();

    (void)state;
    for (size_t i = 0; i < AE_COUNT(misuses); i++) {
        ae_gguf_writer *w;
        aerie_error err = { 0 };
        assert_int_equal(ae_gguf_writer_open(&w, p.path, NULL), AERIE_OK);
        misuses[i](w);
        assert_int_not_equal(ae_gguf_writer_commit(w, &err), AERIE_OK);
        assert_true(strlen(err.message) > 20);
        assert_int_equal(scratch_count(p.folder), 0);
        assert_int_equal(ae_gguf_writer_open(&w, p.path, NULL), AERIE_OK);
        misuses[i](w);
        ae_gguf_writer_abandon(w);
        assert_int_equal(scratch_count(p.folder), 0);
    }
    leave_place(&p);
}

/* Whatever allocation fails: a status, no leak, and no half file. */
static void out_of_memory_is_survived(void **state)
{
    place p = make_place();
    size_t before = ae_alloc_bytes();
    aerie_status status = AERIE_NO_MEMORY;

    (void)state;
    for (long n = 1; status; n++) {
        aerie_error err = { 0 };
        ae_gguf *g = NULL;
        ae_alloc_fail_at(n);
        status = write_sample(p.path, 100, &err);
        if (!status) status = ae_gguf_open(&g, p.path, &err);
        if (!ae_alloc_has_failed())
            assert_int_equal(status, AERIE_OK);
        else if (status)
            assert_int_equal(status, AERIE_NO_MEMORY);
        ae_alloc_fail_at(0);
        ae_gguf_close(g);
        assert_int_equal(ae_alloc_bytes(), before);
        assert_true(scratch_count(p.folder) <= 1);
        assert_true(n < 1000);
    }
    leave_place(&p);
}

/* Real vocabularies, where they are at hand. */
static void real_files_open(void **state)
{
    const char *shared = getenv("AERIE_SHARED");
    char *folder = ae_path_join(shared ? shared : "../shared", "data/tokenizers/gguf");
    static const struct {
        const char *name;
        size_t n_tokens;
    } cases[] = { { "ggml-vocab-llama-spm.gguf", 32000 }, { "ggml-vocab-gpt-2.gguf", 50257 } };

    (void)state;
    if (!ae_file_is_folder(folder)) print_message("skipped: %s is not there\n", folder);
    for (size_t i = 0; ae_file_is_folder(folder) && i < AE_COUNT(cases); i++) {
        char *path = ae_path_join(folder, cases[i].name);
        aerie_error err = { 0 };
        const ae_span *tokens;
        ae_gguf *g;
        size_t n;
        assert_int_equal(ae_gguf_open(&g, path, &err), AERIE_OK);
        assert_int_equal(ae_gguf_texts(g, "tokenizer.ggml.tokens", &tokens, &n, &err), AERIE_OK);
        assert_int_equal(n, cases[i].n_tokens);
        ae_gguf_close(g);
        ae_free(path);
    }
    ae_free(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(copied_metadata_is_the_same_bytes),
        cmocka_unit_test(alignment_is_not_copied),
        cmocka_unit_test(values_print_for_people),
        cmocka_unit_test(getters_check_types),
        cmocka_unit_test(integers_are_read_from_any_width),
        cmocka_unit_test(unread_types_are_named),
        cmocka_unit_test(sizes_of_every_type_are_checked),
        cmocka_unit_test(cut_files_are_refused),
        cmocka_unit_test(damaged_files_are_survived),
        cmocka_unit_test(misuse_leaves_no_file),
        cmocka_unit_test(out_of_memory_is_survived),
        cmocka_unit_test(real_files_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
