/* server.c -- which server the commands talk to, and whether it is there. */
#include "cli/server.h"

#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

static aerie_client *client;
static cli_progress waiting;
static const char *waits_for;

void cli_server_says(const char *what)
{
    waits_for = what;
    cli_progress_end(&waiting);
}

static bool wants_stop(void *user)
{
    (void)user;
    if (waits_for) cli_progress_spin(&waiting, waits_for);
    return cli_interrupted();
}

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

aerie_status cli_server(aerie_client **out, aerie_error *err)
{
    const char *name = variable("AERIE_HOST") ? "AERIE_HOST" : "OLLAMA_HOST";
    const aerie_client_options o = { .host = variable(name),
                                     .api_key = variable("AERIE_API_KEY"),
                                     .stop = wants_stop };
    aerie_status status = client ? AERIE_OK : aerie_client_open(&client, &o, err);
    if (status) aerie_error_prefix(err, "$%s", name);
    *out = client;
    return status;
}

static aerie_status nobody(const aerie_client *c, aerie_server_kind kind, aerie_error *err)
{
    const char *url = aerie_client_url(c);
    if (kind == AERIE_SERVER_LOCKED)
        return aerie_fail(err, AERIE_IO,
                          "the server at %.200s wants an API key: put it into $AERIE_API_KEY", url);
    if (kind == AERIE_SERVER_OTHER)
        return aerie_fail(err, AERIE_IO,
                          "what listens at %.200s is not a server of models; $AERIE_HOST says "
                          "where one is",
                          url);
    return aerie_fail(err, AERIE_NOT_FOUND,
                      "no server runs at %.200s; `aerie serve` starts one, $AERIE_HOST names "
                      "another",
                      url);
}

aerie_status cli_server_there(aerie_client **out, aerie_error *err)
{
    aerie_status status = cli_server(out, err);
    if (status) return status;
    aerie_server_kind kind = aerie_client_look(*out);
    return kind >= AERIE_SERVER_OLLAMA ? AERIE_OK : nobody(*out, kind, err);
}

aerie_status cli_server_for_chats(aerie_client **out, aerie_error *err)
{
    bool is_named = variable("AERIE_HOST") != NULL;
    aerie_status status = cli_server(out, err);
    if (status) return status;
    aerie_server_kind kind = aerie_client_look(*out);
    if (kind == AERIE_SERVER_AERIE || (kind == AERIE_SERVER_OLLAMA && is_named)) return AERIE_OK;
    bool must_be = !aerie_client_is_here(*out) || (kind == AERIE_SERVER_LOCKED && is_named);
    if (must_be) return nobody(*out, kind, err);
    *out = NULL;
    return AERIE_OK;
}

aerie_status cli_server_of_store(aerie_client **out, aerie_error *err)
{
    aerie_status status = cli_server(out, err);
    if (status) return status;
    if (aerie_client_is_here(*out)) {
        *out = NULL;
        return AERIE_OK;
    }
    return cli_server_there(out, err);
}

/* ---- requests */

aerie_status cli_server_ask(aerie_client *c, const char *method, const char *path,
                            const json_t *request, char **reply, aerie_error *err)
{
    char *text = json_dumps(request, JSON_COMPACT);
    aerie_status status = text ? aerie_client_ask(c, method, path, text, reply, err)
                               : aerie_fail(err, AERIE_NO_MEMORY, "no memory for a request");
    free(text);
    return status;
}

typedef struct {
    aerie_store_fn *on_event;
    void *user;
} steps;

static bool take_step(void *user, const char *line, size_t len)
{
    const steps *s = user;
    json_t *o = json_loadb(line, len, 0, NULL);
    const char *status = json_string_value(json_object_get(o, "status"));
    const aerie_store_event e = {
        .status = status ? status : "",
        .digest = json_string_value(json_object_get(o, "digest")),
        .total = json_integer_value(json_object_get(o, "total")),
        .completed = json_integer_value(json_object_get(o, "completed")),
    };
    bool more = !s->on_event || s->on_event(s->user, &e);
    json_decref(o);
    return more;
}

aerie_status cli_server_make(aerie_client *c, const char *path, const json_t *request,
                             aerie_store_fn *on_event, void *user, aerie_error *err)
{
    steps s = { on_event, user };
    char *text = json_dumps(request, JSON_COMPACT);
    aerie_status status = text ? aerie_client_stream(c, path, text, take_step, &s, err)
                               : aerie_fail(err, AERIE_NO_MEMORY, "no memory for a request");
    free(text);
    return status;
}
