/* serve.c -- the server from its start to its end. */
#include "serve/serve.h"

#include "serve/routes.h"

#include <event2/event.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

enum { WORKERS = 2 }; /* threads that read large requests: one may be the engine's processor */

typedef struct {
    ae_server server;
    struct event *interrupt, *terminate, *deadline;
} running;

static void stop(void *user)
{
    running *r = user;
    ae_loop_stop(r->server.loop);
}

static void on_deadline(evutil_socket_t fd, short what, void *user)
{
    (void)fd, (void)what;
    stop(user);
}

static void on_signal(evutil_socket_t fd, short what, void *user)
{
    running *r = user;
    struct timeval rest = { .tv_sec = r->server.options->drain_seconds };
    (void)fd, (void)what;
    if (rest.tv_sec == 0) rest.tv_sec = 30;
    if (rest.tv_sec < 0) rest.tv_sec = 0;
    if (r->server.draining) {
        stop(r);
        return;
    }
    r->server.draining = true;
    event_add(r->deadline, &rest);
    ae_httpd_drain(r->server.httpd, stop, r);
}

static aerie_status watch_signals(running *r, aerie_error *err)
{
    struct event_base *base = ae_loop_base(r->server.loop);
    r->interrupt = evsignal_new(base, SIGINT, on_signal, r);
    r->terminate = evsignal_new(base, SIGTERM, on_signal, r);
    r->deadline = evtimer_new(base, on_deadline, r);
    if (r->interrupt && r->terminate && r->deadline && !event_add(r->interrupt, NULL) &&
        !event_add(r->terminate, NULL))
        return AERIE_OK;
    return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the server's events");
}

/* As many descriptors as connections may want, of those that the system allows. */
static void take_descriptors(const ae_serve_options *o)
{
    enum {
        OTHERS = 256,
        DEFAULT_CONNECTIONS = 4096
    }; /* files of models, and what libraries open */
    rlim_t wanted =
        (rlim_t)(o->max_connections > 0 ? o->max_connections : DEFAULT_CONNECTIONS) + OTHERS;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= wanted) return;
    limit.rlim_cur =
        limit.rlim_max == RLIM_INFINITY || limit.rlim_max > wanted ? wanted : limit.rlim_max;
    if (!setrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur >= wanted) return;
    ae_log(AERIE_LOG_WARNING,
           "the system allows %lld open files; connections past about %lld wait until others end "
           "(raise it by ulimit -n, or LimitNOFILE= of a unit)",
           (long long)limit.rlim_cur, (long long)limit.rlim_cur - 64);
}

/* An address that others can reach wants a key, or the owner's word that it needs none. */
static aerie_status check_address(const ae_serve_options *o, const char *host, aerie_error *err)
{
    if (ae_guard_is_loopback(host) || o->n_keys || o->no_key) return AERIE_OK;
    return aerie_fail(err, AERIE_BAD_ARGUMENT,
                      "others could use the models through %s: give a key that they must have "
                      "(--api-key-file FILE), or say that everybody may (--no-api-key)",
                      host);
}

static aerie_status listen_all(running *r, int *taken, aerie_error *err)
{
    const ae_serve_options *o = r->server.options;
    static const char *const loopback[] = { "127.0.0.1" };
    const char *const *hosts = o->n_hosts ? o->hosts : loopback;
    size_t n = o->n_hosts ? o->n_hosts : 1;
    aerie_status status = AERIE_OK;
    *taken = o->port == 0 ? 11434 : o->port < 0 ? 0 : o->port;
    for (size_t i = 0; i < n && !status; i++) status = check_address(o, hosts[i], err);
    for (size_t i = 0; i < n && !status; i++)
        status = ae_httpd_listen(r->server.httpd, hosts[i], *taken, taken, err);
    return status;
}

static void tell_ready(const running *r, int port)
{
    const ae_serve_options *o = r->server.options;
    for (size_t i = 0; o->ready && i < (o->n_hosts ? o->n_hosts : 1); i++) {
        const char *host = o->n_hosts ? o->hosts[i] : "127.0.0.1";
        char url[320];
        snprintf(url, sizeof url, strchr(host, ':') ? "http://[%s]:%d" : "http://%s:%d", host,
                 port);
        o->ready(o->user, url);
    }
}

static aerie_status open_server(running *r, aerie_error *err)
{
    const ae_serve_options *o = r->server.options;
    const ae_httpd_limits limits = { .max_connections = o->max_connections,
                                     .max_body = o->max_body };
    const ae_httpd_handler handler = { &r->server, ae_routes_head, ae_routes_request };
    r->server.guard = (ae_guard_rules){ .hosts = o->names,
                                        .n_hosts = o->n_names,
                                        .origins = o->origins,
                                        .n_origins = o->n_origins,
                                        .keys = o->keys,
                                        .n_keys = o->n_keys };
    r->server.began = ae_clock_seconds();
    aerie_status status = ae_loop_open(&r->server.loop, err);
    if (!status) status = ae_workers_open(&r->server.workers, r->server.loop, WORKERS, err);
    if (!status) status = ae_httpd_open(&r->server.httpd, r->server.loop, &limits, &handler, err);
    if (!status) status = watch_signals(r, err);
    const aerie_host_options host = { .memory_bytes = o->memory_bytes,
                                      .max_models = o->max_models,
                                      .keep_alive = o->keep_alive };
    if (!status) status = aerie_host_open(&r->server.host, &host, err);
    return status;
}

/* Whoever is still answered hears of the end, and gives its lease back. */
static void end_talks(running *r)
{
    r->server.closing = true;
    ae_httpd_close(r->server.httpd);
    r->server.httpd = NULL;
    if (r->server.n_talks) ae_loop_run(r->server.loop, NULL);
}

static void close_server(running *r)
{
    end_talks(r);
    aerie_host_close(r->server.host);
    if (r->interrupt) event_free(r->interrupt);
    if (r->terminate) event_free(r->terminate);
    if (r->deadline) event_free(r->deadline);
    ae_workers_close(r->server.workers);
    ae_loop_close(r->server.loop);
}

aerie_status ae_serve(const ae_serve_options *options, aerie_error *err)
{
    running r = { .server = { .options = options } };
    int port;
    take_descriptors(options);
    aerie_status status = open_server(&r, err);
    if (!status) status = listen_all(&r, &port, err);
    if (!status) {
        tell_ready(&r, port);
        status = ae_loop_run(r.server.loop, err);
    }
    close_server(&r);
    return status;
}
