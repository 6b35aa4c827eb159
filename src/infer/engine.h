/* engine.h -- continuous batching: whatever is ready, of every prompt and reply, goes through the
 * model as one packed row. A reply's text depends on its own request alone, never on what else
 * was in the batch. The engine knows no protocol: it takes token ids and gives token ids. */
#ifndef AE_ENGINE_H
#define AE_ENGINE_H

#include "infer/chance.h"
#include "infer/sampler.h"

typedef struct ae_engine ae_engine;

/* Guessing ahead (speculate.h): how long replies take, never what they say. */
typedef enum {
    AE_SPECULATE_AUTO,   /* by the text's own past and by the draft model, if there is one */
    AE_SPECULATE_LOOKUP, /* by the text's own past alone */
    AE_SPECULATE_DRAFT,  /* by the draft model alone */
    AE_SPECULATE_OFF
} ae_speculate;

typedef struct {
    ae_device *device;              /* borrowed */
    const ae_net *net;              /* borrowed */
    const ae_tokenizer *tokenizer;  /* borrowed; tells which tokens end a reply; NULL: none does */
    int64_t max_batch;              /* tokens of one forward pass; 0: 512 */
    int64_t max_sequences;          /* replies decoded at once; 0: 32 */
    ae_dtype kv_type;               /* of caches: F32 (0), F16, Q8_0 */
    int64_t prefix_cache_positions; /* of earlier texts that are kept for prompts that begin like
                                     * them; 0: none */
    ae_speculate speculate;
    bool speculate_always; /* not only where it pays: for tests and measurements */
    const ae_net *draft;   /* borrowed: a small model of the same tokens that guesses; NULL: none */
    /* What prompts may add to a pass that replies wait for: so that it takes `unnoticed` seconds,
     * or patience times what the replies alone would take, whichever is more. patience 0: prompts
     * fill the pass, which is the fastest where nobody looks on. */
    double patience, unnoticed;
    int64_t kv_positions; /* that all requests under way may take together: who has no room waits,
                           * and where replies grow past it the youngest gives its own up for a
                           * while (room.c). 0: no bound */
    int64_t kv_ahead;     /* of which a request must find so many for its reply before it is let in;
                           * 0: 256 */
    bool score_in_cache;  /* texts that are scored keep keys and values in kv_type, as replies do;
                           * otherwise in float32, and ae_engine_log_probs() and _logits() read a
                           * text at once */
} ae_engine_options;

aerie_status ae_engine_open(ae_engine **out, const ae_engine_options *options, aerie_error *err);
void ae_engine_close(ae_engine *e); /* NULL is fine */

/* Added to a token's logit before all else; -INFINITY: never drawn. */
typedef struct {
    int32_t id;
    float bias;
} ae_logit_bias;

/* What a reply may say, told token by token: a grammar, say. A draw that is not allowed is made
 * again among those that are. */
typedef struct {
    void *user;
    /* The state of one reply, at its start; NULL: no memory. */
    void *(*start)(void *user);
    /* Whether the reply may go on with this token, which may be one that ends it. */
    bool (*allows)(void *state, int32_t id);
    /* Sets the logits [V] of all tokens that are not allowed to -INFINITY; false: nothing is
     * allowed, and the request fails. */
    bool (*mask)(void *state, float *logits, int64_t vocab_size);
    /* The reply goes on with this token. */
    void (*accept)(void *state, int32_t id);
    void (*end)(void *state);
} ae_constraint;

/* What a request wants of its prompt. Who wants more than replies has keys and values in float32,
 * as where texts are scored and with the same numbers, unless options.score_in_cache. */
typedef enum {
    AE_WANT_REPLIES,
    AE_WANT_CHANCES, /* ae_engine_events.chances, no reply */
    AE_WANT_HIDDEN,  /* ae_engine_events.hidden */
    AE_WANT_SCORE    /* ae_engine_events.score */
} ae_want;

/* A prompt and what to do with it. Several replies branch from the one computed prompt. */
typedef struct {
    const int32_t *prompt;
    int64_t n_prompt;   /* at least 1 */
    int64_t n_replies;  /* 0 means 1 */
    int64_t max_tokens; /* new tokens of a reply; 0: as many as the context holds */
    int64_t context;    /* positions a reply and its prompt may take; 0: the model's own length */
    ae_sampling sampling;
    uint64_t seed;   /* reply i draws from a generator seeded by (seed, i) */
    bool ignore_eog; /* go on past end-of-reply tokens (benchmarks) */
    const ae_logit_bias *bias;
    int64_t n_bias;
    const ae_constraint *constraint; /* NULL: none */
    bool tells_rows;                 /* ae_engine_events.row */
    ae_want wants;
    bool tells_prompt; /* ae_engine_events.chances beside replies */
    int n_top;         /* the most likely tokens beside each of the prompt's */
    /* NULL: the engine's. Else the same weights under other adapters, with the same heads, but for
     * the one that scores. net_id: its name for as long as the engine is open; 0 is the engine's
     * own. Nothing is shared between nets of two names. */
    const ae_net *net;
    int64_t net_id;
    ae_kv *kv;       /* NULL, or a conversation's cache that already holds the first
                      * ae_kv_len() tokens of the prompt (fewer than n_prompt); the reply is
                      * added to it. n_replies must be 1. */
    ae_kv *draft_kv; /* NULL, or with kv the same for the draft model; it may hold fewer tokens */
} ae_request;

typedef enum { AE_FINISH_STOP, AE_FINISH_LENGTH, AE_FINISH_CALLER } ae_finish;

/* Any may be NULL. Called from the thread that runs the engine. `request` is the index in an array
 * of requests, or the name that a request was submitted under. */
typedef struct {
    void *user;
    /* A request waits no more; `reused` tokens of its prompt need not be computed. */
    void (*started)(void *user, int64_t request, int64_t reused);
    /* A token drawn for a request with tells_rows, end-of-reply tokens too, and the logits [V] that
     * it was drawn from, before biases and penalties. What `token` says of it comes next. */
    void (*row)(void *user, int64_t request, int64_t reply, int32_t id, const float *logits);
    /* What was thought of the prompt's tokens from `first` (1 or later) on: [n, tops], tops = 1 +
     * n_top, as ae_chances_of() has them. Each is told once, in order. */
    void (*chances)(void *user, int64_t request, int64_t first, int64_t n,
                    const ae_chance *chances);
    /* Hidden states [n, D] of the prompt's tokens from `first` on, after the last norm. */
    void (*hidden)(void *user, int64_t request, int64_t first, int64_t n, const float *states);
    /* The scalar head's number at the prompt's last token. */
    void (*score)(void *user, int64_t request, float score);
    /* A token of a reply, end-of-reply tokens left out; false ends this reply (AE_FINISH_CALLER).
     */
    bool (*token)(void *user, int64_t request, int64_t reply, int32_t id);
    void (*finish)(void *user, int64_t request, int64_t reply, ae_finish why);
    /* Before that: how many tokens were guessed for the reply and run, and how many held. */
    void (*guessed)(void *user, int64_t request, int64_t reply, int64_t drafted, int64_t accepted);
    /* After every forward pass: each token drawn from it, end-of-reply tokens too, in the order of
     * drawing; a reply may have finished by then. logp is its natural log-probability under
     * softmax(logits / temperature), before filters and penalties (temperature 0: under
     * softmax(logits)). The bits are those of ae_net_log_prob_at() of the same text without a
     * cache, when the engine's caches are F32 and the net's weights are not packed. All requests
     * of the run must have one temperature. */
    void (*drawn)(void *user, int64_t request, int64_t reply, int32_t id, float logp);
    /* Asked before every forward pass of ae_engine_run(); true ends it with AERIE_INTERRUPTED. */
    bool (*stop)(void *user);
    /* A request is over, and nothing it borrowed is read any more: AERIE_OK, AERIE_INTERRUPTED
     * (cancelled), or what went wrong with it alone. NULL: the first to fail ends the run. */
    void (*done)(void *user, int64_t request, aerie_status status, const aerie_error *why);
} ae_engine_events;

typedef struct {
    int64_t prompt_tokens, reply_tokens;
    double prompt_seconds, reply_seconds; /* a mixed pass counts by its tokens */
    int64_t reused;                       /* prompt tokens that the prefix cache held */
    int64_t drafted, accepted;            /* tokens guessed and run, and those that held */
    int64_t put_out; /* times that a request gave its positions up for a while */
    int64_t passes, pass_tokens;
} ae_engine_stats;

/* AERIE_BAD_ARGUMENT with a sentence for a request that the engine would not take. */
aerie_status ae_engine_check(const ae_engine *e, const ae_request *request, aerie_error *err);
/* Positions that are kept of earlier texts. */
int64_t ae_engine_prefixes_held(const ae_engine *e);

/* Requests that come and go while it runs. */
typedef struct ae_run ae_run;

/* `events` (or NULL) is copied; `stats` (or NULL) is added to. One run of an engine at a time. */
aerie_status ae_run_open(ae_run **out, ae_engine *e, const ae_engine_events *events,
                         ae_engine_stats *stats, aerie_error *err);
void ae_run_close(ae_run *run); /* NULL is fine; nobody hears of requests that were not over */
/* Takes a request, whose prompt and whatever else it points to is borrowed until it is over. `name`
 * is what events call it. Who came first is let in first, except that a prompt waits for another
 * under way that will hold a good part of it, and lets others pass meanwhile. */
aerie_status ae_run_submit(ae_run *run, const ae_request *request, int64_t name, aerie_error *err);
/* Lets in who can be, and runs one forward pass. *more: whether there is anything left to do but
 * wait for replies that rest. After a failure nothing has changed; it may be tried again. */
aerie_status ae_run_step(ae_run *run, bool *more, aerie_error *err);
/* The request is over at once, unless it was; between steps. */
void ae_run_cancel(ae_run *run, int64_t name);
/* The reply (-1: all) of a request gets no tokens while it rests; from an event, or between steps.
 */
void ae_run_rest(ae_run *run, int64_t name, int64_t reply, bool rests);
/* The request that was let in last; -1: none is. */
int64_t ae_run_youngest(const ae_run *run);
/* Positions that the requests under way take, or may take where they cannot give them up. */
int64_t ae_run_reserved(const ae_run *run);

/* Runs all requests to their end. `stats` may be NULL. */
aerie_status ae_engine_run(ae_engine *e, const ae_request *requests, int64_t n_requests,
                           const ae_engine_events *events, ae_engine_stats *stats,
                           aerie_error *err);

/* The natural log-probability of ids[1..n-1], each given those before it: logp [n - 1]. */
aerie_status ae_engine_log_probs(ae_engine *e, const int32_t *ids, int64_t n, float *logp,
                                 aerie_error *err);

/* Logits [n, V] of every position of one sequence, handed over in runs of rows. */
typedef aerie_status ae_logits_fn(void *user, const float *logits, int64_t n_rows,
                                  int64_t vocab_size, aerie_error *err);
aerie_status ae_engine_logits(ae_engine *e, const int32_t *ids, int64_t n, ae_logits_fn *fn,
                              void *user, aerie_error *err);

enum {
    AE_DRAFT_PASS = 256
}; /* tokens that the draft model reads in a pass, but one of each reply */

/* Bytes that an engine of these options takes for passes that fill `parallel` sequences of n_ctx
 * positions: found by going through the largest pass of a prompt, and one of replies, without
 * computing anything. The net's weights need not be there. AERIE_NO_MEMORY also where the machine
 * has no addresses for such a cache. */
aerie_status ae_engine_rehearse(const ae_engine_options *options, int64_t n_ctx, int64_t parallel,
                                size_t *bytes, aerie_error *err);

/* The same for ae_engine_log_probs(), or with `logits` ae_engine_logits(), over a text of n tokens.
 */
aerie_status ae_engine_rehearse_text(const ae_engine_options *options, int64_t n, bool logits,
                                     size_t *bytes, aerie_error *err);

/* Bytes of the cache of one sequence of so many positions. */
aerie_status ae_engine_kv_bytes(size_t *out, const ae_engine_options *options, int64_t positions,
                                aerie_error *err);

/* Bytes of activations the largest forward pass so far needed. */
size_t ae_engine_scratch_peak(const ae_engine *e);

#endif
