/* jinja_json.c -- JSON in and out, as json.dumps() of Python writes it. */
#include "text/jinja.h"
#include "text/utf8.h"

#include <math.h>
#include <string.h>

enum { MAX_JSON_DEPTH = 128 };

static jinja_value from_json(jinja *j, json_t *json, int depth);

static jinja_value from_array(jinja *j, json_t *json, int depth)
{
    jinja_value list = jinja_list_new(j, JINJA_LIST);
    for (size_t i = 0; i < json_array_size(json) && !j->status; i++)
        jinja_list_add(j, list, from_json(j, json_array_get(json, i), depth + 1));
    return list;
}

static jinja_value from_object(jinja *j, json_t *json, int depth)
{
    jinja_value dict = jinja_dict_new(j, JINJA_DICT);
    for (void *at = json_object_iter(json); at && !j->status;
         at = json_object_iter_next(json, at)) {
        jinja_value key = jinja_str(j, ae_span_text(json_object_iter_key(at)));
        jinja_dict_add(j, dict.as.dict, key, from_json(j, json_object_iter_value(at), depth + 1));
    }
    return dict;
}

static jinja_value from_json(jinja *j, json_t *json, int depth)
{
    if (depth > MAX_JSON_DEPTH) {
        jinja_fail(j, "the messages or tools are nested more than %d deep", MAX_JSON_DEPTH);
        return jinja_none();
    }
    switch (json ? json_typeof(json) : JSON_NULL) {
    case JSON_OBJECT:
        return from_object(j, json, depth);
    case JSON_ARRAY:
        return from_array(j, json, depth);
    case JSON_STRING:
        return jinja_str(j, (ae_span){ json_string_value(json), json_string_length(json) });
    case JSON_INTEGER:
        return jinja_int(json_integer_value(json));
    case JSON_REAL:
        return jinja_float(json_real_value(json));
    case JSON_TRUE:
        return jinja_bool(true);
    case JSON_FALSE:
        return jinja_bool(false);
    default:
        return jinja_none();
    }
}

jinja_value jinja_from_json(jinja *j, json_t *json)
{
    return from_json(j, json, 0);
}

typedef struct {
    jinja *j;
    ae_bytes out;
    ae_span item_separator, key_separator, indent;
    bool pretty, ascii, sort;
} writer;

static void write_value(writer *w, jinja_value v, int depth);

static void write_escape(writer *w, int32_t code)
{
    if (code >= 0x10000) {
        code -= 0x10000;
        ae_bytes_printf(&w->out, "\\u%04x\\u%04x", 0xd800 + (unsigned)(code >> 10),
                        0xdc00 + (unsigned)(code & 0x3ff));
    } else {
        ae_bytes_printf(&w->out, "\\u%04x", (unsigned)code & 0xffff);
    }
}

static void write_text(writer *w, ae_span text)
{
    static const char from[] = "\"\\\n\r\t\f\b", to[] = "\"\\nrtfb";
    ae_bytes_add_char(&w->out, '"');
    for (size_t at = 0; at < text.len;) {
        size_t start = at;
        int32_t code = ae_utf8_next(text, &at);
        const char *plain = code > 0 && code < 128 ? strchr(from, code) : NULL;
        if (plain)
            ae_bytes_printf(&w->out, "\\%c", to[plain - from]);
        else if ((code >= 0 && code < 32) || (w->ascii && (code < 0 || code > 126)))
            write_escape(w, code < 0 ? 0xfffd : code);
        else
            ae_bytes_add(&w->out, text.data + start, at - start);
    }
    ae_bytes_add_char(&w->out, '"');
}

static void write_real(writer *w, double f)
{
    char text[40];
    jinja_float_text(f, text);
    ae_bytes_add_text(&w->out, isnan(f)   ? "NaN"
                               : isinf(f) ? (f < 0 ? "-Infinity" : "Infinity")
                                          : text);
}

static void new_line(writer *w, int depth)
{
    if (!w->pretty) return;
    ae_bytes_add_char(&w->out, '\n');
    for (int i = 0; i < depth; i++) ae_bytes_add(&w->out, w->indent.data, w->indent.len);
}

static void separate(writer *w, size_t index, int depth)
{
    if (index) ae_bytes_add(&w->out, w->item_separator.data, w->item_separator.len);
    new_line(w, depth);
}

static void write_list(writer *w, const jinja_list *list, int depth)
{
    ae_bytes_add_char(&w->out, '[');
    for (size_t i = 0; i < list->n && !w->j->status; i++) {
        separate(w, i, depth + 1);
        write_value(w, list->items[i], depth + 1);
    }
    if (list->n) new_line(w, depth);
    ae_bytes_add_char(&w->out, ']');
}

/* Numbers, truth values and None become text as keys. */
static void write_key(writer *w, jinja_value key)
{
    if (key.kind == JINJA_STR) {
        write_text(w, jinja_text_of(key));
        return;
    }
    if (!jinja_is_number(key) && key.kind != JINJA_NONE) {
        jinja_fail(w->j, "keys must be str, int, float, bool or None, not %s",
                   jinja_type_name(key.kind));
        return;
    }
    ae_bytes_add_char(&w->out, '"');
    write_value(w, key, 0);
    ae_bytes_add_char(&w->out, '"');
}

/* The places of the pairs in the order to write them. */
static const jinja_pair *ordered_pairs(writer *w, const jinja_dict *dict)
{
    jinja *j = w->j;
    if (!w->sort || dict->n < 2) return dict->pairs;
    jinja_pair *pairs = jinja_take(j, dict->n, sizeof *pairs);
    jinja_value *places = jinja_take(j, dict->n, sizeof *places);
    jinja_value *keys = jinja_take(j, dict->n, sizeof *keys);
    if (!pairs || !places || !keys) return NULL;
    for (size_t i = 0; i < dict->n; i++) {
        places[i] = jinja_int((int64_t)i);
        keys[i] = dict->pairs[i].key;
    }
    jinja_sort(j, places, keys, dict->n, false);
    for (size_t i = 0; i < dict->n; i++) pairs[i] = dict->pairs[places[i].as.integer];
    return pairs;
}

static void write_dict(writer *w, const jinja_dict *dict, int depth)
{
    const jinja_pair *pairs = ordered_pairs(w, dict);
    ae_bytes_add_char(&w->out, '{');
    for (size_t i = 0; i < dict->n && !w->j->status; i++) {
        separate(w, i, depth + 1);
        write_key(w, pairs[i].key);
        ae_bytes_add(&w->out, w->key_separator.data, w->key_separator.len);
        write_value(w, pairs[i].value, depth + 1);
    }
    if (dict->n) new_line(w, depth);
    ae_bytes_add_char(&w->out, '}');
}

static void write_nested(writer *w, jinja_value v, int depth)
{
    if (!jinja_deeper(w->j)) return;
    if (v.kind == JINJA_DICT)
        write_dict(w, v.as.dict, depth);
    else
        write_list(w, v.as.list, depth);
    w->j->depth--;
}

static void write_value(writer *w, jinja_value v, int depth)
{
    if (!jinja_spend(w->j, 1 + (v.kind == JINJA_STR ? v.len / 64 : 0))) return;
    if (w->out.len > w->j->max_output) {
        jinja_fail(w->j, "a text grows past %zu bytes", w->j->max_output);
        return;
    }
    switch (v.kind) {
    case JINJA_NONE:
        ae_bytes_add_text(&w->out, "null");
        break;
    case JINJA_BOOL:
        ae_bytes_add_text(&w->out, v.as.integer ? "true" : "false");
        break;
    case JINJA_INT:
        ae_bytes_printf(&w->out, "%lld", (long long)v.as.integer);
        break;
    case JINJA_FLOAT:
        write_real(w, v.as.real);
        break;
    case JINJA_STR:
        write_text(w, jinja_text_of(v));
        break;
    case JINJA_LIST:
    case JINJA_TUPLE:
    case JINJA_DICT:
        write_nested(w, v, depth);
        break;
    case JINJA_UNDEFINED:
        if (w->j->strict) {
            jinja_fail(w->j, "'%.*s' is undefined", (int)v.len, v.as.text);
            break;
        }
        /* fall through */
    default:
        jinja_fail(w->j, "Object of type %s is not JSON serializable", jinja_type_name(v.kind));
    }
}

/* indent: a number of spaces or a text; 0 and below: line breaks alone. */
static void set_indent(writer *w, jinja_value indent)
{
    static const char spaces[] = "                                ";
    if (indent.kind == JINJA_MISSING || indent.kind == JINJA_NONE) return;
    w->pretty = true;
    w->item_separator = ae_span_text(",");
    if (indent.kind == JINJA_STR) {
        w->indent = jinja_text_of(indent);
    } else {
        int64_t n = jinja_arg_int(w->j, indent, 0);
        if (n > 32) n = 32;
        w->indent = (ae_span){ spaces, n > 0 ? (size_t)n : 0 };
    }
}

static void set_separators(writer *w, jinja_value pair)
{
    if (pair.kind == JINJA_MISSING || pair.kind == JINJA_NONE) return;
    if (!jinja_is_list(pair) || pair.as.list->n != 2) {
        jinja_fail(w->j, "tojson: separators must be two texts");
        return;
    }
    w->item_separator = jinja_arg_text(w->j, pair.as.list->items[0], "");
    w->key_separator = jinja_arg_text(w->j, pair.as.list->items[1], "");
}

/* tojson(ensure_ascii=False, indent=None, separators=None, sort_keys=False) */
jinja_value jinja_tojson(jinja *j, jinja_value self, const jinja_args *args)
{
    writer w = { .j = j,
                 .item_separator = { ", ", 2 },
                 .key_separator = { ": ", 2 },
                 .ascii = jinja_arg_bool(args->pos[0], false),
                 .sort = jinja_arg_bool(args->pos[3], false) };
    set_indent(&w, args->pos[1]);
    set_separators(&w, args->pos[2]);
    write_value(&w, self, 0);
    return jinja_str_take(j, &w.out);
}
