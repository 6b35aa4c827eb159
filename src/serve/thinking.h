/* thinking.h -- thoughts that a model writes before its reply: whether it should, and which of what
 * it writes they are. Private to serve. */
#ifndef AE_THINKING_H
#define AE_THINKING_H

#include "serve/reply.h"

typedef enum { AE_THINK_UNSAID, AE_THINK_YES, AE_THINK_NO } ae_think_wish;

/* What a request says of it. Borrows from the request. */
typedef struct {
    ae_think_wish wish;
    const char *level; /* "low", "high"...; NULL: not said */
    const json_t *own; /* further variables of the template; NULL: none */
} ae_thinking;

/* Ollama's `think`: true, false, "low", "medium", "high" or "max". */
aerie_status ae_thinking_of_ollama(ae_thinking *out, const json_t *request, aerie_error *err);
/* OpenAI's `reasoning_effort` ("none": no thoughts), and `chat_template_kwargs` as vLLM and
 * llama-server have it. */
aerie_status ae_thinking_of_openai(ae_thinking *out, const json_t *request, aerie_error *err);

/* The variables that templates know for it, as a text of JSON (the caller's: free()); NULL: none.
 */
char *ae_thinking_vars(const ae_thinking *thinking);

/* Zeroed it takes all for text. */
typedef struct {
    enum { AE_SAYS, AE_BEGINS, AE_THINKS, AE_HAS_THOUGHT } state;
    size_t mark;   /* which pair of marks */
    bool thought;  /* something, already */
    ae_bytes held; /* what may yet be a mark, or white space at a thought's end */
} ae_think_reader;

/* within: the reply begins in a thought, whose mark is the prompt's end. */
void ae_think_begin(ae_think_reader *r, bool within);
/* Reads more of a reply. What is thought for sure goes to `thinking`, what is said to `text`; white
 * space between marks and either is dropped. */
void ae_think_add(ae_think_reader *r, ae_span more, ae_bytes *thinking, ae_bytes *text);
/* The reply is at its end: what was held is what it is now. */
void ae_think_end(ae_think_reader *r, ae_bytes *thinking, ae_bytes *text);
void ae_think_free(ae_think_reader *r);

#endif
