/* eval.h -- numbers about a model: likelihood of a text, logits. */
#ifndef AERIE_EVAL_H
#define AERIE_EVAL_H

#include "aerie/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    double nll;     /* mean negative natural log-likelihood of a token */
    double ppl;     /* exp(nll) */
    int64_t tokens; /* tokens scored */
} aerie_perplexity_result;

/* Called for each scored token in order; false stops. */
typedef bool aerie_token_score_fn(void *user, int32_t id, double logprob);

/* The text is cut into windows of n_ctx tokens (0: the model's length, at most 2048), each begun
 * with BOS when the vocabulary wants one; every token that follows another in its window is scored
 * once. */
AERIE_API aerie_status aerie_perplexity(aerie_model *m, const char *text, size_t len, int64_t n_ctx,
                                        aerie_token_score_fn *each, void *user,
                                        aerie_perplexity_result *out, aerie_error *err);

/* Writes the float32 logits [T, V] of a text as a NumPy .npy file. Atomic. */
AERIE_API aerie_status aerie_logits_to_file(aerie_model *m, const char *text, size_t len,
                                            const char *out_path, aerie_error *err);

#ifdef __cplusplus
}
#endif
#endif
