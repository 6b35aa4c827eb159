/* jinja_filters_number.c -- filters that make numbers, and sums, least and greatest. */
#include "text/jinja.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static jinja_value missing(void)
{
    return (jinja_value){ .kind = JINJA_MISSING };
}

/* Python's int("...") and float("..."): white space around, underscores between digits. */
static bool plain_number(jinja_value v, char out[64])
{
    ae_span text = jinja_strip(jinja_text_of(v), true, true);
    size_t n = 0;
    if (text.len == 0 || text.len > 60 || text.data[0] == '_') return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] != '_') out[n++] = text.data[i];
    out[n] = '\0';
    return true;
}

static bool text_to_int(jinja_value v, int base, int64_t *out)
{
    char text[64], *end;
    if (!plain_number(v, text)) return false;
    errno = 0;
    long long value = strtoll(text, &end, base);
    *out = value;
    return errno == 0 && *end == '\0' && end != text;
}

static bool text_to_float(jinja_value v, double *out)
{
    char text[64], *end;
    /* Python knows no hexadecimal floats. */
    if (!plain_number(v, text) || strpbrk(text, "xX")) return false;
    *out = strtod(text, &end);
    return *end == '\0' && end != text;
}

static bool float_to_int(double f, int64_t *out)
{
    if (!(f > -9.2e18 && f < 9.2e18)) return false;
    *out = (int64_t)f;
    return true;
}

static bool check_defined(jinja *j, jinja_value v)
{
    if (v.kind == JINJA_UNDEFINED) jinja_fail(j, "'%.*s' is undefined", (int)v.len, v.as.text);
    return v.kind != JINJA_UNDEFINED;
}

/* int(default=0, base=10) */
static jinja_value to_int(jinja *j, jinja_value self, const jinja_args *args)
{
    jinja_value fallback = args->pos[0].kind == JINJA_MISSING ? jinja_int(0) : args->pos[0];
    int64_t base = jinja_arg_int(j, args->pos[1], 10), value;
    double real;
    if (!check_defined(j, self)) return fallback;
    if (base < 0 || base > 36 || base == 1) return fallback;
    switch (self.kind) {
    case JINJA_INT:
    case JINJA_BOOL:
        return jinja_int(self.as.integer);
    case JINJA_FLOAT:
        return float_to_int(self.as.real, &value) ? jinja_int(value) : fallback;
    case JINJA_STR:
        if (text_to_int(self, (int)base, &value)) return jinja_int(value);
        if (text_to_float(self, &real) && float_to_int(real, &value)) return jinja_int(value);
        return fallback;
    default:
        return fallback;
    }
}

/* float(default=0.0) */
static jinja_value to_float(jinja *j, jinja_value self, const jinja_args *args)
{
    double real;
    if (!check_defined(j, self)) return self;
    if (jinja_is_number(self)) return jinja_float(jinja_real(self));
    if (self.kind == JINJA_STR && text_to_float(self, &real)) return jinja_float(real);
    return args->pos[0].kind == JINJA_MISSING ? jinja_float(0) : args->pos[0];
}

static jinja_value absolute(jinja *j, jinja_value self, const jinja_args *args)
{
    (void)args;
    if (!jinja_is_number(self)) {
        jinja_fail(j, "bad operand type for abs(): '%s'", jinja_type_name(self.kind));
        return self;
    }
    if (self.kind == JINJA_FLOAT) return jinja_float(fabs(self.as.real));
    return jinja_negate(j, self, self.as.integer < 0);
}

/* round() of Python: half to even on the exact value, which printf does too. */
static double round_common(double x, int64_t precision)
{
    char text[400];
    if (precision >= 0) {
        snprintf(text, sizeof text, "%.*f", precision > 20 ? 20 : (int)precision, x);
        return strtod(text, NULL);
    }
    double scale = pow(10, (double)-precision);
    return nearbyint(x / scale) * scale;
}

/* round(precision=0, method='common') */
static jinja_value to_round(jinja *j, jinja_value self, const jinja_args *args)
{
    int64_t precision = jinja_arg_int(j, args->pos[0], 0);
    ae_span method = jinja_arg_text(j, args->pos[1], "common");
    if (!jinja_is_number(self)) jinja_fail(j, "round needs a number");
    if (j->status) return self;
    if (ae_span_is(method, "common")) {
        bool whole = self.kind != JINJA_FLOAT;
        if (whole && precision >= 0) return jinja_int(self.as.integer);
        double rounded = round_common(jinja_real(self), precision);
        return whole ? jinja_int((int64_t)rounded) : jinja_float(rounded);
    }
    double scale = pow(10, (double)precision), x = jinja_real(self) * scale;
    if (ae_span_is(method, "ceil")) return jinja_float(ceil(x) / scale);
    if (ae_span_is(method, "floor")) return jinja_float(floor(x) / scale);
    jinja_fail(j, "method must be common, ceil or floor");
    return self;
}

/* sum(attribute=None, start=0) */
static jinja_value sum(jinja *j, jinja_value self, const jinja_args *args)
{
    jinja_value items = jinja_iterate(j, self);
    jinja_value total = args->pos[1].kind == JINJA_MISSING ? jinja_int(0) : args->pos[1];
    bool by_attribute = args->pos[0].kind > JINJA_NONE;
    for (size_t i = 0; !j->status && i < items.as.list->n && jinja_spend(j, 1); i++) {
        jinja_value item = items.as.list->items[i];
        if (by_attribute) item = jinja_path(j, item, args->pos[0], missing());
        total = jinja_binary(j, '+', total, item);
    }
    return total;
}

static jinja_value compare_key(jinja *j, jinja_value item, const jinja_args *args)
{
    if (args->pos[1].kind > JINJA_NONE) item = jinja_path(j, item, args->pos[1], missing());
    if (item.kind != JINJA_STR || jinja_arg_bool(args->pos[0], false)) return item;
    ae_bytes lowered = { 0 };
    jinja_put_case(&lowered, jinja_text_of(item), JINJA_LOWER);
    return jinja_str_take(j, &lowered);
}

/* min and max(case_sensitive=False, attribute=None) */
static jinja_value extreme(jinja *j, jinja_value self, const jinja_args *args, int sign)
{
    jinja_value items = jinja_iterate(j, self), best_key = missing();
    jinja_value best = jinja_undefined(ae_span_text("the extreme of an empty sequence"), 0);
    for (size_t i = 0; !j->status && i < items.as.list->n && jinja_spend(j, 1); i++) {
        jinja_value key = compare_key(j, items.as.list->items[i], args);
        if (i && sign * jinja_order(j, key, best_key) <= 0) continue;
        best = items.as.list->items[i];
        best_key = key;
    }
    return best;
}

static jinja_value least(jinja *j, jinja_value self, const jinja_args *args)
{
    return extreme(j, self, args, -1);
}

static jinja_value greatest(jinja *j, jinja_value self, const jinja_args *args)
{
    return extreme(j, self, args, 1);
}

const jinja_callable jinja_filters_number[] = {
    { "int", "default base", 0, to_int },
    { "float", "default", 0, to_float },
    { "abs", "", 0, absolute },
    { "round", "precision method", 0, to_round },
    { "sum", "attribute start", 0, sum },
    { "min", "case_sensitive attribute", 0, least },
    { "max", "case_sensitive attribute", 0, greatest },
    { 0 },
};
