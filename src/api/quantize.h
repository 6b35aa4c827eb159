/* quantize.h -- quantizing with weights that change on the way. Private to api. */
#ifndef AE_API_QUANTIZE_H
#define AE_API_QUANTIZE_H

#include "aerie/quantize.h"
#include "quant/quant.h"

/* See ae_quantize_options. */
typedef struct {
    int64_t (*change_of)(void *user, const ae_stored_tensor *t);
    void (*change)(void *user, int64_t handle, int64_t row, float *x);
    void (*annotate)(void *user, ae_gguf_writer *w);
    void *user;
    const char *key; /* that annotate() sets anew */
    const char *added_name;
    const float *added; /* [n_added] */
    int64_t n_added;
} ae_fold;

/* aerie_quantize() with a fold, or NULL. */
aerie_status ae_api_quantize(const char *in_path, const char *out_path, const char *type,
                             const aerie_quantize_options *options, const ae_fold *fold,
                             aerie_quantize_summary *summary, aerie_error *err);

#endif
