/* server.h -- what the routes share. Private to serve. */
#ifndef AE_SERVER_H
#define AE_SERVER_H

#include "serve/guard.h"
#include "serve/reply.h"
#include "serve/serve.h"
#include "serve/workers.h"

#include "aerie/host.h"

typedef struct ae_job ae_job;

struct ae_server {
    const ae_serve_options *options;
    ae_loop *loop;
    ae_httpd *httpd;
    ae_guard_rules guard;
    aerie_host *host;
    size_t n_talks;      /* under way, and jobs */
    ae_workers *workers; /* of requests that are large: */
    size_t n_away;       /* that they have in hand, or that wait for them */
    size_t large_bytes;  /* of the bodies of all that are under way */
    ae_job *jobs;        /* job.h */
    bool draining, closing;
    double began; /* ae_clock_seconds() */
};

/* The version whose interface is spoken to Ollama's clients: some refuse an older one. */
#define AE_OLLAMA_VERSION "0.33.0"

/* The routes, a list a file; all of them in routes.c. */
extern const ae_route ae_routes_plain[];
extern const size_t ae_n_routes_plain;
extern const ae_route ae_routes_openai_completions[], ae_routes_embed[];
extern const size_t ae_n_routes_openai_completions, ae_n_routes_embed;
extern const ae_route ae_routes_openai_models[], ae_routes_metrics[];
extern const size_t ae_n_routes_openai_models, ae_n_routes_metrics;
extern const ae_route ae_routes_ollama_talk[], ae_routes_ollama_store[], ae_routes_openai_chat[];
extern const size_t ae_n_routes_ollama_talk, ae_n_routes_ollama_store, ae_n_routes_openai_chat;
extern const ae_route ae_routes_ollama_make[];
extern const size_t ae_n_routes_ollama_make;
extern const ae_route ae_routes_responses[], ae_routes_messages[];
extern const size_t ae_n_routes_responses, ae_n_routes_messages;
extern const ae_route ae_routes_tokens[], ae_routes_score[];
extern const size_t ae_n_routes_tokens, ae_n_routes_score;

#endif
