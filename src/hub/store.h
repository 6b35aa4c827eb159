/* store.h -- what the files of hub share. Private to hub. */
#ifndef AE_STORE_H
#define AE_STORE_H

#include "hub/hub.h"

/* Appends "a", "b", "c" as a path: "a/b/c". */
void ae_store_path(ae_bytes *path, const char *a, const char *b, const char *c);
/* Size and time of a regular file; false when there is none. */
bool ae_store_stat(const char *path, int64_t *bytes, int64_t *modified);
/* Fails with a sentence when no store folder is set. */
aerie_status ae_store_need(const ae_places *places, aerie_error *err);

/* The manifest's path in a store of this layout. Where the parts of the name are there in another
 * case, `name` takes that spelling. */
aerie_status ae_manifest_path(ae_bytes *path, ae_name *name, const char *models, aerie_error *err);
/* Reads a manifest file. */
aerie_status ae_manifest_read(ae_manifest *out, ae_arena *arena, const char *path,
                              aerie_error *err);

/* Called with every manifest file of a store and the name that its path spells; false ends the
 * walk. */
typedef bool ae_manifest_fn(void *user, const char *path, const ae_name *name);
/* Fails where a folder cannot be read: who removes what no manifest needs must have seen all. */
aerie_status ae_manifest_walk(const char *models, ae_manifest_fn *fn, void *user, aerie_error *err);

/* The very bytes of a name's manifest, whose digest is the model's. */
aerie_status ae_manifest_text(ae_bytes *text, const char *word, const ae_places *places,
                              ae_where where, aerie_error *err);

/* A lock of the store: shared by those who add (a manifest and the blobs that it needs), exclusive
 * for those who remove. Closed by ae_store_unlock(). */
aerie_status ae_store_lock(int *lock, const ae_places *places, bool exclusive, aerie_error *err);
void ae_store_unlock(int lock);

/* Appends the entry's name, and '\0', to `names`; whose entries are in the places below. */
typedef struct {
    ae_arena *arena;
    ae_hub_entry *entries; /* growing; ae_free */
    size_t n, cap;
    bool failed;
} ae_listing;
/* Takes copies of the entry's texts. */
void ae_listing_add(ae_listing *l, const ae_hub_entry *entry);

/* Plain files: MODELS/name/tag.gguf, MODELS/name.gguf, and the share folder's nursery. */
void ae_plain_list(ae_listing *l, const ae_places *places);
/* The file of a name; false when there is none. */
bool ae_plain_find(ae_bytes *path, ae_where *where, const char *word, const ae_places *places);

/* A Hugging Face cache: hf.co/USER/REPO[:TAG], where the tag is of a .gguf file's name. */
void ae_hf_list(ae_listing *l, const char *hf);
bool ae_hf_find(ae_bytes *path, const char *word, const char *hf);

/* The entry of a manifest. `path` may be left NULL. */
aerie_status ae_manifest_entry(ae_hub_entry *out, ae_arena *arena, const ae_manifest *m,
                               const ae_name *name, ae_where where, const ae_places *places,
                               bool need_weights, aerie_error *err);

#endif
