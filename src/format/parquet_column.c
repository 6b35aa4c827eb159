/* parquet_column.c -- one column of a row group, value by value: a page in memory at a time. */
#include "format/parquet.h"
#include "format/thrift.h"

#include <string.h>

enum { DATA_PAGE = 0, DICTIONARY_PAGE = 2, DATA_PAGE_V2 = 3 };
enum { MOST_PAGE_BYTES = 1 << 29 };

typedef struct {
    int64_t type, unpacked, packed;
    int64_t n_values, encoding, def_encoding, rep_encoding;
    int64_t def_bytes, rep_bytes; /* of a version 2 page: not packed with the rest */
    bool is_packed;
} page_header;

static aerie_status damaged(const ae_parquet_column *c, const char *what, aerie_error *err)
{
    return aerie_fail(err, AERIE_BAD_FILE, "%s: column '%s': %s; fetch the file again", c->name,
                      c->path, what);
}

static aerie_status unsupported(const ae_parquet_column *c, int64_t encoding, aerie_error *err)
{
    return aerie_fail(
        err, AERIE_UNSUPPORTED,
        "%s: column '%s' has encoding %lld, which this build does not read; write it with "
        "pyarrow's defaults",
        c->name, c->path, (long long)encoding);
}

/* The inner header of any kind of page. A version 2 page has levels' sizes where a version 1 page
 * has their encodings. */
static void read_inner(page_header *h, ae_thrift *t, int page_kind)
{
    ae_thrift_field f = { 0 };
    bool v2 = page_kind == 8;

    while (ae_thrift_next(t, &f)) {
        if (f.id == 1)
            h->n_values = ae_thrift_int(t, &f);
        else if (f.id == (v2 ? 4 : 2))
            h->encoding = ae_thrift_int(t, &f);
        else if (page_kind == 5 && f.id == 3)
            h->def_encoding = ae_thrift_int(t, &f);
        else if (page_kind == 5 && f.id == 4)
            h->rep_encoding = ae_thrift_int(t, &f);
        else if (v2 && f.id == 5)
            h->def_bytes = ae_thrift_int(t, &f);
        else if (v2 && f.id == 6)
            h->rep_bytes = ae_thrift_int(t, &f);
        else if (v2 && f.id == 7)
            h->is_packed = ae_thrift_bool(t, &f);
        else
            ae_thrift_skip(t, &f);
    }
}

static aerie_status read_header(ae_parquet_column *c, page_header *h, aerie_error *err)
{
    ae_thrift t = { .at = c->at, .end = c->end };
    ae_thrift_field f = { 0 };

    *h = (page_header){
        .type = -1, .def_encoding = AE_RLE, .rep_encoding = AE_RLE, .is_packed = true
    };
    while (ae_thrift_next(&t, &f)) {
        if (f.id == 1)
            h->type = ae_thrift_int(&t, &f);
        else if (f.id == 2)
            h->unpacked = ae_thrift_int(&t, &f);
        else if (f.id == 3)
            h->packed = ae_thrift_int(&t, &f);
        else if ((f.id == 5 || f.id == 7 || f.id == 8) && f.type == AE_THRIFT_STRUCT)
            read_inner(h, &t, f.id);
        else
            ae_thrift_skip(&t, &f);
    }
    if (t.bad) return damaged(c, "a page's header is cut off or damaged", err);
    c->at = t.at;
    if (h->packed < 0 || h->packed > c->end - c->at || h->unpacked < 0 ||
        h->unpacked > MOST_PAGE_BYTES || h->n_values < 0 || h->def_bytes < 0 || h->rep_bytes < 0 ||
        h->def_bytes > h->packed || h->rep_bytes > h->packed - h->def_bytes ||
        h->def_bytes + h->rep_bytes > h->unpacked)
        return damaged(c, "a page's sizes make no sense", err);
    return AERIE_OK;
}

/* ---- pages ---- */

static size_t read_u32(const uint8_t *p)
{
    return (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
}

static bool is_dictionary(ae_parquet_encoding e)
{
    return e == AE_PLAIN_DICTIONARY || e == AE_RLE_DICTIONARY;
}

/* A dictionary of texts gets a table of where each begins; numbers are found by their size. */
static aerie_status list_words(ae_parquet_column *c, int64_t n, aerie_error *err)
{
    const uint8_t *at = (const uint8_t *)c->dictionary.data, *end = at + c->dictionary.len;
    size_t count = (size_t)n;

    c->n_words = 0;
    if (count > c->dictionary.len / 4) return damaged(c, "its dictionary is cut off", err);
    if (count > c->cap_words) {
        ae_span *grown = ae_realloc(c->words, c->cap_words, count, sizeof *grown);
        if (!grown)
            return aerie_fail(err, AERIE_NO_MEMORY, "%s: no memory for a dictionary", c->name);
        c->words = grown;
        c->cap_words = count;
    }
    for (; c->n_words < count; c->n_words++) {
        if (end - at < 4) return damaged(c, "its dictionary is cut off", err);
        size_t len = read_u32(at);
        at += 4;
        if (len > (size_t)(end - at)) return damaged(c, "its dictionary is cut off", err);
        c->words[c->n_words] = (ae_span){ (const char *)at, len };
        at += len;
    }
    return AERIE_OK;
}

static size_t width_of(ae_parquet_type type)
{
    return type == AE_PARQUET_INT32 || type == AE_PARQUET_FLOAT    ? 4
           : type == AE_PARQUET_INT64 || type == AE_PARQUET_DOUBLE ? 8
                                                                   : 0;
}

static aerie_status read_dictionary(ae_parquet_column *c, const page_header *h, aerie_error *err)
{
    size_t width = width_of(c->leaf->type);
    aerie_status status;

    if (h->encoding != AE_PLAIN && h->encoding != AE_PLAIN_DICTIONARY)
        return unsupported(c, h->encoding, err);
    status = ae_parquet_unpack(&c->dictionary, c->chunk->codec, c->at, (size_t)h->packed,
                               (size_t)h->unpacked, c->name, err);
    c->at += h->packed;
    if (status) return status;
    if (c->leaf->type == AE_PARQUET_BYTES) return list_words(c, h->n_values, err);
    if (width == 0 || (uint64_t)h->n_values > c->dictionary.len / width)
        return damaged(c, "its dictionary is cut off", err);
    c->n_words = (size_t)h->n_values;
    return AERIE_OK;
}

static int bits_for(int most)
{
    int n = 0;

    for (; most > 0; most >>= 1) n++;
    return n;
}

/* Version 1: a size, then the levels; both are in the packed part. */
static bool take_levels(ae_runs *out, const uint8_t **at, const uint8_t *end, int most)
{
    size_t size;

    *out = (ae_runs){ 0 };
    if (most == 0) return true;
    if (end - *at < 4) return false;
    size = read_u32(*at);
    *at += 4;
    if (size > (size_t)(end - *at)) return false;
    *out = ae_runs_over(*at, size, bits_for(most));
    *at += size;
    return true;
}

static aerie_status unpack_v1(ae_parquet_column *c, const page_header *h, aerie_error *err)
{
    aerie_status status = ae_parquet_unpack(&c->page, c->chunk->codec, c->at, (size_t)h->packed,
                                            (size_t)h->unpacked, c->name, err);
    const uint8_t *at = (const uint8_t *)c->page.data, *end = at + c->page.len;

    if (status) return status;
    if (c->leaf->rep && h->rep_encoding != AE_RLE) return unsupported(c, h->rep_encoding, err);
    if (c->leaf->def && h->def_encoding != AE_RLE) return unsupported(c, h->def_encoding, err);
    if (!take_levels(&c->reps, &at, end, c->leaf->rep) ||
        !take_levels(&c->defs, &at, end, c->leaf->def))
        return damaged(c, "a page's levels are cut off", err);
    c->data = at;
    c->data_end = end;
    return AERIE_OK;
}

/* Version 2: levels first, never packed, sizes in the header. */
static aerie_status unpack_v2(ae_parquet_column *c, const page_header *h, aerie_error *err)
{
    int64_t levels = h->rep_bytes + h->def_bytes;
    aerie_status status = ae_parquet_unpack(&c->page, h->is_packed ? c->chunk->codec : 0,
                                            c->at + levels, (size_t)(h->packed - levels),
                                            (size_t)(h->unpacked - levels), c->name, err);

    if (status) return status;
    c->reps = ae_runs_over(c->at, (size_t)h->rep_bytes, bits_for(c->leaf->rep));
    c->defs = ae_runs_over(c->at + h->rep_bytes, (size_t)h->def_bytes, bits_for(c->leaf->def));
    c->data = (const uint8_t *)c->page.data;
    c->data_end = c->data + c->page.len;
    return AERIE_OK;
}

/* Prepares the decoder of the page's values. */
static aerie_status start_values(ae_parquet_column *c, aerie_error *err)
{
    size_t left = (size_t)(c->data_end - c->data);
    bool bytes = c->leaf->type == AE_PARQUET_BYTES,
         whole = c->leaf->type == AE_PARQUET_INT32 || c->leaf->type == AE_PARQUET_INT64;

    c->bit = 0;
    if (c->encoding == AE_PLAIN) return AERIE_OK;
    if (is_dictionary(c->encoding)) {
        /* A page of nulls alone may have no byte at all. */
        c->indices = left ? ae_runs_over(c->data + 1, left - 1, c->data[0])
                          : (ae_runs){ .bad = true, .width = 1 };
        return AERIE_OK;
    }
    if (c->encoding == AE_RLE && c->leaf->type == AE_PARQUET_BOOL) {
        size_t size = left < 4 ? 0 : read_u32(c->data);
        if (size > left - (left < 4 ? left : 4)) return damaged(c, "a page is cut off", err);
        c->indices = ae_runs_over(c->data + (left < 4 ? 0 : 4), size, 1);
        return AERIE_OK;
    }
    if (c->encoding == AE_DELTA_BINARY_PACKED && whole) {
        c->deltas = ae_deltas_over(c->data, left);
        return AERIE_OK;
    }
    if (c->encoding == AE_DELTA_LENGTH_BYTES && bytes) {
        c->deltas = ae_deltas_over(c->data, left);
        c->data = ae_deltas_end(c->deltas);
        return AERIE_OK;
    }
    if (c->encoding == AE_DELTA_BYTES && bytes) {
        c->prefixes = ae_deltas_over(c->data, left);
        c->data = ae_deltas_end(c->prefixes);
        c->deltas = ae_deltas_over(c->data, (size_t)(c->data_end - c->data));
        c->data = ae_deltas_end(c->deltas);
        ae_bytes_clear(&c->text);
        return AERIE_OK;
    }
    return unsupported(c, c->encoding, err);
}

static aerie_status read_data_page(ae_parquet_column *c, const page_header *h, aerie_error *err)
{
    aerie_status status = h->type == DATA_PAGE_V2 ? unpack_v2(c, h, err) : unpack_v1(c, h, err);

    c->at += h->packed;
    if (status) return status;
    if (h->n_values > c->values_left)
        return damaged(c, "its pages hold more values than its chunk", err);
    c->values_left -= h->n_values;
    c->page_left = h->n_values;
    c->encoding = (ae_parquet_encoding)h->encoding;
    return start_values(c, err);
}

/* Pages of other kinds (an index) are passed over. */
static aerie_status next_page(ae_parquet_column *c, aerie_error *err)
{
    page_header h;
    aerie_status status = read_header(c, &h, err);

    if (status) return status;
    if (h.type == DATA_PAGE || h.type == DATA_PAGE_V2) return read_data_page(c, &h, err);
    if (h.type == DICTIONARY_PAGE) return read_dictionary(c, &h, err);
    c->at += h.packed;
    return AERIE_OK;
}

/* ---- values ---- */

aerie_status ae_parquet_column_start(ae_parquet_column *c, aerie_error *err)
{
    const ae_parquet_chunk *k = c->chunk;

    if (!ae_parquet_codec_name(k->codec))
        return aerie_fail(
            err, AERIE_UNSUPPORTED,
            "%s: it is packed with codec %d of Parquet; this build reads snappy, gzip, zstd "
            "and unpacked files: write it with one of these",
            c->name, k->codec);
    c->at = c->file + (k->dictionary_at ? k->dictionary_at : k->data_at);
    c->end = c->at + k->bytes;
    c->values_left = k->n_values;
    c->page_left = 0;
    c->n_words = 0;
    c->peeked = false;
    return AERIE_OK;
}

aerie_status ae_parquet_column_peek(ae_parquet_column *c, bool *more, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    *more = true;
    if (c->peeked) return AERIE_OK;
    while (c->page_left == 0 && c->values_left > 0 && !status) {
        if (c->at == c->end) return damaged(c, "its chunk holds fewer values than it claims", err);
        status = next_page(c, err);
    }
    if (status) return status;
    *more = c->page_left > 0;
    c->rep = c->def = 0;
    if (!*more) return AERIE_OK;
    if (c->leaf->rep) c->rep = (int)ae_runs_next(&c->reps);
    if (c->leaf->def) c->def = (int)ae_runs_next(&c->defs);
    if (c->reps.bad || c->defs.bad || c->rep > c->leaf->rep || c->def > c->leaf->def)
        return damaged(c, "a page's levels are cut off or make no sense", err);
    c->peeked = true;
    return AERIE_OK;
}

static void set_number(ae_parquet_value *out, const uint8_t *p, ae_parquet_type type,
                       bool is_unsigned)
{
    uint32_t u32;
    float f32;

    switch (type) {
    case AE_PARQUET_INT32:
        u32 = (uint32_t)read_u32(p);
        out->whole = is_unsigned ? (int64_t)u32 : (int32_t)u32;
        return;
    case AE_PARQUET_INT64:
        memcpy(&out->whole, p, 8);
        return;
    case AE_PARQUET_FLOAT:
        memcpy(&f32, p, 4);
        out->real = (double)f32;
        return;
    default:
        memcpy(&out->real, p, 8);
        return;
    }
}

static bool take_plain(ae_parquet_column *c, ae_parquet_value *out)
{
    size_t left = (size_t)(c->data_end - c->data), width = width_of(c->leaf->type);

    if (c->leaf->type == AE_PARQUET_BOOL) {
        if (c->bit / 8 >= left) return false;
        out->whole = c->data[c->bit / 8] >> (c->bit % 8) & 1;
        c->bit++;
        return true;
    }
    if (c->leaf->type == AE_PARQUET_BYTES) {
        width = left < 4 ? 0 : read_u32(c->data);
        if (left < 4 || width > left - 4) return false;
        out->text = (ae_span){ (const char *)c->data + 4, width };
        c->data += 4 + width;
        return true;
    }
    if (left < width || width == 0) return false;
    set_number(out, c->data, c->leaf->type, c->leaf->is_unsigned);
    c->data += width;
    return true;
}

static bool take_word(ae_parquet_column *c, ae_parquet_value *out)
{
    uint32_t i = ae_runs_next(&c->indices);

    if (c->indices.bad || i >= c->n_words) return false;
    if (c->leaf->type == AE_PARQUET_BYTES)
        out->text = c->words[i];
    else
        set_number(out, (const uint8_t *)c->dictionary.data + i * width_of(c->leaf->type),
                   c->leaf->type, c->leaf->is_unsigned);
    return true;
}

/* The next `len` bytes after the lengths. */
static bool take_bytes(ae_parquet_column *c, int64_t len, ae_span *out)
{
    if (c->deltas.bad || len < 0 || len > c->data_end - c->data) return false;
    *out = (ae_span){ (const char *)c->data, (size_t)len };
    c->data += len;
    return true;
}

/* How much of the last text it begins with, and what follows. */
static bool take_suffix(ae_parquet_column *c, ae_parquet_value *out)
{
    int64_t kept = ae_deltas_next(&c->prefixes), len = ae_deltas_next(&c->deltas);
    ae_span suffix;

    if (c->prefixes.bad || kept < 0 || (size_t)kept > c->text.len || !take_bytes(c, len, &suffix))
        return false;
    c->text.len = (size_t)kept;
    ae_bytes_add(&c->text, suffix.data, suffix.len);
    out->text = (ae_span){ c->text.data ? c->text.data : "", c->text.len };
    return !c->text.failed;
}

static bool take_value(ae_parquet_column *c, ae_parquet_value *out)
{
    if (is_dictionary(c->encoding)) return take_word(c, out);
    switch (c->encoding) {
    case AE_PLAIN:
        return take_plain(c, out);
    case AE_RLE:
        out->whole = ae_runs_next(&c->indices);
        return !c->indices.bad;
    case AE_DELTA_BINARY_PACKED:
        out->whole = ae_deltas_next(&c->deltas);
        if (c->leaf->type == AE_PARQUET_INT32)
            out->whole = c->leaf->is_unsigned ? (int64_t)(uint32_t)out->whole : (int32_t)out->whole;
        return !c->deltas.bad;
    case AE_DELTA_LENGTH_BYTES:
        return take_bytes(c, ae_deltas_next(&c->deltas), &out->text);
    default:
        return take_suffix(c, out);
    }
}

aerie_status ae_parquet_column_take(ae_parquet_column *c, ae_parquet_value *out, bool *there,
                                    aerie_error *err)
{
    *out = (ae_parquet_value){ .text = { "", 0 } };
    c->peeked = false;
    c->page_left--;
    *there = c->def == c->leaf->def;
    if (!*there || take_value(c, out)) return AERIE_OK;
    if (c->text.failed) return ae_bytes_status(&c->text, err);
    return damaged(c, "a page is cut off or damaged", err);
}

void ae_parquet_column_free(ae_parquet_column *c)
{
    ae_bytes_free(&c->page);
    ae_bytes_free(&c->dictionary);
    ae_bytes_free(&c->text);
    ae_free(c->words);
    *c = (ae_parquet_column){ 0 };
}
