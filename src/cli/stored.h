/* stored.h -- what a model's own Modelfile says of a conversation with it. */
#ifndef AE_CLI_STORED_H
#define AE_CLI_STORED_H

#include "aerie/session.h"
#include "aerie/store.h"
#include "base/base.h"

/* A reply ends before the first of these that it would hold. */
typedef struct {
    const char *items[32]; /* borrowed */
    size_t n;
    ae_bytes held; /* the end of what came, as long as a stop may begin in it */
    bool hit;
} cli_stops;

struct json_t;
/* The stops of a reply: a parameter's text, or list of texts, which they borrow. */
void cli_stops_read(cli_stops *s, const struct json_t *value);
/* Appends to `out` what of the text may be shown now; false: the reply is to end. */
bool cli_stops_pass(cli_stops *s, const char *text, size_t len, ae_bytes *out);
/* Appends what was held back, at a reply's end; the next reply begins anew. */
void cli_stops_end(cli_stops *s, ae_bytes *out);

typedef struct {
    const aerie_stored *stored; /* owned, as are the texts below */
    struct json_t *parameters, *list;
    aerie_message messages[64]; /* that come before the user's first */
    size_t n_messages;
} cli_own;

aerie_status cli_own_open(cli_own *own, const char *model, aerie_error *err);
void cli_own_close(cli_own *own); /* a zeroed one is fine */

#endif
