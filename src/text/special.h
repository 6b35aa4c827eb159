/* special.h -- finds the tokens that a text may contain as they are written: control tokens and
 * user-defined ones. */
#ifndef AE_SPECIAL_H
#define AE_SPECIAL_H

#include "text/lookup.h"
#include "text/tokenizer.h"

/* A trie of all such tokens; its edges go from (node, byte) to a node. */
typedef struct {
    ae_number_table edges;
    int32_t *token;  /* [nodes] the token that ends here, or -1 */
    int32_t n_nodes; /* 0: no such tokens */
    bool first[256]; /* whether a token begins with this byte */
    const ae_vocab_token *tokens;
} ae_special;

typedef struct {
    size_t begin, end; /* with the white space that it takes along */
    int32_t id;
} ae_special_match;

aerie_status ae_special_new(ae_special *s, ae_arena *arena, const ae_vocab_token *tokens,
                            int32_t n_tokens, aerie_error *err);

/* The leftmost match at or behind `at`, the longest of those that begin there. With `control` all
 * tokens count, otherwise the user-defined ones. */
bool ae_special_find(const ae_special *s, ae_span text, size_t at, bool control,
                     ae_special_match *match);

#endif
