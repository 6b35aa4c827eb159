/* save.h -- weights on their way into a file. Private to model. */
#ifndef AE_SAVE_H
#define AE_SAVE_H

#include "model/model_private.h"

/* Receives encoded bytes of one tensor, in order. */
typedef void ae_save_sink(void *file, const void *data, size_t bytes);

/* The type that a parameter gets in a file of matrices of `type`: vectors stay F32 in GGUF, and
 * rows that are no whole blocks do. */
ae_dtype ae_save_dtype(const ae_tensor *t, ae_dtype type);

/* Sends a tensor's rows as `type`, with the rows of heads moved for the other layout of rotation
 * when `reorder`. The bytes are the model's own where the types agree. */
aerie_status ae_save_tensor(const ae_model *m, const ae_param_site *site, ae_dtype type,
                            bool reorder, bool to_interleaved, ae_save_sink *sink, void *file,
                            aerie_error *err);

/* Everything of a GGUF file but its tensors; `type` is that of the matrices. */
aerie_status ae_save_metadata(const ae_model *m, ae_gguf_writer *w, ae_dtype type,
                              aerie_error *err);
/* What rope_freqs.weight holds, [d / 2]: the model's own or made in `room`; NULL: there is none. */
const float *ae_save_rope_factors(const ae_model *m, float room[512]);

#endif
