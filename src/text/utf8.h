/* utf8.h -- UTF-8 in and out, by the Unicode standard's rules for ill-formed bytes. */
#ifndef AE_UTF8_H
#define AE_UTF8_H

#include "base/base.h"

/* Reads one code point at text[*at] and moves *at past it (at < len). An ill-formed sequence gives
 * -1 and moves past its maximal ill-formed part (at least one byte). */
int32_t ae_utf8_next(ae_span text, size_t *at);
/* Writes 1 to 4 bytes; returns how many. Code points out of range write U+FFFD. */
size_t ae_utf8_put(int32_t code, char out[4]);
/* How many bytes of `text` a stream may let go: all of them, less a good but unfinished sequence
 * at the very end. Ill-formed bytes count, for no later byte mends them. */
size_t ae_utf8_complete(ae_span text);
bool ae_utf8_valid(ae_span text);

#endif
