/* hub.h -- the door of hub: the store of models, and what a name stands for.
 *
 * The store has Ollama's layout: MODELS/manifests/HOST/NAMESPACE/MODEL/TAG is a JSON file that
 * lists a model's layers, and MODELS/blobs/sha256-HEX is one layer's bytes. It is the only place
 * that is written to. An Ollama store, a Hugging Face cache, the models installed with the program
 * and plain files (MODELS/name/tag.gguf, MODELS/name.gguf) are read where they lie.
 *
 * A name is [HOST/][NAMESPACE/]MODEL[:TAG], by default registry.ollama.ai/library/MODEL:latest. No
 * name and no digest can lead out of its folder: both are checked before a path is made of them. */
#ifndef AE_HUB_H
#define AE_HUB_H

#include "base/base.h"

#include <jansson.h>

/* ---- where models are ---- */

/* Any may be NULL. Paths of folders. */
typedef struct {
    const char *models; /* the store, the only one written to */
    const char *ollama; /* another store of this layout: ~/.ollama/models */
    const char *hf;     /* a Hugging Face cache: ~/.cache/huggingface/hub */
    const char *share;  /* models installed with the program */
} ae_places;

typedef enum {
    AE_WHERE_STORE,  /* a manifest of the store */
    AE_WHERE_PLAIN,  /* MODELS/name/tag.gguf, MODELS/name.gguf */
    AE_WHERE_OLLAMA, /* a manifest of the other store */
    AE_WHERE_SHARE,
    AE_WHERE_HF,
    AE_WHERE_FILE /* a path that was given */
} ae_where;
/* "store", "ollama", "huggingface", ... */
const char *ae_where_name(ae_where where);

/* ---- names ---- */

enum { AE_NAME_TEXT = 640 };

typedef struct {
    char host[351], space[81], model[81], tag[81];
    bool plain_http; /* it was written with http:// */
} ae_name;

/* False when the text is no name. */
bool ae_name_parse(ae_name *out, const char *text);
/* The shortest text that means it, its tag included: "smollm2:latest", "hf.co/user/repo:Q4_K_M". */
void ae_name_short(const ae_name *name, char out[AE_NAME_TEXT]);
/* All four parts: "registry.ollama.ai/library/smollm2:latest". */
void ae_name_full(const ae_name *name, char out[AE_NAME_TEXT]);

/* ---- digests and blobs ---- */

enum { AE_HEX = 65 };

/* "sha256:" or "sha256-" and 64 hexadecimal digits; lower case in `hex`. False for all else. */
bool ae_digest_parse(char hex[AE_HEX], const char *text);

/* The blob's path, and (unless NULL) its size: of the store, else of Ollama's. AERIE_NOT_FOUND when
 * there is none. */
aerie_status ae_blob_find(ae_bytes *path, int64_t *bytes, const ae_places *places, const char *hex,
                          aerie_error *err);

/* A blob being received: it stands under its digest once all of it is there, or not at all. */
typedef struct {
    ae_file_writer file;
    ae_sha256 hash;
    const ae_places *places;
} ae_blob_writer;

/* places->models is created where it is missing; `places` must live as long as the writer. */
aerie_status ae_blob_begin(ae_blob_writer *w, const ae_places *places, aerie_error *err);
void ae_blob_add(ae_blob_writer *w, const void *data, size_t len);
/* `expected`: the digest's digits, or NULL: any. AERIE_BAD_FILE when the bytes have another. hex:
 * what they have. Ends the writer. *is_new: whether there was none (may be NULL). */
aerie_status ae_blob_finish(ae_blob_writer *w, const char *expected, char hex[AE_HEX], bool *is_new,
                            aerie_error *err);
void ae_blob_abandon(ae_blob_writer *w); /* also fine after finish, and of a zeroed one */

/* Makes a file a blob, unless there is one of its digest: moved (`move`: it lies in the folder of
 * ae_blob_scratch), or else its bytes are shared where the file system can, and copied where not.
 */
aerie_status ae_blob_adopt(const char *path, bool move, const ae_places *places, char hex[AE_HEX],
                           bool *is_new, ae_file_hash_fn *on_progress, void *user,
                           aerie_error *err);
/* A path for a file that is to be adopted; nothing is there. The folder is created. */
aerie_status ae_blob_scratch(ae_bytes *path, const ae_places *places, aerie_error *err);
/* A blob that only Ollama's store has gets a second name in ours, where both are on one file system
 * and may be linked; else it is used where it lies. */
void ae_blob_keep(const ae_places *places, const char *hex);

/* ---- manifests ---- */

#define AE_MEDIA "application/vnd.ollama.image."

typedef struct {
    const char *media; /* AE_MEDIA "model" */
    char hex[AE_HEX];  /* "": none */
    int64_t bytes;
    const char *from, *name; /* NULL: not said */
} ae_layer;

typedef struct {
    ae_layer config;
    ae_layer *layers;
    size_t n;
    char hex[AE_HEX]; /* digest of the manifest's own bytes: the model's */
    int64_t modified; /* nanoseconds since 1970 */
} ae_manifest;

/* Reads a manifest's text; every digest and size in it is checked. In `arena`. */
aerie_status ae_manifest_parse(ae_manifest *out, ae_arena *arena, const char *text, size_t len,
                               const char *what, aerie_error *err);
/* The n-th (from 0) layer of a type ("template"), NULL past the last. */
const ae_layer *ae_manifest_layer(const ae_manifest *m, const char *type, size_t n);
/* Config and layers, in bytes. */
int64_t ae_manifest_bytes(const ae_manifest *m);
/* The manifest's text, as it is written. */
aerie_status ae_manifest_print(ae_bytes *out, const ae_manifest *m, aerie_error *err);
/* Puts a manifest under a name; what bore the name before is replaced. Every blob must be there.
 * `text`: as it is to be stored, or NULL: as ae_manifest_print() has it. An existing name's
 * spelling is kept. Blobs of the manifest that it replaces stay (ae_hub_collect). */
aerie_status ae_manifest_save(const ae_manifest *m, const char *text, const ae_name *name,
                              const ae_places *places, aerie_error *err);

/* ---- what there is ---- */

typedef struct {
    const char *name; /* "smollm2:latest" */
    ae_where where;
    const char *path;            /* of the weights: a file or a folder; NULL: they are missing */
    const ae_manifest *manifest; /* NULL: there is none */
    int64_t bytes, modified;     /* nanoseconds since 1970 */
} ae_hub_entry;

/* Every model that has a name, sorted by name, each name once: the first place that has it. In
 * `arena`. A manifest that cannot be read is left out, with a warning. */
aerie_status ae_hub_list(const ae_hub_entry **out, size_t *n, ae_arena *arena,
                         const ae_places *places, aerie_error *err);

/* What a word stands for. With `names_only` a path is no model. In `arena`. A file with a dot in
 * its name or a folder with a config.json is itself; then names are looked up; then any file or
 * folder is itself. AERIE_NOT_FOUND says what there is. */
aerie_status ae_hub_open(ae_hub_entry *out, ae_arena *arena, const char *word,
                         const ae_places *places, bool names_only, aerie_error *err);

/* The text of a layer (16 MiB at most). */
aerie_status ae_layer_text(ae_bytes *out, const ae_layer *layer, const ae_places *places,
                           aerie_error *err);

/* ---- changing it ---- */

/* A second name for a model of the store or of Ollama's. A plain model cannot be copied so. */
aerie_status ae_hub_copy(const char *from, const char *to, const ae_places *places,
                         aerie_error *err);
/* Takes a model out of the store: its manifest (or plain file), and the blobs that no other
 * manifest has. What lies elsewhere is refused. */
aerie_status ae_hub_remove(const char *word, const ae_places *places, aerie_error *err);
/* Removes those blobs of `old` (a manifest that was replaced) that no manifest of the store has. */
aerie_status ae_hub_collect(const ae_manifest *old, const ae_places *places, aerie_error *err);
/* The manifest under a name of the store itself. AERIE_NOT_FOUND without a sentence when there is
 * none. */
aerie_status ae_hub_manifest(ae_manifest *out, ae_arena *arena, const ae_name *name,
                             const ae_places *places, aerie_error *err);

/* ---- checking it ---- */

typedef enum {
    AE_CHECK_OK,
    AE_CHECK_MISSING, /* a blob that a manifest wants */
    AE_CHECK_SIZE,    /* a blob of another size than its manifest says */
    AE_CHECK_DIGEST,  /* a blob that has not the digest in its name */
    AE_CHECK_MANIFEST /* a manifest that cannot be read */
} ae_check;

typedef struct {
    const char *model; /* that needs it; "": a blob that no model needs */
    const char *what;  /* the blob's digest, or the manifest's path */
    ae_check result;
    int64_t bytes;
    const char *sentence; /* what is wrong; "" */
} ae_checked;
/* False stops with AERIE_INTERRUPTED. */
typedef bool ae_checked_fn(void *user, const ae_checked *c);

typedef struct {
    int64_t manifests, blobs, bytes, wrong, unused, unused_bytes, removed;
} ae_check_summary;

/* Reads every manifest of the store, and every blob, against its digest. `repair` removes blobs
 * that are not what their name says, blobs that no manifest has, and what unfinished writers that
 * are gone left. */
aerie_status ae_hub_verify(const ae_places *places, bool repair, ae_checked_fn *each, void *user,
                           ae_check_summary *sum, aerie_error *err);

/* ---- another machine's ---- */

/* What is being done, in Ollama's words; digest "sha256:..." or NULL. False stops. */
typedef bool ae_pull_fn(void *user, const char *status, const char *digest, int64_t total,
                        int64_t completed);

typedef struct {
    bool insecure; /* http where the name does not say it */
    ae_pull_fn *on_step;
    void *user;
    const char *ca_file;  /* certificates to trust instead of the system's; NULL: those */
    uint64_t part_bytes;  /* that are noted as whole together; 0: 1 MiB */
    double retry_seconds; /* as in ae_http_request */
} ae_pull_options;

/* Fetches a model by the registry protocol. Its layers come in parts, several at once, and what
 * came stays when the process is ended: the next pull goes on. A layer stands in the store when its
 * digest is right, the name when all layers stand. Of two that pull one blob the second waits for
 * the first. */
aerie_status ae_hub_pull(const char *word, const ae_places *places, const ae_pull_options *options,
                         aerie_error *err);

/* Sends a model of the store to the registry that its name says: the layers that are not there,
 * then its manifest. */
aerie_status ae_hub_push(const char *word, const ae_places *places, const ae_pull_options *options,
                         aerie_error *err);

/* ---- Modelfile ---- */

typedef struct {
    const char *key;  /* lower case: "from", "parameter", ... */
    const char *name; /* PARAMETER's name, MESSAGE's role; else NULL */
    const char *value;
    int line; /* of the command, from 1 */
} ae_modelfile_line;

typedef struct {
    ae_modelfile_line *lines;
    size_t n;
} ae_modelfile;

/* Parses a Modelfile (UTF-8, or UTF-16 with a byte order mark). In `arena`. Sentences begin with
 * the line: "(line 3): ...". */
aerie_status ae_modelfile_parse(ae_modelfile *out, ae_arena *arena, const char *text, size_t len,
                                aerie_error *err);
/* A parameter's value as Ollama stores it: a number, true, a text, or (stop) an array with one
 * text. *out is NULL for one that is no longer in use, which is warned of. AERIE_BAD_ARGUMENT for
 * an unknown name or a value of another type. */
aerie_status ae_parameter_parse(json_t **out, const char *name, const char *value,
                                aerie_error *err);
/* Appends a line of a Modelfile; the value in quotes where it needs them. */
void ae_modelfile_print(ae_bytes *out, const char *instruction, const char *name,
                        const char *value);

#endif
