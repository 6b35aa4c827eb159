/* dataset.c -- files of records: read, told apart, put into the neutral form. */
#include "data/record.h"

#include <string.h>

struct ae_dataset {
    ae_record *records;
    size_t n, cap, n_left_out;
    const ae_shape *shape; /* of the first file of records */
    char **files;          /* copies of the paths, for messages */
    size_t n_files;
};

typedef struct {
    ae_dataset *d;
    const ae_dataset_options *options;
    const ae_shape *shape; /* of this file */
    ae_row_source src;
    size_t rows;
} reading;

void ae_record_free(ae_record *r)
{
    json_decref(r->row);
    json_decref(r->messages);
    json_decref(r->chosen);
    json_decref(r->rejected);
    json_decref(r->ranked);
    json_decref(r->replies);
    json_decref(r->ranks);
    json_decref(r->tools);
    ae_bytes_free(&r->document);
    *r = (ae_record){ 0 };
}

static ae_record *add_record(ae_dataset *d, aerie_error *err)
{
    if (d->n == d->cap) {
        size_t cap = d->cap ? d->cap * 2 : 256;
        ae_record *grown = ae_realloc(d->records, d->cap, cap, sizeof *grown);
        if (!grown) {
            aerie_fail(err, AERIE_NO_MEMORY, "no room for %zu records", cap);
            return NULL;
        }
        d->records = grown;
        d->cap = cap;
    }
    return &d->records[d->n];
}

/* Asked for conversations, a pair gives the one with the chosen reply. */
static aerie_status join_chosen(ae_record *r, aerie_error *err)
{
    if (json_array_extend(r->messages, r->chosen))
        return aerie_fail(err, AERIE_NO_MEMORY, "no room for a conversation");
    json_decref(r->chosen);
    json_decref(r->rejected);
    r->chosen = r->rejected = NULL;
    r->kind = AE_EXAMPLE_CHAT;
    return AERIE_OK;
}

/* Asked for rankings, a pair gives one of two; the row may say by how much. */
static aerie_status rank_pair(ae_record *r, const ae_row_source *src, aerie_error *err)
{
    json_t *margin = ae_row_get(src, "margin");
    if (margin && !json_is_number(margin))
        return ae_row_fail(src, err, "'%s' is no number", ae_row_column(src, "margin"));
    r->margin = json_number_value(margin);
    r->kind = AE_EXAMPLE_RANKED;
    r->replies = json_pack("[O,O]", r->chosen, r->rejected);
    r->ranks = json_pack("[i,i]", 1, 2);
    if (r->replies && r->ranks) return AERIE_OK;
    return aerie_fail(err, AERIE_NO_MEMORY, "no room for ranked answers");
}

/* Record `nth` of the row. */
static aerie_status read_record(reading *in, size_t nth, bool *more, aerie_error *err)
{
    ae_record *r = add_record(in->d, err);
    if (!r) return AERIE_NO_MEMORY;
    *r = (ae_record){ .kind = in->shape->kind,
                      .file = in->src.file,
                      .line = in->src.line,
                      .is_row = in->src.is_row };
    in->d->n++; /* now it is freed with the rest, whatever happens */
    in->src.nth = nth;
    aerie_status status = in->shape->read(r, &in->src, err);
    *more = r->more;
    if (!status && r->left_out) {
        ae_record_free(r);
        in->d->n--;
        in->d->n_left_out++;
        return AERIE_OK;
    }
    if (!status && r->kind == AE_EXAMPLE_PAIR && in->options->kind == AE_EXAMPLE_CHAT)
        status = join_chosen(r, err);
    if (!status && r->kind == AE_EXAMPLE_PAIR && in->options->kind == AE_EXAMPLE_RANKED)
        status = rank_pair(r, &in->src, err);
    if (!status && r->kind == AE_EXAMPLE_TEXT) r->row = json_incref(in->src.row);
    return status;
}

static aerie_status read_row(reading *in, json_t *row, size_t line, aerie_error *err)
{
    bool more = true;

    in->src.row = row;
    in->src.line = line;
    if (!json_is_object(row))
        return ae_row_fail(&in->src, err, "a record must be an object, {\"column\": ...}");
    if (!in->shape) in->shape = ae_shape_detect(&in->src, err);
    if (!in->shape) return AERIE_BAD_FILE;
    if (!in->d->shape) in->d->shape = in->shape;
    aerie_status status = AERIE_OK;
    for (size_t nth = 0; more && !status; nth++) status = read_record(in, nth, &more, err);
    in->rows++;
    return status;
}

static bool has_enough(const reading *in)
{
    return in->options->max_rows && in->rows >= in->options->max_rows;
}

static bool is_blank(ae_span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!strchr(" \t\r", text.data[i])) return false;
    return true;
}

static aerie_status read_lines(reading *in, ae_span text, aerie_error *err)
{
    aerie_status status = AERIE_OK;
    size_t line = 1;
    for (size_t at = 0; at < text.len && !status && !has_enough(in); line++) {
        const char *end = memchr(text.data + at, '\n', text.len - at);
        size_t len = end ? (size_t)(end - text.data) - at : text.len - at;
        ae_span one = { text.data + at, len };
        at += len + 1;
        if (is_blank(one)) continue;
        json_error_t where;
        json_t *row = json_loadb(one.data, one.len, JSON_ALLOW_NUL, &where);
        in->src.line = line;
        status = row ? read_row(in, row, line, err)
                     : ae_row_fail(&in->src, err,
                                   "no JSON (%s, column %d); mend or remove this line, or the file "
                                   "is cut off",
                                   where.text, where.column);
        json_decref(row);
    }
    return status;
}

static aerie_status read_array(reading *in, ae_span text, aerie_error *err)
{
    json_error_t where;
    aerie_status status = AERIE_OK;
    json_t *rows = json_loadb(text.data, text.len, JSON_ALLOW_NUL, &where);
    if (!rows)
        return aerie_fail(err, AERIE_BAD_FILE,
                          "%s:%d: no JSON (%s); mend it, or the file is cut off", in->src.file,
                          where.line, where.text);
    in->src.is_row = true;
    for (size_t i = 0; i < json_array_size(rows) && !status && !has_enough(in); i++)
        status = read_row(in, json_array_get(rows, i), i + 1, err);
    json_decref(rows);
    return status;
}

static aerie_status add_document(reading *in, ae_bytes *text, aerie_error *err)
{
    if (in->options->kind != 0 && in->options->kind != AE_EXAMPLE_TEXT)
        return aerie_fail(
            err, AERIE_BAD_FILE,
            "%s: a text file has no conversations; use it with 'method: pretrain', or "
            "give records (.jsonl, .json)",
            in->src.file);
    ae_record *r = add_record(in->d, err);
    if (!r) return AERIE_NO_MEMORY;
    *r = (ae_record){ .kind = AE_EXAMPLE_TEXT, .document = *text, .file = in->src.file, .line = 1 };
    r->text = ae_span_of(&r->document);
    *text = (ae_bytes){ 0 };
    in->d->n++;
    in->rows++;
    if (!in->d->shape) in->d->shape = &ae_text_shapes[0];
    return AERIE_OK;
}

static bool ends_with(const char *path, const char *end)
{
    size_t n = strlen(path), k = strlen(end);
    return n >= k && strcmp(path + n - k, end) == 0;
}

/* Takes `text` when it becomes a document. */
static aerie_status read_text(reading *in, ae_bytes *text, aerie_error *err)
{
    const char *name = in->src.file;
    ae_span all = ae_span_of(text);
    size_t start = 0;
    if (ends_with(name, ".txt") || ends_with(name, ".txt.gz")) return add_document(in, text, err);
    if (all.len >= 3 && memcmp(all.data, "\xef\xbb\xbf", 3) == 0) all.data += 3, all.len -= 3;
    while (start < all.len && strchr(" \t\r\n", all.data[start])) start++;
    bool array = start < all.len && all.data[start] == '[';
    aerie_status status = array ? read_array(in, all, err) : read_lines(in, all, err);
    if (!status && in->rows == 0)
        status = aerie_fail(err, AERIE_BAD_FILE, "%s: it holds no records", name);
    return status;
}

static aerie_status new_dataset(ae_dataset **out, size_t n_files, aerie_error *err)
{
    ae_dataset *d = ae_alloc(1, sizeof *d);
    *out = d;
    if (d) d->files = ae_alloc(n_files, sizeof *d->files);
    if (d && d->files) return AERIE_OK;
    return aerie_fail(err, AERIE_NO_MEMORY, "no room for a dataset");
}

/* Reads `text` under a name, or the file of that name where there is no text. */
static aerie_status add_file(ae_dataset *d, const char *name, const ae_span *text,
                             const ae_dataset_options *options, aerie_error *err)
{
    static const ae_dataset_options defaults = { 0 };
    ae_bytes content = { 0 };
    reading in = { .d = d, .options = options ? options : &defaults };
    aerie_status status;
    in.src.options = in.options;
    in.src.file = d->files[d->n_files] = ae_strdup(name);
    if (!in.src.file) return aerie_fail(err, AERIE_NO_MEMORY, "no room for a path");
    d->n_files++;
    if (text) {
        ae_bytes_add(&content, text->data, text->len);
        status = ae_bytes_status(&content, err);
    } else {
        status = ae_file_read(&content, name, 0, err);
    }
    if (!status) status = read_text(&in, &content, err);
    ae_bytes_free(&content);
    return status;
}

static aerie_status hand_over(ae_dataset **out, aerie_status status)
{
    if (!status) return status;
    ae_dataset_close(*out);
    *out = NULL;
    return status;
}

aerie_status ae_dataset_open(ae_dataset **out, const char *const *paths, size_t n_paths,
                             const ae_dataset_options *options, aerie_error *err)
{
    aerie_status status = new_dataset(out, n_paths, err);
    for (size_t i = 0; i < n_paths && !status; i++)
        status = add_file(*out, paths[i], NULL, options, err);
    return hand_over(out, status);
}

aerie_status ae_dataset_open_text(ae_dataset **out, const char *name, ae_span text,
                                  const ae_dataset_options *options, aerie_error *err)
{
    aerie_status status = new_dataset(out, 1, err);
    if (!status) status = add_file(*out, name, &text, options, err);
    return hand_over(out, status);
}

void ae_dataset_close(ae_dataset *d)
{
    if (!d) return;
    for (size_t i = 0; i < d->n; i++) ae_record_free(&d->records[i]);
    for (size_t i = 0; i < d->n_files; i++) ae_free(d->files[i]);
    ae_free(d->files);
    ae_free(d->records);
    ae_free(d);
}

size_t ae_dataset_len(const ae_dataset *d)
{
    return d->n;
}

ae_example ae_dataset_at(const ae_dataset *d, size_t i)
{
    const ae_record *r = &d->records[i];
    return (ae_example){ .kind = r->kind,
                         .text = r->text,
                         .messages = r->messages,
                         .chosen = r->chosen,
                         .rejected = r->rejected,
                         .undesirable = r->undesirable,
                         .ranked = r->ranked,
                         .replies = r->replies,
                         .ranks = r->ranks,
                         .margin = r->margin,
                         .tools = r->tools,
                         .file = r->file,
                         .line = r->line,
                         .is_row = r->is_row };
}

size_t ae_dataset_left_out(const ae_dataset *d)
{
    return d->n_left_out;
}

const char *ae_dataset_shape(const ae_dataset *d)
{
    return d->shape ? d->shape->name : "none";
}
