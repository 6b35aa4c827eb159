/* vocab_builder.h -- gathers a vocabulary from one or more files. */
#ifndef AE_VOCAB_BUILDER_H
#define AE_VOCAB_BUILDER_H

#include "text/tokenizer.h"

#include <jansson.h>

typedef struct {
    ae_vocab vocab;         /* everything but the arrays */
    ae_arena arena;         /* copies of texts whose source does not last */
    ae_vocab_token *tokens; /* [n_tokens]; text.data NULL: no file has named this id yet */
    size_t n_tokens, cap;
    ae_span *merges; /* in the arena */
    const char *patterns[8];
} ae_vocab_builder;

void ae_vocab_builder_start(ae_vocab_builder *b);
void ae_vocab_builder_free(ae_vocab_builder *b);

/* Sets token `id`, whose text must last as long as the builder. `expected` is how many tokens the
 * file has in all: an id far beyond them is refused. */
aerie_status ae_vocab_builder_set(ae_vocab_builder *b, int64_t id, ae_vocab_token token,
                                  size_t expected, aerie_error *err);
/* -1: no such token. Looks at one after the other: for a few names, not for merges. */
int32_t ae_vocab_builder_find(const ae_vocab_builder *b, ae_span text);
/* Names the ids that no file named "[PAD<id>]", unused, and makes the tokenizer. */
aerie_status ae_vocab_builder_finish(ae_vocab_builder *b, ae_tokenizer **out, aerie_error *err);

/* Adds what a file holds. JSON values and file bytes must last as long as the builder. */
aerie_status ae_vocab_add_spm(ae_vocab_builder *b, ae_span model, aerie_error *err);
aerie_status ae_vocab_add_json(ae_vocab_builder *b, const json_t *tokenizer, aerie_error *err);
/* tokenizer_config.json */
aerie_status ae_vocab_add_config(ae_vocab_builder *b, const json_t *config, aerie_error *err);
/* added_tokens.json: {"text": id} */
aerie_status ae_vocab_add_added(ae_vocab_builder *b, const json_t *added, aerie_error *err);
/* One entry of "added_tokens" or "added_tokens_decoder". */
aerie_status ae_vocab_add_entry(ae_vocab_builder *b, int64_t id, const json_t *entry,
                                size_t expected, aerie_error *err);
/* The normalizer and pre_tokenizer of a tokenizer.json. */
aerie_status ae_vocab_add_cutting(ae_vocab_builder *b, const json_t *tokenizer, aerie_error *err);

/* Parses JSON whose text is `text`; *out is the caller's (json_decref). With `huge_numbers` whole
 * numbers are read as reals: many a tokenizer_config.json says "model_max_length": 10^30. */
aerie_status ae_json_parse(json_t **out, ae_span text, bool huge_numbers, const char *what,
                           aerie_error *err);

/* A JSON string as a span; empty for anything else. */
static inline ae_span ae_json_span(const json_t *value)
{
    if (!json_is_string(value)) return (ae_span){ "", 0 };
    return (ae_span){ json_string_value(value), json_string_length(value) };
}

#endif
