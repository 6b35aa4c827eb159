/* jinja_filters_text.c -- filters that make text. */
#include "text/jinja.h"
#include "text/utf8.h"

#include <string.h>

static ae_span self_text(jinja *j, jinja_value self)
{
    jinja_value text = jinja_to_str(j, self);
    return j->status ? (ae_span){ "", 0 } : jinja_text_of(text);
}

static jinja_value cased(jinja *j, jinja_value self, jinja_case how)
{
    ae_bytes out = { 0 };
    jinja_put_case(&out, self_text(j, self), how);
    return jinja_str_take(j, &out);
}

static jinja_value upper(jinja *j, jinja_value self, const jinja_args *args)
{
    (void)args;
    return cased(j, self, JINJA_UPPER);
}

static jinja_value lower(jinja *j, jinja_value self, const jinja_args *args)
{
    (void)args;
    return cased(j, self, JINJA_LOWER);
}

static jinja_value capitalize(jinja *j, jinja_value self, const jinja_args *args)
{
    (void)args;
    return cased(j, self, JINJA_CAPITAL);
}

static bool splits_words(int32_t code)
{
    return jinja_is_space(code) || code == '-' || code == '(' || code == '{' || code == '[' ||
           code == '<';
}

/* Unlike str.title(), the filter starts a word after white space and opening brackets only. */
static jinja_value title(jinja *j, jinja_value self, const jinja_args *args)
{
    ae_bytes out = { 0 };
    ae_span text = self_text(j, self);
    bool at_start = true;
    (void)args;
    for (size_t at = 0; at < text.len;) {
        size_t start = at;
        int32_t code = ae_utf8_next(text, &at);
        ae_span one = { text.data + start, at - start };
        jinja_put_case(&out, one, at_start ? JINJA_UPPER : JINJA_LOWER);
        at_start = splits_words(code);
    }
    return jinja_str_take(j, &out);
}

static jinja_value trim(jinja *j, jinja_value self, const jinja_args *args)
{
    ae_span text = self_text(j, self);
    if (args->pos[0].kind == JINJA_MISSING || args->pos[0].kind == JINJA_NONE)
        return jinja_str(j, jinja_strip(text, true, true));
    ae_span chars = jinja_arg_text(j, args->pos[0], "");
    if (!jinja_spend(j, text.len)) return jinja_none();
    return jinja_str(j, jinja_strip_chars(text, chars, true, true));
}

static jinja_value string(jinja *j, jinja_value self, const jinja_args *args)
{
    (void)args;
    return jinja_to_str(j, self);
}

/* Through the method of the same name. */
static jinja_value replace(jinja *j, jinja_value self, const jinja_args *args)
{
    jinja_value parts[3] = { jinja_to_str(j, args->pos[0]), jinja_to_str(j, args->pos[1]),
                             args->pos[2] };
    jinja_args given = { .pos = parts, .n = parts[2].kind == JINJA_MISSING ? 2 : 3 };
    self = jinja_to_str(j, self);
    return jinja_invoke(j, jinja_find_callable(jinja_str_methods_find, ae_span_text("replace")),
                        self, &given);
}

static jinja_value escape(jinja *j, jinja_value self, const jinja_args *args)
{
    static const char from[] = "&<>'\"";
    static const char *const to[] = { "&amp;", "&lt;", "&gt;", "&#39;", "&#34;" };
    ae_bytes out = { 0 };
    ae_span text = self_text(j, self);
    (void)args;
    for (size_t i = 0; i < text.len; i++) {
        const char *special = text.data[i] ? strchr(from, text.data[i]) : NULL;
        if (special)
            ae_bytes_add_text(&out, to[special - from]);
        else
            ae_bytes_add_char(&out, text.data[i]);
    }
    return jinja_str_take(j, &out);
}

/* The white space put before lines: a number of spaces, or a text. */
static jinja_value indentation(jinja *j, jinja_value width)
{
    ae_bytes spaces = { 0 };
    if (width.kind == JINJA_STR) return width;
    int64_t n = jinja_arg_int(j, width, 4);
    if (n > 1000) jinja_fail(j, "indent: %lld spaces are too many", (long long)n);
    for (int64_t i = 0; i < n && i < 1000; i++) ae_bytes_add_char(&spaces, ' ');
    return jinja_str_take(j, &spaces);
}

/* indent(width=4, first=False, blank=False) */
static jinja_value indent(jinja *j, jinja_value self, const jinja_args *args)
{
    ae_bytes out = { 0 };
    ae_span text = self_text(j, self);
    ae_span margin = jinja_text_of(indentation(j, args->pos[0]));
    bool first = jinja_arg_bool(args->pos[1], false), blank = jinja_arg_bool(args->pos[2], false);
    if (j->status) return jinja_none();
    for (size_t at = 0; at <= text.len && out.len <= j->max_output;) {
        const char *end = at < text.len ? memchr(text.data + at, '\n', text.len - at) : NULL;
        size_t len = end ? (size_t)(end - text.data) - at : text.len - at;
        if (at ? len || blank : first) ae_bytes_add(&out, margin.data, margin.len);
        ae_bytes_add(&out, text.data + at, len + (end != NULL));
        if (!end) break;
        at += len + 1;
    }
    return jinja_str_take(j, &out);
}

static jinja_value wordcount(jinja *j, jinja_value self, const jinja_args *args)
{
    ae_span text = self_text(j, self);
    int64_t n = 0;
    bool inside = false;
    (void)args;
    for (size_t at = 0; at < text.len;) {
        int32_t code = ae_utf8_next(text, &at);
        bool word = code == '_' || jinja_is_alpha(code) || jinja_is_digit(code);
        n += word && !inside;
        inside = word;
    }
    return jinja_int(n);
}

static jinja_value center(jinja *j, jinja_value self, const jinja_args *args)
{
    jinja_args given = { .pos = args->pos, .n = 1 };
    jinja_value width = jinja_int(80);
    if (args->pos[0].kind == JINJA_MISSING) given.pos = &width;
    return jinja_invoke(j, jinja_find_callable(jinja_str_methods, ae_span_text("center")),
                        jinja_to_str(j, self), &given);
}

const jinja_callable jinja_filters_text[] = {
    { "upper", "", 0, upper },
    { "lower", "", 0, lower },
    { "capitalize", "", 0, capitalize },
    { "title", "", 0, title },
    { "trim", "chars", 0, trim },
    { "string", "", 0, string },
    { "safe", "", 0, string }, /* nothing is escaped on its own here */
    { "replace", "old new count", 2, replace },
    { "escape", "", 0, escape },
    { "e", "", 0, escape },
    { "forceescape", "", 0, escape },
    { "indent", "width first blank", 0, indent },
    { "wordcount", "", 0, wordcount },
    { "center", "width", 0, center },
    { "format", NULL, 0, jinja_filter_format },
    { "tojson", "ensure_ascii indent separators sort_keys", 0, jinja_tojson },
    { 0 },
};
