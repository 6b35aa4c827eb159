/* engine_private.h -- what the engine's files share: a run's prompts, replies and the pass. */
#ifndef AE_ENGINE_PRIVATE_H
#define AE_ENGINE_PRIVATE_H

#include "infer/engine.h"
#include "infer/lookup.h"
#include "infer/prefix.h"
#include "infer/speculate.h"

struct ae_engine {
    ae_engine_options options;
    ae_arena step;       /* one forward pass */
    ae_arena draft_step; /* one of the draft model */
    ae_sampler sampler;
    ae_speculation speculation;
    ae_prefixes *prefixes; /* NULL: nothing is kept */
};

/* A prompt on its way through the model. Its cache lives until its last reply is done. */
typedef struct {
    const ae_request *request;
    int64_t index; /* of the request */
    ae_kv *kv;
    bool owns_kv;
    int64_t fed; /* prompt tokens computed */
    int64_t n_replies, replies_left;
    bool in_use;
} ae_prompt_run;

typedef struct {
    ae_prompt_run *prompt;
    int64_t reply;
    ae_kv *kv; /* the prompt's own when it has one reply; else a branch, owned */
    bool owns_kv;
    ae_ids history; /* prompt and reply */
    int64_t held;   /* positions of kv that stand: all but the last token drawn */
    ae_rng rng;
    int64_t n_new;
    ae_lookup lookup;
    ae_kv *draft_kv; /* of the draft model; NULL until it guesses for this reply */
    bool owns_draft_kv;
    ae_guess guess;
    ae_hit_rates rates;
    bool in_use;
} ae_reply_run;

/* Rows of a segment whose logits choose a token. */
typedef struct {
    void *owner; /* an ae_prompt_run or ae_reply_run */
    bool is_prompt;
    int32_t wanted, n_wanted; /* the first such row; they are the segment's last */
} ae_pass_part;

/* A token drawn, and the row of the pass whose logits it came from. */
typedef struct {
    int64_t request, reply;
    int32_t row, id;
} ae_draw;

/* What one forward pass computes. */
typedef struct {
    int32_t *ids, *pos, *rows; /* [max_batch] */
    ae_segment *segments;
    ae_kv **caches;
    ae_pass_part *parts; /* [segments] */
    int64_t n_tokens, n_segments;
    int64_t n_prompt, n_replies, sent, held; /* tokens of prompts; replies; guesses, right ones */
    double reading;                          /* seconds that a draft model read prompts */
    int32_t at;                              /* the row whose logits come first now */
    ae_draw *draws; /* [max_batch + max_sequences]; NULL: nobody asks for log-probabilities */
    int64_t n_draws;
    /* [max_sequences]: what guessing needs */
    ae_guess **guesses;
    const ae_hit_rates **rates;
    ae_reply_run **wanting; /* the draft model's guesses */
    int64_t *most;
} ae_pass;

typedef struct {
    ae_engine *engine;
    const ae_request *requests;
    int64_t n_requests, next;
    const ae_engine_events *events;
    ae_engine_stats *stats;
    ae_prompt_run *prompts; /* [max_sequences] */
    ae_reply_run *replies;  /* [max_sequences] */
    int64_t max_batch, max_sequences;
    ae_pass pass;
} ae_run;

int64_t ae_run_context(const ae_run *run, const ae_request *r); /* positions it may take */
/* A cache of the engine's type for a model, the engine's own or its draft model, that may hold
 * `capacity` positions; `prefix` as in ae_kv_new(). */
aerie_status ae_engine_new_kv(ae_kv **out, const ae_engine *e, const ae_net *net, int64_t capacity,
                              const ae_kv *prefix, int64_t prefix_len, aerie_error *err);
/* Texts that are scored: as the public functions, on a cache that `kv` is (NULL: none). */
aerie_status ae_score_log_probs(ae_engine *e, ae_kv *kv, const int32_t *ids, int64_t n, float *logp,
                                aerie_error *err);
aerie_status ae_score_logits(ae_engine *e, ae_kv *kv, const int32_t *ids, int64_t n,
                             ae_logits_fn *fn, void *user, aerie_error *err);
/* One for a rehearsal with the engine's own model. */
aerie_status ae_engine_rehearsal_kv(ae_kv **out, const ae_engine_options *options, int64_t capacity,
                                    aerie_error *err);
/* As ae_engine_new_kv() for the run's model; NULL after a failure. */
ae_kv *ae_run_new_kv(const ae_run *run, int64_t capacity, const ae_kv *prefix, int64_t prefix_len,
                     aerie_error *err);
/* Lets later prompts begin with ids [n], which kv holds. Without memory for it, they don't. */
void ae_run_keep(const ae_run *run, const int32_t *ids, int64_t n, const ae_kv *kv);
void ae_run_release_prompt(ae_prompt_run *p);

/* A reply begins with the draw of its first token, from the prompt's last logits [V]. */
aerie_status ae_reply_start(ae_run *run, ae_prompt_run *p, int64_t index, const float *logits,
                            aerie_error *err);
/* Draws from the logits [1 + guess.sent, V] of a reply's rows: its next token, and another for
 * every guess that held. May end the reply. */
aerie_status ae_reply_advance(ae_run *run, ae_reply_run *r, const float *logits, aerie_error *err);
void ae_reply_release(ae_reply_run *r);

/* Whether replies are guessed by their own past, and by a draft model. */
static inline bool ae_run_looks_up(const ae_run *run)
{
    ae_speculate how = run->engine->options.speculate;
    return how == AE_SPECULATE_AUTO || how == AE_SPECULATE_LOOKUP;
}
static inline bool ae_run_drafts(const ae_run *run)
{
    ae_speculate how = run->engine->options.speculate;
    return run->engine->options.draft && (how == AE_SPECULATE_AUTO || how == AE_SPECULATE_DRAFT);
}

/* Guesses the next tokens of every reply and decides how many the next pass runs. Returns the
 * seconds that a draft model took for them. */
double ae_run_guess(ae_run *run, bool prompts_wait);

/* The draft model's guesses for replies [n], up to most[i] each. A reply that it has no memory for
 * gets none. *seconds gets the time, but for that of reading a prompt. */
void ae_draft_guess(ae_run *run, ae_reply_run *const *replies, const int64_t *most, int64_t n,
                    double *seconds);

/* One forward pass over whatever is ready, and the draws from it. */
aerie_status ae_run_step(ae_run *run, aerie_error *err);

#endif
