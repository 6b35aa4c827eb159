/* thinking.h -- what requests say of thoughts that a model writes before its reply. Private to
 * serve. */
#ifndef AE_THINKING_H
#define AE_THINKING_H

#include "serve/reply.h"

#include "aerie/thoughts.h"

/* What a request says of it. Borrows from the request. */
typedef struct {
    aerie_think wish;
    const char *level; /* "low", "high"...; NULL: not said */
    const json_t *own; /* further variables of the template; NULL: none */
} ae_thinking;

/* Ollama's `think`: true, false, "low", "medium", "high" or "max". */
aerie_status ae_thinking_of_ollama(ae_thinking *out, const json_t *request, aerie_error *err);
/* OpenAI's `reasoning_effort` ("none": no thoughts), and `chat_template_kwargs` as vLLM and
 * llama-server have it. */
aerie_status ae_thinking_of_openai(ae_thinking *out, const json_t *request, aerie_error *err);

/* The variables that templates know for it, as a text of JSON (the caller's, aerie_free()); NULL:
 * none. */
aerie_status ae_thinking_vars(char **out, const ae_thinking *thinking, aerie_error *err);

#endif
