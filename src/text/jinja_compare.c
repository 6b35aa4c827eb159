/* jinja_compare.c -- equality, order and membership of values, as Python has them. */
#include "text/jinja.h"

#include <string.h>

static bool equal_numbers(jinja_value a, jinja_value b)
{
    if (a.kind == JINJA_FLOAT || b.kind == JINJA_FLOAT) return jinja_real(a) == jinja_real(b);
    return a.as.integer == b.as.integer;
}

static bool equal_lists(jinja *j, const jinja_list *a, const jinja_list *b)
{
    bool same = a->n == b->n && jinja_spend(j, a->n);
    for (size_t i = 0; same && i < a->n; i++) same = jinja_equal(j, a->items[i], b->items[i]);
    return same;
}

static bool equal_dicts(jinja *j, const jinja_dict *a, const jinja_dict *b)
{
    bool same = a->n == b->n;
    for (size_t i = 0; same && i < a->n; i++) {
        const jinja_value *other = jinja_dict_get(j, b, a->pairs[i].key);
        same = other && jinja_equal(j, a->pairs[i].value, *other);
    }
    return same;
}

static bool equal_nested(jinja *j, jinja_value a, jinja_value b)
{
    if (!jinja_deeper(j)) return false;
    bool same = a.kind == JINJA_DICT ? equal_dicts(j, a.as.dict, b.as.dict)
                                     : equal_lists(j, a.as.list, b.as.list);
    j->depth--;
    return same;
}

bool jinja_equal(jinja *j, jinja_value a, jinja_value b)
{
    if (jinja_is_number(a) && jinja_is_number(b)) return equal_numbers(a, b);
    if (a.kind != b.kind) return false;
    switch (a.kind) {
    case JINJA_UNDEFINED:
    case JINJA_NONE:
        return true;
    case JINJA_STR:
        return a.len == b.len && jinja_spend(j, a.len / 64) &&
               memcmp(a.as.text, b.as.text, a.len) == 0;
    case JINJA_LIST:
    case JINJA_TUPLE:
    case JINJA_VIEW:
    case JINJA_DICT:
        return equal_nested(j, a, b);
    default:
        return a.as.list == b.as.list; /* the same object */
    }
}

static int order_texts(jinja *j, jinja_value a, jinja_value b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    if (!jinja_spend(j, shorter / 64)) return 0;
    /* UTF-8 sorts by bytes as it does by code points. */
    int order = shorter ? memcmp(a.as.text, b.as.text, shorter) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int order_lists(jinja *j, const jinja_list *a, const jinja_list *b)
{
    if (!jinja_deeper(j)) return 0;
    int order = 0;
    bool different = false;
    for (size_t i = 0; !different && i < a->n && i < b->n && jinja_spend(j, 1); i++)
        if (!jinja_equal(j, a->items[i], b->items[i])) {
            order = jinja_order(j, a->items[i], b->items[i]);
            different = true;
        }
    j->depth--;
    return different ? order : (a->n > b->n) - (a->n < b->n);
}

int jinja_order(jinja *j, jinja_value a, jinja_value b)
{
    if (a.kind == JINJA_STR && b.kind == JINJA_STR) return order_texts(j, a, b);
    if (jinja_is_number(a) && jinja_is_number(b)) {
        if (a.kind != JINJA_FLOAT && b.kind != JINJA_FLOAT)
            return (a.as.integer > b.as.integer) - (a.as.integer < b.as.integer);
        return (jinja_real(a) > jinja_real(b)) - (jinja_real(a) < jinja_real(b));
    }
    if (a.kind == b.kind && (a.kind == JINJA_LIST || a.kind == JINJA_TUPLE))
        return order_lists(j, a.as.list, b.as.list);
    jinja_fail(j, "'%s' and '%s' cannot be compared", jinja_type_name(a.kind),
               jinja_type_name(b.kind));
    return 0;
}

static bool contains_text(jinja *j, jinja_value container, jinja_value item)
{
    if (item.kind != JINJA_STR) {
        jinja_fail(j, "'in <string>' requires string as left operand, not %s",
                   jinja_type_name(item.kind));
        return false;
    }
    if (!jinja_spend(j, container.len / 16)) return false;
    return jinja_find_text(jinja_text_of(container), jinja_text_of(item), 0) != SIZE_MAX;
}

bool jinja_contains(jinja *j, jinja_value container, jinja_value item)
{
    if (j->status) return false;
    switch (container.kind) {
    case JINJA_STR:
        return contains_text(j, container, item);
    case JINJA_DICT:
        return jinja_dict_get(j, container.as.dict, item) != NULL;
    case JINJA_NONE:
    case JINJA_BOOL:
    case JINJA_INT:
    case JINJA_FLOAT:
        jinja_fail(j, "argument of type '%s' is not iterable", jinja_type_name(container.kind));
        return false;
    default:
        break;
    }
    jinja_value items = jinja_iterate(j, container);
    if (j->status || !jinja_spend(j, items.as.list->n)) return false;
    for (size_t i = 0; i < items.as.list->n; i++)
        if (jinja_equal(j, items.as.list->items[i], item)) return true;
    return false;
}
