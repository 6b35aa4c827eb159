/* hub.h -- the door of hub: names of models and the files that they stand for.
 *
 * A name is `name` or `name:tag`; without a tag it is `name:latest`. The name's parts, between
 * slashes, and the tag are of letters, digits, '.', '_' and '-', and do not begin with '.'. In the
 * store, `name:tag` is the file STORE/models/name/tag.gguf. In the share folder, which is installed
 * with the program, `nursery` (also :latest, :base) is nursery.gguf and nursery:TAG
 * nursery-TAG.gguf. */
#ifndef AE_HUB_H
#define AE_HUB_H

#include "base/base.h"

/* Whether `text` is a name by the rules above. */
bool ae_hub_is_name(const char *text);

/* The path of MODEL. A file with an extension or a folder with a config.json is itself; then names
 * are looked up, the store first; then any other file or folder is itself. AERIE_NOT_FOUND says
 * what there is. `store` and `share` may be NULL. */
aerie_status ae_hub_resolve(ae_bytes *path, const char *model, const char *store, const char *share,
                            aerie_error *err);

/* Where a model is saved under a name; the folder is made. */
aerie_status ae_hub_store_path(ae_bytes *path, const char *name, const char *store,
                               aerie_error *err);

/* Every name that ae_hub_resolve() knows, sorted; ":latest" is left out. In `arena`. */
aerie_status ae_hub_list(const char *const **names, size_t *n, ae_arena *arena, const char *store,
                         const char *share, aerie_error *err);

#endif
