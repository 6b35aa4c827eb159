/* jinja_filters_pick.c -- filters that run another filter or a test over a sequence. */
#include "text/jinja.h"

/* The arguments from the `skip`-th on. */
static jinja_args rest_of(const jinja_args *args, size_t skip)
{
    return (jinja_args){ args->pos + skip, args->n - skip, args->named, args->n_named };
}

static ae_span name_argument(jinja *j, const jinja_args *args, size_t index, const char *filter)
{
    if (args->n > index) return jinja_arg_text(j, args->pos[index], "");
    jinja_fail(j, "%s needs the name of a filter or an attribute", filter);
    return (ae_span){ "", 0 };
}

/* map('filter', arguments...) or map(attribute='path', default=...) */
static jinja_value map(jinja *j, jinja_value self, const jinja_args *args)
{
    jinja_value out = jinja_list_new(j, JINJA_ITER), items = jinja_iterate(j, self);
    const jinja_value *path = jinja_arg_named(args, "attribute");
    const jinja_value *given = jinja_arg_named(args, "default");
    jinja_value fallback = given ? *given : (jinja_value){ .kind = JINJA_MISSING };
    ae_span name = path ? (ae_span){ "", 0 } : name_argument(j, args, 0, "map");
    for (size_t i = 0; !j->status && i < items.as.list->n && jinja_spend(j, 1); i++) {
        jinja_value item = items.as.list->items[i];
        if (path) {
            item = jinja_path(j, item, *path, fallback);
        } else {
            jinja_args rest = rest_of(args, 1);
            item = jinja_filter(j, name, item, &rest);
        }
        jinja_list_add(j, out, item);
    }
    return out;
}

/* The items whose test (on themselves, or on an attribute named first) comes out as `wanted`. */
static jinja_value pick(jinja *j, jinja_value self, const jinja_args *args, bool by_attribute,
                        bool wanted)
{
    jinja_value out = jinja_list_new(j, JINJA_ITER), items = jinja_iterate(j, self);
    size_t skip = by_attribute;
    jinja_value path = { .kind = JINJA_MISSING }, none = path;
    if (by_attribute) {
        name_argument(j, args, 0, "selectattr");
        if (args->n) path = args->pos[0];
    }
    ae_span test = args->n > skip ? name_argument(j, args, skip, "select") : (ae_span){ "", 0 };
    for (size_t i = 0; !j->status && i < items.as.list->n && jinja_spend(j, 1); i++) {
        jinja_value item = items.as.list->items[i];
        jinja_value subject = by_attribute ? jinja_path(j, item, path, none) : item;
        bool passed = jinja_true(subject);
        if (test.len) {
            jinja_args rest = rest_of(args, skip + 1);
            passed = jinja_test(j, test, subject, &rest);
        }
        if (passed == wanted) jinja_list_add(j, out, item);
    }
    return out;
}

static jinja_value select_items(jinja *j, jinja_value self, const jinja_args *args)
{
    return pick(j, self, args, false, true);
}

static jinja_value reject_items(jinja *j, jinja_value self, const jinja_args *args)
{
    return pick(j, self, args, false, false);
}

static jinja_value select_attribute(jinja *j, jinja_value self, const jinja_args *args)
{
    return pick(j, self, args, true, true);
}

static jinja_value reject_attribute(jinja *j, jinja_value self, const jinja_args *args)
{
    return pick(j, self, args, true, false);
}

const jinja_callable jinja_filters_pick[] = {
    { "map", NULL, 0, map },
    { "select", NULL, 0, select_items },
    { "reject", NULL, 0, reject_items },
    { "selectattr", NULL, 0, select_attribute },
    { "rejectattr", NULL, 0, reject_attribute },
    { 0 },
};
