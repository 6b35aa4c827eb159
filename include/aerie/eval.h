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

/* How a text is cut for aerie_logits_save(): as llama.cpp's perplexity program cuts it. Its tokens,
 * BOS first where the vocabulary wants one, make whole windows of n_ctx (0: 512, or the model's
 * length); a window begins anew, its first token replaced by BOS; its second half is scored. */
typedef struct {
    int64_t n_ctx;
    int64_t n_windows; /* 0: all of the text */
} aerie_windows;

/* Keeps a reference model's float32 logits of a text's scored tokens, 4 bytes a token and entry of
 * the vocabulary, for aerie_divergence() of others. `windows` may be NULL. Atomic. */
AERIE_API aerie_status aerie_logits_save(aerie_model *m, const char *text, size_t len,
                                         const aerie_windows *windows, const char *path,
                                         aerie_token_score_fn *each, void *user,
                                         aerie_perplexity_result *out, aerie_error *err);

typedef struct {
    int64_t tokens;
    double kl_mean, kl_median, kl_p99, kl_max; /* KL(reference || model) of a token, natural */
    double same_top; /* share of the tokens for which both have the same most likely one */
    double cosine;   /* mean over the tokens, of the logits. These three are NaN where the file has
                      * probabilities */
    double logit_max, logit_mean; /* |difference| of a logit: the largest, and the mean */
    double ppl, reference_ppl, ppl_ratio;
} aerie_divergence_result;

/* How far a model is from the reference whose logits lie in `path`, over the same tokens.
 * llama.cpp's files (llama-perplexity --save-all-logits) are read too. */
AERIE_API aerie_status aerie_divergence(aerie_model *m, const char *path,
                                        aerie_token_score_fn *each, void *user,
                                        aerie_divergence_result *out, aerie_error *err);

#ifdef __cplusplus
}
#endif
#endif
