/* test_tokenizer_golden.c -- published vocabularies against recorded ids. The files are large and
 * lie outside of the project: a test whose file is missing is skipped.
 *
 * With arguments it compares one pair of files: TOKENIZER JSONL [DECODED
 * [plain]], where DECODED names the key of the text that decoding must give, and `plain` means
 * without BOS and special tokens, as sentencepiece does. */
#include "text/gguf_vocab.h"
#include "text/tokenizer_compare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static ae_tokenizer *open_shared(const char *name)
{
    char *path = shared_path(name);
    ae_tokenizer *t = NULL;
    aerie_error err = { 0 };

    if (!path) return NULL;
    if (ae_tokenizer_open(&t, path, &err)) fail_msg("%s", err.message);
    ae_free(path);
    return t;
}

/* Every line of `golden` agrees, and there are `lines` of them. */
static void check_golden(const char *model, const char *golden, comparing c, size_t lines)
{
    char *path = shared_path(golden);
    compared result;

    c.tokenizer = open_shared(model);
    if (c.tokenizer && path) {
        result = compare_file(&c, path);
        assert_int_equal(result.wrong, 0);
        assert_int_equal(result.lines, lines);
    }
    ae_tokenizer_close(c.tokenizer);
    ae_free(path);
}

static void sentencepiece_models(void **state)
{
    static const char golden[] = "data/tokenizers/golden_spm.jsonl.gz";

    (void)state;
    check_golden("data/tokenizers/mistral_v1_32000_tokenizer.model", golden,
                 (comparing){ .ids_key = "mistral_v1", .text_key = "decoded_mistral_v1" }, 1839);
    check_golden("data/tokenizers/mistral_v3_32768_tokenizer.model", golden,
                 (comparing){ .ids_key = "mistral_v3", .text_key = "decoded_mistral_v1" }, 1839);
    check_golden("data/tokenizers/llama2_32000_tokenizer.model", golden,
                 (comparing){ .ids_key = "llama2", .text_key = "decoded_mistral_v1" }, 1839);
    check_golden("data/models/stories260K-hf", "data/models/golden_tok512.jsonl.gz",
                 (comparing){ .ids_key = "ids", .text_key = "text" }, 300);
}

/* The same vocabulary in its converted form, where merges decide instead of scores. */
static void converted_models(void **state)
{
    (void)state;
    check_golden("data/tokenizers/zephyr_32000_tokenizer.json.gz",
                 "data/tokenizers/golden_spm.jsonl.gz",
                 (comparing){ .ids_key = "mistral_v1", .text_key = "decoded_mistral_v1" }, 1839);
}

static void chats(void **state)
{
    static const char golden[] = "data/tokenizers/golden_chat_zephyr_starling.jsonl.gz";
    comparing c = { .ids_key = "ids",
                    .only_key = "model",
                    .only_value = "zephyr-7b-beta",
                    .flags = AE_ENCODE_BOS | AE_ENCODE_SPECIAL };
    size_t zephyr = 342;

    (void)state;
    check_golden("data/tokenizers/zephyr_32000_tokenizer.json.gz", golden, c, zephyr);
    check_golden("data/tokenizers/mistral_v1_32000_tokenizer.model", golden, c, zephyr);
    c.only_value = "Starling-LM-7B-alpha";
    c.flags = AE_ENCODE_SPECIAL; /* its template writes <s> */
    check_golden("data/tokenizers/starling_openchat_32002_tokenizer.json.gz", golden, c,
                 513 - zephyr);
}

/* llama.cpp's recorded ids, made by the tokenizers library. */
static void check_ggml(ae_tokenizer *t, const char *golden)
{
    char *texts = shared_path("data/tokenizers/gguf/ggml-vocab.inp");
    char *ids = shared_path(golden);
    compared result;

    if (texts && ids) {
        result = compare_ggml(t, texts, ids);
        assert_int_equal(result.wrong, 0);
        assert_int_equal(result.lines, 46);
    }
    ae_free(texts);
    ae_free(ids);
}

static void ggml_vocabularies(void **state)
{
    static const char *const names[] = { "llama-spm", "phi-3", "gpt-2", "deepseek-coder" };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(names); i++) {
        char vocab[120], golden[128];
        char *path;
        ae_tokenizer *t = NULL;
        aerie_error err = { 0 };

        snprintf(vocab, sizeof vocab, "data/tokenizers/gguf/ggml-vocab-%s.gguf", names[i]);
        snprintf(golden, sizeof golden, "%s.out", vocab);
        path = shared_path(vocab);
        if (!path) continue;
        if (open_gguf_vocab(&t, path, &err)) fail_msg("%s", err.message);
        check_ggml(t, golden);
        ae_tokenizer_close(t);
        ae_free(path);
    }
}

/* The encoder and merges of Llama 3.2, without special tokens. */
static void llama_bpe(void **state)
{
    char *encoder = shared_path("data/tokenizers/llama3.2_encoder.json.gz");
    char *merges = shared_path("data/tokenizers/llama3.2_vocab.bpe.gz");
    ae_tokenizer *t = NULL;
    aerie_error err = { 0 };

    (void)state;
    if (encoder && merges) {
        if (open_two_files(&t, encoder, merges, "llama-bpe", &err)) fail_msg("%s", err.message);
        check_ggml(t, "data/tokenizers/gguf/ggml-vocab-llama-bpe.gguf.out");
    }
    ae_tokenizer_close(t);
    ae_free(encoder);
    ae_free(merges);
}

static bool ends_with(const char *text, const char *end)
{
    return strlen(text) >= strlen(end) && strcmp(text + strlen(text) - strlen(end), end) == 0;
}

static void not_bpe(void **state)
{
    char *path = shared_path("data/tokenizers/sentencepiece_test_model.model");
    ae_tokenizer *t = NULL;
    aerie_error err = { 0 };

    (void)state;
    if (!path) return;
    assert_int_equal(ae_tokenizer_open(&t, path, &err), AERIE_UNSUPPORTED);
    assert_null(t);
    assert_non_null(strstr(err.message, "nfkc"));
    ae_free(path);
}

static int compare_arguments(int argc, char **argv)
{
    comparing c = { .ids_key = "ids", .flags = AE_ENCODE_BOS | AE_ENCODE_SPECIAL | AE_ENCODE_EOS };
    aerie_error err = { 0 };
    compared result = { 1, 1 };

    if (argc > 3) c.text_key = argv[3];
    if (argc > 4) c.flags = 0;
    if (ends_with(argv[1], ".gguf") ? open_gguf_vocab(&c.tokenizer, argv[1], &err)
                                    : ae_tokenizer_open(&c.tokenizer, argv[1], &err))
        printf("%s\n", err.message);
    else
        result = compare_file(&c, argv[2]);
    ae_tokenizer_close(c.tokenizer);
    return result.wrong > 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sentencepiece_models),
        cmocka_unit_test(converted_models),
        cmocka_unit_test(chats),
        cmocka_unit_test(ggml_vocabularies),
        cmocka_unit_test(llama_bpe),
        cmocka_unit_test(not_bpe),
    };

    if (argc > 2) return compare_arguments(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
