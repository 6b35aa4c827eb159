/* safetensors_read.c -- a JSON table of tensors and their bytes, in one file or several shards. */
#include "format/list.h"

#include <jansson.h>
#include <string.h>

enum {
    MOST_HEADER_BYTES = 100 * 1000 * 1000,
    MOST_DEPTH = 128, /* of JSON; the table itself needs 3 */
    LONGEST_NAME = 1023
};

/* One shard while it is read. */
typedef struct {
    const uint8_t *data; /* what offsets count from */
    size_t size;
    const char *name;
    json_t *table;
    ae_extent *extents;
    size_t n_extents;
} shard;

struct ae_safetensors {
    ae_arena arena;
    ae_file *files;
    size_t n_files;
    json_t *metadata; /* of the first file; NULL: none */
    ae_tensor_list tensors;
};

static const struct {
    const char *name;
    ae_dtype dtype;
    int bytes;
} known_types[] = {
    { "F32", AE_F32, 4 },
    { "F16", AE_F16, 2 },
    { "BF16", AE_BF16, 2 },
    { "F64", AE_DTYPE_NONE, 8 },
    { "I64", AE_DTYPE_NONE, 8 },
    { "U64", AE_DTYPE_NONE, 8 },
    { "I32", AE_DTYPE_NONE, 4 },
    { "U32", AE_DTYPE_NONE, 4 },
    { "I16", AE_DTYPE_NONE, 2 },
    { "U16", AE_DTYPE_NONE, 2 },
    { "I8", AE_DTYPE_NONE, 1 },
    { "U8", AE_DTYPE_NONE, 1 },
    { "BOOL", AE_DTYPE_NONE, 1 },
    { "F8_E4M3", AE_DTYPE_NONE, 1 },
    { "F8_E5M2", AE_DTYPE_NONE, 1 },
    { "F8_E8M0", AE_DTYPE_NONE, 1 },
    { "C64", AE_DTYPE_NONE, 8 },
};

static aerie_status no_memory(const char *name, aerie_error *err)
{
    return aerie_fail(err, AERIE_NO_MEMORY, "%s: out of memory while opening", name);
}

/* The parser calls itself for every bracket, so brackets are counted before it sees them. */
static bool is_too_deep(const char *text, size_t len)
{
    bool in_string = false;
    int depth = 0;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (in_string)
            continue;
        else if ((c == '[' || c == '{') && ++depth > MOST_DEPTH)
            return true;
        else if (c == ']' || c == '}')
            depth--;
    }
    return false;
}

static aerie_status parse_json(json_t **out, const char *text, size_t len, const char *name,
                               aerie_error *err)
{
    json_error_t problem;

    *out = NULL;
    if (is_too_deep(text, len))
        return aerie_fail(err, AERIE_BAD_FILE, "%s: damaged: its JSON is nested more than %d deep",
                          name, MOST_DEPTH);
    *out = json_loadb(text, len, JSON_REJECT_DUPLICATES, &problem);
    if (!*out)
        return aerie_fail(err,
                          json_error_code(&problem) == json_error_out_of_memory ? AERIE_NO_MEMORY
                                                                                : AERIE_BAD_FILE,
                          "%s: damaged: its JSON does not parse at line %d, column %d: %s", name,
                          problem.line, problem.column, problem.text);
    if (json_is_object(*out)) return AERIE_OK;
    json_decref(*out);
    *out = NULL;
    return aerie_fail(err, AERIE_BAD_FILE, "%s: damaged: its JSON is not an object", name);
}

static aerie_status damaged(const shard *s, const char *tensor, const char *what, aerie_error *err)
{
    return aerie_fail(err, AERIE_BAD_FILE, "%s: damaged: tensor '%s' %s", s->name, tensor, what);
}

static aerie_status read_type(const shard *s, ae_safetensors *st, ae_stored_tensor *t,
                              const json_t *entry, int *element_bytes, aerie_error *err)
{
    const char *type = json_string_value(json_object_get(entry, "dtype"));

    if (!type || !ae_name_is_plain(type, strlen(type), 16))
        return damaged(s, t->name, "has no dtype", err);
    for (size_t i = 0; i < AE_COUNT(known_types); i++) {
        if (strcmp(known_types[i].name, type) != 0) continue;
        t->type_name = known_types[i].name;
        t->dtype = known_types[i].dtype;
        *element_bytes = known_types[i].bytes;
        return AERIE_OK;
    }
    t->type_name = ae_arena_strndup(&st->arena, type, strlen(type));
    t->dtype = AE_DTYPE_NONE;
    *element_bytes = 0;
    return t->type_name ? AERIE_OK : no_memory(s->name, err);
}

static aerie_status read_shape(const shard *s, ae_stored_tensor *t, const json_t *entry,
                               aerie_error *err)
{
    const json_t *shape = json_object_get(entry, "shape");
    size_t n = json_array_size(shape);

    if (!json_is_array(shape)) return damaged(s, t->name, "has no shape", err);
    if (n > AE_MAX_DIMS) return damaged(s, t->name, "has more than 4 dimensions", err);
    t->n_dims = (int)n;
    t->rows = t->cols = 1;
    for (size_t i = 0; i < n; i++) {
        const json_t *dim = json_array_get(shape, i);
        json_int_t value = json_integer_value(dim);
        if (!json_is_integer(dim) || value < 0)
            return damaged(s, t->name, "has a dimension that is no whole number", err);
        t->dims[i] = value;
        if (i + 1 == n)
            t->cols = value;
        else if (__builtin_mul_overflow(t->rows, (int64_t)value, &t->rows))
            return damaged(s, t->name, "has more elements than can be counted", err);
    }
    return AERIE_OK;
}

/* Numbers are read where they lie; those few files whose header has an odd length get a copy. */
static aerie_status align_data(const shard *s, ae_safetensors *st, ae_stored_tensor *t,
                               int element_bytes, aerie_error *err)
{
    void *copy;

    if (!t->bytes || (uintptr_t)t->data % (size_t)element_bytes == 0) return AERIE_OK;
    copy = ae_arena_take_raw(&st->arena, t->bytes, 1);
    if (!copy) return no_memory(s->name, err);
    memcpy(copy, t->data, t->bytes);
    t->data = copy;
    return AERIE_OK;
}

static aerie_status read_place(shard *s, ae_safetensors *st, ae_stored_tensor *t,
                               const json_t *entry, int element_bytes, aerie_error *err)
{
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const json_t *first = json_array_get(offsets, 0), *second = json_array_get(offsets, 1);
    json_int_t begin = json_integer_value(first), end = json_integer_value(second);
    size_t bytes;

    if (json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(second) ||
        begin < 0 || end < begin)
        return damaged(s, t->name, "has no data_offsets [begin, end]", err);
    if ((uint64_t)end > s->size)
        return aerie_fail(
            err, AERIE_BAD_FILE,
            "%s: cut off or damaged: tensor '%s' ends at byte %lld of data, but there are "
            "%zu; fetch the file again",
            s->name, t->name, (long long)end, s->size);
    t->bytes = (size_t)(end - begin);
    t->data = s->data + begin;
    s->extents[s->n_extents++] = (ae_extent){ (uint64_t)begin, (uint64_t)end, t->name };
    if (!element_bytes) return AERIE_OK;
    if (!ae_mul_size(&bytes, (size_t)t->rows, (size_t)t->cols) ||
        !ae_mul_size(&bytes, bytes, (size_t)element_bytes) || bytes != t->bytes)
        return damaged(s, t->name, "has a shape that does not fit its bytes", err);
    return align_data(s, st, t, element_bytes, err);
}

static aerie_status read_tensor(shard *s, ae_safetensors *st, const char *key, const json_t *entry,
                                aerie_error *err)
{
    ae_stored_tensor t = { 0 };
    size_t len = strlen(key);
    int element_bytes = 0;
    aerie_status status;

    if (!ae_name_is_plain(key, len, LONGEST_NAME))
        return aerie_fail(
            err, AERIE_BAD_FILE,
            "%s: damaged: a tensor's name is empty, too long, or has control characters", s->name);
    t.name = ae_arena_strndup(&st->arena, key, len);
    if (!t.name) return no_memory(s->name, err);
    status = read_type(s, st, &t, entry, &element_bytes, err);
    if (status) return status;
    status = read_shape(s, &t, entry, err);
    if (status) return status;
    status = read_place(s, st, &t, entry, element_bytes, err);
    if (status) return status;
    return ae_tensor_list_add(&st->tensors, &t, s->name, err);
}

/* The format wants the data whole: no gaps, nothing shared, nothing after. */
static aerie_status check_extents(shard *s, aerie_error *err)
{
    uint64_t end = 0;

    ae_extents_sort(s->extents, s->n_extents);
    for (size_t i = 0; i < s->n_extents; i++) {
        if (s->extents[i].begin != end)
            return damaged(s, s->extents[i].name,
                           s->extents[i].begin < end ? "overlaps another" : "follows a gap", err);
        end = s->extents[i].end;
    }
    if (end == s->size) return AERIE_OK;
    return aerie_fail(err, AERIE_BAD_FILE, "%s: damaged: its tensors end at byte %llu of %zu",
                      s->name, (unsigned long long)end, s->size);
}

static aerie_status read_table(shard *s, ae_safetensors *st, aerie_error *err)
{
    const char *key;
    json_t *entry;
    aerie_status status = AERIE_OK;

    s->extents = ae_alloc(json_object_size(s->table), sizeof *s->extents);
    if (!s->extents) return no_memory(s->name, err);
    json_object_foreach(s->table, key, entry)
    {
        if (strcmp(key, "__metadata__") == 0) {
            if (!st->metadata) st->metadata = json_incref(entry);
            continue;
        }
        status = read_tensor(s, st, key, entry, err);
        if (status) return status;
    }
    return check_extents(s, err);
}

static aerie_status read_shard(ae_safetensors *st, const uint8_t *data, size_t size,
                               const char *name, aerie_error *err)
{
    shard s = { .name = name };
    uint64_t header_bytes;
    aerie_status status;

    if (size < 8)
        return aerie_fail(err, AERIE_BAD_FILE, "%s: is no safetensors file: it has %zu bytes", name,
                          size);
    memcpy(&header_bytes, data, sizeof header_bytes);
    if (header_bytes > size - 8 || header_bytes > MOST_HEADER_BYTES)
        return aerie_fail(
            err, AERIE_BAD_FILE,
            "%s: cut off, or no safetensors file: the header claims %llu bytes, %zu follow", name,
            (unsigned long long)header_bytes, size - 8);
    s.data = data + 8 + header_bytes;
    s.size = size - 8 - (size_t)header_bytes;
    status = parse_json(&s.table, (const char *)data + 8, (size_t)header_bytes, name, err);
    if (!status) status = read_table(&s, st, err);
    ae_free(s.extents);
    json_decref(s.table);
    return status;
}

static aerie_status open_shard(ae_safetensors *st, const char *path, aerie_error *err)
{
    ae_file *file = &st->files[st->n_files];
    aerie_status status = ae_file_open(file, path, err);

    if (status) return status;
    st->n_files++;
    return read_shard(st, file->data, file->size, file->path, err);
}

static aerie_status open_single(ae_safetensors *st, const char *path, aerie_error *err)
{
    st->files = ae_alloc(1, sizeof *st->files);
    return st->files ? open_shard(st, path, err) : no_memory(path, err);
}

/* A shard is a file beside the index, never one elsewhere. */
static aerie_status check_shard_name(const char *file, const char *path, aerie_error *err)
{
    if (file && ae_name_is_plain(file, strlen(file), 255) && !strchr(file, '/') && file[0] != '.')
        return AERIE_OK;
    return aerie_fail(err, AERIE_BAD_FILE,
                      "%s: damaged: it names a shard that is not a file beside it", path);
}

static aerie_status open_shards(ae_safetensors *st, json_t *map, const char *folder,
                                const char *path, aerie_error *err)
{
    ae_names seen = { 0 };
    const char *tensor;
    json_t *value;
    aerie_status status = AERIE_OK;

    st->files = ae_alloc(json_object_size(map), sizeof *st->files);
    if (!st->files) return no_memory(path, err);
    json_object_foreach(map, tensor, value)
    {
        const char *file = json_string_value(value);
        char *shard_path;
        status = check_shard_name(file, path, err);
        if (status) break;
        if (ae_names_find(&seen, file) != SIZE_MAX) continue;
        shard_path = ae_names_add(&seen, file) ? NULL : ae_path_join(folder, file);
        status = shard_path ? open_shard(st, shard_path, err) : no_memory(path, err);
        ae_free(shard_path);
        if (status) break;
    }
    ae_names_free(&seen);
    return status;
}

static aerie_status check_map(const ae_safetensors *st, json_t *map, const char *path,
                              aerie_error *err)
{
    const char *tensor;
    json_t *file;

    json_object_foreach(map, tensor, file)
    {
        if (!ae_tensor_list_find(&st->tensors, tensor))
            return aerie_fail(err, AERIE_BAD_FILE,
                              "%s: tensor '%s' is not in %s, where it should be", path, tensor,
                              json_string_value(file));
    }
    return AERIE_OK;
}

static aerie_status open_index(ae_safetensors *st, const char *folder, const char *path,
                               aerie_error *err)
{
    ae_bytes text = { 0 };
    json_t *index = NULL, *map;
    aerie_status status = ae_file_read(&text, path, MOST_HEADER_BYTES, err);

    if (!status) status = parse_json(&index, text.data, text.len, path, err);
    if (status) goto done;
    map = json_object_get(index, "weight_map");
    if (!json_is_object(map)) {
        status = aerie_fail(err, AERIE_BAD_FILE, "%s: damaged: it has no weight_map", path);
        goto done;
    }
    status = open_shards(st, map, folder, path, err);
    if (!status) status = check_map(st, map, path, err);
done:
    json_decref(index);
    ae_bytes_free(&text);
    return status;
}

static aerie_status open_folder(ae_safetensors *st, const char *folder, aerie_error *err)
{
    char *index = ae_path_join(folder, "model.safetensors.index.json");
    char *single = ae_path_join(folder, "model.safetensors");
    aerie_status status;

    if (!index || !single)
        status = no_memory(folder, err);
    else if (ae_file_exists(index))
        status = open_index(st, folder, index, err);
    else if (ae_file_exists(single))
        status = open_single(st, single, err);
    else
        status = aerie_fail(err, AERIE_NOT_FOUND,
                            "%s: holds neither model.safetensors nor model.safetensors.index.json",
                            folder);
    ae_free(index);
    ae_free(single);
    return status;
}

aerie_status ae_safetensors_open(ae_safetensors **out, const char *path, aerie_error *err)
{
    ae_safetensors *st = ae_alloc(1, sizeof *st);
    aerie_status status;

    *out = NULL;
    if (!st) return no_memory(path, err);
    status = ae_file_is_folder(path) ? open_folder(st, path, err) : open_single(st, path, err);
    if (status)
        ae_safetensors_close(st);
    else
        *out = st;
    return status;
}

aerie_status ae_safetensors_open_memory(ae_safetensors **out, const void *data, size_t size,
                                        const char *name, aerie_error *err)
{
    ae_safetensors *st = ae_alloc(1, sizeof *st);
    aerie_status status;

    *out = NULL;
    if (!st) return no_memory(name, err);
    status = read_shard(st, data, size, name, err);
    if (status)
        ae_safetensors_close(st);
    else
        *out = st;
    return status;
}

void ae_safetensors_close(ae_safetensors *s)
{
    if (!s) return;
    ae_tensor_list_free(&s->tensors);
    json_decref(s->metadata);
    for (size_t i = 0; i < s->n_files; i++) ae_file_close(&s->files[i]);
    ae_free(s->files);
    ae_arena_free(&s->arena);
    ae_free(s);
}

const ae_tensor_list *ae_safetensors_tensors(const ae_safetensors *s)
{
    return &s->tensors;
}

const char *ae_safetensors_metadata(const ae_safetensors *s, const char *key)
{
    return json_string_value(json_object_get(s->metadata, key));
}

void ae_safetensors_forget(const ae_safetensors *s, const void *data, size_t bytes)
{
    for (size_t i = 0; i < s->n_files; i++) ae_file_forget(&s->files[i], data, bytes);
}
