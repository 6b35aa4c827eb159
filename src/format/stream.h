/* stream.h -- the data half of a writer: tensors announced first, filled in order. Private. */
#ifndef AE_STREAM_H
#define AE_STREAM_H

#include "format/list.h"

typedef struct {
    ae_file_writer file;
    aerie_error err; /* the first failure; once set, nothing more is written */
    char *path;
    ae_tensor_list announced; /* data is not used; names belong to `arena` */
    ae_arena arena;
    size_t current;   /* the tensor that is being filled */
    size_t filled;    /* bytes of it so far */
    size_t alignment; /* every tensor's data is padded to this; 1: packed */
} ae_stream;

aerie_status ae_stream_open(ae_stream *s, const char *path, size_t alignment, aerie_error *err);
/* Keeps the tensor; its bytes are computed here. */
void ae_stream_announce(ae_stream *s, const char *name, ae_dtype dtype, int64_t rows, int64_t cols);
void ae_stream_add(ae_stream *s, const void *data, size_t bytes);
/* Both free everything that the stream holds. */
aerie_status ae_stream_commit(ae_stream *s, aerie_error *err);
void ae_stream_abandon(ae_stream *s);

#endif
