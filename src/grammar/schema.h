/* schema.h -- JSON schemas as rules. Private to grammar.
 *
 * Enforced: type, enum, const, properties, required, additionalProperties, minProperties and
 * maxProperties (of objects without properties), items, prefixItems, minItems, maxItems, minLength,
 * maxLength, pattern, format (date, time, date-time, uuid, ipv4), minimum, maximum,
 * exclusiveMinimum, exclusiveMaximum (of integers; of numbers where the bounds are whole), anyOf,
 * oneOf (as anyOf: that only one fits is not looked at), allOf, $ref within the schema, nullable.
 * Refused, because they would bind and are not known: not, if, multipleOf (but 1), uniqueItems,
 * contains, patternProperties, propertyNames, dependent..., unevaluated..., $dynamicRef. All others
 * only describe.
 *
 * Where a schema lets more through than is useful, less is written: objects have their properties
 * in the schema's order and others only when additionalProperties says so, numbers have at most 16
 * digits before and after the point, enum and const are written as jansson does. */
#ifndef AE_SCHEMA_H
#define AE_SCHEMA_H

#include "grammar/rules.h"

typedef struct {
    const json_t *node;
    int32_t rule;
} ae_schema_rule;

typedef struct {
    ae_rules rules;
    const json_t *root;
    ae_schema_rule *known; /* every schema met, with its rule: references may go in circles */
    size_t n_known, cap_known;
    json_t *made; /* list: schemas that were put together from others; they live as long as this */
    int depth;
    /* -1 until they are needed. */
    int32_t space, value, string, number, integer, object, array, character;
} ae_schema;

static inline bool ae_schema_failed(const ae_schema *s)
{
    return s->rules.status != AERIE_OK;
}
/* AERIE_UNSUPPORTED with the sentence. */
void ae_schema_refuse(ae_schema *s, const char *format, ...) AERIE_PRINTF(2, 3);

/* The rule of a schema, which may still be under way. */
int32_t ae_schema_rule_of(ae_schema *s, const json_t *schema);

/* Rules that all schemas share. */
int32_t ae_schema_space(ae_schema *s);     /* between tokens of JSON */
int32_t ae_schema_value(ae_schema *s);     /* anything */
int32_t ae_schema_string(ae_schema *s);    /* any string, with its quotes */
int32_t ae_schema_character(ae_schema *s); /* of a string, as JSON has it */

/* Each adds an alternative to `rule`: an object, an array, a string, a number of what the schema's
 * keywords say of its kind. */
void ae_schema_object(ae_schema *s, int32_t rule, const json_t *schema);
void ae_schema_array(ae_schema *s, int32_t rule, const json_t *schema);
void ae_schema_text(ae_schema *s, int32_t rule, const json_t *schema);
void ae_schema_number(ae_schema *s, int32_t rule, const json_t *schema, bool whole);

/* What a regular expression (ECMA-262's, as far as it is regular) matches, as the inside of a JSON
 * string. */
void ae_schema_pattern(ae_schema *s, ae_ids *row, const char *pattern);
/* One character of ranges [n][2] as JSON writes it in a string. */
void ae_schema_class(ae_schema *s, ae_ids *row, const uint32_t (*ranges)[2], size_t n,
                     bool negated);
/* A name of a property, or any text, as a JSON string with its quotes. */
void ae_schema_literal(ae_schema *s, ae_ids *row, const char *text);

/* The value of a keyword that counts; `otherwise` where it is not there. A negative or other value
 * is refused. */
int64_t ae_schema_count(ae_schema *s, const json_t *schema, const char *keyword, int64_t otherwise);

#endif
