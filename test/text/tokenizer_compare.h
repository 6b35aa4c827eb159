/* tokenizer_compare.h -- runs a tokenizer over JSONL lines {"text": ..., "ids": [...]} and counts
 * the lines that come out otherwise. */
#ifndef TOKENIZER_COMPARE_H
#define TOKENIZER_COMPARE_H

#include "text/tokenizer.h"

#include <jansson.h>

typedef struct {
    ae_tokenizer *tokenizer;
    const char *ids_key;  /* where the ids are, "ids" */
    const char *text_key; /* of the text that decoding the ids must give; NULL: not looked at */
    const char *only_key, *only_value; /* lines whose `only_key` is another are skipped; or NULL */
    unsigned flags;
} comparing;

typedef struct {
    size_t lines, wrong;
} compared;

/* Prints the first few lines that differ. A file that cannot be read is one wrong line. */
compared compare_file(const comparing *c, const char *path);
/* The texts and lists of ids in llama.cpp's form: strings between "\n__ggml_vocab_test__\n", and a
 * line of ids for each. */
compared compare_ggml(ae_tokenizer *t, const char *texts_path, const char *ids_path);

/* AERIE_SHARED, else ../shared, with `name` behind; NULL (and a line that says so) when there is
 * no such file. The caller's to free with ae_free(). */
char *shared_path(const char *name);

#endif
