/* reply.h -- JSON in and out, and errors as each protocol has them. */
#ifndef AE_REPLY_H
#define AE_REPLY_H

#include "serve/router.h"

#include <jansson.h>

/* The body as a JSON object. False when it is none: a reply with 400 was sent. */
bool ae_read_json(json_t **out, ae_exchange *x, ae_face face);

/* The `head` of routes whose JSON the loop itself reads: 1 MiB at most. */
void ae_read_little(ae_server *s, ae_exchange *x, ae_span rest);

/* JSON that is not nested deeper than 128: what reads it calls itself for every level. NULL with a
 * sentence in err. Anything but an object or a list is an error. */
json_t *ae_json_of(ae_span text, aerie_error *err);
json_t *ae_json_object_of(ae_span text, aerie_error *err); /* a list is an error, too */

/* A text of JSON; U+FFFD where the bytes are no UTF-8, such as part of a character. */
json_t *ae_text_json(ae_span text);

/* A whole reply of JSON; takes over `json`. */
void ae_reply_json(ae_exchange *x, int status, json_t *json);
/* A whole reply of JSON as jansson wrote it; takes over `text`. NULL: there was no memory for it.
 */
void ae_reply_text(ae_exchange *x, int status, char *text);

/* An error: the protocol's form, `status`, and a sentence. Before a reply began, with its status;
 * in the midst of one, as the last thing that is said. Ends the exchange. */
void ae_reply_error(ae_exchange *x, ae_face face, int status, const char *format, ...)
    AERIE_PRINTF(4, 5);
/* The same for a failure of the library: 404 for what is not found, 503 for what is busy... */
void ae_reply_failure(ae_exchange *x, ae_face face, const aerie_error *err);
int ae_status_of(aerie_status status);
/* 400, before a reply began, with the word by which OpenAI's clients know that the context was too
 * small. */
void ae_reply_too_long(ae_exchange *x, ae_face face, const char *sentence);

/* ---- streams of objects */
typedef enum {
    AE_LINES, /* one JSON object a line (Ollama) */
    AE_EVENTS /* "data: {...}" and an empty line (server-sent events) */
} ae_stream_form;

/* Begins a stream if it has not begun. */
void ae_stream_begin(ae_exchange *x, ae_stream_form form);
/* Sends an object and takes it over. `event`: the name of a server-sent event, or NULL. */
void ae_stream_send(ae_exchange *x, ae_stream_form form, const char *event, json_t *json);
/* A line as it is, such as "data: [DONE]". */
void ae_stream_text(ae_exchange *x, const char *text);

/* "2026-01-31T12:00:00.123456789Z" */
void ae_time_text(char out[40]);

#endif
