/* engine.h -- one model that answers many callers at once, from a thread of its own.
 *
 * Whatever is ready, of every prompt and every reply, goes through the model as one packed row, so
 * that sixteen replies cost little more than one; prompts that begin alike share what is computed
 * of them, now and later. A reply depends on its own ask alone: the same prompt, options and seed
 * give the same bytes alone and among others.
 *
 * aerie_engine_ask() hands over a prompt and returns at once; what becomes of it is told to a
 * callback, on the engine's thread. Every function may be called from any thread, from a callback
 * too (but for aerie_engine_close()). While an engine is open nothing else may compute with its
 * model, or with the draft model. */
#ifndef AERIE_ENGINE_H
#define AERIE_ENGINE_H

#include "aerie/grammar.h"
#include "aerie/session.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct aerie_engine aerie_engine;

/* Zero means the default everywhere. */
typedef struct {
    int64_t context;      /* the most positions of a sequence, prompt and reply; 0: the model's own,
                           * at most 4096 */
    int64_t parallel;     /* replies at once; 0: 32. Others wait their turn */
    int64_t max_batch;    /* tokens of one pass; 0: 512 */
    int64_t cache_tokens; /* positions that all who are answered may take together. Who finds no
                           * room waits. Where replies grow past it, the youngest rests until there
                           * is room again, and then goes on as if nothing had been. 0: parallel *
                           * context */
    int64_t prefix_tokens; /* of texts that are done, kept for those that begin alike; those used
                            * longest ago go first. 0: 4 contexts; -1: none */
    int64_t max_queue;     /* asks that may wait; 0: 512 */
    aerie_speculate speculate;
    aerie_model *draft; /* as in aerie_session_options */
} aerie_engine_options;

/* Starts the engine of a model, which must outlive it (and so must the draft model). Not one byte
 * of memory beyond a plan that the model was opened with: AERIE_NO_MEMORY with what would fit.
 * `options` may be NULL. */
AERIE_API aerie_status aerie_engine_open(aerie_engine **out, aerie_model *model,
                                         const aerie_engine_options *options, aerie_error *err);
/* Cancels whatever is under way (every ask gets its AERIE_EVENT_END before this returns) and joins
 * the thread. Nobody else may be calling. NULL is fine. */
AERIE_API void aerie_engine_close(aerie_engine *e);
/* The options, with the defaults filled in. */
AERIE_API const aerie_engine_options *aerie_engine_settings(const aerie_engine *e);

/* LoRA adapters that are laid over an engine's model for those asks that want them. The weights
 * stay the model's, and asks under other adapters, or none, are answered in the same passes; an
 * adapter brings what is its own, such as a head that scores. */
typedef struct aerie_adapter aerie_adapter;

/* Opens them, "FILE" (GGUF, or a PEFT folder) or "FILE=SCALE" each, one over another in order,
 * while the engine answers others. any_base as aerie_model_options has it. AERIE_UNSUPPORTED when
 * the model was opened with adapters of its own. */
AERIE_API aerie_status aerie_adapter_open(aerie_adapter **out, aerie_engine *e,
                                          const char *const *specs, int n, bool any_base,
                                          aerie_error *err);
/* Every ask with it must have ended, and the engine be open. NULL is fine. */
AERIE_API void aerie_adapter_close(aerie_adapter *a);
/* Bytes that it holds. */
AERIE_API uint64_t aerie_adapter_bytes(const aerie_adapter *a);

/* What an ask wants. All but replies, and replies with prompt_logprobs, is computed with keys and
 * values in float32 (unless the model was opened with a type): the numbers are those of
 * aerie_perplexity() and aerie_score() to the last bit, and a position counts for what it then
 * takes of cache_tokens. */
typedef enum {
    AERIE_ASK_REPLIES,
    AERIE_ASK_LOG_PROBS, /* of the prompt's own tokens: AERIE_EVENT_PROMPT, and no reply */
    AERIE_ASK_EMBEDDING, /* the prompt's hidden states, pooled: AERIE_EVENT_NUMBERS */
    AERIE_ASK_SCORE /* a reward model's score at the prompt's last token: AERIE_EVENT_NUMBERS */
} aerie_ask_kind;

typedef enum {
    AERIE_POOL_MEAN, /* of all tokens */
    AERIE_POOL_LAST,
    AERIE_POOL_FIRST /* "cls" */
} aerie_pooling;

typedef struct {
    int32_t id;
    float bias; /* added to the token's logit; -INFINITY: never */
} aerie_logit_bias;

/* An ask. Zeroed but for a prompt it means every default. Everything is copied. */
typedef struct {
    aerie_ask_kind kind;
    const aerie_adapter *adapter; /* of this engine; borrowed until the ask has ended. NULL: none */

    /* The prompt is one of three. A conversation, JSON: [{"role", "content", "tool_calls"?...}...],
     * written by the chat template: */
    const char *messages;
    const char *tools;         /* JSON list; NULL: none */
    const char *template_vars; /* JSON object of further variables of the template; NULL: none */
    const char *chat_template; /* Jinja, or a known format's name; NULL: the model's */
    bool no_generation_prompt; /* as the messages end, nothing that begins a reply after them */
    bool continue_final;       /* the reply goes on from the last message's text */
    aerie_too_long too_long;
    /* ... or a text as it stands ... */
    const char *text;
    size_t text_len;    /* 0: up to its '\0' */
    const char *suffix; /* what follows the text further on: the reply is what belongs between them,
                         * as models of code know it (aerie_model_inserts()). NULL: nothing */
    aerie_tokenize_options how; /* of text alone */
    /* ... or tokens. */
    const int32_t *ids;
    size_t n_ids;

    int64_t n_replies;  /* that share the prompt; 0: 1; at most the engine's `parallel` */
    int64_t max_tokens; /* of each; 0: as many as the context holds */
    int64_t context;    /* positions, at most the engine's; 0: the engine's */
    const aerie_sampling *sampling; /* NULL: aerie_sampling_default(). Reply i draws from a
                                     * generator seeded by (seed, i) */
    const aerie_logit_bias *bias;
    size_t n_bias;
    const char *const *stop; /* UTF-8; a reply ends before the first of these that it would hold */
    size_t n_stop;
    const aerie_grammar *grammar; /* what a reply may be; NULL: anything */
    bool ignore_eog;              /* go on past tokens that end a reply */
    bool logprobs;         /* of drawn tokens; aerie_reply_token.top has `top_logprobs` of the most
                            * likely */
    bool prompt_logprobs;  /* of the prompt's tokens too: AERIE_EVENT_PROMPT */
    int top_logprobs;      /* 0 .. 20 */
    aerie_pooling pooling; /* of AERIE_ASK_EMBEDDING */
    bool not_normalised;   /* as it is; otherwise its length is 1 */
} aerie_ask;

/* A token and what the model thought of it: natural logarithms under softmax(logits), before
 * biases, penalties, temperature and filters. Borrowed until the callback returns. */
typedef struct {
    int32_t id;
    float logprob;
    const char *bytes; /* what it stands for; not '\0'-terminated, maybe a part of a character */
    size_t len;
} aerie_choice;

typedef struct {
    aerie_choice token;      /* logprob NaN: none was asked for, or it is the prompt's first */
    const aerie_choice *top; /* [n_top], the most likely first */
    size_t n_top;
} aerie_reply_token;

typedef enum {
    AERIE_EVENT_STARTED,  /* it waits no more: prompt_tokens, reused_tokens, dropped_messages */
    AERIE_EVENT_PROMPT,   /* the prompt's next tokens with their log-probabilities: tokens, n_tokens
                           */
    AERIE_EVENT_TEXT,     /* of a reply: text, len (whole characters; maybe none), and the tokens
                           * that end in it */
    AERIE_EVENT_FINISHED, /* of a reply: why, stop, stats */
    AERIE_EVENT_NUMBERS,  /* numbers, n_numbers */
    AERIE_EVENT_END       /* always the last, and exactly one: status, message, stats */
} aerie_event_kind;

/* How a reply, or in AERIE_EVENT_END all of an ask, went. Seconds are by the clock. */
typedef struct {
    int64_t prompt_tokens, reused_tokens; /* reused: not computed, for an earlier text held them */
    int64_t reply_tokens;                 /* drawn; those that end a reply count */
    int64_t drafted_tokens, accepted_tokens;
    double queue_seconds;  /* until it was let in */
    double prompt_seconds; /* from then to the first token */
    double reply_seconds;  /* from then on */
} aerie_ask_stats;

/* Borrowed until the callback returns. */
typedef struct {
    aerie_event_kind kind;
    uint64_t ticket;
    int64_t reply; /* which of the replies */

    const char *text; /* not '\0'-terminated */
    size_t len;
    const aerie_reply_token *tokens;
    size_t n_tokens;

    aerie_finish why;
    const char *stop; /* which of the stop strings ended it; NULL: none */

    const float *numbers;
    size_t n_numbers;

    int64_t prompt_tokens, reused_tokens;
    int64_t dropped_messages;

    aerie_status status; /* AERIE_OK, AERIE_INTERRUPTED (cancelled), or why it failed */
    const char *message; /* a sentence; "" when all is well */
    aerie_ask_stats stats;
} aerie_event;

typedef enum {
    AERIE_GO_ON,
    AERIE_HOLD, /* the reply rests, and keeps its place, until aerie_engine_go_on(): its reader is
                 * slow. A reader that is never done keeps others waiting: give it up in time */
    AERIE_STOP  /* the reply ends here (AERIE_FINISH_CALLER); elsewhere than in AERIE_EVENT_TEXT the
                 * whole ask does (AERIE_INTERRUPTED) */
} aerie_flow;

/* Called on the engine's thread, which computes nothing meanwhile. After AERIE_EVENT_END `user` is
 * never touched again. What it returns for AERIE_EVENT_END does not matter. */
typedef aerie_flow aerie_event_fn(void *user, const aerie_event *event);

/* What became of a call of aerie_engine_ask(); filled as far as it got, on failure too. */
typedef struct {
    uint64_t ticket;
    int64_t prompt_tokens;
    int64_t context; /* positions that the ask may take */
    int64_t dropped_messages;
    bool opens_thought; /* the template ended the prompt with "<think>": the reply begins in one */
} aerie_asked;

/* Takes an ask. AERIE_BUSY: too many wait; come again later. AERIE_TOO_LONG: the context does not
 * hold the prompt (*out has the counts). On any failure there are no events. `out` may be NULL. The
 * first event may come before this returns. */
AERIE_API aerie_status aerie_engine_ask(aerie_engine *e, const aerie_ask *ask, aerie_event_fn *fn,
                                        void *user, aerie_asked *out, aerie_error *err);
/* Cancels what waits, before its prompt is read any further, or before its next tokens: its
 * AERIE_EVENT_END (AERIE_INTERRUPTED) comes before the next pass. Of an ask that has ended it does
 * nothing. */
AERIE_API void aerie_engine_cancel(aerie_engine *e, uint64_t ticket);
/* All replies of the ask that rest go on. To be called after a callback returned AERIE_HOLD, or
 * while it is about to: none is missed. */
AERIE_API void aerie_engine_go_on(aerie_engine *e, uint64_t ticket);

/* The prompt that an ask's messages would be, as the chat template writes it: *text is the caller's
 * (aerie_free), *len its bytes. Nothing is shortened, nothing asked. */
AERIE_API aerie_status aerie_engine_render(aerie_engine *e, const aerie_ask *ask, char **text,
                                           size_t *len, aerie_error *err);

/* Counters since the engine was opened, but for the last four. */
typedef struct {
    uint64_t asks, refused, cancelled, failed; /* refused: AERIE_BUSY */
    uint64_t prompt_tokens;                    /* computed */
    uint64_t reused_tokens;                    /* not computed: held of earlier texts */
    uint64_t reply_tokens, drafted_tokens, accepted_tokens;
    uint64_t passes, pass_tokens;
    double seconds, prompt_seconds, reply_seconds; /* of passes; a mixed one by its tokens */
    int64_t running, waiting;                      /* asks */
    int64_t cache_tokens;                          /* positions that those who run take */
    uint64_t rested_for_room; /* times that a reply had to rest because cache_tokens ran out */
    int64_t prefix_tokens;    /* kept */
} aerie_engine_stats;
AERIE_API void aerie_engine_get_stats(aerie_engine *e, aerie_engine_stats *out);

#ifdef __cplusplus
}
#endif
#endif
