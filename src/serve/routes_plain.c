/* routes_plain.c -- whether the server is there, and what it is. */
#include "serve/server.h"

static void is_running(ae_server *s, ae_exchange *x, ae_span rest)
{
    (void)s, (void)rest;
    /* Word for word: programs look for it to know that they have found Ollama's interface. */
    ae_exchange_reply(x, 200, "text/plain; charset=utf-8", ae_span_text("Ollama is running"));
}

static void version(ae_server *s, ae_exchange *x, ae_span rest)
{
    (void)s, (void)rest;
    ae_reply_json(x, 200,
                  json_pack("{s:s, s:s}", "version", AE_OLLAMA_VERSION, "aerie", AERIE_VERSION));
}

/* Not healthy from the moment that it is told to stop, so that whoever spreads requests over
 * servers sends it no more. */
static void health(ae_server *s, ae_exchange *x, ae_span rest)
{
    (void)rest;
    if (s->draining)
        ae_reply_error(x, AE_FACE_OPENAI, 503, "the server is about to stop");
    else
        ae_reply_json(x, 200, json_pack("{s:s}", "status", "ok"));
}

static void status(ae_server *s, ae_exchange *x, ae_span rest)
{
    (void)s, (void)rest;
    ae_reply_json(x, 200, json_pack("{s:{s:b, s:s}}", "cloud", "disabled", 1, "source", "none"));
}

const ae_route ae_routes_plain[] = {
    { "GET", "/", is_running, AE_FACE_OLLAMA, true, NULL },
    { "GET", "/api/version", version, AE_FACE_OLLAMA, false, NULL },
    { "GET", "/api/status", status, AE_FACE_OLLAMA, false, NULL },
    { "GET", "/health", health, AE_FACE_OPENAI, true, NULL },
    { "GET", "/v1/health", health, AE_FACE_OPENAI, true, NULL },
};
const size_t ae_n_routes_plain = AE_COUNT(ae_routes_plain);
