/* gbnf.c -- grammars written by people: GBNF, as llama.cpp's grammars/README.md has it. */
#include "grammar/rules.h"

#include <string.h>

enum { DEEPEST = 64, MOST_RULES = 8192 };

typedef struct {
    ae_rules rules;
    const char *at, *end;
    int line;
    ae_span *names; /* [n_names]: the rules that have one; borrowed from the text */
    int32_t *ids;   /* their rules */
    bool *defined;
    size_t n_names, cap_names;
    int depth;
} gbnf;

static void bad(gbnf *p, const char *what)
{
    ae_rules_fail(&p->rules, AERIE_BAD_TEXT, "the grammar's line %d: %s", p->line, what);
}

static bool failed(const gbnf *p)
{
    return p->rules.status != AERIE_OK;
}

static char peek(const gbnf *p)
{
    return p->at < p->end ? *p->at : '\0';
}

/* Blanks and comments; line ends too where `lines`. */
static void skip(gbnf *p, bool lines)
{
    while (p->at < p->end) {
        char c = *p->at;
        if (c == '#')
            while (p->at < p->end && *p->at != '\n' && *p->at != '\r') p->at++;
        else if (c == ' ' || c == '\t')
            p->at++;
        else if (lines && (c == '\n' || c == '\r')) {
            p->line += c == '\n';
            p->at++;
        } else
            break;
    }
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

static ae_span take_word(gbnf *p)
{
    const char *begin = p->at;
    while (p->at < p->end && is_word(*p->at)) p->at++;
    if (p->at == begin) bad(p, "the name of a rule is expected here");
    return (ae_span){ begin, (size_t)(p->at - begin) };
}

static bool more_names(gbnf *p)
{
    size_t cap = p->cap_names ? 2 * p->cap_names : 32;
    if (p->n_names < p->cap_names) return true;
    ae_span *names = ae_realloc(p->names, p->cap_names, cap, sizeof *names);
    if (names) p->names = names;
    int32_t *ids = ae_realloc(p->ids, p->cap_names, cap, sizeof *ids);
    if (ids) p->ids = ids;
    bool *defined = ae_realloc(p->defined, p->cap_names, cap, sizeof *defined);
    if (defined) p->defined = defined;
    if (!names || !ids || !defined) return false;
    p->cap_names = cap;
    return true;
}

/* The index of a name; a new one when it was not met before. */
static size_t name_index(gbnf *p, ae_span name)
{
    for (size_t i = 0; i < p->n_names; i++)
        if (ae_span_equal(p->names[i], name)) return i;
    if (p->n_names == MOST_RULES || !more_names(p)) {
        ae_rules_fail(&p->rules, p->n_names == MOST_RULES ? AERIE_BAD_TEXT : AERIE_NO_MEMORY,
                      "no room for the grammar's rules");
        return 0;
    }
    p->names[p->n_names] = name;
    p->ids[p->n_names] = ae_rules_new(&p->rules);
    p->defined[p->n_names] = false;
    return p->n_names++;
}

static uint32_t take_hex(gbnf *p, int digits)
{
    uint32_t value = 0;
    for (int i = 0; i < digits; i++) {
        char c = peek(p);
        int d = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
        if (d < 0) {
            bad(p, "an escape wants more hexadecimal digits");
            return 0;
        }
        value = value << 4 | (uint32_t)d;
        p->at++;
    }
    if (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000))
        bad(p, "there is no such character");
    return value;
}

static uint32_t take_escape(gbnf *p)
{
    char c = peek(p);
    if (p->at < p->end) p->at++;
    switch (c) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'x':
        return take_hex(p, 2);
    case 'u':
        return take_hex(p, 4);
    case 'U':
        return take_hex(p, 8);
    case '\\':
    case '"':
    case '[':
    case ']':
    case '-':
    case '^':
    case '/':
        return (unsigned char)c;
    default:
        bad(p, "an escape is \\n, \\r, \\t, \\\\, \\\", \\[, \\], \\x, \\u or \\U");
        return 0;
    }
}

/* One character of a literal or class, with escapes. */
static uint32_t take_char(gbnf *p)
{
    ae_span rest = { p->at, (size_t)(p->end - p->at) };
    if (peek(p) == '\\') {
        p->at++;
        return take_escape(p);
    }
    size_t n = 0;
    int32_t c = rest.len ? ae_utf8_next(rest, &n) : -1;
    if (c < 0 || c == '\n' || c == '\r') {
        bad(p, "a literal or class is not closed, or is not UTF-8");
        return 0;
    }
    p->at += n;
    return (uint32_t)c;
}

static void take_literal(gbnf *p, ae_ids *row)
{
    p->at++;
    while (!failed(p) && peek(p) != '"') {
        uint32_t c = take_char(p);
        const uint32_t range[1][2] = { { c, c } };
        if (!failed(p)) ae_rules_class(&p->rules, row, range, 1, false);
    }
    p->at++;
}

static void take_class(gbnf *p, ae_ids *row)
{
    enum { MOST_RANGES = 256 };
    uint32_t ranges[MOST_RANGES][2];
    size_t n = 0;
    p->at++;
    bool negated = peek(p) == '^';
    if (negated) p->at++;
    while (!failed(p) && peek(p) != ']') {
        if (n == MOST_RANGES) {
            bad(p, "a class has more than 256 ranges");
            return;
        }
        uint32_t first = take_char(p), last = first;
        if (peek(p) == '-' && p->at + 1 < p->end && p->at[1] != ']') {
            p->at++;
            last = take_char(p);
        }
        if (last < first) bad(p, "a range of a class ends before it begins");
        ranges[n][0] = first;
        ranges[n++][1] = last;
    }
    if (failed(p)) return;
    p->at++;
    ae_rules_class(&p->rules, row, (const uint32_t(*)[2])ranges, n, negated);
}

static int64_t take_number(gbnf *p)
{
    int64_t n = 0;
    if (peek(p) < '0' || peek(p) > '9') bad(p, "a number is expected in { }");
    while (peek(p) >= '0' && peek(p) <= '9' && n < 1000000000) n = n * 10 + (*p->at++ - '0');
    return n;
}

/* What may follow an item: * + ? {m,n}. */
static void take_repeats(gbnf *p, ae_ids *row, size_t from)
{
    for (;;) {
        int64_t least = 0, most = -1;
        char c = peek(p);
        if (failed(p) || !c || !strchr("*+?{", c)) return;
        p->at++;
        if (c == '+') least = 1;
        if (c == '?') most = 1;
        if (c == '{') {
            skip(p, false);
            least = most = take_number(p);
            skip(p, false);
            if (peek(p) == ',') {
                p->at++;
                skip(p, false);
                most = peek(p) == '}' ? -1 : take_number(p);
                skip(p, false);
            }
            if (peek(p) != '}') bad(p, "a repetition ends with }");
            p->at++;
        }
        if (!failed(p)) ae_rules_repeat(&p->rules, row, from, least, most);
        skip(p, p->depth > 0);
    }
}

static void take_alternatives(gbnf *p, int32_t rule);

static void take_group(gbnf *p, ae_ids *row)
{
    int32_t rule = ae_rules_new(&p->rules);
    p->at++;
    if (++p->depth > DEEPEST) {
        bad(p, "groups are nested deeper than 64");
        return;
    }
    skip(p, true);
    take_alternatives(p, rule);
    p->depth--;
    if (peek(p) != ')' && !failed(p)) bad(p, "a group is not closed");
    p->at++;
    ae_rules_call(row, rule);
}

/* False: no item is here. */
static bool take_item(gbnf *p, ae_ids *row)
{
    static const uint32_t any[1][2] = { { 0, 0x10FFFF } };
    size_t from = row->len;
    char c = peek(p);
    if (c == '"')
        take_literal(p, row);
    else if (c == '[')
        take_class(p, row);
    else if (c == '(')
        take_group(p, row);
    else if (c == '.') {
        p->at++;
        ae_rules_class(&p->rules, row, any, 1, false);
    } else if (is_word(c)) {
        size_t i = name_index(p, take_word(p));
        if (!failed(p)) ae_rules_call(row, p->ids[i]);
    } else
        return false;
    skip(p, p->depth > 0);
    take_repeats(p, row, from);
    return true;
}

/* Up to the line's end, or in a group to its ). */
static void take_alternatives(gbnf *p, int32_t rule)
{
    ae_ids row = { 0 };
    for (bool more = true; more && !failed(p);) {
        while (!failed(p) && take_item(p, &row)) continue;
        ae_rules_add(&p->rules, rule, &row, 0);
        more = peek(p) == '|';
        if (more) {
            p->at++;
            skip(p, true);
        }
    }
    ae_ids_free(&row);
}

static void take_rule(gbnf *p)
{
    size_t i = name_index(p, take_word(p));
    skip(p, false);
    if (failed(p)) return;
    if (p->end - p->at < 3 || memcmp(p->at, "::=", 3) != 0) {
        bad(p, "::= is expected after a rule's name");
        return;
    }
    p->at += 3;
    if (p->defined[i]) bad(p, "this rule is defined a second time");
    p->defined[i] = true;
    skip(p, true);
    take_alternatives(p, p->ids[i]);
    if (!failed(p) && p->at < p->end && *p->at != '\n' && *p->at != '\r')
        bad(p, "this is no part of a rule");
    skip(p, true);
}

/* The root's rule; every name must be defined. */
static int32_t find_root(gbnf *p)
{
    int32_t root = -1;
    for (size_t i = 0; i < p->n_names && !failed(p); i++) {
        if (!p->defined[i])
            ae_rules_fail(&p->rules, AERIE_BAD_TEXT, "the grammar's rule '%.*s' is not defined",
                          (int)(p->names[i].len < 100 ? p->names[i].len : 100), p->names[i].data);
        if (ae_span_is(p->names[i], "root")) root = p->ids[i];
    }
    if (root < 0)
        ae_rules_fail(&p->rules, AERIE_BAD_TEXT, "the grammar has no rule 'root' to begin with");
    return root;
}

aerie_status ae_grammar_parse(ae_grammar **out, ae_span text, aerie_error *err)
{
    gbnf p = { .at = text.data, .end = text.data + text.len, .line = 1 };
    *out = NULL;
    ae_rules_begin(&p.rules, err);
    skip(&p, true);
    while (!failed(&p) && p.at < p.end) take_rule(&p);
    int32_t root = find_root(&p);
    aerie_status status = ae_rules_finish(&p.rules, root, out);
    ae_free(p.names);
    ae_free(p.ids);
    ae_free(p.defined);
    return status;
}
