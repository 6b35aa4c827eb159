/* gguf_read.c -- opens a GGUF file: header and metadata. Nothing is believed before it is checked
 * against the bytes that are there. */
#include "format/gguf.h"

#include <string.h>

enum {
    SHORTEST_VALUE = 8 + 1 + 4 + 1, /* key length, key, type, one byte */
    SHORTEST_TENSOR = 8 + 1 + 4 + 4 + 8,
    MOST_VALUES = 1 << 16,
    MOST_TENSORS = 1 << 20,
    LONGEST_KEY = 65535
};

const uint8_t *ae_gguf_take(ae_gguf_cursor *c, uint64_t bytes, const char *what)
{
    size_t left = c->g->size - c->at;
    const uint8_t *taken = c->g->data + c->at;

    if (c->status) return NULL;
    if (bytes > left) {
        c->status =
            aerie_fail(c->err, AERIE_BAD_FILE,
                       "%s: cut off or damaged: at byte %zu %s takes %llu bytes, but %zu are "
                       "left; fetch the file again",
                       c->g->name, c->at, what, (unsigned long long)bytes, left);
        return NULL;
    }
    c->at += (size_t)bytes;
    return taken;
}

uint32_t ae_gguf_take_u32(ae_gguf_cursor *c, const char *what)
{
    const uint8_t *at = ae_gguf_take(c, 4, what);
    uint32_t value = 0;

    if (at) memcpy(&value, at, sizeof value);
    return value;
}

uint64_t ae_gguf_take_u64(ae_gguf_cursor *c, const char *what)
{
    const uint8_t *at = ae_gguf_take(c, 8, what);
    uint64_t value = 0;

    if (at) memcpy(&value, at, sizeof value);
    return value;
}

ae_span ae_gguf_take_text(ae_gguf_cursor *c, const char *what)
{
    uint64_t len = ae_gguf_take_u64(c, what);
    const uint8_t *at = ae_gguf_take(c, len, what);

    return at ? (ae_span){ (const char *)at, (size_t)len } : (ae_span){ "", 0 };
}

const char *ae_gguf_take_name(ae_gguf_cursor *c, size_t most, const char *what)
{
    size_t start = c->at;
    ae_span text = ae_gguf_take_text(c, what);
    char *name;

    if (c->status) return NULL;
    if (!ae_name_is_plain(text.data, text.len, most)) {
        c->status =
            aerie_fail(c->err, AERIE_BAD_FILE,
                       "%s: damaged: at byte %zu %s is empty, longer than %zu bytes, or has "
                       "control characters",
                       c->g->name, start, what, most);
        return NULL;
    }
    name = ae_arena_strndup(&((ae_gguf *)(uintptr_t)c->g)->arena, text.data, text.len);
    if (!name)
        c->status = aerie_fail(c->err, AERIE_NO_MEMORY, "%s: out of memory for names", c->g->name);
    return name;
}

static aerie_status read_texts(ae_gguf *g, ae_gguf_value *value, ae_gguf_cursor *c)
{
    ae_span *texts;

    if (value->count > (g->size - c->at) / 8)
        return c->status = aerie_fail(c->err, AERIE_BAD_FILE,
                                      "%s: damaged: '%s' claims %llu texts, but %zu bytes are left",
                                      g->name, value->key, (unsigned long long)value->count,
                                      g->size - c->at);
    texts = ae_arena_take(&g->arena, (size_t)value->count, sizeof *texts);
    if (!texts)
        return c->status = aerie_fail(c->err, AERIE_NO_MEMORY, "%s: out of memory for '%s'",
                                      g->name, value->key);
    for (uint64_t i = 0; i < value->count && !c->status; i++)
        texts[i] = ae_gguf_take_text(c, value->key);
    value->texts = texts;
    return c->status;
}

static aerie_status read_elements(ae_gguf *g, ae_gguf_value *value, ae_gguf_cursor *c)
{
    size_t each = ae_gguf_type_bytes(value->element_type);
    uint64_t bytes;

    value->data = g->data + c->at;
    if (value->element_type == AE_GGUF_TEXT) return read_texts(g, value, c);
    if (!each)
        return c->status =
                   aerie_fail(c->err, AERIE_BAD_FILE,
                              "%s: damaged or too new: '%s' is of type %s%d, which does not "
                              "exist or cannot be nested",
                              g->name, value->key, value->type == AE_GGUF_ARRAY ? "array of " : "",
                              (int)value->element_type);
    /* Too many to count is certainly more than the file has: ae_gguf_take() will say so. */
    if (__builtin_mul_overflow(value->count, (uint64_t)each, &bytes)) bytes = UINT64_MAX;
    ae_gguf_take(c, bytes, value->key);
    return c->status;
}

static aerie_status read_value(ae_gguf *g, ae_gguf_value *value, ae_gguf_cursor *c)
{
    aerie_status status;

    value->key = ae_gguf_take_name(c, LONGEST_KEY, "a key");
    value->type = (ae_gguf_type)ae_gguf_take_u32(c, "the type of a value");
    if (c->status) return c->status;
    value->raw = g->data + c->at;
    value->element_type = value->type;
    value->count = 1;
    if (value->type == AE_GGUF_ARRAY) {
        value->element_type = (ae_gguf_type)ae_gguf_take_u32(c, value->key);
        value->count = ae_gguf_take_u64(c, value->key);
    }
    if (c->status || read_elements(g, value, c)) return c->status;
    value->raw_bytes = (size_t)(g->data + c->at - value->raw);
    status = ae_names_add(&g->keys, value->key);
    if (!status) return AERIE_OK;
    return aerie_fail(c->err, status,
                      status == AERIE_NO_MEMORY ? "%s: out of memory at key '%s'"
                                                : "%s: damaged: it holds the key '%s' twice",
                      g->name, value->key);
}

static aerie_status check_header(ae_gguf *g, ae_gguf_cursor *c)
{
    if (g->size < 4 || memcmp(g->data, "GGUF", 4) != 0)
        return aerie_fail(c->err, AERIE_BAD_FILE,
                          "%s: is not a GGUF file: it does not begin with 'GGUF'; a model is a "
                          ".gguf file, or the folder of a Hugging Face model",
                          g->name);
    c->at = 4;
    g->version = ae_gguf_take_u32(c, "the version");
    if (c->status) return c->status;
    if (g->version != 2 && g->version != 3)
        return aerie_fail(c->err, AERIE_UNSUPPORTED,
                          g->version & 0xffff ? "%s: is GGUF version %u; this build reads 2 and 3"
                                              : "%s: is a big-endian GGUF file (version word %u); "
                                                "convert it to little-endian first",
                          g->name, g->version);
    return AERIE_OK;
}

static aerie_status check_counts(ae_gguf *g, const ae_gguf_cursor *c, uint64_t n_values,
                                 uint64_t n_tensors)
{
    size_t left = g->size - c->at;

    if (c->status) return c->status;
    if (n_values > MOST_VALUES || n_values > left / SHORTEST_VALUE)
        return aerie_fail(c->err, AERIE_BAD_FILE,
                          "%s: damaged: it claims %llu metadata values in %zu bytes", g->name,
                          (unsigned long long)n_values, left);
    if (n_tensors > MOST_TENSORS || n_tensors > left / SHORTEST_TENSOR)
        return aerie_fail(c->err, AERIE_BAD_FILE,
                          "%s: damaged: it claims %llu tensors in %zu bytes", g->name,
                          (unsigned long long)n_tensors, left);
    return AERIE_OK;
}

static aerie_status parse(ae_gguf *g, aerie_error *err)
{
    ae_gguf_cursor c = { .g = g, .err = err };
    uint64_t n_tensors, n_values;
    aerie_status status = check_header(g, &c);

    if (status) return status;
    n_tensors = ae_gguf_take_u64(&c, "the number of tensors");
    n_values = ae_gguf_take_u64(&c, "the number of metadata values");
    status = check_counts(g, &c, n_values, n_tensors);
    if (status) return status;
    g->values = ae_arena_take(&g->arena, (size_t)n_values, sizeof *g->values);
    if (!g->values)
        return aerie_fail(err, AERIE_NO_MEMORY, "%s: out of memory for %llu metadata values",
                          g->name, (unsigned long long)n_values);
    for (uint64_t i = 0; i < n_values; i++) {
        status = read_value(g, &g->values[i], &c);
        if (status) return status;
    }
    return ae_gguf_read_tensors(g, &c, n_tensors);
}

static aerie_status finish_open(ae_gguf **out, ae_gguf *g, bool is_part, aerie_error *err)
{
    aerie_status status = parse(g, err);

    if (!status && !is_part) status = ae_gguf_read_parts(g, err);
    if (status)
        ae_gguf_close(g);
    else
        *out = g;
    return status;
}

static aerie_status open_file(ae_gguf **out, const char *path, bool is_part, aerie_error *err)
{
    ae_gguf *g = ae_alloc(1, sizeof *g);
    aerie_status status;

    *out = NULL;
    if (!g) return aerie_fail(err, AERIE_NO_MEMORY, "%s: out of memory while opening", path);
    status = ae_file_open(&g->file, path, err);
    if (status) {
        ae_gguf_close(g);
        return status;
    }
    g->data = g->file.data;
    g->size = g->file.size;
    g->name = g->file.path;
    return finish_open(out, g, is_part, err);
}

aerie_status ae_gguf_open(ae_gguf **out, const char *path, aerie_error *err)
{
    return open_file(out, path, false, err);
}

aerie_status ae_gguf_open_part(ae_gguf **out, const char *path, aerie_error *err)
{
    return open_file(out, path, true, err);
}

aerie_status ae_gguf_open_memory(ae_gguf **out, const void *data, size_t size, const char *name,
                                 aerie_error *err)
{
    ae_gguf *g;

    *out = NULL;
    if ((uintptr_t)data % 8)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "%s: the memory must be 8-byte aligned", name);
    g = ae_alloc(1, sizeof *g);
    if (g) g->name = ae_arena_strndup(&g->arena, name, strlen(name));
    if (!g || !g->name) {
        ae_gguf_close(g);
        return aerie_fail(err, AERIE_NO_MEMORY, "%s: out of memory while opening", name);
    }
    g->data = data;
    g->size = size;
    return finish_open(out, g, false, err);
}

void ae_gguf_close(ae_gguf *g)
{
    if (!g) return;
    for (size_t i = 0; i < g->n_parts; i++) ae_gguf_close(g->parts[i]);
    ae_free(g->parts);
    ae_tensor_list_free(&g->tensors);
    ae_names_free(&g->keys);
    ae_arena_free(&g->arena);
    ae_file_close(&g->file);
    ae_free(g);
}

const char *ae_gguf_name(const ae_gguf *g)
{
    return g->name;
}

const ae_tensor_list *ae_gguf_tensors(const ae_gguf *g)
{
    return &g->tensors;
}

static aerie_status no_room(const ae_gguf *g, aerie_error *err)
{
    return aerie_fail(err, AERIE_NO_MEMORY, "%s: out of memory for a tensor", g->name);
}

aerie_status ae_gguf_add_tensor(ae_gguf *g, const ae_stored_tensor *t, bool copy, aerie_error *err)
{
    ae_stored_tensor own = *t;

    own.name = ae_arena_strndup(&g->arena, t->name, strlen(t->name));
    if (!own.name) return no_room(g, err);
    if (copy) {
        void *data = ae_arena_take_raw(&g->arena, t->bytes, 1);
        if (!data) return no_room(g, err);
        memcpy(data, t->data, t->bytes);
        own.data = data;
    }
    return ae_tensor_list_add(&g->tensors, &own, g->name, err);
}

aerie_status ae_gguf_set_name(ae_gguf *g, const char *name, aerie_error *err)
{
    const char *own = ae_arena_strndup(&g->arena, name, strlen(name));

    if (!own) return no_room(g, err);
    g->name = own;
    return AERIE_OK;
}

void ae_gguf_forget(const ae_gguf *g, const void *data, size_t bytes)
{
    ae_file_forget(&g->file, data, bytes);
    for (size_t i = 0; i < g->n_parts; i++) ae_gguf_forget(g->parts[i], data, bytes);
}
