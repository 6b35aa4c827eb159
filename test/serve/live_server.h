/* live_server.h -- a whole server with the nursery's model, in the process of a test. */
#ifndef LIVE_SERVER_H
#define LIVE_SERVER_H

#include "serve/serve.h"

/* The one that a test program has. */
typedef struct {
    /* To be set before it starts, 0: the default; borrowed. */
    int64_t parallel; /* replies at once; 4 */
    const ae_serve_adapter *adapters;
    size_t n_adapters;
    int drain;                        /* seconds; 30 */
    const char *ollama, *huggingface; /* folders of models */
    char url[128], store[64];
    int port;
    ae_monitor monitor;
    bool ready, ended;
    aerie_error err;
    ae_thread *thread;
} live_server;

extern live_server server;

/* Fixtures of a group of tests. */
int live_server_start(void **state);
int live_server_stop(void **state);

/* Its end, and another over the same store. Not 0: it does not start. */
void live_server_end(void);
int live_server_begin(void);

#endif
