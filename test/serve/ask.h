/* ask.h -- the live server asked, and its replies as JSON. It does not name the server itself,
 * whose name http/server.h has for another. */
#ifndef ASK_H
#define ASK_H

#include <jansson.h>
#include <stddef.h>

/* Of the live server: its address, its store's folder; borrowed. */
const char *ask_url(void);
const char *ask_store(void);

/* Fixtures for it, its end, and its new beginning over the same store, with a second for what is
 * under way; see live_server.h. */
int ask_start(void **state);
int ask_start_at(const char *store); /* a folder that is there, and stays */
int ask_stop(void **state);
void ask_end(void);
int ask_begin(void);

/* Sends bytes and takes the reply, which must have the status (0: any). A text of the caller's
 * (ae_free). */
char *send_bytes(const char *method, const char *path, const void *body, size_t len, int status);
/* The same with a text, in which ' stands for "; NULL: without a body. */
char *ask(const char *method, const char *path, const char *body, int status);
/* A POST of `body`, or (NULL) a GET. */
json_t *ask_json(const char *path, const char *body, int status);
void expect_text(const char *path, const char *body, int status, const char *says);

/* What `model` goes on with after "A fox", greedily; the caller's (ae_free). */
char *reply_of(const char *model);

/* The value at "a.0.b"; a text there must be. Borrowed. */
const json_t *at(const json_t *json, const char *path);
const char *text_at(const json_t *json, const char *path);

#endif
