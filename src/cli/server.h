/* server.h -- the server that the commands talk to: $AERIE_HOST, else $OLLAMA_HOST, else this
 * machine's own at Ollama's port; with the key in $AERIE_API_KEY. */
#ifndef AE_CLI_SERVER_H
#define AE_CLI_SERVER_H

#include "aerie/client.h"
#include "aerie/store.h"

#include <jansson.h>

/* Its client, the same at every call. Nothing is connected to yet. */
aerie_status cli_server(aerie_client **out, aerie_error *err);
/* A server that is there, Ollama's too: else a sentence that none is. */
aerie_status cli_server_there(aerie_client **out, aerie_error *err);
/* The one that conversations go through; *out NULL: this process is to answer. A server that is
 * not aerie's own is talked through when $AERIE_HOST names it. One of another machine must be
 * there. */
aerie_status cli_server_for_chats(aerie_client **out, aerie_error *err);
/* The one whose store `list`, `show`, `cp`, `rm`, `create`, `pull` and `push` are about: another
 * machine's. *out NULL: this machine's store, which needs no server. */
aerie_status cli_server_of_store(aerie_client **out, aerie_error *err);

/* A request with a JSON body. *reply as aerie_client_ask() has it. */
aerie_status cli_server_ask(aerie_client *c, const char *method, const char *path,
                            const json_t *request, char **reply, aerie_error *err);
/* One that takes long and tells of its steps: /api/create, /api/pull, /api/push. */
aerie_status cli_server_make(aerie_client *c, const char *path, const json_t *request,
                             aerie_store_fn *on_event, void *user, aerie_error *err);
/* create_there.c: `request` is of aerie_modelfile_request(), and changed; relative paths in it
 * begin in `folder`. */
aerie_status cli_create_there(aerie_client *server, const char *model, json_t *request,
                              const char *folder, aerie_store_fn *on_event, void *user,
                              aerie_error *err);

/* What is shown, on a terminal, while its answer is waited for; NULL: nothing. */
void cli_server_says(const char *what);

#endif
