/* wrap.h -- replies on a terminal, broken between words. */
#ifndef AE_CLI_WRAP_H
#define AE_CLI_WRAP_H

#include "base/base.h"

/* Zeroed it writes everything as it comes. */
typedef struct {
    int width; /* of the terminal; 0: lines are not broken */
    int column;
    ae_bytes word; /* the one that is being written, */
    int word_width;
} cli_wrap;

/* Begins a reply: the terminal's width as it is now, if stdout is one and `on`. */
void cli_wrap_begin(cli_wrap *w, bool on);
/* Writes more of it to stdout. A word that does not fit is taken back and begun anew below. Text is
 * whole UTF-8 characters. */
void cli_wrap_put(cli_wrap *w, const char *text, size_t len);
void cli_wrap_end(cli_wrap *w);

#endif
