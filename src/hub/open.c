/* open.c -- from what a person types to a model. */
#include "hub/store.h"

#include <string.h>

enum { MOST_SHOWN = 8 };

/* A path beyond doubt: `nursery` as a program or a folder of recipes lies in many working folders.
 */
static bool is_model_path(const char *word)
{
    const char *slash = strrchr(word, '/'), *file = slash ? slash + 1 : word;
    char *config;
    bool found;

    if (!ae_file_is_folder(word)) return strchr(file, '.') && ae_file_exists(word);
    config = ae_path_join(word, "config.json");
    found = config && ae_file_exists(config);
    ae_free(config);
    return found;
}

static aerie_status take_path(ae_hub_entry *out, ae_arena *arena, const char *path,
                              const char *name, ae_where where, aerie_error *err)
{
    *out = (ae_hub_entry){ .where = where,
                           .name = ae_arena_strndup(arena, name, strlen(name)),
                           .path = ae_arena_strndup(arena, path, strlen(path)) };
    if (!out->name || !out->path)
        return aerie_fail(err, AERIE_NO_MEMORY, "out of memory while looking for '%s'", name);
    ae_store_stat(path, &out->bytes, &out->modified);
    return AERIE_OK;
}

/* AERIE_NOT_FOUND without a sentence when the store of this layout has no such name. */
static aerie_status read_manifest(ae_manifest *m, ae_arena *arena, ae_name *name,
                                  const char *models, aerie_error *err)
{
    ae_bytes path = { 0 };
    aerie_status status = models ? ae_manifest_path(&path, name, models, err) : AERIE_NOT_FOUND;

    if (!status && !ae_store_stat(path.data, NULL, NULL)) status = AERIE_NOT_FOUND;
    if (!status) status = ae_manifest_read(m, arena, path.data, err);
    ae_bytes_free(&path);
    return status;
}

aerie_status ae_hub_manifest(ae_manifest *out, ae_arena *arena, const ae_name *name,
                             const ae_places *places, aerie_error *err)
{
    ae_name spelled = *name;

    return read_manifest(out, arena, &spelled, places->models, err);
}

static aerie_status open_manifest(ae_hub_entry *out, ae_arena *arena, const char *word,
                                  const ae_places *places, ae_where where, aerie_error *err)
{
    const char *models = where == AE_WHERE_STORE ? places->models : places->ollama;
    ae_manifest manifest;
    ae_name name;
    aerie_status status;

    if (!ae_name_parse(&name, word)) return AERIE_NOT_FOUND;
    status = read_manifest(&manifest, arena, &name, models, err);
    if (status) return status;
    status = ae_manifest_entry(out, arena, &manifest, &name, where, places, true, err);
    /* A missing blob is no missing name. */
    return status == AERIE_NOT_FOUND ? AERIE_BAD_FILE : status;
}

/* A name of any place; AERIE_NOT_FOUND without a sentence when there is none. */
static aerie_status open_name(ae_hub_entry *out, ae_arena *arena, const char *word,
                              const ae_places *places, aerie_error *err)
{
    ae_bytes path = { 0 };
    ae_where where = AE_WHERE_PLAIN;
    aerie_status status = open_manifest(out, arena, word, places, AE_WHERE_STORE, err);

    if (status == AERIE_NOT_FOUND && ae_plain_find(&path, &where, word, places))
        status = take_path(out, arena, path.data, word, where, err);
    if (status == AERIE_NOT_FOUND)
        status = open_manifest(out, arena, word, places, AE_WHERE_OLLAMA, err);
    if (status == AERIE_NOT_FOUND && ae_hf_find(&path, word, places->hf))
        status = take_path(out, arena, path.data, word, AE_WHERE_HF, err);
    if (path.failed) status = ae_bytes_status(&path, err);
    ae_bytes_free(&path);
    return status;
}

/* ---- what is not there ---- */

/* Names as people type them: without ":latest". */
static aerie_status plain_names(const char ***names, ae_arena *arena, const ae_hub_entry *entries,
                                size_t n, aerie_error *err)
{
    static const char latest[] = ":latest";

    *names = ae_arena_take(arena, n, sizeof **names);
    for (size_t i = 0; *names && i < n; i++) {
        size_t len = strlen(entries[i].name), end = strlen(latest);
        if (len > end && !strcmp(entries[i].name + len - end, latest)) len -= end;
        (*names)[i] = ae_arena_strndup(arena, entries[i].name, len);
        if (!(*names)[i]) *names = NULL;
    }
    return *names ? AERIE_OK : aerie_fail(err, AERIE_NO_MEMORY, "out of memory");
}

static void put_known(ae_bytes *text, const char *word, const char *const *names, size_t n)
{
    const char *near_one = ae_nearest(word, names, n);

    if (near_one) ae_bytes_printf(text, "; did you mean '%s'?", near_one);
    if (!n)
        ae_bytes_add_text(text, "; the store is empty");
    else
        ae_bytes_add_text(text, near_one ? " There is " : "; there is ");
    for (size_t i = 0; i < n && i < MOST_SHOWN; i++)
        ae_bytes_printf(text, "%s%s", i ? ", " : "", names[i]);
    if (n > MOST_SHOWN) ae_bytes_printf(text, " and %zu more", n - MOST_SHOWN);
}

static aerie_status not_found(ae_arena *arena, const char *word, const ae_places *places,
                              aerie_error *err)
{
    const ae_hub_entry *entries;
    const char **names = NULL;
    ae_bytes text = { 0 };
    ae_name name;
    aerie_status status;
    size_t n = 0;

    if (!ae_name_parse(&name, word))
        return aerie_fail(err, AERIE_NOT_FOUND, "%s: there is no such file or folder", word);
    status = ae_hub_list(&entries, &n, arena, places, err);
    if (!status) status = plain_names(&names, arena, entries, n, err);
    if (status) return status;
    put_known(&text, word, names, n);
    status = ae_bytes_status(&text, err);
    if (!status)
        status = aerie_fail(
            err, AERIE_NOT_FOUND,
            "there is no model '%s'%s. Give a name, a .gguf file or a Hugging Face folder", word,
            text.data);
    ae_bytes_free(&text);
    return status;
}

aerie_status ae_hub_open(ae_hub_entry *out, ae_arena *arena, const char *word,
                         const ae_places *places, bool names_only, aerie_error *err)
{
    aerie_status status;

    *out = (ae_hub_entry){ 0 };
    if (!names_only && is_model_path(word))
        return take_path(out, arena, word, word, AE_WHERE_FILE, err);
    status = open_name(out, arena, word, places, err);
    if (status != AERIE_NOT_FOUND) return status;
    if (!names_only && *word && ae_file_exists(word))
        return take_path(out, arena, word, word, AE_WHERE_FILE, err);
    return not_found(arena, word, places, err);
}

aerie_status ae_layer_text(ae_bytes *out, const ae_layer *layer, const ae_places *places,
                           aerie_error *err)
{
    enum { MOST = 16 << 20 };
    ae_bytes path = { 0 };
    aerie_status status;

    ae_bytes_clear(out);
    if (layer->bytes > MOST)
        return aerie_fail(err, AERIE_BAD_FILE, "layer sha256:%s: too long for a text", layer->hex);
    status = ae_blob_find(&path, NULL, places, layer->hex, err);
    if (!status) status = ae_file_read(out, path.data, MOST, err);
    ae_bytes_free(&path);
    return status;
}
