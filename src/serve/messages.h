/* messages.h -- requests of Anthropic's /v1/messages as chats. Private to serve. */
#ifndef AE_MESSAGES_H
#define AE_MESSAGES_H

#include "serve/reply.h"

/* The request in the form of /v1/chat/completions; *out is the caller's. *goes_on: it ends with the
 * beginning of the reply. `counts`: only its tokens are wanted, and max_tokens may be left out. */
aerie_status ae_messages_as_chat(json_t **out, bool *goes_on, const json_t *request, bool counts,
                                 aerie_error *err);

#endif
