/* chat_server.c -- conversations that a server answers, by Ollama's interface. */
#include "cli/chat.h"
#include "cli/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    aerie_client *server;
    bool has_seed;       /* among the model's own parameters */
    double load_seconds; /* of the model, until a reply has told of it */
} server_chat;

static const char *text_at(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

/* Takes `request` over. */
static aerie_status ask(const server_chat *s, const char *path, json_t *request, char **reply,
                        aerie_error *err)
{
    aerie_status status = cli_server_ask(s->server, "POST", path, request, reply, err);
    json_decref(request);
    return status;
}

/* ---- a reply */

typedef struct {
    aerie_text_fn *on_text;
    void *user;
    cli_figures *figures;
    bool done, stopped;
    cli_thoughts thoughts;
} coming;

static double seconds_at(const json_t *o, const char *key)
{
    return (double)json_integer_value(json_object_get(o, key)) * 1e-9;
}

static void read_figures(cli_figures *f, const json_t *o)
{
    f->finish =
        strcmp(text_at(o, "done_reason"), "length") ? AERIE_FINISH_STOP : AERIE_FINISH_LENGTH;
    f->prompt_tokens = json_integer_value(json_object_get(o, "prompt_eval_count"));
    f->reply_tokens = json_integer_value(json_object_get(o, "eval_count"));
    f->dropped_messages = json_integer_value(json_object_get(o, "dropped_messages"));
    f->total_seconds = seconds_at(o, "total_duration");
    f->load_seconds += seconds_at(o, "load_duration");
    f->prompt_seconds = seconds_at(o, "prompt_eval_duration");
    f->reply_seconds = seconds_at(o, "eval_duration");
}

static bool on_line(void *user, const char *line, size_t len)
{
    coming *c = user;
    json_t *o = json_loadb(line, len, 0, NULL);
    const json_t *message = json_object_get(o, "message");
    const json_t *text = message ? json_object_get(message, "content") : NULL;
    if (!message) text = json_object_get(o, "response");
    cli_server_says(NULL);
    const json_t *thought = json_object_get(message ? message : o, "thinking");
    cli_thoughts_show(&c->thoughts, json_string_value(thought), json_string_length(thought));
    if (json_string_length(text)) cli_thoughts_end(&c->thoughts);
    if (json_string_length(text))
        c->stopped = !c->on_text(c->user, json_string_value(text), json_string_length(text));
    c->done = json_is_true(json_object_get(o, "done"));
    if (c->done) cli_thoughts_end(&c->thoughts);
    if (c->done) read_figures(c->figures, o);
    json_decref(o);
    return !c->stopped;
}

static json_t *options_of(const cli_chat *c)
{
    const server_chat *s = c->state;
    json_t *options = json_copy(c->options);
    /* A server takes a seed by chance where nobody names one; here it is the same every time. */
    if (!s->has_seed && !json_object_get(options, "seed"))
        json_object_set_new(options, "seed", json_integer(42));
    return options;
}

static json_t *messages_of(const cli_chat *c)
{
    json_t *all = json_array();
    if (c->system)
        json_array_append_new(all, json_pack("{s:s, s:s}", "role", "system", "content", c->system));
    json_array_extend(all, c->messages);
    return all;
}

static json_t *request_of(const cli_chat *c)
{
    const json_t *last = json_array_get(c->messages, json_array_size(c->messages) - 1);
    json_t *o =
        json_pack("{s:s, s:b, s:o}", "model", c->model, "stream", 1, "options", options_of(c));
    if (c->raw) {
        json_object_set_new(o, "raw", json_true());
        json_object_set(o, "prompt", json_object_get(last, "content"));
    } else
        json_object_set_new(o, "messages", messages_of(c));
    if (c->think)
        json_object_set_new(o, "think",
                            c->think_level ? json_string(c->think_level)
                                           : json_boolean(c->think == AERIE_THINK_YES));
    if (c->format) json_object_set(o, "format", c->format);
    if (c->template_text) json_object_set_new(o, "template", json_string(c->template_text));
    if (c->keep_alive) json_object_set_new(o, "keep_alive", json_string(c->keep_alive));
    return o;
}

static aerie_status reply(cli_chat *c, aerie_text_fn *on_text, void *user, cli_figures *figures,
                          aerie_error *err)
{
    server_chat *s = c->state;
    aerie_error why = { 0 };
    *figures = (cli_figures){ .load_seconds = s->load_seconds };
    coming to = {
        .on_text = on_text, .user = user, .figures = figures, .thoughts = cli_thoughts_of(c)
    };
    json_t *request = request_of(c);
    char *text = json_dumps(request, JSON_COMPACT);
    json_decref(request);
    if (!text) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a request");
    if (!c->how->common.quiet) cli_server_says("waiting");
    aerie_status status = aerie_client_stream(s->server, c->raw ? "/api/generate" : "/api/chat",
                                              text, on_line, &to, &why);
    cli_server_says(NULL);
    cli_thoughts_end(&to.thoughts);
    free(text);
    s->load_seconds = 0;
    if (status == AERIE_INTERRUPTED) {
        figures->finish = AERIE_FINISH_CALLER;
        return AERIE_OK;
    }
    if (status) return aerie_fail(err, status, "%s", why.message);
    if (!to.done)
        return aerie_fail(err, AERIE_IO, "the server at %.200s ended before its reply did",
                          aerie_client_url(s->server));
    return AERIE_OK;
}

/* ---- the model */

static aerie_status show(cli_chat *c, char **json, aerie_error *err)
{
    const server_chat *s = c->state;
    return ask(s, "/api/show", json_pack("{s:s}", "model", c->model), json, err);
}

static aerie_status create(cli_chat *c, const char *name, const char *request, aerie_error *err)
{
    const server_chat *s = c->state;
    const aerie_create_options here = { .local = true };
    if (aerie_client_is_here(s->server))
        return aerie_store_create(cli_places(), name, request, &here, err);
    json_t *o = json_loads(request, 0, NULL);
    json_object_set_new(o, "model", json_string(name));
    aerie_status status = cli_server_make(s->server, "/api/create", o, NULL, NULL, err);
    json_decref(o);
    return status;
}

static void close_chat(cli_chat *c)
{
    ae_free(c->state);
}

static const cli_answerer answerer = { reply, show, create, close_chat, false };

/* Whether one of the lines "name   value" of a model's parameters is of that name. */
static bool has_parameter(const char *lines, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = lines; at && *at; at = strchr(at, '\n')) {
        at += *at == '\n';
        if (!strncmp(at, name, len) && at[len] == ' ') return true;
    }
    return false;
}

static aerie_status load(cli_chat *c, aerie_error *err)
{
    server_chat *s = c->state;
    double began = ae_clock_seconds();
    json_t *request = json_pack("{s:s}", "model", c->model);
    if (c->keep_alive) json_object_set_new(request, "keep_alive", json_string(c->keep_alive));
    if (!c->how->common.quiet) cli_server_says("loading");
    aerie_status status = ask(s, "/api/generate", request, NULL, err);
    cli_server_says(NULL);
    s->load_seconds = ae_clock_seconds() - began;
    return status;
}

aerie_status cli_answer_there(cli_chat *c, aerie_client *server, aerie_error *err)
{
    char *text = NULL;
    server_chat *s = c->state = ae_alloc(1, sizeof *s);
    if (!s) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a conversation");
    s->server = server;
    aerie_status status = show(c, &text, err);
    json_t *o = status ? NULL : json_loads(text, 0, NULL);
    s->has_seed = has_parameter(text_at(o, "parameters"), "seed");
    json_decref(o);
    aerie_free(text);
    if (!status && c->how->converses) status = load(c, err);
    if (!status) {
        c->by = &answerer;
        return AERIE_OK;
    }
    ae_free(s);
    c->state = NULL;
    return status;
}
