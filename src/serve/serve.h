/* serve.h -- the door of serve: the HTTP face of models, for clients of Ollama and of OpenAI. It
 * translates and decides nothing. */
#ifndef AE_SERVE_H
#define AE_SERVE_H

#include "aerie/hub.h"
#include "base/base.h"

/* An adapter that requests may have laid over a model. */
typedef struct {
    const char *name; /* without '+' */
    const char *spec; /* as aerie_adapter_open() has it */
} ae_serve_adapter;

/* Zero means the default. Everything is borrowed while the server runs. */
typedef struct {
    const char *const *hosts; /* addresses to listen at; none: 127.0.0.1 */
    size_t n_hosts;
    int port; /* 0: 11434; -1: one that is free */
    const aerie_places *places;

    const char *const *keys; /* who asks must have one of these */
    size_t n_keys;
    bool no_key;              /* an address that others can reach may go without */
    const char *const *names; /* by which it may be asked, beside this machine's own */
    size_t n_names;
    const char *const *origins; /* of pages that may ask, beside this machine's own */
    size_t n_origins;

    /* Of models: */
    const ae_serve_adapter *adapters;
    size_t n_adapters;
    int threads;
    const char *cpu, *kv;
    int64_t context;       /* the most that a request may ask for; 0: 4096, or the model's own */
    int64_t parallel;      /* replies at once of a model; 0: 32 */
    int64_t cache_tokens;  /* that they may hold together; 0: 4 contexts */
    int64_t max_queue;     /* requests that may wait for a model; 0: 512 */
    uint64_t memory_bytes; /* of all models; 0: most of what there is */
    int64_t max_models;    /* 0: no bound but the memory */
    double keep_alive;     /* seconds; 0: 300 */

    int max_connections; /* 4096 */
    size_t max_body;     /* bytes of a request; 32 MiB */
    int drain_seconds;   /* that replies under way get when the server is to stop; 30; -1: none */

    /* Called when it listens, with each of its addresses; in tests, the port that was free. */
    void (*ready)(void *user, const char *url);
    void *user;
} ae_serve_options;

/* Serves until SIGINT or SIGTERM: the first lets replies under way end, a second does not. */
aerie_status ae_serve(const ae_serve_options *options, aerie_error *err);

#endif
