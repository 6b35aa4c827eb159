/* text.h -- tokens and chat templates. */
#ifndef AERIE_TEXT_H
#define AERIE_TEXT_H

#include "aerie/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct aerie_tokenizer aerie_tokenizer;

/* Frees what the library hands out as the caller's: texts and arrays. NULL is fine. */
AERIE_API void aerie_free(void *memory);

/* Opens a bare tokenizer.model or tokenizer.json, the tokenizer of a GGUF file, or of a Hugging
 * Face folder. On AERIE_OK *out is the caller's, to be closed with aerie_tokenizer_close(). */
AERIE_API aerie_status aerie_tokenizer_open(aerie_tokenizer **out, const char *path,
                                            aerie_error *err);
AERIE_API void aerie_tokenizer_close(aerie_tokenizer *t);

typedef struct {
    bool no_bos; /* leave out the beginning-of-sequence token that the vocabulary wants; it is never
                  * put before a text that begins with it */
    bool no_special; /* take special tokens written in the text as ordinary text */
} aerie_tokenize_options;

/* *ids [*n] is the caller's (aerie_free). `options` may be NULL. text: UTF-8, `len` bytes. */
AERIE_API aerie_status aerie_tokenize(const aerie_tokenizer *t, const char *text, size_t len,
                                      const aerie_tokenize_options *options, int32_t **ids,
                                      size_t *n, aerie_error *err);
/* *text is the caller's (aerie_free) and '\0'-terminated; *len its bytes. */
AERIE_API aerie_status aerie_detokenize(const aerie_tokenizer *t, const int32_t *ids, size_t n,
                                        char **text, size_t *len, aerie_error *err);
/* The same with special tokens as their texts. */
AERIE_API aerie_status aerie_detokenize_special(const aerie_tokenizer *t, const int32_t *ids,
                                                size_t n, char **text, size_t *len,
                                                aerie_error *err);
/* A token's stored text, "▁the"; *len its bytes. Borrowed; empty for an id out of range. */
AERIE_API const char *aerie_token_piece(const aerie_tokenizer *t, int32_t id, size_t *len);
/* What it stands for in a text, special tokens too: maybe a part of a character. *bytes is the
 * caller's (aerie_free) and '\0'-terminated; *len of them. */
AERIE_API aerie_status aerie_token_bytes(const aerie_tokenizer *t, int32_t id, char **bytes,
                                         size_t *len, aerie_error *err);
/* How many ids there are, from 0. */
AERIE_API int32_t aerie_tokenizer_size(const aerie_tokenizer *t);

/* Renders a chat template. `request` is a JSON object:
 *
 *   {"messages": [{"role", "content"}...], "template"?: Jinja text, "tools"?: [...],
 *    "add_generation_prompt"?: true or false, "bos_token"?: text, "eos_token"?: text,
 *    "now"?: "2026-01-31T12:00:00"}
 *
 * Template, bos_token and eos_token, when left out, are those of `path` (a model's file or folder;
 * NULL: the request must bring its template); add_generation_prompt is then undefined, which
 * templates take for false. *text is the caller's (aerie_free), *len its bytes. */
AERIE_API aerie_status aerie_render(const char *path, const char *request, char **text, size_t *len,
                                    aerie_error *err);

/* The i-th known chat format ("zephyr"), NULL past the end: a name that stands for its template
 * wherever one is asked for. */
AERIE_API const char *aerie_template_name(size_t i);

#ifdef __cplusplus
}
#endif
#endif
