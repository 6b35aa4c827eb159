/* text_gguf.c -- tokenizer and chat template in GGUF metadata. What GGUF's own keys cannot say goes
 * into keys under "aerie.tokenizer", so that a file written here is read back exactly. */
#include "model/model_private.h"

#include <stdio.h>
#include <string.h>

#define GGML "tokenizer.ggml."
#define OWN  "aerie.tokenizer."

/* The first failure sticks. What is made lives in the arena. */
typedef struct {
    const ae_gguf *gguf;
    ae_arena arena;
    aerie_error error;
} reader;

static bool read_flag(reader *r, const char *key, bool fallback)
{
    bool value = fallback;

    if (ae_gguf_has(r->gguf, key)) ae_gguf_bool(r->gguf, key, &value, &r->error);
    return value;
}

/* Published files point at tokens past the end now and then ("no such token", as llama.cpp takes
 * it): that loses the token, not the model. */
static int32_t read_id(reader *r, const char *key, int32_t fallback, int32_t n_tokens)
{
    int64_t value = fallback;

    if (ae_gguf_has(r->gguf, key)) ae_gguf_i64(r->gguf, key, &value, &r->error);
    if (value >= 0 && value < n_tokens) return (int32_t)value;
    if (value != -1 && value != UINT32_MAX)
        ae_log(AERIE_LOG_WARNING, "%s: '%s' is %lld, but there are %d tokens; ignored",
               ae_gguf_name(r->gguf), key, (long long)value, n_tokens);
    return -1;
}

static char *read_text(reader *r, const char *key)
{
    ae_span text;

    if (!ae_gguf_has(r->gguf, key) || ae_gguf_text(r->gguf, key, &text, &r->error)) return NULL;
    char *copy = ae_arena_strndup(&r->arena, text.data, text.len);
    if (!copy)
        aerie_fail(&r->error, AERIE_NO_MEMORY, "%s: no room for '%s'", ae_gguf_name(r->gguf), key);
    return copy;
}

static const ae_span *read_texts(reader *r, const char *key, int32_t *n)
{
    const ae_span *spans = NULL;
    size_t count = 0;

    *n = 0;
    if (!ae_gguf_has(r->gguf, key) || ae_gguf_texts(r->gguf, key, &spans, &count, &r->error))
        return NULL;
    if (count > 1 << 24) {
        aerie_fail(&r->error, AERIE_BAD_FILE, "%s: '%s' has %zu entries, more than any tokenizer",
                   ae_gguf_name(r->gguf), key, count);
        return NULL;
    }
    *n = (int32_t)count;
    return spans;
}

static void check_count(reader *r, const char *key, size_t n, int32_t n_tokens)
{
    if (n != (size_t)n_tokens)
        aerie_fail(&r->error, AERIE_BAD_FILE, "%s: '%s' has %zu entries for %d tokens",
                   ae_gguf_name(r->gguf), key, n, n_tokens);
}

/* What GGUF cannot say of a special token: pairs of its id and flags. */
enum { LSTRIP = 1, RSTRIP = 2, SINGLE_WORD = 4 };

static void read_traits(reader *r, ae_vocab_token *tokens, int32_t n_tokens)
{
    int32_t *pairs = NULL;
    size_t n = 0;

    if (!ae_gguf_has(r->gguf, OWN "traits")) return;
    if (ae_gguf_i32s(r->gguf, OWN "traits", &pairs, &n, &r->arena, &r->error)) return;
    for (size_t i = 0; i + 1 < n; i += 2) {
        if (pairs[i] < 0 || pairs[i] >= n_tokens) continue;
        tokens[pairs[i]].lstrip = pairs[i + 1] & LSTRIP;
        tokens[pairs[i]].rstrip = pairs[i + 1] & RSTRIP;
        tokens[pairs[i]].single_word = pairs[i + 1] & SINGLE_WORD;
    }
}

static void read_tokens(reader *r, ae_vocab *v)
{
    const ae_span *texts = read_texts(r, GGML "tokens", &v->n_tokens);
    float *scores = NULL;
    int32_t *types = NULL;
    size_t n;

    if (!texts || v->n_tokens < 1) {
        aerie_fail(&r->error, AERIE_BAD_FILE, "%s: the tokenizer has no tokens",
                   ae_gguf_name(r->gguf));
        return;
    }
    if (ae_gguf_has(r->gguf, GGML "scores") &&
        !ae_gguf_f32s(r->gguf, GGML "scores", &scores, &n, &r->arena, &r->error))
        check_count(r, GGML "scores", n, v->n_tokens);
    if (ae_gguf_has(r->gguf, GGML "token_type") &&
        !ae_gguf_i32s(r->gguf, GGML "token_type", &types, &n, &r->arena, &r->error))
        check_count(r, GGML "token_type", n, v->n_tokens);
    ae_vocab_token *tokens = ae_arena_take(&r->arena, (size_t)v->n_tokens, sizeof *tokens);
    if (!tokens) aerie_fail(&r->error, AERIE_NO_MEMORY, "no room for %d tokens", v->n_tokens);
    if (r->error.status) return;
    for (int32_t i = 0; i < v->n_tokens; i++) {
        int32_t type = types ? types[i] : AE_TOKEN_NORMAL;
        if (type < AE_TOKEN_NORMAL || type > AE_TOKEN_BYTE) type = AE_TOKEN_NORMAL;
        tokens[i] = (ae_vocab_token){ .text = texts[i],
                                      .score = scores ? scores[i] : 0,
                                      .type = (ae_token_type)type };
    }
    read_traits(r, tokens, v->n_tokens);
    v->tokens = tokens;
}

static void read_pre_regex(reader *r, ae_vocab *v)
{
    const ae_span *spans = read_texts(r, OWN "pre_regex", &v->n_pre_regex);
    const char **texts;

    if (!spans || v->n_pre_regex < 1) return;
    texts = ae_arena_take(&r->arena, (size_t)v->n_pre_regex, sizeof *texts);
    for (int32_t i = 0; texts && i < v->n_pre_regex; i++) {
        texts[i] = ae_arena_strndup(&r->arena, spans[i].data, spans[i].len);
        if (!texts[i]) texts = NULL;
    }
    if (!texts) aerie_fail(&r->error, AERIE_NO_MEMORY, "no room for the pre-tokenizer's patterns");
    v->pre_regex = texts;
    v->pre = NULL;
}

/* Flags of a vocabulary that only this project's own keys can say. */
typedef struct {
    const char *key;
    size_t offset;
} own_flag;

static const own_flag own_flags[] = {
    { OWN "ignore_merges", offsetof(ae_vocab, ignore_merges) },
    { OWN "normalize_nfc", offsetof(ae_vocab, normalize_nfc) },
    { OWN "prefix_every_segment", offsetof(ae_vocab, prefix_every_segment) },
    { OWN "prefix_unless_space", offsetof(ae_vocab, prefix_unless_space) },
    { OWN "user_defined_inline", offsetof(ae_vocab, user_defined_inline) },
    { OWN "keep_spaces", offsetof(ae_vocab, keep_spaces) },
    { OWN "split_words", offsetof(ae_vocab, split_words) },
    { OWN "merges_decide", offsetof(ae_vocab, spm_bpe_merges) },
};

/* By today's name, or by the one that files had until 2024. */
static int32_t read_either(reader *r, const char *key, const char *old, int32_t n_tokens)
{
    return read_id(r, key, read_id(r, old, -1, n_tokens), n_tokens);
}

static void read_fim(reader *r, ae_vocab *v)
{
    ae_fim *f = &v->fim;
    f->prefix = read_either(r, GGML "fim_pre_token_id", GGML "prefix_token_id", v->n_tokens);
    f->suffix = read_either(r, GGML "fim_suf_token_id", GGML "suffix_token_id", v->n_tokens);
    f->middle = read_either(r, GGML "fim_mid_token_id", GGML "middle_token_id", v->n_tokens);
    f->is_named = f->prefix >= 0 && f->suffix >= 0 && f->middle >= 0;
}

/* What a vocabulary's kind implies, where the file says nothing else. The name of a pre-tokenizer
 * implies the rest. */
static void read_habits(reader *r, ae_vocab *v)
{
    bool spm = v->kind == AE_VOCAB_SPM;
    bool llama3 = v->pre && (!strcmp(v->pre, "llama-bpe") || !strcmp(v->pre, "llama3") ||
                             !strcmp(v->pre, "llama-v3"));

    v->add_prefix_space = read_flag(r, GGML "add_space_prefix", spm);
    v->prefix_every_segment = spm && v->add_prefix_space;
    v->remove_extra_spaces = read_flag(r, GGML "remove_extra_whitespaces", false);
    v->add_bos = read_flag(r, GGML "add_bos_token", spm || llama3);
    v->add_eos = read_flag(r, GGML "add_eos_token", false);
    for (size_t i = 0; i < AE_COUNT(own_flags); i++) {
        bool *flag = (bool *)((char *)v + own_flags[i].offset);
        *flag = read_flag(r, own_flags[i].key, *flag);
    }
    v->bos = read_id(r, GGML "bos_token_id", spm ? 1 : -1, v->n_tokens);
    v->eos = read_id(r, GGML "eos_token_id", spm ? 2 : -1, v->n_tokens);
    v->unk = read_id(r, GGML "unknown_token_id", spm ? 0 : -1, v->n_tokens);
    v->pad = read_id(r, GGML "padding_token_id", -1, v->n_tokens);
    v->eot = read_id(r, GGML "eot_token_id", -1, v->n_tokens);
    read_fim(r, v);
}

static void read_vocab(reader *r, ae_vocab *v, const char *model)
{
    if (strcmp(model, "llama") != 0 && strcmp(model, "gpt2") != 0) {
        aerie_fail(
            &r->error, AERIE_UNSUPPORTED,
            "%s: tokenizers of the kind '%.40s' are not something this build reads (llama, gpt2)",
            ae_gguf_name(r->gguf), model);
        return;
    }
    read_tokens(r, v);
    if (r->error.status) return;
    v->merges = read_texts(r, GGML "merges", &v->n_merges);
    v->kind = strcmp(model, "llama") == 0 ? AE_VOCAB_SPM : AE_VOCAB_BPE;
    if (v->kind == AE_VOCAB_BPE) {
        v->pre = read_text(r, GGML "pre");
        if (!v->pre) v->pre = "default";
        read_pre_regex(r, v);
    }
    read_habits(r, v);
}

aerie_status ae_model_read_text_metadata(ae_model *m, aerie_error *err)
{
    reader r = { .gguf = m->gguf };
    ae_vocab vocab = { 0 };
    char *model = read_text(&r, GGML "model");
    char *template = read_text(&r, "tokenizer.chat_template");
    aerie_status status = AERIE_OK;

    if (model && strcmp(model, "none") != 0 && strcmp(model, "no_vocab") != 0)
        read_vocab(&r, &vocab, model);
    if (r.error.status) {
        status = aerie_fail(err, r.error.status, "%s", r.error.message);
        goto done;
    }
    if (template) status = ae_model_keep_template(m, template, true, err);
    if (vocab.n_tokens && !status) status = ae_tokenizer_new(&m->own_tokenizer, &vocab, err);
    if (status) aerie_error_prefix(err, "%s", m->path);
    m->tokenizer = m->own_tokenizer;
done:
    ae_arena_free(&r.arena);
    return status;
}

/* ---- writing ---- */

static void write_traits(ae_gguf_writer *w, const ae_vocab *v, int32_t *room)
{
    size_t n = 0;

    for (int32_t i = 0; i < v->n_tokens; i++) {
        const ae_vocab_token *t = &v->tokens[i];
        int flags = t->lstrip * LSTRIP | t->rstrip * RSTRIP | t->single_word * SINGLE_WORD;
        if (!flags) continue;
        room[n++] = i;
        room[n++] = flags;
    }
    if (n) ae_gguf_set_i32s(w, OWN "traits", room, n);
}

/* Other programs want a token for every row of the embedding: rows past the last token get one that
 * is never used. */
static bool pad_token(ae_span *text, ae_arena *arena, size_t id)
{
    char name[32];
    int len = snprintf(name, sizeof name, "[PAD%zu]", id);
    const char *kept = ae_arena_strndup(arena, name, (size_t)len);

    *text = (ae_span){ kept, (size_t)len };
    return kept != NULL;
}

static aerie_status write_tokens(ae_gguf_writer *w, const ae_model *m, const ae_vocab *v,
                                 ae_arena *arena, aerie_error *err)
{
    size_t n = (size_t)m->config.vocab_size;
    ae_span *texts = ae_arena_take(arena, n, sizeof *texts);
    float *scores = ae_arena_take(arena, n, sizeof *scores);
    int32_t *types = ae_arena_take(arena, 2 * n, sizeof *types);
    bool room = texts && scores && types;

    for (size_t i = 0; room && i < n; i++) {
        bool padding = i >= (size_t)v->n_tokens;
        if (padding)
            room = pad_token(&texts[i], arena, i);
        else
            texts[i] = v->tokens[i].text;
        scores[i] = padding ? 0 : v->tokens[i].score;
        types[i] = padding ? AE_TOKEN_UNUSED : v->tokens[i].type;
    }
    if (!room) return aerie_fail(err, AERIE_NO_MEMORY, "no room to write %zu tokens", n);
    ae_gguf_set_texts(w, GGML "tokens", texts, n);
    if (v->kind == AE_VOCAB_SPM) ae_gguf_set_f32s(w, GGML "scores", scores, n);
    ae_gguf_set_i32s(w, GGML "token_type", types, n);
    write_traits(w, v, types);
    return AERIE_OK;
}

static aerie_status write_pre(ae_gguf_writer *w, const ae_vocab *v, aerie_error *err)
{
    ae_span spans[16];

    if (v->kind != AE_VOCAB_BPE) return AERIE_OK;
    ae_gguf_set_text(w, GGML "pre", v->pre ? v->pre : "default");
    if (v->pre) return AERIE_OK;
    if (v->n_pre_regex > (int32_t)AE_COUNT(spans))
        return aerie_fail(err, AERIE_UNSUPPORTED, "a pre-tokenizer of %d steps cannot be written",
                          v->n_pre_regex);
    for (int32_t i = 0; i < v->n_pre_regex; i++) spans[i] = ae_span_text(v->pre_regex[i]);
    ae_gguf_set_texts(w, OWN "pre_regex", spans, (size_t)v->n_pre_regex);
    return AERIE_OK;
}

static void write_id(ae_gguf_writer *w, const char *key, int32_t id)
{
    if (id >= 0) ae_gguf_set_u32(w, key, (uint32_t)id);
}

static void write_habits(ae_gguf_writer *w, const ae_vocab *v)
{
    write_id(w, GGML "bos_token_id", v->bos);
    write_id(w, GGML "eos_token_id", v->eos);
    write_id(w, GGML "unknown_token_id", v->unk);
    write_id(w, GGML "padding_token_id", v->pad);
    write_id(w, GGML "eot_token_id", v->eot);
    if (v->fim.is_named) {
        write_id(w, GGML "fim_pre_token_id", v->fim.prefix);
        write_id(w, GGML "fim_suf_token_id", v->fim.suffix);
        write_id(w, GGML "fim_mid_token_id", v->fim.middle);
    }
    ae_gguf_set_bool(w, GGML "add_bos_token", v->add_bos);
    ae_gguf_set_bool(w, GGML "add_eos_token", v->add_eos);
    ae_gguf_set_bool(w, GGML "add_space_prefix", v->add_prefix_space);
    if (v->remove_extra_spaces) ae_gguf_set_bool(w, GGML "remove_extra_whitespaces", true);
    for (size_t i = 0; i < AE_COUNT(own_flags); i++)
        ae_gguf_set_bool(w, own_flags[i].key,
                         *(const bool *)((const char *)v + own_flags[i].offset));
}

aerie_status ae_model_write_text_metadata(const ae_model *m, ae_gguf_writer *w, aerie_error *err)
{
    ae_arena arena = { 0 };
    aerie_status status;

    if (m->template && m->template_is_own)
        ae_gguf_set_text(w, "tokenizer.chat_template", m->template);
    if (!m->tokenizer) return AERIE_OK;
    const ae_vocab *v = ae_tokenizer_vocab(m->tokenizer);
    ae_gguf_set_text(w, GGML "model", v->kind == AE_VOCAB_SPM ? "llama" : "gpt2");
    status = write_pre(w, v, err);
    if (!status) status = write_tokens(w, m, v, &arena, err);
    if (!status && v->n_merges) ae_gguf_set_texts(w, GGML "merges", v->merges, (size_t)v->n_merges);
    write_habits(w, v);
    ae_arena_free(&arena);
    return status;
}
