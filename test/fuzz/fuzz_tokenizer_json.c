/* fuzz_tokenizer_json.c -- opens bytes as a tokenizer.json, and what follows a NUL as its config.
 */
#include "text/text.h"

#include <string.h>

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
    ae_span json = { (const char *)data, size }, config = { NULL, 0 };
    const char *nul = size ? memchr(data, '\0', size) : NULL;
    ae_tokenizer *t;

    if (nul) {
        json.len = (size_t)(nul - json.data);
        config = (ae_span){ nul + 1, size - json.len - 1 };
    }
    if (ae_tokenizer_from_json(&t, json, config, NULL)) return 0;
    use(t, json);
    ae_tokenizer_close(t);
    return 0;
}
