/* tokenizer_files.h -- a vocabulary as the files of a Hugging Face folder. Private to model. */
#ifndef AE_TOKENIZER_FILES_H
#define AE_TOKENIZER_FILES_H

#include "model/model_private.h"

/* Appends a SentencePiece ModelProto. */
aerie_status ae_spm_model_bytes(const ae_vocab *v, ae_bytes *out, aerie_error *err);
/* Appends a tokenizer.json (BPE). */
aerie_status ae_tokenizer_json_text(const ae_vocab *v, ae_bytes *out, aerie_error *err);
/* Appends a tokenizer_config.json. */
aerie_status ae_tokenizer_config_text(const ae_vocab *v, ae_bytes *out, aerie_error *err);

/* Writes the file `name` in `folder`. */
aerie_status ae_write_into(const char *folder, const char *name, ae_span text, aerie_error *err);

#endif
