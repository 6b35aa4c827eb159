/* tokenizer_files.h -- a vocabulary as the files of a Hugging Face folder. Private to model. */
#ifndef AE_TOKENIZER_FILES_H
#define AE_TOKENIZER_FILES_H

#include "model/model_private.h"

/* Which file a vocabulary gets: scores make a tokenizer.model, merges a tokenizer.json. */
static inline bool ae_has_spm_file(const ae_vocab *v)
{
    return v->kind == AE_VOCAB_SPM && !v->spm_bpe_merges;
}

/* Appends a SentencePiece ModelProto. */
aerie_status ae_spm_model_bytes(const ae_vocab *v, ae_bytes *out, aerie_error *err);
/* Appends a tokenizer.json. */
aerie_status ae_tokenizer_json_text(const ae_vocab *v, ae_bytes *out, aerie_error *err);
/* Appends a tokenizer_config.json; `template` may be NULL. */
aerie_status ae_tokenizer_config_text(const ae_vocab *v, const char *template, ae_bytes *out,
                                      aerie_error *err);

/* Writes the file `name` in `folder`. */
aerie_status ae_write_into(const char *folder, const char *name, ae_span text, aerie_error *err);

#endif
