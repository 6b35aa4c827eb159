/* scoring.h -- what requests want scored: conversations, each ending with what a reward model is to
 * judge. Private to serve. */
#ifndef AE_SCORING_H
#define AE_SCORING_H

#include "base/base.h"

#include <jansson.h>
#include <stdbool.h>

enum { AE_SCORING_MOST = 2048 }; /* conversations of a request */

typedef struct {
    json_t *chats;     /* [[{role, content}...]...]; owned */
    json_t *documents; /* of a reranking, texts; owned; NULL: none */
    size_t top_n;      /* how many of a reranking are told */
    bool returns_documents;
} ae_scoring;

/* /v1/score: {"messages", "responses"}, where a response is a text, a message or a list of
 * messages;
 * {"messages"} alone, which end with the reply; or vLLM's {"text_1", "text_2"} (also "queries" and
 * "documents"), texts or lists of them, a question and its answer each: one with every one of the
 * others, or pair by pair. Either way *out is the caller's, to be freed. */
aerie_status ae_scoring_read(ae_scoring *out, const json_t *request, aerie_error *err);
/* /v1/rerank: {"query", "documents", "top_n", "return_documents"}, documents being texts or
 * {"text"}. */
aerie_status ae_scoring_read_ranking(ae_scoring *out, const json_t *request, aerie_error *err);
void ae_scoring_free(ae_scoring *s);

#endif
