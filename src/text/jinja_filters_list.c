/* jinja_filters_list.c -- filters over lists and dicts. */
#include "text/jinja.h"

#include <string.h>

static jinja_value missing(void)
{
    return (jinja_value){ .kind = JINJA_MISSING };
}

static jinja_value empty_sequence(const char *what)
{
    return jinja_undefined(ae_span_text(what), 0);
}

static jinja_value length(jinja *j, jinja_value self, const jinja_args *args)
{
    (void)args;
    return jinja_int(jinja_length(j, self));
}

static jinja_value first(jinja *j, jinja_value self, const jinja_args *args)
{
    jinja_value items = jinja_iterate(j, self);
    (void)args;
    return j->status || items.as.list->n == 0
               ? empty_sequence("the first item of an empty sequence")
               : items.as.list->items[0];
}

static jinja_value last(jinja *j, jinja_value self, const jinja_args *args)
{
    jinja_value items = jinja_iterate(j, self);
    (void)args;
    return j->status || items.as.list->n == 0 ? empty_sequence("the last item of an empty sequence")
                                              : items.as.list->items[items.as.list->n - 1];
}

static jinja_value list(jinja *j, jinja_value self, const jinja_args *args)
{
    (void)args;
    return jinja_iterate(j, self);
}

/* join(d='', attribute=None) */
static jinja_value join(jinja *j, jinja_value self, const jinja_args *args)
{
    ae_bytes out = { 0 };
    jinja_value items = jinja_iterate(j, self);
    jinja_value separator = args->pos[0].kind == JINJA_MISSING ? jinja_str(j, (ae_span){ "", 0 })
                                                               : jinja_to_str(j, args->pos[0]);
    bool by_attribute = args->pos[1].kind != JINJA_MISSING && args->pos[1].kind != JINJA_NONE;
    for (size_t i = 0; !j->status && i < items.as.list->n && jinja_spend(j, 1); i++) {
        jinja_value item = items.as.list->items[i];
        if (by_attribute) item = jinja_path(j, item, args->pos[1], missing());
        if (i) ae_bytes_add(&out, separator.as.text, separator.len);
        jinja_print(j, &out, item);
        if (out.len > j->max_output) break;
    }
    return jinja_str_take(j, &out);
}

static jinja_value reverse_text(jinja *j, jinja_value self)
{
    jinja_value none = jinja_none();
    return jinja_slice(j, self, none, none, jinja_int(-1));
}

static jinja_value reverse(jinja *j, jinja_value self, const jinja_args *args)
{
    (void)args;
    if (self.kind == JINJA_STR) return reverse_text(j, self);
    jinja_value items = jinja_iterate(j, self), out = jinja_list_new(j, JINJA_ITER);
    for (size_t i = j->status ? 0 : items.as.list->n; i-- > 0 && !j->status;)
        jinja_list_add(j, out, items.as.list->items[i]);
    return out;
}

/* What an item is compared by: itself or an attribute of it, without case unless asked. */
static jinja_value sort_key(jinja *j, jinja_value item, jinja_value attribute, bool with_case)
{
    if (attribute.kind != JINJA_MISSING && attribute.kind != JINJA_NONE)
        item = jinja_path(j, item, attribute, missing());
    if (with_case || item.kind != JINJA_STR || j->status) return item;
    ae_bytes lowered = { 0 };
    jinja_put_case(&lowered, jinja_text_of(item), JINJA_LOWER);
    return jinja_str_take(j, &lowered);
}

/* "a,b": a tuple of keys. */
static jinja_value sort_keys(jinja *j, jinja_value item, jinja_value attribute, bool with_case)
{
    if (attribute.kind != JINJA_STR || !memchr(attribute.as.text, ',', attribute.len))
        return sort_key(j, item, attribute, with_case);
    jinja_value keys = jinja_list_new(j, JINJA_TUPLE);
    ae_span rest = jinja_text_of(attribute);
    for (bool more = true; more && !j->status;) {
        const char *comma = memchr(rest.data, ',', rest.len);
        ae_span part = { rest.data, comma ? (size_t)(comma - rest.data) : rest.len };
        jinja_list_add(j, keys, sort_key(j, item, jinja_str(j, part), with_case));
        more = comma != NULL;
        if (more) rest = (ae_span){ comma + 1, rest.len - part.len - 1 };
    }
    return keys;
}

static jinja_value copy_list(jinja *j, jinja_value items)
{
    jinja_value out = jinja_list_new(j, JINJA_LIST);
    for (size_t i = 0; !j->status && i < items.as.list->n; i++)
        jinja_list_add(j, out, items.as.list->items[i]);
    return out;
}

static jinja_value *keys_of(jinja *j, jinja_value items, jinja_value attribute, bool with_case)
{
    size_t n = j->status ? 0 : items.as.list->n;
    jinja_value *keys = jinja_take(j, n + 1, sizeof *keys);
    for (size_t i = 0; keys && i < n && jinja_spend(j, 1); i++)
        keys[i] = sort_keys(j, items.as.list->items[i], attribute, with_case);
    return keys;
}

/* sort(reverse=False, case_sensitive=False, attribute=None) */
static jinja_value sort(jinja *j, jinja_value self, const jinja_args *args)
{
    jinja_value items = jinja_iterate(j, self);
    if (j->status) return items;
    items = copy_list(j, items);
    jinja_value *keys = keys_of(j, items, args->pos[2], jinja_arg_bool(args->pos[1], false));
    if (!j->status)
        jinja_sort(j, items.as.list->items, keys, items.as.list->n,
                   jinja_arg_bool(args->pos[0], false));
    return items;
}

/* unique(case_sensitive=False, attribute=None) */
static jinja_value unique(jinja *j, jinja_value self, const jinja_args *args)
{
    jinja_value items = jinja_iterate(j, self), out = jinja_list_new(j, JINJA_ITER);
    jinja_value *keys = keys_of(j, items, args->pos[1], jinja_arg_bool(args->pos[0], false));
    for (size_t i = 0; !j->status && i < items.as.list->n && jinja_spend(j, 1 + i / 8); i++) {
        bool seen = false;
        for (size_t k = 0; !seen && k < i; k++) seen = jinja_equal(j, keys[k], keys[i]);
        if (!seen) jinja_list_add(j, out, items.as.list->items[i]);
    }
    return out;
}

static jinja_value pair_of(jinja *j, jinja_pair pair)
{
    jinja_value tuple = jinja_list_new(j, JINJA_TUPLE);
    if (j->status) return tuple;
    jinja_list_add(j, tuple, pair.key);
    jinja_list_add(j, tuple, pair.value);
    return tuple;
}

static jinja_value items_of(jinja *j, jinja_value self, jinja_kind kind)
{
    jinja_value out = jinja_list_new(j, kind);
    if (self.kind != JINJA_UNDEFINED && self.kind != JINJA_DICT)
        jinja_fail(j, "Can only get item pairs from a mapping.");
    for (size_t i = 0; self.kind == JINJA_DICT && i < self.as.dict->n && !j->status; i++)
        jinja_list_add(j, out, pair_of(j, self.as.dict->pairs[i]));
    return out;
}

static jinja_value items_filter(jinja *j, jinja_value self, const jinja_args *args)
{
    (void)args;
    return items_of(j, self, JINJA_ITER);
}

/* dictsort(case_sensitive=False, by='key', reverse=False) */
static jinja_value dictsort(jinja *j, jinja_value self, const jinja_args *args)
{
    bool by_value = ae_span_is(jinja_arg_text(j, args->pos[1], "key"), "value");
    jinja_value items = items_of(j, self, JINJA_LIST);
    if (j->status) return items;
    jinja_value *keys = keys_of(j, items, jinja_int(by_value), jinja_arg_bool(args->pos[0], false));
    if (!j->status)
        jinja_sort(j, items.as.list->items, keys, items.as.list->n,
                   jinja_arg_bool(args->pos[2], false));
    return items;
}

/* default(default_value='', boolean=False) */
static jinja_value default_value(jinja *j, jinja_value self, const jinja_args *args)
{
    bool absent =
        self.kind == JINJA_UNDEFINED || (jinja_arg_bool(args->pos[1], false) && !jinja_true(self));
    if (!absent) return self;
    return args->pos[0].kind == JINJA_MISSING ? jinja_str(j, (ae_span){ "", 0 }) : args->pos[0];
}

static jinja_value attribute(jinja *j, jinja_value self, const jinja_args *args)
{
    ae_span name = jinja_arg_text(j, args->pos[0], "");
    return j->status ? self : jinja_own_attribute(j, self, name);
}

/* batch(linecount, fill_with=None): rows of so many items. */
static jinja_value batch(jinja *j, jinja_value self, const jinja_args *args)
{
    jinja_value items = jinja_iterate(j, self), out = jinja_list_new(j, JINJA_ITER);
    int64_t width = jinja_arg_int(j, args->pos[0], 1);
    if (width < 1) jinja_fail(j, "batch: the number of items must be positive");
    jinja_value row = { 0 };
    for (size_t i = 0; !j->status && i < items.as.list->n; i++) {
        if (i % (uint64_t)width == 0) {
            row = jinja_list_new(j, JINJA_LIST);
            jinja_list_add(j, out, row);
        }
        jinja_list_add(j, row, items.as.list->items[i]);
    }
    bool fills = row.kind == JINJA_LIST && args->pos[1].kind > JINJA_NONE;
    while (fills && !j->status && row.as.list->n < (uint64_t)width)
        jinja_list_add(j, row, args->pos[1]);
    return out;
}

/* slice(slices, fill_with=None): so many columns, the first ones longer. */
static jinja_value slice(jinja *j, jinja_value self, const jinja_args *args)
{
    jinja_value items = jinja_iterate(j, self), out = jinja_list_new(j, JINJA_ITER);
    int64_t n = jinja_arg_int(j, args->pos[0], 1);
    if (n < 1) jinja_fail(j, "slice: the number of slices must be positive");
    if (j->status) return out;
    size_t total = items.as.list->n, each = total / (uint64_t)n, longer = total % (uint64_t)n,
           at = 0;
    for (size_t k = 0; k < (uint64_t)n && jinja_spend(j, 1); k++) {
        jinja_value column = jinja_list_new(j, JINJA_LIST);
        size_t end = at + each + (k < longer);
        while (at < end && !j->status) jinja_list_add(j, column, items.as.list->items[at++]);
        if (args->pos[1].kind > JINJA_NONE && k >= longer) jinja_list_add(j, column, args->pos[1]);
        jinja_list_add(j, out, column);
    }
    return out;
}

const jinja_callable jinja_filters_list[] = {
    { "length", "", 0, length },
    { "count", "", 0, length },
    { "first", "", 0, first },
    { "last", "", 0, last },
    { "list", "", 0, list },
    { "join", "d attribute", 0, join },
    { "reverse", "", 0, reverse },
    { "sort", "reverse case_sensitive attribute", 0, sort },
    { "unique", "case_sensitive attribute", 0, unique },
    { "items", "", 0, items_filter },
    { "dictsort", "case_sensitive by reverse", 0, dictsort },
    { "default", "default_value boolean", 0, default_value },
    { "d", "default_value boolean", 0, default_value },
    { "attr", "name", 1, attribute },
    { "batch", "linecount fill_with", 1, batch },
    { "slice", "slices fill_with", 1, slice },
    { 0 },
};
