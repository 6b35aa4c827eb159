/* tokenizer_json.c -- a vocabulary as Hugging Face's tokenizer.json and tokenizer_config.json. */
#include "model/tokenizer_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARK "\xe2\x96\x81" /* U+2581 */

static json_t *text_of(ae_span s)
{
    return json_stringn(s.data, s.len); /* NULL when it is no UTF-8 */
}

/* jansson before 2.14 wants keys that end in '\0'. Takes `value` over. */
static bool set(json_t *object, ae_span key, json_t *value)
{
    char *name = ae_strndup(key.data, key.len);
    bool ok = name && json_object_set_new(object, name, value) == 0;

    if (!name) json_decref(value);
    ae_free(name);
    return ok;
}

static bool is_added(const ae_vocab_token *t)
{
    return t->type == AE_TOKEN_CONTROL || t->type == AE_TOKEN_USER_DEFINED ||
           t->type == AE_TOKEN_UNKNOWN;
}

static json_t *added_token(const ae_vocab_token *t)
{
    return json_pack("{s:s%,s:b,s:b,s:b,s:b,s:b}", "content", t->text.data, t->text.len,
                     "single_word", (int)t->single_word, "lstrip", (int)t->lstrip, "rstrip",
                     (int)t->rstrip, "normalized", 0, "special",
                     (int)(t->type != AE_TOKEN_USER_DEFINED));
}

static json_t *added_tokens(const ae_vocab *v)
{
    json_t *list = json_array();

    for (int32_t i = 0; list && i < v->n_tokens; i++) {
        if (!is_added(&v->tokens[i])) continue;
        json_t *token = added_token(&v->tokens[i]);
        json_object_set_new(token, "id", json_integer(i));
        json_array_append_new(list, token);
    }
    return list;
}

static json_t *split_step(const char *pattern)
{
    return json_pack("{s:s,s:{s:s},s:s,s:b}", "type", "Split", "pattern", "Regex", pattern,
                     "behavior", "Isolated", "invert", 0);
}

static json_t *byte_level(bool add_prefix_space)
{
    return json_pack("{s:s,s:b,s:b,s:b}", "type", "ByteLevel", "add_prefix_space",
                     (int)add_prefix_space, "trim_offsets", 1, "use_regex", 0);
}

static json_t *byte_level_steps(const ae_vocab *v)
{
    json_t *steps = json_array();

    for (int32_t i = 0; i < v->n_pre_regex; i++)
        json_array_append_new(steps, split_step(v->pre_regex[i]));
    json_array_append_new(steps, byte_level(v->add_prefix_space));
    return json_pack("{s:s,s:o}", "type", "Sequence", "pretokenizers", steps);
}

/* Spaces are U+2581 in the pieces; one more goes before the text. */
static json_t *spm_normalizer(const ae_vocab *v)
{
    json_t *steps = json_array();

    if (v->add_prefix_space)
        json_array_append_new(steps, json_pack("{s:s,s:s}", "type", "Prepend", "prepend", MARK));
    json_array_append_new(steps, json_pack("{s:s,s:{s:s},s:s}", "type", "Replace", "pattern",
                                           "String", " ", "content", MARK));
    return json_pack("{s:s,s:o}", "type", "Sequence", "normalizers", steps);
}

/* The other way to say the same, which differs in where a space is put. */
static bool wants_metaspace(const ae_vocab *v)
{
    return v->prefix_unless_space || v->split_words;
}

static json_t *metaspace(const ae_vocab *v)
{
    const char *scheme = !v->add_prefix_space      ? "never"
                         : v->prefix_every_segment ? "always"
                                                   : "first";

    return json_pack("{s:s,s:s,s:s,s:b}", "type", "Metaspace", "replacement", MARK,
                     "prepend_scheme", scheme, "split", (int)v->split_words);
}

static json_t *spm_decoder(void)
{
    return json_pack("{s:s,s:[{s:s,s:{s:s},s:s},{s:s},{s:s},{s:s,s:s,s:i,s:i}]}", "type",
                     "Sequence", "decoders", "type", "Replace", "pattern", "String", MARK,
                     "content", " ", "type", "ByteFallback", "type", "Fuse", "type", "Strip",
                     "content", " ", "start", 1, "stop", 0);
}

/* Puts BOS before, and EOS behind, what is encoded. */
static json_t *post_processor(const ae_vocab *v)
{
    json_t *single = json_array(), *tokens = json_object();
    const int32_t ids[2] = { v->add_bos ? v->bos : -1, v->add_eos ? v->eos : -1 };

    for (int i = 0; i < 2; i++) {
        if (i == 1)
            json_array_append_new(single,
                                  json_pack("{s:{s:s,s:i}}", "Sequence", "id", "A", "type_id", 0));
        if (ids[i] < 0) continue;
        ae_span text = v->tokens[ids[i]].text;
        json_array_append_new(single, json_pack("{s:{s:s%,s:i}}", "SpecialToken", "id", text.data,
                                                text.len, "type_id", 0));
        json_t *special = json_pack("{s:s%,s:[i],s:[s%]}", "id", text.data, text.len, "ids",
                                    (int)ids[i], "tokens", text.data, text.len);
        set(tokens, text, special);
    }
    return json_pack("{s:s,s:o,s:[{s:{s:s,s:i}},{s:{s:s,s:i}}],s:o}", "type", "TemplateProcessing",
                     "single", single, "pair", "Sequence", "id", "A", "type_id", 0, "Sequence",
                     "id", "B", "type_id", 1, "special_tokens", tokens);
}

static json_t *vocab_object(const ae_vocab *v)
{
    json_t *object = json_object();

    for (int32_t i = 0; i < v->n_tokens; i++)
        if (!set(object, v->tokens[i].text, json_integer(i)))
            goto failed; /* not UTF-8, or no room */
    return object;
failed:
    json_decref(object);
    return NULL;
}

static json_t *merges_array(const ae_vocab *v)
{
    json_t *list = json_array();

    for (int32_t i = 0; i < v->n_merges; i++)
        if (json_array_append_new(list, text_of(v->merges[i]))) goto failed;
    return list;
failed:
    json_decref(list);
    return NULL;
}

static json_t *bpe_model(const ae_vocab *v)
{
    bool spm = v->kind == AE_VOCAB_SPM;
    json_t *unk = v->unk >= 0 && spm ? text_of(v->tokens[v->unk].text) : json_null();

    return json_pack("{s:s,s:n,s:o,s:n,s:n,s:b,s:b,s:b,s:o,s:o}", "type", "BPE", "dropout",
                     "unk_token", unk, "continuing_subword_prefix", "end_of_word_suffix",
                     "fuse_unk", (int)spm, "byte_fallback", (int)spm, "ignore_merges",
                     (int)v->ignore_merges, "vocab", vocab_object(v), "merges", merges_array(v));
}

static json_t *normalizer(const ae_vocab *v)
{
    if (v->kind == AE_VOCAB_SPM)
        return v->keep_spaces || wants_metaspace(v) ? json_null() : spm_normalizer(v);
    return v->normalize_nfc ? json_pack("{s:s}", "type", "NFC") : json_null();
}

static json_t *pre_tokenizer(const ae_vocab *v)
{
    if (v->kind == AE_VOCAB_SPM) return wants_metaspace(v) ? metaspace(v) : json_null();
    return byte_level_steps(v);
}

static json_t *tokenizer_json(const ae_vocab *v)
{
    bool spm = v->kind == AE_VOCAB_SPM;

    return json_pack("{s:s,s:n,s:n,s:o,s:o,s:o,s:o,s:o,s:o}", "version", "1.0", "truncation",
                     "padding", "added_tokens", added_tokens(v), "normalizer", normalizer(v),
                     "pre_tokenizer", pre_tokenizer(v), "post_processor", post_processor(v),
                     "decoder", spm ? spm_decoder() : byte_level(v->add_prefix_space), "model",
                     bpe_model(v));
}

/* Takes `root` over. */
static aerie_status dump(json_t *root, ae_bytes *out, const char *what, aerie_error *err)
{
    char *text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;

    json_decref(root);
    if (!text)
        return aerie_fail(err, AERIE_NO_MEMORY,
                          "no %s can be made: no room, or a token that is not UTF-8", what);
    ae_bytes_add_text(out, text);
    free(text);
    return ae_bytes_status(out, err);
}

aerie_status ae_tokenizer_json_text(const ae_vocab *v, ae_bytes *out, aerie_error *err)
{
    return dump(tokenizer_json(v), out, "tokenizer.json", err);
}

static void put_special(json_t *root, const char *key, const ae_vocab *v, int32_t id)
{
    if (id >= 0) json_object_set_new(root, key, text_of(v->tokens[id].text));
}

static json_t *tokenizer_config(const ae_vocab *v, const char *template)
{
    bool spm = ae_has_spm_file(v);
    json_t *decoder = json_object();
    json_t *root = json_pack("{s:s,s:b,s:b,s:b}", "tokenizer_class",
                             spm ? "LlamaTokenizer" : "PreTrainedTokenizerFast", "add_bos_token",
                             (int)v->add_bos, "add_eos_token", (int)v->add_eos,
                             "clean_up_tokenization_spaces", 0);

    if (spm) json_object_set_new(root, "legacy", json_boolean(v->prefix_every_segment));
    if (spm) json_object_set_new(root, "add_prefix_space", json_boolean(v->add_prefix_space));
    if (template) json_object_set_new(root, "chat_template", json_string(template));
    put_special(root, "bos_token", v, v->bos);
    put_special(root, "eos_token", v, v->eos);
    put_special(root, "unk_token", v, v->unk);
    put_special(root, "pad_token", v, v->pad);
    for (int32_t i = 0; i < v->n_tokens; i++) {
        char id[16];
        if (!is_added(&v->tokens[i])) continue;
        snprintf(id, sizeof id, "%d", i);
        json_object_set_new(decoder, id, added_token(&v->tokens[i]));
    }
    if (root)
        json_object_set_new(root, "added_tokens_decoder", decoder);
    else
        json_decref(decoder);
    return root;
}

aerie_status ae_tokenizer_config_text(const ae_vocab *v, const char *template, ae_bytes *out,
                                      aerie_error *err)
{
    return dump(tokenizer_config(v, template), out, "tokenizer_config.json", err);
}
