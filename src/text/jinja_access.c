/* jinja_access.c -- attributes, items and slices of values. */
#include "text/jinja.h"

#include <string.h>

static jinja_value nothing(void)
{
    return jinja_undefined((ae_span){ "", 0 }, 0);
}

static jinja_value undefined_use(jinja *j, jinja_value object)
{
    if (object.owner)
        jinja_fail(j, "'%s object' has no attribute '%.*s'", jinja_type_name(object.owner),
                   (int)object.len, object.as.text);
    else
        jinja_fail(j, "'%.*s' is undefined", (int)object.len, object.as.text);
    return nothing();
}

static jinja_value bind(jinja *j, const jinja_callable *c, jinja_value self, ae_span name)
{
    jinja_method *m = jinja_take(j, 1, sizeof *m);
    if (!m) return nothing();
    *m = (jinja_method){ .callable = c, .self = self, .name = name };
    return (jinja_value){ .kind = JINJA_METHOD, .as.method = m };
}

/* Methods that would change their object: the sandbox knows them, and refuses the call. */
static bool is_changing(jinja_value object, ae_span name)
{
    static const char *const list[] = { "append", "clear", "pop",    "reverse",
                                        "insert", "sort",  "extend", "remove" };
    static const char *const dict[] = { "clear", "pop", "popitem", "setdefault", "update" };
    const char *const *names = object.kind == JINJA_DICT ? dict : list;
    size_t n = object.kind == JINJA_DICT ? AE_COUNT(dict) : AE_COUNT(list);
    if (object.kind != JINJA_DICT && object.kind != JINJA_LIST) return false;
    for (size_t i = 0; i < n; i++)
        if (ae_span_is(name, names[i])) return true;
    return false;
}

static const jinja_callable *find_method(jinja_value object, ae_span name)
{
    const jinja_callable *c;
    switch (object.kind) {
    case JINJA_STR:
        c = jinja_find_callable(jinja_str_methods, name);
        return c ? c : jinja_find_callable(jinja_str_methods_find, name);
    case JINJA_LIST:
    case JINJA_TUPLE:
        return jinja_find_callable(jinja_list_methods, name);
    case JINJA_DICT:
        return jinja_find_callable(jinja_dict_methods, name);
    case JINJA_LOOP:
        return jinja_find_callable(jinja_loop_methods, name);
    case JINJA_CYCLER:
        return jinja_find_callable(jinja_cycler_methods, name);
    default:
        return NULL;
    }
}

static jinja_value loop_neighbour(const jinja_loop *loop, ae_span name, bool exists, size_t at)
{
    return exists ? loop->items[at] : jinja_undefined(name, 0);
}

static jinja_value loop_attribute(const jinja_loop *loop, ae_span name)
{
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {
        { "index", (int64_t)loop->at + 1 },
        { "index0", (int64_t)loop->at },
        { "revindex", (int64_t)(loop->n - loop->at) },
        { "revindex0", (int64_t)(loop->n - loop->at) - 1 },
        { "length", (int64_t)loop->n },
        { "depth", 1 },
        { "depth0", 0 },
    };
    for (size_t i = 0; i < AE_COUNT(numbers); i++)
        if (ae_span_is(name, numbers[i].name)) return jinja_int(numbers[i].value);
    if (ae_span_is(name, "first")) return jinja_bool(loop->at == 0);
    if (ae_span_is(name, "last")) return jinja_bool(loop->at + 1 == loop->n);
    if (ae_span_is(name, "previtem")) return loop_neighbour(loop, name, loop->at > 0, loop->at - 1);
    if (ae_span_is(name, "nextitem"))
        return loop_neighbour(loop, name, loop->at + 1 < loop->n, loop->at + 1);
    return jinja_undefined(name, JINJA_LOOP);
}

static jinja_value macro_attribute(const jinja_macro *m, ae_span name, jinja *j)
{
    return ae_span_is(name, "name") ? jinja_str(j, m->name)
                                    : jinja_undefined(name, JINJA_MACRO_VALUE);
}

jinja_value jinja_own_attribute(jinja *j, jinja_value object, ae_span name)
{
    const jinja_callable *method = find_method(object, name);
    if (method || is_changing(object, name)) return bind(j, method, object, name);
    if (object.kind == JINJA_LOOP) return loop_attribute(object.as.loop, name);
    if (object.kind == JINJA_MACRO_VALUE) return macro_attribute(object.as.macro, name, j);
    if (object.kind == JINJA_CYCLER && ae_span_is(name, "current"))
        return object.as.list->items[object.as.list->at];
    return jinja_undefined(name, object.kind);
}

jinja_value jinja_attribute(jinja *j, jinja_value object, ae_span name)
{
    if (object.kind == JINJA_UNDEFINED) return undefined_use(j, object);
    jinja_value own = jinja_own_attribute(j, object, name);
    if (own.kind != JINJA_UNDEFINED) return own;
    if (object.kind == JINJA_DICT || object.kind == JINJA_SPACE) {
        const jinja_value *item = jinja_dict_text(j, object.as.dict, name);
        if (item) return *item;
    }
    return own;
}

/* Where a Python index falls in n things; SIZE_MAX: outside. */
static size_t index_of(int64_t index, size_t n)
{
    if (index < 0) index += (int64_t)n;
    return index < 0 || (uint64_t)index >= n ? SIZE_MAX : (size_t)index;
}

static jinja_value character_at(jinja *j, ae_span text, int64_t index)
{
    if (!jinja_spend(j, text.len / 64)) return nothing();
    size_t at = index_of(index, jinja_char_count(text));
    if (at == SIZE_MAX) return jinja_undefined(ae_span_text("index out of range"), JINJA_STR);
    size_t start = jinja_char_offset(text, at);
    ae_span rest = { text.data + start, text.len - start };
    return jinja_str(j, (ae_span){ rest.data, jinja_char_offset(rest, 1) });
}

static jinja_value indexed(jinja *j, jinja_value object, int64_t index)
{
    if (object.kind == JINJA_STR) return character_at(j, jinja_text_of(object), index);
    if (object.kind != JINJA_LIST && object.kind != JINJA_TUPLE)
        return jinja_undefined(ae_span_text("an item"), object.kind);
    size_t at = index_of(index, object.as.list->n);
    return at == SIZE_MAX ? jinja_undefined(ae_span_text("index out of range"), object.kind)
                          : object.as.list->items[at];
}

jinja_value jinja_item(jinja *j, jinja_value object, jinja_value key)
{
    if (object.kind == JINJA_UNDEFINED) return undefined_use(j, object);
    if (object.kind == JINJA_DICT) {
        const jinja_value *item = jinja_dict_get(j, object.as.dict, key);
        if (item) return *item;
    } else if (key.kind == JINJA_INT || key.kind == JINJA_BOOL) {
        return indexed(j, object, key.as.integer);
    }
    if (key.kind == JINJA_STR) {
        ae_span name = jinja_text_of(key);
        return object.kind == JINJA_DICT ? jinja_own_attribute(j, object, name)
                                         : jinja_attribute(j, object, name);
    }
    return jinja_undefined(ae_span_text("that item"), object.kind);
}

/* Bounds of a slice over n things, as slice.indices() of Python. */
static int64_t clamp(int64_t index, int64_t n, bool back)
{
    if (index < 0) index += n;
    int64_t low = back ? -1 : 0, high = back ? n - 1 : n;
    return index < low ? low : index > high ? high : index;
}

static jinja_value slice_list(jinja *j, jinja_value object, int64_t begin, int64_t end,
                              int64_t step)
{
    jinja_value out = jinja_list_new(j, object.kind);
    for (int64_t i = begin; (step > 0 ? i < end : i > end) && jinja_spend(j, 1);) {
        jinja_list_add(j, out, object.as.list->items[i]);
        if (__builtin_add_overflow(i, step, &i)) break;
    }
    return out;
}

static jinja_value slice_text(jinja *j, ae_span text, int64_t begin, int64_t end, int64_t step)
{
    if (!jinja_spend(j, text.len / 16)) return nothing();
    if (step == 1) {
        if (end <= begin) return jinja_str(j, (ae_span){ "", 0 });
        size_t from = jinja_char_offset(text, (size_t)begin);
        ae_span rest = { text.data + from, text.len - from };
        return jinja_str(j, (ae_span){ rest.data, jinja_char_offset(rest, (size_t)(end - begin)) });
    }
    ae_bytes out = { 0 };
    jinja_value chars = jinja_iterate(j, jinja_str(j, text));
    for (int64_t i = begin; !j->status && (step > 0 ? i < end : i > end);) {
        jinja_value c = chars.as.list->items[i];
        ae_bytes_add(&out, c.as.text, c.len);
        if (__builtin_add_overflow(i, step, &i)) break;
    }
    return jinja_str_take(j, &out);
}

jinja_value jinja_slice(jinja *j, jinja_value object, jinja_value begin, jinja_value end,
                        jinja_value step)
{
    if (object.kind == JINJA_UNDEFINED) return undefined_use(j, object);
    bool is_text = object.kind == JINJA_STR;
    if (!is_text && object.kind != JINJA_LIST && object.kind != JINJA_TUPLE)
        return jinja_undefined(ae_span_text("a slice"), object.kind);
    int64_t n = jinja_length(j, object), by = jinja_arg_int(j, step, 1);
    if (by == 0) jinja_fail(j, "slice step cannot be zero");
    int64_t from = jinja_arg_int(j, begin, by < 0 ? INT64_MAX : 0);
    int64_t to = jinja_arg_int(j, end, by < 0 ? INT64_MIN : INT64_MAX);
    if (j->status) return nothing();
    from = clamp(from, n, by < 0);
    to = to == INT64_MIN ? (by < 0 ? -1 : 0) : clamp(to, n, by < 0);
    return is_text ? slice_text(j, jinja_text_of(object), from, to, by)
                   : slice_list(j, object, from, to, by);
}

/* The next part of "a.b.0"; whole numbers are indices. */
static jinja_value path_part(jinja *j, ae_span part)
{
    int64_t index = 0;
    bool digits = part.len > 0 && part.len < 10;
    for (size_t i = 0; digits && i < part.len; i++) {
        digits = part.data[i] >= '0' && part.data[i] <= '9';
        index = index * 10 + (part.data[i] - '0');
    }
    return digits ? jinja_int(index) : jinja_str(j, part);
}

jinja_value jinja_path(jinja *j, jinja_value object, jinja_value path, jinja_value fallback)
{
    if (path.kind != JINJA_STR) return jinja_item(j, object, path);
    ae_span rest = jinja_text_of(path);
    for (bool more = true; more && !j->status;) {
        const char *dot = memchr(rest.data, '.', rest.len);
        ae_span part = { rest.data, dot ? (size_t)(dot - rest.data) : rest.len };
        object = jinja_item(j, object, path_part(j, part));
        if (object.kind == JINJA_UNDEFINED && fallback.kind != JINJA_MISSING) object = fallback;
        more = dot != NULL;
        if (more) rest = (ae_span){ dot + 1, rest.len - part.len - 1 };
    }
    return object;
}
