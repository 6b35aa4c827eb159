/* csv.c -- rows of a table in text (RFC 4180): fields in quotes may hold separators, line breaks
 * and doubled quotes. Every value is a text. */
#include "task/csv.h"

#include <string.h>

typedef struct {
    ae_span text;
    size_t at, line;
    char separator;
} reader;

static bool at_end(const reader *r)
{
    return r->at >= r->text.len;
}

/* What is between quotes; the cursor ends behind the closing one. */
static bool quoted(reader *r, ae_bytes *out)
{
    for (r->at++; !at_end(r); r->at++) {
        char c = r->text.data[r->at];
        r->line += c == '\n';
        if (c != '"') {
            ae_bytes_add_char(out, c);
        } else if (r->at + 1 < r->text.len && r->text.data[r->at + 1] == '"') {
            ae_bytes_add_char(out, '"');
            r->at++;
        } else {
            r->at++;
            return true;
        }
    }
    return false;
}

static bool ends_field(const reader *r)
{
    char c = r->text.data[r->at];

    return c == r->separator || c == '\n' || c == '\r';
}

/* One field; false: a quote never closes. */
static bool read_field(reader *r, ae_bytes *out)
{
    ae_bytes_clear(out);
    if (!at_end(r) && r->text.data[r->at] == '"' && !quoted(r, out)) return false;
    while (!at_end(r) && !ends_field(r)) ae_bytes_add_char(out, r->text.data[r->at++]);
    return true;
}

/* The fields of one line as an array; *more: another line follows. */
static aerie_status read_line(reader *r, json_t *fields, const char *name, aerie_error *err)
{
    ae_bytes field = { 0 };
    size_t line = r->line;
    aerie_status status = AERIE_OK;

    for (bool more = true; more && !status;) {
        json_t *text;
        if (!read_field(r, &field)) {
            status = aerie_fail(err, AERIE_BAD_FILE, "%s:%zu: a quote is never closed", name, line);
            break;
        }
        more = !at_end(r) && r->text.data[r->at] == r->separator;
        if (more) r->at++;
        text = json_stringn(field.data ? field.data : "", field.len);
        if (!text && !field.failed)
            status = aerie_fail(err, AERIE_BAD_FILE, "%s:%zu: not UTF-8; save it so", name, line);
        else if (!text || json_array_append_new(fields, text))
            status = aerie_fail(err, AERIE_NO_MEMORY, "%s: no memory for its rows", name);
    }
    if (!at_end(r) && r->text.data[r->at] == '\r') r->at++;
    if (!at_end(r) && r->text.data[r->at] == '\n') r->at++, r->line++;
    ae_bytes_free(&field);
    return status;
}

static bool is_blank(json_t *fields)
{
    return json_array_size(fields) == 1 && json_string_length(json_array_get(fields, 0)) == 0;
}

static aerie_status add_row(json_t *rows, json_t *header, json_t *fields, size_t line,
                            const char *name, aerie_error *err)
{
    json_t *row;

    if (json_array_size(fields) != json_array_size(header))
        return aerie_fail(err, AERIE_BAD_FILE, "%s:%zu: %zu fields, and the header names %zu", name,
                          line, json_array_size(fields), json_array_size(header));
    row = json_object();
    for (size_t i = 0; row && i < json_array_size(header); i++)
        if (json_object_set(row, json_string_value(json_array_get(header, i)),
                            json_array_get(fields, i))) {
            json_decref(row);
            row = NULL;
        }
    if (!row || json_array_append_new(rows, row))
        return aerie_fail(err, AERIE_NO_MEMORY, "%s: no memory for its rows", name);
    return AERIE_OK;
}

aerie_status task_csv_read(json_t *rows, const char *name, ae_span text, char separator,
                           json_t *header, size_t most, aerie_error *err)
{
    reader r = { .text = text, .line = 1, .separator = separator };
    json_t *names = json_incref(header);
    aerie_status status = AERIE_OK;
    size_t n = 0;

    if (text.len >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0) r.at = 3;
    while (!status && !at_end(&r) && (!most || n < most)) {
        size_t line = r.line;
        json_t *fields = json_array();
        status = fields ? read_line(&r, fields, name, err)
                        : aerie_fail(err, AERIE_NO_MEMORY, "%s: no memory for its rows", name);
        if (!status && !names) {
            names = json_incref(fields);
        } else if (!status && !is_blank(fields)) {
            status = add_row(rows, names, fields, line, name, err);
            n++;
        }
        json_decref(fields);
    }
    json_decref(names);
    return status;
}
