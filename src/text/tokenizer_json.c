/* tokenizer_json.c -- reads a tokenizer.json of the tokenizers library, model type BPE. */
#include "text/tokenizer_parts.h"
#include "text/vocab_builder.h"

#include <string.h>

static aerie_status add_vocab(ae_vocab_builder *b, const json_t *model, aerie_error *err)
{
    json_t *vocab = json_object_get(model, "vocab");
    bool bytes = json_is_true(json_object_get(model, "byte_fallback"));
    ae_span unk = ae_json_span(json_object_get(model, "unk_token"));
    const char *text;
    json_t *id;
    aerie_status status = AERIE_OK;

    if (json_object_size(vocab) == 0)
        return aerie_fail(err, AERIE_BAD_FILE, "\"model\" has no \"vocab\"");
    json_object_foreach(vocab, text, id)
    {
        ae_vocab_token token = { .text = ae_span_text(text), .type = AE_TOKEN_NORMAL };

        if (!json_is_integer(id))
            return aerie_fail(err, AERIE_BAD_FILE, "token \"%.60s\" has no number", text);
        if (bytes && ae_byte_piece(token.text) >= 0) token.type = AE_TOKEN_BYTE;
        if (ae_span_equal(token.text, unk)) token.type = AE_TOKEN_UNKNOWN;
        status =
            ae_vocab_builder_set(b, json_integer_value(id), token, json_object_size(vocab), err);
        if (status) return status;
    }
    b->vocab.unk = ae_vocab_builder_find(b, unk);
    return status;
}

/* Appends "a b" for one merge, a string or a pair; false: it is neither. */
static bool add_merge_text(ae_bytes *texts, const json_t *merge)
{
    ae_span left, right;

    if (json_is_string(merge)) {
        left = ae_json_span(merge);
        ae_bytes_add(texts, left.data, left.len);
        return true;
    }
    if (json_array_size(merge) != 2) return false;
    left = ae_json_span(json_array_get(merge, 0));
    right = ae_json_span(json_array_get(merge, 1));
    ae_bytes_add(texts, left.data, left.len);
    ae_bytes_add_char(texts, ' ');
    ae_bytes_add(texts, right.data, right.len);
    return left.len > 0 && right.len > 0;
}

static aerie_status add_merges(ae_vocab_builder *b, const json_t *model, aerie_error *err)
{
    json_t *merges = json_object_get(model, "merges");
    size_t n = json_array_size(merges), i;
    ae_bytes texts = { 0 };
    const json_t *merge;
    char *all = NULL;

    if (!json_is_array(merges) || n > INT32_MAX)
        return aerie_fail(err, AERIE_BAD_FILE, "\"model\" has no \"merges\"");
    b->merges = ae_arena_take_raw(&b->arena, n, sizeof *b->merges);
    json_array_foreach(merges, i, merge)
    {
        size_t before = texts.len;

        if (!add_merge_text(&texts, merge)) {
            ae_bytes_free(&texts);
            return aerie_fail(err, AERIE_BAD_FILE, "merge %zu is not a pair of tokens", i);
        }
        if (b->merges) b->merges[i] = (ae_span){ NULL, texts.len - before };
    }
    if (!texts.failed) all = ae_arena_strndup(&b->arena, texts.data, texts.len);
    ae_bytes_free(&texts);
    if (!b->merges || !all)
        return aerie_fail(err, AERIE_NO_MEMORY, "out of memory for %zu merges", n);
    for (i = 0; i < n; all += b->merges[i++].len) b->merges[i].data = all;
    b->vocab.n_merges = (int32_t)n;
    return AERIE_OK;
}

static bool is_given(const json_t *object, const char *key)
{
    ae_span text = ae_json_span(json_object_get(object, key));

    return text.len > 0;
}

static aerie_status check_model(const json_t *model, aerie_error *err)
{
    ae_span type = ae_json_span(json_object_get(model, "type"));

    if (!json_is_object(model))
        return aerie_fail(err, AERIE_BAD_FILE, "it has no \"model\": is it a tokenizer.json?");
    if (type.len > 0 && !ae_span_is(type, "BPE"))
        return aerie_fail(err, AERIE_UNSUPPORTED,
                          "a tokenizer of type %.40s; only BPE is supported", type.data);
    if (is_given(model, "continuing_subword_prefix") || is_given(model, "end_of_word_suffix"))
        return aerie_fail(err, AERIE_UNSUPPORTED,
                          "its tokens mark the middle or the end of words; that is not supported");
    return AERIE_OK;
}

static aerie_status add_added(ae_vocab_builder *b, const json_t *tokenizer, aerie_error *err)
{
    json_t *added = json_object_get(tokenizer, "added_tokens");
    size_t expected = b->n_tokens + json_array_size(added), i;
    const json_t *entry;

    json_array_foreach(added, i, entry)
    {
        const json_t *id = json_object_get(entry, "id");
        aerie_status status;

        if (!json_is_integer(id))
            return aerie_fail(err, AERIE_BAD_FILE, "added token %zu has no number", i);
        status = ae_vocab_add_entry(b, json_integer_value(id), entry, expected, err);
        if (status) return status;
    }
    return AERIE_OK;
}

/* The token that a template's "single" has at one end; -1: none there. */
static int32_t template_end(const ae_vocab_builder *b, const json_t *single, bool first)
{
    size_t n = json_array_size(single);
    const json_t *piece = n ? json_array_get(single, first ? 0 : n - 1) : NULL;

    return ae_vocab_builder_find(
        b, ae_json_span(json_object_get(json_object_get(piece, "SpecialToken"), "id")));
}

static void add_template(ae_vocab_builder *b, const json_t *processor)
{
    const json_t *single = json_object_get(processor, "single");

    if (!ae_span_is(ae_json_span(json_object_get(processor, "type")), "TemplateProcessing")) return;
    b->vocab.bos = template_end(b, single, true);
    b->vocab.add_bos = b->vocab.bos >= 0;
    if (json_array_size(single) < 2) return;
    b->vocab.eos = template_end(b, single, false);
    b->vocab.add_eos = b->vocab.eos >= 0;
}

static void add_post_processor(ae_vocab_builder *b, const json_t *tokenizer)
{
    const json_t *processor = json_object_get(tokenizer, "post_processor");
    const json_t *one;
    size_t i;

    add_template(b, processor);
    json_array_foreach(json_object_get(processor, "processors"), i, one) add_template(b, one);
}

/* Without a tokenizer_config.json nobody says which token ends a text; these names do. */
static void guess_eos(ae_vocab_builder *b)
{
    static const char *const names[] = { "</s>", "<eos>", "<|end_of_text|>", "<|endoftext|>",
                                         "<|im_end|>" };

    for (size_t i = 0; i < AE_COUNT(names) && b->vocab.eos < 0; i++)
        b->vocab.eos = ae_vocab_builder_find(b, ae_span_text(names[i]));
}

aerie_status ae_vocab_add_json(ae_vocab_builder *b, const json_t *tokenizer, aerie_error *err)
{
    const json_t *model = json_object_get(tokenizer, "model");
    aerie_status status = check_model(model, err);

    b->vocab.ignore_merges = json_is_true(json_object_get(model, "ignore_merges"));
    if (!status) status = add_vocab(b, model, err);
    if (!status) status = add_merges(b, model, err);
    if (!status) status = add_added(b, tokenizer, err);
    if (!status) status = ae_vocab_add_cutting(b, tokenizer, err);
    if (status) return status;
    add_post_processor(b, tokenizer);
    guess_eos(b);
    return AERIE_OK;
}

aerie_status ae_tokenizer_from_json(ae_tokenizer **out, ae_span json, ae_span config,
                                    aerie_error *err)
{
    ae_vocab_builder b;
    json_t *tokenizer = NULL, *settings = NULL;
    aerie_status status;

    *out = NULL;
    ae_vocab_builder_start(&b);
    status = ae_json_parse(&tokenizer, json, false, "tokenizer.json", err);
    if (!status && config.data)
        status = ae_json_parse(&settings, config, true, "tokenizer_config.json", err);
    if (!status) status = ae_vocab_add_json(&b, tokenizer, err);
    if (!status && settings) status = ae_vocab_add_config(&b, settings, err);
    if (!status) status = ae_vocab_builder_finish(&b, out, err);
    ae_vocab_builder_free(&b);
    json_decref(settings);
    json_decref(tokenizer);
    return status;
}
