/* vocab_builder.c -- a vocabulary that grows token by token. */
#include "text/vocab_builder.h"

#include <stdio.h>

enum {
    SLACK_IDS = 1024, /* ids that a file may skip */
    SLACK_FACTOR = 4
};

void ae_vocab_builder_start(ae_vocab_builder *b)
{
    *b = (ae_vocab_builder){ 0 };
    b->vocab.bos = b->vocab.eos = b->vocab.unk = b->vocab.pad = b->vocab.eot = -1;
}

void ae_vocab_builder_free(ae_vocab_builder *b)
{
    ae_free(b->tokens);
    ae_arena_free(&b->arena);
    *b = (ae_vocab_builder){ 0 };
}

static aerie_status make_room(ae_vocab_builder *b, size_t n, aerie_error *err)
{
    size_t cap = b->cap ? b->cap : 1024;
    ae_vocab_token *grown;

    if (n <= b->cap) return AERIE_OK;
    while (cap < n) cap *= 2;
    grown = ae_realloc(b->tokens, b->cap, cap, sizeof *grown);
    if (!grown) return aerie_fail(err, AERIE_NO_MEMORY, "out of memory for %zu tokens", n);
    b->tokens = grown;
    b->cap = cap;
    return AERIE_OK;
}

aerie_status ae_vocab_builder_set(ae_vocab_builder *b, int64_t id, ae_vocab_token token,
                                  size_t expected, aerie_error *err)
{
    aerie_status status;

    if (expected > INT32_MAX / 8 || id < 0 ||
        (uint64_t)id >= (expected + b->n_tokens) * SLACK_FACTOR + SLACK_IDS)
        return aerie_fail(err, AERIE_BAD_FILE,
                          "token \"%.*s\" has the number %lld, which does not go with a vocabulary "
                          "of about %zu tokens",
                          (int)(token.text.len < 60 ? token.text.len : 60), token.text.data,
                          (long long)id, expected);
    status = make_room(b, (size_t)id + 1, err);
    if (status) return status;
    if ((size_t)id >= b->n_tokens) b->n_tokens = (size_t)id + 1;
    b->tokens[id] = token;
    return AERIE_OK;
}

int32_t ae_vocab_builder_find(const ae_vocab_builder *b, ae_span text)
{
    for (size_t i = 0; text.len > 0 && i < b->n_tokens; i++)
        if (ae_span_equal(b->tokens[i].text, text)) return (int32_t)i;
    return -1;
}

aerie_status ae_vocab_builder_finish(ae_vocab_builder *b, ae_tokenizer **out, aerie_error *err)
{
    for (size_t i = 0; i < b->n_tokens; i++) {
        char name[32];
        char *copy;

        if (b->tokens[i].text.data) continue;
        snprintf(name, sizeof name, "[PAD%zu]", i);
        copy = ae_arena_strndup(&b->arena, name, sizeof name - 1);
        if (!copy) return aerie_fail(err, AERIE_NO_MEMORY, "out of memory for a vocabulary");
        b->tokens[i] = (ae_vocab_token){ .text = ae_span_text(copy), .type = AE_TOKEN_UNUSED };
    }
    b->vocab.tokens = b->tokens;
    b->vocab.n_tokens = (int32_t)b->n_tokens;
    b->vocab.merges = b->merges;
    b->vocab.pre_regex = b->patterns;
    return ae_tokenizer_new(out, &b->vocab, err);
}

aerie_status ae_json_parse(json_t **out, ae_span text, bool huge_numbers, const char *what,
                           aerie_error *err)
{
    size_t flags = JSON_ALLOW_NUL | (huge_numbers ? JSON_DECODE_INT_AS_REAL : 0);
    json_error_t why;

    *out = json_loadb(text.data, text.len, flags, &why);
    if (*out) return AERIE_OK;
    if (json_error_code(&why) == json_error_out_of_memory)
        return aerie_fail(err, AERIE_NO_MEMORY, "out of memory for %s", what);
    return aerie_fail(err, AERIE_BAD_FILE, "%s is not valid JSON: line %d, column %d: %s", what,
                      why.line, why.column, why.text);
}
