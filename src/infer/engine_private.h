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
    float *logits; /* [V], of a draw with biases or a constraint */
    ae_speculation speculation;
    double prompt_token_seconds; /* what a prompt's token adds to a pass; 0: not known */
    ae_prefixes *prefixes;       /* NULL: nothing is kept */
};

/* A request that was taken, until it is over. */
typedef struct ae_ticket ae_ticket;
struct ae_ticket {
    ae_request request;
    int64_t name;
    int64_t reserved; /* the most positions that it may take */
    ae_dtype kv_type;
    int64_t cost;    /* of a position, in positions of the engine's own type */
    bool has_waited; /* for another prompt, once; then: */
    int64_t awaited; /* its number */
    ae_ticket *next; /* in the queue */
};

/* A prompt on its way through the model. Its cache lives until its last reply is done. */
typedef struct {
    const ae_request *request; /* the ticket's */
    ae_ticket *ticket;         /* owned */
    int64_t index;             /* the ticket's name */
    int64_t number;            /* counts those let in */
    ae_kv *kv;
    bool owns_kv;
    int64_t fed;        /* prompt tokens computed */
    ae_chance *chances; /* [n_prompt - 1, tops]; NULL: none are wanted, or they were handed on */
    int tops;
    int64_t n_replies, replies_left;
    struct ae_reply_run *reply; /* the only one, once it has begun; NULL where there are several */
    bool yields;                /* may be put out (room.c) */
    bool is_out;                /* has given its positions up: kv is NULL */
    bool is_returning;          /* its reply's text is read again; fed counts its tokens */
    bool in_use;
} ae_prompt_run;

typedef struct ae_reply_run {
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
    const ae_constraint *rules; /* the request's */
    void *constraint;           /* its state; NULL: none */
    int64_t drafted, accepted;
    bool in_use, rests;
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
    ae_row_group *groups;
    ae_net net; /* what the rows go through, its groups these where there are several */
    int64_t n_tokens, n_segments;
    int64_t n_prompt, n_replies, sent, held; /* tokens of prompts; replies; guesses, right ones */
    double reading;                          /* seconds that a draft model read prompts */
    int32_t at;                              /* the row whose logits come first now */
    ae_draw *draws; /* [max_batch + max_sequences]; NULL: nobody asks for log-probabilities */
    int64_t n_draws;
    /* [max_sequences]: what guessing needs */
    ae_guess **guesses;
    const ae_hit_rates **rates;
    ae_reply_run **wanting;  /* the draft model's guesses */
    ae_prompt_run **waiting; /* prompts that are not read yet, in the order of reading */
    int64_t *most;
} ae_pass;

struct ae_run {
    ae_engine *engine;
    ae_arena arena;           /* all of the below */
    ae_ticket *first, **last; /* the queue */
    float temperature;        /* of all requests, where log-probabilities are told */
    bool has_temperature;
    ae_engine_events events;
    ae_engine_stats *stats;
    int64_t n_let_in;
    ae_prompt_run *prompts; /* [max_sequences] */
    ae_reply_run *replies;  /* [max_sequences] */
    int64_t max_batch, max_sequences;
    ae_pass pass;
};

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
/* The same of another type than the engine's. */
aerie_status ae_engine_new_kv_of(ae_kv **out, const ae_engine *e, const ae_net *net, ae_dtype type,
                                 int64_t capacity, const ae_kv *prefix, int64_t prefix_len,
                                 aerie_error *err);
/* As ae_engine_new_kv_of() for a request of the run; NULL after a failure. */
ae_kv *ae_run_new_kv(const ae_run *run, const ae_ticket *t, int64_t capacity, const ae_kv *prefix,
                     int64_t prefix_len, aerie_error *err);
/* Lets later prompts begin with ids [n], which kv holds, and takes over what was thought of them
 * (NULL: nothing is known). Without memory for it, they don't. */
void ae_run_keep(const ae_run *run, const ae_prompt_run *p, const int32_t *ids, int64_t n,
                 const ae_kv *kv, ae_chance *chances);
/* Lets in who waits and can be. Fails where a request fails that nobody hears of. */
aerie_status ae_run_admit(ae_run *run, aerie_error *err);
/* What earlier texts hold of ids [n]. */
ae_prefix_found ae_run_earlier(const ae_run *run, const ae_ticket *t, const int32_t *ids,
                               int64_t n);

/* ---- room.c */
bool ae_run_yields(const ae_request *r); /* whether it may be put out */
/* Whether there is room for a request whose text has that length, after slow readers were put out
 * for it. */
bool ae_run_find_room(ae_run *run, const ae_ticket *t, int64_t length);
/* Puts out who has to go so that the replies of the next pass have room. */
void ae_run_keep_within(ae_run *run);
/* Lets those come back for whom there is room; *all: nobody is out but who rests. */
aerie_status ae_run_bring_back(ae_run *run, bool *all, aerie_error *err);
/* Positions that guesses may take in the next pass. */
int64_t ae_run_spare(const ae_run *run);

/* Whether the reply's next token can be computed. */
static inline bool ae_reply_is_awake(const ae_reply_run *r)
{
    return r->in_use && !r->rests && !r->prompt->is_out && !r->prompt->is_returning;
}
/* Tokens of a prompt, or of a reply that returns, that are to be read. */
static inline int64_t ae_prompt_left(const ae_prompt_run *p)
{
    if (!p->in_use || p->is_out) return 0;
    return (p->is_returning ? (int64_t)p->reply->history.len - 1 : p->request->n_prompt) - p->fed;
}

/* Replies being decoded, and those that prompts under way will start. */
int64_t ae_run_sequences(const ae_run *run);
/* 0: nothing is wanted of the prompt's own tokens; else as ae_chances_of() has it. */
static inline int ae_request_tops(const ae_request *r)
{
    return r->wants == AE_WANT_CHANCES || r->tells_prompt ? 1 + r->n_top : 0;
}
static inline const ae_net *ae_request_net(const ae_engine *e, const ae_request *r)
{
    return r->net ? r->net : e->options.net;
}
static inline int64_t ae_request_replies(const ae_request *r)
{
    return r->n_replies > 0 ? r->n_replies : 1;
}
/* A prompt whose replies are done, or are to be dropped, is over. */
void ae_run_end_prompt(ae_run *run, ae_prompt_run *p, aerie_status status, const aerie_error *why);
/* What goes wrong with one request: ends it where somebody hears of that (AERIE_OK); else it goes
 * wrong with all. */
aerie_status ae_run_fail(ae_run *run, ae_prompt_run *p, aerie_status status, aerie_error *why,
                         aerie_error *err);

/* A reply begins with the draw of its first token, from the prompt's last logits [V]. */
aerie_status ae_reply_start(ae_run *run, ae_prompt_run *p, int64_t index, const float *logits,
                            aerie_error *err);
/* Draws from the logits [1 + guess.sent, V] of a reply's rows: its next token, and another for
 * every guess that held. May end the reply. */
aerie_status ae_reply_advance(ae_run *run, ae_reply_run *r, const float *logits, aerie_error *err);
void ae_reply_release(ae_run *run, ae_reply_run *r);

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

/* One forward pass over whatever is ready, and the draws from it; nothing when nothing is. */
aerie_status ae_run_pass(ae_run *run, aerie_error *err);

#endif
