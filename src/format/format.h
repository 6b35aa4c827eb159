/* format.h -- the door of format: files of named tensors, read as they lie and written atomically;
 * and Parquet, files of rows.
 *
 * GGUF (versions 2 and 3, little-endian) and safetensors (one file, or a folder of shards). Readers
 * map the file and check every count, length, offset and alignment before use; what they hand out
 * is borrowed and ends with the handle. A reader is immutable once open: threads may share it. */
#ifndef AE_FORMAT_H
#define AE_FORMAT_H

#include "tensor/tensor.h"

#include <jansson.h>

/* ---- tensors of either format ---- */

enum { AE_MAX_DIMS = 4 };

typedef struct {
    const char *name;
    const char
        *type_name; /* "Q4_K"; also for types that this build does not read: "IQ2_XS", "I64" */
    ae_dtype dtype; /* AE_DTYPE_NONE: a type that this build does not read */
    int n_dims;
    int64_t dims[AE_MAX_DIMS]; /* outermost first, as in Hugging Face's shapes */
    int64_t rows, cols;        /* cols is the innermost dimension, rows the product of the others */
    const void *data;          /* aligned for its type; NULL when a type of unknown size */
    size_t bytes;
} ae_stored_tensor;

typedef struct ae_tensor_list ae_tensor_list;

size_t ae_tensor_list_len(const ae_tensor_list *list);
const ae_stored_tensor *ae_tensor_list_at(const ae_tensor_list *list, size_t i);
/* NULL when there is none of that name. Constant time. */
const ae_stored_tensor *ae_tensor_list_find(const ae_tensor_list *list, const char *name);

/* The tensor as a matrix over the file's bytes, which are never written. AERIE_UNSUPPORTED, with a
 * sentence that names the tensor and its type, when this build does not read it. */
aerie_status ae_stored_tensor_view(ae_tensor *out, const ae_stored_tensor *stored,
                                   aerie_error *err);

/* ---- GGUF, read ---- */

/* The numbers are the format's own. */
typedef enum {
    AE_GGUF_U8 = 0,
    AE_GGUF_I8 = 1,
    AE_GGUF_U16 = 2,
    AE_GGUF_I16 = 3,
    AE_GGUF_U32 = 4,
    AE_GGUF_I32 = 5,
    AE_GGUF_F32 = 6,
    AE_GGUF_BOOL = 7,
    AE_GGUF_TEXT = 8,
    AE_GGUF_ARRAY = 9,
    AE_GGUF_U64 = 10,
    AE_GGUF_I64 = 11,
    AE_GGUF_F64 = 12
} ae_gguf_type;

typedef struct ae_gguf ae_gguf;

/* On failure *out is NULL. Of a model in several files (NAME-00001-of-00003.gguf) the first is given:
 * its list has the tensors of all. */
aerie_status ae_gguf_open(ae_gguf **out, const char *path, aerie_error *err);
/* The same over memory, which must be 8-byte aligned and outlive the handle. `name` is for
 * messages. */
aerie_status ae_gguf_open_memory(ae_gguf **out, const void *data, size_t size, const char *name,
                                 aerie_error *err);
void ae_gguf_close(ae_gguf *g); /* NULL is fine */

const char *ae_gguf_name(const ae_gguf *g); /* the path, for messages */
/* For a file that stands for a model which lies elsewhere: a tensor more, whose data is borrowed (its
 * name is not) or copied; and what sentences call the file. */
aerie_status ae_gguf_add_tensor(ae_gguf *g, const ae_stored_tensor *t, bool copy, aerie_error *err);
aerie_status ae_gguf_set_name(ae_gguf *g, const char *name, aerie_error *err);

/* Gives back the memory of the pages that hold these bytes of the file (NULL: all of it), until they
 * are read again. */
void ae_gguf_forget(const ae_gguf *g, const void *data, size_t bytes);
const ae_tensor_list *ae_gguf_tensors(const ae_gguf *g);

bool ae_gguf_has(const ae_gguf *g, const char *key);

/* A missing key is AERIE_NOT_FOUND, another type or a value out of range AERIE_BAD_FILE, each with
 * a sentence; *out is then unchanged. Ask ae_gguf_has() first for a key that may be missing.
 * Integers are read from any width and sign, floats from either width. */
aerie_status ae_gguf_u32(const ae_gguf *g, const char *key, uint32_t *out, aerie_error *err);
aerie_status ae_gguf_i64(const ae_gguf *g, const char *key, int64_t *out, aerie_error *err);
aerie_status ae_gguf_f32(const ae_gguf *g, const char *key, float *out, aerie_error *err);
aerie_status ae_gguf_bool(const ae_gguf *g, const char *key, bool *out, aerie_error *err);
/* Not '\0'-terminated, and any bytes. */
aerie_status ae_gguf_text(const ae_gguf *g, const char *key, ae_span *out, aerie_error *err);

/* Arrays. The spans are the handle's; the numbers are converted into `arena`. */
aerie_status ae_gguf_texts(const ae_gguf *g, const char *key, const ae_span **out, size_t *n,
                           aerie_error *err);
aerie_status ae_gguf_f32s(const ae_gguf *g, const char *key, float **out, size_t *n,
                          ae_arena *arena, aerie_error *err);
aerie_status ae_gguf_i32s(const ae_gguf *g, const char *key, int32_t **out, size_t *n,
                          ae_arena *arena, aerie_error *err);

/* Metadata in file order, for showing and copying. */
typedef struct {
    const char *key;
    ae_gguf_type type;
    ae_gguf_type element_type; /* of an array */
    uint64_t count;            /* of an array; else 1 */
} ae_gguf_entry;

size_t ae_gguf_entry_count(const ae_gguf *g);
ae_gguf_entry ae_gguf_entry_at(const ae_gguf *g, size_t i);
/* Appends the value of entry i, readable: text in quotes with escapes, arrays in brackets; cut with
 * "..." after about `most` bytes of it. */
void ae_gguf_entry_print(ae_bytes *out, const ae_gguf *g, size_t i, size_t most);

/* ---- GGUF, written (version 3, alignment 32) ---- */

/* Metadata, then every tensor's name, type and shape, then the data of every tensor in that order.
 * Nothing needs to be looked at on the way: the first failure is kept and commit reports it, and a
 * file appears at the path only when all is well. */
typedef struct ae_gguf_writer ae_gguf_writer;

aerie_status ae_gguf_writer_open(ae_gguf_writer **out, const char *path, aerie_error *err);

void ae_gguf_set_u32(ae_gguf_writer *w, const char *key, uint32_t value);
void ae_gguf_set_i32(ae_gguf_writer *w, const char *key, int32_t value);
void ae_gguf_set_u64(ae_gguf_writer *w, const char *key, uint64_t value);
void ae_gguf_set_f32(ae_gguf_writer *w, const char *key, float value);
void ae_gguf_set_bool(ae_gguf_writer *w, const char *key, bool value);
void ae_gguf_set_text(ae_gguf_writer *w, const char *key, const char *value);
void ae_gguf_set_span(ae_gguf_writer *w, const char *key, ae_span value);
void ae_gguf_set_texts(ae_gguf_writer *w, const char *key, const ae_span *values, size_t n);
void ae_gguf_set_f32s(ae_gguf_writer *w, const char *key, const float *values, size_t n);
void ae_gguf_set_i32s(ae_gguf_writer *w, const char *key, const int32_t *values, size_t n);
/* Entry i of a file that was read, unchanged; its alignment is not taken over. */
void ae_gguf_set_copy(ae_gguf_writer *w, const ae_gguf *from, size_t i);

/* Announces a tensor of any dtype, [rows, cols]; one row is written as a vector. */
void ae_gguf_writer_tensor(ae_gguf_writer *w, const char *name, ae_dtype dtype, int64_t rows,
                           int64_t cols);
/* The same with any shape: dims outermost first, at most AE_MAX_DIMS. */
void ae_gguf_writer_tensor_dims(ae_gguf_writer *w, const char *name, ae_dtype dtype,
                                const int64_t *dims, int n_dims);
/* More bytes of the data of the current tensor: whole tensors or a few rows at a time, but never of
 * two tensors at once. After a tensor's last byte the next one is current. */
void ae_gguf_writer_add(ae_gguf_writer *w, const void *data, size_t bytes);

/* Either ends the writer. */
aerie_status ae_gguf_writer_commit(ae_gguf_writer *w, aerie_error *err);
void ae_gguf_writer_abandon(ae_gguf_writer *w); /* NULL is fine */

/* ---- safetensors ---- */

typedef struct ae_safetensors ae_safetensors;

/* A .safetensors file, a folder with model.safetensors.index.json and its shards, or a folder with
 * model.safetensors. */
aerie_status ae_safetensors_open(ae_safetensors **out, const char *path, aerie_error *err);
/* One file in memory. */
aerie_status ae_safetensors_open_memory(ae_safetensors **out, const void *data, size_t size,
                                        const char *name, aerie_error *err);
void ae_safetensors_close(ae_safetensors *s); /* NULL is fine */

const ae_tensor_list *ae_safetensors_tensors(const ae_safetensors *s);
/* As ae_gguf_forget(). */
void ae_safetensors_forget(const ae_safetensors *s, const void *data, size_t bytes);
/* A value of __metadata__; NULL when there is none. */
const char *ae_safetensors_metadata(const ae_safetensors *s, const char *key);

/* Used as the GGUF writer is. dtype F32, F16 or BF16. */
typedef struct ae_safetensors_writer ae_safetensors_writer;

aerie_status ae_safetensors_writer_open(ae_safetensors_writer **out, const char *path,
                                        aerie_error *err);
void ae_safetensors_set(ae_safetensors_writer *w, const char *key, const char *value);
/* dims: outermost first. */
void ae_safetensors_writer_tensor(ae_safetensors_writer *w, const char *name, ae_dtype dtype,
                                  const int64_t *dims, int n_dims);
void ae_safetensors_writer_add(ae_safetensors_writer *w, const void *data, size_t bytes);
aerie_status ae_safetensors_writer_commit(ae_safetensors_writer *w, aerie_error *err);
void ae_safetensors_writer_abandon(ae_safetensors_writer *w);

/* ---- Parquet, read ---- */

/* Rows one after the other, as JSON objects: what the hub's data sets are kept in. A page of each
 * column is in memory at a time, never the file. Read: pages of both versions, packed with snappy,
 * gzip, zstd or not at all; PLAIN, dictionaries, RLE and the three DELTA encodings; structs, lists and
 * maps (as lists of {key, value}), nested at will. Numbers that are not finite and bytes that are no
 * text are null; columns of types INT96 and FIXED_LEN_BYTE_ARRAY are left out. */
typedef struct ae_parquet ae_parquet;

/* On failure *out is NULL. */
aerie_status ae_parquet_open(ae_parquet **out, const char *path, aerie_error *err);
/* The same over memory, which must outlive the handle. `name` is for messages. */
aerie_status ae_parquet_open_memory(ae_parquet **out, const void *data, size_t size, const char *name,
                                    aerie_error *err);
void ae_parquet_close(ae_parquet *p); /* NULL is fine */
int64_t ae_parquet_n_rows(const ae_parquet *p);
/* A new reference to the next row; *row is NULL after the last one. */
aerie_status ae_parquet_next(ae_parquet *p, json_t **row, aerie_error *err);

#endif
