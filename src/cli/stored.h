/* stored.h -- what a model's own Modelfile says of a conversation with it. */
#ifndef AE_CLI_STORED_H
#define AE_CLI_STORED_H

#include "aerie/session.h"
#include "aerie/store.h"
#include "base/base.h"

/* A reply ends before the first of these that it would hold. */
typedef struct {
    const char *items[32];
    size_t n;
    ae_bytes held; /* the end of what came, as long as a stop may begin in it */
    bool hit;
} cli_stops;

/* Appends to `out` what of the text may be shown now; false: the reply is to end. */
bool cli_stops_pass(cli_stops *s, const char *text, size_t len, ae_bytes *out);
/* Appends what was held back, at a reply's end; the next reply begins anew. */
void cli_stops_end(cli_stops *s, ae_bytes *out);

/* Numbers of a Modelfile, by Ollama's names; `set` is told of each. */
typedef void cli_parameter_fn(void *user, const char *name, double value);

typedef struct {
    const aerie_stored *stored; /* owned, as are the texts below */
    void *parameters, *list;    /* JSON */
    aerie_message messages[64]; /* that come before the user's first */
    size_t n_messages;
    cli_stops stops;
} cli_own;

aerie_status cli_own_open(cli_own *own, const char *model, aerie_error *err);
void cli_own_numbers(const cli_own *own, cli_parameter_fn *set, void *user);
void cli_own_close(cli_own *own); /* a zeroed one is fine */

#endif
