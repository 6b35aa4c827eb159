/* parquet.h -- private: what the files that read Parquet share.
 *
 * A file is row groups; a row group has one chunk for each leaf of the schema; a chunk is pages,
 * the first of which may be a dictionary. A leaf's values come with two small numbers: how many of
 * its optional and repeated ancestors are there (definition level), and at which repeated ancestor
 * a new item begins (repetition level). Rows are put together again from these (Dremel; Melnik et
 * al. 2010). Source of every number: parquet-format's parquet.thrift, Encodings.md and
 * Compression.md. */
#ifndef AE_FORMAT_PARQUET_H
#define AE_FORMAT_PARQUET_H

#include "format/format.h"

typedef enum {
    AE_PARQUET_BOOL = 0,
    AE_PARQUET_INT32 = 1,
    AE_PARQUET_INT64 = 2,
    AE_PARQUET_INT96 = 3,
    AE_PARQUET_FLOAT = 4,
    AE_PARQUET_DOUBLE = 5,
    AE_PARQUET_BYTES = 6,
    AE_PARQUET_FIXED = 7
} ae_parquet_type;

typedef enum {
    AE_PARQUET_REQUIRED = 0,
    AE_PARQUET_OPTIONAL = 1,
    AE_PARQUET_REPEATED = 2
} ae_parquet_repeat;

typedef enum {
    AE_PLAIN = 0,
    AE_PLAIN_DICTIONARY = 2,
    AE_RLE = 3,
    AE_BIT_PACKED = 4,
    AE_DELTA_BINARY_PACKED = 5,
    AE_DELTA_LENGTH_BYTES = 6,
    AE_DELTA_BYTES = 7,
    AE_RLE_DICTIONARY = 8,
    AE_BYTE_STREAM_SPLIT = 9
} ae_parquet_encoding;

/* What a group means. */
typedef enum { AE_PARQUET_STRUCT, AE_PARQUET_LIST, AE_PARQUET_MAP } ae_parquet_shape;

typedef struct {
    char *name;
    ae_parquet_type type; /* of a leaf */
    ae_parquet_repeat repeat;
    ae_parquet_shape shape;         /* of a group */
    bool is_text, is_unsigned;      /* of a leaf */
    size_t first_child, n_children; /* children are nodes first_child, next of that, ... */
    size_t next;                    /* the node after this one and all below it */
    int def, rep;                   /* levels at which it is there */
    size_t first_leaf, n_leaves;    /* leaves below (a leaf: itself) */
} ae_parquet_node;

typedef struct {
    int codec;
    int64_t n_values, bytes, data_at, dictionary_at; /* dictionary_at 0: there is none */
} ae_parquet_chunk;

typedef struct {
    int64_t n_rows;
    size_t first_chunk; /* a chunk for each leaf, in the leaves' order */
} ae_parquet_group;

typedef struct {
    ae_arena arena; /* names and tables */
    ae_parquet_node *nodes;
    size_t n_nodes, n_leaves;
    size_t *leaves; /* leaf -> node */
    ae_parquet_group *groups;
    size_t n_groups;
    ae_parquet_chunk *chunks;
    int64_t n_rows;
} ae_parquet_meta;

/* Reads the footer of a whole file; every range is inside the file. On failure nothing is left. */
aerie_status ae_parquet_meta_read(ae_parquet_meta *out, const uint8_t *file, size_t size,
                                  const char *name, aerie_error *err);
void ae_parquet_meta_free(ae_parquet_meta *m);

/* ---- packed integers (parquet_bits.c). Reading past the end sets `bad`, and gives zeros. ---- */

/* Runs of one value and runs of bit-packed ones, as levels and dictionary indices are stored. */
typedef struct {
    const uint8_t *at, *end;
    int width;     /* bits of a value, at most 32 */
    uint64_t left; /* of this run */
    bool packed, bad;
    uint32_t value; /* of a run of one */
    uint64_t bit;   /* of a packed run: the next one, from `at` */
} ae_runs;
ae_runs ae_runs_over(const uint8_t *data, size_t size, int width);
uint32_t ae_runs_next(ae_runs *r);

/* DELTA_BINARY_PACKED. */
typedef struct {
    const uint8_t *at,
        *end; /* at: of the next mini-block, once the last value was read the end of all */
    const uint8_t *widths;
    uint64_t left, block, mini_size; /* values left; of a block; of a mini-block */
    int n_mini, mini;
    uint64_t in_mini; /* values left of the mini-block */
    uint64_t bit, value, min_delta;
    int width;
    bool first, bad;
} ae_deltas;
ae_deltas ae_deltas_over(const uint8_t *data, size_t size);
int64_t ae_deltas_next(ae_deltas *d);
/* Where the data after all values begins; `d` is a fresh one. */
const uint8_t *ae_deltas_end(ae_deltas d);

/* ---- compression (parquet_codec.c) ---- */

/* The word for a sentence: "snappy"; NULL: a codec that this build does not read. */
const char *ae_parquet_codec_name(int codec);
/* Unpacks into *out, which holds exactly `want` bytes on AERIE_OK. `name` is for messages. */
aerie_status ae_parquet_unpack(ae_bytes *out, int codec, const uint8_t *data, size_t size,
                               size_t want, const char *name, aerie_error *err);
/* snappy.c: false when the data is damaged or does not give `want` bytes. */
bool ae_snappy_unpack(uint8_t *out, size_t want, const uint8_t *data, size_t size);

/* ---- a column, value by value (parquet_column.c) ---- */

typedef struct {
    int64_t whole; /* bool and integers */
    double real;
    ae_span text; /* good until the next value of the column */
} ae_parquet_value;

typedef struct {
    const char *name; /* of the file */
    const char *path; /* "answers.model": for messages */
    const uint8_t *file;
    size_t file_size;
    const ae_parquet_node *leaf;
    const ae_parquet_chunk *chunk;
    const uint8_t *at, *end;         /* of the chunk: the next page */
    int64_t values_left;             /* of the chunk, after this page */
    ae_bytes page, dictionary, text; /* unpacked; text: the last value of AE_DELTA_BYTES */
    ae_span *words;                  /* of a dictionary of bytes */
    size_t n_words, cap_words;
    /* The page that is being read. */
    int64_t page_left;
    ae_parquet_encoding encoding;
    ae_runs reps, defs, indices;
    ae_deltas deltas, prefixes;
    const uint8_t *data, *data_end;
    uint64_t bit; /* plain bools */
    /* The value that is next: its levels. `peeked`: they are known. */
    bool peeked;
    int rep, def;
} ae_parquet_column;

/* Starts at the first value of a chunk. A zeroed column is closed; one may start again and again.
 */
aerie_status ae_parquet_column_start(ae_parquet_column *c, aerie_error *err);
/* Learns the levels of the next value. At the end of the chunk: rep 0, and more == false. */
aerie_status ae_parquet_column_peek(ae_parquet_column *c, bool *more, aerie_error *err);
/* Takes the value that was peeked. *there: it is not null. */
aerie_status ae_parquet_column_take(ae_parquet_column *c, ae_parquet_value *out, bool *there,
                                    aerie_error *err);
void ae_parquet_column_free(ae_parquet_column *c);

#endif
