/* gguf_write.c -- writes GGUF version 3: metadata, the table of tensors, their data. */
#include "format/gguf.h"
#include "format/stream.h"

#include <string.h>

enum { ALIGNMENT = 32, VERSION = 3 };

struct ae_gguf_writer {
    ae_stream stream;
    ae_bytes metadata;
    ae_names keys;
    bool has_begun; /* the header is written */
};

aerie_status ae_gguf_writer_open(ae_gguf_writer **out, const char *path, aerie_error *err)
{
    ae_gguf_writer *w = ae_alloc(1, sizeof *w);
    aerie_status status;

    *out = NULL;
    if (!w) return aerie_fail(err, AERIE_NO_MEMORY, "%s: out of memory while opening", path);
    status = ae_stream_open(&w->stream, path, ALIGNMENT, err);
    if (status)
        ae_free(w);
    else
        *out = w;
    return status;
}

static void put_u32(ae_bytes *out, uint32_t value)
{
    ae_bytes_add(out, &value, sizeof value);
}

static void put_u64(ae_bytes *out, uint64_t value)
{
    ae_bytes_add(out, &value, sizeof value);
}

static void put_text(ae_bytes *out, ae_span text)
{
    put_u64(out, text.len);
    ae_bytes_add(out, text.data, text.len);
}

/* A key and the number of its type; false when the value must not follow. */
static bool put_key(ae_gguf_writer *w, const char *key, ae_gguf_type type)
{
    aerie_error *err = &w->stream.err;
    const char *name;
    aerie_status status;

    if (err->status) return false;
    name = ae_arena_strndup(&w->stream.arena, key, strlen(key));
    status = name ? ae_names_add(&w->keys, name) : AERIE_NO_MEMORY;
    if (status == AERIE_NO_MEMORY)
        aerie_fail(err, status, "%s: out of memory for metadata", w->stream.path);
    else if (status || w->has_begun)
        aerie_fail(err, AERIE_BAD_ARGUMENT, "%s: metadata '%s' is set %s", w->stream.path, key,
                   status ? "twice" : "after data was written");
    if (err->status) return false;
    put_text(&w->metadata, ae_span_text(key));
    put_u32(&w->metadata, (uint32_t)type);
    return true;
}

static void put_plain(ae_gguf_writer *w, const char *key, ae_gguf_type type, const void *value)
{
    if (put_key(w, key, type)) ae_bytes_add(&w->metadata, value, ae_gguf_type_bytes(type));
}

static bool put_array(ae_gguf_writer *w, const char *key, ae_gguf_type type, size_t n)
{
    if (!put_key(w, key, AE_GGUF_ARRAY)) return false;
    put_u32(&w->metadata, (uint32_t)type);
    put_u64(&w->metadata, n);
    return true;
}

void ae_gguf_set_u32(ae_gguf_writer *w, const char *key, uint32_t value)
{
    put_plain(w, key, AE_GGUF_U32, &value);
}

void ae_gguf_set_i32(ae_gguf_writer *w, const char *key, int32_t value)
{
    put_plain(w, key, AE_GGUF_I32, &value);
}

void ae_gguf_set_u64(ae_gguf_writer *w, const char *key, uint64_t value)
{
    put_plain(w, key, AE_GGUF_U64, &value);
}

void ae_gguf_set_f32(ae_gguf_writer *w, const char *key, float value)
{
    put_plain(w, key, AE_GGUF_F32, &value);
}

void ae_gguf_set_bool(ae_gguf_writer *w, const char *key, bool value)
{
    uint8_t byte = value;

    put_plain(w, key, AE_GGUF_BOOL, &byte);
}

void ae_gguf_set_text(ae_gguf_writer *w, const char *key, const char *value)
{
    ae_gguf_set_span(w, key, ae_span_text(value));
}

void ae_gguf_set_span(ae_gguf_writer *w, const char *key, ae_span value)
{
    if (put_key(w, key, AE_GGUF_TEXT)) put_text(&w->metadata, value);
}

void ae_gguf_set_texts(ae_gguf_writer *w, const char *key, const ae_span *values, size_t n)
{
    if (!put_array(w, key, AE_GGUF_TEXT, n)) return;
    for (size_t i = 0; i < n; i++) put_text(&w->metadata, values[i]);
}

void ae_gguf_set_f32s(ae_gguf_writer *w, const char *key, const float *values, size_t n)
{
    if (put_array(w, key, AE_GGUF_F32, n)) ae_bytes_add(&w->metadata, values, n * sizeof *values);
}

void ae_gguf_set_i32s(ae_gguf_writer *w, const char *key, const int32_t *values, size_t n)
{
    if (put_array(w, key, AE_GGUF_I32, n)) ae_bytes_add(&w->metadata, values, n * sizeof *values);
}

void ae_gguf_set_copy(ae_gguf_writer *w, const ae_gguf *from, size_t i)
{
    const ae_gguf_value *value = &from->values[i];

    /* How the data is aligned is this writer's affair. */
    if (strcmp(value->key, "general.alignment") == 0) return;
    if (put_key(w, value->key, value->type))
        ae_bytes_add(&w->metadata, value->raw, value->raw_bytes);
}

void ae_gguf_writer_tensor(ae_gguf_writer *w, const char *name, ae_dtype dtype, int64_t rows,
                           int64_t cols)
{
    const int64_t dims[] = { rows, cols };

    ae_gguf_writer_tensor_dims(w, name, dtype, rows == 1 ? dims + 1 : dims, rows == 1 ? 1 : 2);
}

void ae_gguf_writer_tensor_dims(ae_gguf_writer *w, const char *name, ae_dtype dtype,
                                const int64_t *dims, int n_dims)
{
    ae_tensor_list *announced = &w->stream.announced;
    ae_stored_tensor *t;
    int64_t rows = 1, cols = n_dims ? dims[n_dims - 1] : 1;

    for (int i = 0; i + 1 < n_dims; i++)
        if (__builtin_mul_overflow(rows, dims[i], &rows)) rows = -1;
    ae_stream_announce(&w->stream, name, dtype, rows, cols);
    if (w->stream.err.status) return;
    t = &announced->items[ae_tensor_list_len(announced) - 1];
    t->n_dims = n_dims;
    memcpy(t->dims, dims, (size_t)n_dims * sizeof *dims);
}

static void put_infos(ae_bytes *out, const ae_tensor_list *tensors)
{
    uint64_t offset = 0;

    for (size_t i = 0; i < ae_tensor_list_len(tensors); i++) {
        const ae_stored_tensor *t = ae_tensor_list_at(tensors, i);
        put_text(out, ae_span_text(t->name));
        put_u32(out, (uint32_t)t->n_dims);
        for (int d = t->n_dims; d > 0; d--) put_u64(out, (uint64_t)t->dims[d - 1]);
        put_u32(out, (uint32_t)t->dtype);
        put_u64(out, offset);
        offset += (t->bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
}

/* All that comes before the data. */
static void begin(ae_gguf_writer *w)
{
    ae_bytes header = { 0 }, infos = { 0 };
    ae_file_writer *file = &w->stream.file;

    if (w->has_begun) return;
    w->has_begun = true;
    ae_bytes_add_text(&header, "GGUF");
    put_u32(&header, VERSION);
    put_u64(&header, ae_tensor_list_len(&w->stream.announced));
    put_u64(&header, w->keys.n);
    put_infos(&infos, &w->stream.announced);
    if (header.failed || infos.failed || w->metadata.failed) {
        aerie_fail(&w->stream.err, AERIE_NO_MEMORY, "%s: out of memory for metadata",
                   w->stream.path);
    } else {
        ae_file_writer_add(file, header.data, header.len);
        ae_file_writer_add(file, w->metadata.data, w->metadata.len);
        ae_file_writer_add(file, infos.data, infos.len);
        ae_file_writer_pad(file, ALIGNMENT);
    }
    ae_bytes_free(&header);
    ae_bytes_free(&infos);
}

void ae_gguf_writer_add(ae_gguf_writer *w, const void *data, size_t bytes)
{
    begin(w);
    ae_stream_add(&w->stream, data, bytes);
}

static void free_writer(ae_gguf_writer *w)
{
    ae_names_free(&w->keys);
    ae_bytes_free(&w->metadata);
    ae_free(w);
}

aerie_status ae_gguf_writer_commit(ae_gguf_writer *w, aerie_error *err)
{
    aerie_status status;

    begin(w);
    status = ae_stream_commit(&w->stream, err);
    free_writer(w);
    return status;
}

void ae_gguf_writer_abandon(ae_gguf_writer *w)
{
    if (!w) return;
    ae_stream_abandon(&w->stream);
    free_writer(w);
}
