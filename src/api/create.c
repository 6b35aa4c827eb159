/* create.c -- a model made of layers, under a name. */
#include "api/create.h"
#include "text/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- layers ---- */

aerie_status ae_making_tell(ae_making *m, const char *status, const char *digest, int64_t total,
                            int64_t completed)
{
    const aerie_store_event event = { status, digest, total, completed };

    if (!m->options.on_event || m->options.on_event(m->options.user, &event)) return AERIE_OK;
    return aerie_fail(m->err, AERIE_INTERRUPTED, "interrupted");
}

aerie_status ae_making_add(ae_making *m, const ae_layer *layer)
{
    if (m->n == m->cap) {
        size_t cap = m->cap ? 2 * m->cap : 16;
        ae_layer *grown = ae_arena_take(&m->arena, cap, sizeof *grown);
        if (!grown) return aerie_fail(m->err, AERIE_NO_MEMORY, "out of memory");
        if (m->n) memcpy(grown, m->layers, m->n * sizeof *grown);
        m->layers = grown;
        m->cap = cap;
    }
    m->layers[m->n++] = *layer;
    return AERIE_OK;
}

static bool is_type(const ae_layer *l, const char *type)
{
    return !strncmp(l->media, AE_MEDIA, strlen(AE_MEDIA)) &&
           !strcmp(l->media + strlen(AE_MEDIA), type);
}

void ae_making_drop(ae_making *m, const char *type)
{
    size_t kept = 0;

    for (size_t i = 0; i < m->n; i++)
        if (!is_type(&m->layers[i], type)) m->layers[kept++] = m->layers[i];
    m->n = kept;
}

static aerie_status tell_layer(ae_making *m, const char *hex, bool is_new)
{
    char text[AE_HEX + 32];

    snprintf(text, sizeof text, "%s sha256:%s",
             is_new ? "creating new layer" : "using existing layer", hex);
    return ae_making_tell(m, text, NULL, 0, 0);
}

static const char *media_of(ae_making *m, const char *type)
{
    ae_bytes media = { 0 };
    const char *kept;

    ae_bytes_printf(&media, AE_MEDIA "%s", type);
    kept = media.failed ? NULL : ae_arena_strndup(&m->arena, media.data, media.len);
    ae_bytes_free(&media);
    return kept;
}

static aerie_status put_blob(ae_making *m, ae_layer *l, const char *text, size_t len, bool *is_new)
{
    ae_blob_writer w = { 0 };
    aerie_status status = ae_blob_begin(&w, &m->store.places, m->err);

    if (!status) {
        ae_blob_add(&w, text, len);
        status = ae_blob_finish(&w, NULL, l->hex, is_new, m->err);
    }
    ae_blob_abandon(&w);
    l->bytes = (int64_t)len;
    return status;
}

aerie_status ae_making_text(ae_making *m, const char *type, const char *text, size_t len)
{
    ae_layer l = { .media = media_of(m, type) };
    bool is_new = false;
    aerie_status status = l.media ? put_blob(m, &l, text, len, &is_new)
                                  : aerie_fail(m->err, AERIE_NO_MEMORY, "out of memory");

    if (!status) status = ae_making_add(m, &l);
    return status ? status : tell_layer(m, l.hex, is_new);
}

static bool tell_hashing(void *user, uint64_t done, uint64_t total)
{
    return !ae_making_tell(user, "hashing", NULL, (int64_t)total, (int64_t)done);
}

aerie_status ae_making_file(ae_making *m, const char *type, const char *path, bool move)
{
    ae_layer l = { .media = media_of(m, type) };
    ae_bytes blob = { 0 };
    bool is_new = false;
    aerie_status status = l.media ? ae_blob_adopt(path, move, &m->store.places, l.hex, &is_new,
                                                  tell_hashing, m, m->err)
                                  : aerie_fail(m->err, AERIE_NO_MEMORY, "out of memory");

    if (!status) status = ae_blob_find(&blob, &l.bytes, &m->store.places, l.hex, m->err);
    if (!status) status = ae_making_add(m, &l);
    if (!status) status = tell_layer(m, l.hex, is_new);
    ae_bytes_free(&blob);
    return status;
}

aerie_status ae_making_weights(ae_making *m, const char **path)
{
    ae_bytes found = { 0 };
    aerie_status status = AERIE_OK;

    *path = NULL;
    for (size_t i = 0; i < m->n && !*path && !status; i++) {
        if (!is_type(&m->layers[i], "model")) continue;
        status = ae_blob_find(&found, NULL, &m->store.places, m->layers[i].hex, m->err);
        if (!status) *path = ae_arena_strndup(&m->arena, found.data, found.len);
        if (!status && !*path) status = aerie_fail(m->err, AERIE_NO_MEMORY, "out of memory");
    }
    ae_bytes_free(&found);
    return status;
}

/* ---- texts ---- */

static aerie_status wrong_kind(const ae_making *m, const char *key, const char *wanted)
{
    return aerie_fail(m->err, AERIE_BAD_ARGUMENT, "\"%s\" must be %s", key, wanted);
}

/* *text stays NULL when the request has none. */
static aerie_status text_of(const ae_making *m, const char *key, const char **text)
{
    const json_t *value = json_object_get(m->request, key);

    *text = json_string_value(value);
    return !value || json_is_null(value) || *text ? AERIE_OK : wrong_kind(m, key, "a text");
}

/* A Jinja template that does not parse would fail at the first message. */
static aerie_status check_template(const ae_making *m, const char *text)
{
    ae_template *t = NULL;
    aerie_status status = AERIE_OK;

    if (strstr(text, "{%")) status = ae_template_parse(&t, ae_span_text(text), m->err);
    ae_template_free(t);
    return status;
}

static aerie_status add_text(ae_making *m, const char *key)
{
    const char *text;
    aerie_status status = text_of(m, key, &text);

    if (status || !text) return status;
    if (!strcmp(key, "template")) status = check_template(m, text);
    if (status) return status;
    ae_making_drop(m, key);
    return *text ? ae_making_text(m, key, text, strlen(text)) : AERIE_OK;
}

static aerie_status add_licenses(ae_making *m)
{
    const json_t *value = json_object_get(m->request, "license"), *one;
    aerie_status status = AERIE_OK;
    size_t i;

    if (json_is_string(value) && *json_string_value(value))
        return ae_making_text(m, "license", json_string_value(value), json_string_length(value));
    if (value && !json_is_null(value) && !json_is_string(value) && !json_is_array(value))
        return wrong_kind(m, "license", "a text or a list of texts");
    json_array_foreach(value, i, one)
    {
        if (!json_is_string(one)) return wrong_kind(m, "license", "a text or a list of texts");
        status = ae_making_text(m, "license", json_string_value(one), json_string_length(one));
        if (status) break;
    }
    return status;
}

static aerie_status add_json(ae_making *m, const char *type, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(9));
    aerie_status status;

    if (!text) return aerie_fail(m->err, AERIE_NO_MEMORY, "out of memory");
    ae_making_drop(m, type);
    status = ae_making_text(m, type, text, strlen(text));
    free(text);
    return status;
}

/* Over those of the model that it is made from, by name. */
static aerie_status add_parameters(ae_making *m)
{
    json_t *value = json_object_get(m->request, "parameters"), *all;
    aerie_status status = AERIE_OK;

    if (!value || json_is_null(value)) return AERIE_OK;
    if (!json_is_object(value)) return wrong_kind(m, "parameters", "an object");
    all = m->parameters ? json_deep_copy(m->parameters) : json_object();
    if (!all || json_object_update(all, value))
        status = aerie_fail(m->err, AERIE_NO_MEMORY, "out of memory");
    if (!status && json_object_size(all)) status = add_json(m, "params", all);
    json_decref(all);
    return status;
}

static aerie_status add_messages(ae_making *m)
{
    const json_t *list = json_object_get(m->request, "messages"), *one;
    size_t i;

    if (!list || json_is_null(list)) return AERIE_OK;
    if (!json_is_array(list)) return wrong_kind(m, "messages", "a list");
    json_array_foreach(list, i, one)
    {
        const char *role = json_string_value(json_object_get(one, "role"));
        if (!role || !json_is_string(json_object_get(one, "content")))
            return wrong_kind(m, "messages", "a list of {\"role\", \"content\"}");
        if (strcmp(role, "system") && strcmp(role, "user") && strcmp(role, "assistant"))
            return aerie_fail(m->err, AERIE_BAD_ARGUMENT,
                              "message role must be one of \"system\", \"user\", or "
                              "\"assistant\", not \"%.40s\"",
                              role);
    }
    return json_array_size(list) ? add_json(m, "messages", list) : AERIE_OK;
}

/* ---- config and manifest ---- */

/* The request's, or those of the model that it is made from. */
static aerie_status add_config_texts(const ae_making *m, json_t *o)
{
    static const char *const keys[] = { "renderer", "parser", "requires" };

    for (size_t i = 0; i < AE_COUNT(keys); i++) {
        const char *text;
        aerie_status status = text_of(m, keys[i], &text);
        if (status) return status;
        if (!text) text = json_string_value(json_object_get(m->parent_config, keys[i]));
        if (text && *text) json_object_set_new(o, keys[i], json_string(text));
    }
    return AERIE_OK;
}

static aerie_status make_config(ae_making *m)
{
    ae_weights_info info;
    ae_gguf *g = NULL;
    const char *path;
    char size[32], *text = NULL;
    json_t *o = NULL;
    aerie_status status = ae_making_weights(m, &path);

    if (!status && !path) status = aerie_fail(m->err, AERIE_BAD_FILE, "the model has no weights");
    if (!status) status = ae_gguf_open(&g, path, m->err);
    if (status) return status;
    ae_weights_of(&info, g);
    ae_gguf_close(g);
    ae_parameter_size(size, info.n_parameters);
    o = json_pack("{s:s, s:s, s:[s], s:s, s:s, s:s, s:s}", "model_format", "gguf", "model_family",
                  info.architecture, "model_families", info.architecture, "model_type", size,
                  "file_type", info.file_type, "architecture", "amd64", "os", "linux");
    status = o ? add_config_texts(m, o)
               : aerie_fail(m->err, AERIE_BAD_FILE, "the weights' architecture has no name");
    if (!status) text = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    if (!status && !text) status = aerie_fail(m->err, AERIE_NO_MEMORY, "out of memory");
    if (!status) status = put_blob(m, &m->config, text, strlen(text), NULL);
    free(text);
    return status;
}

static aerie_status save(ae_making *m, const ae_name *name)
{
    const ae_manifest manifest = { .config = m->config, .layers = m->layers, .n = m->n };
    ae_manifest old = { 0 };
    aerie_status had, status = ae_making_tell(m, "writing manifest", NULL, 0, 0);

    if (status) return status;
    had = ae_hub_manifest(&old, &m->arena, name, &m->store.places, NULL);
    status = ae_manifest_save(&manifest, NULL, name, &m->store.places, m->err);
    if (!status && !had) status = ae_hub_collect(&old, &m->store.places, m->err);
    /* It is there now: who wants to stop is too late. */
    if (!status) ae_making_tell(m, "success", NULL, 0, 0);
    return status;
}

static aerie_status make(ae_making *m, const ae_name *name)
{
    aerie_status status = ae_making_take_weights(m);

    if (!status) status = add_text(m, "template");
    if (!status) status = add_text(m, "system");
    if (!status) status = add_licenses(m);
    if (!status) status = add_parameters(m);
    if (!status) status = add_messages(m);
    if (!status) status = make_config(m);
    return status ? status : save(m, name);
}

aerie_status aerie_store_create(const aerie_places *places, const char *model, const char *request,
                                const aerie_create_options *options, aerie_error *err)
{
    ae_making m = { .options = options ? *options : (aerie_create_options){ 0 }, .err = err };
    json_error_t problem;
    json_t *o = json_loads(request, 0, &problem);
    ae_name name;
    aerie_status status = AERIE_OK;

    m.request = o;
    if (!ae_name_parse(&name, model))
        status = aerie_fail(err, AERIE_BAD_ARGUMENT, "invalid model name '%.200s'", model);
    if (!status && !json_is_object(o))
        status = aerie_fail(err, AERIE_BAD_ARGUMENT, "the request is no JSON object: %s",
                            o ? "another value" : problem.text);
    if (!status) status = ae_store_open(&m.store, places, err);
    if (!status) status = make(&m, &name);
    json_decref(m.parameters);
    json_decref(m.parent_config);
    json_decref(o);
    ae_store_close(&m.store);
    ae_arena_free(&m.arena);
    return status;
}
