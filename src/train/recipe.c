/* recipe.c -- YAML into a recipe. Every complaint names the file and line, or the setting. */
#include "train/recipe.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

enum { MAX_RECIPE_BYTES = 1 << 20 };

typedef struct {
    ae_recipe *recipe;
    yaml_document_t *document;
    const char *path; /* NULL: a setting, whose errors its caller names */
    aerie_error *err;
} reader;

/* Puts the place before the sentence, once. */
static aerie_status at(const reader *r, const yaml_node_t *node, aerie_status status)
{
    if (status && r->path)
        aerie_error_prefix(r->err, "%s:%zu", r->path, (size_t)node->start_mark.line + 1);
    return status;
}

static const char *scalar_of(const yaml_node_t *node)
{
    return node && node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : NULL;
}

static bool is_null(const yaml_node_t *node)
{
    const char *text = scalar_of(node);

    return text && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (!*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

static yaml_node_t *item_at(const reader *r, const yaml_node_t *list, int64_t i)
{
    return yaml_document_get_node(r->document, list->data.sequence.items.start[i]);
}

static int64_t item_count(const yaml_node_t *list)
{
    return list->data.sequence.items.top - list->data.sequence.items.start;
}

static aerie_status no_memory(aerie_error *err)
{
    return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the recipe");
}

static const char *copy_of(const reader *r, const char *text)
{
    return ae_arena_strndup(&r->recipe->arena, text, strlen(text));
}

static aerie_status read_texts(const reader *r, ae_texts *out, const ae_key *key,
                               const yaml_node_t *list)
{
    out->n = item_count(list);
    out->items = ae_arena_take(&r->recipe->arena, (size_t)out->n, sizeof *out->items);
    if (!out->items) return no_memory(r->err);
    for (int64_t i = 0; i < out->n; i++) {
        const yaml_node_t *item = item_at(r, list, i);
        if (!scalar_of(item))
            return at(
                r, list,
                aerie_fail(r->err, AERIE_BAD_TEXT, "'%s' must be a list of texts", key->name));
        out->items[i] = copy_of(r, scalar_of(item));
        if (!out->items[i]) return no_memory(r->err);
    }
    return AERIE_OK;
}

static aerie_status read_columns(const reader *r, ae_source *source, const yaml_node_t *map)
{
    const yaml_node_pair_t *pair = map->data.mapping.pairs.start;
    ae_column *columns;

    source->n_columns = (size_t)(map->data.mapping.pairs.top - pair);
    columns = ae_arena_take(&r->recipe->arena, source->n_columns, sizeof *columns);
    if (!columns) return no_memory(r->err);
    for (size_t i = 0; i < source->n_columns; i++) {
        const char *role = scalar_of(yaml_document_get_node(r->document, pair[i].key));
        const char *column = scalar_of(yaml_document_get_node(r->document, pair[i].value));
        if (!role || !column)
            return at(r, map,
                      aerie_fail(r->err, AERIE_BAD_TEXT,
                                 "'columns' must say which column plays which part, as in "
                                 "{messages: conversation}"));
        columns[i].ours = copy_of(r, role);
        columns[i].theirs = copy_of(r, column);
        if (!columns[i].ours || !columns[i].theirs) return no_memory(r->err);
    }
    source->columns = columns;
    return AERIE_OK;
}

static const ae_key fraction_key = {
    .name = "fraction", .kind = AE_KEY_NUMBER, .low = 0, .high = 1
};

static aerie_status read_fraction(const reader *r, ae_source *source, const yaml_node_t *node)
{
    ae_recipe holder = { .arena = r->recipe->arena };
    const char *text = scalar_of(node);
    ae_key key = fraction_key;
    aerie_status status;

    if (!text)
        return at(r, node, aerie_fail(r->err, AERIE_BAD_TEXT, "'fraction' must be a number"));
    key.offset = offsetof(ae_recipe, beta);
    status = ae_recipe_set(&holder, &key, text, r->err);
    r->recipe->arena = holder.arena;
    source->fraction = holder.beta;
    return at(r, node, status);
}

static aerie_status read_source_field(const reader *r, ae_source *source, const char *name,
                                      const yaml_node_t *key, const yaml_node_t *value)
{
    static const char *const fields[] = { "path", "columns", "fraction" };
    const char *near;

    if (name && strcmp(name, "path") == 0 && scalar_of(value)) {
        source->path = copy_of(r, scalar_of(value));
        return source->path ? AERIE_OK : no_memory(r->err);
    }
    if (name && strcmp(name, "columns") == 0 && value->type == YAML_MAPPING_NODE)
        return read_columns(r, source, value);
    if (name && strcmp(name, "fraction") == 0) return read_fraction(r, source, value);
    near = name ? ae_nearest(name, fields, AE_COUNT(fields)) : NULL;
    return at(r, key,
              aerie_fail(r->err, AERIE_BAD_TEXT,
                         "a data source has a 'path' (text), 'columns' (a mapping) and a "
                         "'fraction'; this is '%.40s'%s%s%s",
                         name ? name : "no text", near ? "; did you mean '" : "", near ? near : "",
                         near ? "'?" : ""));
}

static aerie_status read_source(const reader *r, ae_source *source, const yaml_node_t *node)
{
    *source = (ae_source){ .fraction = 1 };
    if (scalar_of(node)) {
        source->path = copy_of(r, scalar_of(node));
        return source->path ? AERIE_OK : no_memory(r->err);
    }
    if (node->type == YAML_MAPPING_NODE)
        for (const yaml_node_pair_t *p = node->data.mapping.pairs.start;
             p < node->data.mapping.pairs.top; p++) {
            const yaml_node_t *key = yaml_document_get_node(r->document, p->key);
            aerie_status status = read_source_field(r, source, scalar_of(key), key,
                                                    yaml_document_get_node(r->document, p->value));
            if (status) return status;
        }
    if (source->path) return AERIE_OK;
    return at(r, node, aerie_fail(r->err, AERIE_BAD_TEXT, "a data source needs a 'path'"));
}

static aerie_status read_sources(const reader *r, ae_sources *out, const yaml_node_t *node)
{
    bool list = node->type == YAML_SEQUENCE_NODE;
    aerie_status status = AERIE_OK;

    out->n = list ? item_count(node) : 1;
    out->items = ae_arena_take(&r->recipe->arena, (size_t)out->n, sizeof *out->items);
    if (!out->items) return no_memory(r->err);
    for (int64_t i = 0; i < out->n && !status; i++)
        status = read_source(r, &out->items[i], list ? item_at(r, node, i) : node);
    return status;
}

/* "packing: true" is what recipes of other trainers say. */
static const char *synonym(const ae_key *key, const char *text)
{
    if (strcmp(key->name, "packing") != 0) return text;
    if (strcmp(text, "true") == 0) return "wrapped";
    return strcmp(text, "false") == 0 ? "none" : text;
}

static bool is_list_kind(const ae_key *key)
{
    return key->kind == AE_KEY_WORDS || key->kind == AE_KEY_NUMBERS;
}

static aerie_status read_list(const reader *r, const ae_key *key, const yaml_node_t *list)
{
    aerie_status status = AERIE_OK;

    if (item_count(list) == 0)
        return at(
            r, list,
            aerie_fail(r->err, AERIE_BAD_TEXT, "'%s' is an empty list; leave it out", key->name));
    for (int64_t i = 0; i < item_count(list) && !status; i++) {
        const yaml_node_t *item = item_at(r, list, i);
        const char *text = scalar_of(item) ? scalar_of(item) : "a list or mapping";
        status = at(r, item,
                    i == 0 ? ae_recipe_set(r->recipe, key, text, r->err)
                           : ae_recipe_add(r->recipe, key, text, r->err));
    }
    return status;
}

/* Names and values in turns, in the file's order. */
static aerie_status read_map(const reader *r, ae_texts *out, const ae_key *key,
                             const yaml_node_t *map)
{
    const yaml_node_pair_t *pair = map->data.mapping.pairs.start;
    int64_t n = map->data.mapping.pairs.top - pair;

    out->items = ae_arena_take(&r->recipe->arena, 2 * (size_t)n, sizeof *out->items);
    if (!out->items) return no_memory(r->err);
    for (int64_t i = 0; i < n; i++) {
        const char *name = scalar_of(yaml_document_get_node(r->document, pair[i].key));
        const char *value = scalar_of(yaml_document_get_node(r->document, pair[i].value));
        if (!name || !value)
            return at(r, map,
                      aerie_fail(r->err, AERIE_BAD_TEXT,
                                 "'%s' must be a mapping of names to single values", key->name));
        out->items[2 * i] = copy_of(r, name);
        out->items[2 * i + 1] = copy_of(r, value);
        if (!out->items[2 * i] || !out->items[2 * i + 1]) return no_memory(r->err);
    }
    out->n = 2 * n;
    return AERIE_OK;
}

static aerie_status read_value(const reader *r, const ae_key *key, const yaml_node_t *node)
{
    void *field = (char *)r->recipe + key->offset;

    if (is_null(node)) return AERIE_OK;
    if (key->kind == AE_KEY_SOURCES) return read_sources(r, field, node);
    if (key->kind == AE_KEY_TEXTS && node->type == YAML_SEQUENCE_NODE)
        return read_texts(r, field, key, node);
    if (is_list_kind(key) && node->type == YAML_SEQUENCE_NODE) return read_list(r, key, node);
    if (key->kind == AE_KEY_MAP && node->type == YAML_MAPPING_NODE)
        return read_map(r, field, key, node);
    if (!scalar_of(node))
        return at(r, node,
                  aerie_fail(r->err, AERIE_BAD_TEXT, "'%s' must be a single value", key->name));
    return at(r, node, ae_recipe_set(r->recipe, key, synonym(key, scalar_of(node)), r->err));
}

static bool is_given(const ae_recipe *recipe, const ae_key *key)
{
    size_t i = (size_t)(key - ae_recipe_keys);

    return recipe->given[i / 64] >> i % 64 & 1;
}

static void mark_given(ae_recipe *recipe, const ae_key *key)
{
    size_t i = (size_t)(key - ae_recipe_keys);

    recipe->given[i / 64] |= (uint64_t)1 << i % 64;
}

static aerie_status read_pair(reader *r, const char *prefix, const yaml_node_pair_t *pair);

static aerie_status read_mapping(reader *r, const char *prefix, const yaml_node_t *map)
{
    aerie_status status = AERIE_OK;

    for (const yaml_node_pair_t *p = map->data.mapping.pairs.start;
         p < map->data.mapping.pairs.top && !status; p++)
        status = read_pair(r, prefix, p);
    return status;
}

/* What is below a dot in the table; "lora: null" and "lora: false" say that there is none. */
static aerie_status read_nested(reader *r, const char *word, const yaml_node_t *value)
{
    char prefix[40];

    if (is_null(value) || (scalar_of(value) && strcmp(scalar_of(value), "false") == 0))
        return AERIE_OK;
    snprintf(prefix, sizeof prefix, "%.32s.", word);
    if (value->type == YAML_MAPPING_NODE) return read_mapping(r, prefix, value);
    return at(r, value,
              aerie_fail(r->err, AERIE_BAD_TEXT, "'%s' must be a mapping, as in {%s: ...}", word,
                         ae_recipe_first_below(word)));
}

static aerie_status read_pair(reader *r, const char *prefix, const yaml_node_pair_t *pair)
{
    const yaml_node_t *key_node = yaml_document_get_node(r->document, pair->key);
    const yaml_node_t *value = yaml_document_get_node(r->document, pair->value);
    const char *word = scalar_of(key_node);
    const ae_key *key;
    char name[96];

    if (!word) return at(r, key_node, aerie_fail(r->err, AERIE_BAD_TEXT, "a key must be a word"));
    snprintf(name, sizeof name, "%s%s", prefix, word);
    if (!*prefix && ae_recipe_is_mapping(word)) return read_nested(r, word, value);
    key = ae_recipe_key(name);
    if (!key) return at(r, key_node, ae_recipe_unknown(name, r->err));
    if (is_given(r->recipe, key)) /* the file comes before the settings */
        return at(r, key_node, aerie_fail(r->err, AERIE_BAD_TEXT, "'%s' is given twice", name));
    mark_given(r->recipe, key);
    return read_value(r, key, value);
}

static aerie_status bad_yaml(const yaml_parser_t *parser, const char *path, aerie_error *err)
{
    const char *problem = parser->problem ? parser->problem : "it cannot be read";

    if (parser->error == YAML_MEMORY_ERROR) return no_memory(err);
    if (path)
        return aerie_fail(err, AERIE_BAD_TEXT, "%s:%zu: not YAML: %s", path,
                          (size_t)parser->problem_mark.line + 1, problem);
    return aerie_fail(err, AERIE_BAD_TEXT, "not YAML: %s", problem);
}

/* Parses one document. On AERIE_OK the caller deletes it. */
static aerie_status parse_yaml(yaml_document_t *document, const char *text, size_t len,
                               const char *path, aerie_error *err)
{
    aerie_status status = AERIE_OK;
    yaml_parser_t parser;

    if (!yaml_parser_initialize(&parser)) return no_memory(err);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    if (!yaml_parser_load(&parser, document)) status = bad_yaml(&parser, path, err);
    yaml_parser_delete(&parser);
    return status;
}

static aerie_status read_file(ae_recipe *recipe, const char *path, aerie_error *err)
{
    reader r = { .recipe = recipe, .path = path, .err = err };
    yaml_document_t document;
    const yaml_node_t *root;
    ae_bytes text = { 0 };
    aerie_status status;

    status = ae_file_read(&text, path, MAX_RECIPE_BYTES, err);
    if (status) goto done;
    recipe->text = text.data ? ae_arena_strndup(&recipe->arena, text.data, text.len) : "";
    if (!recipe->text) status = no_memory(err);
    if (status) goto done;
    status = parse_yaml(&document, text.data ? text.data : "", text.len, path, err);
    if (status) goto done;
    r.document = &document;
    root = yaml_document_get_root_node(&document);
    if (root && root->type == YAML_MAPPING_NODE)
        status = read_mapping(&r, "", root);
    else
        status =
            aerie_fail(err, AERIE_BAD_TEXT, "%s: a recipe is a mapping of keys to values", path);
    yaml_document_delete(&document);
done:
    ae_bytes_free(&text);
    return status;
}

/* "key=value": texts are taken as they are, other values are YAML. */
static aerie_status read_setting(ae_recipe *recipe, const char *setting, aerie_error *err)
{
    reader r = { .recipe = recipe, .err = err };
    const char *equals = strchr(setting, '=');
    yaml_document_t document;
    const yaml_node_t *root;
    const ae_key *key;
    aerie_status status;
    char name[96];

    if (!equals || (size_t)(equals - setting) >= sizeof name)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "a setting is key=value");
    snprintf(name, sizeof name, "%.*s", (int)(equals - setting), setting);
    key = ae_recipe_key(name);
    if (!key) return ae_recipe_unknown(name, err);
    mark_given(recipe, key);
    if (key->kind == AE_KEY_TEXT) return ae_recipe_set(recipe, key, equals + 1, err);
    status = parse_yaml(&document, equals + 1, strlen(equals + 1), NULL, err);
    if (status) return status;
    r.document = &document;
    root = yaml_document_get_root_node(&document);
    if (root)
        status = read_value(&r, key, root);
    else
        status = aerie_fail(err, AERIE_BAD_TEXT, "'%s' needs a value", name);
    yaml_document_delete(&document);
    return status;
}

static aerie_status set_defaults(ae_recipe *recipe, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    for (size_t i = 0; i < ae_n_recipe_keys && !status; i++)
        if (ae_recipe_keys[i].default_text)
            status = ae_recipe_set(recipe, &ae_recipe_keys[i], ae_recipe_keys[i].default_text, err);
    recipe->learning_rate = NAN; /* by method: see ae_recipe_check() */
    recipe->auto_learning_rate = NAN;
    recipe->beta = NAN;
    recipe->online.clip_high = recipe->online.value_coef = NAN;
    recipe->expect_first_loss = NAN;
    recipe->packing = recipe->best_metric = -1;
    return status;
}

aerie_status ae_recipe_load(ae_recipe *out, const char *path, const char *const *settings,
                            size_t n_settings, aerie_error *err)
{
    aerie_status status;

    *out = (ae_recipe){ 0 };
    status = set_defaults(out, err);
    if (!status)
        out->path =
            ae_arena_strndup(&out->arena, path ? path : "recipe", strlen(path ? path : "recipe"));
    out->text = "";
    if (!status && !out->path) status = no_memory(err);
    if (!status && path) status = read_file(out, path, err);
    for (size_t i = 0; i < n_settings && !status; i++) {
        status = read_setting(out, settings[i], err);
        if (status) aerie_error_prefix(err, "--set %s", settings[i]);
    }
    if (!status) {
        status = ae_recipe_check(out, err);
        if (status) aerie_error_prefix(err, "%s", out->path);
    }
    if (status) ae_recipe_free(out);
    return status;
}

void ae_recipe_free(ae_recipe *recipe)
{
    ae_arena_free(&recipe->arena);
    *recipe = (ae_recipe){ 0 };
}
