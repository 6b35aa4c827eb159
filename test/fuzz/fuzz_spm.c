/* fuzz_spm.c -- opens bytes as a tokenizer.model and uses whatever opens. */
#include "use_tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ae_tokenizer *t;

    if (ae_tokenizer_from_spm(&t, data, size, NULL)) return 0;
    use_tokenizer(t, (ae_span){ (const char *)data, size });
    ae_tokenizer_close(t);
    return 0;
}
