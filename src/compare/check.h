/* check.h -- what a reply is held to. */
#ifndef AE_COMPARE_CHECK_H
#define AE_COMPARE_CHECK_H

#include "base/base.h"

#include <jansson.h>

typedef struct ae_check ae_check;

/* What a check may look at beside the reply. */
typedef struct {
    const char *id;
    const json_t *messages;
    const char *expected; /* NULL: none */
    const json_t *row;    /* of the data; NULL: none */
    /* For checks by program; see aerie_check_fn. */
    aerie_status (*program)(void *user, const char *line,
                            void (*answer)(void *to, const char *text, size_t len), void *to,
                            aerie_error *err);
    void *program_user;
} ae_check_of;

/* From {"type": ..., ...} or its short form, a text such as "json" or "contains:yes". */
aerie_status ae_check_open(ae_check **out, const json_t *spec, aerie_error *err);
void ae_check_close(ae_check *c);             /* NULL is fine */
const char *ae_check_name(const ae_check *c); /* "contains 'yes'" */
/* The same text: the same check. */
const char *ae_check_source(const ae_check *c);
bool ae_check_wants_expected(const ae_check *c);

/* Fails only where a program does, or a pattern is given up (see text/regex.h). */
aerie_status ae_check_run(const ae_check *c, const ae_check_of *of, const char *reply, size_t len,
                          bool *passed, aerie_error *err);

/* ---- check_schema.c ---- */

/* Whether a JSON value is what a schema says (type, enum, const, properties, required,
 * additionalProperties, items, prefixItems, min/max..., pattern, anyOf, oneOf, allOf, not, $ref
 * within the schema). */
bool ae_check_schema(const json_t *schema, const json_t *value);
/* AERIE_UNSUPPORTED with the keyword, where a schema has one that would bind and is not known. */
aerie_status ae_check_schema_open(const json_t *schema, aerie_error *err);

/* ---- reply_text.c ---- */

/* The JSON in a reply: the reply itself, or what stands between ``` marks when that is all of it.
 * A new reference, or NULL. */
json_t *ae_reply_json_of(const char *reply, size_t len);
/* The last number in a text ("1,234.50" is 1234.5); false: there is none. */
bool ae_reply_number(const char *text, size_t len, double *out);
/* Takes a character that was cut in two off a text's end. */
void ae_reply_cut(char *text);
/* Whether a reply declines what it was asked, by the words such replies begin with. */
bool ae_reply_refuses(const char *reply, size_t len);
/* The language of a text, by its script and its commonest words: "en", "de", "fr", "es", "it",
 * "pt", "nl", "ru", "zh", "ja", "ko", "ar", ...; "" when it can't be told. */
const char *ae_reply_language(const char *text, size_t len);
/* Whether that may be its answer. */
bool ae_reply_knows_language(const char *language);
/* ROUGE-L's F1 of two texts over lower-case words: 0 .. 1. NaN: no memory. */
double ae_reply_similarity(const char *a, const char *b);
int64_t ae_reply_words(const char *text, size_t len);      /* runs of anything but white space */
int64_t ae_reply_characters(const char *text, size_t len); /* code points */

#endif
