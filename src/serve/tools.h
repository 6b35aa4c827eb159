/* tools.h -- the functions that a request offers to a model, and whether it must call one. Private
 * to serve. */
#ifndef AE_TOOLS_H
#define AE_TOOLS_H

#include "serve/reply.h"

#include "aerie/grammar.h"

typedef struct {
    json_t *list;     /* as chat templates have them; NULL: none are offered */
    const char *only; /* borrowed of the request: this one must be called; NULL: any */
    bool must;        /* a call, and nothing else */
    bool one;         /* at most one call a reply */
} ae_tools;

/* Of a request's `tools` ([{"type": "function", "function": {name, description?, parameters?}}]),
 * `tool_choice` ("none", "auto", "required", or {"type": "function", "function": {name}}) and
 * `parallel_tool_calls`, as OpenAI's chats have them. On failure nothing is owned. */
aerie_status ae_tools_read(ae_tools *out, const json_t *request, aerie_error *err);
void ae_tools_free(ae_tools *tools);

bool ae_tools_has(const ae_tools *tools, const char *name);

/* What a reply may be that must be a call: {"name": ..., "arguments": {...}}, the arguments as the
 * function's parameters say. *out is the caller's; NULL where nothing must be called. */
aerie_status ae_tools_grammar(aerie_grammar **out, const ae_tools *tools, aerie_error *err);

#endif
