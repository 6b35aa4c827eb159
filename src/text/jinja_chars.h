/* jinja_chars.h -- Python's view of characters: white space, letters, case. */
#ifndef AE_JINJA_CHARS_H
#define AE_JINJA_CHARS_H

#include "base/base.h"

/* str.isspace() of one code point. */
bool jinja_is_space(int32_t code);
/* Bytes of white space at the start of `text`. */
size_t jinja_space_prefix(ae_span text);
/* str.strip(), on the left, the right or both sides. */
ae_span jinja_strip(ae_span text, bool left, bool right);
/* The same with a set of characters. */
ae_span jinja_strip_chars(ae_span text, ae_span chars, bool left, bool right);

/* Code points in `text`, and the byte where the index-th begins (the end when there are fewer). */
size_t jinja_char_count(ae_span text);
size_t jinja_char_offset(ae_span text, size_t index);

/* Where `part` begins in `text` at or after `from`; SIZE_MAX: nowhere. Linear in text.len. */
size_t jinja_find_text(ae_span text, ae_span part, size_t from);

bool jinja_is_alpha(int32_t code);
bool jinja_is_digit(int32_t code);
bool jinja_is_upper(int32_t code);
bool jinja_is_lower(int32_t code);
bool jinja_is_printable(int32_t code); /* repr() shows it as it is */

typedef enum { JINJA_UPPER, JINJA_LOWER, JINJA_CAPITAL, JINJA_TITLE, JINJA_SWAP } jinja_case;
/* Appends `text` in another case. JINJA_TITLE is str.title(): every run of letters starts with a
 * capital. */
void jinja_put_case(ae_bytes *out, ae_span text, jinja_case how);

#endif
