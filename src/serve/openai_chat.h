/* openai_chat.h -- conversations that OpenAI's requests hold. Private to serve. */
#ifndef AE_OPENAI_CHAT_H
#define AE_OPENAI_CHAT_H

#include "serve/openai.h"
#include "serve/tool_reader.h"

/* Asks what a request in the form of OpenAI's chats says: its messages, after the Modelfile's
 * system, and its tools, which are read into *tools. `o` has been read of it; a call that must be
 * made is its grammar then. `ask` may have more; `asked` may be NULL. `request` must outlive
 * *tools. */
aerie_status ae_openai_ask(ae_talk *t, const json_t *request, ae_openai_options *o, ae_tools *tools,
                           aerie_ask *ask, aerie_asked *asked, aerie_error *err);

/* A call of ae_tool_reader as a message has it: {id, type, function: {name, arguments: text}}. */
json_t *ae_openai_call(const json_t *call);
/* Its arguments as a text of JSON. */
json_t *ae_openai_arguments(const json_t *call);

#endif
