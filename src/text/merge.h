/* merge.h -- byte-pair merging of one word: the heart that every tokenizer here shares.
 *
 * A word starts as a row of symbols (characters or bytes). Again and again the pair of neighbours
 * with the lowest rank, leftmost among equals, becomes one symbol, until no pair has a rank. For a
 * merge table the rank is the line of the merge; for SentencePiece it is the place of the merged
 * piece's score among all scores. */
#ifndef AE_MERGE_H
#define AE_MERGE_H

#include "text/lookup.h"

typedef struct {
    int32_t id;         /* the token, or a stand-in past the vocabulary */
    int32_t prev, next; /* neighbours by index; -1: none */
    uint32_t at, len;   /* bytes of the text */
} ae_symbol;

/* A pair to be merged: its rank, then the left symbol's index. The smallest goes first. */
typedef uint64_t ae_merge_step;

/* Scratch of one call; zeroed is empty. */
typedef struct {
    ae_symbol *symbols;
    size_t n_symbols, symbols_cap;
    ae_merge_step *steps; /* a binary heap */
    size_t n_steps, steps_cap;
    bool failed; /* no memory: sticks, and the result is not to be used */
} ae_merger;

void ae_merger_free(ae_merger *m);
void ae_merger_start(ae_merger *m); /* a new word */
void ae_merger_add(ae_merger *m, int32_t id, size_t at, size_t len);

/* Told about every pair that could be merged; NULL in ae_merge: nobody is. */
typedef void ae_merge_seen_fn(void *user, int32_t left, int32_t right, int32_t merged);

/* Merges the symbols as far as it goes: the row begins at symbol 0 (when there is one) and
 * follows `next`. Costs n log n. */
void ae_merge(ae_merger *m, const ae_number_table *pairs, ae_merge_seen_fn *seen, void *user);

#endif
