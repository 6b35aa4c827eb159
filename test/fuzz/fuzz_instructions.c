/* fuzz_instructions.c -- a row of IFEval of any bytes (up to the first newline) against a reply of
 * any bytes: refused with a sentence, or each instruction judged, the loose way no stricter than
 * the strict one. */
#include "eval/instructions.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 32 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    size_t len = end ? (size_t)(end - data) : size;
    json_t *row = json_loadb((const char *)data, len, 0, NULL);
    const json_t *ids = json_object_get(row, "instruction_id_list");
    ae_span reply = { end ? (const char *)end + 1 : "", end ? size - len - 1 : 0 };
    bool strict[MOST] = { false }, loose[MOST] = { false };
    size_t n = json_array_size(ids);
    aerie_error err = { 0 };

    if (n > 0 && n <= MOST) {
        if (ae_instructions_check(strict, loose, ids, json_object_get(row, "kwargs"), reply,
                                  &err)) {
            if (!err.message[0]) __builtin_trap();
        } else {
            for (size_t i = 0; i < n; i++)
                if (strict[i] && !loose[i]) __builtin_trap();
        }
    }
    json_decref(row);
    return 0;
}
