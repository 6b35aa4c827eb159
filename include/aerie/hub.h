/* hub.h -- names of models and where they lie. */
#ifndef AERIE_HUB_H
#define AERIE_HUB_H

#include "aerie/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where to look: the user's store and the folder of models installed with the program (either may
 * be NULL). */
typedef struct {
    const char *store, *share;
} aerie_places;

/* The path of MODEL: a file or folder is itself; "name" or "name:tag" is looked up. *path is the
 * caller's (aerie_free). */
AERIE_API aerie_status aerie_find_model(const aerie_places *places, const char *model, char **path,
                                        aerie_error *err);
/* Where a model saved under "name:tag" goes; its folder is made. *path is the caller's. */
AERIE_API aerie_status aerie_store_path(const aerie_places *places, const char *model, char **path,
                                        aerie_error *err);

#ifdef __cplusplus
}
#endif
#endif
