/* ollama_context.h -- the `context` of /api/generate: what was said so far, as tokens that a client
 * gives back to go on from them. Private to serve. */
#ifndef AE_OLLAMA_CONTEXT_H
#define AE_OLLAMA_CONTEXT_H

#include "serve/chat.h"

/* The prompt that these messages are, as the chat template writes it; the caller's (aerie_free). */
aerie_status ae_ollama_render(ae_talk *t, json_t *messages, const ae_thinking *thinking,
                              const char *chat_template, char **text, size_t *len,
                              aerie_error *err);
/* A prompt's tokens as a list, after those of `before` (or NULL), which is the request's. */
aerie_status ae_ollama_context(json_t **out, const ae_talk *t, const json_t *before,
                               const char *prompt, size_t len, aerie_error *err);
/* Asks with such a list as the prompt. */
aerie_status ae_ollama_ask_context(ae_talk *t, const json_t *context, aerie_ask *ask,
                                   aerie_error *err);
/* The tokens of an event of a reply, after the list's. */
void ae_ollama_context_add(json_t *context, const aerie_event *e);

#endif
