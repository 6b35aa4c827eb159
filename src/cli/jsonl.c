/* jsonl.c -- JSON in and out of the commands. */
#include "cli/jsonl.h"

#include "base/base.h"

#include <stdio.h>
#include <string.h>

void cli_print_json(json_t *value)
{
    json_dumpf(value, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(value);
}

json_t *cli_ids_json(const int32_t *ids, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(list, json_integer(ids[i]));
    return list;
}

aerie_status cli_each_line(const char *path, cli_line_fn *fn, void *user, aerie_error *err)
{
    ae_bytes text = { 0 };
    aerie_status status = ae_file_read(&text, path, 0, err);
    size_t line_number = 0;
    for (size_t at = 0; !status && at < text.len;) {
        const char *start = text.data + at, *end = memchr(start, '\n', text.len - at);
        size_t len = end ? (size_t)(end - start) : text.len - at;
        at += len + 1;
        line_number++;
        if (len == 0 || (len == 1 && *start == '\r')) continue;
        json_error_t where;
        json_t *row = json_loadb(start, len, JSON_ALLOW_NUL, &where);
        if (!json_is_object(row))
            status = aerie_fail(err, AERIE_BAD_FILE, "%s:%zu: the line is not a JSON object: %s",
                                path, line_number, row ? "another kind of value" : where.text);
        else if ((status = fn(user, row, err)))
            aerie_error_prefix(err, "%s:%zu", path, line_number);
        json_decref(row);
    }
    ae_bytes_free(&text);
    return status;
}
