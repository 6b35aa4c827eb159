/* routes.c -- the guard, and all routes in one table. */
#include "serve/routes.h"

#include <string.h>

typedef struct {
    const ae_route *routes;
    const size_t *n;
} route_list;

static const route_list lists[] = {
    { ae_routes_plain, &ae_n_routes_plain },
    { ae_routes_ollama_talk, &ae_n_routes_ollama_talk },
    { ae_routes_ollama_store, &ae_n_routes_ollama_store },
    { ae_routes_ollama_make, &ae_n_routes_ollama_make },
    { ae_routes_openai_chat, &ae_n_routes_openai_chat },
    { ae_routes_openai_completions, &ae_n_routes_openai_completions },
    { ae_routes_embed, &ae_n_routes_embed },
    { ae_routes_responses, &ae_n_routes_responses },
    { ae_routes_messages, &ae_n_routes_messages },
    { ae_routes_tokens, &ae_n_routes_tokens },
    { ae_routes_score, &ae_n_routes_score },
    { ae_routes_openai_models, &ae_n_routes_openai_models },
    { ae_routes_metrics, &ae_n_routes_metrics },
};

static const ae_route *find(ae_exchange *x, ae_span *rest, char allowed[64])
{
    const ae_httpd_head *h = ae_exchange_head(x);
    char some[64];
    allowed[0] = '\0';
    for (size_t i = 0; i < AE_COUNT(lists); i++) {
        const ae_route *r =
            ae_router_find(lists[i].routes, *lists[i].n, h->method, h->path, rest, some);
        if (r) return r;
        if (some[0] && !allowed[0]) memcpy(allowed, some, sizeof some);
    }
    return NULL;
}

/* What a page of another origin may be told; only where that origin may ask. */
static void add_cors(ae_exchange *x, ae_span origin)
{
    ae_bytes value = { 0 };
    if (origin.len == 0) return;
    ae_bytes_add(&value, origin.data, origin.len);
    if (!value.failed) ae_exchange_field(x, "Access-Control-Allow-Origin", value.data);
    ae_exchange_field(x, "Vary", "Origin");
    ae_bytes_free(&value);
}

static void preflight(ae_exchange *x)
{
    ae_exchange_field(x, "Access-Control-Allow-Methods", "GET, POST, DELETE, HEAD, OPTIONS");
    ae_exchange_field(
        x, "Access-Control-Allow-Headers",
        "Authorization, Content-Type, User-Agent, Accept, X-Requested-With, X-Api-Key, "
        "Anthropic-Version, Anthropic-Beta, OpenAI-Beta, X-Stainless-Lang, "
        "X-Stainless-Package-Version, "
        "X-Stainless-Os, X-Stainless-Arch, X-Stainless-Runtime, X-Stainless-Runtime-Version, "
        "X-Stainless-Async, X-Stainless-Helper-Method, X-Stainless-Poll-Helper, "
        "X-Stainless-Custom-Poll-Interval, X-Stainless-Retry-Count, X-Stainless-Timeout");
    ae_exchange_field(x, "Access-Control-Max-Age", "43200");
    ae_exchange_reply(x, 204, NULL, (ae_span){ "", 0 });
}

static void not_found(ae_exchange *x, const char *allowed)
{
    if (allowed[0]) {
        ae_exchange_field(x, "Allow", allowed);
        ae_exchange_reply(x, 405, "text/plain", ae_span_text("405 method not allowed"));
    } else
        ae_exchange_reply(x, 404, "text/plain", ae_span_text("404 page not found"));
}

/* The face of a path that may have no route: errors look like those of its neighbours. */
static ae_face face_of(ae_span path)
{
    if (path.len >= 12 && !memcmp(path.data, "/v1/messages", 12)) return AE_FACE_ANTHROPIC;
    return path.len >= 4 && !memcmp(path.data, "/v1/", 4) ? AE_FACE_OPENAI : AE_FACE_OLLAMA;
}

/* Before a body is read: nobody who may not ask can send one. */
void ae_routes_head(void *user, ae_exchange *x)
{
    ae_server *s = user;
    const ae_httpd_head *h = ae_exchange_head(x);
    ae_span origin = ae_httpd_field_of(h, "origin"), rest;
    char allowed[64], id[24];
    ae_face face = face_of(h->path);

    snprintf(id, sizeof id, "req_%016llx", (unsigned long long)ae_exchange_id(x));
    ae_exchange_field(x, "X-Request-Id", id);
    if (!ae_guard_host(&s->guard, h->host)) {
        ae_reply_error(x, face, 403,
                       "the server does not go by this name; start it with --name to allow it");
        return;
    }
    if (!ae_guard_origin(&s->guard, origin)) {
        ae_reply_error(
            x, face, 403,
            "pages of this origin may not ask; start the server with --origin to allow them");
        return;
    }
    add_cors(x, origin);
    if (ae_span_is(h->method, "OPTIONS")) {
        preflight(x);
        return;
    }
    const ae_route *r = find(x, &rest, allowed);
    if (!(r && r->open) && !ae_guard_key(&s->guard, h)) {
        ae_exchange_field(x, "WWW-Authenticate", "Bearer");
        ae_reply_error(x, face, 401, "a key is wanted: Authorization: Bearer KEY");
    } else if (!r)
        not_found(x, allowed);
    else if (r->head)
        r->head(s, x, rest);
}

void ae_routes_request(void *user, ae_exchange *x)
{
    ae_span rest;
    char allowed[64];
    const ae_route *r = find(x, &rest, allowed);
    r->answer(user, x, rest);
}
