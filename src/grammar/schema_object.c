/* schema_object.c -- objects and arrays of a schema. */
#include "grammar/schema.h"

#include <string.h>

static void add(ae_schema *s, int32_t rule, ae_ids *row)
{
    ae_rules_add(&s->rules, rule, row, 0);
}

static void text(ae_schema *s, ae_ids *row, const char *t)
{
    ae_rules_text(&s->rules, row, ae_span_text(t));
}

static void comma(ae_schema *s, ae_ids *row)
{
    text(s, row, ",");
    ae_rules_call(row, ae_schema_space(s));
}

/* `"name": value` */
static void member(ae_schema *s, ae_ids *row, int32_t value)
{
    ae_rules_call(row, ae_schema_space(s));
    text(s, row, ":");
    ae_rules_call(row, ae_schema_space(s));
    ae_rules_call(row, value);
}

/* ---- names that are not properties */

/* Names as they may be after a beginning that `names` [n] share: those that leave it go on freely,
 * and none of `names` itself is one. Names are written without escapes, so that none is hidden. */
static int32_t other_names(ae_schema *s, const char *const *names, size_t n, size_t at)
{
    static const uint32_t not_plain[3][2] = { { 0, 0x1F }, { '"', '"' }, { '\\', '\\' } };
    uint32_t taken[259][2];
    size_t n_taken = 3;
    bool ends = false;
    int32_t rule = ae_rules_new(&s->rules);
    ae_ids row = { 0 };
    memcpy(taken, not_plain, sizeof not_plain);
    for (size_t i = 0; i < n;) {
        unsigned char c = (unsigned char)names[i][at];
        size_t k = i + 1;
        while (k < n && (unsigned char)names[k][at] == c) k++;
        if (c == '\0')
            ends = true;
        else if (!ae_schema_failed(s)) {
            taken[n_taken][0] = taken[n_taken][1] = c;
            n_taken++;
            ae_rules_byte(&s->rules, &row, c);
            ae_rules_call(&row, other_names(s, names + i, k - i, at + 1));
            add(s, rule, &row);
        }
        i = k;
    }
    if (!ends) {
        text(s, &row, "\"");
        add(s, rule, &row);
    }
    ae_rules_class(&s->rules, &row, (const uint32_t(*)[2])taken, n_taken, true);
    size_t from = row.len;
    ae_rules_class(&s->rules, &row, not_plain, 3, true);
    ae_rules_repeat(&s->rules, &row, from, 0, -1);
    text(s, &row, "\"");
    add(s, rule, &row);
    ae_ids_free(&row);
    return rule;
}

static void sort_names(const char **names, size_t n)
{
    for (size_t i = 1; i < n; i++)
        for (size_t k = i; k > 0 && strcmp(names[k - 1], names[k]) > 0; k--) {
            const char *t = names[k];
            names[k] = names[k - 1];
            names[k - 1] = t;
        }
}

/* A rule for a property that the schema does not name. */
static int32_t other_member(ae_schema *s, const json_t *properties, int32_t value)
{
    size_t n = json_object_size(properties), i = 0;
    const char **names = ae_alloc(n, sizeof *names), *name;
    json_t *v;
    int32_t rule = ae_rules_new(&s->rules);
    ae_ids row = { 0 };
    if (!names) {
        ae_rules_fail(&s->rules, AERIE_NO_MEMORY, "no memory for a grammar");
        return rule;
    }
    json_object_foreach((json_t *)(uintptr_t)properties, name, v)
    {
        names[i++] = name;
        /* A character is taken by its first byte: of others only ASCII is known apart. */
        for (const char *c = name; *c; c++)
            if ((unsigned char)*c >= 0x80 || *c == '"' || *c == '\\')
                ae_schema_refuse(s,
                                 "additionalProperties beside a property whose name is not plain "
                                 "ASCII cannot be enforced");
    }
    sort_names(names, n);
    if (!ae_schema_failed(s)) {
        text(s, &row, "\"");
        ae_rules_call(&row, other_names(s, names, n, 0));
        member(s, &row, value);
        add(s, rule, &row);
    }
    ae_ids_free(&row);
    ae_free(names);
    return rule;
}

/* ---- objects */

static bool is_required(const json_t *schema, const char *name)
{
    const json_t *list = json_object_get(schema, "required");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *one = json_string_value(json_array_get(list, i));
        if (one && !strcmp(one, name)) return true;
    }
    return false;
}

/* What may follow the last named property: others, when there is a rule for them, and the end. */
static int32_t object_end(ae_schema *s, int32_t other, bool first)
{
    int32_t rule = ae_rules_new(&s->rules);
    ae_ids row = { 0 };
    if (other >= 0) {
        if (!first) comma(s, &row);
        ae_rules_call(&row, other);
        size_t from = row.len;
        comma(s, &row);
        ae_rules_call(&row, other);
        ae_rules_repeat(&s->rules, &row, from, 0, -1);
        ae_rules_call(&row, ae_schema_space(s));
        text(s, &row, "}");
        add(s, rule, &row);
    }
    if (!first) ae_rules_call(&row, ae_schema_space(s));
    text(s, &row, "}");
    add(s, rule, &row);
    ae_ids_free(&row);
    return rule;
}

/* A property and what follows it, or, when it may be left out, what follows alone. */
static int32_t property(ae_schema *s, const char *name, int32_t value, bool required, bool first,
                        int32_t after, int32_t skipped)
{
    int32_t rule = ae_rules_new(&s->rules);
    ae_ids row = { 0 };
    if (!first) comma(s, &row);
    ae_schema_literal(s, &row, name);
    member(s, &row, value);
    ae_rules_call(&row, after);
    add(s, rule, &row);
    if (!required) {
        ae_rules_call(&row, skipped);
        add(s, rule, &row);
    }
    ae_ids_free(&row);
    return rule;
}

/* Properties from the last to the first, each twice: as the first that is written, and later. */
static void named_properties(ae_schema *s, int32_t rule, const json_t *schema, int32_t other)
{
    const json_t *properties = json_object_get(schema, "properties");
    int32_t first = object_end(s, other, true), later = object_end(s, other, false);
    size_t n = json_object_size(properties), i = 0;
    const char **names = ae_alloc(n, sizeof *names), *name;
    json_t *v;
    ae_ids row = { 0 };
    if (!names) ae_rules_fail(&s->rules, AERIE_NO_MEMORY, "no memory for a grammar");
    json_object_foreach((json_t *)(uintptr_t)properties, name, v) if (names) names[i++] = name;
    while (i-- > 0 && !ae_schema_failed(s)) {
        int32_t value = ae_schema_rule_of(s, json_object_get(properties, names[i]));
        bool required = is_required(schema, names[i]);
        int32_t at_first = property(s, names[i], value, required, true, later, first);
        later = property(s, names[i], value, required, false, later, later);
        first = at_first;
    }
    text(s, &row, "{");
    ae_rules_call(&row, ae_schema_space(s));
    ae_rules_call(&row, first);
    add(s, rule, &row);
    ae_ids_free(&row);
    ae_free(names);
}

/* An object without named properties: from `least` to `most` of others. */
static void map(ae_schema *s, int32_t rule, int32_t other, int64_t least, int64_t most)
{
    ae_ids row = { 0 };
    text(s, &row, "{");
    ae_rules_call(&row, ae_schema_space(s));
    size_t begin = row.len;
    if (most != 0) {
        ae_rules_call(&row, other);
        size_t from = row.len;
        comma(s, &row);
        ae_rules_call(&row, other);
        ae_rules_repeat(&s->rules, &row, from, least > 0 ? least - 1 : 0, most < 0 ? -1 : most - 1);
        ae_rules_call(&row, ae_schema_space(s));
        if (least == 0) ae_rules_repeat(&s->rules, &row, begin, 0, 1);
    }
    text(s, &row, "}");
    add(s, rule, &row);
    ae_ids_free(&row);
}

static void check_required(ae_schema *s, const json_t *schema)
{
    const json_t *list = json_object_get(schema, "required"),
                 *properties = json_object_get(schema, "properties");
    if (list && !json_is_array(list))
        ae_rules_fail(&s->rules, AERIE_BAD_TEXT, "the schema's required is not a list of names");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        if (!name || !json_object_get(properties, name))
            ae_schema_refuse(
                s,
                "'%.100s' is required and not among the schema's properties; say there "
                "what it is",
                name ? name : "");
    }
}

void ae_schema_object(ae_schema *s, int32_t rule, const json_t *schema)
{
    const json_t *properties = json_object_get(schema, "properties"),
                 *more = json_object_get(schema, "additionalProperties");
    int64_t least = ae_schema_count(s, schema, "minProperties", 0),
            most = ae_schema_count(s, schema, "maxProperties", -1);
    int32_t other = -1;
    if (properties && !json_is_object(properties))
        ae_rules_fail(&s->rules, AERIE_BAD_TEXT, "the schema's properties are not an object");
    check_required(s, schema);
    bool open = more ? !json_is_false(more) : !properties;
    if (open && !ae_schema_failed(s))
        other = other_member(s, properties,
                             more && json_is_object(more) ? ae_schema_rule_of(s, more)
                                                          : ae_schema_value(s));
    if (json_object_size(properties) == 0 && open)
        map(s, rule, other, least, most);
    else if (least > (int64_t)json_array_size(json_object_get(schema, "required")) || most >= 0)
        ae_schema_refuse(s, "minProperties and maxProperties beside properties cannot be enforced");
    else if (!ae_schema_failed(s))
        named_properties(s, rule, schema, other);
}

/* ---- arrays */

/* Items from the prefix's end on: `least` to `most` of them, after a comma unless they are first.
 */
static void more_items(ae_schema *s, ae_ids *row, int32_t item, int64_t least, int64_t most,
                       bool first)
{
    size_t begin = row->len, from;
    if (most == 0) return;
    if (!first) comma(s, row);
    ae_rules_call(row, item);
    from = row->len;
    comma(s, row);
    ae_rules_call(row, item);
    ae_rules_repeat(&s->rules, row, from, least > 0 ? least - 1 : 0, most < 0 ? -1 : most - 1);
    if (least == 0) ae_rules_repeat(&s->rules, row, begin, 0, 1);
}

void ae_schema_array(ae_schema *s, int32_t rule, const json_t *schema)
{
    const json_t *items = json_object_get(schema, "items"),
                 *prefix = json_object_get(schema, "prefixItems");
    int64_t least = ae_schema_count(s, schema, "minItems", 0),
            most = ae_schema_count(s, schema, "maxItems", -1);
    ae_ids row = { 0 };
    if (json_is_array(items)) { /* draft 7 */
        prefix = items;
        items = json_object_get(schema, "additionalItems");
    }
    int64_t n = (int64_t)json_array_size(prefix);
    if (prefix && (least < n || (most >= 0 && most < n)))
        least = n; /* the whole prefix is written */
    if (most >= 0 && most < least)
        ae_rules_fail(&s->rules, AERIE_BAD_TEXT, "no array fits the schema: maxItems is too small");
    text(s, &row, "[");
    ae_rules_call(&row, ae_schema_space(s));
    for (int64_t i = 0; i < n && !ae_schema_failed(s); i++) {
        if (i) comma(s, &row);
        ae_rules_call(&row, ae_schema_rule_of(s, json_array_get(prefix, (size_t)i)));
    }
    /* Behind a prefix nothing is written unless the schema says what. */
    bool closed = json_is_false(items) || (prefix && !items && least == n);
    if (!closed && !ae_schema_failed(s))
        more_items(s, &row,
                   json_is_object(items) ? ae_schema_rule_of(s, items) : ae_schema_value(s),
                   least - n, most < 0 ? -1 : most - n, n == 0);
    else if (least > n)
        ae_rules_fail(&s->rules, AERIE_BAD_TEXT, "no array fits the schema: minItems is too large");
    ae_rules_call(&row, ae_schema_space(s));
    text(s, &row, "]");
    add(s, rule, &row);
    ae_ids_free(&row);
}
