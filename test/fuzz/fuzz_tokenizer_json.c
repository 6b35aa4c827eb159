/* fuzz_tokenizer_json.c -- opens bytes as a tokenizer.json, and what follows a NUL as its config.
 */
#include "use_tokenizer.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
    use_tokenizer(t, json);
    ae_tokenizer_close(t);
    return 0;
}
