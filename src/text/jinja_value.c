/* jinja_value.c -- making and measuring a template's values. */
#include "text/jinja.h"
#include "text/utf8.h"

#include <string.h>

jinja_value jinja_undefined(ae_span name, int owner)
{
    uint32_t len = name.len > 80 ? 80 : (uint32_t)name.len;
    return (jinja_value){
        .kind = JINJA_UNDEFINED, .owner = (uint8_t)owner, .len = len, .as.text = name.data
    };
}

jinja_value jinja_none(void)
{
    return (jinja_value){ .kind = JINJA_NONE };
}

jinja_value jinja_bool(bool b)
{
    return (jinja_value){ .kind = JINJA_BOOL, .as.integer = b };
}

jinja_value jinja_int(int64_t i)
{
    return (jinja_value){ .kind = JINJA_INT, .as.integer = i };
}

jinja_value jinja_float(double f)
{
    return (jinja_value){ .kind = JINJA_FLOAT, .as.real = f };
}

static jinja_value nothing(void)
{
    return jinja_undefined((ae_span){ "", 0 }, 0);
}

/* Text that came with the input may be longer than what a template may make, but no string is
 * longer than its length field can say. */
jinja_value jinja_str(jinja *j, ae_span text)
{
    if (text.len > UINT32_MAX / 2) {
        jinja_fail(j, "a text of %zu bytes is too long", text.len);
        return nothing();
    }
    return (jinja_value){ .kind = JINJA_STR, .len = (uint32_t)text.len, .as.text = text.data };
}

jinja_value jinja_str_copy(jinja *j, ae_span text)
{
    char *copy = jinja_take(j, text.len + 1, 1);
    if (!copy) return nothing();
    if (text.len) memcpy(copy, text.data, text.len);
    return jinja_str(j, (ae_span){ copy, text.len });
}

jinja_value jinja_str_take(jinja *j, ae_bytes *b)
{
    jinja_value v = nothing();
    if (b->failed)
        jinja_fail_memory(j);
    else if (b->len > j->max_output)
        jinja_fail(j, "a text grows past %zu bytes", j->max_output);
    else
        v = jinja_str_copy(j, ae_span_of(b));
    ae_bytes_free(b);
    return v;
}

jinja_value jinja_list_new(jinja *j, jinja_kind kind)
{
    jinja_list *list = jinja_take(j, 1, sizeof *list);
    if (!list) return nothing();
    return (jinja_value){ .kind = (uint8_t)kind, .as.list = list };
}

void jinja_list_add(jinja *j, jinja_value v, jinja_value item)
{
    if (j->status) return;
    jinja_list *list = v.as.list;
    if (list->n == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 4;
        jinja_value *grown = jinja_take(j, cap, sizeof *grown);
        if (!grown) return;
        if (list->n) memcpy(grown, list->items, list->n * sizeof *grown);
        list->items = grown;
        list->cap = cap;
    }
    list->items[list->n++] = item;
}

jinja_value jinja_dict_new(jinja *j, jinja_kind kind)
{
    jinja_dict *dict = jinja_take(j, 1, sizeof *dict);
    if (!dict) return nothing();
    return (jinja_value){ .kind = (uint8_t)kind, .as.dict = dict };
}

void jinja_dict_add(jinja *j, jinja_dict *d, jinja_value key, jinja_value value)
{
    if (j->status) return;
    if (d->n == d->cap) {
        size_t cap = d->cap ? d->cap * 2 : 4;
        jinja_pair *grown = jinja_take(j, cap, sizeof *grown);
        if (!grown) return;
        if (d->n) memcpy(grown, d->pairs, d->n * sizeof *grown);
        d->pairs = grown;
        d->cap = cap;
    }
    d->pairs[d->n++] = (jinja_pair){ key, value };
}

static bool is_hashable(jinja_value key)
{
    return key.kind != JINJA_LIST && key.kind != JINJA_DICT;
}

static jinja_value *find(jinja *j, const jinja_dict *d, jinja_value key)
{
    if (!is_hashable(key)) {
        jinja_fail(j, "a %s cannot be a key", jinja_type_name(key.kind));
        return NULL;
    }
    if (!jinja_spend(j, d->n / 8)) return NULL;
    for (size_t i = 0; i < d->n; i++)
        if (jinja_equal(j, d->pairs[i].key, key)) return &d->pairs[i].value;
    return NULL;
}

void jinja_dict_set(jinja *j, jinja_dict *d, jinja_value key, jinja_value value)
{
    jinja_value *old = find(j, d, key);
    if (old)
        *old = value;
    else
        jinja_dict_add(j, d, key, value);
}

const jinja_value *jinja_dict_get(jinja *j, const jinja_dict *d, jinja_value key)
{
    return find(j, d, key);
}

const jinja_value *jinja_dict_text(jinja *j, const jinja_dict *d, ae_span key)
{
    return find(j, d, jinja_str(j, key));
}

ae_span jinja_text_of(jinja_value v)
{
    return (ae_span){ v.as.text, v.len };
}

const char *jinja_type_name(int kind)
{
    static const char *const names[] = {
        [JINJA_MISSING] = "missing",  [JINJA_UNDEFINED] = "Undefined",
        [JINJA_NONE] = "NoneType",    [JINJA_BOOL] = "bool",
        [JINJA_INT] = "int",          [JINJA_FLOAT] = "float",
        [JINJA_STR] = "str",          [JINJA_LIST] = "list",
        [JINJA_TUPLE] = "tuple",      [JINJA_ITER] = "generator",
        [JINJA_VIEW] = "dict view",   [JINJA_DICT] = "dict",
        [JINJA_SPACE] = "Namespace",  [JINJA_FUNCTION] = "function",
        [JINJA_METHOD] = "method",    [JINJA_MACRO_VALUE] = "Macro",
        [JINJA_LOOP] = "LoopContext", [JINJA_CYCLER] = "Cycler",
        [JINJA_JOINER] = "Joiner",
    };
    return names[kind];
}

bool jinja_is_list(jinja_value v)
{
    return v.kind == JINJA_LIST || v.kind == JINJA_TUPLE || v.kind == JINJA_ITER ||
           v.kind == JINJA_VIEW;
}

bool jinja_is_number(jinja_value v)
{
    return v.kind == JINJA_BOOL || v.kind == JINJA_INT || v.kind == JINJA_FLOAT;
}

double jinja_real(jinja_value v)
{
    return v.kind == JINJA_FLOAT ? v.as.real : (double)v.as.integer;
}

bool jinja_true(jinja_value v)
{
    switch (v.kind) {
    case JINJA_MISSING:
    case JINJA_UNDEFINED:
    case JINJA_NONE:
        return false;
    case JINJA_BOOL:
    case JINJA_INT:
        return v.as.integer != 0;
    case JINJA_FLOAT:
        return v.as.real != 0;
    case JINJA_STR:
        return v.len != 0;
    case JINJA_LIST:
    case JINJA_TUPLE:
    case JINJA_VIEW:
        return v.as.list->n != 0;
    case JINJA_DICT:
        return v.as.dict->n != 0;
    default:
        return true;
    }
}

static jinja_value characters(jinja *j, ae_span text)
{
    jinja_value list = jinja_list_new(j, JINJA_LIST);
    for (size_t at = 0; at < text.len && !j->status;) {
        size_t start = at;
        ae_utf8_next(text, &at);
        jinja_list_add(j, list, jinja_str(j, (ae_span){ text.data + start, at - start }));
    }
    return list;
}

static jinja_value keys(jinja *j, const jinja_dict *d)
{
    jinja_value list = jinja_list_new(j, JINJA_LIST);
    for (size_t i = 0; i < d->n && !j->status; i++) jinja_list_add(j, list, d->pairs[i].key);
    return list;
}

/* A loop's items are a copy's: no template can change a list, but an iterator may be read once. */
static jinja_value spend_iterator(jinja *j, jinja_list *list)
{
    if (list->spent) return jinja_list_new(j, JINJA_LIST);
    list->spent = true;
    return (jinja_value){ .kind = JINJA_LIST, .as.list = list };
}

jinja_value jinja_iterate(jinja *j, jinja_value v)
{
    if (j->status) return nothing();
    switch (v.kind) {
    case JINJA_UNDEFINED:
        return jinja_list_new(j, JINJA_LIST);
    case JINJA_STR:
        return characters(j, jinja_text_of(v));
    case JINJA_LIST:
    case JINJA_TUPLE:
    case JINJA_VIEW:
        return (jinja_value){ .kind = JINJA_LIST, .as.list = v.as.list };
    case JINJA_ITER:
        return spend_iterator(j, v.as.list);
    case JINJA_DICT:
        return keys(j, v.as.dict);
    default:
        break;
    }
    jinja_fail(j, "'%s' object is not iterable", jinja_type_name(v.kind));
    return nothing();
}

int64_t jinja_length(jinja *j, jinja_value v)
{
    switch (v.kind) {
    case JINJA_UNDEFINED:
        return 0;
    case JINJA_STR:
        return jinja_spend(j, v.len / 64) ? (int64_t)jinja_char_count(jinja_text_of(v)) : -1;
    case JINJA_LIST:
    case JINJA_TUPLE:
    case JINJA_VIEW:
        return (int64_t)v.as.list->n;
    case JINJA_DICT:
        return (int64_t)v.as.dict->n;
    default:
        break;
    }
    jinja_fail(j, "object of type '%s' has no len()", jinja_type_name(v.kind));
    return -1;
}
