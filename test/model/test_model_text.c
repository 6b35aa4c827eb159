/* Tokenizers and chat templates go along with models: through GGUF, through files made anew, and as
 * the bytes they were. */
#include "model/support.h"

#include <jansson.h>

#define SPM_FOLDER "data/models/stories260K-hf"

static const char *const texts[] = {
    "Once upon a time, there was a little girl.",
    "  two  spaces ",
    "",
    "naïve café — 12,345.678 ünïcödé",
    "I'll we've\n\n\ttabs\r\n  x",
    "日本語 and emoji 🙂🙃",
    "<s>not a token</s> [INST]",
    "a",
};

static void write_text(const char *folder, const char *name, const char *text)
{
    char *path = join(folder, name);

    assert_int_equal(ae_file_write(path, text, strlen(text), NULL), AERIE_OK);
    ae_free(path);
}

static const char config_form[] =
    "{\"model_type\": \"llama\", \"vocab_size\": %d, \"hidden_size\": 32, \"intermediate_size\": "
    "32,"
    " \"num_hidden_layers\": 1, \"num_attention_heads\": 2, \"rms_norm_eps\": 1e-5}";

/* A tiny model over whatever tokenizer files lie in the folder. */
static ae_model *model_in(const char *folder, int vocab_size)
{
    ae_model *m = NULL;
    aerie_error err = { 0 };
    char text[400];

    snprintf(text, sizeof text, config_form, vocab_size);
    write_text(folder, "config.json", text);
    if (ae_model_random(&m, folder, 1, &err)) fail_msg("%s", err.message);
    return m;
}

/* A byte-level vocabulary: 256 bytes, a few merges, an end of text. */
static void write_byte_level(const char *folder)
{
    static const char *const merges[][2] = {
        { "t", "h" }, { "th", "e" }, { "\xc4\xa0", "the" }, { "1", "2" }
    };
    json_t *vocab = json_object(), *list = json_array();
    int id = 0;

    for (int byte = 0; byte < 256; byte++) {
        /* GPT-2's letters for bytes: printable ones are themselves, others U+0100 and up. */
        bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte != 0xad);
        static int others;
        if (byte == 0) others = 0;
        int code = printable ? byte : 256 + others++;
        char utf8[5] = { 0 };
        ae_utf8_put(code, utf8);
        json_object_set_new(vocab, utf8, json_integer(id++));
    }
    for (size_t i = 0; i < AE_COUNT(merges); i++) {
        char merged[32], pair[32];
        snprintf(merged, sizeof merged, "%s%s", merges[i][0], merges[i][1]);
        snprintf(pair, sizeof pair, "%s %s", merges[i][0], merges[i][1]);
        json_object_set_new(vocab, merged, json_integer(id++));
        json_array_append_new(list, json_string(pair));
    }
    json_t *root =
        json_pack("{s:[{s:i,s:s,s:b,s:b,s:b,s:b,s:b}],s:n,s:{s:s,s:[{s:s,s:b},{s:s,s:b,s:b}]},s:{s:"
                  "s,s:o,s:o}}",
                  "added_tokens", "id", id, "content", "<|endoftext|>", "single_word", 0, "lstrip",
                  1, "rstrip", 0, "normalized", 0, "special", 1, "normalizer", "pre_tokenizer",
                  "type", "Sequence", "pretokenizers", "type", "Digits", "individual_digits", 1,
                  "type", "ByteLevel", "add_prefix_space", 0, "use_regex", 1, "model", "type",
                  "BPE", "vocab", vocab, "merges", list);
    assert_non_null(root);
    char *text = json_dumps(root, 0);
    write_text(folder, "tokenizer.json", text);
    write_text(folder, "tokenizer_config.json",
               "{\"eos_token\": \"<|endoftext|>\", \"model_max_length\": "
               "1000000000000000019884624838656}");
    free(text);
    json_decref(root);
}

static void assert_same_flags(const ae_vocab *a, const ae_vocab *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->ignore_merges, b->ignore_merges);
    assert_int_equal(a->normalize_nfc, b->normalize_nfc);
    assert_int_equal(a->add_prefix_space, b->add_prefix_space);
    assert_int_equal(a->prefix_every_segment, b->prefix_every_segment);
    assert_int_equal(a->prefix_unless_space, b->prefix_unless_space);
    assert_int_equal(a->user_defined_inline, b->user_defined_inline);
    assert_int_equal(a->remove_extra_spaces, b->remove_extra_spaces);
    assert_int_equal(a->keep_spaces, b->keep_spaces);
    assert_int_equal(a->split_words, b->split_words);
    assert_int_equal(a->spm_bpe_merges, b->spm_bpe_merges);
    assert_int_equal(a->add_bos, b->add_bos);
    assert_int_equal(a->add_eos, b->add_eos);
    assert_int_equal(a->bos, b->bos);
    assert_int_equal(a->eos, b->eos);
    assert_int_equal(a->unk, b->unk);
    assert_int_equal(a->pad, b->pad);
    assert_int_equal(a->eot, b->eot);
    assert_int_equal(!a->pre, !b->pre);
    if (a->pre) assert_string_equal(a->pre, b->pre);
}

static void assert_same_vocab(const ae_vocab *a, const ae_vocab *b)
{
    assert_same_flags(a, b);
    assert_int_equal(a->n_tokens, b->n_tokens);
    for (int32_t i = 0; i < a->n_tokens; i++) {
        const ae_vocab_token *x = &a->tokens[i], *y = &b->tokens[i];
        assert_true(ae_span_equal(x->text, y->text));
        if (a->kind == AE_VOCAB_SPM) assert_true(x->score == y->score);
        assert_int_equal(x->type, y->type);
        assert_int_equal(x->lstrip, y->lstrip);
        assert_int_equal(x->rstrip, y->rstrip);
        assert_int_equal(x->single_word, y->single_word);
    }
    assert_int_equal(a->n_merges, b->n_merges);
    for (int32_t i = 0; i < a->n_merges; i++)
        assert_true(ae_span_equal(a->merges[i], b->merges[i]));
}

static void assert_same_ids(const ae_tokenizer *a, const ae_tokenizer *b)
{
    for (size_t i = 0; i < AE_COUNT(texts); i++)
        for (unsigned flags = 0; flags < 8; flags++) {
            ae_ids x = { 0 }, y = { 0 };
            ae_span text = ae_span_text(texts[i]);
            assert_int_equal(ae_tokenizer_encode(a, text, flags, &x, NULL, NULL), AERIE_OK);
            assert_int_equal(ae_tokenizer_encode(b, text, flags, &y, NULL, NULL), AERIE_OK);
            assert_int_equal(x.len, y.len);
            if (x.len) assert_memory_equal(x.data, y.data, x.len * sizeof *x.data);
            ae_ids_free(&x);
            ae_ids_free(&y);
        }
}

/* Folder -> GGUF -> files made anew: one vocabulary. */
static void check_through(const char *folder, int vocab_size, const char *scratch)
{
    char *gguf = join(scratch, "model.gguf"), *made = join(scratch, "made");
    ae_model *a = model_in(folder, vocab_size);
    aerie_error err = { 0 };

    if (ae_model_save_gguf(a, gguf, AE_F32, &err)) fail_msg("%s", err.message);
    ae_model *b = open_or_fail(gguf);
    assert_same_vocab(ae_tokenizer_vocab(ae_model_tokenizer(a)),
                      ae_tokenizer_vocab(ae_model_tokenizer(b)));
    assert_same_ids(ae_model_tokenizer(a), ae_model_tokenizer(b));
    if (ae_model_save_hf(b, made, AE_F32, &err)) fail_msg("%s", err.message);
    ae_model *c = open_or_fail(made);
    assert_same_vocab(ae_tokenizer_vocab(ae_model_tokenizer(a)),
                      ae_tokenizer_vocab(ae_model_tokenizer(c)));
    assert_same_ids(ae_model_tokenizer(a), ae_model_tokenizer(c));
    ae_model_close(a);
    ae_model_close(b);
    ae_model_close(c);
    ae_free(gguf);
    ae_free(made);
}

static void byte_level(void **state)
{
    char *scratch = scratch_make(), *folder = join(scratch, "source");
    (void)state;

    assert_int_equal(ae_file_make_folder(folder, NULL), AERIE_OK);
    write_byte_level(folder);
    check_through(folder, 261, scratch);
    ae_free(folder);
    scratch_remove(scratch);
}

static void copy_into(const char *from, const char *name, const char *folder)
{
    char *source = join(from, name), *path = join(folder, name);
    ae_bytes bytes = { 0 };

    assert_int_equal(ae_file_read(&bytes, source, 0, NULL), AERIE_OK);
    assert_int_equal(ae_file_write(path, bytes.data, bytes.len, NULL), AERIE_OK);
    ae_bytes_free(&bytes);
    ae_free(source);
    ae_free(path);
}

static void sentencepiece(void **state)
{
    char *shared = shared_path(SPM_FOLDER), *scratch, *folder;
    (void)state;

    if (!shared) return;
    scratch = scratch_make();
    folder = join(scratch, "source");
    assert_int_equal(ae_file_make_folder(folder, NULL), AERIE_OK);
    copy_into(shared, "tokenizer.model", folder);
    check_through(folder, 512, scratch);
    ae_free(folder);
    ae_free(shared);
    scratch_remove(scratch);
}

/* Rows of the embedding past the last token get tokens that are never used. */
static void padded_vocabulary(void **state)
{
    char *scratch = scratch_make(), *gguf = join(scratch, "model.gguf");
    (void)state;

    write_byte_level(scratch);
    ae_model *a = model_in(scratch, 264);
    assert_int_equal(ae_model_save_gguf(a, gguf, AE_F32, NULL), AERIE_OK);
    ae_model *b = open_or_fail(gguf);
    const ae_vocab *v = ae_tokenizer_vocab(ae_model_tokenizer(b));
    assert_int_equal(v->n_tokens, 264);
    assert_int_equal(v->tokens[263].type, AE_TOKEN_UNUSED);
    assert_same_ids(ae_model_tokenizer(a), ae_model_tokenizer(b));
    ae_model_close(a);
    ae_model_close(b);
    ae_free(gguf);
    scratch_remove(scratch);
}

static void too_many_tokens(void **state)
{
    char *scratch = scratch_make(), text[400];
    ae_model *m = NULL;
    aerie_error err = { 0 };
    (void)state;

    write_byte_level(scratch);
    snprintf(text, sizeof text, config_form, 200);
    write_text(scratch, "config.json", text);
    assert_int_equal(ae_model_random(&m, scratch, 1, &err), AERIE_BAD_FILE);
    assert_null(m);
    assert_non_null(strstr(err.message, "261 tokens"));
    assert_non_null(strstr(err.message, "200 rows"));
    scratch_remove(scratch);
}

/* A template given to a model in training is in its files; it wins over a copied config's. */
static void set_template(void **state)
{
    char *scratch = scratch_make(), *folder = join(scratch, "source"),
         *gguf = join(scratch, "m.gguf");
    char *saved = join(scratch, "saved");
    static const char mine[] = "{% for m in messages %}{{ m.content }}{% endfor %}";
    (void)state;

    assert_int_equal(ae_file_make_folder(folder, NULL), AERIE_OK);
    write_byte_level(folder);
    write_text(folder, "tokenizer_config.json",
               "{\"eos_token\": \"<|endoftext|>\", \"chat_template\": [{\"name\": \"tool_use\", "
               "\"template\":"
               " \"T\"}, {\"name\": \"default\", \"template\": \"D\"}]}");
    ae_model *a = model_in(folder, 261);
    assert_string_equal(ae_model_template(a), "D");
    ae_model_close(a);
    write_text(folder, "chat_template.jinja", "J");
    a = model_in(folder, 261);
    assert_string_equal(ae_model_template(a), "J");
    assert_int_equal(ae_model_set_template(a, mine, NULL), AERIE_OK);
    assert_int_equal(ae_model_save_gguf(a, gguf, AE_F16, NULL), AERIE_OK);
    assert_int_equal(ae_model_save_hf(a, saved, AE_BF16, NULL), AERIE_OK);
    ae_model_close(a);
    for (int i = 0; i < 2; i++) {
        ae_model *b = open_or_fail(i ? gguf : saved);
        ae_chat_format format;
        assert_string_equal(ae_model_template(b), mine);
        assert_int_equal(ae_chat_format_open(&format, i ? gguf : saved, NULL), AERIE_OK);
        assert_string_equal(format.source, mine);
        assert_string_equal(format.eos, "<|endoftext|>");
        assert_null(format.bos);
        ae_chat_format_close(&format);
        ae_model_close(b);
    }
    ae_free(folder);
    ae_free(gguf);
    ae_free(saved);
    scratch_remove(scratch);
}

/* The tokenizer alone: of a folder, of a bare file, of a GGUF; and where there is none. */
static void tokenizer_alone(void **state)
{
    char *scratch = scratch_make(), *bare = join(scratch, "tokenizer.json"),
         *gguf = join(scratch, "m.gguf");
    aerie_error err = { 0 };
    ae_tokenizer *t[3] = { NULL }, *none = NULL;
    (void)state;

    write_byte_level(scratch);
    ae_model *m = model_in(scratch, 261);
    assert_int_equal(ae_model_save_gguf(m, gguf, AE_F32, NULL), AERIE_OK);
    assert_int_equal(ae_model_open_tokenizer(&t[0], scratch, NULL), AERIE_OK);
    assert_int_equal(ae_model_open_tokenizer(&t[1], bare, NULL), AERIE_OK);
    assert_int_equal(ae_model_open_tokenizer(&t[2], gguf, NULL), AERIE_OK);
    for (int i = 0; i < 3; i++) {
        assert_same_ids(ae_model_tokenizer(m), t[i]);
        ae_tokenizer_close(t[i]);
    }
    ae_model_close(m);
    assert_int_equal(ae_model_open_tokenizer(&none, SHAPES "tied", &err), AERIE_NOT_FOUND);
    assert_null(none);
    ae_free(bare);
    ae_free(gguf);
    scratch_remove(scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(byte_level),        cmocka_unit_test(sentencepiece),
        cmocka_unit_test(padded_vocabulary), cmocka_unit_test(too_many_tokens),
        cmocka_unit_test(set_template),      cmocka_unit_test(tokenizer_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
