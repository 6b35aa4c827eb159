/* quant.h -- the door of quant: numbers into blocks, which tensor gets which type, importance. */
#ifndef AE_QUANT_H
#define AE_QUANT_H

#include "format/format.h"
#include "model/model.h"

/* ---- rows ---- */

/* A row of n elements of F32 as any type but IQ4_NL and IQ4_XS. What is made small is the sum of
 * importance[i] * error^2 ([n], finite and not negative; NULL: large numbers weigh a little more
 * than small ones); F32, F16, BF16 and Q8_0 are ae_dtype_encode_row()'s. Every number must be
 * finite. A block whose scale passes what a half holds is cut to the largest. The same bits on
 * every processor. False for another type, or when n is no multiple of the block. `out` may be
 * unaligned. */
bool ae_quantize_row(ae_dtype dtype, const float *in, int64_t n, const float *importance,
                     void *out);

/* ---- mixes ---- */

/* Which tensor gets which type, by llama.cpp's names and rules, so that sizes are what people know.
 */
typedef struct {
    const char *name;   /* "Q4_K_M" */
    ae_dtype dtype;     /* of most tensors */
    uint32_t file_type; /* GGUF's general.file_type */
} ae_mix;

size_t ae_mix_count(void);
const ae_mix *ae_mix_at(size_t i);
/* By name, any case; "Q3_K", "Q4_K" and "Q5_K" are their _M. NULL when unknown. */
const ae_mix *ae_mix_find(const char *name);

/* What the rules ask about a model. */
typedef struct {
    const char *architecture; /* "llama" */
    int64_t n_layers, n_heads, n_kv_heads, n_experts;
} ae_mix_model;

typedef struct {
    bool pure;                            /* the mix's own type for every matrix */
    bool has_importance;                  /* Q4_0 and Q5_0 then spare the first ffn_down */
    ae_dtype output_type, embedding_type; /* AE_DTYPE_NONE: as the mix has it */
} ae_mix_options;

/* A tensor as far as the rules look at it. */
typedef struct {
    const char *name;
    ae_dtype dtype; /* as it is now; what is no matrix keeps it */
    int64_t n_dims; /* above one in size: 1 for a vector */
    int64_t cols;
    ae_dtype result; /* out */
} ae_mix_tensor;

/* Fills every result. Order in the list does not matter. */
aerie_status ae_mix_assign(const ae_mix *mix, const ae_mix_model *model,
                           const ae_mix_options *options, ae_mix_tensor *tensors, size_t n,
                           aerie_error *err);

/* ---- importance ---- */

/* For every weight the sum of the squares of its inputs, by column, over some text; and how many
 * inputs there were. Immutable once open. */
typedef struct ae_imatrix ae_imatrix;

typedef struct {
    const char *tensor;       /* "blk.0.attn_q.weight" */
    const double *sums;       /* [n_matrices * cols] */
    const double *counts;     /* [n_matrices] */
    int64_t cols, n_matrices; /* more than one matrix: experts */
} ae_imatrix_entry;

/* llama.cpp's files: GGUF of type imatrix, or the older .dat. Every number is checked: finite, not
 * negative. */
aerie_status ae_imatrix_open(ae_imatrix **out, const char *path, aerie_error *err);
void ae_imatrix_close(ae_imatrix *m); /* NULL is fine */
size_t ae_imatrix_len(const ae_imatrix *m);
ae_imatrix_entry ae_imatrix_at(const ae_imatrix *m, size_t i); /* by name */
int64_t ae_imatrix_chunks(const ae_imatrix *m);
const char *ae_imatrix_dataset(const ae_imatrix *m); /* "": the file does not say */
/* What its columns' errors weigh when `t` is quantized, [matrices of t * cols]: the mean of the
 * squares (ones where there was no input). NULL when there is none. AERIE_BAD_SHAPE when the file's
 * do not fit the tensor; a token embedding then has none, as nothing is multiplied with it. */
aerie_status ae_imatrix_weights(const float **out, const ae_imatrix *m, const ae_stored_tensor *t,
                                aerie_error *err);

/* Collects while it sees forward passes: cx.observer = ae_collector_observer(c). */
typedef struct ae_collector ae_collector;

/* For the layers of a net, which must outlive it. */
aerie_status ae_collector_new(ae_collector **out, const ae_net *net, aerie_error *err);
void ae_collector_free(ae_collector *c); /* NULL is fine */
const ae_observer *ae_collector_observer(const ae_collector *c);
/* AERIE_BAD_NUMBER when an input was not finite. */
aerie_status ae_collector_status(const ae_collector *c, aerie_error *err);
size_t ae_collector_len(const ae_collector *c);
ae_imatrix_entry ae_collector_at(const ae_collector *c, size_t i);

/* As llama.cpp's GGUF. Atomic. `dataset` names the text. */
aerie_status ae_imatrix_save(const ae_imatrix_entry *entries, size_t n, const char *path,
                             const char *dataset, int64_t n_chunks, int64_t chunk_tokens,
                             aerie_error *err);

/* ---- files ---- */

/* What became of one tensor. */
typedef struct {
    const ae_stored_tensor *from;
    ae_dtype type;
    uint64_t bytes;
    bool is_copy, has_importance;
    double sum_squares,
        sum_error; /* of the numbers as they were; of what they changed by, squared */
} ae_quantized;

typedef struct {
    const ae_mix *mix;
    ae_mix_options types; /* has_importance is set from below */
    /* The importance of a tensor's columns, [matrices * cols]; NULL: none. The function may fail: a
     * tensor that the importance does not fit. */
    aerie_status (*importance)(const float **out, void *user, const ae_stored_tensor *t,
                               aerie_error *err);
    /* After every few rows, and (`done` not NULL) after every tensor; false stops:
     * AERIE_INTERRUPTED. part: 0 to 1. */
    bool (*progress)(void *user, double part, const ae_quantized *done);
    /* More metadata. */
    void (*annotate)(void *user, ae_gguf_writer *w);
    /* Row r of the result is row order[r] of the tensor; NULL: as they lie. Read until the next
     * call. May fail. */
    aerie_status (*order)(const int64_t **out, void *user, const ae_stored_tensor *t,
                          aerie_error *err);
    /* Weights that change on the way, before they are rounded: a handle (-1: this tensor does not),
     * and a row of the result, by several threads at once. Both or neither. */
    int64_t (*change_of)(void *user, const ae_stored_tensor *t);
    void (*change)(void *user, int64_t handle, int64_t row, float *x);
    void *user;           /* of all; each may be NULL */
    const char *drop_key; /* metadata that is not taken over; NULL: all is */
    struct {
        const char *name; /* NULL: nothing */
        const float *values;
        int64_t n;
    } added; /* a vector that `in` does not have */
} ae_quantize_options;

/* Writes `in` as another file, tensor by tensor: all metadata, with file type and quantization
 * version set, and every tensor as the mix has it. Memory is that of a few rows. Atomic. */
aerie_status ae_quantize_gguf(ae_pool *pool, const ae_gguf *in, const char *out_path,
                              const ae_quantize_options *options, aerie_error *err);

#endif
