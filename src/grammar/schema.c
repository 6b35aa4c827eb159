/* schema.c -- a JSON schema's way to rules: references, alternatives, schemas that hold together.
 */
#include "grammar/schema.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 128, MOST_SCHEMAS = 10000 };

void ae_schema_refuse(ae_schema *s, const char *format, ...)
{
    char sentence[400];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    ae_rules_fail(&s->rules, AERIE_UNSUPPORTED, "%s", sentence);
}

int64_t ae_schema_count(ae_schema *s, const json_t *schema, const char *keyword, int64_t otherwise)
{
    const json_t *v = json_object_get(schema, keyword);
    double n = v ? json_number_value(v) : 0;
    if (!v) return otherwise;
    if (!json_is_number(v) || n < 0 || n > 1e9 || n != (double)(int64_t)n) {
        ae_rules_fail(&s->rules, AERIE_BAD_TEXT, "the schema's %s is not a count", keyword);
        return otherwise;
    }
    return (int64_t)n;
}

void ae_schema_literal(ae_schema *s, ae_ids *row, const char *text)
{
    json_t *string = json_string(text);
    char *written = string ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
    if (written)
        ae_rules_text(&s->rules, row, ae_span_text(written));
    else
        ae_rules_fail(&s->rules, AERIE_NO_MEMORY, "no memory for a grammar");
    free(written);
    json_decref(string);
}

/* ---- $ref */

/* "~1" is "/", "~0" is "~" (RFC 6901). */
static void unescape(char *out, const char *part, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        if (part[i] == '~' && i + 1 < len && (part[i + 1] == '0' || part[i + 1] == '1'))
            out[n++] = part[++i] == '1' ? '/' : '~';
        else
            out[n++] = part[i];
    out[n] = '\0';
}

static const json_t *step(const json_t *at, const char *part)
{
    char *end;
    if (json_is_object(at)) return json_object_get(at, part);
    unsigned long i = strtoul(part, &end, 10);
    return json_is_array(at) && *part && !*end ? json_array_get(at, i) : NULL;
}

static const json_t *find_reference(ae_schema *s, const char *ref)
{
    const json_t *at = s->root;
    char part[256];
    if (ref[0] != '#' || (ref[1] && ref[1] != '/')) {
        ae_schema_refuse(
            s, "the schema refers to '%.100s'; only parts of itself can be (\"#/$defs/...\")", ref);
        return NULL;
    }
    for (const char *c = ref + 1; at && *c == '/';) {
        size_t len = strcspn(++c, "/");
        if (len >= sizeof part) return NULL;
        unescape(part, c, len);
        at = step(at, part);
        c += len;
    }
    if (!at)
        ae_rules_fail(&s->rules, AERIE_BAD_TEXT,
                      "the schema refers to '%.100s', which is not there", ref);
    return at;
}

/* ---- keywords */

static void check_keywords(ae_schema *s, const json_t *schema)
{
    static const char *const unknown[] = {
        "not",           "if",           "uniqueItems", "contains",         "patternProperties",
        "propertyNames", "dependencies", "$dynamicRef", "dependentSchemas", "dependentRequired",
        "$recursiveRef", "minContains",  "maxContains", "unevaluatedItems", "unevaluatedProperties",
    };
    for (size_t i = 0; i < AE_COUNT(unknown); i++) {
        const json_t *v = json_object_get(schema, unknown[i]);
        bool harmless = json_is_false(v) && strncmp(unknown[i], "un", 2) == 0;
        /* Nothing is written that is not evaluated. */
        if (v && !harmless)
            ae_schema_refuse(
                s, "the schema's '%s' cannot be enforced; leave it out or say it otherwise",
                unknown[i]);
    }
}

/* Whether a keyword says something of values, and not only about the schema. */
static bool binds(const char *keyword)
{
    static const char *const words[] = {
        "$ref",
        "type",
        "enum",
        "const",
        "properties",
        "required",
        "items",
        "prefixItems",
        "minItems",
        "maxItems",
        "minLength",
        "maxLength",
        "pattern",
        "format",
        "minimum",
        "maximum",
        "anyOf",
        "oneOf",
        "allOf",
        "nullable",
        "multipleOf",
        "additionalProperties",
        "additionalItems",
        "minProperties",
        "maxProperties",
        "exclusiveMinimum",
        "exclusiveMaximum",
    };
    for (size_t i = 0; i < AE_COUNT(words); i++)
        if (!strcmp(words[i], keyword)) return true;
    return false;
}

/* ---- schemas that must hold together */

static const json_t *merged(ae_schema *s, const json_t *a, const json_t *b);

static void merge_lists(json_t *into, const char *keyword, const json_t *more)
{
    json_t *list = json_array(), *old = json_object_get(into, keyword);
    size_t i;
    json_t *v;
    json_array_foreach(old, i, v) json_array_append(list, v);
    json_array_foreach(more, i, v)
    {
        bool there = false;
        for (size_t k = 0; k < json_array_size(old); k++)
            there |= json_equal(json_array_get(old, k), v);
        if (!there) json_array_append(list, v);
    }
    json_object_set_new(into, keyword, list);
}

static void merge_properties(ae_schema *s, json_t *into, const json_t *more)
{
    json_t *all = json_copy(json_object_get(into, "properties"));
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)more, name, v)
    {
        json_t *old = json_object_get(all, name);
        if (old && !json_equal(old, v))
            json_object_set(all, name, (json_t *)(uintptr_t)merged(s, old, v));
        else
            json_object_set(all, name, v);
    }
    json_object_set_new(into, "properties", all);
}

static void merge_keyword(ae_schema *s, json_t *into, const char *keyword, json_t *value)
{
    json_t *old = json_object_get(into, keyword);
    if (!binds(keyword) || (old && json_equal(old, value))) return;
    if (!old)
        json_object_set(into, keyword, value);
    else if (!strcmp(keyword, "required"))
        merge_lists(into, keyword, value);
    else if (!strcmp(keyword, "properties"))
        merge_properties(s, into, value);
    else
        ae_schema_refuse(s, "two schemas that must hold together both have '%s'; make them one",
                         keyword);
}

/* A reference is replaced by what it refers to: its neighbours hold too. */
static const json_t *resolve(ae_schema *s, const json_t *schema)
{
    for (int i = 0; i < 32; i++) {
        const json_t *ref = json_object_get(schema, "$ref");
        if (!ref) return schema;
        const json_t *target =
            find_reference(s, json_string_value(ref) ? json_string_value(ref) : "");
        if (!target) return NULL;
        bool alone = true;
        const char *keyword;
        json_t *v;
        json_object_foreach((json_t *)(uintptr_t)schema, keyword, v) alone &=
            !binds(keyword) || !strcmp(keyword, "$ref");
        if (!alone) {
            json_t *rest = json_copy((json_t *)(uintptr_t)schema);
            json_object_del(rest, "$ref");
            json_array_append_new(s->made, rest);
            return merged(s, target, rest);
        }
        schema = target;
    }
    ae_rules_fail(&s->rules, AERIE_BAD_TEXT, "the schema's references go in a circle");
    return NULL;
}

/* Both at once; borrowed: it lives as long as s. */
static const json_t *merged(ae_schema *s, const json_t *a, const json_t *b)
{
    const json_t *x = resolve(s, a), *y = ae_schema_failed(s) ? NULL : resolve(s, b);
    json_t *all = x && y && json_is_object(x) ? json_copy((json_t *)(uintptr_t)x) : json_object();
    const char *keyword;
    json_t *v;
    if (++s->depth > DEEPEST)
        ae_rules_fail(&s->rules, AERIE_BAD_TEXT, "the schema is nested too deep");
    if (x && y && !ae_schema_failed(s)) {
        if (json_is_false(x) || json_is_false(y))
            ae_rules_fail(&s->rules, AERIE_BAD_TEXT, "no value fits the schema");
        json_object_foreach((json_t *)(uintptr_t)y, keyword, v) merge_keyword(s, all, keyword, v);
    }
    s->depth--;
    json_array_append_new(s->made, all);
    return all;
}

static json_t *without(ae_schema *s, const json_t *schema, const char *keyword)
{
    json_t *rest = json_copy((json_t *)(uintptr_t)schema);
    json_object_del(rest, keyword);
    json_array_append_new(s->made, rest);
    return rest;
}

static bool says_more(const json_t *schema, const char *than)
{
    const char *keyword;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)schema, keyword,
                        v) if (binds(keyword) && strcmp(keyword, than) != 0) return true;
    return false;
}

static void add_call(ae_schema *s, int32_t rule, int32_t to)
{
    ae_ids row = { 0 };
    ae_rules_call(&row, to);
    ae_rules_add(&s->rules, rule, &row, 0);
    ae_ids_free(&row);
}

static void add_any_of(ae_schema *s, int32_t rule, const json_t *schema, const char *keyword)
{
    const json_t *list = json_object_get(schema, keyword);
    const json_t *rest = says_more(schema, keyword) ? without(s, schema, keyword) : NULL;
    size_t i;
    json_t *one;
    if (!json_is_array(list) || json_array_size(list) == 0)
        ae_rules_fail(&s->rules, AERIE_BAD_TEXT, "the schema's %s is not a list of schemas",
                      keyword);
    json_array_foreach(list, i, one)
    {
        if (ae_schema_failed(s)) return;
        add_call(s, rule, ae_schema_rule_of(s, rest ? merged(s, rest, one) : one));
    }
}

static void add_all_of(ae_schema *s, int32_t rule, const json_t *schema)
{
    const json_t *all = without(s, schema, "allOf");
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(schema, "allOf"), i, one) if (!ae_schema_failed(s)) all =
        merged(s, all, one);
    if (!ae_schema_failed(s)) add_call(s, rule, ae_schema_rule_of(s, all));
}

static void add_literal(ae_schema *s, int32_t rule, const json_t *value)
{
    ae_ids row = { 0 };
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    if (text)
        ae_rules_text(&s->rules, &row, ae_span_text(text));
    else
        ae_rules_fail(&s->rules, AERIE_NO_MEMORY, "no memory for a grammar");
    ae_rules_add(&s->rules, rule, &row, 0);
    ae_ids_free(&row);
    free(text);
}

static bool is_of_type(const json_t *value, const char *type)
{
    return !strcmp(type, "null")      ? json_is_null(value)
           : !strcmp(type, "boolean") ? json_is_boolean(value)
           : !strcmp(type, "string")  ? json_is_string(value)
           : !strcmp(type, "integer") ? json_is_integer(value)
           : !strcmp(type, "number")  ? json_is_number(value)
           : !strcmp(type, "array")   ? json_is_array(value)
                                      : json_is_object(value);
}

/* Whether a value that is listed is of the types that are, if any. */
static bool type_lets(const json_t *types, const json_t *value)
{
    if (json_is_string(types)) return is_of_type(value, json_string_value(types));
    for (size_t i = 0; i < json_array_size(types); i++) {
        const char *type = json_string_value(json_array_get(types, i));
        if (type && is_of_type(value, type)) return true;
    }
    return !types;
}

static void add_listed(ae_schema *s, int32_t rule, const json_t *schema)
{
    const json_t *one = json_object_get(schema, "const"), *list = json_object_get(schema, "enum");
    const json_t *types = json_object_get(schema, "type");
    size_t n = 0;
    for (size_t i = 0; i < (one ? 1 : json_array_size(list)); i++) {
        const json_t *v = one ? one : json_array_get(list, i);
        bool in_list = !one || !list;
        for (size_t k = 0; !in_list && k < json_array_size(list); k++)
            in_list = json_equal(v, json_array_get(list, k));
        if (!in_list || !type_lets(types, v)) continue;
        add_literal(s, rule, v);
        n++;
    }
    if (n == 0)
        ae_rules_fail(&s->rules, AERIE_BAD_TEXT, "no value fits the schema's enum or const");
}

static void add_text(ae_schema *s, int32_t rule, const char *text)
{
    ae_ids row = { 0 };
    ae_rules_text(&s->rules, &row, ae_span_text(text));
    ae_rules_add(&s->rules, rule, &row, 0);
    ae_ids_free(&row);
}

static void add_type(ae_schema *s, int32_t rule, const json_t *schema, const char *type)
{
    if (!strcmp(type, "null"))
        add_text(s, rule, "null");
    else if (!strcmp(type, "boolean")) {
        add_text(s, rule, "true");
        add_text(s, rule, "false");
    } else if (!strcmp(type, "string"))
        ae_schema_text(s, rule, schema);
    else if (!strcmp(type, "integer") || !strcmp(type, "number"))
        ae_schema_number(s, rule, schema, type[0] == 'i');
    else if (!strcmp(type, "array"))
        ae_schema_array(s, rule, schema);
    else if (!strcmp(type, "object"))
        ae_schema_object(s, rule, schema);
    else
        ae_rules_fail(&s->rules, AERIE_BAD_TEXT, "there is no type '%.100s' in JSON schemas", type);
}

static bool has_any(const json_t *schema, const char *const *keywords, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (json_object_get(schema, keywords[i])) return true;
    return false;
}

/* A schema without a type binds values of the types that its keywords speak of; the usual meaning
 * is that it is of that type. */
static void add_untyped(ae_schema *s, int32_t rule, const json_t *schema)
{
    static const char *const of_objects[] = { "properties", "required", "additionalProperties",
                                              "minProperties", "maxProperties" },
                             *const of_arrays[] = { "items", "prefixItems", "minItems",
                                                    "maxItems" },
                             *const of_strings[] = { "minLength", "maxLength", "pattern" },
                             *const of_numbers[] = { "minimum", "maximum", "exclusiveMinimum",
                                                     "exclusiveMaximum", "multipleOf" };
    if (has_any(schema, of_objects, AE_COUNT(of_objects)))
        ae_schema_object(s, rule, schema);
    else if (has_any(schema, of_arrays, AE_COUNT(of_arrays)))
        ae_schema_array(s, rule, schema);
    else if (has_any(schema, of_strings, AE_COUNT(of_strings)))
        ae_schema_text(s, rule, schema);
    else if (has_any(schema, of_numbers, AE_COUNT(of_numbers)))
        ae_schema_number(s, rule, schema, false);
    else
        add_call(s, rule, ae_schema_value(s));
}

static void add_types(ae_schema *s, int32_t rule, const json_t *schema)
{
    const json_t *types = json_object_get(schema, "type");
    if (!types)
        add_untyped(s, rule, schema);
    else if (json_is_string(types))
        add_type(s, rule, schema, json_string_value(types));
    else if (!json_is_array(types) || json_array_size(types) == 0)
        ae_rules_fail(&s->rules, AERIE_BAD_TEXT,
                      "the schema's type is not a name or a list of names");
    for (size_t i = 0; i < json_array_size(types) && !ae_schema_failed(s); i++) {
        const char *type = json_string_value(json_array_get(types, i));
        add_type(s, rule, schema, type ? type : "");
    }
    if (json_is_true(json_object_get(schema, "nullable"))) add_text(s, rule, "null");
}

static void add_schema(ae_schema *s, int32_t rule, const json_t *given)
{
    const json_t *schema = json_is_object(given) ? resolve(s, given) : given;
    if (!schema || ae_schema_failed(s)) return;
    if (json_is_true(schema))
        add_call(s, rule, ae_schema_value(s));
    else if (!json_is_object(schema))
        ae_rules_fail(&s->rules, AERIE_BAD_TEXT,
                      json_is_false(schema) ? "the schema lets no value through where one must be"
                                            : "a schema must be an object or a boolean");
    else if (schema != given)
        add_call(s, rule, ae_schema_rule_of(s, schema));
    else {
        check_keywords(s, schema);
        if (json_object_get(schema, "allOf"))
            add_all_of(s, rule, schema);
        else if (json_object_get(schema, "anyOf"))
            add_any_of(s, rule, schema, "anyOf");
        else if (json_object_get(schema, "oneOf"))
            add_any_of(s, rule, schema, "oneOf");
        else if (json_object_get(schema, "enum") || json_object_get(schema, "const"))
            add_listed(s, rule, schema);
        else
            add_types(s, rule, schema);
    }
}

static bool more_known(ae_schema *s)
{
    size_t cap = s->cap_known ? 2 * s->cap_known : 64;
    if (s->n_known < s->cap_known) return true;
    ae_schema_rule *more = ae_realloc(s->known, s->cap_known, cap, sizeof *more);
    if (!more) return false;
    s->known = more;
    s->cap_known = cap;
    return true;
}

int32_t ae_schema_rule_of(ae_schema *s, const json_t *schema)
{
    for (size_t i = 0; i < s->n_known; i++)
        if (s->known[i].node == schema) return s->known[i].rule;
    int32_t rule = ae_rules_new(&s->rules);
    if (s->depth >= DEEPEST || s->n_known >= MOST_SCHEMAS)
        ae_rules_fail(&s->rules, AERIE_BAD_TEXT, "the schema is nested too deep, or too large");
    else if (!more_known(s))
        ae_rules_fail(&s->rules, AERIE_NO_MEMORY, "no memory for a grammar");
    if (ae_schema_failed(s)) return rule;
    s->known[s->n_known++] = (ae_schema_rule){ schema, rule };
    s->depth++;
    add_schema(s, rule, schema);
    s->depth--;
    return rule;
}

aerie_status ae_grammar_of_schema(ae_grammar **out, const json_t *schema, aerie_error *err)
{
    ae_schema s = { .root = schema,
                    .made = json_array(),
                    .space = -1,
                    .value = -1,
                    .string = -1,
                    .number = -1,
                    .integer = -1,
                    .object = -1,
                    .array = -1,
                    .character = -1 };
    *out = NULL;
    ae_rules_begin(&s.rules, err);
    if (!s.made) ae_rules_fail(&s.rules, AERIE_NO_MEMORY, "no memory for a grammar");
    int32_t root = ae_schema_failed(&s) ? 0 : ae_schema_rule_of(&s, schema);
    aerie_status status = ae_rules_finish(&s.rules, root, out);
    ae_free(s.known);
    json_decref(s.made);
    return status;
}

aerie_status ae_grammar_of_json(ae_grammar **out, aerie_error *err)
{
    json_t *schema = json_pack("{s:s}", "type", "object");
    aerie_status status = ae_grammar_of_schema(out, schema, err);
    json_decref(schema);
    return status;
}
