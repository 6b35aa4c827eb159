/* grammar.h -- what a reply may be: a grammar, or a JSON schema. */
#ifndef AERIE_GRAMMAR_H
#define AERIE_GRAMMAR_H

#include "aerie/error.h"

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A reply that is held to one can be nothing else; where the reply's length ends it before, it is
 * the beginning of what would have been. Whatever takes one keeps a hold of its own. */
typedef struct aerie_grammar aerie_grammar;

/* GBNF, as llama.cpp has it; its rule `root` is the reply. AERIE_BAD_TEXT names the line that is
 * wrong. On AERIE_OK *out is the caller's, to be freed with aerie_grammar_free(). */
AERIE_API aerie_status aerie_grammar_gbnf(aerie_grammar **out, const char *text, aerie_error *err);

/* A JSON schema, as JSON. What would bind a value and cannot be enforced is AERIE_UNSUPPORTED, with
 * the keyword: docs/serving.md lists what can. Properties come in the schema's order. */
AERIE_API aerie_status aerie_grammar_schema(aerie_grammar **out, const char *schema,
                                            aerie_error *err);
/* Any JSON object. */
AERIE_API aerie_status aerie_grammar_json(aerie_grammar **out, aerie_error *err);

/* Another hold of it, to be freed too. */
AERIE_API aerie_grammar *aerie_grammar_share(const aerie_grammar *g);
AERIE_API void aerie_grammar_free(aerie_grammar *g); /* NULL is fine */

/* Whether a whole text is one of the grammar's. */
AERIE_API bool aerie_grammar_fits(const aerie_grammar *g, const char *text, size_t len);

#ifdef __cplusplus
}
#endif
#endif
