/* fuzz_check.c -- a check of any bytes (up to the first newline) against a reply of any bytes:
 * refused with a sentence, or run to the end. */
#include "compare/check.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    size_t len = end ? (size_t)(end - data) : size;
    json_t *spec = json_loadb((const char *)data, len, JSON_DECODE_ANY, NULL);
    char *reply = ae_strndup(end ? (const char *)end + 1 : "", end ? size - len - 1 : 0);
    json_t *messages = json_array();
    const ae_check_of of = { .id = "1", .messages = messages, .expected = reply };
    aerie_error err = { 0 };
    ae_check *check = NULL;
    bool passed = false;

    if (spec && reply && messages) {
        if (ae_check_open(&check, spec, &err) && !err.message[0]) abort();
        if (check && ae_check_run(check, &of, reply, strlen(reply), &passed, &err) &&
            !err.message[0])
            abort();
    }
    if (reply) {
        /* Whatever a text holds, it can be looked at. */
        (void)ae_reply_language(reply, strlen(reply));
        if (ae_reply_similarity(reply, reply) != 1) abort();
    }
    ae_check_close(check);
    json_decref(messages);
    json_decref(spec);
    ae_free(reply);
    return 0;
}
