/* create.h -- what the files that make a model share. Private to api. */
#ifndef AE_API_CREATE_H
#define AE_API_CREATE_H

#include "api/store.h"

/* A model being made. */
typedef struct {
    ae_store store;
    ae_arena arena;
    aerie_create_options options;
    const json_t *request;
    ae_layer *layers; /* growing, in the arena */
    size_t n, cap;
    ae_layer config;
    json_t *parameters;    /* those of the model it is made from */
    json_t *parent_config; /* its config; owned, as they are; NULL: none */
    char parent[AE_NAME_TEXT];
    aerie_error *err;
} ae_making;

/* Tells of a step; AERIE_INTERRUPTED when the caller says stop. */
aerie_status ae_making_tell(ae_making *m, const char *status, const char *digest, int64_t total,
                            int64_t completed);
aerie_status ae_making_add(ae_making *m, const ae_layer *layer);
void ae_making_drop(ae_making *m, const char *type); /* all layers of a type */
/* A layer of these bytes, told of. */
aerie_status ae_making_text(ae_making *m, const char *type, const char *text, size_t len);
/* A layer of a file; `move`: it is a scratch file of the store's. */
aerie_status ae_making_file(ae_making *m, const char *type, const char *path, bool move);
/* The path of the weights, borrowed from the arena; NULL: there are none yet. */
aerie_status ae_making_weights(ae_making *m, const char **path);

/* The weights and adapters that the request names. */
aerie_status ae_making_take_weights(ae_making *m);

#endif
