/* rows.c -- files of rows, read a part at a time. */
#include "data/rows.h"

#include "format/format.h"

#include <string.h>

enum { PART = 1 << 18, MOST_BYTES = 1 << 30 };

typedef enum { NOTHING_YET, LINES, ARRAY, PARQUET } row_format;

struct ae_rows {
    const char *name; /* borrowed */
    row_format format;
    ae_file_reader file; /* closed when the bytes are a text in memory */
    ae_parquet *parquet;
    ae_bytes part;    /* of the file */
    ae_span text;     /* what has not been taken yet: of the part, or of the text in memory */
    size_t line, row; /* where `text` begins; rows so far */
    bool ended;       /* of an array: its bracket was closed */
};

/* ---- the text that is next ---- */

static bool has_all(const ae_rows *r)
{
    return !r->file.gz || r->file.ended;
}

/* Reads on: as much again as is waiting, so that a long row costs linear time. */
static aerie_status read_more(ae_rows *r, aerie_error *err)
{
    size_t waiting = r->text.len;
    aerie_status status;

    if (waiting >= MOST_BYTES)
        return aerie_fail(err, AERIE_BAD_FILE, "%s:%zu: a row of more than %d bytes; remove it",
                          r->name, r->line, MOST_BYTES);
    if (waiting) memmove(r->part.data, r->text.data, waiting);
    r->part.len = waiting;
    status = ae_file_reader_more(&r->file, &r->part, waiting > PART ? waiting : PART, err);
    r->text = ae_span_of(&r->part);
    return status;
}

static void drop(ae_rows *r, size_t n)
{
    for (size_t i = 0; i < n; i++) r->line += r->text.data[i] == '\n';
    r->text.data += n;
    r->text.len -= n;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Drops what is before the next character that counts; *c is 0 at the end. */
static aerie_status next_char(ae_rows *r, char *c, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    *c = 0;
    while (!status) {
        size_t n = 0;
        while (n < r->text.len && is_space(r->text.data[n])) n++;
        drop(r, n);
        if (r->text.len) *c = r->text.data[0];
        if (r->text.len || has_all(r)) break;
        status = read_more(r, err);
    }
    return status;
}

/* What Python's json writes for them, no other program reads. */
static const char *advice_on(const json_error_t *where)
{
    bool number = strstr(where->text, "'NaN") || strstr(where->text, "Infinity");

    return number ? "JSON knows no NaN and no Infinity: write null, or remove this row"
                  : "mend or remove this line, or the file is cut off";
}

/* ---- lines ---- */

static aerie_status find_line(ae_rows *r, size_t *len, aerie_error *err)
{
    aerie_status status = AERIE_OK;
    const char *end = NULL;

    for (;;) {
        end = r->text.len ? memchr(r->text.data, '\n', r->text.len) : NULL;
        if (end || has_all(r)) break;
        status = read_more(r, err);
        if (status) return status;
    }
    *len = end ? (size_t)(end - r->text.data) : r->text.len;
    return AERIE_OK;
}

static aerie_status next_line(ae_rows *r, ae_file_row *out, aerie_error *err)
{
    json_error_t where;
    size_t len;
    char c;
    aerie_status status = next_char(r, &c, err);

    if (status || !c) return status;
    status = find_line(r, &len, err);
    if (status) return status;
    out->line = r->line;
    out->json = json_loadb(r->text.data, len, JSON_ALLOW_NUL | JSON_DECODE_ANY, &where);
    if (!out->json)
        status = aerie_fail(err, AERIE_BAD_FILE, "%s:%zu: no JSON (%s, column %d); %s", r->name,
                            r->line, where.text, where.column, advice_on(&where));
    drop(r, len); /* a bad one too: whoever counts bad rows reads on */
    return status;
}

/* ---- an array ---- */

/* Where the value at the text's beginning ends; false: not yet. Brackets are counted outside of
 * strings; whether it is JSON the parser says. */
static bool value_ends(ae_span text, size_t *end)
{
    bool in_string = false;
    size_t depth = 0;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (in_string) {
            if (c == '\\') i++;
            in_string = c != '"';
            continue;
        }
        in_string = c == '"';
        if (depth == 0 && (c == ',' || c == ']')) {
            *end = i;
            return true;
        }
        if (c == '{' || c == '[') depth++;
        if ((c == '}' || c == ']') && depth > 0) depth--;
    }
    return false;
}

static aerie_status no_json(const ae_rows *r, size_t line, const char *what, aerie_error *err)
{
    return aerie_fail(err, AERIE_BAD_FILE, "%s:%zu: no JSON (%s); mend it, or the file is cut off",
                      r->name, line, what);
}

/* What stands between two values, or ends the array. */
static aerie_status next_of_array(ae_rows *r, bool *more, aerie_error *err)
{
    char c;
    aerie_status status = next_char(r, &c, err);

    *more = false;
    if (status || r->ended)
        return status ? status : c ? no_json(r, r->line, "text after the array", err) : AERIE_OK;
    if (!c) return no_json(r, r->line, "the array is not closed", err);
    if (c == ']') {
        r->ended = true;
        drop(r, 1);
        return next_of_array(r, more, err);
    }
    if (r->row > 0) {
        if (c != ',') return no_json(r, r->line, "',' or ']' wanted after a value", err);
        drop(r, 1);
        status = next_char(r, &c, err);
    }
    *more = true;
    return status;
}

static aerie_status next_value(ae_rows *r, ae_file_row *out, aerie_error *err)
{
    json_error_t where;
    bool more;
    size_t end;
    aerie_status status = next_of_array(r, &more, err);

    while (!status && more && !value_ends(r->text, &end)) {
        end = r->text.len;
        if (has_all(r)) break;
        status = read_more(r, err);
    }
    if (status || !more) return status;
    out->json = json_loadb(r->text.data, end, JSON_ALLOW_NUL | JSON_DECODE_ANY, &where);
    if (!out->json)
        return no_json(r, r->line + (size_t)(where.line > 0 ? where.line - 1 : 0), where.text, err);
    drop(r, end);
    out->line = ++r->row;
    out->is_row = true;
    return AERIE_OK;
}

/* ---- any ---- */

/* Formats that are no rows, by the bytes they begin with. */
static const struct {
    const char *bytes;
    size_t len;
    const char *advice;
} strangers[] = {
    { "\x28\xb5\x2f\xfd", 4, "it is packed with zstd; unpack it first, 'zstd -d'" },
    { "\xfd"
      "7zXZ",
      5, "it is packed with xz; unpack it first, 'xz -d'" },
    { "BZh", 3, "it is packed with bzip2; unpack it first, 'bunzip2'" },
    { "PK\x03\x04", 4, "it is a zip archive; unpack it first" },
    { "ARROW1", 6, "it is an Arrow file; save the data set as Parquet or JSON lines" },
    { "\xff\xff\xff\xff", 4, "it is an Arrow stream; save the data set as Parquet or JSON lines" },
    { "\x89HDF", 4, "it is an HDF5 file; save the data set as Parquet or JSON lines" },
    { "GGUF", 4, "it is a model, no data" },
};

static aerie_status check_stranger(const ae_rows *r, aerie_error *err)
{
    for (size_t i = 0; i < AE_COUNT(strangers); i++)
        if (r->text.len >= strangers[i].len &&
            memcmp(r->text.data, strangers[i].bytes, strangers[i].len) == 0)
            return aerie_fail(err, AERIE_BAD_FILE, "%s: %s", r->name, strangers[i].advice);
    return AERIE_OK;
}

static aerie_status open_parquet(ae_rows *r, aerie_error *err)
{
    r->format = PARQUET;
    if (!r->file.gz)
        return ae_parquet_open_memory(&r->parquet, r->text.data, r->text.len, r->name, err);
    ae_file_reader_close(&r->file);
    ae_bytes_free(&r->part);
    return ae_parquet_open(&r->parquet, r->name, err);
}

/* Told by the first bytes. */
static aerie_status find_format(ae_rows *r, aerie_error *err)
{
    aerie_status status = r->file.gz ? read_more(r, err) : AERIE_OK;
    size_t len = strlen(r->name);
    bool named = len > 8 && strcmp(r->name + len - 8, ".parquet") == 0;
    char c;

    if (status) return status;
    if (named || (r->text.len >= 4 && memcmp(r->text.data, "PAR1", 4) == 0))
        return open_parquet(r, err);
    status = check_stranger(r, err);
    if (status) return status;
    if (r->text.len >= 3 && memcmp(r->text.data, "\xef\xbb\xbf", 3) == 0) drop(r, 3);
    r->format = LINES;
    status = next_char(r, &c, err);
    if (!status && c == '[') {
        r->format = ARRAY;
        drop(r, 1);
    }
    return status;
}

static aerie_status next_of_parquet(ae_rows *r, ae_file_row *out, aerie_error *err)
{
    aerie_status status = ae_parquet_next(r->parquet, &out->json, err);

    out->line = ++r->row;
    out->is_row = true;
    return status;
}

aerie_status ae_rows_next(ae_rows *r, ae_file_row *out, aerie_error *err)
{
    *out = (ae_file_row){ 0 };
    switch (r->format) {
    case LINES:
        return next_line(r, out, err);
    case ARRAY:
        return next_value(r, out, err);
    default:
        return next_of_parquet(r, out, err);
    }
}

static aerie_status hand_over(ae_rows **out, aerie_status status)
{
    if (!status) return status;
    ae_rows_close(*out);
    *out = NULL;
    return status;
}

static aerie_status new_rows(ae_rows **out, const char *name, aerie_error *err)
{
    *out = ae_alloc(1, sizeof **out);
    if (!*out) return aerie_fail(err, AERIE_NO_MEMORY, "%s: no memory to read it", name);
    (*out)->name = name;
    (*out)->line = 1;
    (*out)->text = (ae_span){ "", 0 };
    return AERIE_OK;
}

aerie_status ae_rows_open(ae_rows **out, const char *path, aerie_error *err)
{
    aerie_status status = new_rows(out, path, err);

    if (!status) status = ae_file_reader_open(&(*out)->file, path, err);
    return hand_over(out, status ? status : find_format(*out, err));
}

aerie_status ae_rows_open_text(ae_rows **out, const char *name, ae_span text, aerie_error *err)
{
    aerie_status status = new_rows(out, name, err);

    if (status) return status;
    if (text.len) (*out)->text = text;
    return hand_over(out, find_format(*out, err));
}

void ae_rows_close(ae_rows *r)
{
    if (!r) return;
    ae_parquet_close(r->parquet);
    ae_file_reader_close(&r->file);
    ae_bytes_free(&r->part);
    ae_free(r);
}
