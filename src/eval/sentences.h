/* sentences.h -- English sentences and words as nltk cuts them: its Punkt sentence tokenizer (Kiss
 * & Strunk 2006) with the English model's abbreviations and sentence starters, and its word
 * tokenizer (Penn Treebank's conventions).
 *
 * What is not here of the English model: its orthographic context, 20,000 word types with the cases
 * they were seen in. It only decides whether a sentence begins after an abbreviation, an initial, a
 * number or an ellipsis; here a capitalised word begins one where it is a sentence starter or a
 * common function word, and a word in lower case never does. */
#ifndef AE_SENTENCES_H
#define AE_SENTENCES_H

#include "base/base.h"

aerie_status ae_count_sentences(int64_t *out, ae_span text, aerie_error *err);

/* A word, borrowed until the next; false ends it. */
typedef bool ae_word_fn(void *user, ae_span word);
aerie_status ae_each_word(ae_span text, ae_word_fn *fn, void *user, aerie_error *err);

/* The sentences, one by one. */
aerie_status ae_each_sentence(ae_span text, ae_word_fn *fn, void *user, aerie_error *err);

#endif
