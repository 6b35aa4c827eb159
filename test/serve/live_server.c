/* live_server.c -- starts and stops it. */
#include "live_server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

live_server server;

static void on_ready(void *user, const char *url)
{
    (void)user;
    ae_monitor_enter(&server.monitor);
    snprintf(server.url, sizeof server.url, "%s", url);
    server.port = atoi(strrchr(url, ':') + 1);
    server.ready = true;
    ae_monitor_wake(&server.monitor);
    ae_monitor_leave(&server.monitor);
}

static void serve(void *user)
{
    const aerie_places places = { .store = server.store,
                                  .share = "recipes/nursery",
                                  .ollama = server.ollama,
                                  .huggingface = server.huggingface };
    const ae_serve_options o = { .port = -1,
                                 .places = &places,
                                 .threads = 2,
                                 .adapters = server.adapters,
                                 .n_adapters = server.n_adapters,
                                 .parallel = server.parallel ? server.parallel : 4,
                                 .drain_seconds = server.drain,
                                 .ready = on_ready };
    (void)user;
    ae_serve(&o, &server.err);
    ae_monitor_enter(&server.monitor);
    server.ended = true;
    ae_monitor_wake(&server.monitor);
    ae_monitor_leave(&server.monitor);
}

int live_server_begin(void)
{
    server.ready = server.ended = false;
    if (ae_monitor_open(&server.monitor, NULL) ||
        ae_thread_start(&server.thread, "serve", serve, NULL, NULL))
        return 1;
    ae_monitor_enter(&server.monitor);
    while (!server.ready && !server.ended) ae_monitor_wait(&server.monitor, -1);
    ae_monitor_leave(&server.monitor);
    if (server.ended) fprintf(stderr, "%s\n", server.err.message);
    return server.ended;
}

void live_server_end(void)
{
    kill(getpid(), SIGTERM);
    ae_thread_join(server.thread);
    ae_monitor_close(&server.monitor);
}

int live_server_start(void **state)
{
    (void)state;
    snprintf(server.store, sizeof server.store, "/tmp/aerie-test-serve-XXXXXX");
    return mkdtemp(server.store) ? live_server_begin() : 1;
}

int live_server_stop(void **state)
{
    (void)state;
    live_server_end();
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", server.store);
    return system(command);
}
