/* tokenizer_cutting.c -- the "normalizer" and "pre_tokenizer" of a tokenizer.json: what is done to
 * a text before merging. Whatever is not known here is refused by name, never ignored. */
#include "text/pretokenize.h"
#include "text/tokenizer_parts.h"
#include "text/vocab_builder.h"

enum { MOST_NESTED = 8 };

/* What the parts have said so far. */
typedef struct {
    ae_vocab *vocab;
    const char **patterns;
    bool byte_level;
    bool marks_spaces; /* " " becomes "▁" */
} cutting;

static bool has_type(const json_t *part, const char *type)
{
    return ae_span_is(ae_json_span(json_object_get(part, "type")), type);
}

static aerie_status unknown(const json_t *part, const char *what, aerie_error *err)
{
    ae_span type = ae_json_span(json_object_get(part, "type"));

    return aerie_fail(err, AERIE_UNSUPPORTED, "its %s \"%.*s\", as it is set, is not supported",
                      what, (int)(type.len < 40 ? type.len : 40), type.data);
}

static bool is_mark(const json_t *text)
{
    return ae_span_is(ae_json_span(text), AE_SPACE_MARK_TEXT);
}

static bool is_space_pattern(const json_t *part)
{
    const json_t *pattern = json_object_get(part, "pattern");

    return ae_span_is(ae_json_span(json_object_get(pattern, "String")), " ");
}

static aerie_status add_normalizer(cutting *c, const json_t *part, int depth, aerie_error *err)
{
    const json_t *one;
    size_t i;
    aerie_status status = AERIE_OK;

    if (!part || json_is_null(part)) return AERIE_OK;
    if (has_type(part, "Sequence") && depth < MOST_NESTED) {
        json_array_foreach(json_object_get(part, "normalizers"), i, one) if (!status) status =
            add_normalizer(c, one, depth + 1, err);
        return status;
    }
    if (has_type(part, "NFC")) {
        c->vocab->normalize_nfc = true;
    } else if (has_type(part, "Prepend") && is_mark(json_object_get(part, "prepend"))) {
        c->vocab->add_prefix_space = c->vocab->prefix_every_segment = true;
    } else if (has_type(part, "Replace") && is_space_pattern(part) &&
               is_mark(json_object_get(part, "content"))) {
        c->marks_spaces = true;
    } else {
        return unknown(part, "normalizer", err);
    }
    return AERIE_OK;
}

static aerie_status add_pattern(cutting *c, const char *pattern, aerie_error *err)
{
    if (c->vocab->n_pre_regex == AE_PRE_MAX_STEPS)
        return aerie_fail(err, AERIE_UNSUPPORTED,
                          "its pre-tokenizer has more than %d steps: that is not supported",
                          (int)AE_PRE_MAX_STEPS);
    c->patterns[c->vocab->n_pre_regex++] = pattern;
    return AERIE_OK;
}

static aerie_status add_split(cutting *c, const json_t *part, aerie_error *err)
{
    const json_t *pattern = json_object_get(json_object_get(part, "pattern"), "Regex");
    ae_span behavior = ae_json_span(json_object_get(part, "behavior"));
    bool invert = json_is_true(json_object_get(part, "invert"));

    /* Gemma's: spaces have become marks by now, so that it cuts nothing. */
    if (is_space_pattern(part) && c->marks_spaces) return AERIE_OK;
    /* "Removed, inverted" keeps the matches alone; patterns of this kind match everything. */
    if (!json_is_string(pattern) || !((ae_span_is(behavior, "Isolated") && !invert) ||
                                      (ae_span_is(behavior, "Removed") && invert)))
        return unknown(part, "pre_tokenizer", err);
    return add_pattern(c, json_string_value(pattern), err);
}

static aerie_status add_byte_level(cutting *c, const json_t *part, aerie_error *err)
{
    c->byte_level = true;
    if (json_is_true(json_object_get(part, "add_prefix_space"))) c->vocab->add_prefix_space = true;
    if (json_is_false(json_object_get(part, "use_regex"))) return AERIE_OK;
    return add_pattern(c, ae_pre_gpt2, err);
}

static aerie_status add_metaspace(cutting *c, const json_t *part, aerie_error *err)
{
    ae_vocab *v = c->vocab;
    ae_span scheme = ae_json_span(json_object_get(part, "prepend_scheme"));
    bool never = scheme.len ? ae_span_is(scheme, "never")
                            : json_is_false(json_object_get(part, "add_prefix_space"));

    if (!is_mark(json_object_get(part, "replacement"))) return unknown(part, "pre_tokenizer", err);
    c->marks_spaces = true;
    v->add_prefix_space = v->prefix_unless_space = !never;
    v->prefix_every_segment = !never && !ae_span_is(scheme, "first");
    v->split_words = !json_is_false(json_object_get(part, "split"));
    return AERIE_OK;
}

static aerie_status add_pre_tokenizer(cutting *c, const json_t *part, int depth, aerie_error *err)
{
    const json_t *one;
    size_t i;
    aerie_status status = AERIE_OK;

    if (!part || json_is_null(part)) return AERIE_OK;
    if (has_type(part, "Sequence") && depth < MOST_NESTED) {
        json_array_foreach(json_object_get(part, "pretokenizers"), i, one) if (!status) status =
            add_pre_tokenizer(c, one, depth + 1, err);
        return status;
    }
    if (has_type(part, "Split")) return add_split(c, part, err);
    if (has_type(part, "ByteLevel")) return add_byte_level(c, part, err);
    if (has_type(part, "Metaspace")) return add_metaspace(c, part, err);
    if (has_type(part, "Digits"))
        return add_pattern(c,
                           json_is_true(json_object_get(part, "individual_digits")) ? ae_pre_digit
                                                                                    : ae_pre_digits,
                           err);
    return unknown(part, "pre_tokenizer", err);
}

aerie_status ae_vocab_add_cutting(ae_vocab_builder *b, const json_t *tokenizer, aerie_error *err)
{
    cutting c = { &b->vocab, b->patterns, false, false };
    aerie_status status = add_normalizer(&c, json_object_get(tokenizer, "normalizer"), 0, err);

    if (!status)
        status = add_pre_tokenizer(&c, json_object_get(tokenizer, "pre_tokenizer"), 0, err);
    if (status) return status;
    if (c.byte_level && c.marks_spaces)
        return aerie_fail(
            err, AERIE_UNSUPPORTED,
            "its text is cut into both bytes and marked words: that is not supported");
    if (!c.byte_level && b->vocab.n_pre_regex > 0)
        return aerie_fail(err, AERIE_UNSUPPORTED,
                          "its text is cut by patterns without byte-level tokens: that is not "
                          "supported");
    b->vocab.kind = c.byte_level ? AE_VOCAB_BPE : AE_VOCAB_SPM;
    b->vocab.spm_bpe_merges = !c.byte_level;
    b->vocab.keep_spaces = !c.byte_level && !c.marks_spaces;
    return AERIE_OK;
}
