/* session.h -- one conversation: a cache that remembers which tokens it holds, so that a prompt
 * which goes on from the last one computes only what is new. */
#ifndef AE_SESSION_H
#define AE_SESSION_H

#include "infer/engine.h"

typedef struct ae_session ae_session;

/* context: positions; 0: the model's own length. The engine must outlive the session. */
aerie_status ae_session_open(ae_session **out, ae_engine *engine, const ae_config *config,
                             int64_t context, aerie_error *err);
void ae_session_close(ae_session *s); /* NULL is fine */
int64_t ae_session_context(const ae_session *s);

/* Replies to the whole prompt `request->prompt` (its kv, n_replies and context are the session's
 * to set). events' request and reply are 0. *reused, unless NULL, gets how many prompt tokens were
 * already there. */
aerie_status ae_session_reply(ae_session *s, const ae_request *request,
                              const ae_engine_events *events, ae_engine_stats *stats,
                              int64_t *reused, aerie_error *err);

#endif
