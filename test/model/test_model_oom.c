/* The n-th allocation fails, n = 1, 2, ... until none is left to fail: opening a model from either
 * format, a copy to train, a new adapter and one from a file, saving. Every failure is a status
 * with a sentence, leaves nothing behind (the sanitizers look), and the next try works. */
#include "model/support.h"

typedef struct {
    char *hf, *gguf, *adapter, *out;
    ae_model *model; /* open, for what needs one */
} world;

typedef aerie_status attempt_fn(const world *w, aerie_error *err);

static aerie_status open_and_close(const char *path, aerie_error *err)
{
    ae_model *m = NULL;
    aerie_status status = ae_model_open(&m, path, err);

    assert_int_equal(!m, status != AERIE_OK);
    ae_model_close(m);
    return status;
}

static aerie_status open_hf(const world *w, aerie_error *err)
{
    return open_and_close(w->hf, err);
}
static aerie_status open_gguf(const world *w, aerie_error *err)
{
    return open_and_close(w->gguf, err);
}

static aerie_status make_trainable(const world *w, aerie_error *err)
{
    ae_model *m = NULL;
    const ae_head_options head = { .score = true, .drop_language = true };
    aerie_status status = ae_model_trainable_with(&m, w->model, &head, 0, err);

    assert_int_equal(!m, status != AERIE_OK);
    ae_model_close(m);
    return status;
}

static aerie_status make_random(const world *w, aerie_error *err)
{
    ae_model *m = NULL;
    aerie_status status = ae_model_random(&m, w->hf, 3, err);

    assert_int_equal(!m, status != AERIE_OK);
    ae_model_close(m);
    return status;
}

static aerie_status open_adapter(const world *w, aerie_error *err)
{
    ae_adapter *a = NULL;
    ae_arena arena = { 0 };
    ae_net net;
    aerie_status status = ae_adapter_open(&a, w->adapter, w->model, true, err);

    assert_int_equal(!a, status != AERIE_OK);
    if (!status) status = ae_net_with_adapters(&net, &arena, w->model, &a, 1, err);
    ae_arena_free(&arena);
    ae_adapter_close(a);
    return status;
}

static aerie_status save_gguf(const world *w, aerie_error *err)
{
    return ae_model_save_gguf(w->model, w->out, AE_Q8_0, err);
}

static aerie_status save_hf(const world *w, aerie_error *err)
{
    return ae_model_save_hf(w->model, w->out, AE_F16, err);
}

static aerie_status chat_format(const world *w, aerie_error *err)
{
    ae_chat_format f;
    aerie_status status = ae_chat_format_open(&f, w->gguf, err);

    ae_chat_format_close(&f);
    return status;
}

static void fail_each(const world *w, const char *what, attempt_fn *attempt)
{
    long n = 1;

    for (;; n++) {
        aerie_error err = { 0 };
        ae_alloc_fail_at(n);
        aerie_status status = attempt(w, &err);
        bool failed = ae_alloc_has_failed();
        ae_alloc_fail_at(0);
        if (!failed) {
            if (status) fail_msg("%s: %s", what, err.message);
            break;
        }
        /* An arena that cannot grow by a large block tries a small one: not every failure is seen.
         */
        if (status && (status != AERIE_NO_MEMORY || !err.message[0]))
            fail_msg("%s, allocation %ld: %s, \"%s\"", what, n, aerie_status_name(status),
                     err.message);
        if (attempt == open_hf || n % 16 == 1) assert_int_equal(attempt(w, NULL), AERIE_OK);
    }
    print_message("%s: %ld allocations\n", what, n - 1);
}

/* A folder with a tokenizer, and what is made from it. */
static void world_open(world *w, char *scratch)
{
    static const char vocab[] = "{\"added_tokens\": [{\"id\": 47, \"content\": \"<|im_end|>\", "
                                "\"special\": true}], \"pre_tokenizer\":"
                                " {\"type\": \"ByteLevel\", \"add_prefix_space\": false}, "
                                "\"model\": {\"type\": \"BPE\", \"vocab\":"
                                " {\"a\": 0, \"b\": 1, \"ab\": 2}, \"merges\": [\"a b\"]}}";
    static const char config[] =
        "{\"eos_token\": \"<|im_end|>\", \"chat_template\": \"{{ messages }}\"}";
    const ae_lora_options options = {
        .rank = 2, .alpha = 4, .targets = { true, false, true }, .head = { .score = true }
    };
    char *path;
    ae_adapter *a;
    ae_model *m = open_or_fail(SHAPES "qwen2");

    w->hf = join(scratch, "hf");
    w->gguf = join(scratch, "m.gguf");
    w->adapter = join(scratch, "a.gguf");
    w->out = join(scratch, "out");
    assert_int_equal(ae_model_save_hf(m, w->hf, AE_BF16, NULL), AERIE_OK);
    ae_model_close(m);
    path = join(w->hf, "tokenizer.json");
    assert_int_equal(ae_file_write(path, vocab, strlen(vocab), NULL), AERIE_OK);
    ae_free(path);
    path = join(w->hf, "tokenizer_config.json");
    assert_int_equal(ae_file_write(path, config, strlen(config), NULL), AERIE_OK);
    ae_free(path);
    m = open_or_fail(w->hf);
    assert_int_equal(ae_model_save_gguf(m, w->gguf, AE_F16, NULL), AERIE_OK);
    ae_model_close(m);
    w->model = open_or_fail(w->gguf);
    assert_int_equal(ae_adapter_new(&a, w->model, &options, 1, NULL), AERIE_OK);
    assert_int_equal(ae_adapter_save(a, w->adapter, w->model, NULL), AERIE_OK);
    ae_adapter_close(a);
}

static void every_allocation(void **state)
{
    char *scratch = scratch_make();
    world w;
    (void)state;

    world_open(&w, scratch);
    fail_each(&w, "opening a folder", open_hf);
    fail_each(&w, "opening a GGUF", open_gguf);
    fail_each(&w, "reading a chat format", chat_format);
    fail_each(&w, "a copy to train", make_trainable);
    fail_each(&w, "a random model", make_random);
    fail_each(&w, "opening an adapter", open_adapter);
    fail_each(&w, "saving GGUF", save_gguf);
    assert_int_equal(unlink(w.out), 0);
    fail_each(&w, "saving a folder", save_hf);
    ae_model_close(w.model);
    ae_free(w.hf);
    ae_free(w.gguf);
    ae_free(w.adapter);
    ae_free(w.out);
    scratch_remove(scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_allocation) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
