/* test_hostile.c -- every hostile file gets a status and a sentence, and takes nothing with it.
 *
 * With a folder as argument it writes the files there instead, as seeds for fuzzing:
 *   test_hostile test/fuzz/corpus */
#include "scratch.h"

#include "format/hostile.h"

typedef aerie_status open_fn(const ae_bytes *file, const hostile_case *c, aerie_error *err);

static aerie_status open_gguf(const ae_bytes *file, const hostile_case *c, aerie_error *err)
{
    ae_gguf *g;
    ae_arena arena = { 0 };
    float *numbers;
    size_t n;
    aerie_status status = ae_gguf_open_memory(&g, file->data, file->len, "hostile.gguf", err);

    if (status)
        assert_null(g);
    else if (c->key)
        status = ae_gguf_f32s(g, c->key, &numbers, &n, &arena, err) ? AERIE_OK : AERIE_IO;
    ae_gguf_close(g);
    ae_arena_free(&arena);
    return status;
}

static aerie_status open_safetensors(const ae_bytes *file, const hostile_case *c, aerie_error *err)
{
    ae_safetensors *s;
    aerie_status status =
        ae_safetensors_open_memory(&s, file->data, file->len, "hostile.safetensors", err);

    (void)c;
    if (status) assert_null(s);
    ae_safetensors_close(s);
    return status;
}

static void check_cases(const hostile_case *cases, size_t n, open_fn *open)
{
    for (size_t i = 0; i < n; i++) {
        size_t before = ae_alloc_bytes();
        ae_bytes file = { 0 };
        aerie_error err = { 0 };
        aerie_status status;
        cases[i].put(&file);
        status = open(&file, &cases[i], &err);
        if (status != cases[i].status || !strstr(err.message, cases[i].sentence))
            fail_msg("%s: %s: '%s'", cases[i].name, aerie_status_name(status), err.message);
        ae_bytes_free(&file);
        assert_int_equal(ae_alloc_bytes(), before);
    }
}

static void hostile_gguf_files_are_refused(void **state)
{
    (void)state;
    check_cases(hostile_gguf, n_hostile_gguf, open_gguf);
}

static void hostile_safetensors_files_are_refused(void **state)
{
    (void)state;
    check_cases(hostile_safetensors, n_hostile_safetensors, open_safetensors);
}

static bool write_cases(const hostile_case *cases, size_t n, const char *corpus, const char *target)
{
    char *folder = ae_path_join(corpus, target);
    bool ok = ae_file_make_folder(folder, NULL) == AERIE_OK;

    for (size_t i = 0; i < n && ok; i++) {
        char *path = ae_path_join(folder, cases[i].name);
        ae_bytes file = { 0 };
        cases[i].put(&file);
        /* A seed wants to be small: what makes these long is the same byte again. */
        ok = ae_file_write(path, file.data, file.len < 2048 ? file.len : 2048, NULL) == AERIE_OK;
        ae_bytes_free(&file);
        ae_free(path);
    }
    ae_free(folder);
    return ok;
}

/* Good files beside the bad ones: a fuzzer gets further from there. */
static bool write_good_gguf(const char *corpus)
{
    static const uint8_t data[4 * 34] = { 0 };
    char *path = ae_path_join(corpus, "fuzz_gguf/good");
    const ae_span tokens[] = { ae_span_text("<s>"), ae_span_text("a") };
    const float scores[] = { 0.0f, -1.0f };
    const int32_t types[] = { 3, 1 };
    ae_gguf_writer *w;

    if (ae_gguf_writer_open(&w, path, NULL)) return false;
    ae_gguf_set_text(w, "general.architecture", "llama");
    ae_gguf_set_u32(w, "general.alignment", 32);
    ae_gguf_set_f32(w, "llama.rope.freq_base", 10000.0f);
    ae_gguf_set_bool(w, "tokenizer.ggml.add_bos_token", true);
    ae_gguf_set_texts(w, "tokenizer.ggml.tokens", tokens, 2);
    ae_gguf_set_f32s(w, "tokenizer.ggml.scores", scores, 2);
    ae_gguf_set_i32s(w, "tokenizer.ggml.token_type", types, 2);
    ae_gguf_writer_tensor(w, "token_embd.weight", AE_Q8_0, 2, 32);
    ae_gguf_writer_tensor(w, "output_norm.weight", AE_F32, 1, 8);
    ae_gguf_writer_add(w, data, 2 * 34);
    ae_gguf_writer_add(w, data, 32);
    ae_free(path);
    return ae_gguf_writer_commit(w, NULL) == AERIE_OK;
}

static bool write_good_safetensors(const char *corpus)
{
    static const uint8_t data[32] = { 0 };
    static const int64_t dims[] = { 2, 4 };
    char *path = ae_path_join(corpus, "fuzz_safetensors/good");
    ae_safetensors_writer *w;

    if (ae_safetensors_writer_open(&w, path, NULL)) return false;
    ae_safetensors_set(w, "format", "pt");
    ae_safetensors_writer_tensor(w, "a.weight", AE_F32, dims, 2);
    ae_safetensors_writer_tensor(w, "b.bias", AE_BF16, dims, 1);
    ae_safetensors_writer_add(w, data, 32);
    ae_safetensors_writer_add(w, data, 4);
    ae_free(path);
    return ae_safetensors_writer_commit(w, NULL) == AERIE_OK;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_gguf_files_are_refused),
        cmocka_unit_test(hostile_safetensors_files_are_refused),
    };
    if (argc > 1)
        return !(
            write_cases(hostile_gguf, n_hostile_gguf, argv[1], "fuzz_gguf") &&
            write_cases(hostile_safetensors, n_hostile_safetensors, argv[1], "fuzz_safetensors") &&
            write_good_gguf(argv[1]) && write_good_safetensors(argv[1]));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
