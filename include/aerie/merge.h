/* merge.h -- adapters folded into a model's weights, and what rounding them cost. */
#ifndef AERIE_MERGE_H
#define AERIE_MERGE_H

#include "aerie/quantize.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Zero means the default everywhere. */
typedef struct {
    const char *const *adapters; /* "FILE" or "FILE=SCALE", in order; at least one */
    int n_adapters;
    bool any_base;       /* as aerie_model_options has it */
    const char *type;    /* by quantize's names; NULL: "F16" */
    const char *imatrix; /* for a quantized type; NULL: none */
    const char *text;    /* what the error is measured on; NULL: a sample that is built in */
    size_t len;
    bool unmeasured; /* do not measure */
    const char *cpu; /* as aerie_model_options has it */
    int threads;
    aerie_quantize_progress_fn *progress;
    void *user;
} aerie_merge_options;

typedef struct {
    aerie_quantize_summary file;
    int64_t tokens; /* measured on; 0: not measured, and nothing below means anything */
    double logit_max, logit_mean; /* |difference| of a logit, over all tokens and the vocabulary */
    double kl_mean, kl_max;       /* KL(unmerged || merged) of a token, natural */
    double same_top;              /* share of tokens with the same most likely next one */
    double ppl, unmerged_ppl;
} aerie_merge_summary;

/* Writes `model_path` (GGUF, or a Hugging Face folder) with the adapters folded in as a GGUF file
 * of the type; DoRA's too. Tensor by tensor: neither model is ever whole in memory. Then reads the
 * text with the model under its adapters and with the merged file, both in float32 arithmetic over
 * the weights as stored, and tells how far their predictions lie apart. The file names its base and
 * the adapters in it. Nothing appears at `out_path` unless all of it could be written. `summary`
 * may be NULL. */
AERIE_API aerie_status aerie_merge(const char *model_path, const char *out_path,
                                   const aerie_merge_options *options, aerie_merge_summary *summary,
                                   aerie_error *err);

#ifdef __cplusplus
}
#endif
#endif
