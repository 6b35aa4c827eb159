/* dataset.c -- files of records: read, told apart, put into the neutral form. */
#include "data/record.h"
#include "data/rows.h"

#include <math.h>
#include <string.h>

struct ae_dataset {
    ae_record *records; /* those that are held now */
    size_t n, cap, n_left_out;
    const ae_shape *shape; /* of the first file of records */
    ae_dataset_options options;
    ae_arena names; /* of the files; good for messages as long as the dataset */
    const char **files;
    size_t n_files;
    ae_span text; /* instead of a file's */
    bool has_text;
    /* The file that is being read: files[at]. */
    size_t at;
    ae_rows *rows;
    ae_row_source src;
    const ae_shape *file_shape;
    size_t n_rows;
};

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
    json_decref(r->condition);
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
    r->margin = margin ? json_number_value(margin) : 0;
    if (!margin && src->options->score_margins && !isnan(r->gap)) r->margin = r->gap;
    r->kind = AE_EXAMPLE_RANKED;
    r->replies = json_pack("[O,O]", r->chosen, r->rejected);
    r->ranks = json_pack("[i,i]", 1, 2);
    if (r->replies && r->ranks) return AERIE_OK;
    return aerie_fail(err, AERIE_NO_MEMORY, "no room for ranked answers");
}

/* Record `nth` of the row. */
static aerie_status read_record(ae_dataset *d, size_t nth, bool *more, aerie_error *err)
{
    ae_record *r = add_record(d, err);
    if (!r) return AERIE_NO_MEMORY;
    *r = (ae_record){ .kind = d->file_shape->kind,
                      .gap = NAN,
                      .file = d->src.file,
                      .line = d->src.line,
                      .is_row = d->src.is_row };
    d->n++; /* now it is freed with the rest, whatever happens */
    d->src.nth = nth;
    r->condition = json_incref(ae_row_get(&d->src, "condition"));
    aerie_status status = d->file_shape->read(r, &d->src, err);
    *more = r->more;
    if (!status && r->left_out) {
        ae_record_free(r);
        d->n--;
        d->n_left_out++;
        return AERIE_OK;
    }
    if (!status && r->kind == AE_EXAMPLE_PAIR && d->options.kind == AE_EXAMPLE_CHAT)
        status = join_chosen(r, err);
    if (!status && r->kind == AE_EXAMPLE_PAIR && d->options.kind == AE_EXAMPLE_RANKED)
        status = rank_pair(r, &d->src, err);
    if (!status && (r->kind == AE_EXAMPLE_TEXT || r->kind == AE_EXAMPLE_PROMPT))
        r->row = json_incref(d->src.row);
    return status;
}

/* A row that fails leaves no record. */
static aerie_status read_row(ae_dataset *d, const ae_file_row *row, aerie_error *err)
{
    size_t before = d->n;
    bool more = true;

    d->src.row = row->json;
    d->src.line = row->line;
    d->src.is_row = row->is_row;
    if (!json_is_object(row->json))
        return ae_row_fail(&d->src, err, "a record must be an object, {\"column\": ...}");
    if (!d->file_shape) d->file_shape = ae_shape_detect(&d->src, err);
    if (!d->file_shape) return AERIE_BAD_FILE;
    if (!d->shape) d->shape = d->file_shape;
    aerie_status status = AERIE_OK;
    for (size_t nth = 0; more && !status; nth++) status = read_record(d, nth, &more, err);
    while (status && d->n > before) ae_record_free(&d->records[--d->n]);
    d->n_rows++;
    return status;
}

/* ---- files ---- */

/* Takes the text. */
static aerie_status add_document(ae_dataset *d, ae_bytes *text, aerie_error *err)
{
    if (d->options.kind != 0 && d->options.kind != AE_EXAMPLE_TEXT)
        return aerie_fail(
            err, AERIE_BAD_FILE,
            "%s: a text file has no conversations; use it with 'method: pretrain', or "
            "give records (.jsonl, .json, .parquet)",
            d->src.file);
    ae_record *r = add_record(d, err);
    if (!r) return AERIE_NO_MEMORY;
    *r = (ae_record){
        .kind = AE_EXAMPLE_TEXT, .document = *text, .gap = NAN, .file = d->src.file, .line = 1
    };
    r->text = ae_span_of(&r->document);
    *text = (ae_bytes){ 0 };
    d->n++;
    d->n_rows++;
    if (!d->shape) d->shape = &ae_text_shapes[0];
    return AERIE_OK;
}

static aerie_status read_document(ae_dataset *d, aerie_error *err)
{
    ae_bytes content = { 0 };
    aerie_status status;

    if (d->has_text) {
        ae_bytes_add(&content, d->text.data, d->text.len);
        status = ae_bytes_status(&content, err);
    } else {
        status = ae_file_read(&content, d->src.file, 0, err);
    }
    if (!status) status = add_document(d, &content, err);
    ae_bytes_free(&content);
    return status;
}

static bool ends_with(const char *path, const char *end)
{
    size_t n = strlen(path), k = strlen(end);
    return n >= k && strcmp(path + n - k, end) == 0;
}

/* The file's first rows, or all of a document. */
static aerie_status start_file(ae_dataset *d, aerie_error *err)
{
    const char *name = d->files[d->at];

    d->src = (ae_row_source){ .file = name, .options = &d->options };
    d->file_shape = NULL;
    d->n_rows = 0;
    if (ends_with(name, ".txt") || ends_with(name, ".txt.gz")) return read_document(d, err);
    return d->has_text ? ae_rows_open_text(&d->rows, name, d->text, err)
                       : ae_rows_open(&d->rows, name, err);
}

static aerie_status end_file(ae_dataset *d, aerie_error *err)
{
    ae_rows_close(d->rows);
    d->rows = NULL;
    d->at++;
    if (d->n_rows > 0) return AERIE_OK;
    return aerie_fail(err, AERIE_BAD_FILE, "%s: it holds no records", d->src.file);
}

static aerie_status read_on(ae_dataset *d, aerie_error *err)
{
    bool enough = d->options.max_rows && d->n_rows >= d->options.max_rows;
    ae_file_row row = { 0 };
    aerie_status status = enough ? AERIE_OK : ae_rows_next(d->rows, &row, err);

    if (status) return status;
    if (!row.json) return end_file(d, err);
    status = read_row(d, &row, err);
    json_decref(row.json);
    return status;
}

aerie_status ae_dataset_more(ae_dataset *d, size_t n, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    for (size_t i = 0; i < d->n; i++) ae_record_free(&d->records[i]);
    d->n = 0;
    while (!status && d->n < n && d->at < d->n_files) {
        if (d->rows) {
            status = read_on(d, err);
            continue;
        }
        status = start_file(d, err);
        if (!status && !d->rows) status = end_file(d, err); /* a document is read at once */
    }
    return status;
}

bool ae_dataset_ended(const ae_dataset *d)
{
    return d->at == d->n_files;
}

static aerie_status hand_over(ae_dataset **out, aerie_status status)
{
    if (!status) return status;
    ae_dataset_close(*out);
    *out = NULL;
    return status;
}

static aerie_status new_dataset(ae_dataset **out, const ae_dataset_options *options,
                                aerie_error *err)
{
    *out = ae_alloc(1, sizeof **out);
    if (!*out) return aerie_fail(err, AERIE_NO_MEMORY, "no room for a dataset");
    if (options) (*out)->options = *options;
    return AERIE_OK;
}

/* Adds the files that a path stands for. */
static aerie_status add_files(ae_dataset *d, const char *path, aerie_error *err)
{
    const char **more, **all;
    size_t n;
    aerie_status status = ae_files_of(&more, &n, path, &d->names, err);

    if (status) return status;
    all = ae_arena_take(&d->names, d->n_files + n, sizeof *all);
    if (!all) return aerie_fail(err, AERIE_NO_MEMORY, "no room for the names of %zu files", n);
    if (d->n_files) memcpy(all, d->files, d->n_files * sizeof *all);
    memcpy(all + d->n_files, more, n * sizeof *all);
    d->files = all;
    d->n_files += n;
    return AERIE_OK;
}

aerie_status ae_dataset_start(ae_dataset **out, const char *const *paths, size_t n_paths,
                              const ae_dataset_options *options, aerie_error *err)
{
    aerie_status status = new_dataset(out, options, err);

    for (size_t i = 0; i < n_paths && !status; i++) status = add_files(*out, paths[i], err);
    return hand_over(out, status);
}

aerie_status ae_dataset_open(ae_dataset **out, const char *const *paths, size_t n_paths,
                             const ae_dataset_options *options, aerie_error *err)
{
    aerie_status status = ae_dataset_start(out, paths, n_paths, options, err);

    return status ? status : hand_over(out, ae_dataset_more(*out, SIZE_MAX, err));
}

aerie_status ae_dataset_open_text(ae_dataset **out, const char *name, ae_span text,
                                  const ae_dataset_options *options, aerie_error *err)
{
    aerie_status status = new_dataset(out, options, err);

    if (status) return status;
    (*out)->text = text;
    (*out)->has_text = true;
    (*out)->files = ae_arena_take(&(*out)->names, 1, sizeof *(*out)->files);
    if ((*out)->files) (*out)->files[0] = ae_arena_strndup(&(*out)->names, name, strlen(name));
    (*out)->n_files = 1;
    if (!(*out)->files || !(*out)->files[0])
        return hand_over(out, aerie_fail(err, AERIE_NO_MEMORY, "no room for a path"));
    return hand_over(out, ae_dataset_more(*out, SIZE_MAX, err));
}

void ae_dataset_close(ae_dataset *d)
{
    if (!d) return;
    for (size_t i = 0; i < d->n; i++) ae_record_free(&d->records[i]);
    ae_rows_close(d->rows);
    ae_arena_free(&d->names);
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
                         .gap = r->gap,
                         .tools = r->tools,
                         .row = r->row,
                         .condition = json_string_value(r->condition),
                         .file = r->file,
                         .line = r->line,
                         .is_row = r->is_row };
}

const char *ae_dataset_file(const ae_dataset *d)
{
    return d->n_files ? d->files[0] : "data";
}

aerie_status ae_dataset_none_left(const ae_dataset *d, size_t n_records, aerie_error *err)
{
    if (d->options.kind == AE_EXAMPLE_PROMPT)
        return aerie_fail(err, AERIE_BAD_FILE,
                          "%s: no prompt is left: all %zu are empty or longer than "
                          "'max_prompt_length'",
                          ae_dataset_file(d), n_records);
    if (n_records == 0)
        return aerie_fail(err, AERIE_BAD_FILE,
                          "%s: nothing is left to train on: in no row is an answer better than "
                          "another (or enough better, where 'min_margin' asks for it)",
                          ae_dataset_file(d));
    return aerie_fail(err, AERIE_BAD_FILE,
                      "%s: nothing is left to train on: all %zu records are empty or lose their "
                      "reply to max_length",
                      ae_dataset_file(d), n_records);
}

size_t ae_dataset_left_out(const ae_dataset *d)
{
    return d->n_left_out;
}

const char *ae_dataset_shape(const ae_dataset *d)
{
    return d->shape ? d->shape->name : "none";
}
