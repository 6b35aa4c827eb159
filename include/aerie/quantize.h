/* quantize.h -- a model's weights in fewer bits, and what decides where the bits go. */
#ifndef AERIE_QUANTIZE_H
#define AERIE_QUANTIZE_H

#include "aerie/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What became of one tensor. Borrowed: good during the call. */
typedef struct {
    const char *name, *from_type, *type;
    const int64_t *dims; /* outermost first */
    int n_dims;
    uint64_t bytes_before, bytes;
    double rmse;     /* root of the mean squared change; 0 where nothing was changed */
    double relative; /* the same over the root of the mean square: 0.05 is 5 % */
    bool has_importance;
} aerie_quantized_tensor;

/* part: 0 to 1. `tensor` is the one that was just finished, or NULL between. false stops. */
typedef bool aerie_quantize_progress_fn(void *user, double part,
                                        const aerie_quantized_tensor *tensor);

/* Zero means the default everywhere. */
typedef struct {
    const char *imatrix;              /* a file of `aerie imatrix` or llama.cpp's; NULL: none */
    const char *output_tensor_type;   /* "Q8_0"; NULL: as the mix has it */
    const char *token_embedding_type; /* the same for the token embedding */
    bool pure;                        /* every matrix in the mix's own type */
    int threads;                      /* 0: one per processor */
    aerie_quantize_progress_fn *progress;
    void *user;
} aerie_quantize_options;

typedef struct {
    int64_t n_tensors, n_elements;
    uint64_t bytes_before, bytes; /* of the tensors */
    double bits_per_weight, seconds;
} aerie_quantize_summary;

/* The names of types, from the smallest: "Q2_K_S" ... "F32"; NULL past the end. */
AERIE_API const char *aerie_quantize_type(size_t i);

/* Writes the model at `in_path` (GGUF, or a Hugging Face folder) to `out_path` as `type`, by
 * llama.cpp's names and mixes ("Q4_K_M", any case). Metadata is carried over. A model that is
 * quantized already is quantized again, with a warning. Tensor by tensor: memory stays small.
 * Nothing appears at `out_path` unless all of it could be written. `options` and `summary` may be
 * NULL. */
AERIE_API aerie_status aerie_quantize(const char *in_path, const char *out_path, const char *type,
                                      const aerie_quantize_options *options,
                                      aerie_quantize_summary *summary, aerie_error *err);

/* chunk of n_chunks is done; false stops. */
typedef bool aerie_imatrix_progress_fn(void *user, int64_t chunk, int64_t n_chunks);

typedef struct {
    int64_t n_ctx;       /* tokens of a chunk; 0: 512 */
    int64_t n_chunks;    /* at most this many; 0: the whole text */
    const char *dataset; /* the text's name, noted in the file */
    aerie_imatrix_progress_fn *progress;
    void *user;
} aerie_imatrix_options;

typedef struct {
    int64_t n_chunks, n_tokens, n_tensors;
} aerie_imatrix_summary;

/* Writes to `out_path` how large the inputs of every layer's weights are, by column, when the model
 * reads the text in chunks: which columns matter when it is quantized. llama.cpp's GGUF format.
 * `options` and `summary` may be NULL. Atomic. */
AERIE_API aerie_status aerie_imatrix(aerie_model *m, const char *text, size_t len,
                                     const char *out_path, const aerie_imatrix_options *options,
                                     aerie_imatrix_summary *summary, aerie_error *err);

#ifdef __cplusplus
}
#endif
#endif
