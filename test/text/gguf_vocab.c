/* gguf_vocab.c -- fills a vocabulary for the tests from files that are no tokenizer files. */
#include "text/gguf_vocab.h"

#include "format/format.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* The number at `key`, or -1. */
static int32_t id_at(const ae_gguf *g, const char *key)
{
    int64_t id = -1;

    if (ae_gguf_has(g, key)) ae_gguf_i64(g, key, &id, NULL);
    return (int32_t)id;
}

static aerie_status fill(ae_vocab *v, const ae_gguf *g, ae_arena *arena, aerie_error *err)
{
    const ae_span *texts, *merges = NULL;
    size_t n = 0, n_types = 0, n_scores = 0, n_merges = 0;
    int32_t *types = NULL;
    float *scores = NULL;
    ae_vocab_token *tokens;
    ae_span model = { "", 0 }, pre = { "default", 7 };
    aerie_status status = ae_gguf_texts(g, "tokenizer.ggml.tokens", &texts, &n, err);

    if (!status) status = ae_gguf_text(g, "tokenizer.ggml.model", &model, err);
    if (!status)
        status = ae_gguf_i32s(g, "tokenizer.ggml.token_type", &types, &n_types, arena, err);
    if (!status && ae_gguf_has(g, "tokenizer.ggml.scores"))
        status = ae_gguf_f32s(g, "tokenizer.ggml.scores", &scores, &n_scores, arena, err);
    if (!status && ae_gguf_has(g, "tokenizer.ggml.merges"))
        status = ae_gguf_texts(g, "tokenizer.ggml.merges", &merges, &n_merges, err);
    if (!status && ae_gguf_has(g, "tokenizer.ggml.pre"))
        status = ae_gguf_text(g, "tokenizer.ggml.pre", &pre, err);
    if (status) return status;
    tokens = ae_arena_take(arena, n, sizeof *tokens);
    for (size_t i = 0; i < n; i++) {
        tokens[i].text = texts[i];
        tokens[i].type = i < n_types ? (ae_token_type)types[i] : AE_TOKEN_NORMAL;
        tokens[i].score = i < n_scores ? scores[i] : 0;
    }
    v->kind = ae_span_is(model, "llama") ? AE_VOCAB_SPM : AE_VOCAB_BPE;
    v->tokens = tokens;
    v->n_tokens = (int32_t)n;
    v->merges = merges;
    v->n_merges = (int32_t)n_merges;
    v->pre = v->kind == AE_VOCAB_BPE ? ae_arena_strndup(arena, pre.data, pre.len) : NULL;
    v->add_prefix_space = v->prefix_every_segment = v->kind == AE_VOCAB_SPM;
    v->bos = id_at(g, "tokenizer.ggml.bos_token_id");
    v->eos = id_at(g, "tokenizer.ggml.eos_token_id");
    v->unk = id_at(g, "tokenizer.ggml.unknown_token_id");
    v->pad = id_at(g, "tokenizer.ggml.padding_token_id");
    v->eot = -1;
    v->add_bos = v->kind == AE_VOCAB_SPM;
    return AERIE_OK;
}

aerie_status open_gguf_vocab(ae_tokenizer **out, const char *path, aerie_error *err)
{
    ae_arena arena = { 0 };
    ae_gguf *g = NULL;
    ae_vocab v = { 0 };
    aerie_status status = ae_gguf_open(&g, path, err);

    *out = NULL;
    if (!status) status = fill(&v, g, &arena, err);
    if (!status) status = ae_tokenizer_new(out, &v, err);
    ae_gguf_close(g);
    ae_arena_free(&arena);
    return status;
}

/* The lines of `text`, less a first one that names a version. */
static size_t lines_of(ae_span *lines, const ae_bytes *text)
{
    size_t n = 0;

    for (size_t at = 0; at < text->len;) {
        const char *end = memchr(text->data + at, '\n', text->len - at);
        size_t len = end ? (size_t)(end - text->data) - at : text->len - at;

        if (len > 0 && memcmp(text->data + at, "#version", 8) != 0)
            lines[n++] = (ae_span){ text->data + at, len };
        at += len + 1;
    }
    return n;
}

aerie_status open_two_files(ae_tokenizer **out, const char *encoder, const char *merges,
                            const char *pre, aerie_error *err)
{
    ae_arena arena = { 0 };
    ae_bytes json = { 0 }, lines = { 0 };
    ae_vocab v = {
        .kind = AE_VOCAB_BPE, .pre = pre, .bos = -1, .eos = -1, .unk = -1, .pad = -1, .eot = -1
    };
    json_t *ids = NULL, *id;
    const char *text;
    aerie_status status = ae_file_read(&json, encoder, 0, err);

    if (!status) status = ae_file_read(&lines, merges, 0, err);
    if (!status) ids = json_loadb(json.data, json.len, 0, NULL);
    if (ids) {
        ae_vocab_token *tokens = ae_arena_take(&arena, json_object_size(ids), sizeof *tokens);
        ae_span *spans = ae_arena_take(&arena, lines.len / 4 + 1, sizeof *spans);

        json_object_foreach(ids, text, id) tokens[json_integer_value(id)] =
            (ae_vocab_token){ .text = ae_span_text(text), .type = AE_TOKEN_NORMAL };
        v.tokens = tokens;
        v.n_tokens = (int32_t)json_object_size(ids);
        v.merges = spans;
        v.n_merges = (int32_t)lines_of(spans, &lines);
        status = ae_tokenizer_new(out, &v, err);
    }
    json_decref(ids);
    ae_bytes_free(&json);
    ae_bytes_free(&lines);
    ae_arena_free(&arena);
    return status;
}
