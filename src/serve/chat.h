/* chat.h -- replies to conversations, whatever protocol they are given in: what a model writes,
 * told apart into text and calls of tools. A protocol says it with a table of functions. Private to
 * serve. */
#ifndef AE_CHAT_H
#define AE_CHAT_H

#include "serve/best.h"
#include "serve/talk.h"
#include "serve/thinking.h"
#include "serve/tool_reader.h"

/* More of a reply. Any of it may be empty. */
typedef struct {
    int64_t reply; /* of n */
    ae_span thinking, text;
    json_t *calls;   /* a list as ae_tool_reader_add() has it */
    size_t n_before; /* calls that the reply had before these */
    json_t *chances; /* ae_chances() of its tokens; NULL: none are wanted */
} ae_chat_piece;

/* How a protocol says it; the exchange is there. */
typedef struct {
    bool lean_chances;           /* ae_chances() without empty lists */
    void (*started)(ae_talk *t); /* the prompt is being read; NULL: nothing is said of it */
    void (*more)(ae_talk *t, const ae_chat_piece *piece);
    void (*finished)(ae_talk *t, int64_t reply); /* after its last piece; NULL: nothing is said */
    void (*end)(ae_talk *t, const aerie_ask_stats *stats); /* after the last reply */
} ae_chat_voice;

/* One of the n replies. */
typedef struct {
    aerie_thoughts *thoughts; /* NULL: all that it writes is text */
    ae_tool_reader reader;
    size_t n_calls;
    bool begun;              /* the protocol's: it has said that the reply begins */
    ae_bytes thinking, text; /* these four: all so far, of a reply that is not streamed */
    json_t *calls;
    json_t *chances;  /* NULL: none are wanted */
    aerie_finish why; /* these two: when it has finished */
    json_t *stop;     /* the stop sequence that ended it; NULL: none did */
} ae_chat_reply;

/* What a talk's state begins with. Zeroed it is closed. */
typedef struct {
    const ae_chat_voice *voice;
    ae_tools tools;         /* whoever opens it reads them, */
    ae_thinking thinking;   /* and this */
    ae_best best;           /* and this, before ae_chat_open() */
    ae_chat_reply *replies; /* [n_replies]; where one is chosen it is the first, when it is told */
    int64_t n_replies;
    int64_t prompt_tokens, reused_tokens, dropped_messages; /* known when it has started */
    int64_t thought_tokens;                                 /* of replies that have finished */
} ae_chat;

/* n_replies: as many as are told. */
aerie_status ae_chat_open(ae_talk *t, const ae_chat_voice *voice, int64_t n_replies, bool logprobs,
                          aerie_error *err);
/* Asks with these messages, and the tools and wishes that were read, where `ask` has the rest. A
 * reply of a form has no thoughts: they would not fit it. `asked` may be NULL. */
aerie_status ae_chat_ask(ae_talk *t, json_t *messages, aerie_ask *ask, aerie_asked *asked,
                         aerie_error *err);
/* What an ask borrows of a conversation, as texts of JSON. */
typedef struct {
    char *messages, *tools, *vars;
    json_t *list;             /* the messages */
    aerie_chat_traits traits; /* of the template */
} ae_chat_prompt;
/* Writes them, as ask's template has a place for them, and lends them to it. */
aerie_status ae_chat_prompt_write(ae_chat_prompt *out, const ae_talk *t, json_t *messages,
                                  const ae_tools *tools, const ae_thinking *thinking,
                                  aerie_ask *ask, aerie_error *err);
void ae_chat_prompt_free(ae_chat_prompt *p);
/* The template that an ask's messages are written by; NULL: the model has none. */
const char *ae_chat_template(const ae_talk *t, const aerie_ask *ask);
void ae_chat_free(ae_chat *c);
/* The `event` of forms whose state begins with an open ae_chat. */
void ae_chat_event(ae_talk *t, size_t n, const aerie_event *e);

/* [{token, logprob, bytes, top_logprobs}] of an event's tokens. lean: without lists of alternatives
 * that are empty, as Ollama has it; OpenAI's clients want them. */
json_t *ae_chances(const aerie_event *e, bool lean);
/* `logprobs` and `top_logprobs` (0 .. 20) of a request, to an ask. */
aerie_status ae_chances_read(aerie_ask *ask, const json_t *request, aerie_error *err);

#endif
