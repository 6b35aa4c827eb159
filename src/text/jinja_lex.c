/* jinja_lex.c -- cuts a template into tokens, with the whitespace rules of trim_blocks and
 * lstrip_blocks. */
#include "text/jinja_ast.h"
#include "text/jinja_chars.h"
#include "text/utf8.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    jinja_tokens *out;
    ae_span source;
    size_t at;
    int line;
    bool line_starting; /* the last tag ended with a line break */
    bool plain;         /* neither trim_blocks nor lstrip_blocks */
    ae_arena *arena;
    aerie_error *err;
} lexer;

static aerie_status lex_fail(lexer *l, const char *what)
{
    return aerie_fail(l->err, AERIE_BAD_TEXT, "template line %d: %s", l->line, what);
}

static aerie_status add(lexer *l, jinja_token token)
{
    jinja_tokens *t = l->out;
    if (t->n == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 256;
        jinja_token *grown = ae_realloc(t->items, t->cap, cap, sizeof *grown);
        if (!grown)
            return aerie_fail(l->err, AERIE_NO_MEMORY, "no room for the tokens of a template");
        t->items = grown;
        t->cap = cap;
    }
    token.line = l->line;
    t->items[t->n++] = token;
    return AERIE_OK;
}

static aerie_status add_text(lexer *l, jinja_token_kind kind, ae_span text)
{
    return add(l, (jinja_token){ .kind = kind, .text = text });
}

static char peek(const lexer *l, size_t ahead)
{
    return l->source.len - l->at > ahead ? l->source.data[l->at + ahead] : '\0';
}

static bool looking_at(const lexer *l, size_t at, const char *text)
{
    size_t n = strlen(text);
    return l->source.len >= at && l->source.len - at >= n &&
           memcmp(l->source.data + at, text, n) == 0;
}

static size_t skip_space(const lexer *l, size_t at)
{
    return at + jinja_space_prefix((ae_span){ l->source.data + at, l->source.len - at });
}

static void move_to(lexer *l, size_t at)
{
    for (size_t i = l->at; i < at; i++) l->line += l->source.data[i] == '\n';
    l->at = at;
}

/* The place of the next "{%", "{{" or "{#"; the end when there is none. */
static size_t find_tag(const lexer *l)
{
    for (size_t i = l->at; i + 1 < l->source.len; i++) {
        char next = l->source.data[i + 1];
        if (l->source.data[i] == '{' && (next == '%' || next == '{' || next == '#')) return i;
    }
    return l->source.len;
}

/* The text before a tag, less what the tag's sign or lstrip_blocks takes away. */
static ae_span strip_before(const lexer *l, ae_span text, char sign, bool is_variable)
{
    if (sign == '-') return jinja_strip(text, false, true);
    if (sign == '+' || is_variable || l->plain) return text;
    size_t line_start = text.len;
    while (line_start > 0 && text.data[line_start - 1] != '\n') line_start--;
    if (line_start == 0 && !l->line_starting) return text;
    ae_span indent = { text.data + line_start, text.len - line_start };
    if (jinja_space_prefix(indent) == indent.len) text.len = line_start;
    return text;
}

/* Moves past the end of a tag that starts at `at`: after '-' all white space goes, otherwise one
 * line break when `trims`. */
static void close_tag(lexer *l, size_t at, size_t length, char sign, bool trims)
{
    size_t end = at + length;
    if (sign == '-')
        end = skip_space(l, end);
    else if (trims && !l->plain && sign != '+' && end < l->source.len &&
             l->source.data[end] == '\n')
        end++;
    move_to(l, end);
    l->line_starting = end > 0 && l->source.data[end - 1] == '\n';
}

static aerie_status lex_comment(lexer *l)
{
    for (size_t i = l->at; i + 1 < l->source.len; i++) {
        if (!looking_at(l, i, "#}")) continue;
        char sign = i > l->at ? l->source.data[i - 1] : '\0';
        close_tag(l, i, 2, sign, true);
        return AERIE_OK;
    }
    return lex_fail(l, "a comment has no end; close it with #}");
}

/* "{% word %}" at `at`: the place after its "%}" and the sign before it; 0: it is not there. */
static size_t match_word_tag(const lexer *l, size_t at, const char *word, char *sign)
{
    if (!looking_at(l, at, "{%")) return 0;
    at += 2;
    if (at < l->source.len && (l->source.data[at] == '-' || l->source.data[at] == '+')) at++;
    at = skip_space(l, at);
    if (!looking_at(l, at, word)) return 0;
    at = skip_space(l, at + strlen(word));
    *sign = looking_at(l, at, "-%}") ? '-' : looking_at(l, at, "+%}") ? '+' : '\0';
    at += *sign != '\0';
    return looking_at(l, at, "%}") ? at + 2 : 0;
}

/* The cursor stands after "{% raw %}". */
static aerie_status lex_raw(lexer *l)
{
    for (size_t i = l->at; i + 1 < l->source.len; i++) {
        char sign = '\0';
        size_t end = match_word_tag(l, i, "endraw", &sign);
        if (!end) continue;
        char open_sign = l->source.data[i + 2];
        ae_span text = { l->source.data + l->at, i - l->at };
        text =
            strip_before(l, text, open_sign == '-' || open_sign == '+' ? open_sign : '\0', false);
        aerie_status status = text.len ? add_text(l, JINJA_T_DATA, text) : AERIE_OK;
        close_tag(l, end, 0, sign, true);
        return status;
    }
    return lex_fail(l, "{% raw %} has no end; close it with {% endraw %}");
}

/* Digits with single underscores between them. */
static size_t skip_digits(const lexer *l, size_t at)
{
    while (at < l->source.len) {
        char c = l->source.data[at];
        bool digit = c >= '0' && c <= '9';
        bool joint = c == '_' && at + 1 < l->source.len && l->source.data[at + 1] >= '0' &&
                     l->source.data[at + 1] <= '9';
        if (!digit && !joint) break;
        at++;
    }
    return at;
}

static bool digit_at(const lexer *l, size_t at)
{
    return at < l->source.len && l->source.data[at] >= '0' && l->source.data[at] <= '9';
}

/* Where the exponent that starts at `at` ends; `at` itself when none does. */
static size_t skip_exponent(const lexer *l, size_t at)
{
    if (at >= l->source.len || (l->source.data[at] | 32) != 'e') return at;
    size_t digits = at + 1;
    if (digits < l->source.len && (l->source.data[digits] == '+' || l->source.data[digits] == '-'))
        digits++;
    return digit_at(l, digits) ? skip_digits(l, digits) : at;
}

/* The mantissa is read as a whole number and the point goes into the exponent, since strtod()
 * expects the point of the host's locale. */
static aerie_status add_float(lexer *l, size_t end)
{
    char plain[128];
    size_t n = 0;
    long after_point = 0, exponent = 0;
    bool point = false;
    for (size_t i = l->at; i < end; i++) {
        char c = l->source.data[i];
        if ((c | 32) == 'e') {
            exponent = strtol(l->source.data + i + 1, NULL, 10);
            break;
        }
        if (c == '.') point = true;
        if (c == '.' || c == '_') continue;
        if (n > 64) return lex_fail(l, "a number has too many digits");
        plain[n++] = c;
        after_point += point;
    }
    if (exponent > 9999) exponent = 9999;
    if (exponent < -9999) exponent = -9999;
    snprintf(plain + n, sizeof plain - n, "e%ld", exponent - after_point);
    l->at = end;
    return add(l, (jinja_token){ .kind = JINJA_T_FLOAT, .real = strtod(plain, NULL) });
}

static int base_of(const lexer *l)
{
    if (peek(l, 0) != '0') return 10;
    char mark = (char)(peek(l, 1) | 32);
    return mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 10;
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

static aerie_status add_int(lexer *l)
{
    int base = base_of(l);
    int64_t value = 0;
    if (base != 10) l->at += 2;
    for (; l->at < l->source.len; l->at++) {
        char c = l->source.data[l->at];
        if (c == '_') continue;
        int digit = digit_value(c);
        if (digit >= base) break;
        if (__builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return lex_fail(l, "a whole number is larger than 9223372036854775807");
    }
    return add(l, (jinja_token){ .kind = JINJA_T_INT, .integer = value });
}

static aerie_status lex_number(lexer *l)
{
    /* "x.0.5" is two subscripts, not a subscript by a half. */
    bool after_dot = l->at > 0 && l->source.data[l->at - 1] == '.';
    if (base_of(l) == 10 && !after_dot) {
        size_t end = skip_digits(l, l->at);
        bool is_float = false;
        if (end < l->source.len && l->source.data[end] == '.' && digit_at(l, end + 1)) {
            end = skip_digits(l, end + 1);
            is_float = true;
        }
        size_t exponent_end = skip_exponent(l, end);
        if (is_float || exponent_end > end) return add_float(l, exponent_end);
    }
    return add_int(l);
}

/* The code after \x, \u, \U (n hexadecimal digits); -1: not that many digits. */
static int32_t hex_code(ae_span text, size_t at, size_t n)
{
    int32_t code = 0;
    if (text.len - at < n) return -1;
    for (size_t i = 0; i < n; i++) {
        int digit = digit_value(text.data[at + i]);
        if (digit > 15 || code > 0xfffffff / 2) return -1;
        code = code * 16 + digit;
    }
    return code;
}

static size_t octal_code(ae_span text, size_t at, int32_t *code)
{
    size_t n = 0;
    *code = 0;
    while (n < 3 && at + n < text.len && text.data[at + n] >= '0' && text.data[at + n] <= '7')
        *code = *code * 8 + (text.data[at + n++] - '0');
    return n;
}

/* One escape at text[at] (after the backslash), as Python reads it; returns the bytes used, 0
 * when the digits are wrong. An unknown escape keeps its backslash. */
static size_t unescape_one(ae_span text, size_t at, char *out, size_t *n)
{
    static const char from[] = "nrtabfv\\'\"", to[] = "\n\r\t\a\b\f\v\\'\"";
    char c = text.data[at];
    const char *plain = c ? strchr(from, c) : NULL;
    if (plain) {
        out[(*n)++] = to[plain - from];
        return 1;
    }
    if (c == '\n') return 1;
    int32_t code;
    size_t used = octal_code(text, at, &code);
    size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (digits) {
        code = hex_code(text, at + 1, digits);
        used = digits + 1;
        if (code < 0) return 0;
    }
    if (!used) {
        out[(*n)++] = '\\';
        out[(*n)++] = c;
        return 1;
    }
    *n += ae_utf8_put(code, out + *n);
    return used;
}

/* Resolving never lengthens: every escape is at least as long as its UTF-8 (\777 is 2 bytes). */
static aerie_status unescape(lexer *l, ae_span *text)
{
    if (!memchr(text->data, '\\', text->len)) return AERIE_OK;
    char *out = ae_arena_take_raw(l->arena, text->len + 4, 1);
    size_t n = 0;
    if (!out) return aerie_fail(l->err, AERIE_NO_MEMORY, "no room for a template's text");
    for (size_t i = 0; i < text->len;) {
        if (text->data[i] != '\\' || i + 1 >= text->len) {
            out[n++] = text->data[i++];
            continue;
        }
        size_t used = unescape_one(*text, i + 1, out, &n);
        if (!used) return lex_fail(l, "an escape such as \\x or \\u lacks its hexadecimal digits");
        i += 1 + used;
    }
    *text = (ae_span){ out, n };
    return AERIE_OK;
}

static aerie_status lex_string(lexer *l)
{
    char quote = peek(l, 0);
    size_t end = l->at + 1;
    while (end < l->source.len && l->source.data[end] != quote)
        end += l->source.data[end] == '\\' ? 2 : 1;
    if (end >= l->source.len) return lex_fail(l, "a string has no closing quote");
    ae_span text = { l->source.data + l->at + 1, end - l->at - 1 };
    aerie_status status = unescape(l, &text);
    if (!status) status = add_text(l, JINJA_T_STRING, text);
    move_to(l, end + 1);
    return status;
}

static bool is_name_char(char c)
{
    return c == '_' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
           (unsigned char)c >= 0x80;
}

static aerie_status lex_name(lexer *l)
{
    size_t start = l->at;
    while (l->at < l->source.len && is_name_char(l->source.data[l->at])) l->at++;
    return add_text(l, JINJA_T_NAME, (ae_span){ l->source.data + start, l->at - start });
}

static aerie_status lex_operator(lexer *l, int *open)
{
    static const char *const pairs[] = { "//", "**", "==", "!=", ">=", "<=" };
    char c = peek(l, 0);
    size_t length = 1;
    for (size_t i = 0; i < AE_COUNT(pairs); i++)
        if (looking_at(l, l->at, pairs[i])) length = 2;
    if (length == 1 && (c == '\0' || !strchr("+-/*%~[](){}><=.:|,;", c)))
        return aerie_fail(l->err, AERIE_BAD_TEXT, "template line %d: unexpected character '%c'",
                          l->line, c >= ' ' && c < 127 ? c : '?');
    if (strchr("([{", c)) ++*open;
    if (strchr(")]}", c) && --*open < 0)
        return lex_fail(l, "a bracket closes that was never opened");
    ae_span text = { l->source.data + l->at, length };
    l->at += length;
    return add_text(l, JINJA_T_OP, text);
}

static aerie_status lex_one(lexer *l, int *open)
{
    char c = peek(l, 0);
    if (c >= '0' && c <= '9') return lex_number(l);
    if (is_name_char(c)) return lex_name(l);
    if (c == '"' || c == '\'') return lex_string(l);
    return lex_operator(l, open);
}

/* What stands between "{%" and "%}", or "{{" and "}}"; the cursor is after the opening. */
static aerie_status lex_inside(lexer *l, bool is_variable)
{
    const char *end = is_variable ? "}}" : "%}";
    int open = 0; /* inside brackets "}}" closes two dicts, not the tag */
    for (;;) {
        move_to(l, skip_space(l, l->at));
        if (l->at >= l->source.len) return lex_fail(l, "a tag has no end");
        char sign = peek(l, 0);
        bool signs = sign == '-' || (sign == '+' && !is_variable);
        if (open == 0 && looking_at(l, l->at + signs, end)) {
            aerie_status status =
                add_text(l, is_variable ? JINJA_T_CLOSE_VAR : JINJA_T_CLOSE_BLOCK, (ae_span){ 0 });
            close_tag(l, l->at + signs, 2, signs ? sign : '\0', !is_variable);
            return status;
        }
        aerie_status status = lex_one(l, &open);
        if (status) return status;
    }
}

static aerie_status lex_tag(lexer *l, char kind, char sign)
{
    char raw_sign = '\0';
    size_t raw_end = match_word_tag(l, l->at, "raw", &raw_sign);
    if (raw_end && raw_sign != '+') {
        close_tag(l, raw_end, 0, raw_sign, false);
        return lex_raw(l);
    }
    move_to(l, l->at + 2 + (sign != '\0'));
    if (kind == '#') return lex_comment(l);
    bool is_variable = kind == '{';
    aerie_status status =
        add_text(l, is_variable ? JINJA_T_OPEN_VAR : JINJA_T_OPEN_BLOCK, (ae_span){ 0 });
    return status ? status : lex_inside(l, is_variable);
}

static aerie_status lex_next(lexer *l)
{
    size_t tag = find_tag(l);
    ae_span text = { l->source.data + l->at, tag - l->at };
    char kind = '\0', sign = '\0';
    aerie_status status = AERIE_OK;
    if (tag < l->source.len) {
        kind = l->source.data[tag + 1];
        if (tag + 2 < l->source.len) sign = l->source.data[tag + 2];
        if (sign != '-' && sign != '+') sign = '\0';
        text = strip_before(l, text, sign, kind == '{');
    }
    if (text.len) status = add_text(l, JINJA_T_DATA, text);
    move_to(l, tag);
    if (!status && kind) status = lex_tag(l, kind, sign);
    return status;
}

aerie_status jinja_lex(jinja_tokens *out, ae_span source, bool plain, ae_arena *arena,
                       aerie_error *err)
{
    lexer l = { .out = out,
                .source = source,
                .line = 1,
                .line_starting = true,
                .plain = plain,
                .arena = arena,
                .err = err };
    aerie_status status = AERIE_OK;
    while (!status && l.at < source.len) status = lex_next(&l);
    return status ? status : add_text(&l, JINJA_T_END, (ae_span){ 0 });
}
