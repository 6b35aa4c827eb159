/* responses.h -- requests of /v1/responses as chats. Private to serve. */
#ifndef AE_RESPONSES_H
#define AE_RESPONSES_H

#include "serve/reply.h"

/* The request in the form of /v1/chat/completions; *out is the caller's. What this server keeps
 * nothing for (previous_response_id, references to items) is refused. */
aerie_status ae_responses_as_chat(json_t **out, const json_t *request, aerie_error *err);

#endif
