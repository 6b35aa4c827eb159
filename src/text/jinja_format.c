/* jinja_format.c -- "%s" % x, the filter format, and "{}".format(x). */
#include "text/jinja.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    bool left, zero, plus, space, alternate, centered, aligned;
    int width, precision; /* precision -1: none */
    char type;
} spec;

static int read_number(ae_span text, size_t *at)
{
    int n = 0;
    while (*at < text.len && text.data[*at] >= '0' && text.data[*at] <= '9' && n < 100000)
        n = n * 10 + (text.data[(*at)++] - '0');
    return n;
}

/* "%-08.3f" for printf, from what was read; `modifier` is "" or "ll". */
static void printf_format(char out[64], const spec *s, const char *modifier, char type)
{
    char precision[24] = "";
    if (s->precision >= 0) snprintf(precision, sizeof precision, ".%d", s->precision);
    snprintf(out, 64, "%%%s%s%s%s%s%d%s%s%c", s->left ? "-" : "", s->zero ? "0" : "",
             s->plus ? "+" : "", s->space ? " " : "", s->alternate ? "#" : "", s->width, precision,
             modifier, type);
    /* A width of 0 would read as the flag 0. */
    if (s->width == 0)
        snprintf(out, 64, "%%%s%s%s%s%s%c", s->plus ? "+" : "", s->space ? " " : "",
                 s->alternate ? "#" : "", precision, modifier, type);
}

static void put_padded(ae_bytes *out, const spec *s, ae_span text)
{
    size_t n = jinja_char_count(text),
           total = s->width > 0 && (size_t)s->width > n ? (size_t)s->width - n : 0;
    size_t before = s->centered ? total / 2 : s->left ? 0 : total;
    for (size_t i = 0; i < before; i++) ae_bytes_add_char(out, ' ');
    ae_bytes_add(out, text.data, text.len);
    for (size_t i = before; i < total; i++) ae_bytes_add_char(out, ' ');
}

static void put_text(jinja *j, ae_bytes *out, const spec *s, jinja_value v, bool repr)
{
    ae_bytes text = { 0 };
    if (repr)
        jinja_repr(j, &text, v);
    else
        jinja_print(j, &text, v);
    ae_span shown = ae_span_of(&text);
    if (s->precision >= 0) shown.len = jinja_char_offset(shown, (size_t)s->precision);
    put_padded(out, s, shown);
    ae_bytes_free(&text);
}

static void put_number(jinja *j, ae_bytes *out, const spec *s, jinja_value v)
{
    char format[64], text[512];
    bool whole = strchr("diuxXoc", s->type) != NULL;
    if (!jinja_is_number(v)) {
        jinja_fail(j, "%%%c format: a real number is required, not %s", s->type,
                   jinja_type_name(v.kind));
        return;
    }
    if (s->precision > 60 || s->width > 300) {
        jinja_fail(j, "a number's width or precision is too large");
        return;
    }
    printf_format(format, s, whole ? "ll" : "", s->type == 'u' ? 'd' : s->type);
    /* The formats are made above from checked parts. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    if (whole)
        snprintf(text, sizeof text, format,
                 v.kind == JINJA_FLOAT ? (long long)v.as.real : (long long)v.as.integer);
    else
        snprintf(text, sizeof text, format, jinja_real(v));
#pragma GCC diagnostic pop
    ae_bytes_add_text(out, text);
}

static void put_char(jinja *j, ae_bytes *out, const spec *s, jinja_value v)
{
    if (v.kind == JINJA_STR && jinja_char_count(jinja_text_of(v)) == 1)
        put_padded(out, s, jinja_text_of(v));
    else
        jinja_fail(j, "%%c requires one character");
}

static size_t read_percent_spec(ae_span text, size_t at, spec *s)
{
    *s = (spec){ .precision = -1 };
    for (; at < text.len; at++) {
        char c = text.data[at];
        if (c == '-')
            s->left = true;
        else if (c == '0')
            s->zero = true;
        else if (c == '+')
            s->plus = true;
        else if (c == ' ')
            s->space = true;
        else if (c == '#')
            s->alternate = true;
        else
            break;
    }
    s->width = read_number(text, &at);
    if (at < text.len && text.data[at] == '.') {
        at++;
        s->precision = read_number(text, &at);
    }
    s->type = at < text.len ? text.data[at++] : '\0';
    return at;
}

static void put_percent(jinja *j, ae_bytes *out, const spec *s, jinja_value v)
{
    if (s->type == 's' || s->type == 'r')
        put_text(j, out, s, v, s->type == 'r');
    else if (s->type == 'c')
        put_char(j, out, s, v);
    else if (s->type && strchr("diuxXofFeEgG", s->type))
        put_number(j, out, s, v);
    else
        jinja_fail(j, "unsupported format character");
}

/* "%(name)s": the value of that name; the cursor moves past the brackets. */
static bool take_name(jinja *j, ae_span format, size_t *at, jinja_value values, jinja_value *out)
{
    if (*at >= format.len || format.data[*at] != '(') return false;
    size_t end = jinja_find_text(format, (ae_span){ ")", 1 }, *at);
    if (end == SIZE_MAX || values.kind != JINJA_DICT) {
        jinja_fail(j, "format requires a mapping");
        return true;
    }
    ae_span name = { format.data + *at + 1, end - *at - 1 };
    const jinja_value *found = jinja_dict_text(j, values.as.dict, name);
    if (found)
        *out = *found;
    else
        jinja_fail(j, "format: no value named '%.*s'", name.len < 60 ? (int)name.len : 60,
                   name.data);
    *at = end + 1;
    return true;
}

jinja_value jinja_percent(jinja *j, ae_span format, jinja_value values)
{
    ae_bytes out = { 0 };
    const jinja_value *items = values.kind == JINJA_TUPLE ? values.as.list->items : &values;
    size_t n = values.kind == JINJA_TUPLE ? values.as.list->n : 1, next = 0;
    for (size_t at = 0; at < format.len && jinja_spend(j, 1) && out.len <= j->max_output;) {
        if (format.data[at] != '%') {
            ae_bytes_add_char(&out, format.data[at++]);
            continue;
        }
        spec s;
        jinja_value v = { 0 };
        size_t start = ++at;
        bool named = take_name(j, format, &at, values, &v);
        at = read_percent_spec(format, at, &s);
        if (s.type == '%' && at == start + 1) {
            ae_bytes_add_char(&out, '%');
            continue;
        }
        if (named)
            next = n;
        else if (next < n)
            v = items[next++];
        else
            jinja_fail(j, "not enough arguments for format string");
        if (!j->status) put_percent(j, &out, &s, v);
    }
    if (!j->status && next < n && values.kind != JINJA_DICT)
        jinja_fail(j, "not all arguments converted during string formatting");
    return jinja_str_take(j, &out);
}

/* The filter: arguments by place, or all by name. */
jinja_value jinja_filter_format(jinja *j, jinja_value self, const jinja_args *args)
{
    jinja_value text = jinja_to_str(j, self);
    jinja_value values =
        args->n_named ? jinja_dict_new(j, JINJA_DICT) : jinja_list_new(j, JINJA_TUPLE);
    for (size_t i = 0; i < args->n_named && !j->status; i++)
        jinja_dict_add(j, values.as.dict, jinja_str(j, args->named[i].name), args->named[i].value);
    for (size_t i = 0; i < args->n && !args->n_named && !j->status; i++)
        jinja_list_add(j, values, args->pos[i]);
    return j->status ? text : jinja_percent(j, jinja_text_of(text), values);
}

static bool read_brace_spec(ae_span text, spec *s)
{
    size_t at = 0;
    *s = (spec){ .precision = -1 };
    if (at < text.len && text.data[at] == ' ' && text.len > 1 && strchr("<>^", text.data[1])) at++;
    s->aligned = at < text.len && strchr("<>^", text.data[at]);
    if (s->aligned) {
        s->left = text.data[at] == '<';
        s->centered = text.data[at++] == '^';
    }
    if (at < text.len && text.data[at] == '+') s->plus = true, at++;
    if (at < text.len && text.data[at] == '0') s->zero = true, at++;
    s->width = read_number(text, &at);
    if (at < text.len && text.data[at] == '.') {
        at++;
        s->precision = read_number(text, &at);
    }
    if (at < text.len) s->type = text.data[at++];
    return at == text.len;
}

static void put_brace(jinja *j, ae_bytes *out, jinja_value v, ae_span spec_text)
{
    spec s;
    if (!read_brace_spec(spec_text, &s)) {
        jinja_fail(j, "format: '%.*s' is not supported",
                   spec_text.len < 60 ? (int)spec_text.len : 60, spec_text.data);
        return;
    }
    bool number = jinja_is_number(v) && v.kind != JINJA_BOOL;
    if (number && !s.type && s.precision < 0 && spec_text.len && v.kind == JINJA_INT) s.type = 'd';
    if (s.type == '\0' || s.type == 's') {
        /* Numbers stand on the right unless asked otherwise, all else on the left. */
        if (!s.aligned) s.left = !number;
        put_text(j, out, &s, v, false);
    } else if (s.type == 'd' && v.kind == JINJA_FLOAT) {
        jinja_fail(j, "Unknown format code 'd' for object of type 'float'");
    } else if (strchr("dxXofFeEgG", s.type)) {
        put_number(j, out, &s, v);
    } else {
        jinja_fail(j, "format: the type '%c' is not supported", s.type > ' ' ? s.type : '?');
    }
}

/* "", "0", "name": which argument a field means. */
static jinja_value field_value(jinja *j, ae_span name, const jinja_args *args, size_t *next)
{
    size_t at = 0, index = *next;
    bool digits = name.len > 0;
    for (size_t i = 0; i < name.len; i++)
        digits = digits && name.data[i] >= '0' && name.data[i] <= '9';
    if (name.len == 0)
        ++*next;
    else if (digits)
        index = (size_t)read_number(name, &at);
    if (name.len == 0 || digits) {
        if (index < args->n) return args->pos[index];
        jinja_fail(j, "Replacement index %zu out of range for positional args tuple", index);
        return jinja_none();
    }
    for (size_t i = 0; i < args->n_named; i++)
        if (ae_span_equal(args->named[i].name, name)) return args->named[i].value;
    jinja_fail(j, "format: no argument named '%.*s'", name.len < 60 ? (int)name.len : 60,
               name.data);
    return jinja_none();
}

jinja_value jinja_format_braces(jinja *j, jinja_value self, const jinja_args *args)
{
    ae_bytes out = { 0 };
    ae_span text = jinja_text_of(self);
    size_t next = 0;
    for (size_t at = 0; at < text.len && jinja_spend(j, 1) && out.len <= j->max_output;) {
        char c = text.data[at];
        bool doubled = at + 1 < text.len && text.data[at + 1] == c;
        if ((c != '{' && c != '}') || doubled) {
            ae_bytes_add_char(&out, c);
            at += c == '{' || c == '}' ? 2 : 1;
            continue;
        }
        size_t end = jinja_find_text(text, (ae_span){ "}", 1 }, at);
        if (c == '}' || end == SIZE_MAX) {
            jinja_fail(j, "Single '%c' encountered in format string", c);
            break;
        }
        ae_span field = { text.data + at + 1, end - at - 1 };
        const char *colon = memchr(field.data, ':', field.len);
        ae_span name = { field.data, colon ? (size_t)(colon - field.data) : field.len };
        ae_span spec_text = { "", 0 };
        if (colon) spec_text = (ae_span){ colon + 1, field.len - name.len - 1 };
        jinja_value v = field_value(j, name, args, &next);
        if (!j->status) put_brace(j, &out, v, spec_text);
        at = end + 1;
    }
    return jinja_str_take(j, &out);
}
