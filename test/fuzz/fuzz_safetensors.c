/* fuzz_safetensors.c -- opens bytes as a safetensors file and walks all that opens. */
#include "format/format.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    volatile uint8_t sum = 0;
    ae_safetensors *s;

    if (ae_safetensors_open_memory(&s, data, size, "fuzz", NULL)) return 0;
    ae_safetensors_metadata(s, "format");
    for (size_t i = 0; i < ae_tensor_list_len(ae_safetensors_tensors(s)); i++) {
        const ae_stored_tensor *t = ae_tensor_list_at(ae_safetensors_tensors(s), i);
        const uint8_t *bytes = t->data;
        ae_tensor view;
        for (size_t b = 0; b < t->bytes; b++) sum = (uint8_t)(sum + bytes[b]);
        ae_stored_tensor_view(&view, t, NULL);
    }
    ae_safetensors_close(s);
    return 0;
}
