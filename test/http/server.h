/* server.h -- a server on loopback for tests: every connection has a thread, and what is answered,
 * honest or not, is the test's own function. */
#ifndef AE_TEST_SERVER_H
#define AE_TEST_SERVER_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    char method[16], path[512];
    const char *headers; /* with the first line, '\0'-terminated */
    const char *body;    /* [body_len], '\0'-terminated */
    size_t body_len;
    int number; /* of this request since the server's start, from 1 */
} server_request;

/* Writes the answer to the socket; false: the connection is closed after it. */
typedef bool server_fn(void *user, int fd, const server_request *request);

typedef struct server server;

/* On 127.0.0.1, on a port of the system's choice (port 0) or that one. NULL: it could not. */
server *server_start(int port, server_fn *answer, void *user);
int server_port(const server *s);
/* Requests read so far. */
int server_count(const server *s);
/* The most that were being answered at one time. */
int server_most_at_once(const server *s);
void server_stop(server *s); /* ends every connection and waits for the threads */

/* The value of a header, copied into `out`; false: there is none. */
bool server_header(const server_request *request, const char *name, char *out, size_t size);
void server_write(int fd, const char *text);
/* An answer with Content-Length; `headers` is "" or whole lines with "\r\n". */
void server_answer(int fd, int status, const char *headers, const char *body);
void server_sleep_ms(int ms);

#endif
