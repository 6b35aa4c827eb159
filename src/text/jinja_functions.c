/* jinja_functions.c -- the functions a template may call. */
#include "text/jinja.h"

#include <string.h>
#include <time.h>

enum { MAX_RANGE = 100000 }; /* the sandbox's own bound */

static jinja_value range(jinja *j, jinja_value self, const jinja_args *args)
{
    jinja_value out = jinja_list_new(j, JINJA_LIST);
    bool one = args->pos[1].kind == JINJA_MISSING;
    int64_t begin = one ? 0 : jinja_arg_int(j, args->pos[0], 0);
    int64_t end = jinja_arg_int(j, args->pos[one ? 0 : 1], 0),
            step = jinja_arg_int(j, args->pos[2], 1);
    (void)self;
    if (step == 0) jinja_fail(j, "range() arg 3 must not be zero");
    for (int64_t i = begin; !j->status && (step > 0 ? i < end : i > end);) {
        if (out.as.list->n >= MAX_RANGE)
            jinja_fail(j, "Range too big. The sandbox blocks ranges larger than %d.", MAX_RANGE);
        jinja_list_add(j, out, jinja_int(i));
        if (__builtin_add_overflow(i, step, &i)) break;
    }
    return out;
}

/* What dict() and namespace() are given: mappings or pairs by place, then names. */
static void fill_dict(jinja *j, jinja_dict *dict, const jinja_args *args)
{
    for (size_t i = 0; i < args->n && !j->status; i++) {
        bool mapping = args->pos[i].kind == JINJA_DICT;
        jinja_value items = jinja_iterate(j, args->pos[i]);
        for (size_t k = 0; !j->status && k < items.as.list->n; k++) {
            jinja_value item = items.as.list->items[k];
            if (mapping) {
                jinja_dict_set(j, dict, item, args->pos[i].as.dict->pairs[k].value);
            } else if (jinja_is_list(item) && item.as.list->n == 2) {
                jinja_dict_set(j, dict, item.as.list->items[0], item.as.list->items[1]);
            } else {
                jinja_fail(j, "a dict is made from pairs");
            }
        }
    }
    for (size_t i = 0; i < args->n_named && !j->status; i++)
        jinja_dict_set(j, dict, jinja_str(j, args->named[i].name), args->named[i].value);
}

static jinja_value make_dict(jinja *j, jinja_value self, const jinja_args *args)
{
    jinja_value dict = jinja_dict_new(j, JINJA_DICT);
    (void)self;
    if (!j->status) fill_dict(j, dict.as.dict, args);
    return dict;
}

static jinja_value make_namespace(jinja *j, jinja_value self, const jinja_args *args)
{
    jinja_value space = jinja_dict_new(j, JINJA_SPACE);
    (void)self;
    if (!j->status) fill_dict(j, space.as.dict, args);
    return space;
}

static jinja_value make_cycler(jinja *j, jinja_value self, const jinja_args *args)
{
    jinja_value cycler = jinja_list_new(j, JINJA_CYCLER);
    (void)self;
    if (args->n == 0) jinja_fail(j, "at least one item has to be provided");
    for (size_t i = 0; i < args->n && !j->status; i++) jinja_list_add(j, cycler, args->pos[i]);
    return cycler;
}

static jinja_value make_joiner(jinja *j, jinja_value self, const jinja_args *args)
{
    jinja_value joiner = jinja_list_new(j, JINJA_JOINER);
    (void)self;
    if (!j->status)
        joiner.as.list->separator =
            args->pos[0].kind == JINJA_MISSING ? jinja_str(j, ae_span_text(", ")) : args->pos[0];
    return joiner;
}

/* The template's own refusal: its words, whatever their length, come first. */
static jinja_value raise_exception(jinja *j, jinja_value self, const jinja_args *args)
{
    jinja_value text = jinja_to_str(j, args->pos[0]);
    if (!j->status) jinja_fail(j, "%.*s", text.len < 380 ? (int)text.len : 380, text.as.text);
    return self;
}

static jinja_value strftime_now(jinja *j, jinja_value self, const jinja_args *args)
{
    char format[256], text[1024];
    ae_span given = jinja_arg_text(j, args->pos[0], "");
    time_t now = (time_t)(j->in->now_unix ? j->in->now_unix : ae_clock_unix_seconds());
    struct tm date;
    if (j->status) return self;
    if (given.len >= sizeof format || !gmtime_r(&now, &date)) {
        jinja_fail(j, "strftime_now: the format is too long");
        return self;
    }
    memcpy(format, given.data, given.len);
    format[given.len] = '\0';
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    size_t n = strftime(text, sizeof text, format, &date);
#pragma GCC diagnostic pop
    return jinja_str_copy(j, (ae_span){ text, n });
}

const jinja_callable jinja_functions[] = {
    { "range", "start stop step", 1, range },
    { "dict", NULL, 0, make_dict },
    { "namespace", NULL, 0, make_namespace },
    { "cycler", NULL, 0, make_cycler },
    { "joiner", "sep", 0, make_joiner },
    { "raise_exception", "message", 1, raise_exception },
    { "strftime_now", "format", 1, strftime_now },
    { 0 },
};
