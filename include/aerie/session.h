/* session.h -- replies: chatting with a model, and many replies at once. */
#ifndef AERIE_SESSION_H
#define AERIE_SESSION_H

#include "aerie/grammar.h"
#include "aerie/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How tokens are chosen; the number is the default. Negative means the default, but for the
 * penalties of presence and frequency; zero switches a filter off. */
typedef struct {
    float temperature;    /* 0.8, by which logits are divided; 0 takes the most likely token */
    int top_k;            /* 40: so many of the most likely tokens stay */
    float top_p;          /* 0.9: as many as together are that likely (nucleus, 1904.09751) */
    float min_p;          /* 0: those at least that share as likely as the likeliest (2407.01082) */
    float typical_p;      /* 1: off; locally typical sampling (2202.00666) */
    float repeat_penalty; /* 1: off; a seen token's logit is divided by it, a negative one
                           * multiplied (CTRL, 1909.05858) */
    float presence_penalty;  /* 0; taken from the logit of a seen token, once (OpenAI's) */
    float frequency_penalty; /* 0; and as often as it was seen */
    int repeat_last_n;       /* 64 tokens are looked back for these three; -1: all; below: 64 */
    uint64_t seed;           /* 0: 42 */
} aerie_sampling;
/* Every field at its default. */
AERIE_API aerie_sampling aerie_sampling_default(void);

/* The numbers among Ollama's options that decide a reply: what a Modelfile's PARAMETER lines and a
 * request's "options" may set, by their names there. `stop` is text, and a seed of 64 bits does not
 * fit a double: they are the caller's. */
typedef struct {
    aerie_sampling sampling;
    int64_t num_ctx;     /* tokens of a prompt and its reply; 0: not said */
    int64_t num_predict; /* tokens of a reply, at most; 0: not said; below: no bound */
} aerie_parameters;
/* Sets the parameter `name` ("temperature", "top_k", "num_ctx", ...). A whole one is cut at its
 * point and goes no further than -1 and what its type holds. False, and nothing is set: there is no
 * such number, or no float is as large as `value`. */
AERIE_API bool aerie_parameters_set(aerie_parameters *p, const char *name, double value);
/* The name of parameter i, and whether it is a whole number (whole may be NULL); NULL past the
 * last. */
AERIE_API const char *aerie_parameter_name(size_t i, bool *whole);

typedef enum {
    AERIE_FINISH_STOP,   /* the model ended its reply */
    AERIE_FINISH_LENGTH, /* max_tokens or the context was reached */
    AERIE_FINISH_CALLER  /* the callback asked to stop */
} aerie_finish;

typedef struct {
    aerie_finish finish;
    int64_t prompt_tokens, reused_tokens, reply_tokens;
    double prompt_seconds, reply_seconds;
    int64_t drafted_tokens, accepted_tokens; /* guessed ahead, and of them right */
    int64_t dropped_messages;                /* see aerie_too_long */
} aerie_reply_stats;

/* Called with text as it comes, whole UTF-8 characters, `len` bytes; false ends the reply. */
typedef bool aerie_text_fn(void *user, const char *text, size_t len);

typedef struct {
    const char *role, *content; /* "system", "user", "assistant" */
} aerie_message;

/* What to do with messages that the context does not hold. */
typedef enum {
    AERIE_TOO_LONG_REFUSE, /* AERIE_TOO_LONG */
    /* Whole messages go, the oldest first, until it fits with a quarter of the context left for the
     * reply (or as much of that as can be had); system messages, the last message and what follows
     * the last of the user's stay. What is left begins with a message of the user. */
    AERIE_TOO_LONG_DROP_OLDEST
} aerie_too_long;

/* Guessing ahead: several tokens are run in one pass where that is faster. It decides how long a
 * reply takes, never what it says. */
typedef enum {
    AERIE_SPECULATE_AUTO,   /* by the text's own past, and by the draft model if there is one */
    AERIE_SPECULATE_LOOKUP, /* by the text's own past alone */
    AERIE_SPECULATE_OFF
} aerie_speculate;

/* Zeroed (or NULL where it is taken) it means every default. */
typedef struct {
    int64_t context;           /* tokens; 0: the model's own length, at most 4096 */
    const char *chat_template; /* Jinja, or the name of a known format ("zephyr"); NULL: the model's
                                * own */
    aerie_speculate speculate;
    /* A smaller model with the same tokenizer, which guesses; it must outlive the session. NULL:
     * none. */
    aerie_model *draft;
    const aerie_grammar *grammar; /* as aerie_session_bind() has it */
    aerie_too_long too_long;
} aerie_session_options;

typedef struct aerie_session aerie_session;

/* A conversation over a model, which must outlive it. `options` may be NULL. */
AERIE_API aerie_status aerie_session_open(aerie_session **out, aerie_model *model,
                                          const aerie_session_options *options, aerie_error *err);
AERIE_API void aerie_session_close(aerie_session *s); /* NULL is fine */
/* Positions that a prompt and its reply may take. */
AERIE_API int64_t aerie_session_context(const aerie_session *s);

/* From now on replies are what the grammar allows and nothing else; NULL: anything. The session
 * keeps a hold of its own. On failure nothing has changed. */
AERIE_API aerie_status aerie_session_bind(aerie_session *s, const aerie_grammar *grammar,
                                          aerie_error *err);

/* From now on the chat template has these variables besides: a JSON object as a text, such as
 * aerie_think_vars() makes; NULL: none. */
AERIE_API aerie_status aerie_session_set_vars(aerie_session *s, const char *vars, aerie_error *err);
/* Whether the template ended the last chat's prompt with "<think>": its reply begins in a thought.
 * Known when the reply's first text comes. */
AERIE_API bool aerie_session_opens_thought(const aerie_session *s);

/* Replies to the messages. What an earlier call of the session already computed is not computed
 * again. max_tokens 0: until the reply ends. sampling, stats may be NULL. */
AERIE_API aerie_status aerie_session_chat(aerie_session *s, const aerie_message *messages,
                                          size_t n_messages, const aerie_sampling *sampling,
                                          int64_t max_tokens, aerie_text_fn *on_text, void *user,
                                          aerie_reply_stats *stats, aerie_error *err);
/* Goes on from a text as it stands, no template. */
AERIE_API aerie_status aerie_session_complete(aerie_session *s, const char *prompt,
                                              const aerie_sampling *sampling, int64_t max_tokens,
                                              aerie_text_fn *on_text, void *user,
                                              aerie_reply_stats *stats, aerie_error *err);

/* Many prompts, several replies each, through one packed batch; a prompt is computed once for all
 * its replies. Every reply is what it would be alone. */
typedef struct {
    const aerie_message *messages;
    size_t n_messages;
} aerie_prompt;

typedef struct {
    int64_t n_replies;  /* of each prompt; 0: 1 */
    int64_t max_tokens; /* of each reply; 0: 256 */
    int64_t context;    /* as in aerie_session_options */
    int64_t parallel;   /* replies at once; 0: 32 */
    /* Prompts that begin alike share what is computed of it; of those that are done, this many
     * tokens are kept. 0: one context; -1: nothing is shared. */
    int64_t prefix_tokens;
    aerie_sampling sampling;
    const char *chat_template;
    aerie_speculate speculate;
    aerie_model *draft; /* as in aerie_session_options */
    /* Called after each finished reply; false stops with AERIE_INTERRUPTED. */
    bool (*progress)(void *user, int64_t done, int64_t total);
    void *user;
} aerie_generate_options;

typedef struct {
    char *text; /* '\0'-terminated */
    int64_t n_tokens;
    aerie_finish finish;
} aerie_reply;

/* *replies [n_prompts * n_replies], prompt by prompt; the caller's, to be freed with
 * aerie_replies_free(). Reply j of prompt i draws from a generator seeded by (seed, i, j). */
AERIE_API aerie_status aerie_generate(aerie_model *model, const aerie_prompt *prompts,
                                      size_t n_prompts, const aerie_generate_options *options,
                                      aerie_reply **replies, aerie_error *err);
AERIE_API void aerie_replies_free(aerie_reply *replies, size_t n);

/* How likely a model finds a reply: the sum over its tokens of their natural log-probabilities. The
 * mean of the difference between two models' sums, over replies that the first one sampled at
 * temperature 1, is an estimate of the KL divergence of the first from the second. */
typedef struct {
    double logprob;
    int64_t n_tokens;
} aerie_reply_likelihood;

/* The reply's text is tokenized anew; `ended`: with the token that ends a reply. chat_template as
 * in aerie_session_options. */
AERIE_API aerie_status aerie_reply_logprob(aerie_model *m, const aerie_message *messages,
                                           size_t n_messages, const char *reply, bool ended,
                                           const char *chat_template, aerie_reply_likelihood *out,
                                           aerie_error *err);

#ifdef __cplusplus
}
#endif
#endif
