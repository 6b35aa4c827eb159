/* fuzz_address.c -- a server's address of any bytes: refused with a sentence, or one that, written
 * out, is read as the same again. */
#include "client/address.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ae_bytes first = { 0 }, second = { 0 };
    ae_address a, b;
    aerie_error err = { 0 };
    char *text = ae_strndup((const char *)data, size);
    if (text && ae_address_read(&a, text, &err)) {
        if (!err.message[0]) abort();
    } else if (text) {
        ae_address_write(&first, &a);
        if (!first.failed && ae_address_read(&b, first.data, NULL)) abort();
        ae_address_write(&second, &b);
        if (strcmp(first.data, second.data) != 0 || a.here != b.here) abort();
    }
    ae_bytes_free(&first);
    ae_bytes_free(&second);
    ae_free(text);
    return 0;
}
