/* models.h -- the models that requests name. Private to serve. */
#ifndef AE_MODELS_H
#define AE_MODELS_H

#include "serve/server.h"

#include "aerie/host.h"
#include "aerie/store.h"

/* What a name stands for, without what follows a '+'; a path is no name. AERIE_NOT_FOUND: "model
 * 'x' not found". */
aerie_status ae_models_find(ae_server *s, const char *name, const aerie_stored **out,
                            aerie_error *err);
/* How it is opened, with the adapters that a request for it wants. */
typedef struct {
    aerie_place place; /* borrows from the rest, and from `stored` */
    ae_bytes key, base_key, name;
    char **specs; /* [place.model.n_adapters] */
} ae_model_place;

/* `model`: the name in the request. A zeroed one may be freed, and so may one after a failure. */
aerie_status ae_models_place(ae_model_place *out, const ae_server *s, const aerie_stored *stored,
                             const char *model, const json_t *request, aerie_error *err);
void ae_models_place_free(ae_model_place *p);

/* The body as a JSON object, and the `model` in it, or its older name `name`. False: there is none;
 * it was replied. */
bool ae_models_read(json_t **request, const char **model, ae_exchange *x);

/* Ollama's keep_alive: seconds as a number, "5m", "1h30m"; negative: for ever. False: it is
 * neither. NULL gives *has = false. */
bool ae_models_keep_alive(const json_t *value, bool *has, double *seconds);

#endif
