/* chat.c -- conversations: who answers, and what they are made of. */
#include "cli/chat.h"

#include "cli/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Said of how to compute: nothing that a server could be told. */
static bool is_for_this_process(const cli_chat_how *how)
{
    const cli_common *c = &how->common;
    return how->here || how->draft || how->speculate != AERIE_SPECULATE_AUTO || c->threads ||
           c->cpu || c->pin || c->exact || c->kv || c->force || c->adapters.n;
}

static bool is_file(const char *model)
{
    const aerie_stored *stored = NULL;
    bool is = !cli_resolve(&stored, model, NULL) && !strcmp(stored->where, "file");
    aerie_stored_free(stored);
    return is;
}

/* The server when it is to answer. A model that it does not know may be known here, but not when
 * the server is another machine's: then it was meant. */
static aerie_status answer(cli_chat *c, aerie_error *err)
{
    aerie_client *server = NULL;
    aerie_error why = { 0 };
    if (is_for_this_process(c->how) || is_file(c->model)) return cli_answer_here(c, err);
    aerie_status status = cli_server_for_chats(&server, err);
    if (status || !server) return status ? status : cli_answer_here(c, err);
    status = cli_answer_there(c, server, &why);
    if (status == AERIE_NOT_FOUND && aerie_client_is_here(server)) return cli_answer_here(c, err);
    return status ? aerie_fail(err, status, "%s", why.message) : AERIE_OK;
}

static void let_go(cli_chat *c)
{
    if (c->by) c->by->close(c);
    c->by = NULL;
    c->state = NULL;
}

aerie_status cli_chat_open(cli_chat *c, const char *model, const cli_chat_how *how,
                           aerie_error *err)
{
    char *name = ae_strdup(model);
    if (!name) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a conversation");
    let_go(c);
    ae_free(c->model);
    c->model = name;
    c->how = how;
    if (!c->options) c->options = json_object();
    json_decref(c->messages);
    c->messages = json_array();
    return answer(c, err);
}

void cli_chat_close(cli_chat *c)
{
    let_go(c);
    ae_free(c->model);
    ae_free(c->system);
    ae_free(c->template_text);
    json_decref(c->messages);
    json_decref(c->options);
    json_decref(c->format);
    *c = (cli_chat){ 0 };
}

bool cli_chat_is_here(const cli_chat *c)
{
    return c->by->is_here;
}

aerie_status cli_chat_add(cli_chat *c, const char *role, const char *content, aerie_error *err)
{
    json_t *one = json_pack("{s:s, s:s}", "role", role, "content", content);
    if (one && !json_array_append_new(c->messages, one)) return AERIE_OK;
    return aerie_fail(err, AERIE_BAD_TEXT,
                      "the message is not UTF-8 text, or there is no memory for it");
}

static aerie_status parse_schema(json_t **out, ae_span text, const char *word, aerie_error *err)
{
    json_error_t why;
    *out = json_loadb(text.data ? text.data : "", text.len, 0, &why);
    if (json_is_object(*out)) return AERIE_OK;
    json_decref(*out);
    *out = NULL;
    return aerie_fail(err, AERIE_BAD_TEXT, "%.100s: no JSON schema (line %d): %s", word, why.line,
                      *why.text ? why.text : "it is not an object");
}

aerie_status cli_read_format(json_t **out, const char *word, aerie_error *err)
{
    ae_bytes text = { 0 };
    aerie_status status;
    *out = NULL;
    if (!strcmp(word, "json")) {
        *out = json_string(word);
        return *out ? AERIE_OK : aerie_fail(err, AERIE_NO_MEMORY, "out of memory");
    }
    if (*word == '{') return parse_schema(out, ae_span_text(word), "--format", err);
    if (!ae_file_exists(word))
        return aerie_fail(err, AERIE_NOT_FOUND,
                          "a format is json, or a JSON schema or its file; there is no file %.200s",
                          word);
    status = ae_file_read(&text, word, 16 << 20, err);
    if (!status) status = parse_schema(out, ae_span_of(&text), word, err);
    ae_bytes_free(&text);
    return status;
}

/* ---- thoughts */

bool cli_read_think(cli_chat *c, const char *word)
{
    static const struct {
        const char *word, *level;
        aerie_think think;
    } words[] = {
        { "", NULL, AERIE_THINK_YES },           { "true", NULL, AERIE_THINK_YES },
        { "false", NULL, AERIE_THINK_NO },       { "low", "low", AERIE_THINK_YES },
        { "medium", "medium", AERIE_THINK_YES }, { "high", "high", AERIE_THINK_YES },
        { "max", "max", AERIE_THINK_YES },
    };
    for (size_t i = 0; i < AE_COUNT(words); i++)
        if (!strcmp(words[i].word, word)) {
            c->think = words[i].think;
            c->think_level = words[i].level;
            return true;
        }
    return false;
}

cli_thoughts cli_thoughts_of(const cli_chat *c)
{
    return (cli_thoughts){ .hidden = c->hide_thoughts || c->how->common.quiet };
}

void cli_thoughts_show(cli_thoughts *t, const char *text, size_t len)
{
    if (t->hidden || len == 0) return;
    if (!t->within)
        fputs(isatty(STDERR_FILENO) ? "\x1b[90mThinking...\n" : "Thinking...\n", stderr);
    t->within = true;
    fwrite(text, 1, len, stderr);
}

void cli_thoughts_end(cli_thoughts *t)
{
    if (t->within)
        fputs(isatty(STDERR_FILENO) ? "\n...done thinking.\x1b[0m\n\n" : "\n...done thinking.\n\n",
              stderr);
    t->within = false;
}
