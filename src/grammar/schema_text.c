/* schema_text.c -- strings of a schema: lengths, formats, and characters as JSON writes them. */
#include "grammar/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add(ae_schema *s, int32_t rule, ae_ids *row)
{
    ae_rules_add(&s->rules, rule, row, 0);
}

/* Ranges that are sorted and do not overlap: `ranges`, or all others. */
static size_t plain_ranges(const uint32_t (*ranges)[2], size_t n, bool negated, uint32_t (*out)[2])
{
    size_t m = 0;
    uint32_t next = 0;
    if (!negated) {
        memcpy(out, ranges, n * sizeof *out);
        return n;
    }
    /* The least range that begins at or after `next`, again and again: n is small. */
    for (;;) {
        uint32_t first = 0x110000, last = 0;
        for (size_t i = 0; i < n; i++)
            if (ranges[i][1] >= next && ranges[i][0] < first) {
                first = ranges[i][0];
                last = ranges[i][1];
            }
        if (first > next) {
            out[m][0] = next;
            out[m++][1] = (first < 0x110000 ? first : 0x110000) - 1;
        }
        if (first == 0x110000 || last >= 0x10FFFF) return m;
        if (last + 1 > next) next = last + 1;
    }
}

static bool has(const uint32_t (*ranges)[2], size_t n, uint32_t c)
{
    for (size_t i = 0; i < n; i++)
        if (ranges[i][0] <= c && c <= ranges[i][1]) return true;
    return false;
}

/* Adds to `rule` the escape of a character that JSON does not let stand as it is. */
static void add_escape(ae_schema *s, int32_t rule, uint32_t c)
{
    static const char letters[] = { '\b', 'b',  '\f', 'f', '\n', 'n',  '\r',
                                    'r',  '\t', 't',  '"', '"',  '\\', '\\' };
    char written[8];
    ae_ids row = { 0 };
    snprintf(written, sizeof written, "\\u%04x", (unsigned)c);
    for (size_t i = 0; i < sizeof letters; i += 2)
        if ((unsigned char)letters[i] == c)
            snprintf(written, sizeof written, "\\%c", letters[i + 1]);
    ae_rules_text(&s->rules, &row, ae_span_text(written));
    add(s, rule, &row);
    ae_ids_free(&row);
}

/* What of a range may stand as it is, into *out. */
static size_t cut_plain(uint32_t first, uint32_t last, uint32_t (*out)[2])
{
    static const uint32_t plain[3][2] = { { 0x20, '"' - 1 },
                                          { '"' + 1, '\\' - 1 },
                                          { '\\' + 1, 0x10FFFF } };
    size_t n = 0;
    for (size_t i = 0; i < 3; i++) {
        uint32_t from = first > plain[i][0] ? first : plain[i][0],
                 to = last < plain[i][1] ? last : plain[i][1];
        if (from > to) continue;
        out[n][0] = from;
        out[n++][1] = to;
    }
    return n;
}

void ae_schema_class(ae_schema *s, ae_ids *row, const uint32_t (*ranges)[2], size_t n, bool negated)
{
    uint32_t(*wanted)[2] = ae_alloc(n + 1, sizeof *wanted), (*plain)[2];
    plain = ae_alloc(3 * (n + 1), sizeof *plain);
    if (!wanted || !plain)
        ae_rules_fail(&s->rules, AERIE_NO_MEMORY, "no memory for a grammar");
    else {
        int32_t rule = ae_rules_new(&s->rules);
        size_t m = plain_ranges(ranges, n, negated, wanted), k = 0;
        ae_ids one = { 0 };
        for (size_t i = 0; i < m; i++) k += cut_plain(wanted[i][0], wanted[i][1], plain + k);
        if (k) {
            ae_rules_class(&s->rules, &one, (const uint32_t(*)[2])plain, k, false);
            add(s, rule, &one);
        }
        for (uint32_t c = 0; c <= '\\'; c++)
            if ((c < 0x20 || c == '"' || c == '\\') && has((const uint32_t(*)[2])wanted, m, c))
                add_escape(s, rule, c);
        ae_ids_free(&one);
        ae_rules_call(row, rule);
    }
    ae_free(wanted);
    ae_free(plain);
}

/* Formats whose words are a fixed shape. Others only describe. */
static const char *pattern_of_format(const char *format)
{
    static const struct {
        const char *format, *pattern;
    } known[] = {
        { "date", "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$" },
        { "time", "^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?"
                  "(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$" },
        { "date-time", "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
                       "T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?"
                       "(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$" },
        { "uuid", "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$" },
        { "ipv4", "^((25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])\\.){3}"
                  "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])$" },
    };
    for (size_t i = 0; format && i < AE_COUNT(known); i++)
        if (!strcmp(format, known[i].format)) return known[i].pattern;
    return NULL;
}

void ae_schema_text(ae_schema *s, int32_t rule, const json_t *schema)
{
    const json_t *given = json_object_get(schema, "pattern");
    const char *format = pattern_of_format(json_string_value(json_object_get(schema, "format")));
    const char *pattern = given ? json_string_value(given) : format;
    int64_t least = ae_schema_count(s, schema, "minLength", 0),
            most = ae_schema_count(s, schema, "maxLength", -1);
    bool sized = least > 0 || most >= 0;
    ae_ids row = { 0 };
    if (given && !pattern)
        ae_rules_fail(&s->rules, AERIE_BAD_TEXT, "the schema's pattern is not a text");
    if (given && format)
        ae_schema_refuse(s,
                         "pattern and format together cannot be enforced; say both in the pattern");
    if (pattern && sized)
        ae_schema_refuse(s,
                         "minLength and maxLength beside a pattern or format cannot be enforced; "
                         "say the length in the pattern");
    ae_rules_byte(&s->rules, &row, '"');
    if (pattern && !ae_schema_failed(s))
        ae_schema_pattern(s, &row, pattern);
    else {
        ae_rules_call(&row, ae_schema_character(s));
        ae_rules_repeat(&s->rules, &row, 1, least, most);
    }
    ae_rules_byte(&s->rules, &row, '"');
    add(s, rule, &row);
    ae_ids_free(&row);
}
