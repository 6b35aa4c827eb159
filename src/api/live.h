/* live.h -- what the files of the live engine share. */
#ifndef AE_LIVE_H
#define AE_LIVE_H

#include "aerie/engine.h"
#include "api/api.h"
#include "api/bound.h"

enum {
    LIVE_MOST_TOP = 20,         /* alternatives of a token */
    LIVE_MOST_STOPS = 64,       /* stop strings ... */
    LIVE_MOST_STOP_BYTES = 4096 /* ... and their bytes in all: every token is searched for them */
};

/* A drawn token whose text has not left yet. */
typedef struct {
    ae_chance token;
    int n_top;
    ae_chance top[LIVE_MOST_TOP];
    size_t end; /* of live_reply.text, when it was added */
} live_token;

/* One reply on its way to its reader. */
typedef struct {
    ae_decoder decoder;
    ae_bytes text; /* that has not left: a stop string may begin in it */
    live_token *tokens;
    size_t n_tokens, room;
    live_token next;  /* what the row of the token to come said of it */
    const char *stop; /* that ended it; NULL: none has */
    bool was_told_to_stop;
    int64_t drawn, drafted, accepted;
    double first_token; /* when; 0: not yet */
} live_reply;

typedef struct live_ask live_ask;
struct live_ask {
    aerie_engine *engine;
    live_ask *next; /* of all, newest first */
    live_ask *next_incoming;
    uint64_t ticket;
    aerie_event_fn *fn;
    void *user;

    /* What is asked; the request points into it. */
    ae_arena memory;
    ae_ids prompt;
    ae_request request;
    ae_span *stops;
    size_t n_stops;
    aerie_grammar *grammar; /* NULL: none */
    ae_bound bound;
    ae_constraint constraint;
    int top; /* alternatives of each token; -1: no log-probabilities at all */
    int64_t dropped;
    aerie_pooling pooling;
    bool normalises;
    double *pooled; /* [D] sums, of an embedding */

    live_reply *replies; /* [n_replies] */
    int64_t n_replies, n_started, n_finished;
    int64_t reused;
    double asked_at, let_in_at, first_token_at; /* 0: not yet */
    aerie_status verdict; /* that ends it before the next pass; AERIE_OK: none */
    const char *because;
    uint64_t go_ons_seen;

    /* Under the engine's monitor. */
    bool is_cancelled, is_submitted, is_running;
    uint64_t go_ons;
};

struct aerie_adapter {
    aerie_engine *engine;
    ae_adapter **list;
    int n;
    ae_arena arena; /* the net */
    ae_net net;
    int64_t net_id; /* no other of the engine has had it */
    uint64_t bytes;
};

struct aerie_engine {
    aerie_model *model;
    aerie_engine_options options;
    ae_engine *engine;
    ae_run *run;
    ae_engine_stats spent; /* of the engine's thread */
    bool has_verdicts;     /* some ask has one; the thread's */
    ae_template *chat;     /* the model's own; NULL: it has none */
    ae_thread *thread;
    ae_bytes scratch;       /* of the thread: bytes of tokens ... */
    aerie_reply_token *out; /* [out_room] ... and tokens, as events have them */
    aerie_choice *choices;  /* [out_room * LIVE_MOST_TOP] */
    size_t out_room;

    ae_monitor monitor; /* over all that follows */
    bool is_open, closes, needs_attention;
    ae_token_order *order; /* of the tokenizer; NULL until a grammar wants it */
    live_ask *asks;
    live_ask *incoming, **last_incoming;
    uint64_t next_ticket;
    int64_t n_asks, n_adapters; /* adapters: opened so far */
    aerie_engine_stats stats;
};

/* engine_ask.c: an ask made ready to run; the caller's, to be freed with ae_live_ask_free(). `out`
 * is filled as far as it gets. */
aerie_status ae_live_prepare(live_ask **out, aerie_engine *e, const aerie_ask *ask,
                             aerie_asked *asked, aerie_error *err);
void ae_live_ask_free(live_ask *a); /* NULL is fine */

/* engine_chat.c: the prompt of an ask with messages, written by its own template, or else by
 * `written_by` (NULL: the model's). asked->dropped_messages of them were left out to fit into
 * asked->context; asked->opens_thought. */
aerie_status ae_live_chat(ae_ids *ids, const aerie_model *m, const ae_template *written_by,
                          const aerie_ask *ask, aerie_asked *asked, aerie_error *err);

/* engine_prompt.c: what is told of prompts that want no reply, or their own log-probabilities. */
void ae_live_chances(void *user, int64_t request, int64_t first, int64_t n,
                     const ae_chance *chances);
void ae_live_hidden(void *user, int64_t request, int64_t first, int64_t n, const float *states);
void ae_live_score(void *user, int64_t request, float score);

/* engine_logprob.c: natural logarithms under softmax(logits [V]). */
void ae_live_judge(live_token *t, int32_t id, int n_top, const float *logits, int64_t vocab_size);
/* Tokens as events have them, in e->out. False: no memory. */
bool ae_live_show_tokens(aerie_engine *e, const live_token *tokens, size_t n);

/* engine_reply.c: the events that an ae_run tells of, told to the asks (their names). */
ae_engine_events ae_live_events(aerie_engine *e);
/* The ask ends before the next pass. `because` is not copied. */
void ae_live_doom(live_ask *a, aerie_status status, const char *because);
/* Calls back, with no lock held. */
aerie_flow ae_live_tell(live_ask *a, aerie_event *event);

/* engine.c: what an ask comes to; called on the engine's thread, with no lock held. Frees it. */
void ae_live_end(live_ask *a, aerie_status status, const char *message);
void ae_live_let_in(live_ask *a);
/* The reply rests, unless its reader has said otherwise since it had heard `go_ons` times of it. */
void ae_live_hold(live_ask *a, int64_t reply, uint64_t go_ons);
uint64_t ae_live_go_ons(live_ask *a);

static inline live_ask *ae_live_ask_of(int64_t name)
{
    return (live_ask *)(intptr_t)name;
}
static inline int64_t ae_live_name_of(const live_ask *a)
{
    return (int64_t)(intptr_t)a;
}

#endif
