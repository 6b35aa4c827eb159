/* fuzz_filter.c -- a pattern of any bytes (up to the first newline) as a task's filter, and as what
 * exact match ignores, over a reply of any bytes. */
#include "eval/reply_filter.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static aerie_status filter_by(json_t *options, ae_span reply)
{
    const ae_filter_step steps[] = { { .function = "regex", .options = options },
                                     { .function = "lowercase" },
                                     { .function = "take_first" } };
    const ae_filter filter = { .name = "fuzz", .steps = steps, .n_steps = AE_COUNT(steps) };
    ae_bytes out = { 0 };
    aerie_error err = { 0 };

    aerie_status status = ae_filter_apply(&out, &filter, reply, &err);
    if (status && !err.message[0]) __builtin_trap();
    ae_bytes_free(&out);
    return status;
}

static void match_by(const char *pattern, ae_span reply)
{
    const char *const ignored[] = { pattern };
    const ae_metric metric = { .name = "exact_match",
                               .ignore_regexes = ignored,
                               .n_ignore_regexes = 1,
                               .ignore_case = true,
                               .ignore_punctuation = true };
    aerie_error err = { 0 };
    bool same = false;

    if (ae_exact_match(&same, &metric, reply, reply, &err)) {
        if (!err.message[0]) __builtin_trap();
    } else if (!same) {
        __builtin_trap();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    size_t len = end ? (size_t)(end - data) : size;
    json_t *pattern = json_stringn((const char *)data, len);
    ae_span reply = { end ? (const char *)end + 1 : "", end ? size - len - 1 : 0 };
    json_t *options = pattern ? json_pack("{s:O, s:i}", "regex_pattern", pattern, "group_select",
                                          (int)(size % 5) - 2)
                              : NULL;

    if (options && strlen(json_string_value(pattern)) == len) {
        /* Once is long enough for one that is given up. */
        if (!filter_by(options, reply)) match_by(json_string_value(pattern), reply);
    }
    json_decref(options);
    json_decref(pattern);
    return 0;
}
