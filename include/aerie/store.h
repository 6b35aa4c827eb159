/* store.h -- the store of models: what there is, what a name stands for, and changing it.
 *
 * The store has Ollama's layout (manifests, blobs by digest), so that either program reads the
 * other's. Several processes may use one at once. Nothing is ever half there: a blob appears when
 * its digest has been checked, a name when all its blobs are there. */
#ifndef AERIE_STORE_H
#define AERIE_STORE_H

#include "aerie/hub.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- what a name stands for ---- */

/* Borrowed texts, all of them: they end with the handle. */
typedef struct {
    const char *name;   /* "zephyr:latest"; of a file its path */
    const char *where;  /* "store", "plain", "ollama", "installed", "huggingface", "file" */
    const char *digest; /* 64 hexadecimal digits, of its manifest; NULL: it has none */
    const char *path;   /* of its weights: a GGUF file, or a Hugging Face folder */
    const char *const *adapters; /* GGUF files to be laid over them */
    size_t n_adapters;
    const char *template_text; /* its TEMPLATE, as it was written; NULL: none */
    /* What to render with: that TEMPLATE when it is Jinja or the name of a known format, or the
     * known format that its Go template is of; NULL: the template in the weights' own file. */
    const char *chat_template;
    const char *system;     /* NULL: none */
    const char *parameters; /* a JSON object {"temperature": 0.5, "stop": ["..."]} */
    const char *messages;   /* a JSON array [{"role", "content"}] */
    const char *const *licenses;
    size_t n_licenses;
} aerie_stored;

/* On AERIE_OK *out is the caller's (aerie_stored_free). `names_only`: a path is no model; for what
 * a stranger asks for. */
AERIE_API aerie_status aerie_store_resolve(const aerie_places *places, const char *model,
                                           bool names_only, const aerie_stored **out,
                                           aerie_error *err);
AERIE_API void aerie_stored_free(const aerie_stored *stored); /* NULL is fine */

/* ---- what there is, as JSON ---- */

/* {"models": [{"name", "model", "modified_at", "size", "digest", "details", ...}]}, newest first:
 * what Ollama's /api/tags replies, and "where". A model without a manifest is not hashed: its
 * digest is of its path, size and time. *json is the caller's (aerie_free). */
AERIE_API aerie_status aerie_store_list(const aerie_places *places, char **json, aerie_error *err);
/* What Ollama's /api/show replies: {"modelfile", "parameters", "template", "details", "model_info",
 * "capabilities", ...}; and "path", "where", "digest", "adapters". `verbose`: with all tensors and
 * whole arrays. */
AERIE_API aerie_status aerie_store_show(const aerie_places *places, const char *model,
                                        bool names_only, bool verbose, char **json,
                                        aerie_error *err);

/* ---- changing it ---- */

/* Another name for the same layers. */
AERIE_API aerie_status aerie_store_copy(const aerie_places *places, const char *from,
                                        const char *to, aerie_error *err);
/* Takes a name out of the store, and what of its layers no other name has. */
AERIE_API aerie_status aerie_store_delete(const aerie_places *places, const char *model,
                                          aerie_error *err);

/* A step of what takes long: Ollama's words ("creating new layer sha256:...", "writing manifest",
 * "success"). digest: "sha256:...", or NULL. total 0: not known. */
typedef struct {
    const char *status, *digest;
    int64_t total, completed; /* bytes */
} aerie_store_event;
/* false stops with AERIE_INTERRUPTED. A transfer that makes no progress tells its last step again,
 * ten times a second, so that it can be stopped. */
typedef bool aerie_store_fn(void *user, const aerie_store_event *event);

/* Zero means the default everywhere. */
typedef struct {
    /* FROM and ADAPTER may be paths of this machine: for the person who sits at it, never for a
     * request that came over a network. Otherwise weights are names or blobs of the store. */
    bool local;
    const char *folder; /* where relative paths begin; NULL: the working folder */
    bool fetch;         /* a model that "from" names and that is not here is pulled first */
    int threads;        /* 0: one per processor */
    aerie_store_fn *on_event;
    void *user;
} aerie_create_options;

/* Makes a model under a name. `request` is what Ollama's /api/create takes:
 *
 *   {"from": MODEL, or "files": {"name": "sha256:..."},
 *    "adapters"?: {"name": "sha256:..."} (GGUF files, or the files of PEFT's folder),
 *    "template"?, "system"?, "license"?: text or list, "parameters"?: {...},
 *    "messages"?: [{"role", "content"}...], "quantize"?: any type that aerie_quantize() writes,
 *    "renderer"?, "parser"?, "requires"?}
 *
 * With `local`, "from" and the list "adapter_paths" may name files and folders. What bore the name
 * before is replaced, at the end, or stays as it was. `options` may be NULL. */
AERIE_API aerie_status aerie_store_create(const aerie_places *places, const char *model,
                                          const char *request, const aerie_create_options *options,
                                          aerie_error *err);
/* A Modelfile's text as such a request, for `local`; the sentences of its mistakes name the line.
 * *json is the caller's (aerie_free). */
AERIE_API aerie_status aerie_modelfile_request(const char *text, size_t len, char **json,
                                               aerie_error *err);

/* ---- blobs ---- */

/* AERIE_OK when the store (or Ollama's) has it, AERIE_NOT_FOUND when not, AERIE_BAD_ARGUMENT when
 * `digest` is not "sha256:" and 64 hexadecimal digits. */
AERIE_API aerie_status aerie_blob_exists(const aerie_places *places, const char *digest,
                                         aerie_error *err);

/* A blob received piece by piece. */
typedef struct aerie_blob aerie_blob;
/* digest: what it is to have. On AERIE_OK *out is the caller's, ended by finish or abandon. */
AERIE_API aerie_status aerie_blob_begin(aerie_blob **out, const aerie_places *places,
                                        const char *digest, aerie_error *err);
AERIE_API aerie_status aerie_blob_add(aerie_blob *blob, const void *data, size_t len,
                                      aerie_error *err);
/* AERIE_BAD_FILE, and no blob, when its bytes have another digest. Frees `blob`. */
AERIE_API aerie_status aerie_blob_finish(aerie_blob *blob, aerie_error *err);
AERIE_API void aerie_blob_abandon(aerie_blob *blob); /* NULL is fine */

/* ---- another machine's ---- */

/* Zero means the default everywhere. */
typedef struct {
    bool insecure;       /* http instead of https */
    const char *ca_file; /* certificates to trust instead of the system's */
    aerie_store_fn *on_event;
    void *user;
} aerie_pull_options;

/* Fetches a model ("smollm2:135m", "hf.co/user/repo:Q4_K_M", "http://localhost:5000/me/model") by
 * the registry protocol of containers, which Ollama's registry and Hugging Face's hub speak. Layers
 * come in parts; a pull that was ended, or found the disk full, goes on where it was. Two that
 * fetch one layer share the work, in whatever processes. `options` may be NULL. */
AERIE_API aerie_status aerie_store_pull(const aerie_places *places, const char *model,
                                        const aerie_pull_options *options, aerie_error *err);
/* Sends a model to the registry that its name says; layers that are there already are not sent. */
AERIE_API aerie_status aerie_store_push(const aerie_places *places, const char *model,
                                        const aerie_pull_options *options, aerie_error *err);

/* ---- checking it ---- */

typedef struct {
    const char *model, *what; /* "zephyr:latest"; a digest, or a manifest's path */
    bool ok;
    int64_t bytes;
    const char *sentence; /* what is wrong; "" */
} aerie_verified;
/* false stops with AERIE_INTERRUPTED. */
typedef bool aerie_verified_fn(void *user, const aerie_verified *v);

typedef struct {
    int64_t manifests, blobs, bytes; /* read */
    int64_t wrong;                   /* told of with ok false */
    int64_t unused, unused_bytes;    /* blobs that no model has, and what unfinished writing left */
    int64_t removed;                 /* with `repair` */
} aerie_verify_summary;

/* Reads every manifest of the store, and every blob that one wants, against its digest; `each` (or
 * NULL) is told of all. `repair` removes blobs that are not what their name says, and unused ones
 * older than an hour. AERIE_OK although something was wrong: see *summary. */
AERIE_API aerie_status aerie_store_verify(const aerie_places *places, bool repair,
                                          aerie_verified_fn *each, void *user,
                                          aerie_verify_summary *summary, aerie_error *err);

#ifdef __cplusplus
}
#endif
#endif
