/* gguf_vocab.h -- a tokenizer out of a GGUF file's metadata, and one out of GPT-2's two files. */
#ifndef GGUF_VOCAB_H
#define GGUF_VOCAB_H

#include "text/tokenizer.h"

aerie_status open_gguf_vocab(ae_tokenizer **out, const char *path, aerie_error *err);
/* encoder: JSON {"text": id}; merges: a line each. */
aerie_status open_two_files(ae_tokenizer **out, const char *encoder, const char *merges,
                            const char *pre, aerie_error *err);

#endif
