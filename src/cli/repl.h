/* repl.h -- a conversation on a terminal, with Ollama's commands and keys. */
#ifndef AE_REPL_H
#define AE_REPL_H

#include "cli/chat.h"
#include "cli/input.h"

/* How it is shown. */
typedef struct {
    bool verbose; /* figures after every reply */
    bool no_wrap; /* lines are not broken between words */
} cli_talk;

/* Reads messages and prints replies until the user leaves. */
aerie_status cli_repl(cli_chat *chat, cli_talk *talk, aerie_error *err);

/* ---- between repl.c and repl_commands.c */

typedef struct {
    cli_chat *chat;
    cli_talk *talk;
    cli_input *input;
} cli_repl_state;

/* A message that begins with '/'. False: the user leaves. */
bool cli_repl_command(cli_repl_state *r, char *line);
/* The messages that a model brings, as if they had been said. */
void cli_repl_show_past(cli_chat *chat);

#endif
