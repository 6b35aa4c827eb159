/* tokenizer.c -- makes a tokenizer from a vocabulary and answers questions about it. */
#include "text/tokenizer_parts.h"

#include "text/utf8.h"

#include <string.h>

/* Tokens by which models of various makers end their turn. */
static const char *const ends_of_turn[] = { "<|eot_id|>",    "<|im_end|>",    "<|end_of_turn|>",
                                            "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>",
                                            "<|eom_id|>",    "<|end|>" };

/* What models of code write after a text that they were to fill in: the next file, or nothing. No
 * turn ends by these. */
static const char *const ends_of_files[] = { "<|fim_pad|>", "<|file_sep|>", "<|repo_name|>",
                                             AE_SPACE_MARK_TEXT "<EOT>" };

/* Copies n spans and the bytes they hold. */
static ae_span *copy_spans(ae_arena *arena, const ae_span *spans, size_t n)
{
    ae_span *copy = ae_arena_take_raw(arena, n, sizeof *copy);
    size_t bytes = 0;
    char *blob;

    for (size_t i = 0; i < n; i++)
        if (!ae_add_size(&bytes, bytes, spans[i].len)) return NULL;
    blob = ae_arena_take_raw(arena, bytes, 1);
    if (!copy || !blob) return NULL;
    for (size_t i = 0; i < n; i++) {
        if (spans[i].len) memcpy(blob, spans[i].data, spans[i].len);
        copy[i] = (ae_span){ blob, spans[i].len };
        blob += spans[i].len;
    }
    return copy;
}

static bool copy_tokens(ae_tokenizer *t, const ae_vocab *from)
{
    size_t n = (size_t)from->n_tokens;
    ae_vocab_token *tokens = ae_arena_take_raw(&t->arena, n, sizeof *tokens);
    ae_arena scratch = { 0 };
    ae_span *given = ae_arena_take_raw(&scratch, n, sizeof *given);

    for (size_t i = 0; given && i < n; i++) given[i] = from->tokens[i].text;
    t->texts = given ? copy_spans(&t->arena, given, n) : NULL;
    ae_arena_free(&scratch);
    if (!tokens || !t->texts) return false;
    for (size_t i = 0; i < n; i++) {
        tokens[i] = from->tokens[i];
        tokens[i].text = t->texts[i];
    }
    t->vocab.tokens = tokens;
    return true;
}

static bool copy_patterns(ae_tokenizer *t, const ae_vocab *from)
{
    size_t n = (size_t)from->n_pre_regex;
    const char **patterns = ae_arena_take(&t->arena, n, sizeof *patterns);

    if (!patterns) return false;
    for (size_t i = 0; i < n; i++) {
        const char *pattern = from->pre_regex[i];

        patterns[i] = ae_arena_strndup(&t->arena, pattern, strlen(pattern));
        if (!patterns[i]) return false;
    }
    t->vocab.pre_regex = patterns;
    if (from->pre) t->vocab.pre = ae_arena_strndup(&t->arena, from->pre, strlen(from->pre));
    return !from->pre || t->vocab.pre;
}

static aerie_status copy_vocab(ae_tokenizer *t, const ae_vocab *from, aerie_error *err)
{
    t->vocab = *from;
    t->vocab.merges = copy_spans(&t->arena, from->merges, (size_t)from->n_merges);
    if (!t->vocab.merges || !copy_tokens(t, from) || !copy_patterns(t, from))
        return aerie_fail(err, AERIE_NO_MEMORY, "out of memory for a vocabulary of %d tokens",
                          from->n_tokens);
    return AERIE_OK;
}

static aerie_status check_id(const ae_vocab *v, int32_t id, const char *name, aerie_error *err)
{
    if (id < v->n_tokens) return AERIE_OK;
    return aerie_fail(err, AERIE_BAD_FILE,
                      "the %s token is number %d, but the vocabulary has only %d tokens", name, id,
                      v->n_tokens);
}

static aerie_status check_vocab(const ae_vocab *v, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    if (v->n_tokens <= 0 || v->n_merges < 0 || v->n_pre_regex < 0)
        return aerie_fail(err, AERIE_BAD_FILE, "the vocabulary is empty");
    if (!status) status = check_id(v, v->bos, "beginning-of-text", err);
    if (!status) status = check_id(v, v->eos, "end-of-text", err);
    if (!status) status = check_id(v, v->unk, "unknown", err);
    if (!status) status = check_id(v, v->pad, "padding", err);
    if (!status) status = check_id(v, v->eot, "end-of-turn", err);
    if (!status) status = check_id(v, v->fim.prefix, "fill-in prefix", err);
    if (!status) status = check_id(v, v->fim.suffix, "fill-in suffix", err);
    if (!status) status = check_id(v, v->fim.middle, "fill-in middle", err);
    return status;
}

static aerie_status build_texts(ae_tokenizer *t, aerie_error *err)
{
    aerie_status status =
        ae_text_table_new(&t->by_text, &t->arena, t->texts, (size_t)t->vocab.n_tokens, err);

    for (int32_t i = 0; i < t->vocab.n_tokens && !status; i++)
        if (t->texts[i].len > 0) ae_text_table_add(&t->by_text, i);
    return status;
}

/* Which tokens end a reply; a vocabulary that names no end of turn has the first known one. */
static aerie_status build_eog(ae_tokenizer *t, aerie_error *err)
{
    ae_vocab *v = &t->vocab;

    t->eog = ae_arena_take(&t->arena, (size_t)v->n_tokens, sizeof *t->eog);
    if (!t->eog) return aerie_fail(err, AERIE_NO_MEMORY, "out of memory for a vocabulary");
    for (size_t i = 0; i < AE_COUNT(ends_of_turn); i++) {
        int32_t id = ae_text_table_find(&t->by_text, ae_span_text(ends_of_turn[i]));

        if (id < 0) continue;
        t->eog[id] = true;
        if (v->eot < 0) v->eot = id;
    }
    for (size_t i = 0; i < AE_COUNT(ends_of_files); i++) {
        int32_t id = ae_text_table_find(&t->by_text, ae_span_text(ends_of_files[i]));
        if (id >= 0) t->eog[id] = true;
    }
    if (v->eos >= 0) t->eog[v->eos] = true;
    if (v->eot >= 0) t->eog[v->eot] = true;
    return AERIE_OK;
}

/* SentencePiece's decoder leaves one unknown token as it finds it: by its id or by its type. */
static void find_unknown(ae_vocab *v)
{
    for (int32_t i = 0; i < v->n_tokens && v->unk < 0; i++)
        if (v->tokens[i].type == AE_TOKEN_UNKNOWN) v->unk = i;
}

aerie_status ae_tokenizer_new(ae_tokenizer **out, const ae_vocab *vocab, aerie_error *err)
{
    ae_tokenizer *t = NULL;
    aerie_status status = check_vocab(vocab, err);

    *out = NULL;
    if (status) return status;
    t = ae_alloc(1, sizeof *t);
    if (!t) return aerie_fail(err, AERIE_NO_MEMORY, "out of memory for a tokenizer");
    status = copy_vocab(t, vocab, err);
    if (!status) find_unknown(&t->vocab);
    if (!status) status = build_texts(t, err);
    if (!status) status = build_eog(t, err);
    if (!status)
        status = ae_special_new(&t->special, &t->arena, t->vocab.tokens, t->vocab.n_tokens, err);
    if (!status) status = ae_token_bytes_new(t, err);
    if (!status) status = vocab->kind == AE_VOCAB_SPM ? ae_spm_new(t, err) : ae_bpe_new(t, err);
    if (status)
        ae_tokenizer_close(t);
    else
        *out = t;
    return status;
}

void ae_tokenizer_close(ae_tokenizer *t)
{
    if (!t) return;
    ae_pretokenizer_free(&t->bpe.pre);
    ae_arena_free(&t->arena);
    ae_free(t);
}

const ae_vocab *ae_tokenizer_vocab(const ae_tokenizer *t)
{
    return &t->vocab;
}

int32_t ae_tokenizer_size(const ae_tokenizer *t)
{
    return t->vocab.n_tokens;
}

int32_t ae_tokenizer_find(const ae_tokenizer *t, ae_span text)
{
    return text.len ? ae_text_table_find(&t->by_text, text) : -1;
}

bool ae_tokenizer_is_eog(const ae_tokenizer *t, int32_t id)
{
    return id >= 0 && id < t->vocab.n_tokens && t->eog[id];
}

ae_span ae_tokenizer_piece(const ae_tokenizer *t, int32_t id)
{
    return id >= 0 && id < t->vocab.n_tokens ? t->texts[id] : (ae_span){ "", 0 };
}
