/* fim.c -- what belongs between two texts, asked for by tokens that models of code are trained
 * with: "fill in the middle". */
#include "text/tokenizer_parts.h"

/* Makers' tokens for what comes before a place, what comes after it, and what belongs there; as
 * published with StarCoder, Qwen2.5-Coder, CodeGemma, DeepSeek-Coder, Code Llama and Codestral. The
 * last has no third: the reply goes on from what comes before. */
static const struct {
    const char *prefix, *suffix, *middle;
} known[] = {
    { "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>" },
    { "<fim_prefix>", "<fim_suffix>", "<fim_middle>" },
    { "<fim-prefix>", "<fim-suffix>", "<fim-middle>" },
    { "<\xef\xbd\x9c"
      "fim\xe2\x96\x81"
      "begin\xef\xbd\x9c>",
      "<\xef\xbd\x9c"
      "fim\xe2\x96\x81"
      "hole\xef\xbd\x9c>",
      "<\xef\xbd\x9c"
      "fim\xe2\x96\x81"
      "end\xef\xbd\x9c>" },
    { AE_SPACE_MARK_TEXT "<PRE>", AE_SPACE_MARK_TEXT "<SUF>", AE_SPACE_MARK_TEXT "<MID>" },
    { "[PREFIX]", "[SUFFIX]", NULL },
};

static int32_t find(const ae_tokenizer *t, const char *text)
{
    return text ? ae_tokenizer_find(t, ae_span_text(text)) : -1;
}

bool ae_tokenizer_fim(const ae_tokenizer *t, ae_fim *out)
{
    *out = t->vocab.fim;
    if (out->is_named) return true;
    for (size_t i = 0; i < AE_COUNT(known); i++) {
        *out = (ae_fim){ .prefix = find(t, known[i].prefix),
                         .suffix = find(t, known[i].suffix),
                         .middle = find(t, known[i].middle) };
        if (out->prefix >= 0 && out->suffix >= 0 && (out->middle >= 0 || !known[i].middle))
            return true;
    }
    return false;
}

bool ae_fim_is_among(const ae_span *tokens, size_t n)
{
    unsigned seen[AE_COUNT(known)] = { 0 };
    for (size_t i = 0; i < n; i++) {
        if (tokens[i].len < 5 || tokens[i].len > 24) continue; /* nearly all */
        for (size_t k = 0; k < AE_COUNT(known); k++) {
            const char *const parts[] = { known[k].prefix, known[k].suffix, known[k].middle };
            for (size_t p = 0; p < AE_COUNT(parts); p++)
                if (!parts[p] || ae_span_is(tokens[i], parts[p])) seen[k] |= 1u << p;
        }
    }
    for (size_t k = 0; k < AE_COUNT(known); k++)
        if (seen[k] == 7) return true;
    return false;
}

static aerie_status add_prefix(const ae_tokenizer *t, const ae_fim *fim, ae_span text, ae_ids *ids,
                               aerie_error *err)
{
    ae_ids_add(ids, fim->prefix);
    return ae_tokenizer_encode(t, text, 0, ids, NULL, err);
}

/* Without the space that SentencePiece puts before a text: this one goes on from another. */
static aerie_status add_suffix(const ae_tokenizer *t, const ae_fim *fim, ae_span text, ae_ids *ids,
                               aerie_error *err)
{
    ae_ids_add(ids, fim->suffix);
    return ae_tokenizer_encode(t, text, AE_ENCODE_CONTINUE, ids, NULL, err);
}

aerie_status ae_tokenizer_encode_fim(const ae_tokenizer *t, ae_span before, ae_span after,
                                     ae_ids *ids, aerie_error *err)
{
    ae_fim fim;
    aerie_status status;
    if (!ae_tokenizer_fim(t, &fim))
        return aerie_fail(err, AERIE_UNSUPPORTED,
                          "the model has no tokens that ask for what belongs between two texts; it "
                          "only goes on from one");
    if (t->vocab.add_bos && t->vocab.bos >= 0) ae_ids_add(ids, t->vocab.bos);
    if (fim.middle < 0) {
        status = add_suffix(t, &fim, after, ids, err);
        if (!status) status = add_prefix(t, &fim, before, ids, err);
        return status ? status : ae_ids_status(ids, err);
    }
    status = add_prefix(t, &fim, before, ids, err);
    if (!status) status = add_suffix(t, &fim, after, ids, err);
    ae_ids_add(ids, fim.middle);
    return status ? status : ae_ids_status(ids, err);
}
