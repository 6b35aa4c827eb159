/* jinja_call.c -- calls: functions, methods, filters and tests by name, and their arguments. */
#include "text/jinja.h"

#include <math.h>
#include <string.h>

enum { MAX_PARAMS = 8 };

static jinja_value nothing(void)
{
    return jinja_undefined((ae_span){ "", 0 }, 0);
}

const jinja_callable *jinja_find_callable(const jinja_callable *table, ae_span name)
{
    for (; table->name; table++)
        if (ae_span_is(name, table->name)) return table;
    return NULL;
}

/* The i-th word of a list of parameters; empty past the end. */
static ae_span param_name(const char *params, int i)
{
    for (; i > 0 && *params; i--) {
        params += strcspn(params, " ");
        params += strspn(params, " ");
    }
    return (ae_span){ params, strcspn(params, " ") };
}

static int count_params(const char *params)
{
    int n = 0;
    while (param_name(params, n).len) n++;
    return n;
}

static bool place_named(jinja *j, const jinja_callable *c, jinja_value *slots, int n_params,
                        const jinja_named *named)
{
    for (int i = 0; i < n_params; i++) {
        if (!ae_span_equal(param_name(c->params, i), named->name)) continue;
        if (slots[i].kind != JINJA_MISSING) break;
        slots[i] = named->value;
        return true;
    }
    jinja_fail(j, "%s() takes no argument '%.*s' here", c->name, (int)named->name.len,
               named->name.data);
    return false;
}

static bool bind(jinja *j, const jinja_callable *c, jinja_value *slots, int n_params,
                 const jinja_args *args)
{
    if (args->n > (size_t)n_params) {
        jinja_fail(j, "%s() takes at most %d arguments, %zu given", c->name, n_params, args->n);
        return false;
    }
    for (size_t i = 0; i < args->n; i++) slots[i] = args->pos[i];
    for (size_t i = 0; i < args->n_named; i++)
        if (!place_named(j, c, slots, n_params, &args->named[i])) return false;
    for (int i = 0; i < c->need; i++)
        if (slots[i].kind == JINJA_MISSING) {
            ae_span name = param_name(c->params, i);
            jinja_fail(j, "%s() needs its argument '%.*s'", c->name, (int)name.len, name.data);
            return false;
        }
    return true;
}

/* Whatever a call does, it may read all of the texts it is given. */
static size_t cost_of(jinja_value self, const jinja_args *args)
{
    size_t bytes = self.kind == JINJA_STR ? self.len : 0;
    for (size_t i = 0; i < args->n; i++)
        if (args->pos[i].kind == JINJA_STR) bytes += args->pos[i].len;
    return bytes / 16;
}

jinja_value jinja_invoke(jinja *j, const jinja_callable *c, jinja_value self,
                         const jinja_args *args)
{
    jinja_value slots[MAX_PARAMS] = { 0 };
    if (!jinja_spend(j, cost_of(self, args))) return nothing();
    if (!c->params) return c->fn(j, self, args);
    int n_params = count_params(c->params);
    if (!bind(j, c, slots, n_params, args)) return nothing();
    jinja_args bound = { .pos = slots, .n = (size_t)n_params };
    return c->fn(j, self, &bound);
}

static jinja_value call_method(jinja *j, const jinja_method *m, const jinja_args *args)
{
    if (m->callable) return jinja_invoke(j, m->callable, m->self, args);
    jinja_fail(j, "the method '%.*s' of a %s would change it, which a template may not",
               (int)m->name.len, m->name.data, jinja_type_name(m->self.kind));
    return nothing();
}

/* A joiner is empty at its first call and its separator afterwards. */
static jinja_value call_joiner(jinja *j, jinja_list *joiner)
{
    bool first = !joiner->spent;
    joiner->spent = true;
    return first ? jinja_str(j, (ae_span){ "", 0 }) : joiner->separator;
}

jinja_value jinja_call(jinja *j, jinja_value callee, const jinja_args *args)
{
    if (j->status) return nothing();
    switch (callee.kind) {
    case JINJA_FUNCTION:
        return jinja_invoke(j, callee.as.callable, nothing(), args);
    case JINJA_METHOD:
        return call_method(j, callee.as.method, args);
    case JINJA_MACRO_VALUE:
        return jinja_call_macro(j, callee.as.macro, args);
    case JINJA_JOINER:
        return call_joiner(j, callee.as.list);
    case JINJA_UNDEFINED:
        if (callee.owner)
            jinja_fail(j, "'%s object' has no attribute '%.*s'", jinja_type_name(callee.owner),
                       (int)callee.len, callee.as.text);
        else
            jinja_fail(j, "'%.*s' is undefined", (int)callee.len, callee.as.text);
        return nothing();
    case JINJA_LOOP:
        jinja_fail(j, "recursive loops are not supported");
        return nothing();
    default:
        break;
    }
    jinja_fail(j, "'%s' object is not callable", jinja_type_name(callee.kind));
    return nothing();
}

jinja_value jinja_filter(jinja *j, ae_span name, jinja_value self, const jinja_args *args)
{
    static const jinja_callable *const tables[] = { jinja_filters_text, jinja_filters_list,
                                                    jinja_filters_number, jinja_filters_pick };
    for (size_t i = 0; i < AE_COUNT(tables); i++) {
        const jinja_callable *c = jinja_find_callable(tables[i], name);
        if (c) return jinja_invoke(j, c, self, args);
    }
    jinja_fail(j, "No filter named '%.*s'", name.len < 60 ? (int)name.len : 60, name.data);
    return nothing();
}

bool jinja_test(jinja *j, ae_span name, jinja_value self, const jinja_args *args)
{
    const jinja_callable *c = jinja_find_callable(jinja_tests, name);
    if (c) return jinja_true(jinja_invoke(j, c, self, args));
    jinja_fail(j, "No test named '%.*s'", name.len < 60 ? (int)name.len : 60, name.data);
    return false;
}

int64_t jinja_arg_int(jinja *j, jinja_value v, int64_t fallback)
{
    switch (v.kind) {
    case JINJA_MISSING:
    case JINJA_NONE:
        return fallback;
    case JINJA_INT:
    case JINJA_BOOL:
        return v.as.integer;
    default:
        break;
    }
    jinja_fail(j, "a whole number is needed, not a %s", jinja_type_name(v.kind));
    return fallback;
}

bool jinja_arg_bool(jinja_value v, bool fallback)
{
    return v.kind == JINJA_MISSING ? fallback : jinja_true(v);
}

ae_span jinja_arg_text(jinja *j, jinja_value v, const char *fallback)
{
    if (v.kind == JINJA_STR) return jinja_text_of(v);
    if (v.kind != JINJA_MISSING)
        jinja_fail(j, "a text is needed, not a %s", jinja_type_name(v.kind));
    return ae_span_text(fallback);
}

const jinja_value *jinja_arg_named(const jinja_args *args, const char *name)
{
    for (size_t i = 0; i < args->n_named; i++)
        if (ae_span_is(args->named[i].name, name)) return &args->named[i].value;
    return NULL;
}
