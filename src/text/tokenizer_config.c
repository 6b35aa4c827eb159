/* tokenizer_config.c -- what stands beside a tokenizer: tokenizer_config.json and
 * added_tokens.json. */
#include "text/vocab_builder.h"

#include <stdlib.h>

aerie_status ae_vocab_add_entry(ae_vocab_builder *b, int64_t id, const json_t *entry,
                                size_t expected, aerie_error *err)
{
    ae_span text = ae_json_span(json_object_get(entry, "content"));
    bool special = json_is_true(json_object_get(entry, "special"));
    ae_vocab_token token = { .text = text,
                             .type = special ? AE_TOKEN_CONTROL : AE_TOKEN_USER_DEFINED };

    if (text.len == 0)
        return aerie_fail(err, AERIE_BAD_FILE, "added token %lld has no \"content\"",
                          (long long)id);
    if (id >= 0 && (size_t)id < b->n_tokens && ae_span_equal(b->tokens[id].text, text)) {
        token.score = b->tokens[id].score;
        if (b->tokens[id].type == AE_TOKEN_UNKNOWN) token.type = AE_TOKEN_UNKNOWN;
    }
    token.lstrip = json_is_true(json_object_get(entry, "lstrip"));
    token.rstrip = json_is_true(json_object_get(entry, "rstrip"));
    token.single_word = json_is_true(json_object_get(entry, "single_word"));
    return ae_vocab_builder_set(b, id, token, expected, err);
}

/* A token's text is given as a string or as an object with "content". */
static void set_id(const ae_vocab_builder *b, int32_t *id, const json_t *config, const char *key)
{
    const json_t *value = json_object_get(config, key);
    ae_span text = ae_json_span(json_is_object(value) ? json_object_get(value, "content") : value);
    int32_t found = ae_vocab_builder_find(b, text);

    if (found >= 0) *id = found;
}

static void set_flag(bool *flag, const json_t *config, const char *key)
{
    const json_t *value = json_object_get(config, key);

    if (json_is_boolean(value)) *flag = json_is_true(value);
}

static aerie_status add_decoder(ae_vocab_builder *b, json_t *added, aerie_error *err)
{
    size_t expected = b->n_tokens + json_object_size(added);
    const char *key;
    json_t *entry;

    json_object_foreach(added, key, entry)
    {
        char *end;
        long long id = strtoll(key, &end, 10);
        aerie_status status;

        if (end == key || *end)
            return aerie_fail(err, AERIE_BAD_FILE,
                              "\"added_tokens_decoder\" has the key \"%.40s\", which is no number",
                              key);
        status = ae_vocab_add_entry(b, id, entry, expected, err);
        if (status) return status;
    }
    return AERIE_OK;
}

aerie_status ae_vocab_add_config(ae_vocab_builder *b, const json_t *config, aerie_error *err)
{
    ae_vocab *v = &b->vocab;
    aerie_status status = add_decoder(b, json_object_get(config, "added_tokens_decoder"), err);
    bool spm_file = v->kind == AE_VOCAB_SPM && !v->spm_bpe_merges;

    if (status) return status;
    set_id(b, &v->bos, config, "bos_token");
    set_id(b, &v->eos, config, "eos_token");
    set_id(b, &v->unk, config, "unk_token");
    set_id(b, &v->pad, config, "pad_token");
    set_flag(&v->add_bos, config, "add_bos_token");
    set_flag(&v->add_eos, config, "add_eos_token");
    /* A tokenizer.json says itself what becomes of spaces; beside a tokenizer.model this does. */
    if (spm_file) set_flag(&v->add_prefix_space, config, "add_prefix_space");
    if (spm_file) set_flag(&v->prefix_every_segment, config, "legacy");
    return AERIE_OK;
}

/* "<|im_end|>" and "[INST]" are meant for templates, not for users' text. */
static bool looks_like_control(ae_span text)
{
    char first = text.data[0], last = text.data[text.len - 1];

    return text.len > 2 && ((first == '<' && last == '>') || (first == '[' && last == ']'));
}

aerie_status ae_vocab_add_added(ae_vocab_builder *b, const json_t *added, aerie_error *err)
{
    size_t expected = b->n_tokens + json_object_size(added);
    const char *key;
    json_t *id;

    json_object_foreach((json_t *)added, key, id)
    {
        ae_vocab_token token = { .text = ae_span_text(key) };
        aerie_status status;

        if (!json_is_integer(id) || token.text.len == 0)
            return aerie_fail(err, AERIE_BAD_FILE, "added token \"%.60s\" has no number", key);
        if (ae_vocab_builder_find(b, token.text) == json_integer_value(id)) continue;
        token.type = looks_like_control(token.text) ? AE_TOKEN_CONTROL : AE_TOKEN_USER_DEFINED;
        status = ae_vocab_builder_set(b, json_integer_value(id), token, expected, err);
        if (status) return status;
    }
    return AERIE_OK;
}
