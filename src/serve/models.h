/* models.h -- the models that requests name. Private to serve. */
#ifndef AE_MODELS_H
#define AE_MODELS_H

#include "serve/server.h"

#include "aerie/host.h"
#include "aerie/store.h"

/* What a name stands for; a path is no name. AERIE_NOT_FOUND: "model 'x' not found". */
aerie_status ae_models_find(ae_server *s, const char *name, const aerie_stored **out,
                            aerie_error *err);
/* How it is opened; borrows from `stored`. */
void ae_models_place(const ae_server *s, const aerie_stored *stored, aerie_place *out);

/* The body as a JSON object, and the `model` in it, or its older name `name`. False: there is none;
 * it was replied. */
bool ae_models_read(json_t **request, const char **model, ae_exchange *x);

/* Ollama's keep_alive: seconds as a number, "5m", "1h30m"; negative: for ever. False: it is
 * neither. NULL gives *has = false. */
bool ae_models_keep_alive(const json_t *value, bool *has, double *seconds);

#endif
