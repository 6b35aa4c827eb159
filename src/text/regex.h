/* regex.h -- regular expressions that users' files bring. */
#ifndef AE_TEXT_REGEX_H
#define AE_TEXT_REGEX_H

#include "base/base.h"

typedef struct ae_regex ae_regex;

/* In PCRE2's words, which are Python's but for rarities.
 *
 * A text may cost a pattern so much, from the first search (from its begin) to the last: a pattern
 * that wants more is given up, has no match from then on, and ae_regex_status() says so. */
aerie_status ae_regex_open(ae_regex **out, const char *pattern, aerie_error *err);
void ae_regex_close(ae_regex *r); /* NULL is fine */
/* AERIE_BAD_TEXT when a search was given up, with the pattern; NULL was not. */
aerie_status ae_regex_status(const ae_regex *r, aerie_error *err);
/* Whether it matches the whole text. */
bool ae_regex_matches(ae_regex *r, ae_span text);

/* Patterns that are searched for, as Python's re does: `^` and `$` know '\n' alone, classes are
 * Unicode's. */
enum {
    AE_REGEX_IGNORE_CASE = 1,
    AE_REGEX_MULTILINE = 2 /* `^` and `$` at every line */
};
aerie_status ae_regex_open_search(ae_regex **out, const char *pattern, unsigned flags,
                                  aerie_error *err);
/* The first match at or after byte `from`: groups[0] is all of it, groups[i] what group i took
 * (data NULL: nothing). From above 0 on the text is as it was when searched from 0. */
bool ae_regex_find(ae_regex *r, ae_span text, size_t from, ae_span *groups, size_t n_groups);

/* Appends the text with every match replaced by `with`, in which "$0" .. "$9" stand for groups. */
void ae_regex_replace(ae_regex *r, ae_span text, const char *with, ae_bytes *out);
/* Matches in the text, those that are empty too. */
int64_t ae_regex_count(ae_regex *r, ae_span text);

/* Where in the text to look for the match after `match`. */
size_t ae_regex_after(ae_span text, ae_span match);
/* Steps that the last text has taken. */
int64_t ae_regex_cost(const ae_regex *r);
/* Groups that the pattern has, the whole not counted. */
int64_t ae_regex_groups(const ae_regex *r);

#endif
