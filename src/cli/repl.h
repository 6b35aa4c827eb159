/* repl.h -- a conversation on a terminal. */
#ifndef AE_REPL_H
#define AE_REPL_H

#include "aerie/session.h"
#include "cli/stored.h"

typedef struct {
    aerie_model *model;
    aerie_session *session;
    const char *name;   /* as the user wrote it */
    const char *system; /* NULL: none */
    cli_own own;        /* what the model brings: messages, stops */
    aerie_sampling sampling;
    int64_t max_tokens; /* 0: until the reply ends */
    bool verbose;
} cli_chat;

/* Reads messages and prints replies until the user leaves. */
aerie_status cli_repl(cli_chat *chat, aerie_error *err);

/* Ollama's figures on stderr. */
void cli_print_stats(const aerie_reply_stats *s);

#endif
