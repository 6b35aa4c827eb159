/* yaml.c -- YAML to JSON values, by libyaml, with what hostile files could grow bounded. */
#include "task/yaml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { MAX_BYTES = 4 << 20, MAX_DEPTH = 32, MAX_NODES = 200000 };

typedef struct {
    yaml_document_t document;
    const char *name;
    size_t nodes; /* visited: an anchor counts each time it is used */
    aerie_error *err;
} reader;

static aerie_status at(const reader *r, const yaml_node_t *node, aerie_status status)
{
    aerie_error_prefix(r->err, "%s:%zu", r->name, (size_t)node->start_mark.line + 1);
    return status;
}

static aerie_status no_memory(const reader *r)
{
    return aerie_fail(r->err, AERIE_NO_MEMORY, "%s: no memory to read it", r->name);
}

static bool is_one_of(const char *text, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(text, words[i]) == 0) return true;
    return false;
}

/* YAML 1.2's core schema. */
static json_t *plain_value(const char *text, size_t len)
{
    static const char *const nulls[] = { "", "~", "null", "Null", "NULL" };
    static const char *const yes[] = { "true", "True", "TRUE" };
    static const char *const no[] = { "false", "False", "FALSE" };
    size_t digits = strspn(text + (*text == '-' || *text == '+'), "0123456789");
    bool number_like = len && strspn(text, "+-.0123456789eE") == len && strpbrk(text, "0123456789");
    char *end;

    if (is_one_of(text, nulls, AE_COUNT(nulls))) return json_null();
    if (is_one_of(text, yes, AE_COUNT(yes))) return json_true();
    if (is_one_of(text, no, AE_COUNT(no))) return json_false();
    if (number_like && digits + (*text == '-' || *text == '+') == len) {
        errno = 0;
        long long whole = strtoll(text, &end, 10);
        if (!errno) return json_integer(whole);
    } else if (number_like) {
        double real = strtod(text, &end);
        if (!*end && real - real == 0) return json_real(real);
    }
    return json_stringn(text, len);
}

static aerie_status read_scalar(const reader *r, json_t **out, const yaml_node_t *node)
{
    const char *text = (const char *)node->data.scalar.value;
    size_t len = node->data.scalar.length;
    const char *tag = (const char *)node->tag;

    if (tag && strcmp(tag, "!function") == 0)
        return at(r, node,
                  aerie_fail(r->err, AERIE_UNSUPPORTED,
                             "'!function %.60s' is Python, which aerie does not run; write a "
                             "template or a built-in name instead",
                             text));
    if (node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        *out = plain_value(text, len);
    else
        *out = json_stringn(text, len);
    return *out ? AERIE_OK : no_memory(r);
}

static aerie_status read_node(reader *r, json_t **out, const yaml_node_t *node, int depth);

static aerie_status read_list(reader *r, json_t **out, const yaml_node_t *node, int depth)
{
    aerie_status status = AERIE_OK;

    *out = json_array();
    if (!*out) return no_memory(r);
    for (yaml_node_item_t *i = node->data.sequence.items.start;
         !status && i < node->data.sequence.items.top; i++) {
        json_t *item = NULL;
        status = read_node(r, &item, yaml_document_get_node(&r->document, *i), depth + 1);
        if (!status && json_array_append_new(*out, item)) status = no_memory(r);
    }
    return status;
}

static aerie_status read_pair(reader *r, json_t *map, const yaml_node_pair_t *pair, int depth)
{
    const yaml_node_t *key = yaml_document_get_node(&r->document, pair->key);
    json_t *value = NULL;
    const char *name;
    aerie_status status;

    if (key->type != YAML_SCALAR_NODE ||
        strlen((const char *)key->data.scalar.value) != key->data.scalar.length)
        return at(r, key, aerie_fail(r->err, AERIE_BAD_TEXT, "a key must be a text"));
    name = (const char *)key->data.scalar.value;
    if (json_object_get(map, name))
        return at(r, key, aerie_fail(r->err, AERIE_BAD_TEXT, "'%.60s' is written twice", name));
    status = read_node(r, &value, yaml_document_get_node(&r->document, pair->value), depth + 1);
    if (!status && json_object_set_new(map, name, value)) status = no_memory(r);
    return status;
}

static aerie_status read_map(reader *r, json_t **out, const yaml_node_t *node, int depth)
{
    aerie_status status = AERIE_OK;

    *out = json_object();
    if (!*out) return no_memory(r);
    for (yaml_node_pair_t *p = node->data.mapping.pairs.start;
         !status && p < node->data.mapping.pairs.top; p++)
        status = read_pair(r, *out, p, depth);
    return status;
}

static aerie_status read_node(reader *r, json_t **out, const yaml_node_t *node, int depth)
{
    aerie_status status;

    *out = NULL;
    if (depth > MAX_DEPTH || ++r->nodes > MAX_NODES)
        return at(r, node,
                  aerie_fail(r->err, AERIE_BAD_TEXT,
                             "too much for a task: more than %d levels or %d values", MAX_DEPTH,
                             MAX_NODES));
    if (node->type == YAML_SCALAR_NODE)
        status = read_scalar(r, out, node);
    else if (node->type == YAML_SEQUENCE_NODE)
        status = read_list(r, out, node, depth);
    else
        status = read_map(r, out, node, depth);
    if (status) {
        json_decref(*out);
        *out = NULL;
    }
    return status;
}

/* Where the keys of the outermost mapping stand, for sentences about their values. */
static aerie_status note_lines(reader *r, ae_yaml *out, const yaml_node_t *root)
{
    out->lines = json_object();
    if (!out->lines) return no_memory(r);
    for (yaml_node_pair_t *p = root->data.mapping.pairs.start; p < root->data.mapping.pairs.top;
         p++) {
        const yaml_node_t *key = yaml_document_get_node(&r->document, p->key);
        json_t *line = json_integer((json_int_t)key->start_mark.line + 1);
        if (json_object_set_new(out->lines, (const char *)key->data.scalar.value, line))
            return no_memory(r);
    }
    return AERIE_OK;
}

static aerie_status read_document(reader *r, ae_yaml *out)
{
    yaml_node_t *root = yaml_document_get_root_node(&r->document);
    aerie_status status;

    if (!root || root->type != YAML_MAPPING_NODE)
        return aerie_fail(r->err, AERIE_BAD_TEXT,
                          "%s: a task is a mapping of keys to values, such as 'task: my_task'",
                          r->name);
    status = read_node(r, &out->root, root, 0);
    return status ? status : note_lines(r, out, root);
}

static aerie_status parse_failure(const reader *r, const yaml_parser_t *parser)
{
    if (parser->error == YAML_MEMORY_ERROR) return no_memory(r);
    return aerie_fail(r->err, AERIE_BAD_TEXT, "%s:%zu: no YAML: %s", r->name,
                      (size_t)parser->problem_mark.line + 1,
                      parser->problem ? parser->problem : "it does not parse");
}

aerie_status ae_yaml_read(ae_yaml *out, const char *name, ae_span text, aerie_error *err)
{
    reader r = { .name = name, .err = err };
    yaml_parser_t parser;
    aerie_status status;

    *out = (ae_yaml){ 0 };
    if (text.len > MAX_BYTES)
        return aerie_fail(err, AERIE_BAD_TEXT, "%s: a task of %zu bytes is too long", name,
                          text.len);
    if (!yaml_parser_initialize(&parser)) return no_memory(&r);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.data, text.len);
    if (!yaml_parser_load(&parser, &r.document)) {
        status = parse_failure(&r, &parser);
        yaml_parser_delete(&parser);
        return status;
    }
    status = read_document(&r, out);
    yaml_document_delete(&r.document);
    yaml_parser_delete(&parser);
    if (status) ae_yaml_free(out);
    return status;
}

void ae_yaml_free(ae_yaml *y)
{
    json_decref(y->root);
    json_decref(y->lines);
    *y = (ae_yaml){ 0 };
}
