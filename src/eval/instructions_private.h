/* instructions_private.h -- what the checkers' files share. */
#ifndef AE_INSTRUCTIONS_PRIVATE_H
#define AE_INSTRUCTIONS_PRIVATE_H

#include "eval/instructions.h"
#include "text/text.h"

/* One instruction about one reply. Failures are sticky; a failed check is false. */
typedef struct {
    const char *name;
    const json_t *args; /* object */
    ae_bytes scratch;
    aerie_status status;
    aerie_error *err;
} ae_check;

typedef bool ae_check_fn(ae_check *c, ae_span reply);

/* Arguments by name; a missing one fails the check. */
int64_t ae_check_number(ae_check *c, const char *key);
ae_span ae_check_word(ae_check *c, const char *key);
/* Whether n is in the relation `relation_key` ("less than", else "at least") to the number. */
bool ae_check_relation(ae_check *c, int64_t n, const char *relation_key, const char *number_key);

/* Matches of a pattern; 0 after a failure. */
int64_t ae_check_count(ae_check *c, const char *pattern, unsigned flags, ae_span text);
/* The text in lower case; borrowed until the next call. */
ae_span ae_check_lower(ae_check *c, ae_span text);

static inline ae_span ae_strip(ae_span text)
{
    return jinja_strip(text, true, true);
}
static inline bool ae_is_blank(ae_span text)
{
    return ae_strip(text).len == 0;
}
/* Cuts `text` at the next `by` (n bytes): what is before it; *rest what is after. False: at its
 * end. */
bool ae_split_next(ae_span *part, ae_span *rest, const char *by);

/* ---- instructions_format.c ---- */
ae_check_fn ae_check_no_comma, ae_check_bullets, ae_check_placeholders, ae_check_title,
    ae_check_highlights, ae_check_sections, ae_check_paragraphs, ae_check_nth_paragraph,
    ae_check_postscript, ae_check_json, ae_check_end, ae_check_quotation, ae_check_two_responses,
    ae_check_repeat_prompt;
/* ---- instructions_words.c ---- */
ae_check_fn ae_check_keywords, ae_check_keyword_frequency, ae_check_forbidden, ae_check_letters,
    ae_check_words, ae_check_sentences, ae_check_constrained, ae_check_capital, ae_check_lowercase,
    ae_check_capital_words, ae_check_language;

#endif
