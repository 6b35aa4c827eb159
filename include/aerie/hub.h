/* hub.h -- names of models and where they lie. What else a store can do: aerie/store.h. */
#ifndef AERIE_HUB_H
#define AERIE_HUB_H

#include "aerie/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where to look for models; any may be NULL. Only the store is ever written to. */
typedef struct {
    const char *store;       /* the user's folder; its models/ is the store */
    const char *share;       /* models installed with the program */
    const char *ollama;      /* an Ollama store, ~/.ollama/models: read where it lies */
    const char *huggingface; /* a Hugging Face cache, ~/.cache/huggingface/hub: the same */
    const char *models;      /* the store, when it is not store/models */
} aerie_places;

/* The path of MODEL's weights: a file or folder is itself; a name ("name:tag",
 * "hf.co/user/repo:Q4_K_M") is looked up. AERIE_UNSUPPORTED for a model that lays an adapter over
 * its weights: see aerie_store_resolve(). *path is the caller's (aerie_free). */
AERIE_API aerie_status aerie_find_model(const aerie_places *places, const char *model, char **path,
                                        aerie_error *err);

#ifdef __cplusplus
}
#endif
#endif
