/* safetensors_write.c -- writes one safetensors file: its JSON table, then the data, packed. */
#include "format/stream.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct ae_safetensors_writer {
    ae_stream stream;
    json_t *table, *metadata;
    uint64_t offset; /* of the next tensor's data */
    bool has_begun;  /* the header is written */
};

static void no_memory(ae_safetensors_writer *w)
{
    aerie_fail(&w->stream.err, AERIE_NO_MEMORY, "%s: out of memory for the header", w->stream.path);
}

static void free_writer(ae_safetensors_writer *w)
{
    json_decref(w->table);
    json_decref(w->metadata);
    ae_free(w);
}

aerie_status ae_safetensors_writer_open(ae_safetensors_writer **out, const char *path,
                                        aerie_error *err)
{
    ae_safetensors_writer *w = ae_alloc(1, sizeof *w);
    aerie_status status;

    *out = NULL;
    if (!w) return aerie_fail(err, AERIE_NO_MEMORY, "%s: out of memory while opening", path);
    status = ae_stream_open(&w->stream, path, 1, err);
    if (status) {
        ae_free(w);
        return status;
    }
    w->table = json_object();
    w->metadata = json_object();
    if (!w->table || !w->metadata) no_memory(w);
    *out = w;
    return AERIE_OK;
}

void ae_safetensors_set(ae_safetensors_writer *w, const char *key, const char *value)
{
    if (w->stream.err.status) return;
    if (w->has_begun)
        aerie_fail(&w->stream.err, AERIE_BAD_ARGUMENT,
                   "%s: metadata '%s' is set after data was written", w->stream.path, key);
    else if (json_object_set_new(w->metadata, key, json_string(value)))
        aerie_fail(&w->stream.err, AERIE_BAD_ARGUMENT,
                   "%s: metadata '%s' cannot be written: it is not UTF-8, or there is no room",
                   w->stream.path, key);
}

static json_t *entry_of(ae_dtype dtype, const int64_t *dims, int n_dims, uint64_t begin,
                        uint64_t end)
{
    json_t *entry = json_pack("{s:s, s:[], s:[I, I]}", "dtype", ae_dtype_info_of(dtype)->name,
                              "shape", "data_offsets", (json_int_t)begin, (json_int_t)end);
    json_t *shape = json_object_get(entry, "shape");

    for (int i = 0; i < n_dims; i++) {
        if (json_array_append_new(shape, json_integer(dims[i])) == 0) continue;
        json_decref(entry);
        return NULL;
    }
    return entry;
}

void ae_safetensors_writer_tensor(ae_safetensors_writer *w, const char *name, ae_dtype dtype,
                                  const int64_t *dims, int n_dims)
{
    const ae_tensor_list *announced = &w->stream.announced;
    int64_t rows = 1, cols = n_dims ? dims[n_dims - 1] : 1;
    uint64_t begin = w->offset;

    if (w->stream.err.status) return;
    if (dtype != AE_F32 && dtype != AE_F16 && dtype != AE_BF16) {
        aerie_fail(&w->stream.err, AERIE_UNSUPPORTED,
                   "%s: tensor '%s': safetensors files are written in F32, F16 or BF16",
                   w->stream.path, name);
        return;
    }
    for (int i = 0; i + 1 < n_dims; i++)
        if (__builtin_mul_overflow(rows, dims[i], &rows)) rows = -1;
    ae_stream_announce(&w->stream, name, dtype, rows, cols);
    if (w->stream.err.status) return;
    w->offset += ae_tensor_list_at(announced, ae_tensor_list_len(announced) - 1)->bytes;
    if (json_object_set_new(w->table, name, entry_of(dtype, dims, n_dims, begin, w->offset)))
        aerie_fail(&w->stream.err, AERIE_BAD_ARGUMENT,
                   "%s: tensor '%s' cannot be written: its name is not UTF-8, or there is no room",
                   w->stream.path, name);
}

static json_t *whole_header(ae_safetensors_writer *w)
{
    json_t *header = json_object();

    if (json_object_size(w->metadata) && json_object_set(header, "__metadata__", w->metadata)) {
        json_decref(header);
        return NULL;
    }
    if (header && json_object_update(header, w->table) == 0) return header;
    json_decref(header);
    return NULL;
}

/* The header is padded with blanks so that the data begins at a multiple of 8, as readers like. */
static void begin_data(ae_safetensors_writer *w)
{
    json_t *header;
    char *text;
    uint64_t len, padded;

    if (w->has_begun || w->stream.err.status) return;
    w->has_begun = true;
    header = whole_header(w);
    text = header ? json_dumps(header, JSON_COMPACT) : NULL;
    json_decref(header);
    if (!text) {
        no_memory(w);
        return;
    }
    len = strlen(text);
    padded = (len + 7) / 8 * 8;
    ae_file_writer_add(&w->stream.file, &padded, sizeof padded);
    ae_file_writer_add(&w->stream.file, text, len);
    ae_file_writer_add(&w->stream.file, "       ", padded - len);
    free(text);
}

void ae_safetensors_writer_add(ae_safetensors_writer *w, const void *data, size_t bytes)
{
    begin_data(w);
    ae_stream_add(&w->stream, data, bytes);
}

aerie_status ae_safetensors_writer_commit(ae_safetensors_writer *w, aerie_error *err)
{
    aerie_status status;

    begin_data(w);
    status = ae_stream_commit(&w->stream, err);
    free_writer(w);
    return status;
}

void ae_safetensors_writer_abandon(ae_safetensors_writer *w)
{
    if (!w) return;
    ae_stream_abandon(&w->stream);
    free_writer(w);
}
