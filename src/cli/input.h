/* input.h -- lines typed at a terminal, with the keys of Emacs, history and pasted text. */
#ifndef AE_CLI_INPUT_H
#define AE_CLI_INPUT_H

#include "base/base.h"

typedef struct cli_input cli_input;

typedef enum {
    CLI_INPUT_LINE,
    CLI_INPUT_INTERRUPTED, /* Ctrl-C: what was typed is gone */
    CLI_INPUT_END          /* Ctrl-D, or nobody types any more */
} cli_input_kind;

/* path: where the history is kept; NULL: nowhere. */
aerie_status cli_input_open(cli_input **out, const char *path, aerie_error *err);
void cli_input_close(cli_input *in); /* NULL is fine */
/* A line without its end; text that was pasted may have several. */
cli_input_kind cli_input_read(cli_input *in, const char *prompt, ae_bytes *line);
/* Keeps a message for the arrow keys, and for the next time. */
void cli_input_remember(cli_input *in, const char *message);
void cli_input_keep_history(cli_input *in, bool keep);

#endif
