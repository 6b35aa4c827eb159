/* tool_reader.h -- the calls of tools in what a model writes. Private to serve.
 *
 * Known forms: <tool_call>{"name", "arguments"}</tool_call> (Hermes, Qwen), <|python_tag|>{"name",
 * "parameters"} (Llama 3.1), [TOOL_CALLS] [{"name", "arguments"}...] and
 * [TOOL_CALLS]name[ARGS]{...} (Mistral), and the same objects or list alone at the reply's
 * beginning, as they are or in a fence of three backticks, where they name tools that there are.
 * Anything else is the reply's text. */
#ifndef AE_TOOL_READER_H
#define AE_TOOL_READER_H

#include "serve/tools.h"

/* Where one value of JSON ends. */
typedef struct {
    size_t at; /* bytes looked at */
    int depth;
    bool string, escaped;
} ae_json_scan;

typedef struct {
    const ae_tools *tools; /* borrowed; without a list all is text */
    ae_bytes held;         /* what may yet be a call */
    size_t value;          /* in `held`: where the value of JSON begins, or would */
    size_t name, name_len; /* in `held`: the name that stands before the arguments; 0: none does */
    size_t mark;           /* the form's, where there is one before the value */
    bool in_value, marked; /* marked: by one that says that this is a call */
    bool fenced;           /* the last call was */
    bool said, after_call; /* said: some text. after_call: nothing but calls since the last */
    ae_json_scan scan;
    uint64_t seed; /* of the calls' ids; any number */
    size_t n_calls;
} ae_tool_reader;

/* Reads more of a reply. What is text for sure is appended to `text`; every call that is whole to
 * `calls`: {"id": "call_" and 8 of [a-z0-9], "name", "arguments": object}. */
void ae_tool_reader_add(ae_tool_reader *r, ae_span more, ae_bytes *text, json_t *calls);
/* The reply is at its end: what was held is text now. */
void ae_tool_reader_end(ae_tool_reader *r, ae_bytes *text);
void ae_tool_reader_free(ae_tool_reader *r);

#endif
