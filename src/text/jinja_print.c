/* jinja_print.c -- values as Python's str() and repr() show them. */
#include "text/jinja.h"
#include "text/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The fewest significant digits that read back as `f`, and the decimal exponent of the first. */
static int shortest_digits(double f, char digits[20])
{
    char text[40];
    for (int precision = 1; precision <= 17; precision++) {
        snprintf(text, sizeof text, "%.*e", precision - 1, f);
        if (strtod(text, NULL) == f) break;
    }
    size_t n = 0;
    const char *at = text;
    for (; *at && *at != 'e'; at++)
        if (*at >= '0' && *at <= '9') digits[n++] = *at;
    while (n > 1 && digits[n - 1] == '0') n--;
    digits[n] = '\0';
    return *at ? atoi(at + 1) : 0;
}

/* repr() of a float: an exponent below 1e-4 and from 1e16 on, otherwise a plain number. */
void jinja_float_text(double f, char out[40])
{
    char digits[20];
    if (isnan(f) || isinf(f)) {
        snprintf(out, 40, "%s", isnan(f) ? "nan" : f < 0 ? "-inf" : "inf");
        return;
    }
    const char *sign = signbit(f) ? "-" : "";
    int exponent = shortest_digits(fabs(f), digits);
    int n = (int)strlen(digits);
    if (exponent < -4 || exponent >= 16)
        snprintf(out, 40, "%s%c%s%s%s%02d", sign, digits[0], n > 1 ? "." : "", digits + 1,
                 exponent < 0 ? "e-" : "e+", abs(exponent));
    else if (exponent < 0)
        snprintf(out, 40, "%s0.%.*s%s", sign, -exponent - 1, "0000", digits);
    else if (n <= exponent + 1)
        snprintf(out, 40, "%s%s%.*s.0", sign, digits, exponent + 1 - n, "0000000000000000");
    else
        snprintf(out, 40, "%s%.*s.%s", sign, exponent + 1, digits, digits + exponent + 1);
}

static void repr_code(ae_bytes *out, int32_t code, char quote, ae_span raw)
{
    static const char from[] = "\n\r\t\\", to[] = "nrt\\";
    const char *plain = code > 0 && code < 128 ? strchr(from, code) : NULL;
    if (plain)
        ae_bytes_printf(out, "\\%c", to[plain - from]);
    else if (code == quote)
        ae_bytes_printf(out, "\\%c", quote);
    else if (code >= 0 && jinja_is_printable(code))
        ae_bytes_add(out, raw.data, raw.len);
    else
        ae_bytes_printf(out,
                        code < 0x100     ? "\\x%02x"
                        : code < 0x10000 ? "\\u%04x"
                                         : "\\U%08x",
                        (unsigned)code & 0xffffffffu);
}

static void repr_text(ae_bytes *out, ae_span text)
{
    bool single = memchr(text.data, '\'', text.len) != NULL;
    bool both = single && memchr(text.data, '"', text.len) != NULL;
    char quote = single && !both ? '"' : '\'';
    ae_bytes_add_char(out, quote);
    for (size_t at = 0; at < text.len;) {
        size_t start = at;
        int32_t code = ae_utf8_next(text, &at);
        if (code < 0) code = (unsigned char)text.data[start];
        repr_code(out, code, quote, (ae_span){ text.data + start, at - start });
    }
    ae_bytes_add_char(out, quote);
}

static bool has_room(jinja *j, ae_bytes *out)
{
    if (out->failed) jinja_fail_memory(j);
    if (out->len > j->max_output) jinja_fail(j, "a text grows past %zu bytes", j->max_output);
    return jinja_spend(j, 1);
}

static void repr_items(jinja *j, ae_bytes *out, const jinja_list *list, const char *ends)
{
    ae_bytes_add_char(out, ends[0]);
    for (size_t i = 0; i < list->n && has_room(j, out); i++) {
        if (i) ae_bytes_add_text(out, ", ");
        jinja_repr(j, out, list->items[i]);
    }
    if (ends[0] == '(' && list->n == 1) ae_bytes_add_char(out, ',');
    ae_bytes_add_char(out, ends[1]);
}

static void repr_pairs(jinja *j, ae_bytes *out, const jinja_dict *dict)
{
    ae_bytes_add_char(out, '{');
    for (size_t i = 0; i < dict->n && has_room(j, out); i++) {
        if (i) ae_bytes_add_text(out, ", ");
        jinja_repr(j, out, dict->pairs[i].key);
        ae_bytes_add_text(out, ": ");
        jinja_repr(j, out, dict->pairs[i].value);
    }
    ae_bytes_add_char(out, '}');
}

static void repr_nested(jinja *j, ae_bytes *out, jinja_value v)
{
    if (!jinja_deeper(j)) return;
    switch (v.kind) {
    case JINJA_LIST:
        repr_items(j, out, v.as.list, "[]");
        break;
    case JINJA_TUPLE:
        repr_items(j, out, v.as.list, "()");
        break;
    case JINJA_VIEW:
        ae_bytes_add_text(out, "dict_items(");
        repr_items(j, out, v.as.list, "[]");
        ae_bytes_add_char(out, ')');
        break;
    case JINJA_SPACE:
        ae_bytes_add_text(out, "<Namespace ");
        repr_pairs(j, out, v.as.dict);
        ae_bytes_add_char(out, '>');
        break;
    default:
        repr_pairs(j, out, v.as.dict);
        break;
    }
    j->depth--;
}

void jinja_repr(jinja *j, ae_bytes *out, jinja_value v)
{
    char number[40];
    switch (v.kind) {
    case JINJA_MISSING:
    case JINJA_UNDEFINED:
        ae_bytes_add_text(out, "Undefined");
        break;
    case JINJA_NONE:
        ae_bytes_add_text(out, "None");
        break;
    case JINJA_BOOL:
        ae_bytes_add_text(out, v.as.integer ? "True" : "False");
        break;
    case JINJA_INT:
        ae_bytes_printf(out, "%lld", (long long)v.as.integer);
        break;
    case JINJA_FLOAT:
        jinja_float_text(v.as.real, number);
        ae_bytes_add_text(out, number);
        break;
    case JINJA_STR:
        repr_text(out, jinja_text_of(v));
        break;
    case JINJA_LIST:
    case JINJA_TUPLE:
    case JINJA_VIEW:
    case JINJA_DICT:
    case JINJA_SPACE:
        repr_nested(j, out, v);
        break;
    default:
        ae_bytes_printf(out, "<%s>", jinja_type_name(v.kind));
        break;
    }
    has_room(j, out);
}

void jinja_print(jinja *j, ae_bytes *out, jinja_value v)
{
    if (v.kind == JINJA_STR)
        ae_bytes_add(out, v.as.text, v.len);
    else if (v.kind != JINJA_UNDEFINED)
        jinja_repr(j, out, v);
}

jinja_value jinja_to_str(jinja *j, jinja_value v)
{
    ae_bytes text = { 0 };
    if (v.kind == JINJA_STR) return v;
    if (v.kind == JINJA_UNDEFINED && j->strict)
        jinja_fail(j, "'%.*s' is undefined", (int)v.len, v.as.text);
    jinja_print(j, &text, v);
    return jinja_str_take(j, &text);
}
