/* schema_pattern.c -- regular expressions of a schema's `pattern`, as rules for the inside of a
 * JSON string. What is not regular (back references, looking ahead) is refused. */
#include "grammar/schema.h"

#include <string.h>

enum { DEEPEST = 64, MOST_RANGES = 128 };

typedef struct {
    ae_schema *schema;
    const char *at;
    int depth;
} regex;

static void bad(regex *p, const char *what)
{
    ae_schema_refuse(p->schema, "the schema's pattern: %s", what);
}

typedef struct {
    uint32_t ranges[MOST_RANGES][2];
    size_t n;
    bool negated;
} char_class;

static void class_add(regex *p, char_class *c, uint32_t first, uint32_t last)
{
    if (c->n == MOST_RANGES) {
        bad(p, "a class has too many ranges");
        return;
    }
    c->ranges[c->n][0] = first;
    c->ranges[c->n++][1] = last;
}

/* \d, \w, \s and their opposites; false: it is none of these. */
static bool named_class(regex *p, char_class *c, char name)
{
    switch (name) {
    case 'd':
    case 'D':
        class_add(p, c, '0', '9');
        break;
    case 'w':
    case 'W':
        class_add(p, c, 'a', 'z');
        class_add(p, c, 'A', 'Z');
        class_add(p, c, '0', '9');
        class_add(p, c, '_', '_');
        break;
    case 's':
    case 'S':
        class_add(p, c, '\t', '\r');
        class_add(p, c, ' ', ' ');
        class_add(p, c, 0xA0, 0xA0);
        break;
    default:
        return false;
    }
    return true;
}

static uint32_t hex(regex *p, int n)
{
    uint32_t value = 0;
    for (int i = 0; i < n; i++, p->at++) {
        const char *digits = "0123456789abcdef", *d;
        char c = *p->at >= 'A' && *p->at <= 'F' ? (char)(*p->at + 32) : *p->at;
        if (!c || !(d = strchr(digits, c))) {
            bad(p, "an escape wants more hexadecimal digits");
            return 0;
        }
        value = value << 4 | (uint32_t)(d - digits);
    }
    return value;
}

/* The character of an escape, behind its backslash. */
static uint32_t escaped(regex *p)
{
    char c = *p->at++;
    switch (c) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'f':
        return '\f';
    case 'v':
        return '\v';
    case 'x':
        return hex(p, 2);
    case 'u':
        return hex(p, 4);
    default:
        break;
    }
    if (c == '\0' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
        p->at -= c == '\0';
        bad(p, "of escapes only \\d \\w \\s \\D \\W \\S \\n \\r \\t \\f \\v \\x \\u and signs are "
               "known");
        return 0;
    }
    return (unsigned char)c;
}

static uint32_t plain(regex *p)
{
    /* No longer than a character: the rest is measured once for each that it has. */
    size_t n = 0, most = 0;
    while (most < 4 && p->at[most]) most++;
    int32_t c = ae_utf8_next((ae_span){ p->at, most }, &n);
    p->at += n;
    return c < 0 ? 0xFFFD : (uint32_t)c;
}

static void take_class(regex *p, ae_ids *row)
{
    char_class c = { 0 };
    p->at++;
    c.negated = *p->at == '^';
    if (c.negated) p->at++;
    while (*p->at && *p->at != ']' && !ae_schema_failed(p->schema)) {
        if (*p->at == '\\' && strchr("dws", p->at[1]) && p->at[1]) {
            named_class(p, &c, p->at[1]);
            p->at += 2;
            continue;
        }
        uint32_t first = *p->at == '\\' ? (p->at++, escaped(p)) : plain(p), last = first;
        if (*p->at == '-' && p->at[1] && p->at[1] != ']') {
            p->at++;
            last = *p->at == '\\' ? (p->at++, escaped(p)) : plain(p);
        }
        if (last < first) bad(p, "a range ends before it begins");
        class_add(p, &c, first, last);
    }
    if (*p->at != ']')
        bad(p, "a class is not closed");
    else
        p->at++;
    if (!ae_schema_failed(p->schema))
        ae_schema_class(p->schema, row, (const uint32_t(*)[2])c.ranges, c.n, c.negated);
}

static int64_t number(regex *p)
{
    int64_t n = -1;
    while (*p->at >= '0' && *p->at <= '9' && n < 1000000)
        n = (n < 0 ? 0 : n) * 10 + (*p->at++ - '0');
    return n;
}

static void take_repeats(regex *p, ae_ids *row, size_t from)
{
    int64_t least = 0, most = -1;
    char c = *p->at;
    if (!c || !strchr("*+?{", c)) return;
    p->at++;
    if (c == '+') least = 1;
    if (c == '?') most = 1;
    if (c == '{') {
        least = most = number(p);
        if (*p->at == ',') {
            p->at++;
            most = number(p);
        }
        if (*p->at != '}' || least < 0)
            bad(p, "a repetition is {n}, {n,} or {n,m}");
        else
            p->at++;
    }
    if (*p->at == '?') p->at++; /* lazy: the same texts */
    if (!ae_schema_failed(p->schema)) ae_rules_repeat(&p->schema->rules, row, from, least, most);
}

static void take_alternatives(regex *p, int32_t rule);

static void take_group(regex *p, ae_ids *row)
{
    int32_t rule = ae_rules_new(&p->schema->rules);
    p->at++;
    if (p->at[0] == '?' && p->at[1] == ':')
        p->at += 2;
    else if (p->at[0] == '?') {
        bad(p, "looking ahead or behind, and groups with names, are not known");
        return;
    }
    if (++p->depth > DEEPEST) {
        bad(p, "groups are nested deeper than 64");
        return;
    }
    take_alternatives(p, rule);
    p->depth--;
    if (*p->at != ')')
        bad(p, "a group is not closed");
    else
        p->at++;
    ae_rules_call(row, rule);
}

static void one_char(regex *p, ae_ids *row, uint32_t c)
{
    const uint32_t range[1][2] = { { c, c } };
    if (!ae_schema_failed(p->schema)) ae_schema_class(p->schema, row, range, 1, false);
}

static void take_escape(regex *p, ae_ids *row)
{
    char_class c = { 0 };
    p->at++;
    if (named_class(p, &c, *p->at)) {
        bool negated = *p->at++ < 'a';
        ae_schema_class(p->schema, row, (const uint32_t(*)[2])c.ranges, c.n, negated);
    } else
        one_char(p, row, escaped(p));
}

static void take_item(regex *p, ae_ids *row)
{
    static const uint32_t line_ends[4][2] = { { '\n', '\n' }, { '\r', '\r' }, { 0x2028, 0x2029 } };
    size_t from = row->len;
    switch (*p->at) {
    case '(':
        take_group(p, row);
        break;
    case '[':
        take_class(p, row);
        break;
    case '\\':
        take_escape(p, row);
        break;
    case '.':
        p->at++;
        ae_schema_class(p->schema, row, line_ends, 3, true);
        break;
    case '^':
    case '$':
        bad(p, "^ and $ may stand at its begin and end alone");
        return;
    case '*':
    case '+':
    case '?':
    case '{':
        bad(p, "there is nothing before a * + ? or {");
        return;
    default:
        one_char(p, row, plain(p));
    }
    if (!ae_schema_failed(p->schema)) take_repeats(p, row, from);
}

static bool at_end(const regex *p)
{
    return !*p->at || *p->at == ')' || (p->at[0] == '$' && !p->at[1]);
}

static void take_alternatives(regex *p, int32_t rule)
{
    ae_ids row = { 0 };
    for (bool more = true; more && !ae_schema_failed(p->schema);) {
        while (!at_end(p) && *p->at != '|' && !ae_schema_failed(p->schema)) take_item(p, &row);
        ae_rules_add(&p->schema->rules, rule, &row, 0);
        more = *p->at == '|';
        if (more) p->at++;
    }
    ae_ids_free(&row);
}

/* Whether a | stands outside of groups: ^ and $ would then be of one alternative. */
static bool has_outer_choice(const char *pattern)
{
    int depth = 0;
    bool class = false;
    for (const char *c = pattern; *c; c++) {
        if (*c == '\\' && c[1])
            c++;
        else if (class)
            class = *c != ']';
        else if (*c == '[')
            class = true;
        else if (*c == '(')
            depth++;
        else if (*c == ')')
            depth--;
        else if (*c == '|' && depth == 0)
            return true;
    }
    return false;
}

static void any_text(ae_schema *s, ae_ids *row)
{
    size_t from = row->len;
    ae_rules_call(row, ae_schema_character(s));
    ae_rules_repeat(&s->rules, row, from, 0, -1);
}

/* Whether the last sign is a $ that no backslash makes a plain one. */
static bool ends_with_dollar(const char *pattern)
{
    size_t n = strlen(pattern), slashes = 0;
    if (n == 0 || pattern[n - 1] != '$') return false;
    while (slashes < n - 1 && pattern[n - 2 - slashes] == '\\') slashes++;
    return slashes % 2 == 0;
}

void ae_schema_pattern(ae_schema *s, ae_ids *row, const char *pattern)
{
    regex p = { .schema = s, .at = pattern };
    bool begins = pattern[0] == '^', ends = ends_with_dollar(pattern);
    if ((begins || ends) && has_outer_choice(pattern)) {
        bad(&p, "with ^ or $, put alternatives in a group: ^(a|b)$");
        return;
    }
    int32_t rule = ae_rules_new(&s->rules);
    if (begins) p.at++;
    take_alternatives(&p, rule);
    if (!ae_schema_failed(s) && (ends ? strcmp(p.at, "$") != 0 : *p.at != '\0'))
        bad(&p, "a ) has no (, or a $ stands inside");
    /* A pattern without ^ may begin anywhere, without $ end anywhere. */
    if (!begins) any_text(s, row);
    ae_rules_call(row, rule);
    if (!ends) any_text(s, row);
}
