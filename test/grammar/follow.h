/* follow.h -- whether a text is one of a grammar's, in the pieces that a reply comes in. */
#ifndef AE_TEST_FOLLOW_H
#define AE_TEST_FOLLOW_H

#include "grammar/grammar.h"

#include <string.h>

typedef enum { FOLLOW_NO, FOLLOW_BEGINS, FOLLOW_WHOLE } follow_result;

/* How far a text fits when it comes `step` bytes at a time. */
static inline follow_result follow_text(const ae_grammar *g, ae_span text, size_t step)
{
    ae_grammar_state *s;
    follow_result result = FOLLOW_BEGINS;
    if (ae_grammar_start(&s, g, NULL)) return FOLLOW_NO;
    for (size_t i = 0; i < text.len && result; i += step) {
        ae_span piece = { text.data + i, text.len - i < step ? text.len - i : step };
        bool takes = ae_grammar_takes(s, piece);
        if (ae_grammar_advance(s, piece) != takes) __builtin_trap();
        if (!takes) result = FOLLOW_NO;
    }
    if (result && ae_grammar_may_end(s)) result = FOLLOW_WHOLE;
    ae_grammar_stop(s);
    return result;
}

#endif
