/* tokenizer_parts.h -- the inside of a tokenizer, for the files that make it up. */
#ifndef AE_TOKENIZER_PARTS_H
#define AE_TOKENIZER_PARTS_H

#include "text/lookup.h"
#include "text/merge.h"
#include "text/normalize.h"
#include "text/pretokenize.h"
#include "text/special.h"
#include "text/tokenizer.h"

enum {
    AE_WORD_CACHED = 40,   /* longer words are not kept in the cache of a call */
    AE_SPACE_MARK = 0x2581 /* "▁", which stands for a space in SentencePiece's pieces */
};
#define AE_SPACE_MARK_TEXT "\xe2\x96\x81"

/* An unused piece takes part in merging, and then falls apart into these; -1: it does not. */
typedef struct {
    int32_t left, right;
} ae_unused;

/* SPM: symbols are characters. */
typedef struct {
    ae_number_table chars; /* code point -> symbol: a token, or a stand-in past the vocabulary for
                            * a character that only occurs inside of pieces */
    int32_t ascii[128];    /* the same for the most frequent ones; -1: none */
    uint64_t *joints;      /* bits by hash of two code points: some piece holds them side by side */
    uint64_t joints_mask;
    uint8_t ascii_joints[128][16]; /* bits, exact */
    int32_t bytes[256];            /* "<0x00>"...; -1: none */
    bool all_bytes;
    ae_unused *unused; /* [n_tokens] by id; NULL: no piece is unused */
} ae_spm;

/* BPE: symbols are bytes. */
typedef struct {
    int32_t bytes[256];     /* -1: the vocabulary lacks this byte */
    ae_text_table by_bytes; /* what tokens stand for -> id; empty unless ignore_merges */
    ae_pretokenizer pre;
} ae_bpe;

struct ae_tokenizer {
    ae_vocab vocab;
    ae_arena arena; /* everything below and what vocab points at */
    ae_span *texts; /* [n_tokens] as stored */
    ae_span *bytes; /* [n_tokens] what each stands for */
    bool *eog;      /* [n_tokens] */
    ae_text_table by_text;
    ae_number_table pairs; /* (symbol, symbol) -> rank and the merged token */
    ae_special special;
    ae_spm spm;
    ae_bpe bpe;
};

/* A word that this call has met before, and where in `ids` its tokens lie. */
typedef struct {
    char word[AE_WORD_CACHED];
    uint32_t n_ids;
    uint8_t len; /* 0: free */
    size_t ids_at;
} ae_cached_word;

/* One call of encode. */
typedef struct {
    const ae_tokenizer *t;
    ae_ids *ids, *offsets; /* offsets may be NULL */
    ae_merger merger;
    ae_normalized normalized;
    ae_span text;          /* the segment, normalised */
    size_t base;           /* where it begins in the whole text, when it is not changed */
    bool changed;          /* positions go through normalized.origin */
    size_t segment_ids;    /* ids->len where the segment began: unknowns fuse only within it */
    bool met_unknown;      /* since the last ae_encoding_recall */
    ae_cached_word *cache; /* NULL: none */
    size_t cache_mask;
} ae_encoding;

static inline void ae_spm_mark_joint(ae_spm *s, int32_t left, int32_t right)
{
    uint64_t bit = ae_mix64(ae_pair_key(left, right)) & s->joints_mask;

    if (left < 128 && right < 128)
        s->ascii_joints[left][right / 8] |= (uint8_t)(1 << (right & 7));
    else
        s->joints[bit / 64] |= (uint64_t)1 << (bit & 63);
}

/* Builds the parts of t whose vocabulary lies in place. */
aerie_status ae_spm_new(ae_tokenizer *t, aerie_error *err);
aerie_status ae_bpe_new(ae_tokenizer *t, aerie_error *err);
/* t->pairs from the merge table. */
aerie_status ae_merges_new(ae_tokenizer *t, aerie_error *err);
/* What each token stands for, into t->bytes. */
aerie_status ae_token_bytes_new(ae_tokenizer *t, aerie_error *err);

/* Encodes e->text, appending. */
aerie_status ae_spm_encode(ae_encoding *e, aerie_error *err);
aerie_status ae_bpe_encode(ae_encoding *e, aerie_error *err);

/* Appends one id that begins at byte `at` of e->text. */
void ae_encoding_add(ae_encoding *e, int32_t id, size_t at);
/* Appends the unknown token, unless the one before is the same. */
void ae_encoding_add_unknown(ae_encoding *e, size_t at);
/* Appends the tokens of a word met before; false: it was not. Otherwise *slot is where
 * ae_encoding_remember will note it, or NULL. */
bool ae_encoding_recall(ae_encoding *e, ae_span word, ae_cached_word **slot);
void ae_encoding_remember(ae_encoding *e, ae_cached_word *slot, ae_span word, size_t ids_at);

/* The code point that GPT-2 writes for a byte, and back (-1: it stands for none). */
int32_t ae_byte_char(uint8_t byte);
int32_t ae_char_byte(int32_t code);
/* The byte that "<0x41>" is written for; -1: it is no such text. */
int32_t ae_byte_piece(ae_span text);

#endif
