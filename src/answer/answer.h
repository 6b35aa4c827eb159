/* answer.h -- the door of answer: many conversations, answered by a model here or by a server.
 *
 * Several are under way at once; what is asked next may depend on what has been answered. */
#ifndef AE_ANSWER_H
#define AE_ANSWER_H

#include "aerie/engine.h"
#include "base/base.h"

#include <jansson.h>

/* Who answers: `path`, or `url` with `name`. Zero means the default elsewhere. */
typedef struct {
    const char *path;                /* of weights */
    aerie_model *opened;             /* those weights, if they are open already; borrowed */
    const aerie_model_options *load; /* adapters, threads, ...; NULL: every default */
    const char *chat_template;       /* Jinja, or a known format's name; NULL: the model's */
    int64_t context;                 /* tokens of a prompt and its reply; 0: as engines have it */

    const char *url;        /* "http://localhost:11434/v1": an OpenAI-compatible server */
    const char *name;       /* as that server calls the model */
    const char *key;        /* sent as "Authorization: Bearer" to that server alone; NULL: none */
    const char *request;    /* a JSON object laid over every request; null takes a key out */
    double timeout_seconds; /* without a byte; 0: 300 */
    int max_retries;        /* of a request whose answer is 429, 5xx or none; 0: 8; -1: none */

    int64_t parallel; /* replies at once; 0: 8 of a model here, 4 of a server */
} ae_answerer;

typedef struct {
    size_t id;      /* the asker's */
    char *messages; /* a JSON list from json_dumps(); who answers lets go of it with free().
                     * NULL: there is none now */
    aerie_sampling sampling; /* servers are told temperature, top_p and seed */
    int64_t max_tokens;
    const char *const *stop; /* borrowed until it is answered */
    size_t n_stop;
    const aerie_grammar *grammar; /* of a model here; NULL: anything. Borrowed likewise */
    int top_logprobs;             /* of the reply's first token, the likeliest; 0 .. 20 */
} ae_question;

/* Borrowed until the callback returns. */
typedef struct {
    size_t id;
    const char *text;   /* '\0'-terminated; "" when it failed */
    const char *failed; /* why there is no reply to this question; NULL: there is one */
    bool cut;           /* its length ended it */
    /* [[token, log-probability], ...] of the first token, the likeliest first, before a grammar;
     * NULL: nobody asked, or the server gives none. */
    const json_t *top_logprobs;
    int64_t prompt_tokens, reply_tokens;
    double first_seconds; /* until its first text */
    double seconds;       /* until its end */
} ae_answer;

typedef struct {
    void *user;
    /* The next question; called again after each answer, until it gives none and none is under
     * way. */
    aerie_status (*next)(void *user, ae_question *out, aerie_error *err);
    aerie_status (*take)(void *user, const ae_answer *answer, aerie_error *err);
    bool (*go_on)(void *user); /* asked every now and then; false: AERIE_INTERRUPTED */
} ae_answer_work;

typedef struct {
    double seconds;        /* of answering, loading left out */
    uint64_t memory_bytes; /* resident while a model here answered, at most */
} ae_answer_totals;

/* A failure that concerns more than one question ends it; what was answered has been taken. `out`
 * may be NULL; it is filled as far as it got. */
aerie_status ae_answer_all(const ae_answerer *who, const ae_answer_work *work,
                           ae_answer_totals *out, aerie_error *err);

#endif
