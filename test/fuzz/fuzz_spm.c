/* fuzz_spm.c -- opens bytes as a tokenizer.model and uses whatever opens. */
#include "text/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The file itself is the text: what it holds comes up in its own pieces. */
static void use(const ae_tokenizer *t, ae_span text)
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ae_tokenizer *t;

    if (ae_tokenizer_from_spm(&t, data, size, NULL)) return 0;
    use(t, (ae_span){ (const char *)data, size });
    ae_tokenizer_close(t);
    return 0;
}
