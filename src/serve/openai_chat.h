/* openai_chat.h -- conversations that OpenAI's requests hold. Private to serve. */
#ifndef AE_OPENAI_CHAT_H
#define AE_OPENAI_CHAT_H

#include "serve/chat.h"
#include "serve/openai.h"

/* What the state of such a talk begins with. */
typedef struct {
    ae_chat chat;
    ae_openai_options options;
    json_t *request; /* in the form of /v1/chat/completions; owned */
    char id[48];
    int64_t created; /* seconds since 1970 */
} ae_openai_chat;

/* The request's messages as templates want them, after the Modelfile's system; their contents are
 * made texts in the request too. NULL after a failure. */
json_t *ae_openai_messages(const ae_talk *t, const json_t *request, aerie_error *err);

/* Names the reply, and asks what c->request says: its messages, after the Modelfile's system, its
 * tools and its form; a call that must be made is all that the reply can be. `ask` may have more;
 * `asked` may be NULL. */
aerie_status ae_openai_ask(ae_talk *t, const ae_chat_voice *voice, const char *id_prefix,
                           aerie_ask *ask, aerie_asked *asked, aerie_error *err);
/* The `free` of forms; of a larger state the part that is this. */
void ae_openai_chat_free(void *state);

/* A call of ae_tool_reader as a message has it: {id, type, function: {name, arguments: text}}. */
json_t *ae_openai_call(const json_t *call);
/* Its arguments as a text of JSON. */
json_t *ae_openai_arguments(const json_t *call);

#endif
