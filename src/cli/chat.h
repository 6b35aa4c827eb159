/* chat.h -- a conversation with a model, whoever answers: this process, or a server. */
#ifndef AE_CLI_CHAT_H
#define AE_CLI_CHAT_H

#include "aerie/client.h"
#include "aerie/session.h"
#include "aerie/thoughts.h"
#include "cli/cli.h"

#include <jansson.h>

/* How a reply went. What is not known is 0. */
typedef struct {
    aerie_finish finish;
    int64_t prompt_tokens, reused_tokens, reply_tokens, drafted_tokens, accepted_tokens;
    int64_t dropped_messages; /* that the context did not hold */
    double total_seconds, load_seconds, prompt_seconds, reply_seconds;
} cli_figures;

typedef struct cli_chat cli_chat;

/* Who answers. */
typedef struct {
    /* A reply to the messages, as everything in *c says. A reply that the caller or Ctrl-C ended is
     * AERIE_OK, its finish AERIE_FINISH_CALLER. */
    aerie_status (*reply)(cli_chat *c, aerie_text_fn *on_text, void *user, cli_figures *figures,
                          aerie_error *err);
    /* What /api/show replies of the model; the caller's (aerie_free). */
    aerie_status (*show)(cli_chat *c, char **json, aerie_error *err);
    /* Makes a model: `request` is what /api/create takes. */
    aerie_status (*create)(cli_chat *c, const char *name, const char *request, aerie_error *err);
    void (*close)(cli_chat *c); /* frees `state` */
    bool is_here;               /* it is this process */
} cli_answerer;

/* What an answerer is chosen by. All but `here` and `converses` is for this process to do: whoever
 * says any of it is answered by this process. */
typedef struct {
    cli_common common;
    aerie_speculate speculate;
    const char *draft; /* NULL: none */
    bool here;         /* by this process, whatever else */
    bool converses;    /* the model is about to be talked with: it is loaded at once */
} cli_chat_how;

struct cli_chat {
    const cli_answerer *by; /* NULL: closed */
    void *state;            /* the answerer's */
    const cli_chat_how *how;
    char *model;             /* as the user wrote it */
    char *system;            /* NULL: the model's own */
    json_t *messages;        /* [{role, content}]: the user's and the replies, no system message */
    json_t *options;         /* by Ollama's names, over the model's own parameters */
    json_t *format;          /* what a reply must be: "json" or a schema; NULL: anything */
    char *template_text;     /* Jinja, or a known format's name; NULL: the model's own */
    const char *keep_alive;  /* as Ollama's requests have it; NULL: not said. Borrowed */
    aerie_think think;       /* whether the model should think first */
    const char *think_level; /* how much: "low"; NULL: not said. Static */
    bool hide_thoughts;      /* otherwise they go to stderr as they come */
    bool raw;                /* no template: on from the last message's text as it stands */
};

/* Opens a model for a conversation that begins anew; what *c says of system, options, format and
 * template stays. A model that is open is closed, but not before the new one is known to be there:
 * on failure *c is as it was, or closed. */
aerie_status cli_chat_open(cli_chat *c, const char *model, const cli_chat_how *how,
                           aerie_error *err);
void cli_chat_close(cli_chat *c); /* and frees all that it says */
aerie_status cli_chat_add(cli_chat *c, const char *role, const char *content, aerie_error *err);

/* "json", a file's JSON schema, or a schema itself; *out is the caller's. */
aerie_status cli_read_format(json_t **out, const char *word, aerie_error *err);

/* "", true, false, low, medium, high or max; false: it is none of these, and nothing has changed.
 */
bool cli_read_think(cli_chat *c, const char *word);

/* Thoughts are no part of the reply: they go to stderr, grey on a terminal. */
typedef struct {
    bool hidden;
    bool within; /* a thought's text was the last to come */
} cli_thoughts;
cli_thoughts cli_thoughts_of(const cli_chat *c);
void cli_thoughts_show(cli_thoughts *t, const char *text, size_t len);
void cli_thoughts_end(cli_thoughts *t); /* before what is said, and at the reply's end */

/* What an answerer begins with: chat_local.c, chat_server.c. Of a failure nothing stays. */
aerie_status cli_answer_here(cli_chat *c, aerie_error *err);
/* AERIE_NOT_FOUND when the server does not know the model. */
aerie_status cli_answer_there(cli_chat *c, aerie_client *server, aerie_error *err);

/* Whether it is this process that answers. */
bool cli_chat_is_here(const cli_chat *c);

/* Says on stderr what of a reply is less than was asked for: messages that the context did not
 * hold, a form whose end the reply's length cut off. */
void cli_warn_of_reply(const cli_chat *c, const cli_figures *f);
/* Ollama's figures on stderr, and what aerie knows besides. */
void cli_print_figures(const cli_figures *f);

#endif
