/* jinja_math.c -- the operators + - * / // % ** ~ on a template's values. */
#include "text/jinja.h"

#include <math.h>
#include <string.h>

static jinja_value nothing(void)
{
    return jinja_undefined((ae_span){ "", 0 }, 0);
}

static jinja_value wrong_types(jinja *j, const char *op, jinja_value a, jinja_value b)
{
    if (a.kind == JINJA_UNDEFINED || b.kind == JINJA_UNDEFINED) {
        jinja_value u = a.kind == JINJA_UNDEFINED ? a : b;
        if (u.owner)
            jinja_fail(j, "'%s object' has no attribute '%.*s'", jinja_type_name(u.owner),
                       (int)u.len, u.as.text);
        else
            jinja_fail(j, "'%.*s' is undefined", (int)u.len, u.as.text);
    } else {
        jinja_fail(j, "unsupported operand types for %s: '%s' and '%s'", op,
                   jinja_type_name(a.kind), jinja_type_name(b.kind));
    }
    return nothing();
}

static jinja_value join_texts(jinja *j, ae_span a, ae_span b)
{
    if (a.len + b.len > j->max_output) {
        jinja_fail(j, "a text grows past %zu bytes", j->max_output);
        return nothing();
    }
    char *joined = jinja_take(j, a.len + b.len + 1, 1);
    if (!joined) return nothing();
    if (a.len) memcpy(joined, a.data, a.len);
    if (b.len) memcpy(joined + a.len, b.data, b.len);
    return jinja_str(j, (ae_span){ joined, a.len + b.len });
}

static jinja_value join_lists(jinja *j, jinja_value a, jinja_value b)
{
    jinja_value out = jinja_list_new(j, a.kind);
    for (size_t i = 0; i < a.as.list->n && !j->status; i++)
        jinja_list_add(j, out, a.as.list->items[i]);
    for (size_t i = 0; i < b.as.list->n && !j->status; i++)
        jinja_list_add(j, out, b.as.list->items[i]);
    return out;
}

static jinja_value repeat_text(jinja *j, ae_span text, int64_t times)
{
    size_t len;
    if (times < 0) times = 0;
    if (!ae_mul_size(&len, text.len, (size_t)times) || len > j->max_output) {
        jinja_fail(j, "a text grows past %zu bytes", j->max_output);
        return nothing();
    }
    char *out = jinja_take(j, len + 1, 1);
    for (size_t at = 0; out && at < len; at += text.len) memcpy(out + at, text.data, text.len);
    return out ? jinja_str(j, (ae_span){ out, len }) : nothing();
}

static jinja_value repeat_list(jinja *j, jinja_value list, int64_t times)
{
    jinja_value out = jinja_list_new(j, list.kind);
    if (j->status || list.as.list->n == 0) return out;
    for (int64_t k = 0; k < times && jinja_spend(j, 1); k++)
        for (size_t i = 0; i < list.as.list->n; i++) jinja_list_add(j, out, list.as.list->items[i]);
    return out;
}

static bool is_whole(jinja_value v)
{
    return v.kind == JINJA_INT || v.kind == JINJA_BOOL;
}

static bool is_sequence(jinja_value v)
{
    return v.kind == JINJA_LIST || v.kind == JINJA_TUPLE;
}

static jinja_value repeat(jinja *j, jinja_value a, jinja_value b)
{
    jinja_value thing = is_whole(a) ? b : a, times = is_whole(a) ? a : b;
    if (is_whole(times) && thing.kind == JINJA_STR)
        return repeat_text(j, jinja_text_of(thing), times.as.integer);
    if (is_whole(times) && is_sequence(thing)) return repeat_list(j, thing, times.as.integer);
    return wrong_types(j, "*", a, b);
}

static jinja_value too_large(jinja *j)
{
    jinja_fail(j, "a whole number grows past 64 bits");
    return nothing();
}

static bool divides_by_zero(jinja *j, jinja_value b)
{
    if (jinja_real(b) != 0) return false;
    jinja_fail(j, "division by zero");
    return true;
}

/* Python rounds the quotient down and gives the remainder the divisor's sign. */
static jinja_value floor_divide(jinja *j, jinja_value a, jinja_value b, bool remainder)
{
    if (divides_by_zero(j, b)) return nothing();
    if (!is_whole(a) || !is_whole(b)) {
        double x = jinja_real(a), y = jinja_real(b), r = fmod(x, y);
        if (r != 0 && (r < 0) != (y < 0)) r += y;
        double q = floor((x - r) / y + 0.5);
        if (q == 0) q = copysign(0, x / y);
        return jinja_float(!remainder ? q : r == 0 ? copysign(0, y) : r);
    }
    int64_t x = a.as.integer, y = b.as.integer;
    if (y == -1) return remainder ? jinja_int(0) : jinja_negate(j, jinja_int(x), true);
    int64_t q = x / y, r = x % y;
    if (r != 0 && (r < 0) != (y < 0)) r += y, q--;
    return jinja_int(remainder ? r : q);
}

static jinja_value power(jinja *j, jinja_value a, jinja_value b)
{
    if (!is_whole(a) || !is_whole(b) || b.as.integer < 0) {
        double x = jinja_real(a), y = jinja_real(b);
        if (y < 0 && divides_by_zero(j, a)) return nothing();
        return jinja_float(pow(x, y));
    }
    int64_t base = a.as.integer, result = 1;
    for (int64_t n = b.as.integer; n > 0; n >>= 1) {
        if ((n & 1) && __builtin_mul_overflow(result, base, &result)) return too_large(j);
        if (n > 1 && __builtin_mul_overflow(base, base, &base)) return too_large(j);
    }
    return jinja_int(result);
}

static jinja_value whole(jinja *j, char op, int64_t a, int64_t b)
{
    int64_t r = 0;
    bool over = op == '+'   ? __builtin_add_overflow(a, b, &r)
                : op == '-' ? __builtin_sub_overflow(a, b, &r)
                            : __builtin_mul_overflow(a, b, &r);
    return over ? too_large(j) : jinja_int(r);
}

static jinja_value numbers(jinja *j, char op, jinja_value a, jinja_value b)
{
    switch (op) {
    case 'f':
        return floor_divide(j, a, b, false);
    case '%':
        return floor_divide(j, a, b, true);
    case 'p':
        return power(j, a, b);
    case '/':
        return divides_by_zero(j, b) ? nothing() : jinja_float(jinja_real(a) / jinja_real(b));
    default:
        break;
    }
    if (is_whole(a) && is_whole(b)) return whole(j, op, a.as.integer, b.as.integer);
    double x = jinja_real(a), y = jinja_real(b);
    return jinja_float(op == '+' ? x + y : op == '-' ? x - y : x * y);
}

static const char *op_text(char op)
{
    switch (op) {
    case '+':
        return "+";
    case '-':
        return "-";
    case '*':
        return "*";
    case '/':
        return "/";
    case 'f':
        return "//";
    case 'p':
        return "**";
    default:
        return "%";
    }
}

jinja_value jinja_binary(jinja *j, char op, jinja_value a, jinja_value b)
{
    if (j->status) return nothing();
    if (op == '~') {
        a = jinja_to_str(j, a);
        b = jinja_to_str(j, b);
        return j->status ? nothing() : join_texts(j, jinja_text_of(a), jinja_text_of(b));
    }
    if (jinja_is_number(a) && jinja_is_number(b)) return numbers(j, op, a, b);
    if (op == '+' && a.kind == JINJA_STR && b.kind == JINJA_STR)
        return join_texts(j, jinja_text_of(a), jinja_text_of(b));
    if (op == '+' && is_sequence(a) && a.kind == b.kind) return join_lists(j, a, b);
    if (op == '*') return repeat(j, a, b);
    if (op == '%' && a.kind == JINJA_STR) return jinja_percent(j, jinja_text_of(a), b);
    return wrong_types(j, op_text(op), a, b);
}

jinja_value jinja_negate(jinja *j, jinja_value v, bool negate)
{
    if (!jinja_is_number(v)) {
        if (v.kind == JINJA_UNDEFINED) return wrong_types(j, "-", v, v);
        jinja_fail(j, "bad operand type for unary %c: '%s'", negate ? '-' : '+',
                   jinja_type_name(v.kind));
        return nothing();
    }
    if (v.kind == JINJA_FLOAT) return jinja_float(negate ? -v.as.real : v.as.real);
    return negate ? whole(j, '-', 0, v.as.integer) : jinja_int(v.as.integer);
}
