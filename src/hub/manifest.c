/* manifest.c -- the JSON file that lists a model's layers: read with everything checked, written
 * whole. */
#include "hub/store.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { MOST_BYTES = 4 << 20, MOST_LAYERS = 4096 };

static const char media_manifest[] = "application/vnd.docker.distribution.manifest.v2+json";
static const char media_config[] = "application/vnd.docker.container.image.v1+json";

/* ---- read ---- */

static const char *copy_text(ae_arena *arena, const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));

    return text && *text ? ae_arena_strndup(arena, text, strlen(text)) : NULL;
}

static aerie_status take_layer(ae_layer *out, ae_arena *arena, const json_t *o, const char *what,
                               aerie_error *err)
{
    const char *digest = json_string_value(json_object_get(o, "digest"));
    const json_t *size = json_object_get(o, "size");

    *out = (ae_layer){ .media = copy_text(arena, o, "mediaType"),
                       .bytes = json_integer_value(size),
                       .from = copy_text(arena, o, "from"),
                       .name = copy_text(arena, o, "name") };
    if (!out->media) out->media = "";
    if (!digest || !ae_digest_parse(out->hex, digest))
        return aerie_fail(err, AERIE_BAD_FILE,
                          "%s: '%.100s' is no digest of a layer; sha256: and 64 hexadecimal digits "
                          "are wanted",
                          what, digest ? digest : "");
    if (!json_is_integer(size) || out->bytes < 0)
        return aerie_fail(err, AERIE_BAD_FILE, "%s: layer sha256:%s has no size", what, out->hex);
    return AERIE_OK;
}

static aerie_status take_layers(ae_manifest *out, ae_arena *arena, const json_t *list,
                                const char *what, aerie_error *err)
{
    int64_t sum = out->config.bytes;

    out->n = json_array_size(list);
    if (!out->n || out->n > MOST_LAYERS)
        return aerie_fail(err, AERIE_BAD_FILE, "%s: a manifest of %zu layers; 1 to %d are wanted",
                          what, out->n, MOST_LAYERS);
    out->layers = ae_arena_take(arena, out->n, sizeof *out->layers);
    if (!out->layers) return aerie_fail(err, AERIE_NO_MEMORY, "%s: out of memory", what);
    for (size_t i = 0; i < out->n; i++) {
        aerie_status status =
            take_layer(&out->layers[i], arena, json_array_get(list, i), what, err);
        if (status) return status;
        if (__builtin_add_overflow(sum, out->layers[i].bytes, &sum))
            return aerie_fail(err, AERIE_BAD_FILE, "%s: its layers' sizes have no sum", what);
    }
    return AERIE_OK;
}

aerie_status ae_manifest_parse(ae_manifest *out, ae_arena *arena, const char *text, size_t len,
                               const char *what, aerie_error *err)
{
    json_error_t problem;
    json_t *o = json_loadb(text, len, 0, &problem);
    const json_t *config = json_object_get(o, "config");
    const char *digest = json_string_value(json_object_get(config, "digest"));
    aerie_status status = AERIE_OK;
    ae_sha256 hash;

    *out = (ae_manifest){ 0 };
    ae_sha256_start(&hash);
    ae_sha256_add(&hash, text, len);
    ae_sha256_hex(&hash, out->hex);
    if (!json_is_object(o))
        status = aerie_fail(err, AERIE_BAD_FILE, "%s: is no manifest: %s", what,
                            o ? "no JSON object" : problem.text);
    /* Ollama's oldest manifests have an empty config. */
    if (!status && digest && *digest) status = take_layer(&out->config, arena, config, what, err);
    if (!status) status = take_layers(out, arena, json_object_get(o, "layers"), what, err);
    json_decref(o);
    return status;
}

aerie_status ae_manifest_read(ae_manifest *out, ae_arena *arena, const char *path, aerie_error *err)
{
    ae_bytes text = { 0 };
    aerie_status status = ae_file_read(&text, path, MOST_BYTES, err);

    if (!status)
        status = ae_manifest_parse(out, arena, text.data ? text.data : "", text.len, path, err);
    if (!status) ae_store_stat(path, NULL, &out->modified);
    ae_bytes_free(&text);
    return status;
}

const ae_layer *ae_manifest_layer(const ae_manifest *m, const char *type, size_t n)
{
    size_t prefix = strlen(AE_MEDIA);

    for (size_t i = 0; i < m->n; i++) {
        const char *media = m->layers[i].media;
        if (strncmp(media, AE_MEDIA, prefix) != 0 || strcmp(media + prefix, type) != 0) continue;
        if (n-- == 0) return &m->layers[i];
    }
    return NULL;
}

int64_t ae_manifest_bytes(const ae_manifest *m)
{
    int64_t sum = m->config.bytes;

    for (size_t i = 0; i < m->n; i++) sum += m->layers[i].bytes;
    return sum;
}

/* ---- found ---- */

/* The entry of the folder that is `part` in another case; `part` takes its spelling. */
static void take_spelling(const char *folder, char *part)
{
    DIR *entries = opendir(folder);
    struct dirent *entry;

    if (!entries) return;
    while ((entry = readdir(entries)))
        if (!strcasecmp(entry->d_name, part)) {
            memcpy(part, entry->d_name, strlen(part));
            break;
        }
    closedir(entries);
}

aerie_status ae_manifest_path(ae_bytes *path, ae_name *name, const char *models, aerie_error *err)
{
    char *const parts[] = { name->host, name->space, name->model, name->tag };

    ae_bytes_clear(path);
    ae_bytes_printf(path, "%s/manifests", models);
    for (size_t i = 0; i < AE_COUNT(parts) && !path->failed; i++) {
        size_t folder = path->len;
        ae_bytes_printf(path, "/%s", parts[i]);
        if (path->failed || ae_file_exists(path->data)) continue;
        path->data[folder] = '\0';
        take_spelling(path->data, parts[i]);
        path->data[folder] = '/';
        memcpy(path->data + folder + 1, parts[i], strlen(parts[i]));
    }
    return ae_bytes_status(path, err);
}

typedef struct {
    ae_manifest_fn *fn;
    void *user;
    size_t root; /* length of the folder's path */
    bool stop;
    aerie_status status;
    aerie_error *err;
} walk;

static void walk_folder(walk *w, const char *folder, int depth);

static void walk_entry(walk *w, char *path, int depth)
{
    enum { PARTS = 4 };
    ae_name name;
    bool is_name;
    char *slash;

    if (depth < PARTS) {
        if (ae_file_is_folder(path)) walk_folder(w, path, depth + 1);
        return;
    }
    /* The path's last '/' stands where a name has ':'. */
    slash = strrchr(path, '/');
    *slash = ':';
    is_name = ae_name_parse(&name, path + w->root);
    *slash = '/';
    if (is_name) w->stop = !w->fn(w->user, path, &name);
}

static void walk_folder(walk *w, const char *folder, int depth)
{
    DIR *entries = opendir(folder);
    struct dirent *entry;

    if (!entries && errno != ENOENT && errno != ENOTDIR)
        w->status = aerie_fail(w->err, AERIE_IO, "%s: cannot be read: %s", folder, strerror(errno));
    while (entries && !w->stop && !w->status && (entry = readdir(entries))) {
        char *path;
        if (entry->d_name[0] == '.') continue;
        path = ae_path_join(folder, entry->d_name);
        if (path)
            walk_entry(w, path, depth);
        else
            w->status = aerie_fail(w->err, AERIE_NO_MEMORY, "%s: out of memory", folder);
        ae_free(path);
    }
    if (entries) closedir(entries);
}

aerie_status ae_manifest_walk(const char *models, ae_manifest_fn *fn, void *user, aerie_error *err)
{
    char *folder = ae_path_join(models, "manifests");
    walk w = { .fn = fn, .user = user, .root = folder ? strlen(folder) + 1 : 0, .err = err };

    if (!folder) return aerie_fail(err, AERIE_NO_MEMORY, "%s: out of memory", models);
    walk_folder(&w, folder, 1);
    ae_free(folder);
    return w.status;
}

/* ---- written ---- */

static json_t *layer_json(const char *media, const ae_layer *l)
{
    char digest[AE_HEX + 8] = "sha256:";
    json_t *o;

    if (l->hex[0])
        memcpy(digest + 7, l->hex, sizeof l->hex);
    else
        digest[0] = '\0';
    o = json_pack("{s:s, s:s, s:I}", "mediaType", media, "digest", digest, "size",
                  (json_int_t)l->bytes);
    if (l->from) json_object_set_new(o, "from", json_string(l->from));
    if (l->name) json_object_set_new(o, "name", json_string(l->name));
    return o;
}

aerie_status ae_manifest_print(ae_bytes *out, const ae_manifest *m, aerie_error *err)
{
    json_t *layers = json_array();
    json_t *o;
    char *text;

    for (size_t i = 0; i < m->n; i++)
        json_array_append_new(layers, layer_json(m->layers[i].media, &m->layers[i]));
    o = json_pack("{s:i, s:s, s:o, s:o}", "schemaVersion", 2, "mediaType", media_manifest, "config",
                  layer_json(media_config, &m->config), "layers", layers);
    text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    if (!text) return aerie_fail(err, AERIE_NO_MEMORY, "out of memory while writing a manifest");
    ae_bytes_add_text(out, text);
    free(text);
    return ae_bytes_status(out, err);
}

/* One that another process removed meanwhile must not be promised. */
static aerie_status check_blobs(const ae_manifest *m, const ae_places *places, aerie_error *err)
{
    ae_bytes path = { 0 };
    aerie_status status;

    ae_bytes_printf(&path, "%s/blobs", places->models);
    status = ae_bytes_status(&path, err);
    if (!status) status = ae_file_make_folder(path.data, err);
    for (size_t i = 0; i <= m->n && !status; i++) {
        const ae_layer *l = i < m->n ? &m->layers[i] : &m->config;
        if (!l->hex[0]) continue;
        ae_blob_keep(places, l->hex);
        status = ae_blob_find(&path, NULL, places, l->hex, err);
    }
    if (status == AERIE_NOT_FOUND)
        aerie_error_prefix(err, "a layer is missing, or was just removed by another process; try "
                                "again");
    ae_bytes_free(&path);
    return status;
}

/* It is begun among the blobs: what is left of a process that was killed meanwhile would be a name
 * here. */
static aerie_status write_manifest(const char *path, const char *text, const ae_places *places,
                                   aerie_error *err)
{
    char *folder = ae_strdup(path), *slash = folder ? strrchr(folder, '/') : NULL;
    ae_bytes scratch = { 0 };
    ae_file_writer w = { 0 };
    aerie_status status =
        slash ? AERIE_OK : aerie_fail(err, AERIE_NO_MEMORY, "%s: out of memory", path);

    if (slash) *slash = '\0';
    if (!status) status = ae_file_make_folder(folder, err);
    if (!status) status = ae_blob_scratch(&scratch, places, err);
    if (!status) status = ae_file_writer_open(&w, scratch.data, err);
    if (!status) {
        ae_file_writer_add(&w, text, strlen(text));
        status = ae_file_writer_move(&w, path, err);
        if (!status) status = ae_file_writer_commit(&w, err);
        ae_file_writer_abandon(&w);
    }
    ae_bytes_free(&scratch);
    ae_free(folder);
    return status;
}

aerie_status ae_manifest_save(const ae_manifest *m, const char *text, const ae_name *name,
                              const ae_places *places, aerie_error *err)
{
    ae_bytes path = { 0 }, printed = { 0 };
    ae_name spelled = *name;
    int lock = -1;
    aerie_status status = ae_store_lock(&lock, places, false, err);

    if (!status) status = check_blobs(m, places, err);
    if (!status && !text) status = ae_manifest_print(&printed, m, err);
    if (!status) status = ae_manifest_path(&path, &spelled, places->models, err);
    if (!status) status = write_manifest(path.data, text ? text : printed.data, places, err);
    ae_store_unlock(lock);
    ae_bytes_free(&path);
    ae_bytes_free(&printed);
    return status;
}
