/* store.c -- the public face of the store: listing, copying, removing, blobs, checking. */
#include "api/store.h"

#include "quant/quant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- what is told of a model ---- */

void ae_weights_of(ae_weights_info *out, const ae_gguf *g)
{
    const ae_tensor_list *list = ae_gguf_tensors(g);
    char key[96];
    ae_span text = { 0 };
    uint32_t type = UINT32_MAX;

    *out = (ae_weights_info){ .file_type = "unknown" };
    if (ae_gguf_has(g, "general.architecture"))
        ae_gguf_text(g, "general.architecture", &text, NULL);
    snprintf(out->architecture, sizeof out->architecture, "%.*s",
             text.len > 60 ? 60 : (int)text.len, text.data ? text.data : "");
    if (ae_gguf_has(g, "general.file_type")) ae_gguf_u32(g, "general.file_type", &type, NULL);
    for (size_t i = 0; i < ae_mix_count(); i++)
        if (ae_mix_at(i)->file_type == type)
            snprintf(out->file_type, sizeof out->file_type, "%s", ae_mix_at(i)->name);
    for (size_t i = 0; i < ae_tensor_list_len(list); i++) {
        const ae_stored_tensor *t = ae_tensor_list_at(list, i);
        out->n_parameters += t->rows * t->cols;
    }
    out->has_template = ae_gguf_has(g, "tokenizer.chat_template");
    snprintf(key, sizeof key, "%s.pooling_type", out->architecture);
    out->is_embedding = ae_gguf_has(g, key);
}

void ae_parameter_size(char out[32], int64_t n)
{
    double x = (double)n;

    if (n >= 1000000000)
        snprintf(out, 32, "%.*fB", n % 1000000000 ? 1 : 0, x / 1e9);
    else if (n >= 1000000)
        snprintf(out, 32, "%.*fM", n % 1000000 ? 2 : 0, x / 1e6);
    else if (n >= 1000)
        snprintf(out, 32, "%.0fK", x / 1e3);
    else
        snprintf(out, 32, "%lld", (long long)n);
}

/* A manifest's config says it; it is a stranger's JSON, and may say anything. */
static json_t *details_of_config(const ae_hub_entry *entry, const ae_places *places)
{
    static const char *const keys[][2] = { { "model_format", "format" },
                                           { "model_family", "family" },
                                           { "model_type", "parameter_size" },
                                           { "file_type", "quantization_level" } };
    const ae_layer *weights = ae_manifest_layer(entry->manifest, "model", 0);
    json_t *o = json_object(), *config = NULL;
    const json_t *families;
    ae_bytes text = { 0 };

    if (entry->manifest->config.hex[0] &&
        !ae_layer_text(&text, &entry->manifest->config, places, NULL))
        config = json_loadb(text.data ? text.data : "", text.len, 0, NULL);
    json_object_set_new(o, "parent_model",
                        json_string(weights && weights->from ? weights->from : ""));
    for (size_t i = 0; i < AE_COUNT(keys); i++) {
        const char *value = json_string_value(json_object_get(config, keys[i][0]));
        json_object_set_new(o, keys[i][1], json_string(value ? value : ""));
    }
    families = json_object_get(config, "model_families");
    json_object_set_new(o, "families",
                        json_is_array(families) ? json_deep_copy(families) : json_null());
    json_decref(config);
    ae_bytes_free(&text);
    return o;
}

static json_t *details_of_file(const char *path)
{
    ae_weights_info info = { .file_type = "" };
    char size[32] = "";
    ae_gguf *g = NULL;
    bool is_folder = ae_file_is_folder(path);

    if (!is_folder && !ae_gguf_open(&g, path, NULL)) {
        ae_weights_of(&info, g);
        ae_parameter_size(size, info.n_parameters);
    }
    ae_gguf_close(g);
    return json_pack("{s:s, s:s, s:s, s:o, s:s, s:s}", "parent_model", "", "format",
                     is_folder ? "safetensors" : "gguf", "family", info.architecture, "families",
                     info.architecture[0] ? json_pack("[s]", info.architecture) : json_null(),
                     "parameter_size", size, "quantization_level", info.file_type);
}

json_t *ae_details_json(const ae_hub_entry *entry, const ae_places *places)
{
    return entry->manifest ? details_of_config(entry, places) : details_of_file(entry->path);
}

json_t *ae_time_json(int64_t nanoseconds)
{
    time_t seconds = (time_t)(nanoseconds / 1000000000);
    struct tm parts;
    char text[80];

    if (!gmtime_r(&seconds, &parts)) return json_string("1970-01-01T00:00:00Z");
    snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%09dZ", parts.tm_year + 1900,
             parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
             (int)(nanoseconds % 1000000000));
    return json_string(text);
}

void ae_entry_digest(const ae_hub_entry *entry, char hex[AE_HEX])
{
    ae_sha256 hash;
    char facts[64];

    if (entry->manifest) {
        memcpy(hex, entry->manifest->hex, AE_HEX);
        return;
    }
    ae_sha256_start(&hash);
    if (entry->path) ae_sha256_add(&hash, entry->path, strlen(entry->path));
    snprintf(facts, sizeof facts, "\n%lld\n%lld", (long long)entry->bytes,
             (long long)entry->modified);
    ae_sha256_add(&hash, facts, strlen(facts));
    ae_sha256_hex(&hash, hex);
}

/* ---- listing ---- */

static json_t *entry_json(const ae_hub_entry *e, const ae_places *places)
{
    char hex[AE_HEX];

    ae_entry_digest(e, hex);
    return json_pack("{s:s, s:s, s:o, s:I, s:s, s:o, s:s}", "name", e->name, "model", e->name,
                     "modified_at", ae_time_json(e->modified), "size", (json_int_t)e->bytes,
                     "digest", hex, "details", ae_details_json(e, places), "where",
                     ae_where_name(e->where));
}

static int newest_first(const void *a, const void *b)
{
    const ae_hub_entry *x = *(const ae_hub_entry *const *)a, *y = *(const ae_hub_entry *const *)b;

    if (x->modified != y->modified) return x->modified < y->modified ? 1 : -1;
    return strcmp(x->name, y->name);
}

aerie_status aerie_store_list(const aerie_places *places, char **json, aerie_error *err)
{
    ae_store store = { 0 };
    ae_arena arena = { 0 };
    const ae_hub_entry *entries = NULL, **order = NULL;
    json_t *list = NULL, *o = NULL;
    size_t n = 0;
    aerie_status status = ae_store_open(&store, places, err);

    *json = NULL;
    if (!status) status = ae_hub_list(&entries, &n, &arena, &store.places, err);
    if (!status) {
        order = ae_arena_take(&arena, n, sizeof *order);
        list = json_array();
        o = json_pack("{s:O}", "models", list);
        if (!order || !o) status = aerie_fail(err, AERIE_NO_MEMORY, "out of memory");
    }
    for (size_t i = 0; !status && i < n; i++) order[i] = &entries[i];
    if (!status && n) qsort(order, n, sizeof *order, newest_first);
    for (size_t i = 0; !status && i < n; i++)
        json_array_append_new(list, entry_json(order[i], &store.places));
    if (!status) status = ae_api_give_json(o, json, err);
    json_decref(o);
    json_decref(list);
    ae_arena_free(&arena);
    ae_store_close(&store);
    return status;
}

/* ---- changing ---- */

aerie_status aerie_store_copy(const aerie_places *places, const char *from, const char *to,
                              aerie_error *err)
{
    ae_store store = { 0 };
    aerie_status status = ae_store_open(&store, places, err);

    if (!status) status = ae_hub_copy(from, to, &store.places, err);
    ae_store_close(&store);
    return status;
}

aerie_status aerie_store_delete(const aerie_places *places, const char *model, aerie_error *err)
{
    ae_store store = { 0 };
    aerie_status status = ae_store_open(&store, places, err);

    if (!status) status = ae_hub_remove(model, &store.places, err);
    ae_store_close(&store);
    return status;
}

/* ---- blobs ---- */

struct aerie_blob {
    ae_store store;
    ae_blob_writer writer;
    char hex[AE_HEX];
};

static aerie_status parse_digest(char hex[AE_HEX], const char *digest, aerie_error *err)
{
    if (ae_digest_parse(hex, digest)) return AERIE_OK;
    return aerie_fail(err, AERIE_BAD_ARGUMENT,
                      "invalid digest format: sha256: and 64 hexadecimal digits are wanted");
}

aerie_status aerie_blob_exists(const aerie_places *places, const char *digest, aerie_error *err)
{
    ae_store store = { 0 };
    ae_bytes path = { 0 };
    char hex[AE_HEX];
    aerie_status status = parse_digest(hex, digest, err);

    if (!status) status = ae_store_open(&store, places, err);
    if (!status) status = ae_blob_find(&path, NULL, &store.places, hex, err);
    ae_bytes_free(&path);
    ae_store_close(&store);
    return status;
}

aerie_status aerie_blob_begin(aerie_blob **out, const aerie_places *places, const char *digest,
                              aerie_error *err)
{
    aerie_blob *b = ae_alloc(1, sizeof *b);
    aerie_status status =
        b ? parse_digest(b->hex, digest, err) : aerie_fail(err, AERIE_NO_MEMORY, "out of memory");

    *out = NULL;
    if (!status) status = ae_store_open(&b->store, places, err);
    if (!status) status = ae_blob_begin(&b->writer, &b->store.places, err);
    if (!status)
        *out = b;
    else
        aerie_blob_abandon(b);
    return status;
}

aerie_status aerie_blob_add(aerie_blob *b, const void *data, size_t len, aerie_error *err)
{
    ae_blob_add(&b->writer, data, len);
    /* Now, not after the rest of some gigabytes. */
    if (!b->writer.file.error) return AERIE_OK;
    return aerie_fail(err, AERIE_IO, "a blob cannot be written: %s",
                      strerror(b->writer.file.error));
}

aerie_status aerie_blob_finish(aerie_blob *b, aerie_error *err)
{
    char hex[AE_HEX];
    aerie_status status = ae_blob_finish(&b->writer, b->hex, hex, NULL, err);

    aerie_blob_abandon(b);
    return status;
}

void aerie_blob_abandon(aerie_blob *b)
{
    if (!b) return;
    ae_blob_abandon(&b->writer);
    ae_store_close(&b->store);
    ae_free(b);
}

/* ---- another machine's ---- */

static bool tell_step(void *user, const char *status, const char *digest, int64_t total,
                      int64_t completed)
{
    const aerie_pull_options *o = user;
    const aerie_store_event event = { status, digest, total, completed };

    return !o->on_event || o->on_event(o->user, &event);
}

typedef aerie_status transfer_fn(const char *word, const ae_places *places,
                                 const ae_pull_options *options, aerie_error *err);

static aerie_status transfer(transfer_fn *fn, const aerie_places *places, const char *model,
                             const aerie_pull_options *options, aerie_error *err)
{
    aerie_pull_options o = options ? *options : (aerie_pull_options){ 0 };
    const ae_pull_options how = {
        .insecure = o.insecure, .ca_file = o.ca_file, .on_step = tell_step, .user = &o
    };
    ae_store store = { 0 };
    aerie_status status = ae_store_open(&store, places, err);

    if (!status) status = fn(model, &store.places, &how, err);
    ae_store_close(&store);
    return status;
}

aerie_status aerie_store_pull(const aerie_places *places, const char *model,
                              const aerie_pull_options *options, aerie_error *err)
{
    return transfer(ae_hub_pull, places, model, options, err);
}

aerie_status aerie_store_push(const aerie_places *places, const char *model,
                              const aerie_pull_options *options, aerie_error *err)
{
    return transfer(ae_hub_push, places, model, options, err);
}

/* ---- checking ---- */

typedef struct {
    aerie_verified_fn *each;
    void *user;
} verified;

static bool tell(void *user, const ae_checked *c)
{
    const verified *v = user;
    const aerie_verified told = { c->model, c->what, c->result == AE_CHECK_OK, c->bytes,
                                  c->sentence };

    return !v->each || v->each(v->user, &told);
}

aerie_status aerie_store_verify(const aerie_places *places, bool repair, aerie_verified_fn *each,
                                void *user, aerie_verify_summary *summary, aerie_error *err)
{
    ae_store store = { 0 };
    ae_check_summary sum = { 0 };
    verified v = { each, user };
    aerie_status status = ae_store_open(&store, places, err);

    if (!status) status = ae_hub_verify(&store.places, repair, tell, &v, &sum, err);
    if (summary)
        *summary = (aerie_verify_summary){ .manifests = sum.manifests,
                                           .blobs = sum.blobs,
                                           .bytes = sum.bytes,
                                           .wrong = sum.wrong,
                                           .unused = sum.unused,
                                           .unused_bytes = sum.unused_bytes,
                                           .removed = sum.removed };
    ae_store_close(&store);
    return status;
}
