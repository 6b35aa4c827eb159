/* create_weights.c -- the weights and adapters of a model being made: from another model, from
 * blobs, or (local) from files and folders; converted and quantized on the way. */
#include "api/create.h"
#include "api/quantize.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The type to quantize to; NULL: as it is. */
static aerie_status wanted_type(const ae_making *m, const char **type)
{
    static const char *const keys[] = { "quantize", "quantization" };

    *type = NULL;
    for (size_t i = 0; i < AE_COUNT(keys); i++) {
        const json_t *value = json_object_get(m->request, keys[i]);
        if (value && !json_is_null(value) && !json_is_string(value))
            return aerie_fail(m->err, AERIE_BAD_ARGUMENT, "\"%s\" must be a text", keys[i]);
        if (!*type && json_string_length(value)) *type = json_string_value(value);
    }
    if (*type && ae_mix_find(*type)) return AERIE_OK;
    return *type
               ? aerie_fail(m->err, AERIE_BAD_ARGUMENT,
                            "unsupported quantization type '%.40s'; `aerie quantize --help` lists "
                            "those there are",
                            *type)
               : AERIE_OK;
}

/* ---- quantized, converted ---- */

typedef struct {
    ae_making *m;
    const char *text; /* "quantizing F16 model to Q4_K_M" */
    int64_t total;
} quantizing;

static bool tell_quantizing(void *user, double part, const aerie_quantized_tensor *t)
{
    const quantizing *q = user;

    (void)t;
    return !ae_making_tell(q->m, q->text, NULL, q->total, (int64_t)(part * (double)q->total));
}

/* The model at `path` (a GGUF file or a folder) as a layer of this type; `text` is told. */
static aerie_status add_as(ae_making *m, const char *path, const char *type, const char *text)
{
    ae_bytes scratch = { 0 };
    quantizing q = { m, text, 0 };
    const aerie_quantize_options options = { .threads = m->options.threads,
                                             .progress = tell_quantizing,
                                             .user = &q };
    struct stat info;
    aerie_status status = ae_blob_scratch(&scratch, &m->store.places, m->err);

    q.total = stat(path, &info) == 0 && S_ISREG(info.st_mode) ? info.st_size : 0;
    if (!status) status = ae_making_tell(m, text, NULL, q.total, 0);
    if (!status) status = aerie_quantize(path, scratch.data, type, &options, NULL, m->err);
    if (!status) status = ae_making_file(m, "model", scratch.data, true);
    if (scratch.data) unlink(scratch.data);
    ae_bytes_free(&scratch);
    return status;
}

static aerie_status add_quantized(ae_making *m, const char *path, const char *from,
                                  const char *type)
{
    char text[96];

    snprintf(text, sizeof text, "quantizing %s model to %s", from, ae_mix_find(type)->name);
    return add_as(m, path, type, text);
}

/* Through the quantizer in any case: it can be stopped. */
static aerie_status add_folder(ae_making *m, const char *folder, const char *type)
{
    return type ? add_quantized(m, folder, "safetensors", type)
                : add_as(m, folder, "F16", "converting model");
}

/* "F16"; fails for weights that are not read, and (with `type`) for such as are quantized already.
 */
static aerie_status check_weights(const ae_making *m, const char *path, const char *type,
                                  ae_weights_info *info)
{
    ae_gguf *g = NULL;
    aerie_status status = ae_gguf_open(&g, path, m->err);

    if (status) return status;
    ae_weights_of(info, g);
    ae_gguf_close(g);
    if (!info->architecture[0])
        return aerie_fail(m->err, AERIE_BAD_FILE, "%s: says of no architecture that it is", path);
    if (type && strcmp(info->file_type, "F16") && strcmp(info->file_type, "BF16") &&
        strcmp(info->file_type, "F32"))
        return aerie_fail(
            m->err, AERIE_BAD_ARGUMENT,
            "quantization is only supported for F16, BF16 and F32 models; this one is "
            "%s already",
            info->file_type);
    return AERIE_OK;
}

/* `layer`: the blob that it is already, or NULL. */
static aerie_status add_gguf(ae_making *m, const char *path, const ae_layer *layer,
                             const char *type)
{
    char text[AE_HEX + 32];
    ae_weights_info info;
    aerie_status status = ae_making_tell(m, "parsing GGUF", NULL, 0, 0);

    if (!status) status = check_weights(m, path, type, &info);
    if (status) return status;
    if (type && strcmp(ae_mix_find(type)->name, info.file_type))
        return add_quantized(m, path, info.file_type, type);
    if (!layer) return ae_making_file(m, "model", path, false);
    status = ae_making_add(m, layer);
    snprintf(text, sizeof text, "using existing layer sha256:%s", layer->hex);
    return status ? status : ae_making_tell(m, text, NULL, 0, 0);
}

/* ---- from another model ---- */

/* What a layer says as JSON; *out stays NULL without one, or when it is none. */
static aerie_status take_json(ae_making *m, json_t **out, const ae_layer *layer)
{
    ae_bytes text = { 0 };
    aerie_status status = layer ? ae_layer_text(&text, layer, &m->store.places, m->err) : AERIE_OK;

    if (!status && layer) *out = json_loadb(text.data ? text.data : "", text.len, 0, NULL);
    ae_bytes_free(&text);
    return status;
}

/* All of its layers; the weights first through the quantizer. */
static aerie_status take_layers(ae_making *m, const ae_hub_entry *parent, const char *type)
{
    const ae_manifest *p = parent->manifest;
    char text[AE_HEX + 32];
    aerie_status status = take_json(m, &m->parameters, ae_manifest_layer(p, "params", 0));

    if (!status && p->config.hex[0]) status = take_json(m, &m->parent_config, &p->config);

    snprintf(m->parent, sizeof m->parent, "%s", parent->name);
    for (size_t i = 0; !status && i < p->n; i++) {
        ae_layer layer = p->layers[i];
        if (!strcmp(layer.media, AE_MEDIA "model")) {
            layer.from = m->parent;
            status = add_gguf(m, parent->path, &layer, type);
            continue;
        }
        status = ae_making_add(m, &layer);
        snprintf(text, sizeof text, "using existing layer sha256:%s", layer.hex);
        if (!status) status = ae_making_tell(m, text, NULL, 0, 0);
    }
    return status;
}

/* A path of the Modelfile's folder; "~/" is the user's business: the program expands it. */
static char *local_path(const ae_making *m, const char *word)
{
    return *word == '/' || !m->options.folder ? ae_strdup(word)
                                              : ae_path_join(m->options.folder, word);
}

static aerie_status add_path(ae_making *m, const char *path, const char *type)
{
    return ae_file_is_folder(path) ? add_folder(m, path, type) : add_gguf(m, path, NULL, type);
}

static bool tell_fetching(void *user, const char *status, const char *digest, int64_t total,
                          int64_t completed)
{
    return !ae_making_tell(user, status, digest, total, completed);
}

/* Fetched, when that is allowed and it is not here. */
static aerie_status find_from(ae_making *m, ae_hub_entry *entry, const char *from)
{
    const ae_pull_options how = { .on_step = tell_fetching, .user = m };
    aerie_error why = { 0 };
    ae_name name;
    aerie_status status = ae_hub_open(entry, &m->arena, from, &m->store.places, true, &why);

    if (status == AERIE_NOT_FOUND && m->options.fetch && ae_name_parse(&name, from)) {
        status = ae_hub_pull(from, &m->store.places, &how, m->err);
        if (status) return status;
        why = (aerie_error){ 0 };
        status = ae_hub_open(entry, &m->arena, from, &m->store.places, true, &why);
    }
    return status ? aerie_fail(m->err, status, "%s", why.message) : AERIE_OK;
}

static aerie_status take_from(ae_making *m, const char *from, const char *type)
{
    ae_hub_entry entry;
    char *path = m->options.local ? local_path(m, from) : NULL;
    aerie_status status;

    if (m->options.local && !path) return aerie_fail(m->err, AERIE_NO_MEMORY, "out of memory");
    if (path && ae_file_exists(path)) {
        status = add_path(m, path, type);
    } else {
        status = find_from(m, &entry, from);
        if (!status && !entry.path)
            status = aerie_fail(m->err, AERIE_UNSUPPORTED, "'%s' has no GGUF weights", from);
        if (!status)
            status = entry.manifest ? take_layers(m, &entry, type) : add_path(m, entry.path, type);
    }
    ae_free(path);
    return status;
}

/* ---- from blobs ---- */

static aerie_status find_blob(ae_making *m, ae_bytes *path, ae_layer *layer, const json_t *digest)
{
    const char *text = json_string_value(digest);

    if (!text || !ae_digest_parse(layer->hex, text))
        return aerie_fail(m->err, AERIE_BAD_ARGUMENT,
                          "invalid digest format: sha256: and 64 hexadecimal digits are wanted");
    return ae_blob_find(path, &layer->bytes, &m->store.places, layer->hex, m->err);
}

/* A file's own name: no folder, nothing that leads elsewhere. */
static bool is_file_name(const char *name)
{
    return *name && *name != '.' && !strchr(name, '/') && !strchr(name, '\\') && strlen(name) < 200;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n >= m && !strcmp(text + n - m, end);
}

/* A folder of links to blobs under the names that they had. */
static aerie_status link_files(ae_making *m, const json_t *files, const char *folder)
{
    ae_bytes blob = { 0 }, link = { 0 };
    const char *name;
    json_t *digest;
    aerie_status status = ae_file_make_folder(folder, m->err);

    json_object_foreach((json_t *)files, name, digest)
    {
        ae_layer layer = { 0 };
        if (!status) status = find_blob(m, &blob, &layer, digest);
        ae_bytes_clear(&link);
        ae_bytes_printf(&link, "%s/%s", folder, name);
        if (!status) status = ae_bytes_status(&link, m->err);
        /* A link is followed from where it lies. */
        char *target = status ? NULL : realpath(blob.data, NULL);
        if (!status && (!target || symlink(target, link.data)))
            status = aerie_fail(m->err, AERIE_IO, "%s: cannot be linked", link.data);
        free(target);
    }
    ae_bytes_free(&blob);
    ae_bytes_free(&link);
    return status;
}

static void unlink_files(const json_t *files, const char *folder)
{
    const char *name;
    json_t *digest;

    json_object_foreach((json_t *)files, name, digest)
    {
        char *path = ae_path_join(folder, name);
        if (path) unlink(path);
        ae_free(path);
    }
    rmdir(folder);
}

static aerie_status take_folder(ae_making *m, const json_t *files, const char *type)
{
    ae_bytes folder = { 0 };
    aerie_status status = ae_blob_scratch(&folder, &m->store.places, m->err);

    if (!status) status = link_files(m, files, folder.data);
    if (!status) status = add_folder(m, folder.data, type);
    if (folder.data) unlink_files(files, folder.data);
    ae_bytes_free(&folder);
    return status;
}

static aerie_status take_files(ae_making *m, const json_t *files, const char *type)
{
    ae_bytes path = { 0 };
    ae_layer layer = { .media = AE_MEDIA "model" };
    const char *name, *gguf = NULL;
    json_t *digest;
    aerie_status status = AERIE_OK;

    json_object_foreach((json_t *)files, name, digest)
    {
        if (!is_file_name(name))
            return aerie_fail(m->err, AERIE_BAD_ARGUMENT,
                              "file path must be relative, and a file's name alone: '%.100s'",
                              name);
        if (ends_with(name, ".gguf")) gguf = name;
    }
    if (!gguf && json_object_size(files) > 1) return take_folder(m, files, type);
    if (json_object_size(files) > 1)
        return aerie_fail(m->err, AERIE_UNSUPPORTED,
                          "one .gguf file, or the files of a Hugging Face folder are wanted");
    json_object_foreach((json_t *)files, name, digest) status = find_blob(m, &path, &layer, digest);
    if (!status) status = add_gguf(m, path.data, &layer, type);
    ae_bytes_free(&path);
    return status;
}

/* ---- adapters ---- */

static aerie_status check_adapter(const ae_making *m, const char *path)
{
    ae_gguf *g = NULL;
    ae_span type = { 0 };
    aerie_status status = ae_gguf_open(&g, path, m->err);

    if (status) return status;
    if (ae_gguf_has(g, "general.type")) ae_gguf_text(g, "general.type", &type, NULL);
    if (!type.data || !ae_span_is(type, "adapter"))
        status = aerie_fail(m->err, AERIE_BAD_FILE, "%s: is no adapter", path);
    ae_gguf_close(g);
    return status;
}

/* PEFT's folder becomes a GGUF file, as which Ollama reads it too. */
static aerie_status add_adapter(ae_making *m, const char *path)
{
    ae_bytes scratch = { 0 };
    const char *weights = NULL;
    aerie_status status;

    if (!ae_file_is_folder(path)) {
        status = check_adapter(m, path);
        return status ? status : ae_making_file(m, "adapter", path, false);
    }
    status = ae_making_tell(m, "converting adapter", NULL, 0, 0);
    if (!status) status = ae_making_weights(m, &weights);
    if (!status && !weights)
        status = aerie_fail(m->err, AERIE_BAD_ARGUMENT, "%s: an adapter of which model?", path);
    if (!status) status = ae_blob_scratch(&scratch, &m->store.places, m->err);
    if (!status) status = aerie_convert_adapter(path, weights, scratch.data, "gguf", false, m->err);
    if (!status) status = ae_making_file(m, "adapter", scratch.data, true);
    if (scratch.data) unlink(scratch.data);
    ae_bytes_free(&scratch);
    return status;
}

static aerie_status take_adapter_paths(ae_making *m)
{
    const json_t *list = json_object_get(m->request, "adapter_paths"), *one;
    aerie_status status = AERIE_OK;
    size_t i;

    if (!m->options.local || !list) return AERIE_OK;
    json_array_foreach(list, i, one)
    {
        char *path = json_is_string(one) ? local_path(m, json_string_value(one)) : NULL;
        if (!path)
            status =
                aerie_fail(m->err, AERIE_BAD_ARGUMENT, "\"adapter_paths\" must be a list of texts");
        if (!status) status = add_adapter(m, path);
        ae_free(path);
        if (status) break;
    }
    return status;
}

/* PEFT's folder, file by file. */
static aerie_status take_adapter_folder(ae_making *m, const json_t *files)
{
    ae_bytes folder = { 0 };
    aerie_status status = ae_blob_scratch(&folder, &m->store.places, m->err);

    if (!status) status = link_files(m, files, folder.data);
    if (!status) status = add_adapter(m, folder.data);
    if (folder.data) unlink_files(files, folder.data);
    ae_bytes_free(&folder);
    return status;
}

static aerie_status take_adapter_blobs(ae_making *m)
{
    const json_t *files = json_object_get(m->request, "adapters");
    ae_bytes path = { 0 };
    const char *name;
    json_t *digest;
    aerie_status status = AERIE_OK;

    json_object_foreach((json_t *)files, name, digest)
    {
        if (!is_file_name(name))
            return aerie_fail(m->err, AERIE_BAD_ARGUMENT, "file path must be relative");
    }
    if (json_object_get(files, "adapter_config.json")) return take_adapter_folder(m, files);
    json_object_foreach((json_t *)files, name, digest)
    {
        ae_layer layer = { .media = AE_MEDIA "adapter" };
        if (!status) status = find_blob(m, &path, &layer, digest);
        if (!status) status = check_adapter(m, path.data);
        if (!status) status = ae_making_add(m, &layer);
    }
    ae_bytes_free(&path);
    return status;
}

aerie_status ae_making_take_weights(ae_making *m)
{
    const json_t *from = json_object_get(m->request, "from");
    const json_t *files = json_object_get(m->request, "files");
    const char *type;
    aerie_status status = wanted_type(m, &type);

    if (status) return status;
    if (json_string_length(from))
        status = take_from(m, json_string_value(from), type);
    else if (json_object_size(files))
        status = take_files(m, files, type);
    else
        status = aerie_fail(m->err, AERIE_BAD_ARGUMENT, "neither 'from' or 'files' was specified");
    if (!status) status = take_adapter_blobs(m);
    return status ? status : take_adapter_paths(m);
}
