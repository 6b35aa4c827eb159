/* regex.h -- regular expressions that users' files bring. */
#ifndef AE_TEXT_REGEX_H
#define AE_TEXT_REGEX_H

#include "base/base.h"

typedef struct ae_regex ae_regex;

/* In PCRE2's words, which are Python's but for rarities. */
aerie_status ae_regex_open(ae_regex **out, const char *pattern, aerie_error *err);
void ae_regex_close(ae_regex *r); /* NULL is fine */
/* Whether it matches the whole text. One that takes too many steps to tell does not. */
bool ae_regex_matches(const ae_regex *r, ae_span text);

#endif
