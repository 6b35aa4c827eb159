/* lookup.h -- what came next the last time: guesses a text's next tokens by its own past. A text
 * that quotes, lists or corrects what stands in its prompt is guessed well and for nothing. */
#ifndef AE_LOOKUP_H
#define AE_LOOKUP_H

#include "base/base.h"

enum {
    AE_MATCH_LEAST = 2, /* tokens that must agree before a guess is worth making */
    AE_MATCH_MOST = 16  /* longer agreement is not told apart */
};

/* Where the text's last pairs and triples of tokens stood before. A zeroed one finds nothing and
 * holds nothing. Memory: 4 bytes a token, and a table of at most 256 KB. */
typedef struct {
    int32_t *triples, *pairs; /* [1 << bits]: the last position that followed such tokens; -1 */
    int32_t *earlier;         /* [room]: the position before that followed the same triple's hash */
    int bits;
    int64_t room, indexed;
    int64_t distance; /* how far back the last match lay; 0: there was none */
} ae_lookup;

/* The `length` tokens before `at` are the text's last; 0: nothing is. */
typedef struct {
    int64_t at, length;
} ae_match;

/* Sized for a text that begins with about `expected` tokens; any length works. False: no memory,
 * and the lookup stays zeroed. */
bool ae_lookup_open(ae_lookup *l, int64_t expected);
void ae_lookup_free(ae_lookup *l);

/* Finds the longest match of the last tokens of ids [n], the most recent of equals. ids must begin
 * with what earlier calls have seen; what is new is indexed. Without memory for that, no match. */
ae_match ae_lookup_find(ae_lookup *l, const int32_t *ids, int64_t n);

/* Writes the `count` tokens that followed the match, going round where it reaches the end. */
void ae_match_copy(ae_match m, const int32_t *ids, int64_t n, int32_t *out, int64_t count);

#endif
