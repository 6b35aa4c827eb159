/* use_tokenizer.h -- a tokenizer that opened, put to use. */
#ifndef AE_FUZZ_USE_TOKENIZER_H
#define AE_FUZZ_USE_TOKENIZER_H

#include "text/text.h"

/* `text` is the tokenizer's own file: what it holds comes up in its own pieces. */
static inline void use_tokenizer(const ae_tokenizer *t, ae_span text)
{
    ae_ids ids = { 0 }, offsets = { 0 };
    ae_bytes back = { 0 };

    if (text.len > 512) text.len = 512;
    ae_tokenizer_encode(t, text, AE_ENCODE_BOS | AE_ENCODE_SPECIAL, &ids, NULL, NULL);
    ae_tokenizer_encode(t, text, 0, &ids, &offsets, NULL);
    ae_tokenizer_decode(t, ids.data, ids.len, true, &back, NULL);
    if (!ae_utf8_valid(ae_span_of(&back))) __builtin_trap();
    ae_ids_free(&ids);
    ae_ids_free(&offsets);
    ae_bytes_free(&back);
}

#endif
