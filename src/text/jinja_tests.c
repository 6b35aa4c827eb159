/* jinja_tests.c -- what may follow "is". */
#include "text/jinja.h"
#include "text/utf8.h"

static bool kind_of(jinja_value v, unsigned kinds)
{
    return (1u << v.kind) & kinds;
}

#define BIT(kind) (1u << (kind))

static jinja_value is_defined(jinja *j, jinja_value v, const jinja_args *args)
{
    (void)j, (void)args;
    return jinja_bool(v.kind != JINJA_UNDEFINED);
}

static jinja_value is_undefined(jinja *j, jinja_value v, const jinja_args *args)
{
    (void)j, (void)args;
    return jinja_bool(v.kind == JINJA_UNDEFINED);
}

static jinja_value is_none(jinja *j, jinja_value v, const jinja_args *args)
{
    (void)j, (void)args;
    return jinja_bool(v.kind == JINJA_NONE);
}

static jinja_value is_boolean(jinja *j, jinja_value v, const jinja_args *args)
{
    (void)j, (void)args;
    return jinja_bool(v.kind == JINJA_BOOL);
}

static jinja_value is_true(jinja *j, jinja_value v, const jinja_args *args)
{
    (void)j, (void)args;
    return jinja_bool(v.kind == JINJA_BOOL && v.as.integer);
}

static jinja_value is_false(jinja *j, jinja_value v, const jinja_args *args)
{
    (void)j, (void)args;
    return jinja_bool(v.kind == JINJA_BOOL && !v.as.integer);
}

static jinja_value is_integer(jinja *j, jinja_value v, const jinja_args *args)
{
    (void)j, (void)args;
    return jinja_bool(v.kind == JINJA_INT);
}

static jinja_value is_float(jinja *j, jinja_value v, const jinja_args *args)
{
    (void)j, (void)args;
    return jinja_bool(v.kind == JINJA_FLOAT);
}

static jinja_value is_number(jinja *j, jinja_value v, const jinja_args *args)
{
    (void)j, (void)args;
    return jinja_bool(jinja_is_number(v));
}

static jinja_value is_string(jinja *j, jinja_value v, const jinja_args *args)
{
    (void)j, (void)args;
    return jinja_bool(v.kind == JINJA_STR);
}

static jinja_value is_mapping(jinja *j, jinja_value v, const jinja_args *args)
{
    (void)j, (void)args;
    return jinja_bool(v.kind == JINJA_DICT);
}

/* Has a length and items: in Jinja an undefined value counts. */
static jinja_value is_sequence(jinja *j, jinja_value v, const jinja_args *args)
{
    (void)j, (void)args;
    return jinja_bool(kind_of(v, BIT(JINJA_UNDEFINED) | BIT(JINJA_STR) | BIT(JINJA_LIST) |
                                     BIT(JINJA_TUPLE) | BIT(JINJA_DICT)));
}

static jinja_value is_iterable(jinja *j, jinja_value v, const jinja_args *args)
{
    (void)j, (void)args;
    return jinja_bool(kind_of(v, BIT(JINJA_UNDEFINED) | BIT(JINJA_STR) | BIT(JINJA_LIST) |
                                     BIT(JINJA_TUPLE) | BIT(JINJA_ITER) | BIT(JINJA_VIEW) |
                                     BIT(JINJA_DICT) | BIT(JINJA_LOOP)));
}

static jinja_value is_callable(jinja *j, jinja_value v, const jinja_args *args)
{
    (void)j, (void)args;
    return jinja_bool(kind_of(v, BIT(JINJA_FUNCTION) | BIT(JINJA_METHOD) | BIT(JINJA_MACRO_VALUE) |
                                     BIT(JINJA_JOINER) | BIT(JINJA_LOOP)));
}

static jinja_value is_escaped(jinja *j, jinja_value v, const jinja_args *args)
{
    (void)j, (void)v, (void)args;
    return jinja_bool(false);
}

static jinja_value remainder_by(jinja *j, jinja_value v, jinja_value by)
{
    return jinja_binary(j, '%', v, by);
}

static jinja_value is_odd(jinja *j, jinja_value v, const jinja_args *args)
{
    (void)args;
    return jinja_bool(jinja_equal(j, remainder_by(j, v, jinja_int(2)), jinja_int(1)));
}

static jinja_value is_even(jinja *j, jinja_value v, const jinja_args *args)
{
    (void)args;
    return jinja_bool(jinja_equal(j, remainder_by(j, v, jinja_int(2)), jinja_int(0)));
}

static jinja_value is_divisible(jinja *j, jinja_value v, const jinja_args *args)
{
    return jinja_bool(jinja_equal(j, remainder_by(j, v, args->pos[0]), jinja_int(0)));
}

static jinja_value is_equal(jinja *j, jinja_value v, const jinja_args *args)
{
    return jinja_bool(jinja_equal(j, v, args->pos[0]));
}

static jinja_value is_unequal(jinja *j, jinja_value v, const jinja_args *args)
{
    return jinja_bool(!jinja_equal(j, v, args->pos[0]));
}

static jinja_value is_greater(jinja *j, jinja_value v, const jinja_args *args)
{
    return jinja_bool(jinja_order(j, v, args->pos[0]) > 0);
}

static jinja_value is_less(jinja *j, jinja_value v, const jinja_args *args)
{
    return jinja_bool(jinja_order(j, v, args->pos[0]) < 0);
}

static jinja_value is_at_least(jinja *j, jinja_value v, const jinja_args *args)
{
    return jinja_bool(jinja_order(j, v, args->pos[0]) >= 0);
}

static jinja_value is_at_most(jinja *j, jinja_value v, const jinja_args *args)
{
    return jinja_bool(jinja_order(j, v, args->pos[0]) <= 0);
}

static jinja_value is_in(jinja *j, jinja_value v, const jinja_args *args)
{
    return jinja_bool(jinja_contains(j, args->pos[0], v));
}

static jinja_value is_same(jinja *j, jinja_value v, const jinja_args *args)
{
    jinja_value other = args->pos[0];
    bool by_address = kind_of(v, BIT(JINJA_LIST) | BIT(JINJA_TUPLE) | BIT(JINJA_DICT));
    if (v.kind != other.kind) return jinja_bool(false);
    return jinja_bool(by_address ? v.as.list == other.as.list : jinja_equal(j, v, other));
}

/* str.islower() and str.isupper(): some letter with a case, and none of the other. */
static jinja_value has_case(jinja *j, jinja_value v, bool upper)
{
    jinja_value text = jinja_to_str(j, v);
    bool some = false;
    for (size_t at = 0; !j->status && at < text.len;) {
        int32_t code = ae_utf8_next(jinja_text_of(text), &at);
        if (upper ? jinja_is_lower(code) : jinja_is_upper(code)) return jinja_bool(false);
        some = some || (upper ? jinja_is_upper(code) : jinja_is_lower(code));
    }
    return jinja_bool(some);
}

static jinja_value is_lower(jinja *j, jinja_value v, const jinja_args *args)
{
    (void)args;
    return has_case(j, v, false);
}

static jinja_value is_upper(jinja *j, jinja_value v, const jinja_args *args)
{
    (void)args;
    return has_case(j, v, true);
}

static jinja_value is_filter(jinja *j, jinja_value v, const jinja_args *args)
{
    ae_span name = jinja_arg_text(j, v, "");
    (void)args;
    return jinja_bool(jinja_find_callable(jinja_filters_text, name) ||
                      jinja_find_callable(jinja_filters_list, name) ||
                      jinja_find_callable(jinja_filters_number, name) ||
                      jinja_find_callable(jinja_filters_pick, name));
}

static jinja_value is_test(jinja *j, jinja_value v, const jinja_args *args)
{
    (void)args;
    return jinja_bool(jinja_find_callable(jinja_tests, jinja_arg_text(j, v, "")) != NULL);
}

const jinja_callable jinja_tests[] = {
    { "defined", "", 0, is_defined },    { "undefined", "", 0, is_undefined },
    { "none", "", 0, is_none },          { "boolean", "", 0, is_boolean },
    { "true", "", 0, is_true },          { "false", "", 0, is_false },
    { "integer", "", 0, is_integer },    { "float", "", 0, is_float },
    { "number", "", 0, is_number },      { "string", "", 0, is_string },
    { "mapping", "", 0, is_mapping },    { "sequence", "", 0, is_sequence },
    { "iterable", "", 0, is_iterable },  { "callable", "", 0, is_callable },
    { "escaped", "", 0, is_escaped },    { "odd", "", 0, is_odd },
    { "even", "", 0, is_even },          { "divisibleby", "num", 1, is_divisible },
    { "equalto", "other", 1, is_equal }, { "eq", "other", 1, is_equal },
    { "==", "other", 1, is_equal },      { "ne", "other", 1, is_unequal },
    { "!=", "other", 1, is_unequal },    { "greaterthan", "other", 1, is_greater },
    { "gt", "other", 1, is_greater },    { ">", "other", 1, is_greater },
    { "ge", "other", 1, is_at_least },   { ">=", "other", 1, is_at_least },
    { "lessthan", "other", 1, is_less }, { "lt", "other", 1, is_less },
    { "<", "other", 1, is_less },        { "le", "other", 1, is_at_most },
    { "<=", "other", 1, is_at_most },    { "in", "seq", 1, is_in },
    { "sameas", "other", 1, is_same },   { "lower", "", 0, is_lower },
    { "upper", "", 0, is_upper },        { "filter", "", 0, is_filter },
    { "test", "", 0, is_test },          { 0 },
};
