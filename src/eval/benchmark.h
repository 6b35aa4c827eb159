/* benchmark.h -- benchmarks: their requests are asked of whoever answers, the answers are kept as
 * they come, and what they are worth is reported. */
#ifndef AE_BENCHMARK_H
#define AE_BENCHMARK_H

#include "eval/saved_logits.h"
#include "infer/infer.h"
#include "text/text.h"

#include <jansson.h>

/* A context and, from ids[n_context] on, what is to be scored; 1 <= n_context < n. */
typedef struct {
    const int32_t *ids;
    int64_t n, n_context;
} ae_scored_tokens;
typedef struct {
    ae_span context, continuation;
} ae_scored_text;
typedef struct {
    double logprob; /* natural logarithm, of all that is scored */
    bool is_greedy; /* each of its tokens is a most likely one */
    int64_t n_tokens;
    double squares; /* sum of the tokens' squared log-probabilities; 0: not known */
} ae_scored_answer;
typedef bool ae_scored_fn(void *user, int64_t index, const ae_scored_answer *answer);

/* A reply to `prompt`, which is written out whole. */
typedef struct {
    ae_span prompt;
    const char *const
        *until; /* [n_until]: texts before which it ends, beside the model's own end */
    size_t n_until;
    int64_t max_tokens;
    double temperature, top_p; /* 0: greedy; 0: 1 */
    bool no_bos;               /* none is put first, whatever the tokenizer says */
} ae_reply_question;
typedef bool ae_reply_fn(void *user, int64_t index, ae_span reply);

/* A question that who answers will not take, a too long one; `why` is a sentence. */
typedef bool ae_refused_fn(void *user, int64_t index, const char *why);

/* Who answers. The callbacks tell each answer as it comes, in any order; false from those ends them
 * with AERIE_INTERRUPTED. */
typedef struct {
    void *user;
    const char *identity; /* all that answers depend on: the model, its adapters, its settings */
    /* A model in this process; texts are cut into tokens here. NULL: a server, which gets texts. */
    const ae_tokenizer *tokenizer;
    int64_t max_length; /* tokens of a text */
    aerie_status (*tokens)(void *user, const ae_scored_tokens *asked, int64_t n, ae_scored_fn *fn,
                           void *fn_user, int64_t *computed, aerie_error *err);
    aerie_status (*texts)(void *user, const ae_scored_text *asked, int64_t n, ae_scored_fn *fn,
                          ae_refused_fn *refused, void *fn_user, aerie_error *err);
    aerie_status (*replies)(void *user, const ae_reply_question *asked, int64_t n, ae_reply_fn *fn,
                            ae_refused_fn *refused, void *fn_user, aerie_error *err);
    /* How far the model is from a reference, over n of its windows. NULL: a server cannot say. */
    aerie_status (*diverge)(void *user, const ae_saved_logits *reference, const int64_t *windows,
                            int64_t n, ae_diverged_fn *fn, void *fn_user, aerie_error *err);
    /* Writes a conversation with the model's template, and opens the reply. */
    aerie_status (*chat)(void *user, json_t *messages, ae_bytes *out, aerie_error *err);
} ae_bench_model;

/* Borrowed. Zero means the default, but for `shots`. */
typedef struct {
    const char *const *tasks; /* names, groups, paths of YAML files */
    size_t n_tasks;
    const char *protocol; /* NULL: "lm-eval" */
    const char *data;     /* folder or file; NULL: where `rescore` is */
    int shots;            /* -1: as the task says */
    size_t limit;         /* documents of each task; 0: all */
    const char *system;   /* message of chat protocols */
    bool multiturn;
    const char *out;     /* a folder for results.json and samples_TASK.jsonl; NULL: none */
    const char *keep;    /* an SQLite file of answers; NULL: nothing is kept */
    bool fresh;          /* nothing of `keep` is used */
    const char *rescore; /* a file of saved replies or samples: nobody is asked */
    /* Any may be NULL. False stops with AERIE_INTERRUPTED. */
    bool (*progress)(void *user, const char *task, int64_t done, int64_t total);
    bool (*item)(void *user, const json_t *line);
    void *user;
} ae_benchmark_options;

/* *out: {"protocol", "results": {TASK: {...}}, "groups": {...}}, the caller's. `who` may be NULL
 * where options->rescore says what was answered. */
aerie_status ae_benchmark(json_t **out, const ae_benchmark_options *options,
                          const ae_bench_model *who, aerie_error *err);

/* The i-th built-in task or group, and protocol; NULL past the end. */
const char *ae_benchmark_known(size_t i);
const char *ae_benchmark_protocol(size_t i, const char **about);

/* ---- benchmark_remote.c: an OpenAI-compatible server that answers ---- */

typedef struct ae_remote ae_remote;

typedef struct {
    const char *url;   /* "http://localhost:11434/v1" */
    const char *model; /* as the server calls it */
    const char *key;   /* NULL: none */
    int in_flight;     /* requests at once; 0: 8 */
    bool (*stop)(void *user);
    void *stop_user;
} ae_remote_options;

/* Fills in *who, which borrows *out and the options. Likelihoods are asked of /completions with
 * echo and logprobs, replies of /completions, or of /chat/completions where the protocol has
 * conversations, which the server's own template writes. */
aerie_status ae_remote_open(ae_remote **out, ae_bench_model *who, const ae_remote_options *options,
                            aerie_error *err);
void ae_remote_close(ae_remote *r); /* NULL is fine */

#endif
