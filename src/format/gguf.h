/* gguf.h -- what the files of the GGUF reader share. Private to format. */
#ifndef AE_GGUF_H
#define AE_GGUF_H

#include "format/list.h"

/* One metadata value; `data` points at its elements in the file, checked to be there. */
typedef struct {
    const char *key;
    ae_gguf_type type, element_type; /* element_type is `type` for a single value */
    uint64_t count;                  /* of elements; 1 for a single value */
    const uint8_t *data;
    const ae_span *texts; /* TEXT: [count] */
    const uint8_t *raw;   /* all that follows the type number, for copying */
    size_t raw_bytes;
} ae_gguf_value;

struct ae_gguf {
    ae_file file; /* closed when over memory */
    const uint8_t *data;
    size_t size;
    const char *name;
    uint32_t version;
    ae_arena arena;
    ae_gguf_value *values;
    ae_names keys;
    ae_tensor_list tensors;
    ae_gguf **parts; /* the other files of a model in several; their tensors are in the list */
    size_t n_parts;
};

/* A place in the file. The first failure sticks: reads after it give zeros. */
typedef struct {
    const ae_gguf *g;
    size_t at;
    aerie_status status;
    aerie_error *err;
} ae_gguf_cursor;

/* The next `bytes` bytes, or NULL when the file has fewer: `what` is for the sentence. */
const uint8_t *ae_gguf_take(ae_gguf_cursor *c, uint64_t bytes, const char *what);
uint32_t ae_gguf_take_u32(ae_gguf_cursor *c, const char *what);
uint64_t ae_gguf_take_u64(ae_gguf_cursor *c, const char *what);
ae_span ae_gguf_take_text(ae_gguf_cursor *c, const char *what);
/* A plain name, copied into the file's arena; NULL on failure. */
const char *ae_gguf_take_name(ae_gguf_cursor *c, size_t most, const char *what);

/* Reads `n` tensor infos and checks them against the data that follows. */
aerie_status ae_gguf_read_tensors(ae_gguf *g, ae_gguf_cursor *c, uint64_t n);

/* A file that is one of several, alone. */
aerie_status ae_gguf_open_part(ae_gguf **out, const char *path, aerie_error *err);
/* Opens the other files when this is the first of several, and adds their tensors. */
aerie_status ae_gguf_read_parts(ae_gguf *g, aerie_error *err);

const ae_gguf_value *ae_gguf_find(const ae_gguf *g, const char *key);
/* Bytes of one value of a type of fixed size, else 0. */
size_t ae_gguf_type_bytes(ae_gguf_type type);
/* "U32", "text"; "?" when there is no such type. */
const char *ae_gguf_type_name(ae_gguf_type type);
/* Element `i` as an integer, or as a float; false for another type or (u64) past int64. */
bool ae_gguf_integer(const ae_gguf_value *value, uint64_t i, int64_t *out);
bool ae_gguf_float(const ae_gguf_value *value, uint64_t i, double *out);

#endif
