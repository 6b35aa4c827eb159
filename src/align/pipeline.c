/* pipeline.c -- the YAML of a pipeline. */
#include "align/pipeline.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { MAX_BYTES = 1 << 20, MAX_DEPTH = 16 };

/* Where a mapping begins is kept in it: no key of a pipeline is called this. */
#define LINE "#line"

static const char *const kind_names[] = { "train",   "merge", "quantize",
                                          "command", "score", "perplexity" };

const char *ae_stage_kind_name(ae_stage_kind kind)
{
    return kind_names[kind];
}

/* ---- YAML to JSON: every scalar a text ---- */

static json_t *value_of(yaml_document_t *d, const yaml_node_t *node, int depth);

static json_t *list_of(yaml_document_t *d, const yaml_node_t *node, int depth)
{
    json_t *list = json_array();

    for (yaml_node_item_t *i = node->data.sequence.items.start;
         list && i < node->data.sequence.items.top; i++) {
        json_t *item = value_of(d, yaml_document_get_node(d, *i), depth + 1);
        if (!item || json_array_append_new(list, item)) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *map_of(yaml_document_t *d, const yaml_node_t *node, int depth)
{
    json_t *map = json_object();

    if (map) json_object_set_new(map, LINE, json_integer((json_int_t)node->start_mark.line + 1));
    for (yaml_node_pair_t *p = node->data.mapping.pairs.start;
         map && p < node->data.mapping.pairs.top; p++) {
        const yaml_node_t *key = yaml_document_get_node(d, p->key);
        const char *name =
            key->type == YAML_SCALAR_NODE ? (const char *)key->data.scalar.value : "";
        json_t *value = value_of(d, yaml_document_get_node(d, p->value), depth + 1);
        if (!value || json_object_set_new(map, name, value)) {
            json_decref(map);
            return NULL;
        }
    }
    return map;
}

/* NULL: too deep, no UTF-8, or no memory. */
static json_t *value_of(yaml_document_t *d, const yaml_node_t *node, int depth)
{
    if (depth > MAX_DEPTH || !node) return NULL;
    if (node->type == YAML_SCALAR_NODE) return json_string((const char *)node->data.scalar.value);
    return node->type == YAML_SEQUENCE_NODE ? list_of(d, node, depth) : map_of(d, node, depth);
}

static aerie_status parse(json_t **out, const char *text, size_t len, const char *path,
                          aerie_error *err)
{
    yaml_parser_t parser;
    yaml_document_t document;
    const yaml_node_t *root;
    aerie_status status = AERIE_OK;

    if (!yaml_parser_initialize(&parser))
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the pipeline");
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    if (!yaml_parser_load(&parser, &document)) {
        status = aerie_fail(err, AERIE_BAD_TEXT, "%s:%zu: not YAML: %s", path,
                            (size_t)parser.problem_mark.line + 1,
                            parser.problem ? parser.problem : "it cannot be read");
    } else {
        root = yaml_document_get_root_node(&document);
        *out = root && root->type == YAML_MAPPING_NODE ? value_of(&document, root, 0) : NULL;
        yaml_document_delete(&document);
        if (!*out)
            status = aerie_fail(err, AERIE_BAD_TEXT,
                                "%s: a pipeline is a mapping with 'stages', a list", path);
    }
    yaml_parser_delete(&parser);
    return status;
}

/* ---- stages ---- */

aerie_status ae_stage_wrong(const ae_pipeline *p, const ae_stage *stage, aerie_error *err,
                            const char *format, ...)
{
    char sentence[400];
    va_list args;

    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    return aerie_fail(err, AERIE_BAD_TEXT, "%s:%lld: %s", p->path, (long long)stage->line,
                      sentence);
}

static aerie_status no_memory(aerie_error *err)
{
    return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the pipeline");
}

/* A list as YAML's flow: ["a", "b"]. */
static aerie_status set_text(json_t *settings, const char *key, const json_t *value,
                             aerie_error *err)
{
    char *list = json_is_array(value) ? json_dumps(value, JSON_COMPACT) : NULL;
    const char *text = list ? list : json_string_value(value);
    int failed = text ? json_object_set_new(settings, key, json_string(text)) : -1;

    free(list);
    return failed ? no_memory(err) : AERIE_OK;
}

/* {lora: {r: 8}} becomes lora.r: 8. */
static aerie_status flatten(json_t *settings, const char *prefix, const json_t *map,
                            aerie_error *err)
{
    aerie_status status = AERIE_OK;
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)map, key, value)
    {
        char name[128];
        if (strcmp(key, LINE) == 0) continue;
        snprintf(name, sizeof name, "%s%s%s", prefix, *prefix ? "." : "", key);
        if (!status)
            status = json_is_object(value) ? flatten(settings, name, value, err)
                                           : set_text(settings, name, value, err);
    }
    return status;
}

/* "recipes/sft-full.yaml" is called sft-full. */
static const char *stem_of(ae_pipeline *p, const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash && slash[1] ? slash + 1 : path;
    const char *dot = strrchr(name, '.');

    return ae_arena_strndup(&p->arena, name,
                            dot && dot != name ? (size_t)(dot - name) : strlen(name));
}

/* Recipes lie beside the pipeline. */
static const char *beside(ae_pipeline *p, const char *file)
{
    const char *slash = strrchr(p->path, '/');
    ae_bytes path = { 0 };
    const char *out;

    if (*file == '/' || !slash) return file;
    ae_bytes_add(&path, p->path, (size_t)(slash - p->path) + 1);
    ae_bytes_add_text(&path, file);
    out = path.failed ? NULL : ae_arena_strndup(&p->arena, path.data, path.len);
    ae_bytes_free(&path);
    return out;
}

static const char *text_in(const json_t *map, const char *key)
{
    return json_string_value(json_object_get(map, key));
}

/* The keys that a stage or an evaluation of each kind may have. */
static const struct {
    const char *word; /* what makes it of this kind */
    ae_stage_kind kind;
    bool stage, evaluation;
    const char *keys; /* of its settings; NULL: a recipe's */
    const char *needs;
} kinds[] = {
    { "recipe", AE_STAGE_TRAIN, true, false, NULL, NULL },
    { "merge", AE_STAGE_MERGE, true, false, " output type imatrix ", "output" },
    { "quantize", AE_STAGE_QUANTIZE, true, false, " output type imatrix ", "output type" },
    { "command", AE_STAGE_COMMAND, true, true, " run output inputs ", "run" },
    { "score", AE_STAGE_SCORE, false, true, " model data limit max_length ", "model data" },
    { "perplexity", AE_STAGE_PERPLEXITY, false, true, " model file ctx ", "file" },
};

static aerie_status check_settings(const ae_pipeline *p, const ae_stage *s, size_t k,
                                   aerie_error *err)
{
    const char *key, *needs = kinds[k].needs;
    char word[64], wanted[32];
    json_t *value;

    if (!kinds[k].keys) return AERIE_OK;
    json_object_foreach(s->settings, key, value)
    {
        snprintf(word, sizeof word, " %.60s ", key);
        if (!strstr(kinds[k].keys, word))
            return ae_stage_wrong(p, s, err, "'%s' has no key '%.60s'; it has%s", kinds[k].word,
                                  key, kinds[k].keys);
    }
    for (size_t len; *needs; needs += len + (needs[len] == ' ')) {
        len = strcspn(needs, " ");
        snprintf(wanted, sizeof wanted, "%.*s", (int)len, needs);
        if (!json_object_get(s->settings, wanted))
            return ae_stage_wrong(p, s, err, "'%s' needs '%s'", kinds[k].word, wanted);
    }
    return AERIE_OK;
}

static aerie_status name_stage(ae_pipeline *p, ae_stage *s, const json_t *map, aerie_error *err)
{
    const char *name = text_in(map, "name");

    s->name = name ? name : s->recipe ? stem_of(p, s->recipe) : ae_stage_kind_name(s->kind);
    if (!s->name) return no_memory(err);
    if (!*s->name || strpbrk(s->name, ":=${}"))
        return ae_stage_wrong(p, s, err, "'%s' is no name for a stage: it has one of : = $ { }",
                              s->name);
    return AERIE_OK;
}

/* A command may be its text alone. */
static aerie_status read_settings(const ae_pipeline *p, ae_stage *s, const json_t *map, size_t k,
                                  aerie_error *err)
{
    const char *word = kinds[k].word;
    const json_t *value = json_object_get(map, kinds[k].kind == AE_STAGE_TRAIN ? "set" : word);
    aerie_status status = AERIE_OK;

    s->settings = json_object();
    if (!s->settings) return no_memory(err);
    if (json_is_object(value))
        status = flatten(s->settings, "", value, err);
    else if (value && kinds[k].kind == AE_STAGE_COMMAND)
        status = set_text(s->settings, "run", value, err);
    else if (value)
        return ae_stage_wrong(p, s, err, "'%s' must be a mapping",
                              kinds[k].kind == AE_STAGE_TRAIN ? "set" : word);
    return status ? status : check_settings(p, s, k, err);
}

static aerie_status check_words(const ae_pipeline *p, const ae_stage *s, const json_t *map,
                                size_t k, aerie_error *err)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)map, key, value)
    {
        bool known = strcmp(key, LINE) == 0 || strcmp(key, "name") == 0 ||
                     strcmp(key, "from") == 0 || strcmp(key, kinds[k].word) == 0 ||
                     (kinds[k].kind == AE_STAGE_TRAIN && strcmp(key, "set") == 0);
        if (!known)
            return ae_stage_wrong(
                p, s, err, "a stage with '%s' has no key '%.60s'; it may have name, from%s",
                kinds[k].word, key, kinds[k].kind == AE_STAGE_TRAIN ? " and set" : "");
    }
    return AERIE_OK;
}

static aerie_status read_stage(ae_pipeline *p, ae_stage *s, const json_t *map, bool evaluation,
                               aerie_error *err)
{
    aerie_status status;
    size_t k = 0;

    *s = (ae_stage){ .line = json_integer_value(json_object_get(map, LINE)) };
    while (k < AE_COUNT(kinds) && (!(evaluation ? kinds[k].evaluation : kinds[k].stage) ||
                                   !json_object_get(map, kinds[k].word)))
        k++;
    if (k == AE_COUNT(kinds))
        return ae_stage_wrong(p, s, err, "%s",
                              evaluation ? "an evaluation has one of score, perplexity, command"
                                         : "a stage has one of recipe, merge, quantize, command");
    s->kind = kinds[k].kind;
    s->from = text_in(map, "from");
    if (s->kind == AE_STAGE_TRAIN) {
        const char *file = text_in(map, "recipe");
        if (!file) return ae_stage_wrong(p, s, err, "'recipe' must be the name of a file");
        s->recipe = beside(p, file);
        if (!s->recipe) return no_memory(err);
    }
    status = check_words(p, s, map, k, err);
    if (!status) status = read_settings(p, s, map, k, err);
    return status ? status : name_stage(p, s, map, err);
}

static const ae_stage *stage_of(const ae_pipeline *p, const char *name, int before)
{
    for (int i = 0; i < before; i++)
        if (strcmp(p->stages[i].name, name) == 0) return &p->stages[i];
    return NULL;
}

static aerie_status check_names(const ae_pipeline *p, aerie_error *err)
{
    for (int i = 0; i < p->n_stages; i++) {
        const ae_stage *s = &p->stages[i];
        if (stage_of(p, s->name, i))
            return ae_stage_wrong(
                p, s, err, "two stages are called '%s'; give one of them another 'name'", s->name);
        if (s->from && strcmp(s->from, "recipe") != 0 && !stage_of(p, s->from, i))
            return ae_stage_wrong(p, s, err,
                                  "'from: %.60s' is no stage before this one; 'recipe' means the "
                                  "recipe's own model",
                                  s->from);
    }
    return AERIE_OK;
}

static aerie_status read_list(ae_pipeline *p, const char *key, bool evaluation, aerie_error *err)
{
    const json_t *list = json_object_get(p->root, key);
    ae_stage *into = evaluation ? p->evaluations : p->stages;
    int *n = evaluation ? &p->n_evaluations : &p->n_stages;
    aerie_status status = AERIE_OK;

    if (!list && evaluation) return AERIE_OK;
    if (!json_is_array(list) || json_array_size(list) == 0 ||
        json_array_size(list) > AE_MOST_STAGES)
        return aerie_fail(err, AERIE_BAD_TEXT, "%s: '%s' must be a list of 1 to %d mappings",
                          p->path, key, AE_MOST_STAGES);
    for (size_t i = 0; i < json_array_size(list) && !status; i++) {
        const json_t *map = json_array_get(list, i);
        if (!json_is_object(map))
            return aerie_fail(err, AERIE_BAD_TEXT, "%s: '%s' must be a list of mappings", p->path,
                              key);
        status = read_stage(p, &into[(*n)++], map, evaluation, err);
    }
    return status;
}

/* "zephyr-7b-beta/align.yaml" is called zephyr-7b-beta. */
static const char *default_name(ae_pipeline *p)
{
    const char *slash = strrchr(p->path, '/'), *stem = stem_of(p, p->path), *begin = slash;

    if (!stem || !slash || strcmp(stem, "align") != 0) return stem;
    while (begin > p->path && begin[-1] != '/') begin--;
    if (begin == slash || *begin == '.') return stem;
    return ae_arena_strndup(&p->arena, begin, (size_t)(slash - begin));
}

static aerie_status read_root(ae_pipeline *p, aerie_error *err)
{
    static const char *const keys[] = { "name", "stages", "evaluate", LINE };
    aerie_status status;
    const char *key;
    json_t *value;

    json_object_foreach(p->root, key, value)
    {
        bool known = false;
        for (size_t i = 0; i < AE_COUNT(keys); i++) known |= strcmp(key, keys[i]) == 0;
        if (!known)
            return aerie_fail(err, AERIE_BAD_TEXT,
                              "%s: unknown key '%.60s'; a pipeline has name, stages and evaluate",
                              p->path, key);
    }
    p->name = text_in(p->root, "name") ? text_in(p->root, "name") : default_name(p);
    if (!p->name) return no_memory(err);
    if (!*p->name || strchr(p->name, '/'))
        return aerie_fail(err, AERIE_BAD_TEXT, "%s: 'name: %s' is no name for a file", p->path,
                          p->name);
    status = read_list(p, "stages", false, err);
    if (!status) status = read_list(p, "evaluate", true, err);
    return status ? status : check_names(p, err);
}

aerie_status ae_pipeline_read(ae_pipeline *out, const char *path, aerie_error *err)
{
    ae_bytes text = { 0 };
    aerie_status status;

    *out = (ae_pipeline){ .path = path };
    status = ae_file_read(&text, path, MAX_BYTES, err);
    if (!status) status = parse(&out->root, text.data ? text.data : "", text.len, path, err);
    if (!status) status = read_root(out, err);
    ae_bytes_free(&text);
    if (status) ae_pipeline_free(out);
    return status;
}

void ae_pipeline_free(ae_pipeline *p)
{
    for (int i = 0; i < p->n_stages; i++) json_decref(p->stages[i].settings);
    for (int i = 0; i < p->n_evaluations; i++) json_decref(p->evaluations[i].settings);
    json_decref(p->root);
    ae_arena_free(&p->arena);
    *p = (ae_pipeline){ 0 };
}

const char *ae_stage_setting(const ae_stage *stage, const char *key)
{
    return text_in(stage->settings, key);
}

aerie_status ae_pipeline_set(ae_pipeline *p, const char *setting, aerie_error *err)
{
    const char *equals = strchr(setting, '='), *colon = strchr(setting, ':');
    const char *key = colon && equals && colon < equals ? colon + 1 : setting;
    size_t stage_len = key == setting ? 0 : (size_t)(colon - setting);
    char name[128];
    int n = 0;

    if (!equals || equals == key || (size_t)(equals - key) >= sizeof name)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "--set %s: a setting is key=value, or stage:key=value", setting);
    snprintf(name, sizeof name, "%.*s", (int)(equals - key), key);
    for (int i = 0; i < p->n_stages + p->n_evaluations; i++) {
        ae_stage *s = i < p->n_stages ? &p->stages[i] : &p->evaluations[i - p->n_stages];
        bool named = strlen(s->name) == stage_len && strncmp(s->name, setting, stage_len) == 0;
        if (stage_len ? !named : s->kind != AE_STAGE_TRAIN) continue;
        n++;
        if (json_object_set_new(s->settings, name, json_string(equals + 1))) return no_memory(err);
    }
    if (n > 0) return AERIE_OK;
    return aerie_fail(err, AERIE_NOT_FOUND, "--set %s: the pipeline has no such stage", setting);
}
