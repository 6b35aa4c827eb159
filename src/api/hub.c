/* hub.c -- the public face of names, and what a name stands for. */
#include "api/store.h"
#include "text/text.h"

#include <string.h>

aerie_status ae_store_open(ae_store *s, const aerie_places *p, aerie_error *err)
{
    *s = (ae_store){ .places = { .models = p->models,
                                 .ollama = p->ollama,
                                 .hf = p->huggingface,
                                 .share = p->share } };
    if (p->models || !p->store) return AERIE_OK;
    s->places.models = s->models = ae_path_join(p->store, "models");
    return s->models ? AERIE_OK : aerie_fail(err, AERIE_NO_MEMORY, "out of memory");
}

void ae_store_close(ae_store *s)
{
    ae_free(s->models);
    *s = (ae_store){ 0 };
}

/* ---- resolving ---- */

/* A handle owns all it points at. */
typedef struct {
    aerie_stored stored; /* first: the handle's address is this one's */
    ae_arena arena;
} resolved;

/* The text of a layer, or NULL when the model has none. */
static aerie_status layer_text(const char **out, resolved *r, const ae_layer *layer,
                               const ae_places *places, aerie_error *err)
{
    ae_bytes text = { 0 };
    aerie_status status = AERIE_OK;

    *out = NULL;
    if (layer) status = ae_layer_text(&text, layer, places, err);
    if (layer && !status) {
        *out = ae_arena_strndup(&r->arena, text.data ? text.data : "", text.len);
        if (!*out) status = aerie_fail(err, AERIE_NO_MEMORY, "out of memory");
    }
    ae_bytes_free(&text);
    return status;
}

static aerie_status take_adapters(resolved *r, const ae_manifest *m, const ae_places *places,
                                  aerie_error *err)
{
    const char **paths = ae_arena_take(&r->arena, m->n, sizeof *paths);
    ae_bytes path = { 0 };
    const ae_layer *layer;
    size_t n = 0;
    aerie_status status = paths ? AERIE_OK : aerie_fail(err, AERIE_NO_MEMORY, "out of memory");

    while (!status && (layer = ae_manifest_layer(m, "adapter", n))) {
        status = ae_blob_find(&path, NULL, places, layer->hex, err);
        if (status) break;
        paths[n] = ae_arena_strndup(&r->arena, path.data, path.len);
        if (!paths[n++]) status = aerie_fail(err, AERIE_NO_MEMORY, "out of memory");
    }
    r->stored.adapters = paths;
    r->stored.n_adapters = n;
    ae_bytes_free(&path);
    return status;
}

static aerie_status take_licenses(resolved *r, const ae_manifest *m, const ae_places *places,
                                  aerie_error *err)
{
    const char **texts = ae_arena_take(&r->arena, m->n, sizeof *texts);
    const ae_layer *layer;
    size_t n = 0;
    aerie_status status = texts ? AERIE_OK : aerie_fail(err, AERIE_NO_MEMORY, "out of memory");

    while (!status && (layer = ae_manifest_layer(m, "license", n)))
        status = layer_text(&texts[n++], r, layer, places, err);
    r->stored.licenses = texts;
    r->stored.n_licenses = n;
    return status;
}

/* JSON of the right kind, or the kind's empty value. */
static aerie_status take_json(const char **out, resolved *r, const ae_layer *layer, bool is_array,
                              const ae_places *places, aerie_error *err)
{
    aerie_status status = layer_text(out, r, layer, places, err);
    json_t *value = !status && *out ? json_loads(*out, 0, NULL) : NULL;

    if (!status && *out && !(is_array ? json_is_array(value) : json_is_object(value)))
        status = aerie_fail(err, AERIE_BAD_FILE, "layer sha256:%s: is no JSON %s", layer->hex,
                            is_array ? "array" : "object");
    if (!status && !*out) *out = is_array ? "[]" : "{}";
    json_decref(value);
    return status;
}

/* What marks the known formats in a template of another language; the more special first. */
static const char *format_of(const char *text)
{
    static const struct {
        const char *mark, *also, *name;
    } marks[] = {
        { "GPT4 Correct", NULL, "openchat" },      { "<|start_header_id|>", NULL, "llama3" },
        { "<|im_start|>", NULL, "chatml" },        { "<start_of_turn>", NULL, "gemma" },
        { "<<SYS>>", "[INST]", "llama2" },         { "[INST]", NULL, "mistral" },
        { "<|user|>", "<|assistant|>", "zephyr" }, { "### Instruction", NULL, "alpaca" },
        { "USER:", "ASSISTANT:", "vicuna" },
    };

    for (size_t i = 0; i < AE_COUNT(marks); i++)
        if (strstr(text, marks[i].mark) && (!marks[i].also || strstr(text, marks[i].also)) &&
            ae_template_known(marks[i].name))
            return marks[i].name;
    return NULL;
}

static bool has_own_template(const char *path)
{
    ae_gguf *g = NULL;
    bool has;

    if (ae_file_is_folder(path)) return true;
    if (ae_gguf_open(&g, path, NULL)) return false;
    has = ae_gguf_has(g, "tokenizer.chat_template");
    ae_gguf_close(g);
    return has;
}

/* Go's templates are not rendered here: the file's own Jinja is, which says the same; only a file
 * without one needs to be told what format the text is of. */
static const char *choose_template(const aerie_stored *s)
{
    const char *text = s->template_text;

    if (!text || !*text) return NULL;
    if (strstr(text, "{%")) return text;
    for (size_t i = 0; ae_template_known_name(i); i++)
        if (!strcmp(text, ae_template_known_name(i))) return text;
    return has_own_template(s->path) ? NULL : format_of(text);
}

static aerie_status take_manifest(resolved *r, const ae_hub_entry *entry, const ae_places *places,
                                  aerie_error *err)
{
    const ae_manifest *m = entry->manifest;
    aerie_stored *s = &r->stored;
    const ae_layer *template_layer = ae_manifest_layer(m, "template", 0);
    aerie_status status;

    if (!template_layer) template_layer = ae_manifest_layer(m, "prompt", 0);
    s->digest = m->hex;
    if (!s->path)
        return aerie_fail(err, AERIE_UNSUPPORTED,
                          "'%s' has no GGUF weights that this program could read", entry->name);
    if (ae_manifest_layer(m, "model", 1))
        return aerie_fail(err, AERIE_UNSUPPORTED, "'%s' is a model in several files of weights",
                          entry->name);
    status = take_adapters(r, m, places, err);
    if (!status) status = layer_text(&s->template_text, r, template_layer, places, err);
    if (!status) status = layer_text(&s->system, r, ae_manifest_layer(m, "system", 0), places, err);
    if (!status)
        status =
            take_json(&s->parameters, r, ae_manifest_layer(m, "params", 0), false, places, err);
    if (!status)
        status = take_json(&s->messages, r, ae_manifest_layer(m, "messages", 0), true, places, err);
    if (!status) status = take_licenses(r, m, places, err);
    if (!status) s->chat_template = choose_template(s);
    return status;
}

aerie_status aerie_store_resolve(const aerie_places *places, const char *model, bool names_only,
                                 const aerie_stored **out, aerie_error *err)
{
    resolved *r = ae_alloc(1, sizeof *r);
    ae_hub_entry entry;
    ae_store store = { 0 };
    aerie_status status =
        r ? ae_store_open(&store, places, err) : aerie_fail(err, AERIE_NO_MEMORY, "out of memory");

    *out = NULL;
    if (!status) status = ae_hub_open(&entry, &r->arena, model, &store.places, names_only, err);
    if (!status) {
        r->stored = (aerie_stored){ .name = entry.name,
                                    .where = ae_where_name(entry.where),
                                    .path = entry.path,
                                    .parameters = "{}",
                                    .messages = "[]" };
        if (entry.manifest) status = take_manifest(r, &entry, &store.places, err);
    }
    ae_store_close(&store);
    if (!status)
        *out = &r->stored;
    else if (r)
        aerie_stored_free(&r->stored);
    return status;
}

void aerie_stored_free(const aerie_stored *stored)
{
    resolved *r = (resolved *)stored;

    if (!r) return;
    ae_arena_free(&r->arena);
    ae_free(r);
}

aerie_status aerie_find_model(const aerie_places *places, const char *model, char **path,
                              aerie_error *err)
{
    const aerie_stored *s = NULL;
    aerie_status status = aerie_store_resolve(places, model, false, &s, err);

    *path = NULL;
    if (!status && s->n_adapters)
        status = aerie_fail(err, AERIE_UNSUPPORTED,
                            "'%s' lays an adapter over its weights, which would be lost here; "
                            "fold it in with `aerie merge` first",
                            model);
    if (!status) {
        *path = ae_strdup(s->path);
        if (!*path) status = aerie_fail(err, AERIE_NO_MEMORY, "out of memory");
    }
    aerie_stored_free(s);
    return status;
}
