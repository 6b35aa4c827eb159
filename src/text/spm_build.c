/* spm_build.c -- prepares a SentencePiece vocabulary for encoding: which character is which symbol,
 * which pairs of symbols make a piece and how early, and which characters never meet inside one. */
#include "text/tokenizer_parts.h"

#include "text/utf8.h"

#include <math.h>
#include <stdlib.h>

enum {
    CODE_POINTS = 0x110000,
    /* Longer pieces are not merged into: trying every way to cut a piece costs its length squared,
     * and no training makes any near this long. */
    LONGEST_PIECE = 512
};

/* What building needs and encoding does not. */
typedef struct {
    ae_tokenizer *t;
    ae_arena arena;
    uint32_t *ranks; /* [n_tokens] place of the token's score; equal scores share one */
    ae_bytes pairs;  /* ae_number_entry after ae_number_entry */
} building;

/* The code point that `text` is; -1 when it is not exactly one. */
static int32_t single_code(ae_span text)
{
    size_t at = 0;
    int32_t code;

    if (text.len == 0 || text.len > 4) return -1;
    code = ae_utf8_next(text, &at);
    return at == text.len ? code : -1;
}

/* Control tokens, bytes and the unknown token are never made by merging. */
static bool is_mergeable(const ae_vocab_token *token)
{
    return token->text.len > 0 &&
           (token->type == AE_TOKEN_NORMAL || token->type == AE_TOKEN_USER_DEFINED ||
            token->type == AE_TOKEN_UNUSED);
}

/* Counts the different characters of all pieces. */
static aerie_status count_chars(building *b, size_t *count, aerie_error *err)
{
    const ae_vocab *v = &b->t->vocab;
    uint64_t *seen = ae_arena_take(&b->arena, CODE_POINTS / 64, sizeof *seen);

    if (!seen) return aerie_fail(err, AERIE_NO_MEMORY, "out of memory for a vocabulary");
    for (int32_t i = 0; i < v->n_tokens; i++) {
        ae_span text = v->tokens[i].text;

        for (size_t at = 0; is_mergeable(&v->tokens[i]) && at < text.len;) {
            int32_t code = ae_utf8_next(text, &at);

            if (code < 0 || seen[code / 64] >> (code & 63) & 1) continue;
            seen[code / 64] |= (uint64_t)1 << (code & 63);
            ++*count;
        }
    }
    return AERIE_OK;
}

static aerie_status new_joints(ae_tokenizer *t, aerie_error *err)
{
    uint64_t bits = 4096;

    while (bits < (uint64_t)t->vocab.n_tokens * 8) bits *= 2;
    t->spm.joints_mask = bits - 1;
    t->spm.joints = ae_arena_take(&t->arena, bits / 64, sizeof *t->spm.joints);
    return t->spm.joints ? AERIE_OK
                         : aerie_fail(err, AERIE_NO_MEMORY, "out of memory for a vocabulary");
}

/* A token that is one character is that character's symbol; a character that only occurs inside of
 * pieces gets a stand-in, so that its pieces can still be merged. */
static aerie_status build_chars(building *b, aerie_error *err)
{
    const ae_vocab *v = &b->t->vocab;
    ae_spm *s = &b->t->spm;
    int32_t stand_in = v->n_tokens;
    size_t count = 0;
    aerie_status status = count_chars(b, &count, err);

    if (!status) status = ae_number_table_new(&s->chars, &b->t->arena, count, err);
    if (!status) status = new_joints(b->t, err);
    if (status) return status;
    for (int32_t i = 0; i < v->n_tokens; i++) {
        int32_t code = single_code(v->tokens[i].text);

        if (code >= 0 && is_mergeable(&v->tokens[i]))
            ae_number_table_add(&s->chars, (uint64_t)code, 0, i);
    }
    for (int32_t i = 0; i < v->n_tokens; i++) {
        ae_span text = v->tokens[i].text;
        int32_t before = -1;

        for (size_t at = 0; is_mergeable(&v->tokens[i]) && at < text.len;) {
            int32_t code = ae_utf8_next(text, &at);

            if (code >= 0 && ae_number_table_add(&s->chars, (uint64_t)code, 0, stand_in))
                stand_in++;
            if (code >= 0 && before >= 0) ae_spm_mark_joint(s, before, code);
            before = code;
        }
    }
    return AERIE_OK;
}

static void build_ascii(ae_spm *s)
{
    for (int i = 0; i < 128; i++) {
        const ae_number_entry *found = ae_number_table_find(&s->chars, (uint64_t)i);

        s->ascii[i] = found ? found->id : -1;
    }
}

typedef struct {
    float score;
    int32_t id;
} scored;

static int by_score(const void *a, const void *b)
{
    const scored *x = a, *y = b;

    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->id < y->id ? -1 : 1;
}

static aerie_status build_ranks(building *b, aerie_error *err)
{
    const ae_vocab *v = &b->t->vocab;
    scored *order = ae_arena_take_raw(&b->arena, (size_t)v->n_tokens, sizeof *order);
    uint32_t rank = 0;

    b->ranks = ae_arena_take_raw(&b->arena, (size_t)v->n_tokens, sizeof *b->ranks);
    if (!order || !b->ranks)
        return aerie_fail(err, AERIE_NO_MEMORY, "out of memory for a vocabulary");
    for (int32_t i = 0; i < v->n_tokens; i++) {
        order[i] = (scored){ v->tokens[i].score, i };
        if (isnan(order[i].score))
            return aerie_fail(err, AERIE_BAD_FILE, "the score of token %d is not a number", i);
    }
    qsort(order, (size_t)v->n_tokens, sizeof *order, by_score);
    for (int32_t i = 0; i < v->n_tokens; i++) {
        if (i > 0 && order[i].score != order[i - 1].score) rank++;
        b->ranks[order[i].id] = rank;
    }
    return AERIE_OK;
}

static int32_t symbol_of_text(const ae_tokenizer *t, ae_span text)
{
    int32_t code = single_code(text), id;
    const ae_number_entry *found;

    if (code >= 0) {
        found = ae_number_table_find(&t->spm.chars, (uint64_t)code);
        return found ? found->id : -1;
    }
    id = ae_text_table_find(&t->by_text, text);
    return id >= 0 && is_mergeable(&t->vocab.tokens[id]) ? id : -1;
}

/* Every way to cut the piece into two symbols is a pair that merges into it. */
static void add_cuts(building *b, int32_t id)
{
    ae_span text = b->t->texts[id];
    size_t at = 0;

    if (text.len > LONGEST_PIECE) return;
    ae_utf8_next(text, &at);
    while (at < text.len) {
        int32_t left = symbol_of_text(b->t, (ae_span){ text.data, at });

        if (left >= 0) {
            int32_t right = symbol_of_text(b->t, (ae_span){ text.data + at, text.len - at });
            ae_number_entry pair = { ae_pair_key(left, right), b->ranks[id], id };

            if (right >= 0) ae_bytes_add(&b->pairs, &pair, sizeof pair);
        }
        ae_utf8_next(text, &at);
    }
}

static aerie_status pairs_from_scores(building *b, aerie_error *err)
{
    ae_tokenizer *t = b->t;
    aerie_status status = build_ranks(b, err);
    const ae_number_entry *pairs;
    size_t count;

    if (status) return status;
    for (int32_t i = 0; i < t->vocab.n_tokens; i++)
        if (is_mergeable(&t->vocab.tokens[i]) && ae_text_table_find(&t->by_text, t->texts[i]) == i)
            add_cuts(b, i);
    status = ae_bytes_status(&b->pairs, err);
    count = b->pairs.len / sizeof *pairs;
    if (!status) status = ae_number_table_new(&t->pairs, &t->arena, count, err);
    pairs = (const ae_number_entry *)(const void *)b->pairs.data;
    for (size_t i = 0; i < count && !status; i++)
        ae_number_table_add(&t->pairs, pairs[i].key, pairs[i].rank, pairs[i].id);
    return status;
}

/* A converted vocabulary has lost its scores: the earliest merge that makes a piece says as much.
 * Tokens that nothing merges into keep 0. */
static void scores_from_pairs(ae_tokenizer *t)
{
    ae_vocab_token *tokens = (ae_vocab_token *)t->vocab.tokens; /* our own copy */

    for (int32_t i = 0; i < t->vocab.n_tokens; i++)
        if (tokens[i].score != 0) return;
    for (size_t i = 0; t->pairs.entries && i <= t->pairs.mask; i++) {
        const ae_number_entry *pair = &t->pairs.entries[i];
        float score = -(float)pair->rank - 1;

        if (pair->id < 0) continue;
        if (tokens[pair->id].score == 0 || tokens[pair->id].score < score)
            tokens[pair->id].score = score;
    }
}

static int32_t hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int32_t ae_byte_piece(ae_span text)
{
    int32_t high, low;

    if (text.len != 6 || text.data[0] != '<' || text.data[1] != '0' || text.data[2] != 'x' ||
        text.data[5] != '>')
        return -1;
    high = hex_digit(text.data[3]);
    low = hex_digit(text.data[4]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static void build_bytes(ae_tokenizer *t)
{
    ae_spm *s = &t->spm;

    for (int i = 0; i < 256; i++) s->bytes[i] = -1;
    for (int32_t i = 0; i < t->vocab.n_tokens; i++) {
        int32_t byte = ae_byte_piece(t->texts[i]);

        if (t->vocab.tokens[i].type == AE_TOKEN_BYTE && byte >= 0 && s->bytes[byte] < 0)
            s->bytes[byte] = i;
    }
    s->all_bytes = true;
    for (int i = 0; i < 256; i++) s->all_bytes = s->all_bytes && s->bytes[i] >= 0;
}

typedef struct {
    int32_t id;
    ae_unused parts;
} unused_watch;

static void see_pair(void *user, int32_t left, int32_t right, int32_t merged)
{
    unused_watch *w = user;

    if (merged == w->id) w->parts = (ae_unused){ left, right };
}

/* What an unused piece falls apart into: the pair that makes it when its own text is merged. */
static aerie_status build_unused(ae_tokenizer *t, aerie_error *err)
{
    const ae_vocab *v = &t->vocab;
    ae_merger m = { 0 };
    aerie_status status = AERIE_OK;

    for (int32_t i = 0; i < v->n_tokens && !status; i++) {
        unused_watch watch = { i, { -1, -1 } };

        if (v->tokens[i].type != AE_TOKEN_UNUSED || !is_mergeable(&v->tokens[i])) continue;
        if (!t->spm.unused) {
            t->spm.unused = ae_arena_take_raw(&t->arena, (size_t)v->n_tokens, sizeof(ae_unused));
            for (int32_t k = 0; t->spm.unused && k < v->n_tokens; k++)
                t->spm.unused[k] = (ae_unused){ -1, -1 };
        }
        ae_merger_start(&m);
        for (size_t at = 0; at < t->texts[i].len;) {
            size_t here = at;
            int32_t code = ae_utf8_next(t->texts[i], &at);
            const ae_number_entry *found = ae_number_table_find(&t->spm.chars, (uint64_t)code);

            ae_merger_add(&m, found ? found->id : -1, here, at - here);
        }
        ae_merge(&m, &t->pairs, see_pair, &watch);
        if (m.failed || !t->spm.unused)
            status = aerie_fail(err, AERIE_NO_MEMORY, "out of memory for a vocabulary");
        else
            t->spm.unused[i] = watch.parts;
    }
    ae_merger_free(&m);
    return status;
}

aerie_status ae_spm_new(ae_tokenizer *t, aerie_error *err)
{
    building b = { .t = t };
    aerie_status status = build_chars(&b, err);

    if (!status && t->vocab.spm_bpe_merges)
        status = ae_merges_new(t, err);
    else if (!status)
        status = pairs_from_scores(&b, err);
    if (!status) {
        build_ascii(&t->spm);
        build_bytes(t);
        if (t->vocab.spm_bpe_merges)
            scores_from_pairs(t);
        else
            status = build_unused(t, err);
    }
    ae_bytes_free(&b.pairs);
    ae_arena_free(&b.arena);
    return status;
}
