/* server.h -- what the routes share. Private to serve. */
#ifndef AE_SERVER_H
#define AE_SERVER_H

#include "serve/guard.h"
#include "serve/reply.h"
#include "serve/serve.h"

struct ae_server {
    const ae_serve_options *options;
    ae_loop *loop;
    ae_httpd *httpd;
    ae_guard_rules guard;
    bool draining;
    double began; /* ae_clock_seconds() */
};

/* The version whose interface is spoken to Ollama's clients: some refuse an older one. */
#define AE_OLLAMA_VERSION "0.33.0"

/* The routes, a list a file; all of them in routes.c. */
extern const ae_route ae_routes_plain[];
extern const size_t ae_n_routes_plain;

#endif
