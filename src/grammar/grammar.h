/* grammar.h -- the door of grammar: what a reply may be, byte by byte, from GBNF or a JSON schema.
 *
 * A grammar is compiled once, into rules over bytes, and shared; a state walks it for one reply.
 * All that could make it grow without end is refused or bounded, and whatever cannot be enforced is
 * an error: a reply is never less bound than was asked for. */
#ifndef AE_GRAMMAR_H
#define AE_GRAMMAR_H

#include "base/base.h"
#include "text/text.h"

#include <jansson.h>

/* Immutable; any number of states and threads may use one. */
typedef struct ae_grammar ae_grammar;

/* GBNF as llama.cpp has it: `root ::= ...`, literals, [classes], ., ( ), |, * + ? {m,n}, #. On
 * AERIE_OK *out is the caller's. AERIE_BAD_TEXT names the line. */
aerie_status ae_grammar_parse(ae_grammar **out, ae_span gbnf, aerie_error *err);

/* Texts that are JSON and fit a JSON schema (draft 2020-12, and 7 where they agree). A keyword that
 * would bind a value and is not known is AERIE_UNSUPPORTED: schema.h lists those that are.
 * `schema` is a JSON object or boolean. */
aerie_status ae_grammar_of_schema(ae_grammar **out, const json_t *schema, aerie_error *err);
/* Any JSON object. */
aerie_status ae_grammar_of_json(ae_grammar **out, aerie_error *err);

void ae_grammar_free(ae_grammar *g); /* NULL is fine */

/* ---- a reply on its way */

typedef struct ae_grammar_state ae_grammar_state;

/* The grammar must outlive it. */
aerie_status ae_grammar_start(ae_grammar_state **out, const ae_grammar *g, aerie_error *err);
void ae_grammar_stop(ae_grammar_state *s); /* NULL is fine */

/* Whether the bytes may follow. */
bool ae_grammar_takes(ae_grammar_state *s, ae_span bytes);
/* They do follow. False, and nothing changed, when they may not. */
bool ae_grammar_advance(ae_grammar_state *s, ae_span bytes);
/* The text may end here. */
bool ae_grammar_may_end(const ae_grammar_state *s);
/* Nothing but the end may follow. */
bool ae_grammar_must_end(const ae_grammar_state *s);

/* ---- tokens */

/* A tokenizer's tokens in the order of their bytes, so that those that begin alike are looked at
 * once. Immutable; it ends before the tokenizer. */
typedef struct ae_token_order ae_token_order;
aerie_status ae_token_order_new(ae_token_order **out, const ae_tokenizer *t, aerie_error *err);
void ae_token_order_free(ae_token_order *o); /* NULL is fine */
int32_t ae_token_order_size(const ae_token_order *o); /* of the vocabulary */
/* What a token adds to a text; empty for control tokens. */
ae_span ae_token_order_bytes(const ae_token_order *o, int32_t id);

/* Sets logits [V] of tokens that may not come next to -INFINITY; those that end a reply may come
 * where the text may end. False when none is left: the tokenizer cannot write what the grammar
 * wants, or a bound was reached. */
bool ae_grammar_mask(ae_grammar_state *s, const ae_token_order *o, float *logits);
/* Whether one token may come next. */
bool ae_grammar_takes_token(ae_grammar_state *s, const ae_token_order *o, int32_t id);

#endif
