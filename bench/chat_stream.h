/* chat_stream.h -- the client's side of streamed chats: one connection each, none of them waited
 * for; whoever uses them polls. */
#ifndef CHAT_STREAM_H
#define CHAT_STREAM_H

#include "base/base.h"

typedef struct chat_stream chat_stream;

/* A line of the stream that brings text; `text` is JSON. */
typedef void chat_piece_fn(void *user, ae_span text);

/* Zeroed, it is not connected. */
struct chat_stream {
    int fd; /* valid while is_open */
    bool is_open, is_done;
    int status;       /* of the reply; 0: its head has not come */
    int64_t n_tokens; /* that the server says the reply has; 0: it has not said */
    ae_bytes out, in, line;
    size_t sent;
    size_t left; /* of a chunk */
    bool in_body, is_chunked;
    int64_t length; /* of a body that is not chunked */
    chat_piece_fn *fn;
    void *user;
};

/* Connects to a port of this machine. False: it cannot, errno says why. */
bool chat_stream_open(chat_stream *s, int port);
/* Asks for a chat over the open connection; one at a time. `body` is copied. */
void chat_stream_ask(chat_stream *s, const char *path, ae_span body, chat_piece_fn *fn, void *user);
/* What poll() should wait for. */
short chat_stream_wants(const chat_stream *s);
/* Sends and reads what goes without waiting. False: the connection has ended. */
bool chat_stream_go_on(chat_stream *s);
void chat_stream_close(chat_stream *s);

/* The whole body of a GET, for a '\0' behind it; NULL: there is none. To be freed by ae_free(). */
char *chat_get(int port, const char *path);

#endif
