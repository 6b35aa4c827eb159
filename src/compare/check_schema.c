/* check_schema.c -- JSON values against JSON schemas (draft 2020-12, the part that data uses). */
#include "compare/check.h"

#include "text/text.h"

#include <math.h>
#include <string.h>

enum { DEEPEST = 64, MOST_STEPS = 1000000, REGEX_STEPS = 20 /* are one */ };

typedef struct {
    const json_t *root;
    int depth;
    int64_t steps; /* a $ref that leads to itself would take them without end */
} walk;

static bool fits(walk *w, const json_t *schema, const json_t *value);

static bool is_type(const json_t *value, const char *type)
{
    double x = json_number_value(value);

    if (!strcmp(type, "object")) return json_is_object(value);
    if (!strcmp(type, "array")) return json_is_array(value);
    if (!strcmp(type, "string")) return json_is_string(value);
    if (!strcmp(type, "number")) return json_is_number(value);
    if (!strcmp(type, "integer")) return json_is_number(value) && x == floor(x);
    if (!strcmp(type, "boolean")) return json_is_boolean(value);
    return !strcmp(type, "null") && json_is_null(value);
}

static bool equal(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b)) return json_number_value(a) == json_number_value(b);
    return json_equal(a, b) != 0;
}

/* ---- keywords: what the schema's value of each means ---- */

typedef bool keyword_fn(walk *w, const json_t *schema, const json_t *of, const json_t *value);

static bool on_type(walk *w, const json_t *schema, const json_t *of, const json_t *value)
{
    const json_t *one;
    size_t i;

    (void)w;
    (void)schema;
    if (json_is_string(of)) return is_type(value, json_string_value(of));
    json_array_foreach((json_t *)of, i,
                       one) if (json_is_string(one) &&
                                is_type(value, json_string_value(one))) return true;
    return false;
}

static bool on_enum(walk *w, const json_t *schema, const json_t *of, const json_t *value)
{
    const json_t *one;
    size_t i;

    (void)w;
    (void)schema;
    json_array_foreach((json_t *)of, i, one) if (equal(one, value)) return true;
    return false;
}

static bool on_const(walk *w, const json_t *schema, const json_t *of, const json_t *value)
{
    (void)w;
    (void)schema;
    return equal(of, value);
}

static bool on_properties(walk *w, const json_t *schema, const json_t *of, const json_t *value)
{
    const char *key;
    json_t *under;

    (void)schema;
    if (!json_is_object(value)) return true;
    json_object_foreach((json_t *)of, key, under)
    {
        const json_t *is = json_object_get(value, key);
        if (is && !fits(w, under, is)) return false;
    }
    return true;
}

static bool on_required(walk *w, const json_t *schema, const json_t *of, const json_t *value)
{
    const json_t *one;
    size_t i;

    (void)w;
    (void)schema;
    if (!json_is_object(value)) return true;
    json_array_foreach((json_t *)of, i,
                       one) if (!json_object_get(value, json_string_value(one)
                                                            ? json_string_value(one)
                                                            : "")) return false;
    return true;
}

static bool on_additional(walk *w, const json_t *schema, const json_t *of, const json_t *value)
{
    const json_t *properties = json_object_get(schema, "properties");
    const char *key;
    json_t *is;

    if (!json_is_object(value)) return true;
    json_object_foreach((json_t *)value, key,
                        is) if (!json_object_get(properties, key) && !fits(w, of, is)) return false;
    return true;
}

static bool on_items(walk *w, const json_t *schema, const json_t *of, const json_t *value)
{
    size_t first = json_array_size(json_object_get(schema, "prefixItems"));

    for (size_t i = first; i < json_array_size(value); i++)
        if (!fits(w, of, json_array_get(value, i))) return false;
    return true;
}

static bool on_prefix(walk *w, const json_t *schema, const json_t *of, const json_t *value)
{
    (void)schema;
    for (size_t i = 0; i < json_array_size(value) && i < json_array_size(of); i++)
        if (!fits(w, json_array_get(of, i), json_array_get(value, i))) return false;
    return true;
}

static bool on_unique(walk *w, const json_t *schema, const json_t *of, const json_t *value)
{
    (void)schema;
    if (!json_is_true(of)) return true;
    for (size_t i = 0; i < json_array_size(value); i++)
        for (size_t k = 0; k < i; k++)
            if (++w->steps > MOST_STEPS ||
                equal(json_array_get(value, i), json_array_get(value, k)))
                return false;
    return true;
}

#define BOUND(name, is_kind, measure, relation)                                                    \
    static bool name(walk *w, const json_t *schema, const json_t *of, const json_t *value)         \
    {                                                                                              \
        (void)w;                                                                                   \
        (void)schema;                                                                              \
        return !(is_kind) || (measure)relation json_number_value(of);                              \
    }
#define LENGTH(value)                                                                              \
    (double)ae_reply_characters(json_string_value(value), json_string_length(value))
BOUND(on_minimum, json_is_number(value), json_number_value(value), >=)
BOUND(on_maximum, json_is_number(value), json_number_value(value), <=)
BOUND(on_above, json_is_number(value), json_number_value(value), >)
BOUND(on_below, json_is_number(value), json_number_value(value), <)
BOUND(on_min_length, json_is_string(value), LENGTH(value), >=)
BOUND(on_max_length, json_is_string(value), LENGTH(value), <=)
BOUND(on_min_items, json_is_array(value), (double)json_array_size(value), >=)
BOUND(on_max_items, json_is_array(value), (double)json_array_size(value), <=)
BOUND(on_min_properties, json_is_object(value), (double)json_object_size(value), >=)
BOUND(on_max_properties, json_is_object(value), (double)json_object_size(value), <=)

static bool on_multiple(walk *w, const json_t *schema, const json_t *of, const json_t *value)
{
    double times = json_number_value(value) / json_number_value(of);

    (void)w;
    (void)schema;
    return !json_is_number(value) || fabs(times - nearbyint(times)) <= 1e-9 * fmax(1, fabs(times));
}

/* A pattern that is given up is one that did not match, nor does anything after it. */
static bool on_pattern(walk *w, const json_t *schema, const json_t *of, const json_t *value)
{
    const ae_span text = { json_string_value(value), json_string_length(value) };
    const char *pattern = json_string_value(of);
    ae_regex *r = NULL;
    bool found;

    (void)schema;
    if (!text.data) return true; /* no text */
    if (!pattern || ae_regex_open_search(&r, pattern, 0, NULL)) return false;
    found = ae_regex_find(r, text, 0, NULL, 0);
    w->steps += ae_regex_cost(r) / REGEX_STEPS;
    if (ae_regex_status(r, NULL)) w->steps = MOST_STEPS + 1;
    ae_regex_close(r);
    return found;
}

static size_t n_fitting(walk *w, const json_t *list, const json_t *value)
{
    size_t n = 0;

    for (size_t i = 0; i < json_array_size(list); i++) n += fits(w, json_array_get(list, i), value);
    return n;
}

static bool on_any(walk *w, const json_t *schema, const json_t *of, const json_t *value)
{
    (void)schema;
    return n_fitting(w, of, value) > 0;
}

static bool on_one(walk *w, const json_t *schema, const json_t *of, const json_t *value)
{
    (void)schema;
    return n_fitting(w, of, value) == 1;
}

static bool on_all(walk *w, const json_t *schema, const json_t *of, const json_t *value)
{
    (void)schema;
    return n_fitting(w, of, value) == json_array_size(of);
}

static bool on_not(walk *w, const json_t *schema, const json_t *of, const json_t *value)
{
    (void)schema;
    return !fits(w, of, value);
}

/* "#", "#/$defs/name" */
static const json_t *resolve(const json_t *root, const char *path)
{
    const json_t *at = root;
    char name[128];

    if (!path || *path++ != '#') return NULL;
    while (at && *path == '/') {
        size_t len = strcspn(++path, "/");
        if (len >= sizeof name) return NULL;
        memcpy(name, path, len);
        name[len] = '\0';
        at = json_object_get(at, name);
        path += len;
    }
    return *path ? NULL : at;
}

static bool on_ref(walk *w, const json_t *schema, const json_t *of, const json_t *value)
{
    const json_t *to = resolve(w->root, json_string_value(of));

    (void)schema;
    return to && fits(w, to, value);
}

static const struct {
    const char *name;
    keyword_fn *holds;
} keywords[] = {
    { "type", on_type },
    { "enum", on_enum },
    { "const", on_const },
    { "properties", on_properties },
    { "required", on_required },
    { "additionalProperties", on_additional },
    { "items", on_items },
    { "prefixItems", on_prefix },
    { "uniqueItems", on_unique },
    { "minimum", on_minimum },
    { "maximum", on_maximum },
    { "exclusiveMinimum", on_above },
    { "exclusiveMaximum", on_below },
    { "multipleOf", on_multiple },
    { "minLength", on_min_length },
    { "maxLength", on_max_length },
    { "minItems", on_min_items },
    { "maxItems", on_max_items },
    { "minProperties", on_min_properties },
    { "maxProperties", on_max_properties },
    { "pattern", on_pattern },
    { "anyOf", on_any },
    { "oneOf", on_one },
    { "allOf", on_all },
    { "not", on_not },
    { "$ref", on_ref },
};

static bool fits(walk *w, const json_t *schema, const json_t *value)
{
    bool holds = true;

    if (json_is_boolean(schema)) return json_is_true(schema);
    if (w->depth >= DEEPEST) w->steps = MOST_STEPS;
    if (++w->steps > MOST_STEPS) return false;
    w->depth++;
    for (size_t i = 0; i < AE_COUNT(keywords) && holds; i++) {
        const json_t *of = json_object_get(schema, keywords[i].name);
        if (of) holds = keywords[i].holds(w, schema, of, value);
    }
    w->depth--;
    return holds;
}

bool ae_check_schema(const json_t *schema, const json_t *value)
{
    walk w = { .root = schema };

    /* Where it was not looked at to the end, a "not" may have turned what was found. */
    return fits(&w, schema, value) && w.steps <= MOST_STEPS;
}

/* Keywords that bind and that this is not able to look at. */
static const char *const unknown[] = {
    "patternProperties", "propertyNames",         "contains",          "minContains",
    "maxContains",       "dependentSchemas",      "dependentRequired", "if",
    "unevaluatedItems",  "unevaluatedProperties", "$dynamicRef",       "format",
};

static aerie_status look(const json_t *schema, const json_t *root, int depth, aerie_error *err);

static aerie_status look_all(const json_t *of, const json_t *root, int depth, aerie_error *err)
{
    aerie_status status = AERIE_OK;
    const char *key;
    json_t *one;
    size_t i;

    if (json_is_array(of)) {
        json_array_foreach((json_t *)of, i, one) if (!status) status = look(one, root, depth, err);
    } else {
        json_object_foreach((json_t *)of, key, one) if (!status) status =
            look(one, root, depth, err);
    }
    return status;
}

static bool is_known_type(const json_t *type)
{
    static const char *const known[] = { "object",  "array",   "string", "number",
                                         "integer", "boolean", "null" };

    for (size_t i = 0; i < AE_COUNT(known); i++)
        if (json_is_string(type) && !strcmp(json_string_value(type), known[i])) return true;
    return false;
}

/* A type or a pattern that nothing could ever fit is a mistake. */
static aerie_status look_at_words(const json_t *schema, aerie_error *err)
{
    const json_t *type = json_object_get(schema, "type"), *one;
    const json_t *text = json_object_get(schema, "pattern");
    const char *pattern = json_string_value(text);
    ae_regex *r = NULL;
    aerie_status status = AERIE_OK;
    size_t i;

    if (pattern) status = ae_regex_open_search(&r, pattern, 0, err);
    ae_regex_close(r);
    if (status) return status;
    if (text && !pattern) return aerie_fail(err, AERIE_BAD_TEXT, "the schema's pattern is no text");
    if (type && !json_is_array(type) && !is_known_type(type))
        return aerie_fail(err, AERIE_BAD_TEXT, "the schema's type '%.40s' is none of JSON's",
                          json_is_string(type) ? json_string_value(type) : "");
    json_array_foreach(
        (json_t *)(uintptr_t)type, i,
        one) if (!is_known_type(one)) return aerie_fail(err, AERIE_BAD_TEXT,
                                                        "the schema's list of types has one that "
                                                        "is none of JSON's");
    return AERIE_OK;
}

static aerie_status look(const json_t *schema, const json_t *root, int depth, aerie_error *err)
{
    static const char *const lists[] = { "properties", "$defs", "definitions", "prefixItems",
                                         "anyOf",      "oneOf", "allOf" };
    static const char *const singles[] = { "items", "additionalProperties", "not" };
    const json_t *ref = json_object_get(schema, "$ref");
    aerie_status status = AERIE_OK;

    if (json_is_boolean(schema)) return AERIE_OK;
    if (!json_is_object(schema))
        return aerie_fail(err, AERIE_BAD_TEXT, "a schema is a JSON object, or true or false");
    if (depth > DEEPEST) return aerie_fail(err, AERIE_UNSUPPORTED, "the schema is too deep");
    for (size_t i = 0; i < AE_COUNT(unknown); i++)
        if (json_object_get(schema, unknown[i]))
            return aerie_fail(err, AERIE_UNSUPPORTED, "checks don't know the schema's keyword '%s'",
                              unknown[i]);
    if (ref && !resolve(root, json_string_value(ref)))
        return aerie_fail(err, AERIE_BAD_TEXT, "the schema's $ref leads nowhere within it");
    status = look_at_words(schema, err);
    for (size_t i = 0; i < AE_COUNT(lists) && !status; i++)
        status = look_all(json_object_get(schema, lists[i]), root, depth + 1, err);
    for (size_t i = 0; i < AE_COUNT(singles) && !status; i++) {
        const json_t *one = json_object_get(schema, singles[i]);
        if (one) status = look(one, root, depth + 1, err);
    }
    return status;
}

aerie_status ae_check_schema_open(const json_t *schema, aerie_error *err)
{
    return look(schema, schema, 0, err);
}
