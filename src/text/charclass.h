/* charclass.h -- the few classes of characters that tokenizers ask about. */
#ifndef AE_CHARCLASS_H
#define AE_CHARCLASS_H

#include "text/utf8.h"

typedef enum {
    AE_CHAR_OTHER, /* punctuation, symbols, marks, controls; ill-formed bytes */
    AE_CHAR_LETTER,
    AE_CHAR_NUMBER,
    AE_CHAR_SPACE,
    AE_CHAR_NEWLINE /* \r and \n: white space too */
} ae_char_class;

/* The class of the character at `at`, which *end is moved past. */
ae_char_class ae_char_next(ae_span text, size_t at, size_t *end);
/* Of a code point; -1 is other. */
ae_char_class ae_char_class_of(int32_t code);
/* A regular expression's \w: letters, marks, numbers, connectors. */
bool ae_char_is_word(int32_t code);

static inline bool ae_char_is_space(ae_char_class c)
{
    return c == AE_CHAR_SPACE || c == AE_CHAR_NEWLINE;
}

#endif
