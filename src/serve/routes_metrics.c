/* routes_metrics.c -- /metrics, in Prometheus' text format. */
#include "serve/server.h"

#include <string.h>

static void head(ae_bytes *out, const char *name, const char *type, const char *help)
{
    ae_bytes_printf(out, "# HELP aerie_%s %s\n# TYPE aerie_%s %s\n", name, help, name, type);
}

static void value(ae_bytes *out, const char *name, double v)
{
    ae_bytes_printf(out, "aerie_%s %.17g\n", name, v);
}

/* What every open model has one of. */
static const struct {
    const char *name, *type, *help;
} of_models[] = {
    { "requests_total", "counter", "asks that the model was given" },
    { "requests_refused_total", "counter", "asks refused because too many waited" },
    { "requests_cancelled_total", "counter", "asks whose client left" },
    { "requests_failed_total", "counter", "asks that failed" },
    { "requests_running", "gauge", "asks being answered" },
    { "requests_waiting", "gauge", "asks that wait their turn" },
    { "prompt_tokens_total", "counter", "prompt tokens computed" },
    { "prompt_tokens_reused_total", "counter", "prompt tokens that earlier texts held" },
    { "reply_tokens_total", "counter", "tokens drawn" },
    { "drafted_tokens_total", "counter", "tokens guessed ahead" },
    { "accepted_tokens_total", "counter", "guesses that held" },
    { "passes_total", "counter", "passes through the model" },
    { "prompt_seconds_total", "counter", "seconds of passes, spent on prompts" },
    { "reply_seconds_total", "counter", "seconds of passes, spent on replies" },
    { "cache_tokens", "gauge", "positions that running asks take" },
    { "rested_for_room_total", "counter", "times that a reply rested because those ran out" },
    { "prefix_tokens", "gauge", "positions kept of earlier texts" },
    { "model_bytes", "gauge", "memory that the model may take" },
};

static double of_model(size_t i, const aerie_place_info *m)
{
    const aerie_engine_stats *s = &m->stats;
    const double values[AE_COUNT(of_models)] = {
        (double)s->asks,
        (double)s->refused,
        (double)s->cancelled,
        (double)s->failed,
        (double)s->running,
        (double)s->waiting,
        (double)s->prompt_tokens,
        (double)s->reused_tokens,
        (double)s->reply_tokens,
        (double)s->drafted_tokens,
        (double)s->accepted_tokens,
        (double)s->passes,
        s->prompt_seconds,
        s->reply_seconds,
        (double)s->cache_tokens,
        (double)s->rested_for_room,
        (double)s->prefix_tokens,
        (double)m->bytes,
    };
    return values[i];
}

/* A label's value: no quote, backslash or line end as it is. */
static void add_label(ae_bytes *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') ae_bytes_add_char(out, '\\');
        ae_bytes_add_char(out, (unsigned char)*text < ' ' ? ' ' : *text);
    }
}

typedef struct {
    ae_bytes *out;
    size_t which;
} one_metric;

static void add_model(void *user, const aerie_place_info *info)
{
    const one_metric *m = user;
    if (info->state != AERIE_PLACE_OPEN || info->shares_engine) return;
    ae_bytes_printf(m->out, "aerie_%s{model=\"", of_models[m->which].name);
    add_label(m->out, info->name);
    ae_bytes_printf(m->out, "\"} %.17g\n", of_model(m->which, info));
}

static void add_server(ae_bytes *out, ae_server *s)
{
    ae_httpd_counts c = ae_httpd_count(s->httpd);
    uint64_t used, bound;
    aerie_host_memory(s->host, &used, &bound);
    head(out, "uptime_seconds", "gauge", "since the server began");
    value(out, "uptime_seconds", ae_clock_seconds() - s->began);
    head(out, "connections", "gauge", "open connections");
    value(out, "connections", (double)c.connections);
    head(out, "connections_total", "counter", "connections accepted");
    value(out, "connections_total", (double)c.accepted);
    head(out, "connections_starved_total", "counter", "times that no descriptor was left for one");
    value(out, "connections_starved_total", (double)c.starved);
    head(out, "http_requests_total", "counter", "requests whose head was whole");
    value(out, "http_requests_total", (double)c.requests);
    head(out, "http_refused_total", "counter", "messages that were no good request");
    value(out, "http_refused_total", (double)c.refused);
    head(out, "clients_vanished_total", "counter", "clients that left before their reply");
    value(out, "clients_vanished_total", (double)c.vanished);
    head(out, "large_requests_read", "gauge", "large requests being read, beside all others");
    value(out, "large_requests_read", (double)s->n_away);
    head(out, "large_requests_bytes", "gauge", "bytes of large requests that are under way");
    value(out, "large_requests_bytes", (double)s->large_bytes);
    head(out, "received_bytes_total", "counter", "bytes of bodies received");
    value(out, "received_bytes_total", (double)c.bytes_in);
    head(out, "sent_bytes_total", "counter", "bytes of replies sent");
    value(out, "sent_bytes_total", (double)c.bytes_out);
    head(out, "models_bytes", "gauge", "memory that open models may take");
    value(out, "models_bytes", (double)used);
    head(out, "models_bytes_bound", "gauge", "memory that all models may take");
    value(out, "models_bytes_bound", (double)bound);
}

static void answer(ae_server *s, ae_exchange *x, ae_span rest)
{
    ae_bytes out = { 0 };
    (void)rest;
    add_server(&out, s);
    for (size_t i = 0; i < AE_COUNT(of_models); i++) {
        one_metric m = { &out, i };
        head(&out, of_models[i].name, of_models[i].type, of_models[i].help);
        aerie_host_list(s->host, add_model, &m);
    }
    if (out.failed)
        ae_reply_error(x, AE_FACE_OPENAI, 503, "no memory for the metrics");
    else
        ae_exchange_reply(x, 200, "text/plain; version=0.0.4; charset=utf-8", ae_span_of(&out));
    ae_bytes_free(&out);
}

const ae_route ae_routes_metrics[] = {
    { "GET", "/metrics", answer, AE_FACE_OPENAI, false, NULL },
};
const size_t ae_n_routes_metrics = AE_COUNT(ae_routes_metrics);
