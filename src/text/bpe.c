/* bpe.c -- byte-level BPE: the pre-tokenizer cuts words, each word's bytes merge into tokens. */
#include "text/tokenizer_parts.h"

#include "text/utf8.h"

/* GPT-2 writes bytes as visible characters: printable Latin-1 as itself, the others as the code
 * points from 256 on, in order. */
static bool is_itself(int32_t byte)
{
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

int32_t ae_byte_char(uint8_t byte)
{
    int32_t moved = 256;

    if (is_itself(byte)) return byte;
    for (int32_t i = 0; i < byte; i++) moved += !is_itself(i);
    return moved;
}

int32_t ae_char_byte(int32_t code)
{
    if (code < 0 || code >= 512) return -1;
    if (code < 256) return is_itself(code) ? code : -1;
    for (int32_t i = 0; i < 256; i++)
        if (!is_itself(i) && code-- == 256) return i;
    return -1;
}

static void build_bytes(ae_tokenizer *t)
{
    for (int i = 0; i < 256; i++) {
        char text[4];
        size_t len = ae_utf8_put(ae_byte_char((uint8_t)i), text);

        t->bpe.bytes[i] = ae_text_table_find(&t->by_text, (ae_span){ text, len });
    }
}

static aerie_status build_whole_words(ae_tokenizer *t, aerie_error *err)
{
    aerie_status status =
        ae_text_table_new(&t->bpe.by_bytes, &t->arena, t->bytes, (size_t)t->vocab.n_tokens, err);

    for (int32_t i = 0; i < t->vocab.n_tokens && !status; i++)
        if (t->vocab.tokens[i].type == AE_TOKEN_NORMAL) ae_text_table_add(&t->bpe.by_bytes, i);
    return status;
}

static aerie_status build_pre(ae_tokenizer *t, aerie_error *err)
{
    const ae_vocab *v = &t->vocab;
    const char *const *patterns = v->pre_regex;
    int32_t n_patterns = v->n_pre_regex;

    if (v->pre) {
        patterns = ae_pre_patterns(v->pre, &n_patterns);
        if (!patterns) {
            const char *near = ae_pre_nearest(v->pre);

            return aerie_fail(err, AERIE_UNSUPPORTED,
                              "the pre-tokenizer \"%.60s\" is not known%s%s%s", v->pre,
                              near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
        }
        t->vocab.ignore_merges |= ae_pre_means(v->pre).ignore_merges;
        t->vocab.normalize_nfc |= ae_pre_means(v->pre).normalize_nfc;
        t->vocab.pre_regex = patterns;
        t->vocab.n_pre_regex = n_patterns;
    }
    t->vocab.pre = v->pre ? v->pre : ae_pre_name(patterns, n_patterns);
    return ae_pretokenizer_new(&t->bpe.pre, patterns, n_patterns, err);
}

aerie_status ae_bpe_new(ae_tokenizer *t, aerie_error *err)
{
    aerie_status status = build_pre(t, err);

    build_bytes(t);
    if (!status) status = ae_merges_new(t, err);
    if (!status && t->vocab.ignore_merges) status = build_whole_words(t, err);
    return status;
}

/* What a byte becomes that the vocabulary lacks: as in the tokenizers library, the model's unknown
 * token, or nothing. Some files name their end of text as unknown; that one is never put in. */
static int32_t unknown_byte(const ae_vocab *v)
{
    return v->unk >= 0 && v->tokens[v->unk].type == AE_TOKEN_UNKNOWN ? v->unk : -1;
}

static void encode_word(void *user, size_t begin, size_t end)
{
    ae_encoding *e = user;
    const ae_tokenizer *t = e->t;
    ae_merger *m = &e->merger;
    ae_span word = { e->text.data + begin, end - begin };
    ae_cached_word *slot;
    size_t ids_at = e->ids->len;
    int32_t whole = -1, unknown = unknown_byte(&t->vocab);

    if (ae_encoding_recall(e, word, &slot)) return;
    if (t->vocab.ignore_merges) whole = ae_text_table_find(&t->bpe.by_bytes, word);
    if (whole >= 0) {
        ae_encoding_add(e, whole, begin);
    } else {
        ae_merger_start(m);
        for (size_t i = begin; i < end; i++) {
            int32_t id = t->bpe.bytes[(uint8_t)e->text.data[i]];

            if (id < 0) id = unknown;
            if (id >= 0) ae_merger_add(m, id, i, 1);
        }
        ae_merge(m, &t->pairs, NULL, NULL);
        for (int32_t i = m->n_symbols > 0 && !m->failed ? 0 : -1; i >= 0; i = m->symbols[i].next)
            ae_encoding_add(e, m->symbols[i].id, m->symbols[i].at);
    }
    ae_encoding_remember(e, slot, word, ids_at);
}

aerie_status ae_bpe_encode(ae_encoding *e, aerie_error *err)
{
    aerie_status status = ae_pretokenize(&e->t->bpe.pre, e->text, encode_word, e, err);

    if (!status && e->merger.failed)
        status =
            aerie_fail(err, AERIE_NO_MEMORY, "out of memory for a text of %zu bytes", e->text.len);
    return status;
}
