/* likelihood.h -- how likely a model finds many given continuations: what their texts begin with
 * alike (a few-shot preamble, a question before its choices) is computed once, and what is ready of
 * all of them goes through the model as packed rows. */
#ifndef AE_LIKELIHOOD_H
#define AE_LIKELIHOOD_H

#include "infer/engine.h"

/* Borrowed until the call returns. */
typedef struct {
    const int32_t *ids;   /* [n]: a context, and a continuation after it */
    int64_t n, n_context; /* 1 <= n_context < n; ids[n_context ..] is the continuation */
} ae_continuation;

/* Natural logarithms under softmax(logits). The same bits whatever else is asked for. */
typedef struct {
    double logprob; /* of the whole continuation, given the context */
    int64_t n_tokens;
    bool is_greedy;        /* every one of its tokens is a most likely one */
    const float *logprobs; /* [n_tokens], each given all before; borrowed until the callback
                            * returns */
} ae_likelihood;

/* Called as they become known, in no order of the requests' own; each exactly once. False ends it
 * with AERIE_INTERRUPTED. */
typedef bool ae_likelihood_fn(void *user, int64_t index, const ae_likelihood *found);

typedef struct {
    int64_t tokens;   /* that the requests' texts have */
    int64_t computed; /* that went through the model */
    int64_t passes;
} ae_likelihood_stats;

/* No run of the engine may be under way. Keys and values are kept in float32, unless
 * options.score_in_cache. `stats` may be NULL; it is added to. */
aerie_status ae_engine_likelihoods(ae_engine *e, const ae_continuation *requests, int64_t n,
                                   ae_likelihood_fn *fn, void *user, ae_likelihood_stats *stats,
                                   aerie_error *err);

#endif
