/* stream.c -- fills announced tensors in order and refuses to write anything else. */
#include "format/stream.h"

#include <string.h>

aerie_status ae_stream_open(ae_stream *s, const char *path, size_t alignment, aerie_error *err)
{
    aerie_status status;

    *s = (ae_stream){ .alignment = alignment };
    s->path = ae_strdup(path);
    if (!s->path) return aerie_fail(err, AERIE_NO_MEMORY, "%s: out of memory while opening", path);
    status = ae_file_writer_open(&s->file, path, err);
    if (status) ae_stream_abandon(s);
    return status;
}

void ae_stream_announce(ae_stream *s, const char *name, ae_dtype dtype, int64_t rows, int64_t cols)
{
    ae_stored_tensor t = { .dtype = dtype, .rows = rows, .cols = cols };

    if (s->err.status) return;
    if (s->current || s->filled) {
        aerie_fail(&s->err, AERIE_BAD_ARGUMENT,
                   "%s: tensor '%s' is announced after data was written", s->path, name);
        return;
    }
    if (!ae_dtype_bytes(&t.bytes, dtype, rows, cols) || !t.bytes) {
        aerie_fail(
            &s->err, AERIE_BAD_SHAPE,
            "%s: tensor '%s' [%lld, %lld] is empty, too large, or its rows are no whole blocks of "
            "its type",
            s->path, name, (long long)rows, (long long)cols);
        return;
    }
    t.name = ae_arena_strndup(&s->arena, name, strlen(name));
    if (!t.name) {
        aerie_fail(&s->err, AERIE_NO_MEMORY, "%s: out of memory for names", s->path);
        return;
    }
    t.type_name = ae_dtype_info_of(dtype)->name;
    ae_tensor_list_add(&s->announced, &t, s->path, &s->err);
}

void ae_stream_add(ae_stream *s, const void *data, size_t bytes)
{
    const ae_stored_tensor *t;

    if (s->err.status || !bytes) return;
    if (s->current == ae_tensor_list_len(&s->announced)) {
        aerie_fail(&s->err, AERIE_BAD_ARGUMENT, "%s: %zu bytes of data belong to no tensor",
                   s->path, bytes);
        return;
    }
    t = ae_tensor_list_at(&s->announced, s->current);
    if (bytes > t->bytes - s->filled) {
        aerie_fail(&s->err, AERIE_BAD_ARGUMENT,
                   "%s: tensor '%s' has %zu bytes, %zu + %zu are given", s->path, t->name, t->bytes,
                   s->filled, bytes);
        return;
    }
    ae_file_writer_add(&s->file, data, bytes);
    s->filled += bytes;
    if (s->filled < t->bytes) return;
    ae_file_writer_pad(&s->file, s->alignment);
    s->filled = 0;
    s->current++;
}

static void free_all(ae_stream *s)
{
    ae_tensor_list_free(&s->announced);
    ae_arena_free(&s->arena);
    ae_free(s->path);
    *s = (ae_stream){ 0 };
}

aerie_status ae_stream_commit(ae_stream *s, aerie_error *err)
{
    aerie_status status;

    if (s->current < ae_tensor_list_len(&s->announced))
        aerie_fail(&s->err, AERIE_BAD_ARGUMENT, "%s: tensor '%s' was not filled", s->path,
                   ae_tensor_list_at(&s->announced, s->current)->name);
    if (s->err.status) {
        status = aerie_fail(err, s->err.status, "%s", s->err.message);
        ae_stream_abandon(s);
        return status;
    }
    status = ae_file_writer_commit(&s->file, err);
    free_all(s);
    return status;
}

void ae_stream_abandon(ae_stream *s)
{
    ae_file_writer_abandon(&s->file);
    free_all(s);
}
