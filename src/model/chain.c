/* chain.c -- where weights come from: the base, the adapters beneath or merged, the recipe, the
 * data. */
#include "model/chain.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LINKS = 256, MOST_NAME = 512 };

static aerie_status no_memory(aerie_error *err)
{
    return aerie_fail(err, AERIE_NO_MEMORY, "no memory for where an adapter comes from");
}

static aerie_status read_text(const char **out, ae_arena *arena, const json_t *value,
                              aerie_error *err)
{
    const char *text = json_string_value(value);

    if (!text) return AERIE_OK;
    *out = ae_arena_strndup(arena, text, strnlen(text, MOST_NAME));
    return *out ? AERIE_OK : no_memory(err);
}

static aerie_status read_hash(char out[65], const json_t *value, const char *path, aerie_error *err)
{
    const char *text = json_string_value(value);

    if (!text || strlen(text) != 64 || strspn(text, "0123456789abcdef") != 64)
        return aerie_fail(err, AERIE_BAD_FILE,
                          "%s: damaged: '%.20s' in its chain is no hash of 64 digits", path,
                          text ? text : "nothing");
    memcpy(out, text, 65);
    return AERIE_OK;
}

static aerie_status read_links(ae_chain_link **out, int *n, ae_arena *arena, const json_t *list,
                               const char *path, aerie_error *err)
{
    size_t count = json_array_size(list);
    aerie_status status = AERIE_OK;

    if (!count) return AERIE_OK;
    if (count > MOST_LINKS)
        return aerie_fail(err, AERIE_BAD_FILE, "%s: its chain has %zu links", path, count);
    *out = ae_arena_take(arena, count, sizeof **out);
    if (!*out) return no_memory(err);
    for (size_t i = 0; i < count && !status; i++) {
        const json_t *item = json_array_get(list, i), *scale = json_object_get(item, "scale");
        ae_chain_link *link = &(*out)[i];
        link->name = "";
        link->scale = json_is_number(scale) ? json_number_value(scale) : 1;
        status = read_hash(link->hash, json_object_get(item, "hash"), path, err);
        if (!status) status = read_text(&link->name, arena, json_object_get(item, "name"), err);
    }
    *n = (int)count;
    return status;
}

static aerie_status read_all(ae_chain *out, ae_arena *arena, const json_t *root, const char *path,
                             aerie_error *err)
{
    const json_t *base = json_object_get(root, "base"), *recipe = json_object_get(root, "recipe");
    aerie_status status =
        base ? read_hash(out->base, json_object_get(base, "hash"), path, err) : AERIE_OK;

    if (!status) status = read_text(&out->base_name, arena, json_object_get(base, "name"), err);
    if (!status) status = read_text(&out->method, arena, json_object_get(root, "method"), err);
    if (!status) status = read_text(&out->load_in, arena, json_object_get(root, "load_in"), err);
    if (!status && recipe) status = read_hash(out->recipe, recipe, path, err);
    if (!status)
        status = read_links(&out->parents, &out->n_parents, arena, json_object_get(root, "parents"),
                            path, err);
    if (!status)
        status =
            read_links(&out->data, &out->n_data, arena, json_object_get(root, "data"), path, err);
    return status;
}

aerie_status ae_chain_read(ae_chain *out, ae_arena *arena, ae_span json, const char *path,
                           aerie_error *err)
{
    json_t *root = json_loadb(json.data, json.len, 0, NULL);
    aerie_status status =
        json_is_object(root)
            ? read_all(out, arena, root, path, err)
            : aerie_fail(err, AERIE_BAD_FILE, "%s: damaged: its chain is no JSON object", path);

    json_decref(root);
    return status;
}

static json_t *links_json(const ae_chain_link *links, int n, bool scales)
{
    json_t *list = json_array();

    for (int i = 0; i < n; i++) {
        json_t *o = json_pack("{s:s, s:s}", "hash", links[i].hash, "name", links[i].name);
        if (!o) o = json_pack("{s:s}", "hash", links[i].hash); /* a name that is not UTF-8 */
        if (o && scales) json_object_set_new(o, "scale", json_real(links[i].scale));
        json_array_append_new(list, o);
    }
    return list;
}

static void set_text(json_t *o, const char *key, const char *text)
{
    if (text && text[0]) json_object_set_new(o, key, json_string(text));
}

aerie_status ae_chain_print(const ae_chain *c, ae_bytes *out, aerie_error *err)
{
    json_t *o = json_object(), *base = c->base[0] ? json_object() : NULL;
    char *text;

    set_text(base, "hash", c->base);
    set_text(base, "name", c->base_name);
    if (base) json_object_set_new(o, "base", base);
    if (c->n_parents) json_object_set_new(o, "parents", links_json(c->parents, c->n_parents, true));
    set_text(o, "method", c->method);
    set_text(o, "load_in", c->load_in);
    set_text(o, "recipe", c->recipe);
    if (c->n_data) json_object_set_new(o, "data", links_json(c->data, c->n_data, false));
    text = o ? json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(o);
    if (!text) return no_memory(err);
    ae_bytes_add_text(out, text);
    free(text);
    return ae_bytes_status(out, err);
}

ae_chain_link *ae_chain_copy(ae_arena *arena, const ae_chain_link *links, int n, int more)
{
    ae_chain_link *out = ae_arena_take(arena, (size_t)(n + more), sizeof *out);

    if (out && n > 0) memcpy(out, links, (size_t)n * sizeof *out);
    return out;
}

const ae_chain_link *ae_chain_find(const ae_chain_link *links, int n, const char *hash)
{
    for (int i = 0; i < n; i++)
        if (strcmp(links[i].hash, hash) == 0) return &links[i];
    return NULL;
}
