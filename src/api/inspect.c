/* inspect.c -- what a model or adapter file holds, as JSON. Reads headers only, so that a file
 * whose model this build does not know can still be looked at. */
#include "api/api.h"
#include "quant/quant.h"

#include <jansson.h>
#include <string.h>

static json_t *tensors_json(const ae_tensor_list *list)
{
    json_t *out = json_array();
    for (size_t i = 0; i < ae_tensor_list_len(list); i++) {
        const ae_stored_tensor *t = ae_tensor_list_at(list, i);
        json_array_append_new(out, json_pack("{s:s, s:s, s:I, s:I, s:I}", "name", t->name, "type",
                                             t->type_name, "rows", (json_int_t)t->rows, "cols",
                                             (json_int_t)t->cols, "bytes", (json_int_t)t->bytes));
    }
    return out;
}

static void add_to(json_t *o, const char *key, json_int_t n)
{
    json_object_set_new(o, key, json_integer(json_integer_value(json_object_get(o, key)) + n));
}

static void add_tensor(json_t *sums, const ae_stored_tensor *t)
{
    add_to(sums, "tensors", 1);
    add_to(sums, "parameters", t->rows * t->cols);
    add_to(sums, "bytes", (json_int_t)t->bytes);
}

/* {"Q4_K": {"tensors", "parameters", "bytes"}}, in the order of the file. */
static json_t *types_json(const ae_tensor_list *list)
{
    json_t *out = json_object();
    for (size_t i = 0; i < ae_tensor_list_len(list); i++) {
        const ae_stored_tensor *t = ae_tensor_list_at(list, i);
        if (!json_object_get(out, t->type_name))
            json_object_set_new(out, t->type_name, json_object());
        add_tensor(json_object_get(out, t->type_name), t);
    }
    return out;
}

static void add_totals(json_t *o, const ae_tensor_list *list)
{
    json_t *all = json_object();
    for (size_t i = 0; i < ae_tensor_list_len(list); i++)
        add_tensor(all, ae_tensor_list_at(list, i));
    double parameters = json_number_value(json_object_get(all, "parameters"));
    double bytes = json_number_value(json_object_get(all, "bytes"));
    json_object_set(o, "parameters", json_object_get(all, "parameters"));
    json_object_set(o, "tensor_bytes", json_object_get(all, "bytes"));
    if (parameters > 0)
        json_object_set_new(o, "bits_per_weight", json_real(8 * bytes / parameters));
    json_object_set_new(o, "types", types_json(list));
    json_object_set_new(o, "tensors", tensors_json(list));
    json_decref(all);
}

/* "Q4_K_M": what the file says of itself. */
static void add_mix(json_t *o, const ae_gguf *g)
{
    uint32_t file_type;
    if (!ae_gguf_has(g, "general.file_type") ||
        ae_gguf_u32(g, "general.file_type", &file_type, NULL))
        return;
    for (size_t i = 0; i < ae_mix_count(); i++)
        if (ae_mix_at(i)->file_type == file_type)
            json_object_set_new(o, "mix", json_string(ae_mix_at(i)->name));
}

/* Metadata as the file has it; a value that is short JSON stays a value, a long array becomes text.
 */
static json_t *metadata_json(const ae_gguf *g)
{
    enum { MOST = 400 };
    json_t *out = json_object();
    ae_bytes text = { 0 };
    for (size_t i = 0; i < ae_gguf_entry_count(g); i++) {
        ae_bytes_clear(&text);
        ae_gguf_entry_print(&text, g, i, MOST);
        if (text.failed) break;
        json_t *value = json_loadb(text.data, text.len, JSON_DECODE_ANY, NULL);
        if (!value) value = json_stringn(text.data, text.len);
        json_object_set_new(out, ae_gguf_entry_at(g, i).key, value ? value : json_null());
    }
    ae_bytes_free(&text);
    return out;
}

/* Where an adapter, or a merged model, comes from. */
static void add_chain(json_t *o, const char *text, size_t len)
{
    json_t *chain = text ? json_loadb(text, len, 0, NULL) : NULL;
    if (chain) json_object_set_new(o, "chain", chain);
}

static void add_gguf_chain(json_t *o, const ae_gguf *g)
{
    ae_span text = { 0 };
    if (ae_gguf_has(g, "aerie.chain") && !ae_gguf_text(g, "aerie.chain", &text, NULL))
        add_chain(o, text.data, text.len);
    json_object_del(json_object_get(o, "config"), "aerie.chain");
}

static const char *kind_of(const ae_gguf *g)
{
    static const char *const kinds[] = { "adapter", "imatrix" };
    ae_span type = { 0 };
    if (ae_gguf_has(g, "general.type")) ae_gguf_text(g, "general.type", &type, NULL);
    for (size_t i = 0; i < AE_COUNT(kinds); i++)
        if (type.data && ae_span_is(type, kinds[i])) return kinds[i];
    return ae_tensor_list_len(ae_gguf_tensors(g)) ? "model" : "vocabulary";
}

static aerie_status inspect_gguf(json_t **out, const char *path, aerie_error *err)
{
    ae_gguf *g = NULL;
    aerie_status status = ae_gguf_open(&g, path, err);
    if (status) return status;
    json_t *o = json_pack("{s:s, s:s, s:s, s:o}", "path", path, "kind", kind_of(g), "format",
                          "GGUF", "config", metadata_json(g));
    if (o) add_mix(o, g);
    if (o) add_gguf_chain(o, g);
    if (o) add_totals(o, ae_gguf_tensors(g));
    *out = o;
    ae_gguf_close(g);
    return AERIE_OK;
}

static json_t *read_json(const char *folder, const char *name)
{
    ae_bytes text = { 0 };
    char *path = ae_path_join(folder, name);
    json_t *o = NULL;
    if (path && ae_file_exists(path) && !ae_file_read(&text, path, 1 << 24, NULL))
        o = json_loadb(text.data, text.len, 0, NULL);
    ae_free(path);
    ae_bytes_free(&text);
    return o;
}

static aerie_status inspect_safetensors(json_t **out, const char *path, aerie_error *err)
{
    ae_safetensors *s = NULL;
    json_t *config = read_json(path, "config.json"),
           *adapter = read_json(path, "adapter_config.json");
    char *weights = adapter ? ae_path_join(path, "adapter_model.safetensors") : ae_strdup(path);
    aerie_status status = weights ? ae_safetensors_open(&s, weights, err)
                                  : aerie_fail(err, AERIE_NO_MEMORY, "no memory for a path");
    ae_free(weights);
    if (status) {
        json_decref(config);
        json_decref(adapter);
        return status;
    }
    json_t *o = json_pack("{s:s, s:s, s:s}", "path", path, "kind", adapter ? "adapter" : "model",
                          "format", "safetensors");
    if (o && (adapter || config)) json_object_set(o, "config", adapter ? adapter : config);
    const char *chain = ae_safetensors_metadata(s, "aerie.chain");
    if (o && chain) add_chain(o, chain, strlen(chain));
    if (o) add_totals(o, ae_safetensors_tensors(s));
    json_decref(config);
    json_decref(adapter);
    *out = o;
    ae_safetensors_close(s);
    return AERIE_OK;
}

static bool has_ending(const char *text, const char *ending)
{
    size_t n = strlen(text), m = strlen(ending);
    return n >= m && !strcmp(text + n - m, ending);
}

aerie_status aerie_inspect(const char *path, char **json, aerie_error *err)
{
    json_t *o = NULL;
    bool tensors = ae_file_is_folder(path) || has_ending(path, ".safetensors");
    aerie_status status =
        tensors ? inspect_safetensors(&o, path, err) : inspect_gguf(&o, path, err);
    if (!status) status = ae_api_give_json(o, json, err);
    json_decref(o);
    return status;
}
