/* wire.h -- clients of the live server that do what no library of HTTP would. */
#ifndef WIRE_H
#define WIRE_H

#include "live_server.h"

/* A connection that gives up after a minute without a word. */
int wire_dial(void);
/* Sends what goes: the other side may have closed. */
void wire_say(int fd, ae_span bytes);
/* All until the server closes, or until `last` (or NULL) has come; to be freed by ae_free(). */
char *wire_hear(int fd, const char *last);
/* A whole request with a body; its connection is closed afterwards where `closes`. */
void wire_request(ae_bytes *out, const char *method, const char *path, ae_span body, bool closes);
/* A connection's end without a goodbye: what was not read is answered by a reset. */
void wire_reset(int fd);

/* Asks over a connection of its own. Returns the status; 0: it was closed without one. *reply (or
 * NULL): all that came, to be freed by ae_free(). */
int wire_ask(const char *method, const char *path, ae_span body, char **reply);
/* Of the sum over models: "requests_running"; or of the server: "connections". */
double wire_metric(const char *name);
/* Waits until nothing is asked, no position is reserved, no large request is held and nobody else
 * is connected; fails the test after a minute. */
void wire_await_rest(void);

#endif
